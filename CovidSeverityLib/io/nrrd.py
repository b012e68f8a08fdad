"""The header of an NRRD file, attached or detached (https://teem.sourceforge.net/nrrd/format.html)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Geometry, QualityNote

from .affine import edges_of, geometry_of, orientation_unknown, same_edges
from .extent import check_voxel_edges, edges_text, settle_unit
from .image_header import (
    ImageHeader,
    TextHeader,
    data_files,
    numbers,
    read_text_header,
    shown,
    volume_size,
    whole_numbers,
)
from .voxels import Encoding, VoxelSource

NEEDED = ("dimension", "sizes", "type", "encoding")

ENCODINGS = {
    "raw": Encoding.RAW,
    **dict.fromkeys(("gz", "gzip"), Encoding.DEFLATE),
    **dict.fromkeys(("bz2", "bzip2"), Encoding.BZIP2),
    **dict.fromkeys(("txt", "text", "ascii"), Encoding.TEXT),
    "hex": Encoding.HEX,
}

TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"), "u8"),
    **{"signed long long int": "i8", "float": "f4", "double": "f8"},
}
"""NumPy names of the types."""

TO_LPS = {
    **dict.fromkeys(("right-anterior-superior", "ras"), (-1, -1, 1)),
    **dict.fromkeys(("left-anterior-superior", "las"), (1, -1, 1)),
    **dict.fromkeys(("left-posterior-superior", "lps"), (1, 1, 1)),
}
"""Signs from the spaces of a patient to LPS. The other spaces do not define the patient's left."""

UNITS_MM = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimeters"), 10.0),
    **dict.fromkeys(("um", "\u00b5m", "\u03bcm", "micron", "microns", "micrometer", "micrometers"), 1e-3),
}
"""Length of a unit, mm. Other units are read as mm."""

DOMAIN_KINDS = {"domain", "space", "time", "none", "???"}
"""Kinds of axes in space; the other axes contain the numbers of one voxel."""


def read_nrrd_header(path: Path) -> ImageHeader:
    """Read the header of the NRRD file ``path``.

    Raises
    ------
    InputError
        The file is not NRRD, or not a 3-D volume with one number per voxel and a spacing.
    """
    name = path.name
    text = read_text_header(path, ":", "datafile", ends_with_data_key=False)
    fields = text.fields
    if not next(iter(fields), "").startswith("nrrd"):
        raise InputError(f"{name} is not an NRRD file")
    lacking = [key for key in NEEDED if not fields.get(key)]
    if lacking:
        raise InputError(f"the header of {name} names no {lacking[0]}")
    sizes = whole_numbers(fields, "sizes", name)
    if whole_numbers(fields, "dimension", name) != [len(sizes)]:
        raise InputError(
            f"the header of {name} has dimension {shown(fields['dimension'])}, but sizes {shown(fields['sizes'])}"
        )
    rows = _directions(fields, len(sizes), name)
    kinds = _words(fields.get("kinds", ""), len(sizes), "domain", "kinds", name)
    domain = [
        n for n in range(len(sizes)) if kinds[n].lower() in DOMAIN_KINDS and (rows is None or rows[n] is not None)
    ]
    others = [n for n in range(len(sizes)) if n not in domain]
    channels = int(np.prod([sizes[n] for n in others], dtype=object)) if others else 1
    is_complex = channels == 2 and any(kinds[n].lower() == "complex" for n in others)
    size = volume_size([sizes[n] for n in domain], channels, name, is_complex=is_complex)
    geometry, notes = _place(fields, rows, domain[:3], size, name)
    return ImageHeader(_source(path, text, size), geometry, notes=notes)


def _source(path: Path, text: TextHeader, size: tuple[int, int, int]) -> VoxelSource:
    fields, name = text.fields, path.name
    kind, stated = " ".join(fields["type"].lower().split()), fields["encoding"].lower()
    if kind not in TYPES:
        raise InputError(f"{name} has voxels of the type {shown(fields['type'])}; integers or floats are needed")
    if stated not in ENCODINGS:
        raise InputError(
            f"{name} has the encoding {shown(fields['encoding'])}; one of {', '.join(ENCODINGS)} is needed"
        )
    encoding, dtype = ENCODINGS[stated], np.dtype(TYPES[kind])
    endian = fields.get("endian", "").lower()
    if dtype.itemsize > 1 and encoding is not Encoding.TEXT:
        if endian not in ("little", "big"):
            raise InputError(f"the header of {name} has no endian, the order of bytes: little or big")
        dtype = dtype.newbyteorder("<" if endian == "little" else ">")
    (lines,) = whole_numbers(fields, "lineskip", name) or [0]
    (skip,) = whole_numbers(fields, "byteskip", name) or [0]
    if lines < 0 or skip < -1:
        raise InputError(f"the header of {name} has line skip {lines} and byte skip {skip}; 0 or more are needed")
    detached = "datafile" in fields
    files = data_files(path, fields["datafile"], text.listed) if detached else (path,)
    start = 0 if detached else text.end
    return VoxelSource(files, size, dtype, encoding, start, lines, None if skip == -1 else skip)


