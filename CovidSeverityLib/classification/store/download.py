"""Download the weights of a model on request: interrupted downloads are resumed, files are verified before use."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from CovidSeverityLib.checked import known
from CovidSeverityLib.checksums import sha256_of
from CovidSeverityLib.errors import DownloadError, InputError, OutputError
from CovidSeverityLib.types import Progress

from .catalogue import ModelEntry, check_name, safe_address
from .installed import InstalledModel, models_folder
from .placement import check_free, gathering_folder, placing, write_entry

if TYPE_CHECKING:
    from requests import Response, Session
    from urllib3 import Retry

STAGE = "download"
"""Name of this stage in progress calls, which count bytes."""

TIMEOUT_S = (10.0, 30.0)
"""Timeouts for the connection, and for the next data, seconds."""

TRIES, BACKOFF_S = 5, 0.5
"""Largest number of failures in a row (errors, or no new data), and the first pause between tries, which doubles."""

SERVER_TROUBLE = (429, 500, 502, 503, 504)
"""HTTP status codes of temporary failures."""

CHUNK_BYTES = 1 << 16
"""Bytes per write: an interruption loses less than this."""

PROGRESS_STEPS = 200
"""Largest number of progress calls."""

SPARE_BYTES = 1 << 26
"""Bytes of the disk that stay free."""


def download_model(entry: ModelEntry, replace: bool = False, progress: Progress | None = None) -> InstalledModel:
    """Download the weights of ``entry`` and install them in the user's folder.

    Received data are kept if the connection breaks or the caller is interrupted, and the next call continues from
    there.

    Parameters
    ----------
    entry : ModelEntry
        Entry with address, licence, checksum and size.
    replace : bool
        Whether to replace an installed model of that name.
    progress : Progress, optional
        Called with stage "download" and bytes.

    Raises
    ------
    InputError
        If the model cannot be downloaded, its name is taken, or the received file is not the one in the manifest.
    DownloadError
        If the network or the server fails repeatedly.
    OutputError
        If the disk is full or cannot be written.
    """
    _check_downloadable(entry)
    check_free(entry.name, replace)
    part = _Part(entry)
    with _on_disk(entry.name):
        part.path.parent.mkdir(parents=True, exist_ok=True)
        _check_space(part)
        _fetch(part, progress)
    found = sha256_of(part.path)
    if not entry.is_file(found):
        part.discard()
        raise InputError(
            f"what {_shown(part.url)} sent is not the model {entry.name}: its SHA-256 is {found}, expected "
            f"{entry.sha256}; it was thrown away"
        )
    with placing(entry.name, replace) as temporary:
        installed = entry.of_file(found, part.size_bytes)
        write_entry(installed, temporary)
        part.path.replace(temporary / entry.weights_name)
    part.discard()
    return InstalledModel(models_folder() / entry.name / entry.weights_name, installed)


def kept_bytes(entry: ModelEntry) -> int:
    """Number of bytes of an interrupted download."""
    return _Part(entry).kept()[0]


def discard_download(name: str) -> bool:
    """Delete an interrupted download; return whether there was one.

    Raises
    ------
    InputError
        If the name is not a valid name of a model.
    """
    check_name(name)
    part, about = _part_paths(name)
    gathered = gathering_folder(name)
    there = part.exists() or gathered.exists()
    for path in (part, about):
        path.unlink(missing_ok=True)
    shutil.rmtree(gathered, ignore_errors=True)
    return there


def _part_paths(name: str) -> tuple[Path, Path]:
    folder = models_folder()
    return folder / f".{name}.part", folder / f".{name}.part.json"


@dataclass(frozen=True)
class _Part:
    """The received part of a file, with a record of the file that it belongs to."""

    entry: ModelEntry

    @property
    def url(self) -> str:
        return known(self.entry.url)

    @property
    def size_bytes(self) -> int:
        return known(self.entry.size_bytes)

    @property
    def path(self) -> Path:
        return _part_paths(self.entry.name)[0]

    def kept(self) -> tuple[int, str | None]:
        """Number of received bytes, and the server's identifier of this version of the file; none of another file."""
        path, about = _part_paths(self.entry.name)
        try:
            stored = json.loads(about.read_text(encoding="utf-8"))
            size = path.stat().st_size
        except (OSError, ValueError):
            return 0, None
        if {key: stored.get(key) for key in self._file()} != self._file() or size > self.size_bytes:
            return 0, None
        return size, stored.get("version")

    def begin(self, version: str | None) -> None:
        """Start a new file of the ``version`` that the server sends."""
        path, about = _part_paths(self.entry.name)
        path.write_bytes(b"")
        about.write_text(json.dumps({**self._file(), "version": version}), encoding="utf-8")

    def discard(self) -> None:
        discard_download(self.entry.name)

    def _file(self) -> dict[str, Any]:
        return {"sha256": self.entry.sha256, "size_bytes": self.entry.size_bytes}


