"""How much denser than aerated lung every place is: the scale on which opacities are found.

Aerated lung is not of one density: it is darker in front than behind, where it bears the weight of the lung, and
depends on inspiration. What counts is the excess over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.grid import WorkingGrid
from CovidSeverityLib.types import AIR_HU, frozen_array

AERATED_HU = (-1000, -600)
"""Where the peak of aerated lung is looked for: emphysema to a scan in expiration."""

BIN_HU = 8
PEAK_SMOOTHING_BINS = 2.0
PEAK_SHARE = 0.15
"""The darkest peak of at least this share of the highest is aerated lung: ground glass can fill most of the lungs."""

BANDS = 8
"""From front to back; every one holds enough voxels for a histogram, and the gradient is close to a line."""

FEWEST_VOXELS = 200
"""A band with fewer is left out."""

STEEPEST_HU = 60.0
"""Largest difference of a band's peak to the whole lung's: from front to back it was 25 to 55 HU in the scans that were
looked at, and is about twice that in expiration."""

INSIDE_SHARE = 0.5
"""A block of which less is lung is left out."""


@dataclass(frozen=True, eq=False)
class ExcessDensity:
    """Density on a working grid, its reference, and the lung there.

    Parameters
    ----------
    grid : blocks of the full grid's voxels.
    lung : (K, J, I) bool, blocks.
    hu : (K, J, I) float32, smoothed over lung alone; :data:`~.types.AIR_HU` outside.
    aerated_hu : (J,) float32, density of aerated lung in every row.
    excess_hu : (K, J, I) float32, ``hu`` minus that of aerated lung; 0 outside.
    """

    grid: WorkingGrid
    lung: NDArray[np.bool_]
    hu: NDArray[np.float32]
    aerated_hu: NDArray[np.float32]
    excess_hu: NDArray[np.float32]

    def __post_init__(self) -> None:
        for name in ("lung", "hu", "aerated_hu", "excess_hu"):
            object.__setattr__(self, name, frozen_array(getattr(self, name)))

    def part(self, box: tuple[slice, slice, slice]) -> ExcessDensity:
        """The blocks of ``box``."""
        lung = self.lung[box]
        grid = WorkingGrid(lung.shape, (1, 1, 1), self.grid.spacing_mm)
        return ExcessDensity(grid, lung, self.hu[box], self.aerated_hu[box[1]], self.excess_hu[box])


def excess_density(
    hu: NDArray[np.int16], lung: NDArray[np.bool_], grid: WorkingGrid, smoothing_mm: float
) -> ExcessDensity:
    """Density over that of aerated lung, on blocks of 1 to 2 mm.

    Parameters
    ----------
    hu : (K, J, I) int16, Hounsfield units.
    lung : (K, J, I) bool.
    grid : blocks of their voxels.
    smoothing_mm : standard deviation of the Gaussian in the axial plane, mm: with the blocks it makes noise of 40 HU a
        pixel about a third.
    """
    share = grid.reduce(lung.view(np.uint8))
    inside = share > INSIDE_SHARE
    smooth = smoothed_inside(grid.reduce(hu), inside, smoothing_mm, grid.spacing_mm[1:], outside=AIR_HU)
    aerated = aerated_density(smooth, inside)
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
    sigma = tuple(sigma_mm / mm for mm in pixel_mm)
    result = np.full(values.shape, np.float32(outside))
    for k in np.flatnonzero(inside.any(axis=(1, 2))):
        weight = inside[k].astype(np.float32)
        total = ndimage.gaussian_filter(values[k] * weight, sigma)
        share = ndimage.gaussian_filter(weight, sigma)
        result[k][inside[k]] = (total / np.maximum(share, np.float32(1e-6)))[inside[k]]
    return result


def aerated_density(hu: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(J,) float32: density of aerated lung in every row, from front to back, HU.

    The peaks of the histograms of bands of rows, each within :data:`STEEPEST_HU` of the whole lung's.

    Parameters
    ----------
    hu, inside : (K, J, I); at least one voxel is inside.
    """
    rows = np.broadcast_to(np.arange(hu.shape[1])[None, :, None], hu.shape)[inside]
    values = hu[inside]
    whole = _peak(values)
    edges = np.linspace(rows.min(), rows.max() + 1, BANDS + 1)
    centres, peaks = [], []
    for low, high in pairwise(edges):
        band = values[(rows >= low) & (rows < high)]
        if band.size >= FEWEST_VOXELS:
            centres.append((low + high - 1) / 2)
            peaks.append(np.clip(_peak(band), whole - STEEPEST_HU, whole + STEEPEST_HU))
    if not centres:
        return np.full(hu.shape[1], whole, dtype=np.float32)
    return np.interp(np.arange(hu.shape[1]), centres, peaks).astype(np.float32)


def _peak(values: NDArray[np.float32]) -> float:
    """The darkest high peak of the histogram of aerated lung, HU."""
    edges = np.arange(AERATED_HU[0], AERATED_HU[1] + BIN_HU, BIN_HU)
    counts = ndimage.gaussian_filter1d(np.histogram(values, edges)[0].astype(np.float64), PEAK_SMOOTHING_BINS)
    left, right = np.concatenate([[-1.0], counts[:-1]]), np.concatenate([counts[1:], [-1.0]])
    tops = np.flatnonzero((counts >= left) & (counts > right) & (counts >= PEAK_SHARE * counts.max()))
    return float(edges[tops[0]] + BIN_HU / 2) if tops.size else float(np.mean(AERATED_HU))
