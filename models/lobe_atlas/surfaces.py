"""A fissure as a height field of B-splines over its plane: the plane, the splines and what is smooth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.segmentation.lobes.lobe_atlas import Fissure, FissurePlane, spline_taps
from CovidSeverityLib.types import Side

from .cases import AtlasLungs

KNOT_MM = 28.0
"""Distance of the B-splines' knots: the fissures' undulations are longer."""

MARGIN_MM = 10.0
"""How far a surface's plane reaches beyond the lung."""

BESIDE_PLANE_MM = 60.0
"""Lung farther from the plane than this has no say in how far the plane reaches."""

PRIOR_SD_MM = 8.0
PRIOR_LENGTH_MM = 45.0
SMOOTH_SHARE = 0.995
"""Covariance of a smooth surface, and the share of it that is kept: the fit works in its principal directions, a
quarter of the coefficients."""


def plane_of(points: NDArray[np.float64], lungs: AtlasLungs, side: Side) -> FissurePlane:
    """The plane of steepest least-squares fit in sagittal view, over the extent of the lung.

    Parameters
    ----------
    points : (N, 3) ndarray of float64
        K, J, I in the atlas lungs, mm; of all cases.
    lungs : AtlasLungs
        Of the atlas.
    side : Side
        The lung that the fissure divides.
    """
    centre = points.mean(axis=0)
    covariance = np.cov((points - centre)[:, :2].T)
    along = np.linalg.eigh(covariance)[1][:, 1]
    tilt = float(np.round(np.degrees(np.arctan2(along[0], along[1])) % 180.0, 1))
    plane = FissurePlane(tuple(np.round(centre, 1).tolist()), tilt, (0.0, 1.0), (0.0, 1.0))
    a, b, h = plane.of_atlas(*(np.argwhere(lungs.masks[side]) * lungs.spacing_mm + lungs.origin_mm).T)
    near = np.abs(h) < BESIDE_PLANE_MM
    a, b = a[near], b[near]
    limits = [(float(np.floor(x.min() - MARGIN_MM)), float(np.ceil(x.max() + MARGIN_MM))) for x in (a, b)]
    return FissurePlane(plane.origin_mm, tilt, *limits)


def coefficient_shape(plane: FissurePlane) -> tuple[int, int]:
    """Number of B-splines along a and b."""
    return tuple(3 + round((high - low) / KNOT_MM) for low, high in (plane.a_mm, plane.b_mm))


def rows_of(
    plane: FissurePlane, a: NDArray[np.float64], b: NDArray[np.float64], derivative: str = ""
) -> NDArray[np.float64]:
    """(N, A * B) values of all B-splines at positions, or their derivative along "a" or "b" (by differences)."""
    if derivative:
        step = {"a": (0.5, 0.0), "b": (0.0, 0.5)}[derivative]
        return rows_of(plane, a + step[0], b + step[1]) - rows_of(plane, a - step[0], b - step[1])
    shape = coefficient_shape(plane)
    first_a, weight_a = spline_taps(a, plane.a_mm, shape[0])
    first_b, weight_b = spline_taps(b, plane.b_mm, shape[1])
    rows = np.zeros((len(a), *shape))
    for m in range(4):
        for n in range(4):
            rows[np.arange(len(a)), first_a + m, first_b + n] = weight_a[m] * weight_b[n]
    return rows.reshape(len(a), -1)


def smooth_covariance(plane: FissurePlane) -> NDArray[np.float64]:
    """(A * B, A * B) covariance of a smooth surface's coefficients, mm2."""
    shape = coefficient_shape(plane)
    steps = [(high - low) / (n - 3) for (low, high), n in zip((plane.a_mm, plane.b_mm), shape, strict=True)]
    at = np.stack(np.meshgrid(*(np.arange(n) * s for n, s in zip(shape, steps, strict=True)), indexing="ij"), -1)
    at = at.reshape(-1, 2)
    squared = ((at[:, None] - at[None]) ** 2).sum(axis=-1)
    return PRIOR_SD_MM**2 * np.exp(-0.5 * squared / PRIOR_LENGTH_MM**2)


def smooth_directions(
    planes: Mapping[Fissure, FissurePlane], size: int, parts: Mapping[Fissure, NDArray[np.intp]]
) -> NDArray[np.float64]:
    """(``size``, C) principal directions of smooth surfaces, each one standard deviation long, mm.

    Parameters
    ----------
    planes : mapping of Fissure to FissurePlane
        Of a lung's fissures.
    size : int
        How many coefficients the fissures have together.
    parts : mapping of Fissure to ndarray of intp
        Which of them are those of each fissure.
    """
    blocks = []
    for fissure, part in parts.items():
        values, vectors = np.linalg.eigh(smooth_covariance(planes[fissure]))
        kept = np.cumsum(values[::-1]) <= SMOOTH_SHARE * values.sum()
        block = np.zeros((size, np.count_nonzero(kept)))
        block[part] = (vectors * np.sqrt(np.maximum(values, 0.0)))[:, ::-1][:, kept]
        blocks.append(block)
    return np.concatenate(blocks, axis=1)