def _check_downloadable(entry: ModelEntry) -> None:
    if entry.downloadable:
        return
    unknown = entry.unknown_for_download
    others, last = ", ".join(unknown[:-1]), unknown[-1]
    listed = f"{others} and {last}" if others else last
    source = f" from {entry.source}" if entry.source else ""
    raise InputError(
        f"the model {entry.name} is not downloaded: its {listed} {'are' if len(unknown) > 1 else 'is'} not known; "
        f"get its file of weights yourself{source}, then covid-severity models add FILE --as {entry.name}"
    )


def _check_space(part: _Part) -> None:
    needed = part.size_bytes - part.kept()[0] + SPARE_BYTES
    free = shutil.disk_usage(part.path.parent).free
    if free < needed:
        raise OutputError(
            f"not enough space for the model {part.entry.name} in {part.path.parent}: {needed / 1e6:,.0f} MB are "
            f"needed, {free / 1e6:,.0f} MB are free"
        )


@contextmanager
def _on_disk(name: str) -> Iterator[None]:
    """Raise an error for the disk; errors of requests, which are OSErrors too, are handled before."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"cannot write the model {name} to {models_folder()}: {reason}") from error


def _fetch(part: _Part, progress: Progress | None) -> None:
    """Download until all bytes are received; a try with new data does not count as a failure."""
    from requests import Session
    from requests.adapters import HTTPAdapter
    from requests.exceptions import RequestException
    from urllib3.exceptions import MaxRetryError

    with Session() as session:
        session.hooks["response"].append(_check_redirection)
        session.mount("https://", HTTPAdapter(max_retries=_tries()))
        session.mount("http://", HTTPAdapter(max_retries=_tries()))
        tries, most = _tries(), part.kept()[0]
        while part.kept()[0] < part.size_bytes:
            trouble: Exception | None = None
            try:
                _go_on(session, part, progress)
            except RequestException as error:
                trouble = error
            if part.kept()[0] > most:
                tries, most = _tries(), part.kept()[0]
                continue
            try:
                tries = tries.increment("GET", error=trouble or ConnectionError("nothing new came"))
            except MaxRetryError as error:
                raise DownloadError(_broken(part, trouble)) from error
            tries.sleep()


def _tries() -> Retry:
    from urllib3 import Retry

    return Retry(
        TRIES - 1,
        backoff_factor=BACKOFF_S,
        status_forcelist=SERVER_TROUBLE,
        raise_on_status=False,
        respect_retry_after_header=False,  # a server may request an hour, during which the user would see nothing
    )


def _go_on(session: Session, part: _Part, progress: Progress | None) -> None:
    """One request for the missing part."""
    have, version = part.kept()
    with _response(session, part, have, version) as response:
        if response.status_code == 416:
            part.discard()
            return
        have = _continued_from(response, part, have)
        if have == 0:
            part.begin(_version(response))
        _write(response, part, have, progress)


def _response(session: Session, part: _Part, have: int, version: str | None) -> Response:
    """The server's answer to a request for the missing part of the same version, or for the whole file."""
    from requests.exceptions import RequestException

    headers = {"Accept-Encoding": "identity"}
    if have and version:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    try:
        response = session.get(part.url, headers=headers, stream=True, timeout=TIMEOUT_S)
    except RequestException as error:
        raise DownloadError(_broken(part, error)) from error
    if response.status_code in (200, 206, 416):
        return response
    answer = f"{_shown(part.url)} answers {response.status_code} {response.reason}"
    response.close()
    if response.status_code in SERVER_TROUBLE:
        raise DownloadError(f"{answer}, again and again{_going_on(part)}")
    raise InputError(f"{answer}; the manifest's address of the model {part.entry.name} is wrong or out of date")