def _place(
    fields: dict[str, str],
    rows: list[list[float] | None] | None,
    axes: list[int],
    size: tuple[int, int, int],
    name: str,
) -> tuple[Geometry, tuple[QualityNote, ...]]:
    spacings = numbers(fields, "spacings", name)
    stated = np.array([spacings[n] for n in axes] if len(spacings) > max(axes) else [np.nan] * 3)
    space = fields.get("space", "").lower().removesuffix("-time").removesuffix("t")
    signs = TO_LPS.get(space)
    matrix = np.eye(4)
    if rows is not None:
        origin = _vector(fields.get("spaceorigin") or "(0,0,0)", "space origin", name)
        matrix[:3] = np.stack([_in_space(vector, name) for vector in (*(rows[n] for n in axes), origin)], axis=1)
        unit_mm = _unit(fields, "spaceunits", range(3), name)
        edges = edges_of(matrix, name)
        if np.isfinite(stated).all() and not same_edges(edges, np.abs(stated)):
            raise InputError(
                f"the space directions and the spacings of {name} contradict each other: by the one its voxels are "
                f"{edges_text(edges)} large, by the other {edges_text(stated)}; correct the header"
            )
    else:
        if not np.isfinite(stated).all():
            raise InputError(f"the header of {name} has no space directions and no spacings, the size of a voxel")
        matrix[:3, :3] = np.diag(stated)
        unit_mm, edges = _unit(fields, "units", axes, name), stated
    factor, notes = settle_unit(edges, unit_mm)
    check_voxel_edges(edges * factor, name)
    matrix[:3] *= factor * np.reshape(signs or (1, 1, 1), (3, 1))
    geometry, more = geometry_of(matrix, size, name)
    unknown = () if signs and rows is not None else (orientation_unknown(),)
    return geometry, (*notes, *more, *unknown)


def _directions(fields: dict[str, str], rank: int, name: str) -> list[list[float] | None] | None:
    """Return the vector of each axis, None for an axis without one; None if the header has no directions."""
    text = fields.get("spacedirections", "")
    if not text:
        return None
    found = re.findall(r"none|\([^)]*\)", text, flags=re.IGNORECASE)
    rows = [None if entry.lower() == "none" else _vector(entry, "space directions", name) for entry in found]
    if len(rows) != rank:
        raise InputError(f"the header of {name} has {len(rows)} space directions for {rank} axes")
    if all(row is None for row in rows):
        return None
    return rows


def _in_space(vector: list[float] | None, name: str) -> list[float]:
    """The first three numbers: in a space of four dimensions the last one is time."""
    if vector is None or len(vector) < 3:
        dimensions = 0 if vector is None else len(vector)
        raise InputError(f"the header of {name} has a space of {dimensions} dimensions; 3 are needed")
    return vector[:3]


def _vector(text: str, key: str, name: str) -> list[float]:
    """Return the numbers of ``(x,y,z)``."""
    try:
        return [float(word) for word in text.strip().strip("()").split(",")]
    except ValueError as error:
        raise InputError(f"the header of {name} has {key} {shown(text)}; numbers are needed") from error


def _unit(fields: dict[str, str], key: str, axes: list[int] | range, name: str) -> float:
    """Return the length of the unit of ``axes``, mm."""
    units = [quoted or word for quoted, word in re.findall(r'"([^"]*)"|([^"\s]+)', fields.get(key, ""))]
    lengths = {UNITS_MM.get(units[n].strip().lower(), 1.0) for n in axes if n < len(units)} or {1.0}
    if len(lengths) > 1:
        raise InputError(f"the axes of {name} have different units ({shown(', '.join(units))}); one for all is needed")
    return lengths.pop()


def _words(text: str, rank: int, default: str, key: str, name: str) -> list[str]:
    words = text.split() or [default] * rank
    if len(words) != rank:
        raise InputError(f"the header of {name} has {len(words)} {key} for {rank} axes")
    return words
