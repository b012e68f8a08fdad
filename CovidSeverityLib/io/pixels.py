"""From the numbers of a file to int16, with nothing lost that the check of Hounsfield units needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.preprocessing.hounsfield import PADDING
from CovidSeverityLib.types import NoteSeverity, QualityNote

INT16 = np.iinfo(np.int16)


def to_int16(values: NDArray) -> tuple[NDArray[np.int16], tuple[QualityNote, ...]]:
    """Return a new, contiguous int16 array: rounded, clipped, and :data:`PADDING` where a number is not finite.

    Parameters
    ----------
    values : (K, J, I) ndarray of integers or floats.

    Raises
    ------
    InputError
        The numbers are complex or no numbers at all, or none of them is finite.
    """
    if values.dtype.kind not in "iufb":
        raise InputError(f"the voxels are of type {values.dtype}; integers or floats are needed")
    result = np.empty(values.shape, dtype=np.int16)
    lost = sum(round_into(result[k], plane) for k, plane in enumerate(values))
    if lost and lost == values.size:
        raise InputError("no voxel holds a finite number; Hounsfield units are needed")
    if not lost:
        return result, ()
    message = f"{lost} voxels hold no finite number and were taken as air"
    return result, (QualityNote("not_finite", NoteSeverity.WARNING, message),)


def round_into(target: NDArray[np.int16], values: NDArray) -> int:
    """Write ``values``, rounded and clipped, into ``target`` of the same shape; return how many were not finite."""
    if values.dtype == np.int16 or np.can_cast(values.dtype, np.int16):
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
