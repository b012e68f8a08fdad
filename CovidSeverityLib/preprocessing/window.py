"""CTs whose values a display window has cut off.

Many public data sets hold only the values of a display window. Everything denser than its upper end, above all bone,
then has that value: the histogram ends in a spike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import NoteSeverity, QualityNote

from .config import WindowConfig


def window_top(hu: NDArray[np.int16], config: WindowConfig = WindowConfig()) -> int | None:
    """The upper end of the window that cut the values off.

    Parameters
    ----------
    hu : (K, J, I) ndarray of int16
        Hounsfield units.
    config : WindowConfig
        What a spike is.

    Returns
    -------
    int or None
        Hounsfield units; None where no window cut the values off.

    Examples
    --------
    >>> values = np.arange(-1000, 1000, dtype=np.int16).reshape(10, 10, 20)
    >>> window_top(values) is None
    True
    >>> window_top(np.minimum(values, np.int16(150)))
    150
    """
    top = int(hu.max())
    below = hu[hu >= top - config.below_top_hu]
    spike = int(np.count_nonzero(below == top))
    levels = max(1, len(np.unique(below)) - 1)
    if spike < config.spike_share * hu.size or spike < config.spike_contrast * (below.size - spike) / levels:
        return None
    return top


def with_bone(hu: NDArray[np.int16], top: int | None, config: WindowConfig = WindowConfig()) -> NDArray[np.int16]:
    """``hu``, or a copy in which values that the window cut off have the density of bone.

    Parameters
    ----------
    hu : (K, J, I) ndarray of int16
        Hounsfield units.
    top : int or None
        Upper end of the window, from :func:`window_top`.
    config : WindowConfig
        How dense bone is.

    Returns
    -------
    (K, J, I) ndarray of int16
    """
    if top is None or top >= config.clipped_bone_hu:
        return hu
    return np.where(hu >= top, np.int16(config.clipped_bone_hu), hu)


def window_note(top: int) -> QualityNote:
    """The note on values that were cut off at ``top`` HU."""
    message = (
        f"The values are cut off at {top} HU (a display window): bone was told by what is left; calcium, metal "
        "and contrast medium cannot be."
    )
    return QualityNote("window_clipped", NoteSeverity.WARNING, message)
