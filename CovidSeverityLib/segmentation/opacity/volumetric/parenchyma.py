"""How much denser than aerated lung every place is: the scale on which opacities are found.

Aerated lung is not of one density: it is darker in front than behind, where it bears the weight of the lung, and
depends on inspiration. What counts is the excess over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.grid import WorkingGrid
from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.types import AIR_HU, frozen_array

from .config import AeratedLungConfig, FeatureConfig

SLICES_AT_ONCE = 16
"""Slices that are smoothed together: few enough for a processor's cache."""


@dataclass(frozen=True, eq=False)
class ExcessDensity:
    """Density on a working grid, its reference, and the lung there.

    Parameters
    ----------
    grid : WorkingGrid
        Blocks of the voxels of the full grid.
    lung : (K, J, I) ndarray of bool
        Blocks of lung.
    hu : (K, J, I) ndarray of float32
        Density smoothed over lung only; :data:`~CovidSeverityLib.types.AIR_HU` outside.
    aerated_hu : (J,) ndarray of float32
        Density of aerated lung in every row.
    excess_hu : (K, J, I) ndarray of float32
        ``hu`` minus that of aerated lung; 0 outside.
    """

    grid: WorkingGrid
    lung: NDArray[np.bool_]
    hu: NDArray[np.float32]
    aerated_hu: NDArray[np.float32]
    excess_hu: NDArray[np.float32]

    def __post_init__(self) -> None:
        for name in ("lung", "hu", "aerated_hu", "excess_hu"):
            object.__setattr__(self, name, frozen_array(getattr(self, name)))


def excess_density(
    hu: NDArray[np.int16], lung: NDArray[np.bool_], grid: WorkingGrid, config: FeatureConfig = FeatureConfig()
) -> ExcessDensity:
    """Density over that of aerated lung, on blocks of 1 to 2 mm.

    Parameters
    ----------
    hu : (K, J, I) ndarray of int16
        Hounsfield units.
    lung : (K, J, I) ndarray of bool
        Both lungs.
    grid : WorkingGrid
        Blocks of their voxels.
    config : FeatureConfig
        Smoothing, and how the density of aerated lung is measured.
    """
    share = grid.reduce(lung.view(np.uint8))
    inside = share > config.block_lung_share
    smooth = smoothed_inside(grid.reduce(hu), inside, config.smoothing_mm, grid.spacing_mm[1:], outside=AIR_HU)
    aerated = aerated_density(smooth, inside, config.aerated)
    excess = np.where(inside, smooth - aerated[None, :, None], np.float32(0))
    return ExcessDensity(grid, inside, smooth, aerated, excess)


def smoothed_inside(
    values: NDArray[np.float32],
    inside: NDArray[np.bool_],
    sigma_mm: float,
    pixel_mm: tuple[float, float],
    outside: float,
) -> NDArray[np.float32]:
    """(K, J, I) ``values`` smoothed in the axial plane over ``inside`` alone, and ``outside`` elsewhere."""
    gaussian = partial(ndimage.gaussian_filter, sigma=(0, *(sigma_mm / mm for mm in pixel_mm)))
    result = np.full(values.shape, np.float32(outside))

    def smooth(first: int) -> None:
        part = slice(first, first + SLICES_AT_ONCE)
        within = inside[part]
        weight = within.astype(np.float32)
        total, share = gaussian(values[part] * weight)[within], gaussian(weight)[within]
        result[part][within] = total / np.maximum(share, np.float32(1e-6))

    map_in_order(smooth, range(0, len(values), SLICES_AT_ONCE), "smoothing", None)
    return result


def aerated_density(
    hu: NDArray[np.float32], inside: NDArray[np.bool_], config: AeratedLungConfig = AeratedLungConfig()
) -> NDArray[np.float32]:
    """Density of aerated lung in every row, from front to back: the peaks of the histograms of bands of rows.

    Parameters
    ----------
    hu : (K, J, I) ndarray of float32
        Hounsfield units.
    inside : (K, J, I) ndarray of bool
        Lung, at least one voxel.
    config : AeratedLungConfig
        Bands, histogram and peaks.

    Returns
    -------
    (J,) ndarray of float32
        HU.
    """
    rows = np.broadcast_to(np.arange(hu.shape[1])[None, :, None], hu.shape)[inside]
    values = hu[inside]
    whole = _peak(values, config)
    edges = np.linspace(rows.min(), rows.max() + 1, config.bands + 1)
    centres, peaks = [], []
    for low, high in pairwise(edges):
        band = values[(rows >= low) & (rows < high)]
        if band.size >= config.fewest_blocks:
            centres.append((low + high - 1) / 2)
            peaks.append(np.clip(_peak(band, config), whole - config.steepest_hu, whole + config.steepest_hu))
    if not centres:
        return np.full(hu.shape[1], whole, dtype=np.float32)
    return np.interp(np.arange(hu.shape[1]), centres, peaks).astype(np.float32)


def _peak(values: NDArray[np.float32], config: AeratedLungConfig) -> float:
    """The darkest high peak of the histogram of aerated lung, HU."""
    low, high = config.peak_range_hu
    edges = np.arange(low, high + config.bin_hu, config.bin_hu)
    counts = ndimage.gaussian_filter1d(np.histogram(values, edges)[0].astype(np.float64), config.peak_smoothing_bins)
    left, right = np.concatenate([[-1.0], counts[:-1]]), np.concatenate([counts[1:], [-1.0]])
    tops = np.flatnonzero((counts >= left) & (counts > right) & (counts >= config.peak_share * counts.max()))
    return float(edges[tops[0]] + config.bin_hu / 2) if tops.size else (low + high) / 2
