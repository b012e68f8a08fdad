"""Thin bright sheets in a block of a CT whose last axis runs across them: Hessian, then patches of every tilt."""

from __future__ import annotations

from itertools import product
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .config import PlatenessConfig


def plateness(
    hu: NDArray[np.float32],
    inside: NDArray[np.bool_],
    step_mm: tuple[float, float, float],
    config: PlatenessConfig = PlatenessConfig(),
) -> NDArray[np.float32]:
    """How much every sample looks like a part of a thin bright sheet across the last axis.

    Parameters
    ----------
    hu : (A, B, H) ndarray of float32
        Hounsfield units.
    inside : (A, B, H) ndarray of bool
        Lung, a few mm off its border. There is no evidence elsewhere.
    step_mm : (float, float, float)
        Distance of samples along the axes, mm.
    config : PlatenessConfig
        Scale and limits.

    Returns
    -------
    (A, B, H) ndarray of float32
        From minus the penalty of vessels to 1.
    """
    evidence = np.zeros(hu.shape, dtype=np.float32)
    if not inside.any():
        return evidence
    vessel = ndimage.grey_dilation(hu, (3, 3, 3)) > config.vessel_hu
    hu = np.clip(hu, *config.density_limits_hu)
    chosen, hessian, noise = _hessian(hu, inside, ~vessel, step_mm, config.sigma_mm)
    if chosen.size:
        largest, second = _two_largest_eigenvalues(*hessian)
        largest = np.maximum(largest, 1e-6)
        lowest = config.level_cosine_2
        level = np.clip((hessian[2] / largest - lowest) / (1.0 - lowest), 0.0, 1.0)
        flat = np.exp(-0.5 * (np.maximum(second, 0.0) / largest / config.roundness) ** 2)
        evidence.ravel()[chosen] = largest / (largest + config.noise_factor * noise) * flat * np.sqrt(level)
    evidence[inside & vessel & (hu > config.vessel_hu - config.vessel_edge_hu)] = -config.vessel_penalty
    return evidence


def patch_plateness(
    evidence: NDArray[np.float32],
    inside: NDArray[np.float32],
    cell_mm: float,
    height_mm: float,
    config: PlatenessConfig = PlatenessConfig(),
) -> NDArray[np.float32]:
    """The mean evidence over a flat patch around every sample, for the tilt that has most of it.

    Parameters
    ----------
    evidence : (A, B, H) ndarray of float32
        Of every sample.
    inside : (A, B, H) ndarray of float32
        Share of a sample that lies in the lung.
    cell_mm, height_mm : float
        Distance of samples along the first two axes, and along the last, mm.
    config : PlatenessConfig
        Size and tilts of the patches.
    """
    offsets = np.arange(-config.patch_radius, config.patch_radius + 1)
    weights = np.exp(-0.5 * (offsets * cell_mm / config.patch_sigma_mm) ** 2).astype(np.float32)
    weights /= weights.sum()

    def mean(array: NDArray, axis: int, slope: float) -> NDArray[np.float32]:
        climbs = np.floor(slope * offsets * cell_mm / height_mm + 0.5).astype(int)
        return _tilted_mean(array, axis, weights, climbs)

    fill = mean(mean(inside, 0, 0.0), 1, 0.0)
    best = np.full(evidence.shape, -1.0, dtype=np.float32)
    rows = {slope: mean(evidence, 0, slope) for slope in config.tilts}
    for along_a, along_b in product(config.tilts, config.tilts):
        np.maximum(best, mean(rows[along_a], 1, along_b), out=best)
    return cast(NDArray[np.float32], best / np.maximum(fill, np.float32(config.smallest_fill)))


def _tilted_mean(
    array: NDArray, axis: int, weights: NDArray[np.float32], climbs: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Weighted mean along ``axis`` that climbs the last axis; zero beyond the block."""
    mean = np.zeros(array.shape, dtype=np.float32)
    radius = len(weights) // 2
    for offset, weight, climb in zip(range(-radius, radius + 1), weights, climbs.tolist(), strict=True):
        target, source = [slice(None)] * 3, [slice(None)] * 3
        for n, move in ((axis, offset), (2, climb)):
            target[n] = slice(max(0, -move), array.shape[n] - max(0, move))
            source[n] = slice(max(0, move), array.shape[n] - max(0, -move))
        mean[tuple(target)] += weight * array[tuple(source)]
    return mean


def _hessian(
    hu: NDArray[np.float32],
    inside: NDArray[np.bool_],
    clear: NDArray[np.bool_],
    step_mm: tuple[float, float, float],
    sigma_mm: float,
) -> tuple[NDArray[np.intp], list[NDArray[np.float64]], float]:
    """Flat indices of samples that are brighter than those above and below, their negative second derivatives (aa, bb,
    hh, ab, ah, bh; HU per mm2), and the usual size of these."""
    filled = np.where(inside, hu, np.float32(np.median(hu[inside])))
    sigma = [sigma_mm / mm for mm in step_mm]

    def derivative(order: tuple[int, int, int]) -> NDArray:
        unit = np.prod([mm**n for mm, n in zip(step_mm, order, strict=True)])
        return ndimage.gaussian_filter(filled, sigma, order=order) / np.float32(-unit)

    across = derivative((0, 0, 2))
    noise = float(np.median(np.abs(across[inside])))
    chosen = np.flatnonzero(inside & clear & (across > max(noise, 1e-3)))
    orders = ((2, 0, 0), (0, 2, 0), (0, 0, 2), (1, 1, 0), (1, 0, 1), (0, 1, 1))
    return chosen, [derivative(order).ravel()[chosen].astype(np.float64) for order in orders], noise


def _two_largest_eigenvalues(
    aa: NDArray, bb: NDArray, hh: NDArray, ab: NDArray, ah: NDArray, bh: NDArray
) -> tuple[NDArray, NDArray]:
    """Of symmetric 3 x 3 matrices, in closed form (Smith 1961, doi 10.1145/355578.366316)."""
    mean = (aa + bb + hh) / 3.0
    da, db, dh = aa - mean, bb - mean, hh - mean
    off = ab * ab + ah * ah + bh * bh
    scale = np.sqrt(np.maximum((da * da + db * db + dh * dh + 2.0 * off) / 6.0, 1e-18))
    determinant = da * (db * dh - bh * bh) - ab * (ab * dh - bh * ah) + ah * (ab * bh - db * ah)
    angle = np.arccos(np.clip(determinant / (2.0 * scale**3), -1.0, 1.0)) / 3.0
    first = mean + 2.0 * scale * np.cos(angle)
    third = mean + 2.0 * scale * np.cos(angle + 2.0 * np.pi / 3.0)
    return first, 3.0 * mean - first - third
