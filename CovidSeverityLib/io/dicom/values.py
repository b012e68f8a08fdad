"""Values of DICOM elements in clinical files: numbers as text, a decimal comma, a wrong value representation."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.errors import BytesLengthException, InvalidDicomError

UNREADABLE = (
    *(InvalidDicomError, BytesLengthException, NotImplementedError, EOFError, zlib.error, struct.error),
    *(ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError),
)
"""Errors of pydicom for invalid bytes, when it reads a file or when a value is first used."""


@contextmanager
def damage_as_such() -> Iterator[None]:
    """Turn the OSError that pydicom raises for a sequence without its end into one of :data:`UNREADABLE`.

    Errors of the disk have a number.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            raise
        raise EOFError(str(error)) from error


NUMBER = re.compile(r"[-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d+)?")
DIGITS = re.compile(r"\d+")

PLAIN_TEXT = {"CS", "DS", "IS", "UI"}
"""Value representations in the default character set (DICOM PS3.5, 6.2)."""


def values_of(dataset: Dataset, keyword: str) -> list:
    """The values of an element, an empty list if it is missing or empty; values that pydicom refuses are text.

    Examples
    --------
    >>> dataset = Dataset()
    >>> dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    >>> values_of(dataset, "ImageType"), values_of(dataset, "Modality")
    (['ORIGINAL', 'PRIMARY'], [])
    """
    value = getattr(element := dataset.get_item(keyword), "value", None)
    if not (isinstance(element, RawDataElement) and element.VR in PLAIN_TEXT):  # pydicom is slow: 0.1 ms for a value
        with suppress(*UNREADABLE):
            value = dataset.get(keyword)
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        value = [part.strip(" \0") for part in value.split("\\")]
        return value if any(value) else []
    if value is None:
        return []
    return [value] if isinstance(value, int | float) else list(value)


def text_of(dataset: Dataset, keyword: str) -> str:
    """The values of an element as one text, empty if there is none."""
    return "\\".join(str(value).strip(" \0") for value in values_of(dataset, keyword))


def as_number(value: object) -> float | None:
    """``value`` as a number, None if it is not a number; a decimal comma counts as a point.

    Examples
    --------
    >>> as_number("0,742"), as_number(" 1.5 "), as_number("IM7")
    (0.742, 1.5, None)
    """
    if isinstance(value, int | float):
        return float(value)
    text = str(value).strip(" \0")
    return float(text.replace(",", ".")) if NUMBER.fullmatch(text) else None


def number_of(dataset: Dataset, keyword: str, default: float) -> float:
    """The first value of an element, ``default`` if it has none.

    Raises
    ------
    ValueError
        The value is not a number.
    """
    found = values_of(dataset, keyword)
    if not found:
        return default
    number = as_number(found[0])
    if number is None:
        raise ValueError(f"{keyword} is {found[0]!r}")
    return number


def numbers_of(dataset: Dataset, keyword: str) -> tuple[float, ...] | None:
    """All values of an element; None if it has none, or if one of them is not a number."""
    found = [as_number(value) for value in values_of(dataset, keyword)]
    numbers = tuple(number for number in found if number is not None)
    return numbers if numbers and len(numbers) == len(found) else None


def ordinal_of(dataset: Dataset, keyword: str) -> float:
    """A number for sorting: ``7`` for ``IM7``, 0 without a number."""
    text = text_of(dataset, keyword)
    number = as_number(text)
    digits = DIGITS.findall(text)
    return number if number is not None else float(digits[-1]) if digits else 0.0
