"""Which densities may be opacity: a slice's mixture and the windows around its components.

The opacities and the classification image begin here alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.parallel import map_in_order

from .config import PublishedOpacityConfig
from .mixture import MixtureFit, fit_mixtures

MIXTURE_BATCH = 16
"""Slices whose mixtures are fitted side by side: enough to keep out of Python, few enough for a processor's cache."""


def masked_slice(hu: NDArray[np.int16], lung: NDArray[np.bool_], config: PublishedOpacityConfig) -> NDArray[np.int16]:
    """Hounsfield units inside the lung, 0 outside (and, as published, what is exactly 0 HU is lost to it).

    Parameters
    ----------
    hu : (J, I) ndarray of int16
        Hounsfield units.
    lung : (J, I) ndarray of bool
        Both lungs.
    config : PublishedOpacityConfig
        Its ``clip_hu``.
    """
    return np.where(lung, hu if config.clip_hu is None else np.clip(hu, *config.clip_hu), np.int16(0))


def slice_mixtures(masked: NDArray[np.int16], config: PublishedOpacityConfig) -> list[MixtureFit | None]:
    """Every slice's mixture; None where it holds too few values.

    Parameters
    ----------
    masked : (K, J, I) ndarray of int16
        Slices of :func:`masked_slice`; at least one.
    config : PublishedOpacityConfig
        Its ``mixture``.
    """
    first, last = min(int(masked.min()), 0), max(int(masked.max()), 0)
    values = np.arange(first, last + 1)
    counts = np.stack([np.bincount(s.ravel().astype(np.int64) - first, minlength=values.size) for s in masked])
    counts[:, -first] = 0  # 0 HU is what lies outside the lung
    batches = [counts[n : n + MIXTURE_BATCH] for n in range(0, len(counts), MIXTURE_BATCH)]
    fits = map_in_order(lambda batch: fit_mixtures(values, batch, config.mixture), batches, "mixtures", None)
    return [fit for batch in fits for fit in batch]


def windows(fit: MixtureFit, config: PublishedOpacityConfig) -> tuple[tuple[float, float], tuple[float, float]]:
    """(lower, upper) HU of the 2nd and of the 3rd component; both bounds are outside the window."""
    result = []
    for mean, sd, cap in zip(fit.means_hu[1:], fit.sds_hu[1:], config.window_caps_hu, strict=True):
        lower, upper = mean - config.window_sds * sd, mean + config.window_sds * sd
        result.append((max(lower, config.window_floor_hu), upper if upper <= config.window_ceiling_hu else cap))
    return result[0], result[1]


def window_mask(masked: NDArray[np.int16], fit: MixtureFit, config: PublishedOpacityConfig) -> NDArray[np.bool_]:
    """What lies inside the windows; a voxel without a value (0) never does.

    Parameters
    ----------
    masked : ndarray of int16
        Of any shape, as :func:`masked_slice` gives it.
    fit : MixtureFit
        The slice's mixture.
    config : PublishedOpacityConfig
        The windows.
    """
    (low_2, high_2), (low_3, high_3) = windows(fit, config)
    return (((masked > low_2) & (masked < high_2)) | ((masked > low_3) & (masked < high_3))) & (masked != 0)


def histogram(hu: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every value from the smallest to the largest in ``hu``, and how often it occurs."""
    if hu.size == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    first = int(hu.min())
    counts = np.bincount(hu.ravel().astype(np.int64) - first)
    return np.arange(first, first + counts.size), counts
