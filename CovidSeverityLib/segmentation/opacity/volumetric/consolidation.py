"""Which part of an opacity is consolidated: regions, as readers outline them, and not every voxel by itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import large_components
from CovidSeverityLib.morphology.grid import WorkingGrid, bounding_box
from CovidSeverityLib.types import Geometry, Opacity

from .config import OpacityConfig
from .levels import TRUNCATE


def opacity_regions(
    hu: NDArray[np.int16], opacities: NDArray[np.bool_], geometry: Geometry, config: OpacityConfig = OpacityConfig()
) -> NDArray[np.uint8]:
    """Divide opacities into consolidation and ground glass by the mean density of places, not of voxels.

    Parameters
    ----------
    hu : (K, J, I) ndarray of int16
        Hounsfield units.
    opacities : (K, J, I) ndarray of bool
        What is divided.
    geometry : Geometry
        Of both.
    config : OpacityConfig
        Limit, smoothing and smallest region.

    Returns
    -------
    (K, J, I) ndarray of uint8
        Labels of :class:`~CovidSeverityLib.types.Opacity`, 0 outside ``opacities``.

    Examples
    --------
    A ball of soft tissue in ground glass is consolidation::

        labels = opacity_regions(volume.hu, opacities, volume.geometry)
        consolidated_ml = np.count_nonzero(labels == Opacity.CONSOLIDATION) * volume.geometry.voxel_ml
    """
    labels = opacities.astype(np.uint8) * np.uint8(Opacity.GROUND_GLASS)
    box = bounding_box(opacities)
    inside = opacities[box]
    if not inside.size:
        return labels
    whole = WorkingGrid.of(geometry, config.features.block_mm)
    grid = WorkingGrid(inside.shape, whole.factors, whole.spacing_mm)
    solid = grid.expand(_solid(hu[box], inside, grid, whole.blocks_of(config.smallest_ml), config))
    labels[box][inside & solid] = Opacity.CONSOLIDATION
    return labels


def _solid(
    hu: NDArray[np.int16], inside: NDArray[np.bool_], grid: WorkingGrid, smallest: float, config: OpacityConfig
) -> NDArray[np.bool_]:
    """(K, J, I) blocks whose smoothed density is over the limit, without specks of either kind."""
    sigma = [config.consolidation_smoothing_mm / mm for mm in grid.spacing_mm]
    share = grid.reduce(inside.view(np.uint8))
    total = grid.reduce(np.where(inside, hu, np.int16(0)))
    weight, density = (ndimage.gaussian_filter(a, sigma, truncate=TRUNCATE, mode="constant") for a in (share, total))
    dense = (density > np.float32(config.consolidation_hu) * weight) & (share > 0)
    touching = np.ones((3, 3, 3), dtype=bool)
    glass = (share > 0) & ~large_components(dense, smallest, touching)
    return (share > 0) & ~large_components(glass, smallest, touching)
