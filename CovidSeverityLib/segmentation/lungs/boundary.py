"""The lungs' boundary, voxel by voxel.

The boundary crosses a blurred edge half-way between the densities on its two sides: that of the lung inside it, as it
is there, and that of soft tissue. At a blur of 1 mm, 100 HU inside it move it by a quarter of a millimetre.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import largest_component
from CovidSeverityLib.morphology.grid import BLOCKS, FloatImage, Mask, WorkingGrid, bounding_box, dilate_mm, erode_mm
from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.types import Box, Side

from .config import LungConfig


def refined_lungs(
    voxels_hu: NDArray[np.int16],
    blocks_hu: FloatImage,
    lungs: NDArray[np.uint8],
    restored: Mask,
    allowed: Mask,
    grid: WorkingGrid,
    config: LungConfig,
) -> NDArray[np.uint8]:
    """Decide the outermost blocks again, voxel by voxel, and keep one component a side.

    Airless lung has no edge: its blocks stay as they are.

    Parameters
    ----------
    voxels_hu : (K, J, I) ndarray of int16
        Hounsfield units of the voxels.
    blocks_hu : (K, J, I) ndarray of float32
        Their means over the blocks of ``grid``.
    lungs : (K, J, I) ndarray of uint8
        Blocks of each lung, by :class:`Side`.
    restored : (K, J, I) ndarray of bool
        Airless blocks among them.
    allowed : (K, J, I) ndarray of bool
        Blocks that may be lung.
    grid : WorkingGrid
        Grid of the blocks.
    config : LungConfig
        How the edge is found.

    Returns
    -------
    (K, J, I) ndarray of uint8
        Voxels of each lung, by :class:`Side`.
    """

    def refine(side: Side) -> tuple[Box, Mask]:
        """One lung's voxels in a box of the full grid (empty where there is none)."""
        box = bounding_box(lungs == side, margin=(1, 1, 1))
        full = grid.voxels_of(box)
        values, mask = voxels_hu[full], lungs[box] == side
        if not mask.any():
            return full, np.zeros(values.shape, dtype=bool)
        deep = erode_mm(mask, 1.0, BLOCKS)
        inner = deep | (mask & dilate_mm(restored[box], 1.0, BLOCKS))
        outer = dilate_mm(mask, 1.0, BLOCKS) & (mask | (allowed[box] & (lungs[box] == 0)))
        expand = WorkingGrid(values.shape, grid.factors, grid.spacing_mm).expand
        edge_hu = expand(_edge_hu(blocks_hu[box], deep, grid, config))
        return full, expand(inner) | (expand(outer) & (values < edge_hu))

    labels = np.zeros(voxels_hu.shape, dtype=np.uint8)
    for side, (full, lung) in zip(Side, map_in_order(refine, tuple(Side), "refine", None), strict=True):
        free = labels[full] == 0  # without voxels of the other lung, which may connect parts of this one
        labels[full][largest_component(lung & free)] = side
    return labels


def _edge_hu(hu: FloatImage, deep: Mask, grid: WorkingGrid, config: LungConfig) -> NDArray[np.int16]:
    """(K, J, I) density at the lung's edge: half-way from the lung inside it to soft tissue."""
    inflated_hu, boundary = config.thorax.lung_tissue_hu, config.boundary
    aerated = (deep & (hu < inflated_hu)).astype(np.float32)
    sigma = [boundary.behind_edge_mm / mm for mm in grid.spacing_mm]
    total, weight = (ndimage.gaussian_filter(x, sigma, truncate=3.0) for x in (aerated * hu, aerated))
    behind = total / np.maximum(weight, np.float32(boundary.fewest_aerated))
    known = weight > boundary.fewest_aerated
    return np.where(known, (behind + boundary.soft_tissue_hu) / 2, inflated_hu).astype(np.int16)
