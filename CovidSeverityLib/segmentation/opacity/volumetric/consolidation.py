"""Which part of an opacity is consolidated: regions, as readers outline them, and not every voxel by itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import component_sizes
from CovidSeverityLib.morphology.grid import WorkingGrid, bounding_box
from CovidSeverityLib.segmentation.opacity.kinds import CONSOLIDATION_HU
from CovidSeverityLib.types import Geometry, Opacity

from .config import OpacityConfig

SMOOTHING_MM = 1.5
"""Standard deviation of the Gaussian over the density, inside the opacity: noise and vessels of 4 mm in ground glass
stay under the limit, a consolidated lobule (10-25 mm; Fleischner glossary, doi 10.1148/radiol.2462070712) does not."""

SMALLEST_ML = OpacityConfig().smallest_ml
"""Smaller consolidation, and smaller ground glass inside consolidation, is not told apart: a ball of 8 mm, as the
smallest opacity."""


def opacity_regions(hu: NDArray[np.int16], infected: NDArray[np.bool_], geometry: Geometry) -> NDArray[np.uint8]:
    """Tell consolidation from ground glass by the mean density of places, not of voxels.

    Parameters
    ----------
    hu : (K, J, I) int16, Hounsfield units.
    infected : (K, J, I) bool.
    geometry : of both.

    Returns
    -------
    (K, J, I) uint8 of :class:`~CovidSeverityLib.types.Opacity`, 0 outside ``infected``.

    Examples
    --------
    A ball of soft tissue in ground glass is consolidation::

        labels = opacity_regions(volume.hu, infected, volume.geometry)
        consolidated_ml = np.count_nonzero(labels == Opacity.CONSOLIDATION) * volume.geometry.voxel_ml
    """
    labels = infected.astype(np.uint8) * np.uint8(Opacity.GROUND_GLASS)
    box = bounding_box(infected)
    if not infected[box].size:
        return labels
    whole = WorkingGrid.of(geometry)
    grid = WorkingGrid(infected[box].shape, whole.factors, whole.spacing_mm)
    solid = grid.expand(_solid(hu[box], infected[box], grid, whole.blocks_of(SMALLEST_ML)))
    labels[box][infected[box] & solid] = Opacity.CONSOLIDATION
    return labels


def _solid(hu: NDArray[np.int16], infected: NDArray[np.bool_], grid: WorkingGrid, smallest: float) -> NDArray[np.bool_]:
    """(K, J, I) blocks whose smoothed density is over the limit, without specks of either kind."""
    sigma = [SMOOTHING_MM / mm for mm in grid.spacing_mm]
    share = grid.reduce(infected.view(np.uint8))
    total = grid.reduce(np.where(infected, hu, np.int16(0)))
    weight, density = (ndimage.gaussian_filter(a, sigma, truncate=3.0, mode="constant") for a in (share, total))
    dense = (density > np.float32(CONSOLIDATION_HU) * weight) & (share > 0)
    glass = (share > 0) & ~_large(dense, smallest)
    return (share > 0) & ~_large(glass, smallest)


def _large(mask: NDArray[np.bool_], smallest: float) -> NDArray[np.bool_]:
    labels, _ = ndimage.label(mask, np.ones((3, 3, 3), dtype=bool))
    return (component_sizes(labels) >= smallest)[labels]
