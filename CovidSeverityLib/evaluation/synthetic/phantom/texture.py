"""Texture of the aerated lung, point spread of the scanner, and noise with the grain of a CT."""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage

from CovidSeverityLib.types import AIR_HU

from .anatomy import Anatomy, horizontal_height, oblique_height
from .grid import Field, Grid, lattice_noise, smoothstep

COARSE_TEXTURE = (28.0, 11.0)
"""Regional differences of aeration: correlation length in mm, standard deviation in Hounsfield units."""

FINE_TEXTURE = (4.5, 13.0)
"""The same for lobules and vessels that are too small to draw."""

FISSURE_HU = 95.0
"""Increase of the lung's density at a complete fissure, which is thinner than a voxel, Hounsfield units."""

FISSURE_SIGMA_MM = 0.7

POINT_SPREAD_MM = 0.75
"""Standard deviation of the in-plane point spread of a body kernel, mm (full width at half maximum 1.8 mm)."""

SLICE_SPREAD = 0.32
"""Standard deviation of the slice sensitivity profile, part of the slice distance."""

NOISE_PEAK_PER_MM = 0.22
NOISE_CUT_PER_MM = 0.34
"""Shape of the noise power spectrum: a ramp (filtered backprojection) under a Gaussian apodisation, cycles per mm."""

CENTRAL_NOISE = 0.35
"""Increase of the noise in the middle of the body relative to its edge (longer paths through tissue)."""

AIR_NOISE = 0.6
"""Noise in the air around the patient, as a fraction of that in the body."""


def parenchyma(grid: Grid, anatomy: Anatomy, rng: np.random.Generator) -> Field:
    """(K, J, I) float32 Hounsfield units of aerated lung: gravity, regional differences and fine texture."""
    axes = [grid.axis(n) for n in (2, 1, 0)]
    hu = COARSE_TEXTURE[1] * lattice_noise(rng, axes, COARSE_TEXTURE[0])
    hu += FINE_TEXTURE[1] * lattice_noise(rng, axes, FINE_TEXTURE[0])
    gravity = anatomy.parenchyma_hu + anatomy.gravity_hu * np.clip(axes[1] / 170.0, -0.6, 0.6)
    hu += gravity.astype(np.float32)[None, :, None]
    return hu


def add_fissures(grid: Grid, anatomy: Anatomy, hu: Field, rng: np.random.Generator) -> None:
    """Draw the fissures into ``hu`` as faint sheets with gaps, thinner than a voxel."""
    x, y, z = grid.axis(0)[None, :], grid.axis(1)[:, None], grid.axis(2)
    oblique, horizontal = oblique_height(anatomy, x, y), horizontal_height(anatomy, x, y)
    complete = smoothstep(lattice_noise(rng, (np.zeros(1), grid.axis(1), grid.axis(0)), 40.0)[0], -1.6, -0.6)
    for surface, where in ((oblique, None), (horizontal, np.where(x < 0, oblique, np.inf))):
        down, across = np.gradient(surface, grid.voxel_mm[1], grid.voxel_mm[0])
        upright = 1.0 / np.sqrt(1.0 + down**2 + across**2)
        sigma = np.hypot(FISSURE_SIGMA_MM, SLICE_SPREAD * grid.voxel_mm[2] * upright)
        peak = FISSURE_HU * FISSURE_SIGMA_MM / sigma * complete
        for plane, height in zip(hu, z, strict=True):
            rows, columns = np.nonzero(np.abs(height - surface) * upright < 3.5 * sigma)
            off = ((height - surface) * upright / sigma)[rows, columns]
            rise = peak[rows, columns] * np.exp(-0.5 * off**2)
            if where is not None:
                rise = rise * (height > where[rows, columns])
            plane[rows, columns] += rise.astype(np.float32)


def blur(grid: Grid, hu: Field) -> Field:
    """Apply the scanner's in-plane point spread and its slice profile."""
    sigma = [POINT_SPREAD_MM / s for s in grid.geometry.spacing_mm]
    for axis, width in ((0, SLICE_SPREAD), (1, sigma[1]), (2, sigma[0])):
        hu = ndimage.gaussian_filter1d(hu, width, axis=axis, truncate=3.0, mode="nearest", output=np.float32)
    return hu


def add_noise(grid: Grid, hu: Field, sd_hu: float, rng: np.random.Generator) -> None:
    """Add band-limited noise of ``sd_hu`` (at the edge of the body, in soft tissue) to ``hu`` in place."""
    _, rows, columns = grid.shape
    step_x, step_y, _ = grid.geometry.spacing_mm
    frequency = np.hypot(fft.fftfreq(rows, step_y)[:, None], fft.rfftfreq(columns, step_x)[None, :])
    grain = frequency / NOISE_PEAK_PER_MM * np.exp(-((frequency / NOISE_CUT_PER_MM) ** 2))
    grain = grain.astype(np.float32)
    x, y = grid.axis(0)[None, :], grid.axis(1)[:, None]
    middle = 1.0 + CENTRAL_NOISE * np.exp(-((x / 95.0) ** 2) - ((y / 75.0) ** 2))
    unit = 1.0 / np.sqrt(_mean_power(grain, columns))
    for plane in hu:
        white = rng.standard_normal((rows, columns), dtype=np.float32)
        noise = fft.irfft2(fft.rfft2(white, workers=1) * grain, s=(rows, columns), workers=1)
        body = float((plane > -300.0).mean())
        strength = sd_hu * unit * (0.75 + 0.5 * min(body / 0.45, 1.6))
        plane += noise * (strength * middle * np.where(plane < -950.0, AIR_NOISE, 1.0)).astype(np.float32)


def to_int16(hu: Field) -> np.ndarray:
    """Round to integer Hounsfield units, not below air."""
    return np.clip(np.rint(hu), AIR_HU, 3071).astype(np.int16)


def _mean_power(grain: Field, columns: int) -> float:
    """Variance of unit white noise after the half-plane filter ``grain``."""
    twice = np.full(grain.shape[1], 2.0)
    twice[0] = 1.0
    if columns % 2 == 0:
        twice[-1] = 1.0
    return float((np.square(grain, dtype=np.float64) * twice).sum() / (grain.shape[0] * columns))