def _check_redirection(response: Response, **_: object) -> None:
    """Refuse a redirection to an unsafe address before a request is sent to it."""
    if response.is_redirect:
        target = urljoin(response.url, response.headers["Location"])
        if not safe_address(target):
            raise InputError(f"{_shown(response.url)} leads to {_shown(target)}, which is not https")


def _continued_from(response: Response, part: _Part, have: int) -> int:
    """The first byte of the answer; 0 if the server sends the whole file."""
    wanted = part.size_bytes
    if response.status_code == 206:
        sent, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        if sent.partition("-")[0] == str(have) and total in (str(wanted), "*"):
            return have
        part.discard()
        raise InputError(
            f"{_shown(part.url)} sends bytes {sent} of {total} where those from {have} of {wanted} were asked "
            "for; what was there is thrown away"
        )
    length = response.headers.get("Content-Length")
    if length is not None and length != str(wanted):
        part.discard()
        raise InputError(
            f"{_shown(part.url)} sends {length} bytes; the model {part.entry.name} has {wanted}: it is another file"
        )
    return 0


def _version(response: Response) -> str | None:
    """The server's identifier of this version of the file, if it guarantees that every byte is the same."""
    tag = response.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")


def _write(response: Response, part: _Part, have: int, progress: Progress | None) -> None:
    total = part.size_bytes
    told = None
    with part.path.open("ab") as file:
        for chunk in response.iter_content(CHUNK_BYTES):
            have += len(chunk)
            if have > total:
                break
            file.write(chunk)
            if progress is not None and (told is None or have == total or have - told >= total // PROGRESS_STEPS):
                progress(STAGE, have, total)
                told = have
    if have > total:
        part.discard()
        raise InputError(
            f"{_shown(part.url)} sends more than {total} bytes, which the model {part.entry.name} has: "
            "it is another file"
        )


def _shown(url: str) -> str:
    """An address without its secret parts: user, password and query."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return urljoin(f"{parts.scheme}://{parts.hostname}{port}", parts.path)


def _broken(part: _Part, error: Exception | None) -> str:
    from requests import exceptions

    address = _shown(part.url)
    if isinstance(error, exceptions.SSLError):
        reason = f"the certificate of {address} is not accepted"
    elif isinstance(error, exceptions.Timeout):
        reason = f"{address} does not answer"
    elif isinstance(error, exceptions.ChunkedEncodingError) or error is None:
        reason = f"the connection to {address} breaks again and again"
    elif isinstance(error, exceptions.ConnectionError):
        reason = f"{address} cannot be reached"
    else:
        reason = f"{address} cannot be fetched ({type(error).__name__})"
    return f"{reason}{_going_on(part)}"


def _going_on(part: _Part) -> str:
    """Text for a message if a later try can continue."""
    have, version = part.kept()
    if not have or not version:
        return ""
    kept = f"{have / 1e6:.1f} of {part.size_bytes / 1e6:.1f} MB"
    return f"; {kept} of the model {part.entry.name} are kept, and the same command goes on from there"
