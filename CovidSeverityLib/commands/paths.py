"""Paths as they come from a command line."""

from __future__ import annotations

import os
from pathlib import Path

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.sources import check_can_be_read_twice


def given_path(text: str, what: str) -> Path:
    """``text`` as a path.

    Parameters
    ----------
    text : str
        The text from the command line.
    what : str
        Name of the path in the message.

    Raises
    ------
    InputError
        If it is empty (an unset shell variable, which would mean the current folder), or if it contains bytes that are
        not characters (the libraries that read and write images accept only UTF-8).
    """
    if not text:
        raise InputError(f"the path of the {what} is empty")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(text).decode(errors="backslashreplace")
        raise InputError(f"the path of the {what} is not UTF-8: {shown}; rename it or move it elsewhere") from error
    if "\0" in text:
        raise InputError(f"the path of the {what} holds a null character")
    return Path(text)


def folder_and_pattern(text: str, what: str) -> tuple[Path, str]:
    """A folder, and the pattern for names in it: the last part of ``DIR/*_ct.nii.gz``, or ``*``.

    Parameters
    ----------
    text : str
        An existing folder, optionally followed by a pattern with ``*``, ``?`` and ``[]`` as in a shell.
    what : str
        Name of the folder in messages.

    Raises
    ------
    InputError
        As :func:`existing_path`.
    """
    path = given_path(text, what)
    if any(character in path.name for character in "*?[") and not path.exists():
        return existing_path(str(path.parent), what), path.name
    return existing_path(text, what), "*"


def existing_path(text: str, what: str) -> Path:
    """:func:`given_path` of a file or folder that must exist."""
    path = given_path(text, what)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        broken = path.is_symlink()
        raise InputError(f"the {what} is a broken link: {text}" if broken else f"no such {what}: {text}") from error
    except OSError as error:
        raise InputError(f"the {what} {path.name} cannot be read: {error.strerror or error}") from error
    check_can_be_read_twice(path, what)
    return path
