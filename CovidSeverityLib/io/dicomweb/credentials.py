"""Credentials for a PACS, from the environment or a .netrc file. Nothing shows them."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from CovidSeverityLib.errors import InputError

from .address import PASSWORD_VARIABLE, TOKEN_VARIABLE, USER_VARIABLE, PacsAddress

TOKEN = re.compile(r"[\x21-\x7e]+")
"""Characters that a header can have, without spaces."""


@dataclass(frozen=True, repr=False)
class Credentials:
    """What a PACS is told about who asks.

    Parameters
    ----------
    header : str
        Value of the header ``Authorization``; empty without credentials.
    """

    header: str = ""

    def __repr__(self) -> str:
        return f"Credentials({'hidden' if self.header else 'none'})"


def credentials_for(address: PacsAddress, environment: Mapping[str, str] | None = None) -> Credentials:
    """The credentials for a PACS: a token, or user and password, of the environment; else of the .netrc file.

    Parameters
    ----------
    address : PacsAddress
        The PACS.
    environment : mapping of str to str or None
        None for that of the process. The file is ``~/.netrc`` or what ``NETRC`` names.

    Raises
    ------
    InputError
        The environment holds half of them or both kinds, they would leave this computer without encryption, or the
        token has characters that a header cannot have.
    """
    environment = os.environ if environment is None else environment
    user, password, token = (environment.get(name, "") for name in (USER_VARIABLE, PASSWORD_VARIABLE, TOKEN_VARIABLE))
    if token and (user or password):
        raise InputError(f"{TOKEN_VARIABLE} and {USER_VARIABLE} or {PASSWORD_VARIABLE} are set; one kind is needed")
    if bool(user) != bool(password):
        there, lacking = (USER_VARIABLE, PASSWORD_VARIABLE) if user else (PASSWORD_VARIABLE, USER_VARIABLE)
        raise InputError(f"{there} is set and {lacking} is not; both are needed")
    if not (token or user):
        return _of_netrc(address) if address.is_secret else Credentials()
    if not address.is_secret:
        raise InputError(
            f"credentials are not sent to {address}, for everybody on the way could read them; use https, or unset "
            f"{TOKEN_VARIABLE if token else USER_VARIABLE}"
        )
    if token:
        if not TOKEN.fullmatch(token):
            raise InputError(f"the token in {TOKEN_VARIABLE} has characters that a token cannot have, such as spaces")
        return Credentials(f"Bearer {token}")
    return _basic(user, password)


def _of_netrc(address: PacsAddress) -> Credentials:
    from requests.utils import get_netrc_auth

    found = get_netrc_auth(address.url)
    return Credentials() if found is None else _basic(*found)


def _basic(user: str, password: str) -> Credentials:
    """RFC 7617, with UTF-8."""
    if ":" in user:
        raise InputError("the user name for the PACS has a colon, which a user name cannot have")
    return Credentials(f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}")
