"""Thin bright sheets in a block of a CT whose last axis runs across them: Hessian, then patches of every tilt."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SIGMA_MM = 1.5
"""Scale of the Hessian, mm: a fissure is under 1 mm thick, and blurred to 1-3 mm by the CT."""

DENSITY_LIMITS_HU = (-1000.0, -500.0)
"""Densities are cut to these, so that vessels do not outshine a fissure, which the blur leaves under -600 HU."""

VESSEL_HU = -600.0
"""Denser samples, and those beside them, are vessels, bronchi or lesions: no part of a fissure, and hardly crossed by
one. Inside them (50 HU less) the evidence is negative by :data:`VESSEL_PENALTY`."""

VESSEL_PENALTY = 0.3

LEVEL_COSINE_2 = 0.45
"""Smallest squared cosine between a sheet's normal and the block's last axis: 48 degrees."""

ROUNDNESS = 0.5
"""Second curvature relative to the largest at which the evidence falls to 0.61: 0 for a sheet, 1 for a tube."""

NOISE_FACTOR = 3.0
"""Curvature that counts half, in multiples of the block's median curvature: what noise and small vessels make."""

PATCH_SIGMA_MM = 6.0
PATCH_RADIUS = 4
"""Patches are Gaussian; cut at this many cells, two sigmas. A vessel fills a fifth of one, a fissure all of it."""

TILTS = (-0.45, -0.3, -0.15, 0.0, 0.15, 0.3, 0.45)
"""Slopes of the patches along either axis of the surface: up to 24 degrees against the atlas, in steps that a patch
does not notice."""

SMALLEST_FILL = 0.3
"""A patch that leaves the lung is judged by its part inside, down to this share."""


def plateness(
    hu: NDArray[np.float32], inside: NDArray[np.bool_], step_mm: tuple[float, float, float]
) -> NDArray[np.float32]:
    """How much every sample looks like a part of a thin bright sheet across the last axis.

    Parameters
    ----------
    hu : (A, B, H), Hounsfield units.
    inside : (A, B, H) bool: lung, a few mm off its border; no evidence elsewhere.
    step_mm : distance of samples along the axes, mm.

    Returns
    -------
    (A, B, H) float32, from ``-VESSEL_PENALTY`` to 1.
    """
    evidence = np.zeros(hu.shape, dtype=np.float32)
    if not inside.any():
        return evidence
    vessel = ndimage.grey_dilation(hu, (3, 3, 3)) > VESSEL_HU
    hu = np.clip(hu, *DENSITY_LIMITS_HU)
    chosen, hessian, noise = _hessian(hu, inside, ~vessel, step_mm)
    if chosen.size:
        largest, second = _two_largest_eigenvalues(*hessian)
        largest = np.maximum(largest, 1e-6)
        level = np.clip((hessian[2] / largest - LEVEL_COSINE_2) / (1.0 - LEVEL_COSINE_2), 0.0, 1.0)
        flat = np.exp(-0.5 * (np.maximum(second, 0.0) / largest / ROUNDNESS) ** 2)
        evidence.ravel()[chosen] = largest / (largest + NOISE_FACTOR * noise) * flat * np.sqrt(level)
    evidence[inside & vessel & (hu > VESSEL_HU - 50.0)] = -VESSEL_PENALTY
    return evidence


def patch_plateness(
    evidence: NDArray[np.float32], inside: NDArray[np.float32], cell_mm: float, height_mm: float
) -> NDArray[np.float32]:
    """The mean evidence over a flat patch about every sample, for the tilt that has most of it.

    Parameters
    ----------
    evidence : (A, B, H).
    inside : (A, B, H), share of a sample that lies in the lung.
    cell_mm, height_mm : distance of samples along the first two axes, and along the last.
    """
    steps = cell_mm, height_mm
    fill = _tilted_mean(_tilted_mean(inside, 0, 0.0, *steps), 1, 0.0, *steps)
    best = np.full(evidence.shape, -1.0, dtype=np.float32)
    rows = {slope: _tilted_mean(evidence, 0, slope, *steps) for slope in TILTS}
    for along_a, along_b in product(TILTS, TILTS):
        np.maximum(best, _tilted_mean(rows[along_a], 1, along_b, *steps), out=best)
    return best / np.maximum(fill, np.float32(SMALLEST_FILL))


def _tilted_mean(array: NDArray, axis: int, slope: float, cell_mm: float, height_mm: float) -> NDArray[np.float32]:
    """Gaussian mean along ``axis`` that climbs the last axis by ``slope``; zero beyond the block."""
    offsets = range(-PATCH_RADIUS, PATCH_RADIUS + 1)
    weights = np.exp(-0.5 * (np.array(offsets) * cell_mm / PATCH_SIGMA_MM) ** 2).astype(np.float32)
    mean = np.zeros(array.shape, dtype=np.float32)
    for offset, weight in zip(offsets, weights / weights.sum(), strict=True):
        climb = int(np.floor(slope * offset * cell_mm / height_mm + 0.5))
        target, source = [slice(None)] * 3, [slice(None)] * 3
        for n, move in ((axis, offset), (2, climb)):
            target[n] = slice(max(0, -move), array.shape[n] - max(0, move))
            source[n] = slice(max(0, move), array.shape[n] - max(0, -move))
        mean[tuple(target)] += weight * array[tuple(source)]
    return mean


def _hessian(
    hu: NDArray[np.float32], inside: NDArray[np.bool_], clear: NDArray[np.bool_], step_mm: tuple[float, float, float]
) -> tuple[NDArray[np.intp], list[NDArray[np.float64]], float]:
    """Flat indices of samples that are brighter than those above and below, their negative second derivatives (aa, bb,
    hh, ab, ah, bh; HU per mm2), and the usual size of these."""
    filled = np.where(inside, hu, np.float32(np.median(hu[inside])))
    sigma = [SIGMA_MM / mm for mm in step_mm]

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
