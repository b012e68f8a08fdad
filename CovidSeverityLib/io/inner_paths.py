"""Names that an archive or a DICOMDIR gives to its files: which of them stay inside, whatever system wrote them."""

from __future__ import annotations

import re

DRIVE = re.compile(r"[A-Za-z]:")
"""Beginning of a path on a drive of Windows."""

SHOWN_CHARACTERS = 60
"""Largest number of characters of a name in a message."""


def inner_parts(name: str) -> tuple[str, ...] | None:
    """The folders and the file of a relative path, for ``/`` and backslashes alike; None if it may lead outside.

    Parameters
    ----------
    name : str
        The path. Parts that are empty or ``.`` change nothing and are dropped.

    Examples
    --------
    >>> inner_parts("study\\\\series 1/./001.dcm")
    ('study', 'series 1', '001.dcm')
    >>> inner_parts("../001.dcm"), inner_parts("/etc/passwd"), inner_parts("C:001.dcm")
    (None, None, None)
    """
    path = name.replace("\\", "/")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if path.startswith("/") or ".." in parts or any(DRIVE.match(part) for part in parts):
        return None
    return parts


def shown_name(name: str) -> str:
    """``name`` for a message: on one line, without characters that a terminal acts on, its end if it is long."""
    text = "".join(character if character.isprintable() else "?" for character in name)
    return text if len(text) <= SHOWN_CHARACTERS else f"...{text[3 - SHOWN_CHARACTERS :]}"
