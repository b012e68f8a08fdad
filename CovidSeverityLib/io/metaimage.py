"""The header of a MetaImage file, .mha or .mhd (https://itk.org/Wiki/ITK/MetaIO/Documentation)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from CovidSeverityLib.errors import InputError

from .affine import geometry_of, orientation_unknown
from .image_header import ImageHeader, data_files, numbers, read_text_header, shown, volume_size, whole_numbers
from .voxels import Encoding, VoxelSource

NEEDED = ("NDims", "DimSize", "ElementType", "ElementDataFile")
SPACING, ORIGIN = ("elementspacing", "elementsize"), ("offset", "position", "origin")
DIRECTION = ("transformmatrix", "rotation", "orientation")
BIG_ENDIAN = ("binarydatabyteordermsb", "elementbyteordermsb")
"""Names of one field, the usual one first."""

TYPES = {
    **{"CHAR": "i1", "SHORT": "i2", "INT": "i4", "LONG": "i4", "LONG_LONG": "i8", "FLOAT": "f4", "DOUBLE": "f8"},
    **{"UCHAR": "u1", "USHORT": "u2", "UINT": "u4", "ULONG": "u4", "ULONG_LONG": "u8"},
}
"""NumPy names of the ElementTypes, without MET_. A LONG has four bytes on every machine."""


def read_metaimage_header(path: Path) -> ImageHeader:
    """Read the header of the MetaImage file ``path``.

    ``CompressedDataSize`` is not used: the data end at the end of their stream.

    Raises
    ------
    InputError
        The file is not a MetaImage, or not a 3-D volume with one number per voxel and a spacing.
    """
    name = path.name
    text = read_text_header(path, "=:", "elementdatafile", ends_with_data_key=True)
    fields = text.fields
    lacking = [key for key in NEEDED if not fields.get(key.lower())]
    if lacking:
        raise InputError(f"{name} is not a MetaImage file: its header names no {lacking[0]}")
    rank, sizes = whole_numbers(fields, "ndims", name), whole_numbers(fields, "dimsize", name)
    if rank != [len(sizes)]:
        raise InputError(
            f"the header of {name} has NDims {shown(fields['ndims'])}, but DimSize {shown(fields['dimsize'])}"
        )
    channels = whole_numbers(fields, "elementnumberofchannels", name) or [1]
    size = volume_size(sizes, channels[0], name)
    geometry, notes = geometry_of(_matrix(fields, len(sizes), name), size, name)
    if not _first(fields, DIRECTION):
        notes = (*notes, orientation_unknown())
    return ImageHeader(_source(path, fields, text.listed, text.end, size), geometry, notes=notes)


def _source(
    path: Path, fields: dict[str, str], listed: tuple[str, ...], end: int, size: tuple[int, int, int]
) -> VoxelSource:
    kind = fields["elementtype"].upper().removeprefix("MET_").removesuffix("_ARRAY")
    if kind not in TYPES:
        raise InputError(
            f"{path.name} has the ElementType {shown(fields['elementtype'])}; integers or floats are needed"
        )
    dtype = np.dtype(TYPES[kind]).newbyteorder(">" if _is_true(fields, *BIG_ENDIAN) else "<")
    encoding = Encoding.RAW
    if fields.get("binarydata", "true").lower() == "false":
        encoding = Encoding.TEXT
    elif _is_true(fields, "compresseddata"):
        encoding = Encoding.DEFLATE
    local = fields["elementdatafile"].upper() == "LOCAL"
    files = (path,) if local else data_files(path, fields["elementdatafile"], listed)
    (header_size,) = whole_numbers(fields, "headersize", path.name) or [0]
    start = header_size if header_size > 0 else end if local else 0
    return VoxelSource(files, size, dtype, encoding, start, skip=None if header_size == -1 else 0)


def _matrix(fields: dict[str, str], rank: int, name: str) -> np.ndarray:
    """Return the matrix from (i, j, k, 1) to LPS mm; with four dimensions, the first three are used."""
    spacing = numbers(fields, _first(fields, SPACING), name)
    if len(spacing) != rank:
        raise InputError(f"the header of {name} has no ElementSpacing of {rank} numbers, the size of a voxel in mm")
    if min(spacing) <= 0:
        text = " ".join(f"{edge:g}" for edge in spacing)
        raise InputError(f"the header of {name} has the ElementSpacing {text}; positive numbers of mm are needed")
    origin = numbers(fields, _first(fields, ORIGIN), name) or [0.0] * rank
    direction = numbers(fields, _first(fields, DIRECTION), name) or np.eye(rank).ravel().tolist()
    if len(origin) != rank or len(direction) != rank * rank:
        raise InputError(f"the header of {name} has no Offset or TransformMatrix of {rank} dimensions")
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(direction, (rank, rank))[:3, :3].T * np.array(spacing[:3])
    matrix[:3, 3] = origin[:3]
    return matrix


def _first(fields: dict[str, str], names: tuple[str, ...]) -> str:
    return next((name for name in names if name in fields), "")


def _is_true(fields: dict[str, str], *names: str) -> bool:
    return fields.get(_first(fields, names), "false").lower() in ("true", "1")
