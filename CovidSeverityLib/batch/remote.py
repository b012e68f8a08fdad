"""What fsspec reaches, with its errors as sentences."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from CovidSeverityLib.errors import CovidSeverityError, InputError

from .addresses import protocol_of, protocols_of, shown_address, without_secrets
from .host_keys import known_hosts_only

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

INSTALL = 'pip install "covid-severity[batch]"'

PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("sftp", "ssh"), "paramiko"),
    **dict.fromkeys(("abfs", "abfss", "az", "adl"), "adlfs"),
    **dict.fromkeys(("http", "https"), "aiohttp requests"),
    **dict.fromkeys(("webhdfs", "github"), "requests"),
    **dict.fromkeys(("hdfs", "arrow_hdfs"), "pyarrow"),
    **{"smb": "smbprotocol", "webdav": "webdav4", "oci": "ocifs", "oss": "ossfs", "dropbox": "dropboxdrivefs"},
}
"""What to install for a protocol."""

BUGS = (TypeError, AttributeError, NameError, AssertionError, MemoryError)
"""Errors that are not of the other side; they are raised as they are. Packages for protocols have errors of their own
without a common base: botocore, paramiko, aiohttp."""

FTP_BLOCK_BYTES = 4 << 20
"""Bytes that are sent to an FTP server over one connection."""

T = TypeVar("T")

_KEPT = threading.local()
"""Connections by address, of each thread its own."""

LONGEST_REASON = 200
"""Characters of another program's message that are shown."""


@contextmanager
def remote(
    address: str, what: str, error_type: type[InputError] = InputError
) -> Iterator[tuple[AbstractFileSystem, str]]:
    """Connect to the file system of an address.

    The connection is a new one: those of FTP and SFTP break when nothing is asked for a while.

    Parameters
    ----------
    address : str
        An fsspec address.
    what : str
        What fails in case of an error: "cannot be read", for messages.
    error_type : type
        Type of the error that is raised.

    Yields
    ------
    (AbstractFileSystem, str)
        The file system, and the path of the address in it.

    Raises
    ------
    InputError
        If the protocol is unknown, its package is missing, or the other side refuses; without credentials.
    """
    with told(address, what, error_type):
        system, path = connected(address)
        try:
            yield system, path
        finally:
            disconnect(system)


def drop_connections() -> None:
    """End the connections that :func:`with_connection` has kept in this thread."""
    for system, _ in vars(_KEPT).pop("connections", {}).values():
        disconnect(system)


def disconnect(system: AbstractFileSystem) -> None:
    """End a connection that would stay open otherwise, as those of FTP and SFTP."""
    for name in ("ftp", "client"):
        connection = getattr(system, name, None)
        if connection is not None and hasattr(connection, "close"):
            connection.close()


@contextmanager
def told(
    address: str,
    what: str,
    error_type: type[InputError] = InputError,
    passed: tuple[type[Exception], ...] = (),
) -> Iterator[None]:
    """Turn the errors of the other side into sentences, as :func:`remote` does, with a connection that is there.

    Those in ``passed`` are raised as they are.
    """
    try:
        yield
    except (CovidSeverityError, *BUGS, *passed):
        raise
    except Exception as error:
        raise error_type(f"{shown_address(address)} {what}: {reason_of(error, address)}") from error


def connected(address: str) -> tuple[Any, str]:
    """A new connection, and the path of the address in it; errors of the other side are raised as they are."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise InputError(f"addresses such as {protocol_of(address)}:// need the package fsspec: {INSTALL}") from error
    try:
        system, path = url_to_fs(address, skip_instance_cache=True, **known_hosts_only(protocols_of(address)))
    except ImportError as error:
        protocol = protocol_of(address)
        package = PACKAGES.get(protocol)
        needed = f"need a package: pip install {package}" if package else f"need a package ({error})"
        raise InputError(f"{protocol}:// addresses {needed}") from error
    except ValueError as error:
        if "Protocol not known" in str(error):
            raise InputError(
                f"{shown_address(address)} has a protocol that fsspec does not know; s3, sftp, ftp, zip or "
                "another one of fsspec is needed"
            ) from error
        raise
    if protocol_of(address) == "ftp":  # fsspec opens a connection for each block
        system.blocksize = FTP_BLOCK_BYTES
    return system, path


def with_connection(
    address: str, what: str, error_type: type[InputError], ask: Callable[[AbstractFileSystem, str], T]
) -> T:
    """Ask something small over the connection of an earlier call, or over a new one if it is gone.

    Parameters
    ----------
    address, what, error_type
        As for :func:`remote`.
    ask : callable
        Gets the file system and the path in it, and must be harmless if it is called twice.

    Raises
    ------
    FileNotFoundError
        If ``ask`` raises it.
    InputError
        As :func:`remote`.
    """
    kept: dict[str, tuple[AbstractFileSystem, str]] = vars(_KEPT).setdefault("connections", {})
    if address in kept:
        system, path = kept[address]
        try:
            system.invalidate_cache()
            return ask(system, path)
        except (CovidSeverityError, *BUGS):
            raise
        except Exception as error:
            if isinstance(error, FileNotFoundError) and _refusal(error) is None:
                raise
            disconnect(kept.pop(address)[0])  # the connection may be gone; the second try tells its own error
    with told(address, what, error_type):
        connection = connected(address)
    with told(address, what, error_type, passed=(FileNotFoundError,)):
        answer = ask(*connection)
    kept[address] = connection
    return answer


def reason_of(error: Exception, address: str) -> str:
    """The reason of an error in words, without credentials.

    Examples
    --------
    >>> reason_of(FileNotFoundError("cts/P001"), "s3://bucket/cts/P001")
    'it is not there'
    >>> reason_of(ConnectionError("jane:secret@host refused"), "ftp://jane:secret@host/cts")
    '...@host refused'
    """
    if isinstance(error, FileNotFoundError):
        refusal = _refusal(error)
        return "it is not there" if refusal is None else without_secrets(refusal, address)
    text = str(getattr(error, "strerror", None) or error).strip()
    line = without_secrets(text.splitlines()[0] if text else "", address)
    if isinstance(error, PermissionError):
        return f"access is denied ({line})" if line and line != "Permission denied" else "access is denied"
    line = line if len(line) <= LONGEST_REASON else line[:LONGEST_REASON] + "..."
    return line or type(error).__name__


def _refusal(error: BaseException) -> str | None:
    """What an FTP server said if not that a file is missing; fsspec takes every refusal for that."""
    from ftplib import Error

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, Error) and not str(cause).startswith("550"):
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    return None
