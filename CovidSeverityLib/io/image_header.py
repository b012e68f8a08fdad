"""Common parts of the headers of image files: their values, and the text format of two of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Geometry, QualityNote

from .voxels import VoxelSource

TEXT_HEADER_BYTES = 1 << 22
"""Largest size of MetaImage and NRRD headers, bytes: the header of 100 segments has about 100,000 bytes."""

PATTERN = re.compile(r"(?:[^%]|%%)*%[ 0+-]*\d{0,3}[diu](?:[^%]|%%)*")
"""A pattern for the names of data files: one number, of any width that a file name can have."""

MOST_DATA_FILES = 100_000
"""Largest number of data files that a pattern may name: a whole body in slices of 0.5 mm has 4,000."""

MAX_WHOLE_NUMBER = 2**53
"""Largest integer in a text header: a float does not distinguish larger integers."""

SHOWN_CHARACTERS = 60
"""Largest number of characters of a field in a message."""


@dataclass(frozen=True)
class ImageHeader:
    """A valid header.

    Parameters
    ----------
    source : VoxelSource
        Place of the voxels in files.
    geometry : Geometry
        Geometry of the voxels in the patient.
    slope, inter : float
        Factor for the stored numbers, and the number that is then added.
    notes : tuple of QualityNote
        Notes about the header.
    """

    source: VoxelSource
    geometry: Geometry
    slope: float = 1.0
    inter: float = 0.0
    notes: tuple[QualityNote, ...] = ()


@dataclass(frozen=True)
class TextHeader:
    """A header of ``key: value`` lines: values by key (lower case, without spaces), files of its LIST, its length."""

    fields: dict[str, str]
    listed: tuple[str, ...]
    end: int


def volume_size(sizes: Sequence[int], channels: int, name: str, *, is_complex: bool = False) -> tuple[int, int, int]:
    """Return the size (I, J, K) of the only volume of an image; further axes of length 1 are accepted.

    Raises
    ------
    InputError
        The image has another number of dimensions, more than one number per voxel, or an axis without voxels.
    """
    shape = " x ".join(str(n) for n in sizes)
    if is_complex:
        raise InputError(f"{name} holds complex numbers ({shape}); one real number a voxel is needed")
    if channels != 1:
        raise InputError(f"{name} holds {channels} numbers a voxel ({shape}); one is needed")
    if min(sizes, default=0) < 1:
        raise InputError(f"the header of {name} promises an image of {shape or 'no'} voxels; a 3-D volume is needed")
    if len(sizes) < 3 or sorted(sizes[:3])[1] < 2:
        raise InputError(f"{name} holds a 2-D image ({shape}); a 3-D volume is needed")
    if any(n > 1 for n in sizes[3:]):
        raise InputError(f"{name} holds a {len(sizes)}-D image ({shape}); one 3-D volume is needed")
    return sizes[0], sizes[1], sizes[2]


def read_text_header(path: Path, separators: str, data_key: str, *, ends_with_data_key: bool) -> TextHeader:
    """Read the ``key: value`` lines of ``path``.

    Parameters
    ----------
    separators : str
        The first of these characters in a line ends the key. A line with ``:=``, or with ``#`` at its beginning, is not
        a field (NRRD).
    data_key : str
        The key of the data file. If its value is a LIST, the following lines are the files.
    ends_with_data_key : bool
        Whether that line ends the header (MetaImage) or a blank line does (NRRD).

    Raises
    ------
    InputError
        The header has no end, or a key has two values.
    """
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        while file.tell() < TEXT_HEADER_BYTES:
            line = _text(file.readline(TEXT_HEADER_BYTES)).strip()
            if not line:
                return TextHeader(fields, (), file.tell())
            key, value = _field(line, separators)
            if not key:
                continue
            if fields.setdefault(key, value) != value:
                raise InputError(
                    f"the header of {path.name} has two values of {key}: {shown(fields[key])} and {shown(value)}"
                )
            if key == data_key and value.upper().startswith("LIST"):
                names = [_text(entry).strip() for entry in file.read(TEXT_HEADER_BYTES).splitlines()]
                return TextHeader(fields, tuple(name for name in names if name), file.tell())
            if key == data_key and ends_with_data_key:
                return TextHeader(fields, (), file.tell())
    raise InputError(f"the header of {path.name} has no end within {TEXT_HEADER_BYTES} bytes")


def data_files(path: Path, value: str, listed: Sequence[str]) -> tuple[Path, ...]:
    """Return the data files of the header ``path``: one, a LIST, or a pattern such as ``%03d.raw 1 40 1``.

    Raises
    ------
    InputError
        A file does not exist, or the pattern is invalid.
    """
    return _all_there(path, data_names(path, value, listed))


def data_names(path: Path, value: str, listed: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the data files of the header ``path``, whether or not they exist.

    Raises
    ------
    InputError
        The pattern is invalid.
    """
    words = value.split()
    if "%" in value and len(words) >= 4:
        return _names_of_pattern(path, value, words)
    return tuple(listed) if value.upper().startswith("LIST") else (value,)


def _names_of_pattern(path: Path, value: str, words: Sequence[str]) -> tuple[str, ...]:
    try:
        first, last, step = (int(word) for word in words[1:4])
        if not PATTERN.fullmatch(words[0]):
            raise ValueError
        numbers = range(first, last + (1 if step > 0 else -1), step)
    except ValueError as error:
        raise InputError(f"{path.name} names its data files by the pattern {shown(value)}, which is none") from error
    if numbers[MOST_DATA_FILES:]:
        raise InputError(f"{path.name} names over {MOST_DATA_FILES:,} data files by the pattern {shown(value)}")
    return tuple(words[0] % n for n in numbers)


def numbers(fields: dict[str, str], key: str, name: str) -> list[float]:
    """Return the numbers of a field, no number if it is missing; raise InputError for other text."""
    try:
        return [float(word) for word in fields.get(key, "").split()]
    except ValueError as error:
        raise InputError(f"the header of {name} has {key} {shown(fields[key])}; numbers are needed") from error


def whole_numbers(fields: dict[str, str], key: str, name: str) -> list[int]:
    """As :func:`numbers`, for integers."""
    values = numbers(fields, key, name)
    if any(not value.is_integer() or abs(value) > MAX_WHOLE_NUMBER for value in values):
        raise InputError(f"the header of {name} has {key} {shown(fields[key])}; whole numbers are needed")
    return [int(value) for value in values]


def shown(text: str) -> str:
    """Return the first characters of a field, for a message."""
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."


def _all_there(path: Path, names: Sequence[str]) -> tuple[Path, ...]:
    files = []
    for name in names:
        files.append(path.parent / name)
        if not files[-1].is_file():
            last = shown(name.replace("\\", "/").rpartition("/")[2])
            raise InputError(f"{path.name} names the data file {last}, which is not there")
    if not files:
        raise InputError(f"{path.name} names no data file")
    return tuple(files)


def _field(line: str, separators: str) -> tuple[str, str]:
    at = min((line.find(s) for s in separators if s in line), default=-1)
    if line.startswith("#") or line[at : at + 2] == ":=":
        return "", ""
    if at < 0:
        return line.lower(), ""
    return "".join(line[:at].lower().split()), line[at + 1 :].strip()


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")
