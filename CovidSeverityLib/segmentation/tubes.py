"""Pieces of large vessels among what is thicker than vessels should be: tubes with the density of blood.

A vessel goes on along its axis: there its density does not curve, while it does across (Frangi 1998,
doi 10.1007/BFb0056195, equation 11). Consolidations of that size are rounder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

TOUCHING = np.ones((3, 3, 3), dtype=bool)

MARGIN_MM = 10.0
"""Surroundings of a piece that its curvature depends on: twice the scale."""

MOST_POINTS = 400
"""Places of a piece whose curvature is looked at, spread evenly."""

CORE_SHARE = 0.6
"""The core of a piece is what is at least this share of its largest depth deep."""

CLIPPED_HU = (-100.0, 900.0)
"""Excess density that the curvature is taken of: calcium and metal count as soft tissue."""

SECOND_DERIVATIVES = {
    (0, 0): (2, 0, 0),
    (1, 1): (0, 2, 0),
    (2, 2): (0, 0, 2),
    (0, 1): (1, 1, 0),
    (0, 2): (1, 0, 1),
    (1, 2): (0, 1, 1),
}


@dataclass(frozen=True)
class TubeConfig:
    """What counts as a piece of a vessel.

    Parameters
    ----------
    largest_radius_mm : thicker pieces are no vessels (the interlobar artery has a radius of 8 mm).
    core_hu : the middle of a vessel of more than 5 mm is free of partial volume and at least so dense (blood is 30-50
        HU, less a blurred wall).
    scales_mm : of the curvature: about the radii of the vessels in question over the square root of 2.
    blob_ratio : curvature along the axis over that across, median over the core, the smallest over the scales; lower is
        a tube. A ball has 1; in a healthy scan and synthetic chests vessels had 0.07 to 0.28, round opacities of that
        size 0.31 to 0.59.
    """

    largest_radius_mm: float = 7.5
    core_hu: float = -300.0
    scales_mm: tuple[float, ...] = (3.0, 4.5)
    blob_ratio: float = 0.3


def without_tubes(
    mask: NDArray[np.bool_],
    hu: NDArray[np.float32],
    excess_hu: NDArray[np.float32],
    spacing_mm: tuple[float, float, float],
    config: TubeConfig = TubeConfig(),
) -> NDArray[np.bool_]:
    """``mask`` without the connected pieces that are vessels.

    Parameters
    ----------
    mask : (K, J, I) bool.
    hu, excess_hu : (K, J, I) float32, density and its excess over aerated lung, HU.
    spacing_mm : (K, J, I), mm.
    config : what counts as a vessel.
    """
    labels, _ = ndimage.label(mask, TOUCHING)
    margin = [int(np.ceil(MARGIN_MM / mm)) for mm in spacing_mm]
    kept = mask.copy()
    for label, found in enumerate(ndimage.find_objects(labels), start=1):
        box = tuple(slice(max(0, s.start - m), s.stop + m) for s, m in zip(found, margin, strict=True))
        piece = labels[box] == label
        if _is_tube(piece, hu[box], excess_hu[box], spacing_mm, config):
            kept[box] &= ~piece
    return kept


def _is_tube(
    piece: NDArray[np.bool_],
    hu: NDArray[np.float32],
    excess_hu: NDArray[np.float32],
    spacing_mm: tuple[float, float, float],
    config: TubeConfig,
) -> bool:
    depth = np.stack([ndimage.distance_transform_edt(np.pad(s, 1), spacing_mm[1:])[1:-1, 1:-1] for s in piece])
    core = piece & (depth >= CORE_SHARE * depth.max())
    if depth.max() > config.largest_radius_mm or np.median(hu[core]) < config.core_hu:
        return False
    points = np.argwhere(core)
    points = points[:: max(1, len(points) // MOST_POINTS)]
    ratios = [np.median(_blob_ratios(excess_hu, points, spacing_mm, scale)) for scale in config.scales_mm]
    return bool(min(ratios) < config.blob_ratio)


def _blob_ratios(
    excess_hu: NDArray[np.float32], points: NDArray[np.intp], spacing_mm: tuple[float, float, float], scale_mm: float
) -> NDArray[np.float64]:
    """(N,) smallest curvature over the geometric mean of the others, at ``points`` (N, 3)."""
    image = np.clip(excess_hu, *CLIPPED_HU)
    sigma = [scale_mm / mm for mm in spacing_mm]
    hessian = np.empty((len(points), 3, 3))
    for (row, column), order in SECOND_DERIVATIVES.items():
        unit = np.prod([mm**n for mm, n in zip(spacing_mm, order, strict=True)])
        values = ndimage.gaussian_filter(image, sigma, order=order, mode="nearest")[tuple(points.T)] / unit
        hessian[:, row, column] = hessian[:, column, row] = values
    curvatures = np.sort(np.abs(np.linalg.eigvalsh(hessian)), axis=1)
    return curvatures[:, 0] / np.sqrt(np.maximum(curvatures[:, 1] * curvatures[:, 2], np.finfo(float).tiny))
