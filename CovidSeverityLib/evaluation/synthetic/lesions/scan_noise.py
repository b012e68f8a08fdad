"""Strength and grain of the noise of a CT, so that simulated lesions can have the same noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.io.volume import CtVolume

SOFT_TISSUE_HU = (-20.0, 110.0)
"""Density of muscle, blood and liver after smoothing: homogeneous tissue, in which the variation is noise."""

SMOOTHING_PX = 2.0
"""Standard deviation of the smoothing that separates tissue from noise, pixels."""

MARGIN_PX = 6
"""Pixels of homogeneous tissue required around a pixel, because an edge is not noise."""

MEASURED_SLICES = 12
FEWEST_PIXELS = 500
"""With fewer pixels of homogeneous tissue nothing is measured, and the noise is :data:`TYPICAL`."""

MAD_TO_SD = 1.4826
"""Standard deviation of a normal distribution in median absolute deviations."""

GRAINS_PX = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5)
"""Candidate grains: standard deviation of the Gaussian that smooths white noise, pixels."""


@dataclass(frozen=True)
class ScanNoise:
    """``sd_hu`` is the standard deviation of the noise, ``grain_px`` that of the Gaussian for its grain."""

    sd_hu: float
    grain_px: float


TYPICAL = ScanNoise(18.0, 0.7)
"""A routine chest CT with slices of about 2 mm."""


def estimate_noise(volume: CtVolume) -> ScanNoise:
    """Measure the noise in the soft tissue of a CT.

    Parameters
    ----------
    volume : CtVolume
        Chest CT in HU. Without homogeneous soft tissue the result is :data:`TYPICAL`.
    """
    depth = volume.hu.shape[0]
    slices = np.unique(np.linspace(depth // 8, depth - 1 - depth // 8, MEASURED_SLICES).astype(int))
    parts = [_residuals(volume.hu[k].astype(np.float32)) for k in slices]
    here, beside = (np.concatenate(values) for values in zip(*parts, strict=True))
    if here.size < FEWEST_PIXELS:
        return TYPICAL
    sd = MAD_TO_SD * float(np.median(np.abs(here - np.median(here))))
    difference = MAD_TO_SD * float(np.median(np.abs(here - beside)))
    references = {grain: _reference(grain) for grain in GRAINS_PX}
    grain = min(GRAINS_PX, key=lambda g: abs(references[g][1] / references[g][0] - difference / max(sd, 1e-6)))
    return ScanNoise(sd / references[grain][0], grain)


def noise_plane(noise: ScanNoise, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """A slice of this noise, HU, ``shape`` (J, I)."""
    white = rng.standard_normal(shape, dtype=np.float32)
    if noise.grain_px == 0:
        return np.float32(noise.sd_hu) * white
    return np.float32(noise.sd_hu) * _unit_grain(white, noise.grain_px)


def _unit_grain(white: NDArray[np.float32], grain_px: float) -> NDArray[np.float32]:
    """White noise smoothed to a grain, scaled to unit standard deviation."""
    impulse = np.zeros(4 * int(np.ceil(4 * grain_px)) + 1)
    impulse[impulse.size // 2] = 1.0
    norm = np.square(ndimage.gaussian_filter1d(impulse, grain_px)).sum()
    return cast(NDArray[np.float32], ndimage.gaussian_filter(white, grain_px) / np.float32(norm))


def _residuals(plane: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Homogeneous tissue minus its smooth part, at every pixel and at its neighbour, HU."""
    smooth = ndimage.gaussian_filter(plane, SMOOTHING_PX)
    tissue = (smooth > SOFT_TISSUE_HU[0]) & (smooth < SOFT_TISSUE_HU[1])
    even = ndimage.minimum_filter(tissue, MARGIN_PX + 1, mode="constant", cval=False)[:, :-1]
    rest = plane - smooth
    return rest[:, :-1][even], rest[:, 1:][even]


def _reference(grain_px: float) -> tuple[float, float]:
    """Standard deviations of unit noise without its smooth part: of a pixel, and of the difference of neighbours."""
    plane = noise_plane(ScanNoise(1.0, grain_px), (256, 256), np.random.default_rng(0))
    rest = plane - ndimage.gaussian_filter(plane, SMOOTHING_PX)
    return float(rest.std()), float((rest[:, 1:] - rest[:, :-1]).std())
