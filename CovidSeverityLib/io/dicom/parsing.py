"""Parse the header of a DICOM file without trust in it: no bomb is unpacked, and no hole is read to its end."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import BinaryIO

from pydicom.dataset import FileDataset
from pydicom.filereader import read_dataset, read_partial, read_preamble
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from CovidSeverityLib.io.inflation import check_deflate

FIRST_BYTES = 1 << 16
"""Bytes of a file that contain its meta information."""

LARGE_BYTES = 1 << 26
"""Size of a file from which a hole would take minutes to read: pydicom reads 3 million empty elements a second."""

META_GROUP, COMMAND_GROUP, PIXEL_GROUP = 0x0002, 0x0000, 0x7FE0
"""Groups of elements: information about the file, commands (never in a file), pixels (DICOM PS3.5, 7.1; PS3.10)."""

PIXEL_ELEMENTS = (0x0008, 0x0009, 0x0010)
DEFLATED = DeflatedExplicitVRLittleEndian.encode()


def read_header(file: BinaryIO, name: str, tags: Sequence[BaseTag]) -> FileDataset:
    """Read elements of a file up to its pixels, where the position of ``file`` is afterwards.

    Parameters
    ----------
    file : binary file
        At its beginning.
    name : str
        Name of the file in messages.
    tags : sequence of BaseTag
        The elements to keep.

    Raises
    ------
    InputError
        It is deflated, and unpacks to more than an image can have.
    EOFError
        It is a hole after its meta information.
    Exception
        Errors of pydicom (:data:`.values.UNREADABLE`).
    """
    beginning = file.read(FIRST_BYTES)
    file.seek(0)
    if DEFLATED in beginning or os.fstat(file.fileno()).st_size > LARGE_BYTES:
        _check_rest(file, name)
        file.seek(0)
    return read_partial(file, _ends_header, force=True, specific_tags=list(tags))


def _check_rest(file: BinaryIO, name: str) -> None:
    """Check what follows the meta information: deflate, which pydicom and GDCM unpack as a whole, or a hole."""
    read_preamble(file, force=True)
    meta = read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag >> 16 != META_GROUP)
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        check_deflate(file, name)
    elif not any(file.read(8)):
        raise EOFError


def _ends_header(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    group, element = tag >> 16, tag & 0xFFFF
    return group == COMMAND_GROUP or (group == PIXEL_GROUP and element in PIXEL_ELEMENTS)
