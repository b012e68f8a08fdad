"""Is a DICOM file complete? Before SimpleITK 2.5, ITK reads truncated files without an error.

The check reads as little as possible and raises InputError. It also prevents the format libraries from writing messages
about such files to the terminal.
"""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

from CovidSeverityLib.errors import InputError

PIXEL_TAGS = {(0x7FE0, 0x0008), (0x7FE0, 0x0009), (0x7FE0, 0x0010)}
ITEM_TAG, END_TAG = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
UNDEFINED_LENGTH = 0xFFFFFFFF
"""Tags of pixel data, and of the fragments and the end of compressed pixel data (DICOM PS3.5, 7.1 and A.4)."""


def check_dicom_pixels(file: BinaryIO, name: str, implicit: bool, expected: int) -> None:
    """Raise InputError unless a little-endian DICOM file contains all of its pixel data.

    Parameters
    ----------
    file : BinaryIO
        Open file, positioned at the element of the pixel data.
    implicit : bool
        Whether the transfer syntax omits value representations.
    expected : int
        Number of bytes of the uncompressed image.
    """
    start = file.tell()
    end = file.seek(0, io.SEEK_END)
    file.seek(start)
    tag, length = _element(file, explicit=not implicit)
    if tag not in PIXEL_TAGS:
        raise InputError(f"{name} is damaged or cut short: it holds no pixel data")
    if length != UNDEFINED_LENGTH:
        got = min(length, end - file.tell())
        if got < min(expected, length) or length < expected:
            raise _cut_short(name, got, expected)
        return
    while True:
        tag, length = _element(file, explicit=False)
        if tag == END_TAG:
            return
        if tag != ITEM_TAG or file.tell() + length > end:
            raise InputError(f"{name} is damaged or cut short: its compressed image has no end")
        file.seek(length, io.SEEK_CUR)


def _element(file: BinaryIO, explicit: bool) -> tuple[tuple[int, int], int]:
    """Read the tag and the length of a little-endian DICOM element; zeros at the end of the file."""
    group, element = struct.unpack("<HH", file.read(4).ljust(4, b"\0"))
    if explicit:
        file.read(4)  # value representation and two reserved bytes, as in OB and OW
    return (group, element), struct.unpack("<I", file.read(4).ljust(4, b"\0"))[0]


def _cut_short(name: str, got: int, expected: int) -> InputError:
    return InputError(f"{name} is cut short: {got} bytes of image where its header promises {expected}")
