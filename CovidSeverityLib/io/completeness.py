"""Is a file whole? ITK reads a NIfTI file that was cut short without complaint, damaged gzip data in NRRD and, before
SimpleITK 2.5, DICOM files that were cut short.

Each check reads only what it must (headers and, of compressed data, the stream with its checksum) and raises
InputError. It also keeps the format libraries from writing to the terminal about files that they cannot parse.
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from CovidSeverityLib.errors import InputError

CHUNK_BYTES = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"
NIFTI_HEADER_BYTES, NIFTI_2_HEADER_BYTES = 348, 540
NIFTI_AFFINES = ((252, "6f", 256), (254, "12f", 280))
"""Offset of the code, and type and offset of the numbers, of the qform and the sform in a NIfTI-1 header
(https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h)."""

NIFTI_TYPES = {2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304}
"""Codes of the voxel types of NIfTI-1."""

MAX_AFFINE = 1e6
"""Largest number of an affine, mm: ITK's search for the nearest rotation never ends on an infinite one."""

META_KEYS = ("NDims", "DimSize", "ElementType", "ElementDataFile")
META_BYTES = {"CHAR": 1, "SHORT": 2, "INT": 4, "LONG": 4, "LONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}
"""Bytes of a MetaImage ElementType without MET_ and U (https://itk.org/Wiki/ITK/MetaIO/Documentation)."""

PIXEL_TAGS = {(0x7FE0, 0x0008), (0x7FE0, 0x0009), (0x7FE0, 0x0010)}
ITEM_TAG, END_TAG = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
UNDEFINED_LENGTH = 0xFFFFFFFF
"""Pixel data, and the fragments and the end of compressed ones (DICOM PS3.5, 7.1 and A.4)."""

TEXT_HEADER_BYTES = 1 << 16
"""MetaImage and NRRD headers end within this."""


def check_nifti(path: Path) -> None:
    """Raise InputError unless ``path`` is a NIfTI-1 file that holds every voxel its header promises."""
    with path.open("rb") as file:
        compressed = file.read(2) == GZIP_MAGIC
    try:
        with gzip.open(path) if compressed else path.open("rb") as stream:
            header = stream.read(NIFTI_HEADER_BYTES)
            expected = _nifti_bytes(header, path.name)
            got = len(header) + _length_to_end(stream)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path.name) from error
    if got < expected:
        raise _cut_short(path.name, got, expected)


def check_nrrd(path: Path) -> None:
    """Raise InputError unless ``path`` is an NRRD file, with whole gzip data where it has any."""
    fields, data = _text_header(path, ":", "")
    if not next(iter(fields), "").startswith("nrrd"):
        raise InputError(f"{path.name} is not an NRRD file")
    if fields.get("encoding", "").lower() not in ("gzip", "gz"):
        return
    detached = fields.get("data file", fields.get("datafile", ""))
    source = _beside(path, detached)
    if source is None or not source.is_file():
        return  # lists and patterns of data files: ITK says what is wrong with them
    try:
        with source.open("rb") as file:
            file.seek(0 if detached else data)
            with gzip.open(file) as stream:
                _length_to_end(stream)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(source.name) from error


def check_meta(path: Path) -> None:
    """Raise InputError unless ``path`` is a MetaImage file that holds every voxel its header promises."""
    fields, data = _text_header(path, "=", "elementdatafile")
    lacking = [key for key in META_KEYS if key.lower() not in fields]
    if lacking:
        raise InputError(f"{path.name} is not a MetaImage file: its header names no {lacking[0]}")
    local = fields["elementdatafile"].upper() == "LOCAL"
    source = path if local else _beside(path, fields["elementdatafile"])
    if source is None:
        return  # LIST and patterns of data files: ITK says what is wrong with them
    if not source.is_file():
        raise InputError(f"{path.name} names the data file {source.name}, which is not there")
    expected = _meta_bytes(fields)
    with source.open("rb") as file:
        file.seek(data if local else 0)
        if fields.get("compresseddata", "false").lower() == "true":
            got = _inflated_length(file, source.name)
        else:
            got = source.stat().st_size - file.tell()
    if expected is not None and got < expected:
        raise _cut_short(source.name, got, expected)


