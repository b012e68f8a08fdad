"""Thin bright sheets in a block of a CT whose last axis runs across them: Hessian, then patches of every tilt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
    vessel = with_neighbours(hu > config.vessel_hu)
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
    level, *climbs = (
        np.floor(slope * offsets * cell_mm / height_mm + 0.5).astype(int).tolist() for slope in (0.0, *config.tilts)
    )
    fill = next(_tilted_means(next(_tilted_means(inside, 0, weights, [level])), 1, weights, [level]))
    best = np.full(evidence.shape, -1.0, dtype=np.float32)
    for rows in _tilted_means(evidence, 0, weights, climbs):
        for mean in _tilted_means(rows, 1, weights, climbs):
            np.maximum(best, mean, out=best)
    best /= np.maximum(fill, np.float32(config.smallest_fill))
    return best


def with_neighbours(mask: NDArray[np.bool_], samples: tuple[int, int, int] = (1, 1, 1)) -> NDArray[np.bool_]:
    """``mask`` and what lies up to so many samples beside it, axis after axis."""
    for axis, count in enumerate(samples):
        before = np.moveaxis(mask, axis, 0)
        grown = before.copy(order="K")
        for n in range(1, min(count, len(before) - 1) + 1):
            grown[n:] |= before[:-n]
            grown[:-n] |= before[n:]
        mask = np.moveaxis(grown, 0, axis)
    return mask


def _tilted_means(
    array: NDArray[np.float32], axis: int, weights: NDArray[np.float32], climbs: Sequence[Sequence[int]]
) -> Iterator[NDArray[np.float32]]:
    """For every tilt, the mean along ``axis`` that climbs the last axis, by symmetric weights; zero beyond the block.

    The block is laid out flat with zeros around it, so that a move along both axes is one move. Each mean is a view of
    the same memory, which the next one overwrites.
    """
    radius, highest = len(weights) // 2, max(abs(climb) for tilt in climbs for climb in tilt)
    margins = [(radius * (n == axis) + highest * (n == 2),) * 2 for n in range(3)]
    padded = np.pad(array, margins)
    weighted = [padded.ravel() * weight for weight in weights[: radius + 1]]
    step = padded.strides[axis] // padded.itemsize
    first = radius * step + highest
    size = padded.size - 2 * first
    total = np.zeros_like(padded)
    inner = total.ravel()[first : first + size]
    block = total[tuple(slice(low, n - high) for n, (low, high) in zip(padded.shape, margins, strict=True))]
    for tilt in climbs:
        inner.fill(0.0)
        for offset, climb in zip(range(-radius, radius + 1), tilt, strict=True):
            start = first + offset * step + climb
            inner += weighted[radius - abs(offset)][start : start + size]
        yield block


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
    derivatives = _second_derivatives(filled, step_mm, sigma_mm)
    across = derivatives[2]
    noise = float(np.median(np.abs(across[inside])))
    chosen = np.flatnonzero(inside & clear & (across > max(noise, 1e-3)))
    return chosen, [derivative.ravel()[chosen].astype(np.float64) for derivative in derivatives], noise


def _second_derivatives(
    values: NDArray[np.float32], step_mm: tuple[float, float, float], sigma_mm: float
) -> list[NDArray[np.float32]]:
    """Negative second derivatives (aa, bb, hh, ab, ah, bh) of the smoothed block, per mm2.

    The same as six Gaussian filters; those that begin alike share their passes.
    """

    def passed(array: NDArray[np.float32], axis: int, order: int) -> NDArray[np.float32]:
        return ndimage.gaussian_filter1d(array, sigma_mm / step_mm[axis], axis, order)

    def ended(array: NDArray[np.float32], *orders: int) -> NDArray[np.float32]:
        array = passed(array, 2, orders[2])
        array /= np.float32(-np.prod([mm**n for mm, n in zip(step_mm, orders, strict=True)]))
        return array

    found = {}
    for a in range(3):
        along_a = passed(values, 0, a)
        for b in range(3 - a):
            found[a, b] = ended(passed(along_a, 1, b), a, b, 2 - a - b)
    return [found[ab] for ab in ((2, 0), (0, 2), (0, 0), (1, 1), (1, 0), (0, 1))]


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
