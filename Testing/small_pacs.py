"""A small DICOMweb server over HTTP(S) that breaks, lies and is busy as real ones are."""

from __future__ import annotations

import contextlib
import io
import json
import re
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pydicom import Dataset, dcmread

BOUNDARY = "the-boundary"
KINDS = (
    ("stow", "POST", r"/studies$"),
    ("series", "GET", r"/studies/[0-9.]+/series$"),
    ("instances", "GET", r"/studies/[0-9.]+/(series/[0-9.]+/)?instances$"),
    ("wado", "GET", r"/studies/[0-9.]+/series/[0-9.]+$"),
)


class SmallPacs:
    """A server with DICOM files. Each request takes the next fault of its kind, if there is one.

    ``asked`` : kind and headers of every request. ``stored`` : what was sent to it, by SOPInstanceUID.
    """

    def __init__(self, files: list[Path], certificate: Path | None = None):
        self.datasets = [(dcmread(file), file.read_bytes()) for file in files]
        self.faults: dict[str, list[Callable]] = defaultdict(list)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.stored: dict[str, Dataset] = {}
        self.tells_count, self.page, self.knows_pages, self.json_kind = True, 1000, True, "application/dicom+json"
        pacs = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                pacs.answer(self)

            def do_POST(self):
                pacs.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # the other side hangs up in the middle
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_port}/dicom-web"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def count(self, kind: str) -> int:
        """Number of requests of a kind."""
        return sum(known == kind for known, _ in self.asked)

    def answer(self, handler) -> None:
        parts = urlsplit(handler.path)
        kind = next((k for k, method, way in KINDS if method == handler.command and re.search(way, parts.path)), "")
        self.asked.append((kind, dict(handler.headers)))
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if self.faults[kind]:
            self.faults[kind].pop(0)(self, handler, parts.path, body)
        else:
            self.well(handler, kind, parts.path, query, body)

    def well(self, handler, kind: str, path: str, query: dict[str, str], body: bytes) -> None:
        """The answer of a PACS without faults."""
        if kind == "series":
            self.list(handler, self.series_of(path), query)
        elif kind == "instances":
            self.list(handler, self.instances_of(path, query), query)
        elif kind == "wado":
            send(
                handler, 200, self.multipart(path), f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
            )
        elif kind == "stow":
            self.reply_stored(handler, self.take(body))
        else:
            send(handler, 404, b"")

    def list(self, handler, items: list[dict], query: dict[str, str]) -> None:
        first = int(query.get("offset", 0)) if self.knows_pages else 0
        send(handler, 200, json.dumps(items[first : first + self.page]).encode(), self.json_kind)

    def series_of(self, path: str) -> list[dict]:
        found: dict[str, Dataset] = {}
        for dataset, _ in self.datasets:
            if f"/{dataset.StudyInstanceUID}/" in path:
                item = found.setdefault(dataset.SeriesInstanceUID, Dataset())
                item.SeriesInstanceUID, item.Modality = dataset.SeriesInstanceUID, dataset.Modality
                item.SeriesDescription = dataset.SeriesDescription
                if self.tells_count:
                    item.NumberOfSeriesRelatedInstances = int(item.get("NumberOfSeriesRelatedInstances", 0)) + 1
        return [item.to_json_dict() for item in found.values()]

    def instances_of(self, path: str, query: dict[str, str]) -> list[dict]:
        found = []
        for dataset in (*(dataset for dataset, _ in self.datasets), *self.stored.values()):
            series = re.search(r"/series/([0-9.]+)/", path)
            wanted = query.get("SOPInstanceUID", dataset.SOPInstanceUID), series and series[1]
            if dataset.SOPInstanceUID == wanted[0] and wanted[1] in (None, dataset.SeriesInstanceUID):
                item = Dataset()
                item.SOPInstanceUID = dataset.SOPInstanceUID
                found.append(item.to_json_dict())
        return found

    def multipart(self, path: str) -> bytes:
        parts = [content for dataset, content in self.datasets if path.endswith(f"/{dataset.SeriesInstanceUID}")]
        head = f"\r\n--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        return b"".join(head + part for part in parts) + f"\r\n--{BOUNDARY}--\r\n".encode()

    def take(self, body: bytes) -> list[str]:
        """Store what was sent; the identifiers of the objects."""
        begin = body.index(b"--") + 2
        boundary = body[begin : body.index(b"\r\n", begin)]
        parts = body.split(b"\r\n--" + boundary)[1:-1]
        datasets = [dcmread(io.BytesIO(part.partition(b"\r\n\r\n")[2])) for part in parts]
        self.stored |= {str(dataset.SOPInstanceUID): dataset for dataset in datasets}
        return [str(dataset.SOPInstanceUID) for dataset in datasets]

    def reply_stored(self, handler, uids: list[str], failed: dict[str, int] | None = None, status: int = 200) -> None:
        answer = Dataset()
        answer.ReferencedSOPSequence = [_item(uid) for uid in uids]
        if failed:
            answer.FailedSOPSequence = [_item(uid, reason) for uid, reason in failed.items()]
        send(handler, status, answer.to_json().encode(), self.json_kind)


def _item(uid: str, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPInstanceUID = uid
    if reason is not None:
        item.FailureReason = reason
    return item


def send(handler, status: int, body: bytes, kind: str = "text/html", length: int | None = None, **headers) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    if length != 0:
        handler.send_header("Content-Length", str(len(body) if length is None else length))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    with contextlib.suppress(ConnectionError):
        handler.wfile.write(body)
    handler.close_connection = True


def status(code: int, body: bytes = b"<html>no</html>", kind: str = "text/html", **headers) -> Callable:
    """A fault: another status or another content."""
    return lambda pacs, handler, path, received: send(handler, code, body, kind, **headers)


def hang_up(pacs, handler, path, received) -> None:
    """A fault: the connection is closed without an answer."""
    handler.close_connection = True


def silent(seconds: float) -> Callable:
    """A fault: nothing comes for a while, then the connection is closed."""

    def fault(pacs, handler, path, received):
        time.sleep(seconds)
        handler.close_connection = True

    return fault


def cut(share: float, promised: bool = True) -> Callable:
    """A fault: a series ends too early; without a promised length nothing but the missing boundary tells it."""

    def fault(pacs, handler, path, received):
        body = pacs.multipart(path)
        length = len(body) if promised else 0
        send(handler, 200, body[: int(share * len(body))], f"multipart/related; boundary={BOUNDARY}", length)

    return fault


def take_and(fault: Callable) -> Callable:
    """A fault after an object was stored."""

    def taken(pacs, handler, path, received):
        pacs.take(received)
        fault(pacs, handler, path, received)

    return taken


def refuse(reason: int, code: int = 409) -> Callable:
    """A fault: the objects are refused for a reason."""

    def refused(pacs, handler, path, received):
        before = dict(pacs.stored)
        uids = pacs.take(received)
        pacs.stored = before
        pacs.reply_stored(handler, [], dict.fromkeys(uids, reason), code)

    return refused
