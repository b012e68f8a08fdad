"""The expected lung: the usual lungs, fitted to what the CT shows of the patient's.

The usual lungs are data (:data:`EXPECTED_LUNGS_FILE`). An affine map, then a smooth displacement, moves them to the
patient's. Both follow the observations. The surface of aerated lung counts less the deeper it lies inside the expected
lung, because there it may be the face of an opacity. Organs stay outside.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.checked import known
from CovidSeverityLib.morphology.grid import Edges, FloatImage, Mask, bounding_box, signed_distance
from CovidSeverityLib.types import Side, triple

from .config import ExpectedLungConfig

EXPECTED_LUNGS_FILE = "expected_lungs.npz"
"""Labels of the usual lungs and their grid, written by ``models/expected_lungs``."""


@dataclass(frozen=True, eq=False)
class SurfaceObservations:
    """What the CT shows of one lung.

    Parameters
    ----------
    surface : (K, J, I) ndarray of bool
        Outermost voxels of the lung, as far as it is known.
    trust : (N,) ndarray of float32
        Trust in each of these, in array order, 0 to 1: 1 in the lung's own surface, less in what may be the face of an
        opacity.
    organs : (K, J, I) ndarray of bool
        Outermost voxels of what is not lung.
    spacing_mm : tuple of float
        Edges of a voxel (K, J, I), mm.
    """

    surface: Mask
    trust: FloatImage
    organs: Mask
    spacing_mm: Edges


def fit_usual_lung(
    side: Side, seen: SurfaceObservations, box_mm: NDArray[np.float64], config: ExpectedLungConfig
) -> FloatImage:
    """Fit the usual lung by an affine map.

    Parameters
    ----------
    side : Side
        Which lung.
    seen : SurfaceObservations
        What the CT shows of it.
    box_mm : (2, 3) ndarray of float64
        Corners (K, J, I) of the box around both lungs as far as they are known, mm.
    config : ExpectedLungConfig
        How the map is found.

    Returns
    -------
    (K, J, I) ndarray of float32
        Distance to the surface of the lung, negative inside, mm.
    """
    usual = _usual_lungs()
    lungs, corners = usual.distances, usual.corners_mm
    stretch = (corners[1] - corners[0]) / (box_mm[1] - box_mm[0])
    matrix, shift = _affine(lungs[side], seen, np.diag(stretch), corners[0] - stretch * box_mm[0], config)
    distance = _resampled_on_patient(lungs[side], matrix, shift, seen)
    return (distance / np.cbrt(abs(np.linalg.det(matrix)))).astype(np.float32)


@dataclass(frozen=True, eq=False)
class _UsualLungs:
    """Signed distance to each lung (K, J, I), mm, the grid, and the corners of the box around both, mm."""

    distances: dict[Side, FloatImage]
    step_mm: float
    origin_mm: NDArray[np.float64]
    corners_mm: NDArray[np.float64]


@lru_cache(maxsize=1)
def _usual_lungs() -> _UsualLungs:
    with np.load(io.BytesIO(resources.files(known(__package__)).joinpath(EXPECTED_LUNGS_FILE).read_bytes())) as stored:
        sides, step, origin = stored["sides"], float(stored["step_mm"]), stored["origin_mm"][::-1]
    distances = {side: signed_distance(sides == side, (step, step, step)) for side in Side}
    inside = np.argwhere(sides > 0)
    corners = np.array([inside.min(axis=0), inside.max(axis=0) + 1]) * step + origin
    return _UsualLungs(distances, step, origin, corners)


def _interpolated(field: FloatImage, points_mm: NDArray[np.float64]) -> FloatImage:
    usual = _usual_lungs()
    index = (points_mm - usual.origin_mm) / usual.step_mm
    return ndimage.map_coordinates(field, index.T, order=1, mode="nearest")


def _resampled_on_patient(field: FloatImage, matrix: NDArray, shift: NDArray, seen: SurfaceObservations) -> FloatImage:
    usual = _usual_lungs()
    scale = matrix * np.array(seen.spacing_mm) / usual.step_mm
    offset = ((matrix * (0.5 * np.array(seen.spacing_mm))).sum(axis=1) + shift - usual.origin_mm) / usual.step_mm
    return ndimage.affine_transform(field, scale, offset, seen.surface.shape, order=1, mode="nearest")


def _surface_points(mask: Mask, spacing_mm: Edges, most: int) -> tuple[NDArray[np.float64], int]:
    """(N, 3) centres of about ``most`` voxels of ``mask``, mm, and the step from one of them to the next."""
    found = np.argwhere(mask)
    step = max(1, len(found) // most)
    return (found[::step] + 0.5) * np.array(spacing_mm, dtype=np.float64), step


def _affine(
    field: NDArray, seen: SurfaceObservations, matrix: NDArray, shift: NDArray, config: ExpectedLungConfig
) -> tuple[NDArray, NDArray]:
    """The affine map from patient to usual chest, by weighted Gauss-Newton steps from a first guess."""
    slopes = [slope / np.float32(_usual_lungs().step_mm) for slope in np.gradient(field)]
    surface, step = _surface_points(seen.surface, seen.spacing_mm, config.surface_samples)
    organs, _ = _surface_points(seen.organs, seen.spacing_mm, config.surface_samples)
    trust, length_mm = seen.trust[::step], config.affine_length_mm
    centre = surface.mean(axis=0)
    arms = np.concatenate([surface, organs]) - centre
    arms = np.concatenate([arms / length_mm, np.ones((len(arms), 1))], axis=1)
    guess = np.concatenate([matrix * length_mm, ((matrix * centre).sum(axis=1) + shift)[:, None]], axis=1)
    current = guess
    for trust_mm in np.linspace(*config.affine_trust_mm, config.affine_rounds):
        mapped = np.einsum("ab,nb->na", current, arms)
        error = _interpolated(field, mapped).astype(np.float64)
        weight = _surface_weight(error[: len(surface)], trust, trust_mm, config.far_mm)
        error[len(surface) :] -= config.organ_gap_mm / 2
        inside = (error[len(surface) :] < 0) * min(1.0, len(surface) / max(1, len(organs)))
        slope = np.stack([_interpolated(s, mapped) for s in slopes], axis=1)
        hold = config.affine_stiffness * float(weight.sum()) * np.array([[1.0, 1.0, 1.0, 0.0]] * 3).ravel()
        back = hold * config.affine_stiffness * (current - guess).ravel()
        current = _gauss_newton_step(current, slope, arms, error, np.concatenate([weight, inside]), hold, back)
    matrix = current[:, :3] / length_mm
    return matrix, current[:, 3] - (matrix * centre).sum(axis=1)


def _gauss_newton_step(
    current: NDArray, slope: NDArray, arms: NDArray, error: NDArray, weight: NDArray, hold: NDArray, back: NDArray
) -> NDArray[np.float64]:
    """One step of the (3, 4) map, held near the first guess (``einsum`` sums in a fixed order)."""
    design = np.einsum("na,nb->nab", slope, arms).reshape(len(arms), -1)
    normal = np.einsum("n,na,nb->ab", weight, design, design, optimize=False)
    target = np.einsum("n,na,n->a", weight, design, error, optimize=False) + back
    damping = np.diag(hold + 1e-6 * np.trace(normal))
    return current - np.linalg.solve(normal + damping, target).reshape(3, 4)


def _surface_weight(distance: NDArray, trust: NDArray, trust_mm: float, far_mm: float) -> NDArray:
    """Outside the expected lung only lung makes a surface; inside it, the face of an opacity may."""
    outside = 1.0 / (1.0 + (np.maximum(distance, 0.0) / far_mm) ** 2)
    return np.where(distance > 0, outside, trust / (1.0 + (distance / trust_mm) ** 2) ** 2)


def register_nonrigid(seen: SurfaceObservations, distance: FloatImage, config: ExpectedLungConfig) -> FloatImage:
    """Move the expected surface onto the observed one by smooth displacements, from coarse to fine.

    Every displacement is a normalised convolution of the remaining error (Knutsson and Westin 1993,
    doi 10.1109/CVPR.1993.341081).

    Parameters
    ----------
    seen : SurfaceObservations
        What the CT shows of the lung.
    distance : (K, J, I) ndarray of float32
        Distance to the expected surface, from :func:`fit_usual_lung`, mm.
    config : ExpectedLungConfig
        The rounds of the displacement.

    Returns
    -------
    (K, J, I) ndarray of float32
        Distance to the moved surface, negative inside, mm.
    """
    half_block = 0.5 * min(seen.spacing_mm)
    for sigma_mm, trust_mm in config.field_rounds:
        error, weight = np.zeros_like(distance), np.zeros_like(distance)
        lacking = np.maximum(config.organ_gap_mm - distance[seen.organs], 0.0)
        error[seen.organs], weight[seen.organs] = lacking, lacking > 0
        outside = distance[seen.surface] + half_block
        error[seen.surface] = -outside
        weight[seen.surface] = _surface_weight(outside, seen.trust, trust_mm, config.far_mm)
        sigma = [sigma_mm / mm for mm in seen.spacing_mm]
        plane = seen.spacing_mm[0] / (np.sqrt(2 * np.pi) * sigma_mm)
        box = bounding_box(weight > 0, margin=triple(1 + int(2.5 * s) for s in sigma))  # elsewhere nothing pulls
        pull = ndimage.gaussian_filter((error * weight)[box], sigma, truncate=2.5)
        support = ndimage.gaussian_filter(weight[box], sigma, truncate=2.5)
        distance = distance.copy()
        distance[box] += pull / (support + np.float32(config.field_stiffness * plane))
    return distance
