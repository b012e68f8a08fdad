"""Which files are DICOM, with the preamble of the standard or without it, as older tools write them."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from CovidSeverityLib.errors import InputError

PREAMBLE_BYTES = 128
DICOM_MAGIC = b"DICM"
FIRST_DICOM_BYTES = PREAMBLE_BYTES + len(DICOM_MAGIC)
DICOM_ENDINGS = {"", ".dcm", ".dicom", ".ima"}
"""An empty file with such a name is a DICOM file whose transfer failed; other empty files are ignored."""

FIRST_GROUPS = {0x0002, 0x0008}
"""A data set without preamble begins with one of these groups: meta information, or identification of the image."""

LAST_FIRST_ELEMENT = 0x0020
"""Largest element number of the first element: length, version or character set, image type, a date of the study."""

LONGEST_FIRST_BYTES = 1024
"""Largest length of the first element, which is a short text or a length."""


def is_dicom(path: Path) -> bool:
    """Whether ``path`` begins like a DICOM file. Raise InputError for an empty file that should be one."""
    with path.open("rb") as file:
        head = file.read(FIRST_DICOM_BYTES)
    if not head and path.suffix.lower() in DICOM_ENDINGS:
        raise InputError(f"{path.name} is empty (0 bytes); a whole DICOM file is needed")
    return begins_as_dicom(head)


def begins_as_dicom(head: bytes) -> bool:
    """Whether the first :data:`FIRST_DICOM_BYTES` of a file are those of DICOM, with the preamble or without it."""
    return head[PREAMBLE_BYTES:] == DICOM_MAGIC or begins_as_data_set(head)


def begins_as_data_set(head: bytes) -> bool:
    """Whether the bytes are those of a first element, with or without a value representation, little endian.

    Examples
    --------
    >>> begins_as_data_set(bytes.fromhex("08000500") + b"CS" + bytes.fromhex("0a00") + b"ISO_IR 100")
    True
    >>> begins_as_data_set(b"hello world")
    False
    """
    if len(head) < 8:
        return False
    group, element, length = struct.unpack("<HHI", head[:8])
    if group not in FIRST_GROUPS or element > LAST_FIRST_ELEMENT:
        return False
    return (head[4:6].isalpha() and head[4:6].isupper()) or length <= LONGEST_FIRST_BYTES


def files_under(folder: Path) -> list[Path]:
    """Every file in ``folder`` and its subfolders, in the order of their names, without hidden files (``._1.dcm``).

    Links are followed; each folder is visited once.

    Raises
    ------
    OSError
        If a folder cannot be listed.
    """
    found, seen = [], set()
    for parent, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(parent, name) for name in sorted(names) if not name.startswith(".")]
    return [path for path in found if path.is_file()]


def _raise(error: OSError) -> None:
    raise error
