"""CTs whose values a window has cut off: recognised, and bone told by what is left of it.

Many public sets hold values of a display window alone. What is denser than its upper end, bone above all, then has that
value: a spike at the largest value with nothing above it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import NoteSeverity, QualityNote

SPIKE_SHARE = 1e-3
"""Least share of the voxels at the largest value: bone fills a hundredth and more of a chest CT, metal that saturates a
scanner's 12 bits less than a ten-thousandth."""

SPIKE_CONTRAST = 1.5
"""How many times as many voxels as in the range of :data:`BELOW_HU` right under the largest value, level by level. A
histogram that nothing cut off falls towards its end: its last level holds fewer than those before."""

BELOW_HU = 50
"""Range under the largest value that its spike is held against: several of the steps of a window with 256 levels."""

BONE_HU = 500
"""What a voxel at the upper end of the window is taken for: the mean of a rib, cortex and marrow."""


def window_top(hu: NDArray[np.int16]) -> int | None:
    """The upper end of the window that the values were cut off at; None where they were not.

    Parameters
    ----------
    hu : (K, J, I) ndarray of int16
        Hounsfield units.

    Examples
    --------
    >>> values = np.arange(-1000, 1000, dtype=np.int16).reshape(10, 10, 20)
    >>> window_top(values) is None
    True
    >>> window_top(np.minimum(values, np.int16(150)))
    150
    """
    top = int(hu.max())
    below = hu[hu >= top - BELOW_HU]
    spike = int(np.count_nonzero(below == top))
    levels = max(1, len(np.unique(below)) - 1)
    if spike < SPIKE_SHARE * hu.size or spike < SPIKE_CONTRAST * (below.size - spike) / levels:
        return None
    return top


def with_bone(hu: NDArray[np.int16], top: int | None) -> NDArray[np.int16]:
    """``hu``, or a copy in which what the window cut off is bone.

    Parameters
    ----------
    hu : (K, J, I) ndarray of int16
        Hounsfield units.
    top : int or None
        Of :func:`window_top`.
    """
    if top is None or top >= BONE_HU:
        return hu
    return np.where(hu >= top, np.int16(BONE_HU), hu)


def window_note(top: int) -> QualityNote:
    """What the reader should know of values that were cut off at ``top`` HU."""
    message = (
        f"The values are cut off at {top} HU (a display window): bone was told by what is left; calcium, metal "
        "and contrast medium cannot be."
    )
    return QualityNote("window_clipped", NoteSeverity.WARNING, message)
