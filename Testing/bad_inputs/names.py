"""Names that file systems allow and programs stumble over; the CTs are good, or plainly bad."""

from __future__ import annotations

import os
import unicodedata
from functools import partial
from pathlib import Path

from .entry import OK, BadInput, UnavailableError, series, write_image

ENDING = ".nii.gz"
LONGEST = 250
"""Characters of a name; most file systems allow 255."""


def _named(name: str | bytes, folder: Path) -> Path:
    """The chest under a name."""
    path = folder / os.fsdecode(name)
    plain = write_image(folder / "plain.nii.gz")
    try:
        return plain.rename(path)
    except OSError as error:
        plain.unlink()
        raise UnavailableError("this file system does not take the name") from error


def _folder_named(name: str, folder: Path) -> Path:
    try:
        series(folder / name)
    except OSError as error:
        raise UnavailableError("this file system does not take the name") from error
    return folder / name


def _garbage_named(name: str, folder: Path) -> Path:
    try:
        (folder / name).write_bytes(b"garbage" * 100)
    except OSError as error:
        raise UnavailableError("this file system does not take the name") from error
    return folder / name


QUOTED = f'- it\'s =1+1 "one" <b> $HOME `x` %s {{0}} Ärztin 右肺 🫁{ENDING}'
GOOD: dict[str, str | bytes] = {
    "name-quoted-nfc": unicodedata.normalize("NFC", QUOTED),
    "name-quoted-nfd": unicodedata.normalize("NFD", QUOTED),
    "name-long": "x" * (LONGEST - len(ENDING)) + ENDING,
    "name-lines-bytes": b"a\nb\tc\x1b[31m\r \xff\xfe\x80.nii.gz",
}
"""Names of good CTs."""

ENTRIES = (
    *(BadInput(name, "a good CT under a strange name", partial(_named, file), OK) for name, file in GOOD.items()),
    BadInput(
        "name-folder", "a good CT in a folder with a strange name", partial(_folder_named, "-o 'x' \"y\" ö\n."), OK
    ),
    BadInput(
        "name-of-garbage",
        "garbage whose name has lines and a terminal's commands",
        partial(_garbage_named, "a\nb\x1b[31m.nii.gz"),
        r"^[^\n\x1b]+ is not a NIfTI file",
    ),
    BadInput(
        "name-of-long-garbage",
        "garbage with a name of 250 characters",
        partial(_garbage_named, "g" * 246 + ".nii"),
        r"is not a NIfTI file",
    ),
)
