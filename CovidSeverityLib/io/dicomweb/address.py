"""Where a study is: the address of a DICOMweb service and its identifiers, without anything secret.

No message repeats an address that is refused, because it may hold a password.
"""

from __future__ import annotations

import hashlib
import importlib.util
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from CovidSeverityLib.errors import InputError

PREFIX = "dicomweb:"
"""A command takes an input that begins so for the address of a PACS."""

USER_VARIABLE, PASSWORD_VARIABLE = "COVID_SEVERITY_DICOMWEB_USER", "COVID_SEVERITY_DICOMWEB_PASSWORD"
TOKEN_VARIABLE = "COVID_SEVERITY_DICOMWEB_TOKEN"
"""Variables of the environment that hold credentials."""

NO_EXTRA = 'a PACS needs the package dicomweb-client, which is not installed: pip install "covid-severity[pacs]"'

EXPECTED = "https://HOST/PATH of a DICOMweb service is needed"

AUTHORITY = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
"""Host, or IPv6 address in brackets, and port (RFC 3986, 3.2)."""

PATH = re.compile(r"[\w./~%+:-]*", re.ASCII)

UID = re.compile(r"[0-9.]{1,64}")
"""Digits and points, at most 64 (DICOM PS3.5, 9.1)."""

LENGTH_OF_NAME = 8
"""Hexadecimal digits that tell series apart in names of folders."""


def has_pacs_extra() -> bool:
    """Whether dicomweb-client is installed."""
    return importlib.util.find_spec("dicomweb_client") is not None


@dataclass(frozen=True)
class PacsAddress:
    """The address of a DICOMweb service.

    Parameters
    ----------
    url : str
        With or without ``dicomweb:`` before it, as in ``https://pacs.example.org/dicom-web``.

    Raises
    ------
    InputError
        It is none, or it holds a user, a password or a query.
    """

    url: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", _checked(self.url.removeprefix(PREFIX)))

    def __str__(self) -> str:
        return self.url

    @property
    def host(self) -> str:
        """Name or number of the computer."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_local(self) -> bool:
        """Whether it is this computer."""
        return self.host == "localhost" or _is_loopback(self.host)

    @property
    def is_secret(self) -> bool:
        """Whether nobody on the way can listen: it is encrypted, or does not leave this computer."""
        return self.url.startswith("https:") or self.is_local


@dataclass(frozen=True)
class PacsStudy:
    """A study of a PACS, or one series of it.

    Parameters
    ----------
    address : PacsAddress
        The service.
    study_uid : str
        StudyInstanceUID.
    series_uid : str or None
        SeriesInstanceUID; None for all CT series of the study, of which the best for the lungs is read.

    Raises
    ------
    InputError
        A UID is none.
    """

    address: PacsAddress
    study_uid: str
    series_uid: str | None = None

    def __post_init__(self) -> None:
        for uid, what in ((self.study_uid, "StudyInstanceUID"), (self.series_uid, "SeriesInstanceUID")):
            if uid is not None and not UID.fullmatch(uid):
                raise InputError(f"{uid!r} is no {what}; up to 64 digits and points are needed, as in 1.2.840.1")

    @property
    def name(self) -> str:
        """What reports and folders call it: always the same for the same series, without an identifier."""
        digest = hashlib.sha256((self.series_uid or self.study_uid).encode()).hexdigest()
        return f"dicomweb-{digest[:LENGTH_OF_NAME]}"


def _checked(text: str) -> str:
    """The address without a slash at its end."""
    if "@" in text:
        raise InputError(
            "the address of the PACS holds a user name or a password, which other programs can see; take it out and "
            f"set {USER_VARIABLE} and {PASSWORD_VARIABLE}, or {TOKEN_VARIABLE}, or write a .netrc file"
        )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise InputError(f"the address of the PACS cannot be read; {EXPECTED}") from error
    if parts.scheme not in ("https", "http"):
        raise InputError(f"the address of the PACS does not begin with https:// or http://; {EXPECTED}")
    if parts.query or parts.fragment:
        raise InputError(f"the address of the PACS has more after its path (? or #); {EXPECTED}")
    if port == 0 or not (AUTHORITY.fullmatch(parts.netloc) and PATH.fullmatch(parts.path)):
        raise InputError(f"the address of the PACS has no host, or characters that an address cannot have; {EXPECTED}")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
