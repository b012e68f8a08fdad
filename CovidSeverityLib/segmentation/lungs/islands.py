"""Islands within axial slices that aerated lung encloses: consolidation, cavities, vessels, and the domes of organs.

An organ continues into the abdomen. An opacity rests on lung.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from CovidSeverityLib.morphology.components import fill_holes_in_slices
from CovidSeverityLib.morphology.grid import Mask, WorkingGrid

from .config import IslandConfig


def resting_islands(lung: Mask, free: Mask, grid: WorkingGrid, config: IslandConfig) -> Mask:
    """Islands in the slices of one lung that rest on it.

    Parameters
    ----------
    lung : (K, J, I) ndarray of bool
        One lung.
    free : (K, J, I) ndarray of bool
        Voxels that may be added: inside the body, and neither the other lung nor an airway.
    grid : WorkingGrid
        Grid of both.
    config : IslandConfig
        Which islands are lung.

    Returns
    -------
    (K, J, I) ndarray of bool
        Whole 3-D components of the islands.
    """
    labels, count = ndimage.label(fill_holes_in_slices(lung) & ~lung & free)
    underside = labels.copy()
    underside[1:][labels[:-1] == labels[1:]] = 0
    area = np.bincount(underside.ravel(), minlength=count + 1)
    on_lung = np.bincount(underside[1:][lung[:-1]], minlength=count + 1)
    small = np.bincount(labels.ravel(), minlength=count + 1) * grid.voxel_ml < config.small_ml
    resting = (on_lung > 0) & (on_lung >= np.where(small, config.small_support_share, config.support_share) * area)
    resting[0] = False
    return resting[labels]
