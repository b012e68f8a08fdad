"""From the numbers of a file to int16: rounded, clipped, and marked where there is no number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import NoteSeverity, QualityNote

INT16 = np.iinfo(np.int16)

PADDING = int(INT16.min)
"""Readers mark voxels that were never measured with this value; it is no evidence for anything, and ends as air."""


def to_int16(
    values: NDArray, scale: float = 1.0, offset: float = 0.0
) -> tuple[NDArray[np.int16], tuple[QualityNote, ...]]:
    """Return ``(values - offset) / scale`` in a new, contiguous int16 array; :data:`PADDING` where no number is finite.

    Parameters
    ----------
    values : (K, J, I) ndarray of integers or floats.

    Raises
    ------
    InputError
        The numbers are complex or no numbers at all, or none of them is finite.
    """
    refuse_other_types(values)
    result = np.empty(values.shape, dtype=np.int16)
    lost = sum(round_into(result[k], plane, scale, offset) for k, plane in enumerate(values))
    if lost and lost == values.size:
        raise InputError("no voxel holds a finite number; Hounsfield units are needed")
    if not lost:
        return result, ()
    message = f"{lost} voxels hold no finite number and were taken as air"
    return result, (QualityNote("not_finite", NoteSeverity.WARNING, message),)


def refuse_other_types(values: NDArray) -> None:
    """Raise InputError unless ``values`` are integers or floats."""
    if values.dtype.kind not in "iufb":
        raise InputError(f"the voxels are of type {values.dtype}; integers or floats are needed")


def round_into(target: NDArray[np.int16], values: NDArray, scale: float = 1.0, offset: float = 0.0) -> int:
    """Write ``(values - offset) / scale``, rounded and clipped, into ``target``; return how many were not finite."""
    if (scale, offset) != (1.0, 0.0):
        marked = values == PADDING if values.dtype.kind == "i" and values.dtype.itemsize > 1 else False
        values = np.where(marked, PADDING, (values.astype(np.float64) - offset) / scale)
    if np.can_cast(values.dtype, np.int16):
        target[...] = values
        return 0
    if values.dtype.kind != "f":
        target[...] = np.clip(values, INT16.min, INT16.max)
        return 0
    finite = np.isfinite(values)
    lost = int(values.size - np.count_nonzero(finite))
    rounded = np.clip(np.rint(np.where(finite, values, PADDING) if lost else values), INT16.min, INT16.max)
    target[...] = rounded
    return lost
