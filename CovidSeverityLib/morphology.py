"""Binary morphology of a slice by squares: separable, several times as fast as a structuring element."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def dilate_square(mask: NDArray[np.bool_], size_px: int) -> NDArray[np.bool_]:
    """(J, I) ``mask`` grown by a square of odd edge ``size_px``."""
    return ndimage.maximum_filter(mask.view(np.uint8), size_px, mode="constant", cval=0).view(bool)


def erode_square(mask: NDArray[np.bool_], size_px: int) -> NDArray[np.bool_]:
    """(J, I) ``mask`` shrunk by a square of odd edge ``size_px``; what lies beyond the image counts as outside."""
    return ndimage.minimum_filter(mask.view(np.uint8), size_px, mode="constant", cval=0).view(bool)
