"""What went wrong between this computer and a PACS, and whether it passes."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from http import HTTPStatus

from requests import exceptions
from urllib3 import exceptions as lower

from CovidSeverityLib.errors import CovidSeverityError, InputError, PacsError
from CovidSeverityLib.io.dicom.values import UNREADABLE

from .address import PASSWORD_VARIABLE, TOKEN_VARIABLE, USER_VARIABLE, PacsAddress
from .config import PacsConfig

NOT_DICOMWEB = (*UNREADABLE, IndexError, ElementTree.ParseError)
"""Errors of dicomweb-client and pydicom for an answer that is something else."""

REFUSALS_OF_ONE = (400, 409, 413, 415)
"""Bad Request, Conflict, Content Too Large, Unsupported Media Type: they say nothing about the next object."""

NO_CONNECTION = (exceptions.SSLError, exceptions.ProxyError, exceptions.ConnectTimeout, exceptions.ReadTimeout)
"""They are connection errors too, but no broken ones."""


def passes(error: exceptions.RequestException, config: PacsConfig) -> bool:
    """Whether the same request may succeed in a moment: the connection broke, or the server is busy.

    A server that does not answer in time is not asked again, and neither is one that cannot be reached at all.

    Parameters
    ----------
    error : RequestException
        Of requests.
    config : PacsConfig
        What counts as busy.
    """
    if isinstance(error, exceptions.HTTPError):
        return error.response is not None and error.response.status_code in config.busy_statuses
    return isinstance(error, exceptions.ChunkedEncodingError) or _is_broken(error)


def told(
    error: Exception, address: PacsAddress, config: PacsConfig, has_credentials: bool
) -> CovidSeverityError | None:
    """The sentence for an error, without what may be secret; None if it has nothing to do with a PACS.

    Parameters
    ----------
    error : Exception
        Of requests, dicomweb-client or pydicom.
    address : PacsAddress
        The PACS.
    config : PacsConfig
        Its time-outs.
    has_credentials : bool
        Whether the PACS was told who asks.
    """
    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return _status_told(error.response.status_code, address, config, has_credentials)
    if isinstance(error, exceptions.SSLError):
        return PacsError(_tls_told(error, address))
    if isinstance(error, exceptions.Timeout) or any(isinstance(e, lower.ReadTimeoutError) for e in _chain(error)):
        waited = config.connect_timeout_s if isinstance(error, exceptions.ConnectTimeout) else config.read_timeout_s
        return PacsError(f"{address} does not answer within {waited:g} s")
    if isinstance(error, exceptions.ChunkedEncodingError) or _is_broken(error):
        return PacsError(f"the connection to {address} breaks again and again")
    if isinstance(error, exceptions.ConnectionError):
        return PacsError(f"{address} cannot be reached")
    if isinstance(error, (*NOT_DICOMWEB, exceptions.JSONDecodeError)):
        return PacsError(f"{address} answers something that is not DICOM; the address of a DICOMweb service is needed")
    if isinstance(error, exceptions.RequestException):
        return PacsError(f"{address} cannot be asked ({type(error).__name__})")
    if isinstance(error, OSError) and "CA certificate" in str(error):  # requests has no error of its own for that
        return InputError("REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names no file of certificates")
    return None


def refusal_of_one(error: Exception) -> tuple[str, bytes] | None:
    """Status and content of an answer that refuses the object which was sent; None for any other error.

    Parameters
    ----------
    error : Exception
        Of requests.
    """
    response = error.response if isinstance(error, exceptions.HTTPError) else None
    if response is None or response.status_code not in REFUSALS_OF_ONE:
        return None
    return status_text(response.status_code), response.content


def may_have_arrived(error: Exception) -> bool:
    """Whether the server may have taken what was sent, though no answer came.

    Parameters
    ----------
    error : Exception
        Of requests.
    """
    if isinstance(error, exceptions.ConnectTimeout):
        return False
    return isinstance(error, exceptions.ReadTimeout | exceptions.ChunkedEncodingError) or _is_broken(error)


def _status_told(status: int, address: PacsAddress, config: PacsConfig, has_credentials: bool) -> CovidSeverityError:
    answer = f"{address} answers {status_text(status)}"
    if status == HTTPStatus.UNAUTHORIZED and has_credentials:
        return InputError(f"{address} does not accept the credentials ({status_text(status)})")
    if status == HTTPStatus.UNAUTHORIZED:
        where = f"{USER_VARIABLE} and {PASSWORD_VARIABLE}, {TOKEN_VARIABLE} or a .netrc file"
        return InputError(f"{address} asks for credentials, which it gets from {where}, through https only")
    if status == HTTPStatus.FORBIDDEN:
        return InputError(f"{answer}: these credentials do not allow it")
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        return InputError(f"{answer}; the address of a DICOMweb service is needed, and a study that it has")
    return PacsError(f"{answer}{', again and again' if status in config.busy_statuses else ''}")


def status_text(status: int) -> str:
    """An HTTP status in the words of the standard; a server's own words may hold anything.

    Examples
    --------
    >>> status_text(503), status_text(599)
    ('503 Service Unavailable', '599')
    """
    known = {known.value: known.phrase for known in HTTPStatus}
    return f"{status} {known.get(status, '')}".rstrip()


def _tls_told(error: Exception, address: PacsAddress) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error) or "certificate" in str(error).lower():
        return (
            f"the certificate of {address} is not accepted; if your institution issues its own, name the file of its "
            "authority in REQUESTS_CA_BUNDLE"
        )
    return f"{address} does not speak TLS, which https needs"


def _is_broken(error: Exception) -> bool:
    """Whether there was a connection, and it broke."""
    if not isinstance(error, exceptions.ConnectionError) or isinstance(error, NO_CONNECTION):
        return False
    return not any(isinstance(e, lower.NewConnectionError | lower.ReadTimeoutError) for e in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that libraries packed into it."""
    yield error
    for inner in (*error.args, getattr(error, "reason", None)):
        if isinstance(inner, BaseException):
            yield from _chain(inner)
