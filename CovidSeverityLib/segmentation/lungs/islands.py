"""Islands within axial slices that aerated lung encloses: consolidation, cavities, vessels, and the domes of organs.

An organ continues into the abdomen. An opacity rests on lung.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from CovidSeverityLib.morphology.components import component_sizes, fill_holes_in_slices
from CovidSeverityLib.morphology.grid import Mask, WorkingGrid, bounding_box

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
    islands = fill_holes_in_slices(lung) & ~lung & free
    box = bounding_box(islands, margin=(1, 0, 0))
    labels, count = ndimage.label(islands[box])
    underside = labels > 0
    underside[1:] &= labels[:-1] != labels[1:]
    area = np.bincount(labels[underside], minlength=count + 1)
    underside[1:] &= lung[box][:-1]
    on_lung = np.bincount(labels[1:][underside[1:]], minlength=count + 1)
    small = component_sizes(labels) * grid.voxel_ml < config.small_ml
    resting = (on_lung > 0) & (on_lung >= np.where(small, config.small_support_share, config.support_share) * area)
    result = np.zeros_like(lung)
    result[box] = resting[labels]
    return result