def check_dicom_pixels(file: BinaryIO, name: str, implicit: bool, expected: int) -> None:
    """Raise InputError unless a little-endian DICOM file holds its pixel data to the end.

    Parameters
    ----------
    file : open where the element of the pixel data begins.
    implicit : whether the transfer syntax writes no value representations.
    expected : bytes of the image if it is not compressed.
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
        file.read(4)  # value representation and two reserved bytes, as OB and OW have them
    return (group, element), struct.unpack("<I", file.read(4).ljust(4, b"\0"))[0]


def _nifti_bytes(header: bytes, name: str) -> int:
    """Return how many bytes the file of this header has to have; raise InputError if it is no usable header."""
    sizes = {order: struct.unpack(order + "i", header[:4].ljust(4, b"\0"))[0] for order in "<>"}
    if NIFTI_2_HEADER_BYTES in sizes.values():
        raise InputError(f"{name} is NIfTI-2, which is not supported; NIfTI-1 is needed")
    order = next((o for o, size in sizes.items() if size == NIFTI_HEADER_BYTES), None)
    if order is None or len(header) < NIFTI_HEADER_BYTES:
        raise InputError(f"{name} is not a NIfTI file, or is cut short before its image")
    rank, *dims = struct.unpack_from(order + "8h", header, 40)
    datatype, bits = struct.unpack_from(order + "hh", header, 70)
    offset = struct.unpack_from(order + "f", header, 108)[0]
    dims = dims[: max(rank, 0)]
    if not (1 <= rank <= 7 and min(dims) > 0 and datatype in NIFTI_TYPES and bits > 0 and math.isfinite(offset)):
        raise InputError(f"{name} is damaged: its NIfTI header makes no sense")
    for code_at, kinds, values_at in NIFTI_AFFINES:
        if struct.unpack_from(order + "h", header, code_at)[0] > 0:
            _check_affine(struct.unpack_from(order + kinds, header, values_at), name)
    return int(offset) + math.prod(dims) * bits // 8


def _check_affine(values: tuple[float, ...], name: str) -> None:
    if not all(abs(v) <= MAX_AFFINE for v in values):
        raise InputError(f"{name} is damaged: its header places the image at {', '.join(f'{v:g}' for v in values)}")


def _meta_bytes(fields: dict[str, str]) -> int | None:
    kind = fields.get("elementtype", "").upper().removeprefix("MET_").replace("_ARRAY", "")
    kind = kind if kind in META_BYTES else kind.removeprefix("U")
    try:
        sizes = [int(v) for v in fields["dimsize"].split()]
        channels = int(fields.get("elementnumberofchannels", "1"))
    except ValueError:
        return None
    return math.prod(sizes) * channels * META_BYTES[kind] if kind in META_BYTES else None


def _text_header(path: Path, separator: str, last: str) -> tuple[dict[str, str], int]:
    """Return the ``key<separator> value`` lines of a header, keys in lower case, and where the data start.

    The header ends with the line of the key ``last`` or, as in NRRD, with a blank one.
    """
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        while file.tell() < TEXT_HEADER_BYTES:
            line = file.readline(TEXT_HEADER_BYTES).decode("latin-1").strip()
            if not line:
                break
            key, _, value = line.partition(separator)
            fields.setdefault(key.strip().lower(), value.strip())
            if key.strip().lower() == last:
                break
        return fields, file.tell()


def _beside(path: Path, name: str) -> Path | None:
    """Return the data file ``name`` beside ``path`` (``path`` itself for no name), None for a list or a pattern."""
    if not name:
        return path
    if name.upper().startswith("LIST") or "%" in name:
        return None
    return path.parent / name


def _length_to_end(stream: BinaryIO | io.BufferedIOBase) -> int:
    return sum(len(chunk) for chunk in iter(lambda: stream.read(CHUNK_BYTES), b""))


def _inflated_length(file: BinaryIO, name: str) -> int:
    """Return how many bytes the zlib stream of ``file`` holds; its checksum is compared."""
    inflate, total = zlib.decompressobj(zlib.MAX_WBITS | 32), 0
    try:
        for chunk in iter(lambda: file.read(CHUNK_BYTES), b""):
            total += len(inflate.decompress(chunk))
    except zlib.error as error:
        raise _damaged(name) from error
    if not inflate.eof:
        raise _damaged(name)
    return total


def _damaged(name: str) -> InputError:
    return InputError(f"{name} is damaged or cut short: its compressed data do not decompress")


def _cut_short(name: str, got: int, expected: int) -> InputError:
    return InputError(f"{name} is cut short: {got} bytes of image where its header promises {expected}")
