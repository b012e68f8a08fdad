"""Weights from a public Google Drive folder: the real gdown, against a Google Drive of this machine.

gdown knows one address only. Its requests are led here by the variables that every such client obeys (``HTTPS_PROXY``,
``REQUESTS_CA_BUNDLE``), to a proxy that answers for drive.google.com with a certificate made for the test.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import ssl
import subprocess
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from CovidSeverityLib.classification.store import folder
from CovidSeverityLib.classification.store.catalogue import known_models, write_manifest
from CovidSeverityLib.classification.store.download import discard_download
from CovidSeverityLib.classification.store.folder import (
    FolderFile,
    chosen_file,
    consent_sentence,
    download_from_folder,
    folder_files,
)
from CovidSeverityLib.classification.store.installed import models_folder
from CovidSeverityLib.errors import DownloadError, InputError

gdown = pytest.importorskip("gdown", reason="the extra download is not installed")
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")

B5 = next(entry for entry in known_models() if entry.name == "published-b5")
INSIDE = "1a" * 14
CONTENT = b"no network at all " * 120_000
FILES = {"weights/b5.hdf5": "2b" * 14, "readme.txt": "3c" * 14}
HOST = "drive.google.com"


class Drive:
    """A proxy that is asked for Google Drive and answers itself."""

    def __init__(self, certificate):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        self.files, self.stops, self.status, self.asked = dict(FILES), [], 200, []
        drive = self

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self):
                assert self.path == f"{HOST}:443"
                self.send_response(200)
                self.end_headers()
                self.close_connection = True
                with contextlib.suppress(OSError), drive.context.wrap_socket(self.connection, server_side=True) as safe:
                    self.rfile, self.wfile = safe.makefile("rb"), safe.makefile("wb", 0)
                    self.handle_one_request()
                    self.close_connection = True

            def do_GET(self):
                drive.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # a client that hangs up is what is tested
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, handler):
        parts = urlsplit(handler.path)
        identifier = parse_qs(parts.query).get("id", [""])[0]
        self.asked.append((parts.path, handler.headers.get("Range")))
        if parts.path == "/embeddedfolderview":
            self.page(handler, identifier)
        elif identifier == FILES["weights/b5.hdf5"]:
            self.send(handler)
        else:
            handler.send_error(404)

    def page(self, handler, identifier):
        folders = {path.partition("/")[0] for path in self.files if "/" in path}
        top = identifier != INSIDE
        links = [f'<a href="https://{HOST}/drive/folders/{INSIDE}">{name}</a>' for name in folders if top]
        links += [
            f'<a href="https://{HOST}/file/d/{self.files[path]}/view">{path.rpartition("/")[2]}</a>'
            for path in self.files
            if ("/" not in path) == top
        ]
        text = f"<html><head><title>{'shared' if top else 'weights'}</title></head>{''.join(links)}</html>".encode()
        handler.send_response(self.status)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    def send(self, handler):
        asked = handler.headers.get("Range")
        first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        handler.send_response(206 if asked else 200)
        handler.send_header("Content-Type", "application/octet-stream")
        handler.send_header("Content-Disposition", 'attachment; filename="b5.hdf5"')
        handler.send_header("Content-Length", str(len(CONTENT) - first))
        if asked:
            handler.send_header("Content-Range", f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}")
        handler.end_headers()
        handler.wfile.write(CONTENT[first : self.stops.pop(0) if self.stops else None])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    place = tmp_path_factory.mktemp("certificate")
    key, pem = place / "key.pem", place / "cert.pem"
    options = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={HOST}"]
    options += ["-addext", f"subjectAltName=DNS:{HOST}", "-keyout", key, "-out", pem]
    subprocess.run(["openssl", "req", "-x509", *options], check=True, capture_output=True)
    return pem, key


@pytest.fixture
def drive(certificate, monkeypatch):
    drive = Drive(certificate)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{drive.server.server_port}")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    monkeypatch.setattr(folder, "TRIES", 1)
    yield drive
    drive.server.shutdown()
    drive.server.server_close()


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COVID_SEVERITY_MODELS", str(tmp_path / "models"))


def left():
    """Names of all that is in the folder of models."""
    return sorted(path.name for path in models_folder().iterdir()) if models_folder().exists() else []


@needs_openssl
def test_folder_shows_its_files_of_weights(drive):
    assert folder_files(B5, agreed=True) == (FolderFile("weights/b5.hdf5", FILES["weights/b5.hdf5"]),)


@needs_openssl
def test_folder_without_weights_or_closed_is_told(drive):
    drive.files = {"readme.txt": FILES["readme.txt"]}
    with pytest.raises(InputError, match="shows no file of weights"):
        folder_files(B5, agreed=True)
    drive.status = 404
    with pytest.raises(DownloadError, match=r"does not give the files of published-b5: .*status code 404"):
        folder_files(B5, agreed=True)


def test_without_network_one_sentence_is_told(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match=r"Google Drive cannot be reached \(ProxyError\)"):
        folder_files(B5, agreed=True)
    with pytest.raises(DownloadError, match="cannot be reached"):
        download_from_folder(B5, FolderFile("b5.hdf5", "2b" * 14), agreed=True)
    assert discard_download("published-b5")
    assert left() == []


@needs_openssl
@pytest.mark.slow
def test_break_goes_on_and_the_file_is_added_like_one_of_the_user(drive):
    """The content is no network: adding refuses it, and nothing stays. (The real weights are 100 MB and theirs.)"""
    file = folder_files(B5, agreed=True)[0]
    drive.stops = [1_500_000]  # gdown writes half a megabyte at a time
    with pytest.raises(DownloadError, match="does not give the files of published-b5"):
        download_from_folder(B5, file, agreed=True)
    assert left() == [".published-b5.gathering"]
    seen = []
    with pytest.raises(InputError, match=r"b5\.hdf5"):
        download_from_folder(B5, file, progress=lambda *call: seen.append(call), agreed=True)
    path, went_on = drive.asked[-1]
    assert path == "/uc"
    assert 500_000 < int(went_on.removeprefix("bytes=").removesuffix("-")) <= 1_500_000
    assert ("download", len(CONTENT), len(CONTENT)) in seen
    assert left() == []


def test_nothing_is_asked_before_somebody_agrees(program, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # a request would be an error with status 1
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    for call in (lambda: folder_files(B5, agreed=False), lambda: download_from_folder(B5, None, agreed=False)):
        with pytest.raises(
            InputError, match="nothing was downloaded, because nobody agreed: The weights of published-b5"
        ):
            call()
    for action in ("download", "files"):
        status, out, err = program("models", action, "published-b5")
        assert (status, out) == (2, "")
        assert B5.folder in err
        assert "neither a licence nor a checksum is stated" in err
        assert err.endswith("Nothing was downloaded; --yes agrees\n")
        assert program("models", action, "published-b5", "--yes").status == 1


class Terminal:
    """Standard input of somebody who types."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def isatty(self):
        return True

    def readline(self):
        return self.answers.pop(0) + "\n"


