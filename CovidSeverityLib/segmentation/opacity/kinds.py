"""Ground glass and consolidation, told apart by density."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import Opacity

CONSOLIDATION_LIMIT_HU = -200
"""Limit of both profiles between ground glass and consolidation."""


def opacity_labels(
    hu: NDArray[np.int16], opacities: NDArray[np.bool_], consolidation_hu: int = CONSOLIDATION_LIMIT_HU
) -> NDArray[np.uint8]:
    """Labels of :class:`Opacity` for every voxel by its density, 0 outside the opacities.

    Parameters
    ----------
    hu : ndarray of int16
        Hounsfield units, of any shape.
    opacities : ndarray of bool
        Of the same shape.
    consolidation_hu : int
        Denser voxels are consolidation.

    Returns
    -------
    ndarray of uint8
    """
    kinds = np.where(hu > consolidation_hu, np.uint8(Opacity.CONSOLIDATION), np.uint8(Opacity.GROUND_GLASS))
    return np.where(opacities, kinds, np.uint8(0))
