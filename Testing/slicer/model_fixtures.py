"""Fixtures of tests that download models: a server of this machine, and a child that asks it and no other."""

from __future__ import annotations

import hashlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

CLASSIFIER, LUNGS, LOBES = "ours", "lungmask-r231", "lungmask-lobes"

COMMAND = """
import sys
from pathlib import Path
from CovidSeverityLib.__main__ import main
from CovidSeverityLib.classification.store import catalogue, download
manifest = Path(sys.argv.pop(1))
catalogue.shipped_manifest = lambda: manifest
download.BACKOFF_S = 0.0
sys.exit(main(sys.argv[1:]))
"""
"""The library's command with another list of models, and without pauses between its tries."""


class ModelSite:
    """A web server with the files of some models.

    Attributes
    ----------
    contents : dict of str to bytes
        What it sends for each path.
    asked : list of (str, str or None)
        Path and Range of every request.
    stalls_after : int or None
        Bytes after which it sends nothing more until ``goes_on`` is set.
    """

    def __init__(self):
        rng = np.random.default_rng(20)
        names = {CLASSIFIER: "ours.hdf5", LUNGS: "unet_r231.pth", LOBES: "unet_ltrclobes.pth"}
        self.paths = {model: f"/{file}" for model, file in names.items()}
        self.contents = {path: rng.bytes(600_000) for path in self.paths.values()}
        self.asked, self.stalls_after, self.goes_on = [], None, threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site._answer(self)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        """Nobody answers any more."""
        self.goes_on.set()
        self._server.shutdown()
        self._server.server_close()

    def entries(self):
        """What a manifest says of its models."""
        from CovidSeverityLib.classification.description import NetworkDescription
        from CovidSeverityLib.classification.store.catalogue import ModelEntry

        purposes = {CLASSIFIER: "classifier", LUNGS: "lungs", LOBES: "lobes"}
        return [
            ModelEntry(
                name=name,
                title=name,
                network=NetworkDescription() if purpose == "classifier" else None,
                licence="CC0-1.0",
                source="a server of this machine",
                url=f"http://127.0.0.1:{self._server.server_port}{self.paths[name]}",
                sha256=hashlib.sha256(self.contents[self.paths[name]]).hexdigest(),
                size_bytes=len(self.contents[self.paths[name]]),
                purpose=purpose,
            )
            for name, purpose in purposes.items()
        ]

    def _answer(self, handler):
        asked = handler.headers.get("Range")
        self.asked.append((handler.path, asked))
        content = self.contents[handler.path]
        first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        handler.send_response(206 if asked else 200)
        if asked:
            handler.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        handler.send_header("Content-Length", str(len(content) - first))
        handler.send_header("ETag", '"one"')
        handler.end_headers()
        end = len(content) if self.stalls_after is None else min(self.stalls_after, len(content))
        try:
            handler.wfile.write(content[first:end])
            handler.wfile.flush()
            if end < len(content):
                self.goes_on.wait(60)
        except OSError:  # the other side has gone
            pass


@pytest.fixture
def model_site(monkeypatch, tmp_path):
    """A server with models. This process and the children of ``model_job`` know its models and no others."""
    from CovidSeverityLib.classification.store import catalogue

    monkeypatch.setenv("COVID_SEVERITY_MODELS", str(tmp_path / "models"))
    site = ModelSite()
    manifest = tmp_path / "manifest.json"
    catalogue.write_manifest(site.entries(), manifest)
    monkeypatch.setattr(catalogue, "shipped_manifest", lambda: manifest)
    site.manifest = manifest
    yield site
    site.close()


@pytest.fixture
def model_job(model_site):
    """Makes jobs that run the library's command with the list of the server's models."""
    from CovidSeveritySlicer.analysis.Job import Job, childEnvironment, libraryRoot

    def make(arguments, **parts):
        command = [sys.executable, "-c", COMMAND, str(model_site.manifest), *arguments]
        return Job(command, childEnvironment(), folder=libraryRoot(), **parts)

    return make


@pytest.fixture
def installed_models(model_site, tmp_path):
    """A function that gives the names of the models that are installed: folders that do not begin with a dot."""

    def names():
        folder = tmp_path / "models"
        return (
            sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) if folder.exists() else []
        )

    return names
