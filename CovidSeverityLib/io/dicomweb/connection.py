"""Requests to a PACS: without redirection, with credentials for it alone, repeated when it is busy.

This module loads requests and dicomweb-client; the others of this package load it when a server is asked.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

from dicomweb_client.web import DICOMwebClient
from requests import PreparedRequest, Response, Session
from requests.auth import AuthBase
from requests.exceptions import ChunkedEncodingError, RequestException

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.version import __version__

from .address import PacsAddress
from .config import PacsConfig
from .credentials import Credentials, credentials_for
from .trouble import passes, told

T = TypeVar("T")

JSON = "application/dicom+json"

WHOLE_BODY_BYTES = 1 << 31
"""dicomweb-client sends larger bodies in pieces, which it cannot repeat."""

END_BYTES = 256
"""The end of an answer that is looked at: the last boundary, and what may follow it."""

logging.getLogger("dicomweb_client").addHandler(logging.NullHandler())  # it warns on standard error otherwise


class CutShortError(ChunkedEncodingError):
    """An answer of several parts has no end: the connection broke, though nothing said so."""


@dataclass(frozen=True)
class Connection:
    """A PACS, and how it is asked, until the end of a ``with`` block.

    Parameters
    ----------
    address : PacsAddress
        The PACS.
    config : PacsConfig
        Time-outs and repetitions.
    credentials : Credentials
        For this PACS alone.
    """

    address: PacsAddress
    config: PacsConfig
    credentials: Credentials
    session: Session = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "session", _session(self.address, self.credentials))

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    @classmethod
    def to(cls, address: PacsAddress, config: PacsConfig) -> Connection:
        """A connection with the user's credentials (:func:`~.credentials.credentials_for`, which may refuse)."""
        return cls(address, config, credentials_for(address))

    def client(self, whole: bool = False) -> DICOMwebClient:
        """A client of dicomweb-client, which repeats nothing itself.

        Parameters
        ----------
        whole : bool
            Send each body in one piece.
        """
        client = DICOMwebClient(
            self.address.url,
            session=self.session,
            chunk_size=WHOLE_BODY_BYTES if whole else self.config.piece_bytes,
            permissive_uid=True,  # checked before; some have zeros at the beginning of a number
            timeout=(self.config.connect_timeout_s, self.config.read_timeout_s),
        )
        client.set_http_retry_params(retry=False)
        return client

    def persist(self, work: Callable[[], T]) -> T:
        """What ``work()`` returns; it is called again if its error is one that passes.

        Raises
        ------
        RequestException
            The last one, if it does not pass.
        """
        for attempt in range(1, self.config.tries):
            try:
                return work()
            except RequestException as error:
                if not passes(error, self.config):
                    raise
                time.sleep(_pause_s(error, attempt, self.config))
        return work()

    def ask(self, work: Callable[[], T]) -> T:
        """As :meth:`persist`, with a sentence for each error.

        Raises
        ------
        InputError
            The PACS refuses, for a reason that the user can put right.
        PacsError
            It cannot be reached, is busy, or answers something else.
        """
        try:
            return self.persist(work)
        except InputError:
            raise
        except Exception as error:
            sentence = told(error, self.address, self.config, bool(self.credentials.header))
            if sentence is None:
                raise
            raise sentence from error


class _Session(Session):
    """A session in which no answer stays open: dicomweb-client leaves those that report an error to the garbage.

    What is for this computer does not go through a proxy, which could read it.
    """

    def __init__(self, without_proxy: bool) -> None:
        super().__init__()
        self.without_proxy = without_proxy
        self.last: Response | None = None

    def close(self) -> None:
        """Close the last answer, and every connection."""
        self._close_last()
        super().close()

    def merge_environment_settings(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 (as requests has it)
        """Certificates and, unless it is this computer, proxies that the environment names."""
        settings = super().merge_environment_settings(*arguments, **named)
        return {**settings, "proxies": {}} if self.without_proxy else settings

    def _close_last(self) -> None:
        if self.last is not None:
            self.last.close()
            self.last = None

    def request(self, method: str | bytes, url: str | bytes, *args: object, **options: object) -> Response:
        """As its parent; dicomweb-client names the host without its port, and HTTP knows better."""
        headers = options.get("headers")
        if isinstance(headers, dict):
            options["headers"] = {name: value for name, value in headers.items() if name != "Host"}
        self._close_last()
        self.last = super().request(method, url, *args, **options)  # pyright: ignore[reportArgumentType]
        return self.last


class _Authorisation(AuthBase):
    """Credentials, or none; a session without this would look into .netrc itself, for any server."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        if self._credentials.header:
            r.headers["Authorization"] = self._credentials.header
        return r


def _session(address: PacsAddress, credentials: Credentials) -> Session:
    session = _Session(without_proxy=address.is_local)
    session.auth = _Authorisation(credentials)
    session.headers.update({"Accept": JSON, "User-Agent": f"covid-severity/{__version__}"})
    session.hooks["response"] += [_refuse_redirection, _name_kind_alone, _watch_end]
    return session


def _pause_s(error: RequestException, attempt: int, config: PacsConfig) -> float:
    """Seconds before the next try: doubled every time, or what the server asks for."""
    asked = error.response.headers.get("Retry-After", "") if error.response is not None else ""
    wanted = min(float(asked), config.longest_pause_s) if asked.isascii() and asked.isdigit() else 0.0
    return max(config.pause_s * 2 ** (attempt - 1), wanted)


def _refuse_redirection(response: Response, **_: object) -> None:
    """Credentials and patients go nowhere but to the address that was given; a redirected POST would become a GET."""
    if response.is_redirect:
        target = urlsplit(urljoin(response.url, response.headers["Location"]))
        origin = urlsplit(response.url)
        response.close()
        raise InputError(
            f"{origin.scheme}://{origin.netloc} leads to {target.scheme}://{target.hostname}; give the address of the "
            "DICOMweb service there, if that is where it should lead"
        )


def _name_kind_alone(response: Response, **_: object) -> None:
    """Take parameters such as a character set out of the type of JSON, which dicomweb-client compares as a whole."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind.endswith(("json", "xml")):
        response.headers["Content-Type"] = kind


def _watch_end(response: Response, **_: object) -> None:
    """Let an answer of several parts fail that ends before its last boundary (RFC 2046, 5.1.1)."""
    head = Message()
    head["Content-Type"] = response.headers.get("Content-Type", "")
    boundary = head.get_param("boundary")
    if head.get_content_maintype() != "multipart" or not isinstance(boundary, str):
        return
    end, pieces = f"--{boundary}--".encode(), response.iter_content

    def watched(chunk_size: int | None = 1) -> Iterator[bytes]:
        last = b""
        for piece in pieces(chunk_size):
            last = (last + piece)[-len(end) - END_BYTES :]
            yield piece
        if end not in last:
            raise CutShortError("the answer has no end", response=response)

    response.iter_content = watched  # pyright: ignore[reportAttributeAccessIssue] (it decodes no text)
