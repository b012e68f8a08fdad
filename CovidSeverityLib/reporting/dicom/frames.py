"""The frames of a Segmentation: what describes them, as the bytes that are written.

A CT of 150 slices has some 900 frames with 20,000 attributes, but a frame of another segment differs from the one of
the same slice by the number of the segment alone. Each slice is encoded once.
"""

from __future__ import annotations

import copy
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from pydicom import DataElement, Dataset
from pydicom.charset import default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_dataset, write_file_meta_info, write_sequence_item
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

FRAMES = BaseTag(0x52009230)
"""Per-Frame Functional Groups Sequence; only Pixel Data comes after it."""

DIMENSION_INDEX_VALUES = b"\x20\x00\x57\x91UL\x08\x00"
"""Head of Dimension Index Values (0020,9157): two numbers, the first is that of the segment."""

REFERENCED_SEGMENT_NUMBER = b"\x62\x00\x0b\x00US\x02\x00"
"""Head of Referenced Segment Number (0062,000B)."""

PIXELS, PIXELS_HEAD = (0x7FE0, 0x0010), "<HH2sHI"
"""Tag of Pixel Data, and the form of what precedes them: tag, value representation, nothing, length."""

PREAMBLE = b"\0" * 128 + b"DICM"


def encoded_frame(description: Dataset) -> bytes:
    """The item that describes a frame, in explicit little endian. Its texts are codes and UIDs, without letters."""
    buffer = _buffer()
    write_sequence_item(buffer, description, [default_encoding])
    return buffer.getvalue()


def of_segment(frame: bytes, number: int) -> bytes:
    """The item of a frame for another segment: its number stands in two places."""
    changed = bytearray(frame)
    for form, head in (("<I", DIMENSION_INDEX_VALUES), ("<H", REFERENCED_SEGMENT_NUMBER)):
        struct.pack_into(form, changed, frame.index(head) + len(head), number)
    return bytes(changed)


def set_frames(found: Dataset, slices: Mapping[int, bytes], order: Sequence[tuple[int, int]]) -> None:
    """Give a Segmentation its frames in the form of a file that was read; pydicom decodes them when they are asked for.

    Parameters
    ----------
    found : Dataset
        The Segmentation.
    slices : mapping of int to bytes
        The item of a frame by index of its slice (:func:`encoded_frame`).
    order : sequence of (int, int)
        Index of segment and of slice of every frame.
    """
    value = b"".join(of_segment(slices[place], segment + 1) for segment, place in order)
    found[FRAMES] = RawDataElement(FRAMES, "SQ", len(value), value, 0, False, True)
    found.NumberOfFrames = len(order)


def write_segmentation(found: Dataset, path: Path) -> None:
    """Write a Segmentation in deflated explicit little endian, the same data set as ``save_as`` in a fifth of its time.

    pydicom would decode and encode the frames again. Masks are long runs, for which run lengths are enough.
    """
    frames = cast("DataElement | RawDataElement", found.get_item(FRAMES))
    if not frames.is_raw or found.file_meta.TransferSyntaxUID != DeflatedExplicitVRLittleEndian:
        found.save_as(path, enforce_file_format=True)
        return
    head, data = _buffer(), _buffer()
    head.write(PREAMBLE)
    write_file_meta_info(head, copy.deepcopy(found.file_meta))
    write_dataset(data, found[:FRAMES])
    write_data_element(data, frames)
    pixels = found.PixelData
    data.write(struct.pack(PIXELS_HEAD, *PIXELS, b"OB", 0, len(pixels)))
    texts = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    masks = zlib.compressobj(wbits=-zlib.MAX_WBITS, strategy=zlib.Z_RLE)
    content = texts.compress(data.getvalue()) + texts.flush(zlib.Z_FULL_FLUSH)  # more follows
    content += masks.compress(pixels) + masks.flush()
    path.write_bytes(head.getvalue() + content + b"\0" * (len(content) % 2))


def _buffer() -> DicomBytesIO:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    return buffer
