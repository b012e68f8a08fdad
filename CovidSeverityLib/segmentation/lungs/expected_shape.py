"""Where a lung is to be expected: the usual chest, fitted to what is seen of this one.

The usual lungs are data (:data:`EXPECTED_LUNGS_FILE`). They are brought to the patient's by an affine map, then by a
displacement that varies smoothly. Both follow what is seen. The surface of aerated lung counts the less the deeper it
lies inside the expected lung, because there it may be the face of an opacity. What is known not to be lung must stay
outside.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.grid import distance_to
from CovidSeverityLib.types import Side

from .rib_cage import Spacing

EXPECTED_LUNGS_FILE = "expected_lungs.npz"
"""Labels of the usual lungs and their grid, written by ``models/expected_lungs``."""

AFFINE_ROUNDS = 15
AFFINE_TRUST_MM = (20.0, 8.0)
"""Depth inside the expected lung at which a surface counts a quarter, in the first and in the last round: the usual
lung is 2 cm off before it is fitted."""

AFFINE_LENGTH_MM = 60.0
"""Half the width of a lung: turns a slope into the displacement that it makes."""

AFFINE_STIFFNESS = 0.02
"""Weight of the first guess against the seen surface."""

SAMPLES = 2500
"""Points of a surface that the affine fit looks at: one on a square centimetre and less."""

FIELD_ROUNDS = (
    (40.0, 14.0),
    (40.0, 12.0),
    (25.0, 10.0),
    (25.0, 9.0),
    (15.0, 8.0),
    (15.0, 7.0),
    (10.0, 6.0),
    (10.0, 5.0),
)
"""Standard deviation of the smoothing and depth of trust (as above), mm: from the size of the heart to that of a
vessel, twice each."""

FIELD_STIFFNESS = 0.03
"""Share of a fully seen plane at which the displacement is halved: where nothing is seen the shape stays."""

FAR_MM = 30.0
"""Aerated lung this far outside the expected one counts half: colon or an artefact may pull, lung prevails."""

ORGAN_GAP_MM = 2.0
"""What is not lung stays this far outside, half a block."""


@dataclass(frozen=True, eq=False)
class SurfaceObservations:
    """What is known of one lung, in mm of the patient.

    Parameters
    ----------
    surface : (K, J, I) bool, outermost voxels of the lung as far as it is known.
    trust : (N,) of these in array order, 0 to 1: 1 for the lung's own surface, less for what may be an opacity's face.
    organs : (K, J, I) bool, outermost voxels of what is not lung.
    spacing_mm : (K, J, I).
    """

    surface: NDArray[np.bool_]
    trust: NDArray[np.float32]
    organs: NDArray[np.bool_]
    spacing_mm: Spacing


def usual_lung(side: Side, seen: SurfaceObservations, box_mm: NDArray[np.float64]) -> NDArray[np.float32]:
    """The usual lung, fitted by an affine map: distance to its surface, negative inside, mm.

    Parameters
    ----------
    box_mm : (2, 3) corners (K, J, I) of the box around both lungs as far as they are known.
    """
    usual = _usual_lungs()
    lungs, corners = usual.distances, usual.corners_mm
    stretch = (corners[1] - corners[0]) / (box_mm[1] - box_mm[0])
    matrix, shift = _affine(lungs[side], seen, np.diag(stretch), corners[0] - stretch * box_mm[0])
    return (_on_patient(lungs[side], matrix, shift, seen) / np.cbrt(abs(np.linalg.det(matrix)))).astype(np.float32)


@dataclass(frozen=True, eq=False)
class _UsualLungs:
    """Signed distance to each lung (K, J, I), mm, the grid, and the corners of the box around both, mm."""

    distances: dict[Side, NDArray[np.float32]]
    step_mm: float
    origin_mm: NDArray[np.float64]
    corners_mm: NDArray[np.float64]


@lru_cache(maxsize=1)
def _usual_lungs() -> _UsualLungs:
    with np.load(io.BytesIO(resources.files(__package__).joinpath(EXPECTED_LUNGS_FILE).read_bytes())) as stored:
        sides, step, origin = stored["sides"], float(stored["step_mm"]), stored["origin_mm"][::-1]
    spacing = (step,) * 3
    distances = {side: distance_to(sides == side, spacing) - distance_to(sides != side, spacing) for side in Side}
    inside = np.argwhere(sides > 0)
    corners = np.array([inside.min(axis=0), inside.max(axis=0) + 1]) * step + origin
    return _UsualLungs(distances, step, origin, corners)


def _sample(field: NDArray[np.float32], points_mm: NDArray[np.float64]) -> NDArray[np.float32]:
    usual = _usual_lungs()
    index = (points_mm - usual.origin_mm) / usual.step_mm
    return ndimage.map_coordinates(field, index.T, order=1, mode="nearest")


def _on_patient(
    field: NDArray[np.float32], matrix: NDArray, shift: NDArray, seen: SurfaceObservations
) -> NDArray[np.float32]:
    usual = _usual_lungs()
    scale = matrix * np.array(seen.spacing_mm) / usual.step_mm
    offset = ((matrix * (0.5 * np.array(seen.spacing_mm))).sum(axis=1) + shift - usual.origin_mm) / usual.step_mm
    return ndimage.affine_transform(field, scale, offset, seen.surface.shape, order=1, mode="nearest")


def _points(mask: NDArray[np.bool_], spacing_mm: Spacing) -> tuple[NDArray[np.float64], int]:
    """(N, 3) centres of at most about :data:`SAMPLES` voxels of ``mask``, mm, and every which of them was taken."""
    found = np.argwhere(mask)
    every = max(1, len(found) // SAMPLES)
    return (found[::every] + 0.5) * np.array(spacing_mm), every


def _affine(field: NDArray, seen: SurfaceObservations, matrix: NDArray, shift: NDArray) -> tuple[NDArray, NDArray]:
    """The affine map from patient to usual chest, by weighted Gauss-Newton steps from a first guess."""
    slopes = [slope / np.float32(_usual_lungs().step_mm) for slope in np.gradient(field)]
    surface, every = _points(seen.surface, seen.spacing_mm)
    organs, _ = _points(seen.organs, seen.spacing_mm)
    trust = seen.trust[::every]
    centre = surface.mean(axis=0)
    arms = np.concatenate([surface, organs]) - centre
    arms = np.concatenate([arms / AFFINE_LENGTH_MM, np.ones((len(arms), 1))], axis=1)
    guess = np.concatenate([matrix * AFFINE_LENGTH_MM, ((matrix * centre).sum(axis=1) + shift)[:, None]], axis=1)
    current = guess
    for tau in np.linspace(*AFFINE_TRUST_MM, AFFINE_ROUNDS):
        mapped = np.einsum("ab,nb->na", current, arms)
        error = _sample(field, mapped).astype(np.float64)
        weight = _surface_weight(error[: len(surface)], trust, tau)
        error[len(surface) :] -= ORGAN_GAP_MM / 2
        inside = (error[len(surface) :] < 0) * min(1.0, len(surface) / max(1, len(organs)))
        slope = np.stack([_sample(s, mapped) for s in slopes], axis=1)
        current = _step(current, guess, slope, arms, error, np.concatenate([weight, inside]), float(weight.sum()))
    matrix = current[:, :3] / AFFINE_LENGTH_MM
    return matrix, current[:, 3] - (matrix * centre).sum(axis=1)


def _step(
    current: NDArray, guess: NDArray, slope: NDArray, arms: NDArray, error: NDArray, weight: NDArray, surface: float
) -> NDArray[np.float64]:
    """One Gauss-Newton step of the (3, 4) map, held near the first guess (``einsum`` sums in a fixed order)."""
    design = np.einsum("na,nb->nab", slope, arms).reshape(len(arms), -1)
    hold = AFFINE_STIFFNESS * surface * np.array([[1.0, 1.0, 1.0, 0.0]] * 3).ravel()
    normal = np.einsum("n,na,nb->ab", weight, design, design, optimize=False)
    target = np.einsum("n,na,n->a", weight, design, error, optimize=False)
    target += hold * AFFINE_STIFFNESS * (current - guess).ravel()
    damping = np.diag(hold + 1e-6 * np.trace(normal))
    return current - np.linalg.solve(normal + damping, target).reshape(3, 4)


def _surface_weight(distance: NDArray, trust: NDArray, tau: float) -> NDArray:
    """Outside the expected lung nothing but lung makes a surface; inside, the face of an opacity may."""
    outside = 1.0 / (1.0 + (np.maximum(distance, 0.0) / FAR_MM) ** 2)
    return np.where(distance > 0, outside, trust / (1.0 + (distance / tau) ** 2) ** 2)


def register_nonrigid(seen: SurfaceObservations, distance: NDArray[np.float32]) -> NDArray[np.float32]:
    """``distance`` after its surface has been moved onto the seen one by smooth displacements, coarse to fine.

    Every displacement is a normalised convolution of what is still missing (Knutsson and Westin 1993,
    doi 10.1109/CVPR.1993.341081).
    """
    half_block = 0.5 * min(seen.spacing_mm)
    for sigma_mm, tau in FIELD_ROUNDS:
        error, weight = np.zeros_like(distance), np.zeros_like(distance)
        lacking = np.maximum(ORGAN_GAP_MM - distance[seen.organs], 0.0)
        error[seen.organs], weight[seen.organs] = lacking, lacking > 0
        outside = distance[seen.surface] + half_block
        error[seen.surface], weight[seen.surface] = -outside, _surface_weight(outside, seen.trust, tau)
        sigma = [sigma_mm / mm for mm in seen.spacing_mm]
        plane = seen.spacing_mm[0] / (np.sqrt(2 * np.pi) * sigma_mm)
        pull = ndimage.gaussian_filter(error * weight, sigma, truncate=2.5)
        support = ndimage.gaussian_filter(weight, sigma, truncate=2.5)
        distance = distance + pull / (support + np.float32(FIELD_STIFFNESS * plane))
    return distance