def test_somebody_who_declines_is_taken_at_their_word(program, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    for answer in ("n", "", "yess"):
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        status, _, err = program("models", "download", "published-b5")
        assert status == 2
        assert err.startswith(f"{consent_sentence(B5)}\nDownload from there? [y/N] ")
        assert err.endswith("covid-severity: nothing was downloaded, because you did not agree\n")


@needs_openssl
def test_command_lists_the_files_for_people_and_programs(program, drive, monkeypatch):
    monkeypatch.setattr("sys.stdin", Terminal("y"))
    assert program("models", "files", "published-b5").out == "weights/b5.hdf5\n"
    status, out, _ = program("models", "files", "published-b5", "--yes", "--json")
    assert (status, json.loads(out)) == (0, {"name": "published-b5", "files": [{"path": "weights/b5.hdf5"}]})


@needs_openssl
def test_terminal_is_asked_which_file(program, drive, monkeypatch):
    drive.files = {"a.hdf5": "4d" * 14, "b.h5": "5e" * 14}
    monkeypatch.setattr("sys.stdin", Terminal("yes", "3"))
    status, _, err = program("models", "download", "published-b5")
    assert status == 2
    assert "The folder has several files:\n  1  a.hdf5\n  2  b.h5\nWhich one? [1-2] " in err
    assert err.endswith("'3' is not a number from 1 to 2\n")


FOUND = tuple(FolderFile(path, path) for path in ("b1.hdf5", "new/b5.hdf5", "old/b5.hdf5"))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("old/b5.hdf5", "old/b5.hdf5"),
        ("b1.hdf5", "b1.hdf5"),
        ("b5.hdf5", "more than one file of the folder is 'b5.hdf5'; --file names one of new/b5.hdf5, old/b5.hdf5"),
        ("b7.hdf5", "no file of the folder is 'b7.hdf5'; --file names one of b1.hdf5, new/b5.hdf5, old/b5.hdf5"),
        (None, "choose one; --file names one of b1.hdf5, new/b5.hdf5, old/b5.hdf5"),
    ],
)
def test_file_is_chosen_by_path_or_by_name(asked, expected):
    if expected.count(" "):
        with pytest.raises(InputError, match=f"^{expected}$"):
            chosen_file(FOUND, asked)
    else:
        assert chosen_file(FOUND, asked).path == expected


def test_only_file_needs_no_choice():
    assert chosen_file(FOUND[:1], None) == FOUND[0]


def test_model_without_a_folder_has_no_files(program, tmp_path):
    write_manifest([replace(B5, folder=None)], tmp_path / "m.json")
    assert "no public folder" in program("models", "files", "published-b5", "--manifest", tmp_path / "m.json").err
