"""Vessels of an axial slice by Jerman's enhancement function in 2-D (Jerman 2016, doi 10.1109/TMI.2016.2550102)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.checked import Checked, Range

ROOT_IS_REAL = 1e-9
"""An imaginary part below this is rounding."""


WIDTHS_PX = Range(0.1, 50)
"""Scales that a filter can have, pixels: under a tenth of one it sees nothing else, over fifty a whole lung."""


@dataclass(frozen=True)
class VesselnessConfig(Checked):
    """Scales and threshold of the vessel filter.

    Parameters
    ----------
    sigmas_px : tuple of float, px
        Standard deviations of the Gaussians, as published.
    threshold : float, vesselness
        A pixel of at least this vesselness, 0 to 1, is a vessel. With tau = 1, as published, vesselness grows with the
        curvature alone, so that this is a threshold on the curvature relative to the largest of the slice.
    enabled : bool
        False keeps the vessels (for ablation).

    Raises
    ------
    ConfigurationError
        If a value is of the wrong type or out of its range.
    """

    sigmas_px: tuple[Annotated[float, WIDTHS_PX], ...] = (0.5, 1.0, 1.5, 2.0, 2.5)
    threshold: Annotated[float, Range(0, 1, without_ends=True)] = 0.65
    enabled: bool = True

    @property
    def reach_px(self) -> int:
        """How far a pixel's value depends on its surroundings, pixels."""
        return max(ceil(3 * sigma) for sigma in self.sigmas_px) + 2


def relative_curvature(threshold: float) -> float:
    """The curvature, relative to the largest, where Jerman's function with tau = 1 reaches a threshold.

    With ``r = -lambda2 / max(-lambda2)`` equation (8) of the paper reads ``V = r^2 (1 - r) (3 / (1 + r))^3`` for
    ``r < 1/2`` and 1 above: a rising function, so that one comparison replaces its evaluation in every pixel.

    Parameters
    ----------
    threshold : float
        Vesselness, 0 to 1.

    Raises
    ------
    ValueError
        If ``threshold`` is not between 0 and 1.
    """
    if not 0.0 < threshold < 1.0:
        raise ValueError(f"vesselness threshold {threshold} must lie between 0 and 1")
    cubic = (-27.0 - threshold, 27.0 - 3.0 * threshold, -3.0 * threshold, -threshold)  # 27 r^2 (1 - r) - V (1 + r)^3
    roots = np.roots(cubic)
    return float(next(r.real for r in roots if abs(r.imag) < ROOT_IS_REAL and 0.0 < r.real < 0.5))


def vessel_mask(image_hu: NDArray[np.float32], config: VesselnessConfig) -> NDArray[np.bool_]:
    """Bright, line-like structures of a slice, at any of the scales.

    Parameters
    ----------
    image_hu : (J, I) ndarray of float32
        Hounsfield units.
    config : VesselnessConfig
        Scales and threshold.

    Returns
    -------
    (J, I) ndarray of bool
    """
    share = np.float32(relative_curvature(config.threshold))
    mask = np.zeros(image_hu.shape, dtype=bool)
    for sigma in config.sigmas_px:
        curvature = line_curvature(image_hu, sigma)
        largest = curvature.max()
        if largest > 0:
            mask |= curvature >= share * largest
    return mask


def line_curvature(image: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """-lambda2 of the scale-normalised Hessian, 0 where the slice is not brighter than around.

    lambda2 is the eigenvalue of larger magnitude. The Hessian is taken by repeated central differences of the smoothed
    image (kernel radius ``ceil(3 sigma)``, edges replicated), times ``sigma^2``.

    Parameters
    ----------
    image : (J, I) ndarray of float32
        A slice.
    sigma_px : float
        Scale, pixels.

    Returns
    -------
    (J, I) ndarray of float32
    """
    from skimage.feature import hessian_matrix_eigvals  # only the published method needs it

    smooth = ndimage.gaussian_filter(image, sigma_px, mode="nearest", radius=ceil(3 * sigma_px))
    d_row, d_column = np.gradient(smooth)
    h_rr, h_rc = np.gradient(d_row)
    h_cc = np.gradient(d_column, axis=1)
    hessian = np.stack([h_rr, h_rc, h_cc]) * np.float32(sigma_px * sigma_px)
    _, lower = hessian_matrix_eigvals(hessian)
    # the negative eigenvalue is the larger in magnitude where the trace is negative
    return np.where(hessian[0] + hessian[2] < 0, -lower, np.float32(0.0))
