"""The lungs' boundary, voxel by voxel.

An edge that the scanner has blurred is crossed half-way between the densities on its two sides: that of the lung behind
it, as it is there, and that of soft tissue. At a blur of 1 mm, 100 HU behind it move it by a quarter of a millimetre.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import largest_component
from CovidSeverityLib.morphology.grid import WorkingGrid, bounding_box
from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.preprocessing.thorax import LUNG_TISSUE_HU
from CovidSeverityLib.types import Side

SOFT_TISSUE_HU = 50.0
"""Muscle, blood, liver: 40 to 60 HU."""

BEHIND_EDGE_MM = 4.0
"""Standard deviation of the smoothing that tells the density behind an edge: a few blocks, which averages noise."""

FEWEST_AERATED = 0.05
"""Share of aerated lung around a place, so weighted, below which nothing is known of what lies behind its edge: it is
that of inflated lung."""


def refined_lungs(
    voxels_hu: NDArray[np.int16],
    blocks_hu: NDArray[np.float32],
    lungs: NDArray[np.uint8],
    restored: NDArray[np.bool_],
    allowed: NDArray[np.bool_],
    grid: WorkingGrid,
) -> NDArray[np.uint8]:
    """Decide the outermost blocks again, voxel by voxel, and keep one component a side.

    Where airless lung was put back there is no edge to look for: its blocks stay as they are.

    Parameters
    ----------
    voxels_hu : (K, J, I) int16, Hounsfield units.
    blocks_hu : (K, J, I) float32, their means over the blocks of ``grid``.
    lungs : (K, J, I) uint8 of :class:`Side`, blocks.
    restored : (K, J, I) bool, airless blocks among them.
    allowed : (K, J, I) bool, blocks that may be lung.
    grid : of the blocks.

    Returns
    -------
    (K, J, I) uint8 of :class:`Side`, voxels.
    """
    labels = np.zeros(voxels_hu.shape, dtype=np.uint8)
    refined = map_in_order(
        lambda side: _refine_side(voxels_hu, blocks_hu, lungs, restored, allowed, side, grid),
        tuple(Side),
        "refine",
        None,
    )
    for side, (full, lung) in zip(Side, refined, strict=True):
        free = labels[full] == 0
        if not free[lung].all():  # what goes to the other lung may have held this one together
            lung = largest_component(lung & free)
        labels[full][lung] = side
    return labels


def _refine_side(
    voxels_hu: NDArray[np.int16],
    blocks_hu: NDArray[np.float32],
    lungs: NDArray[np.uint8],
    restored: NDArray[np.bool_],
    allowed: NDArray[np.bool_],
    side: Side,
    grid: WorkingGrid,
) -> tuple[tuple[slice, slice, slice], NDArray[np.bool_]]:
    """One lung's voxels in a box of the full grid (empty where there is none)."""
    box = bounding_box(lungs == side, margin=(1, 1, 1))
    full = tuple(slice(s.start * f, s.stop * f) for s, f in zip(box, grid.factors, strict=True))
    values, mask = voxels_hu[full], lungs[box] == side
    if not mask.any():
        return full, values > LUNG_TISSUE_HU
    deep = ndimage.binary_erosion(mask, border_value=1)
    inner = deep | (mask & ndimage.binary_dilation(restored[box]))
    outer = ndimage.binary_dilation(mask) & (mask | (allowed[box] & (lungs[box] == 0)))
    crop = WorkingGrid(values.shape, grid.factors, grid.spacing_mm)
    edge_hu = _edge_hu(blocks_hu[box], deep, grid)
    return full, largest_component(crop.expand(inner) | (crop.expand(outer) & (values < crop.expand(edge_hu))))


def _edge_hu(hu: NDArray[np.float32], deep: NDArray[np.bool_], grid: WorkingGrid) -> NDArray[np.int16]:
    """(K, J, I) density at which the lung's edge lies: half-way from the lung behind it to soft tissue."""
    aerated = (deep & (hu < LUNG_TISSUE_HU)).astype(np.float32)
    sigma = [BEHIND_EDGE_MM / mm for mm in grid.spacing_mm]
    total, weight = (ndimage.gaussian_filter(x, sigma, truncate=3.0) for x in (aerated * hu, aerated))
    behind = total / np.maximum(weight, np.float32(FEWEST_AERATED))
    known = weight > FEWEST_AERATED
    return np.where(known, (behind + SOFT_TISSUE_HU) / 2, LUNG_TISSUE_HU).astype(np.int16)
