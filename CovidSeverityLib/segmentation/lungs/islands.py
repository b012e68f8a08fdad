"""What aerated lung encloses within axial slices: consolidation, cavities, vessels; and the domes of organs.

What tells an organ apart is what it rests on: it goes on into the abdomen, an opacity has lung below it again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import fill_holes_in_slices
from CovidSeverityLib.morphology.grid import WorkingGrid

SUPPORT_SHARE = 0.2
SMALL_ISLAND_SUPPORT_SHARE = 0.5
SMALL_ISLAND_ML = 5.0
"""At least this share of an island's underside rests on lung. Under livers and stomachs it was 0.08 at most, under
opacities 0.26 and more, also where they reach down to the diaphragm. A small island needs more: pieces of hilar vessels
(up to 3 ml) rest on lung with 0.20 to 0.34 (three scans and eight phantoms)."""


def resting_islands(lung: NDArray[np.bool_], free: NDArray[np.bool_], grid: WorkingGrid) -> NDArray[np.bool_]:
    """Islands in the slices of one lung that rest on it.

    Parameters
    ----------
    lung : (K, J, I) bool, one lung.
    free : (K, J, I) bool; only these voxels may be added (not the other lung, not an airway, inside the body).
    grid : of both.

    Returns
    -------
    (K, J, I) bool: whole 3-D components of the islands.
    """
    labels, count = ndimage.label(fill_holes_in_slices(lung) & ~lung & free)
    underside = labels.copy()
    underside[1:][labels[:-1] == labels[1:]] = 0
    area = np.bincount(underside.ravel(), minlength=count + 1)
    on_lung = np.bincount(underside[1:][lung[:-1]], minlength=count + 1)
    small = np.bincount(labels.ravel(), minlength=count + 1) * grid.voxel_ml < SMALL_ISLAND_ML
    resting = (on_lung > 0) & (on_lung >= np.where(small, SMALL_ISLAND_SUPPORT_SHARE, SUPPORT_SHARE) * area)
    resting[0] = False
    return resting[labels]
