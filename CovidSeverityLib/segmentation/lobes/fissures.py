"""The fissures of a patient: the atlas surface, moved to where the image shows a thin bright sheet.

The CT is sampled along the normals of the atlas's plane about the expected surface, so that a fissure becomes a nearly
level sheet in a small block (axes a, b along the surface and h across it). There the evidence for sheets is found
(:mod:`.plateness`), then the smoothest path through it for all rows and columns (semi-global matching, Hirschmueller
2008, doi 10.1109/TPAMI.2007.1166). The modes of the atlas are fitted to that, then a smooth local displacement, twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .lobe_atlas import Fissure, FissureModel, FissurePlane, surface_on_grid
from .lung_frame import LungFrame
from .plateness import patch_plateness, plateness

CELL_MM = 3.0
SAMPLE_MM = CELL_MM / 2
HEIGHT_MM = 1.0
"""Cells of a surface, samples along it (two a cell) and across it, mm: as fine as the voxels of a thin-slice CT."""

REACH_MM = {Fissure.RIGHT_OBLIQUE: 48.0, Fissure.RIGHT_HORIZONTAL: 36.0, Fissure.LEFT_OBLIQUE: 48.0}
FINE_REACH_MM = 12.0
"""How far from the expected surface a fissure is looked for, first and then again: the oblique ones about the atlas, as
far as lungs were seen to need; the horizontal one about what the oblique one leads to expect."""

BORDER_SAMPLES = (1, 1, 3)
"""Samples (a, b, h) off the lung's border, 1.5 to 3 mm: there the chest wall, blurred by thick slices, looks
like a sheet."""

EVIDENCE_WEIGHT = 2.5
STEP_COST = 0.06
JUMP_COST = 0.5
DISTANCE_COST = 1e-4
"""Cost of a path: evidence times its weight against a step of 1 mm a cell, a jump, and the squared distance from the
expected surface (per mm2). A tear costs as much as a patch of a clear fissure gives."""

SEEN_FROM, SEEN_FULLY = 0.10, 0.22
"""Evidence of a patch that noise and vessels reach by chance (their median over a block is 0.04 to 0.09), and that of a
fissure that anyone would draw."""

MODE_NOISE_MM = 5.0
CELLS_PER_OBSERVATION = 25.0
"""Scatter of a fissure about its modes, and the cells of one patch, which are no independent observations. With these
the modes that are fitted to 15, 30 or 60 % of an atlas case's fissure come within 5.8, 5.2 and 4.0 mm of the rest, and
expect 6.0, 5.4 and 4.4 mm."""

ROBUST_MM = (25.0, 15.0, 10.0, 7.0, 6.0)
"""Scale of Geman and McClure's robust weight, one per round of the fit: from catching everything to leaving out what
belongs to something else."""

SPREAD_MM = 6.0
SPREAD_FLOOR = 0.05
"""Smoothness of the local displacement, and the weight at which it gives way to the modes."""

FOUND_MM = 2.0
"""Distance of a found surface to the true fissure, mm: the tests' synthetic ones are under 1.5, real ones have more
neighbours."""

HORIZONTAL_GAP_MM = 4.0
"""The horizontal fissure is not looked for nearer to the oblique one, which would be taken for it."""


@dataclass(frozen=True, eq=False)
class FissureSurface:
    """A fissure as heights over the cells of its plane.

    Parameters
    ----------
    plane : in the atlas lungs.
    a, b : (P,) and (Q,) centres of cells, mm.
    height : (P, Q), mm above the plane.
    inside : (P, Q) bool, the surface lies in the lung there.
    seen : (P, Q), 0 to 1, how clearly the image shows it.
    expected_mm : (P, Q), expected distance to the true fissure, mm of the patient.
    """

    plane: FissurePlane
    a: NDArray[np.float64]
    b: NDArray[np.float64]
    height: NDArray[np.float64]
    inside: NDArray[np.bool_]
    seen: NDArray[np.float64]
    expected_mm: NDArray[np.float64]

    def above(self, k: NDArray, j: NDArray, i: NDArray) -> NDArray[np.float64]:
        """Height of positions in the atlas lungs above the surface, mm (negative below)."""
        a, b, h = np.broadcast_arrays(*self.plane.of_atlas(k, j, i))
        cells = np.stack([(a - self.a[0]) / CELL_MM, (b - self.b[0]) / CELL_MM])
        return h - ndimage.map_coordinates(self.height, cells, order=1, mode="nearest")


@dataclass(frozen=True, eq=False)
class LungImage:
    """One lung of a CT.

    Parameters
    ----------
    hu : (K, J, I) int16, Hounsfield units.
    mask : (K, J, I) bool, the lung.
    spacing_kji : mm.
    frame : from the patient's mm to the atlas lung.
    """

    hu: NDArray[np.int16]
    mask: NDArray[np.bool_]
    spacing_kji: tuple[float, float, float]
    frame: LungFrame

    def sample(self, array: NDArray, k: NDArray, j: NDArray, i: NDArray, order: int) -> NDArray[np.float32]:
        """Values of a (K, J, I) array at positions in the atlas lung, mm."""
        position = [
            self.frame.to_patient(n, x) / mm for n, (x, mm) in enumerate(zip((k, j, i), self.spacing_kji, strict=True))
        ]
        index = np.stack(np.broadcast_arrays(*position)).astype(np.float32)
        return ndimage.map_coordinates(array, index, output=np.float32, order=order, mode="nearest")


Allowed = Callable[[NDArray, NDArray, NDArray], NDArray[np.bool_]]


def find_fissures(image: LungImage, models: Mapping[Fissure, FissureModel]) -> dict[Fissure, FissureSurface]:
    """The fissures of one lung.

    Parameters
    ----------
    image : the lung.
    models : of its fissures, the oblique one first; they share their modes.
    """
    grids = {fissure: _Cells.of(model) for fissure, model in models.items()}
    weights = np.zeros(next(iter(models.values())).modes.shape[0])
    spread = np.eye(weights.size)
    first: dict[Fissure, _Path] = {}
    surfaces: dict[Fissure, NDArray] = {}
    for fissure, cells in grids.items():
        path = _follow(image, cells, cells.expected(weights), REACH_MM[fissure], _beyond(surfaces, grids))
        first[fissure] = path
        weights, spread = _fit_modes([(grids[f], p) for f, p in first.items()])
        surfaces = {f: _displaced(grids[f].expected(weights), p) for f, p in first.items()}
    found: dict[Fissure, FissureSurface] = {}
    for fissure, cells in grids.items():
        path = _follow(image, cells, surfaces[fissure], FINE_REACH_MM, _beyond(surfaces, grids, fissure))
        found[fissure] = _surface(image, cells, models[fissure], _displaced(surfaces[fissure], path), path, spread)
    return found


@dataclass(frozen=True, eq=False)
class _Cells:
    """The cells of a fissure's plane with the atlas's mean (P, Q) and modes (M, P, Q) on them, mm."""

    plane: FissurePlane
    a: NDArray[np.float64]
    b: NDArray[np.float64]
    mean: NDArray[np.float64]
    modes: NDArray[np.float64]

    @classmethod
    def of(cls, model: FissureModel) -> _Cells:
        a, b = (
            low + CELL_MM * (np.arange(int((high - low) / CELL_MM)) + 0.5)
            for low, high in (model.plane.a_mm, model.plane.b_mm)
        )
        mean, modes = (surface_on_grid(c, model.plane, a, b) for c in (model.mean, model.modes))
        return cls(model.plane, a, b, mean, modes)

    def expected(self, weights: NDArray) -> NDArray[np.float64]:
        """(P, Q) mean plus weighted modes; summed one by one, for the same bits on any number of threads."""
        return self.mean + sum(weight * mode for weight, mode in zip(weights, self.modes, strict=True))

    def above(self, height: NDArray) -> Callable[[NDArray, NDArray, NDArray], NDArray]:
        """Height of positions above a surface over these cells."""
        nothing = np.zeros(height.shape)
        return FissureSurface(self.plane, self.a, self.b, height, nothing > 0, nothing, nothing).above


@dataclass(frozen=True, eq=False)
class _Path:
    """What was followed over the cells: (P, Q) heights (mm above the plane) and how clearly they were seen, 0 to 1."""

    height: NDArray[np.float64]
    seen: NDArray[np.float64]


def _beyond(
    surfaces: Mapping[Fissure, NDArray], grids: Mapping[Fissure, _Cells], fissure: Fissure = Fissure.RIGHT_HORIZONTAL
) -> Allowed | None:
    """Where the horizontal fissure may be: above the oblique one. None for everywhere."""
    if fissure is not Fissure.RIGHT_HORIZONTAL or Fissure.RIGHT_OBLIQUE not in surfaces:
        return None
    above = grids[Fissure.RIGHT_OBLIQUE].above(surfaces[Fissure.RIGHT_OBLIQUE])
    return lambda k, j, i: above(k, j, i) > HORIZONTAL_GAP_MM


def _follow(image: LungImage, cells: _Cells, expected: NDArray, reach_mm: float, allowed: Allowed | None) -> _Path:
    """The path of most evidence about an expected surface."""
    offsets = np.arange(-reach_mm, reach_mm + HEIGHT_MM / 2, HEIGHT_MM)
    evidence = _evidence(image, cells, expected, offsets, allowed)
    cost = np.float32(-EVIDENCE_WEIGHT) * evidence + (DISTANCE_COST * offsets**2).astype(np.float32)
    total = _path_costs(cost, 0) + _path_costs(cost, 1) - cost
    best = total.argmin(axis=2)[..., None]
    strength = np.take_along_axis(evidence, best, axis=2)[..., 0].astype(np.float64)
    seen = np.clip((strength - SEEN_FROM) / (SEEN_FULLY - SEEN_FROM), 0.0, 1.0)
    return _Path(expected + offsets[best[..., 0]], seen)


def _evidence(
    image: LungImage, cells: _Cells, expected: NDArray, offsets: NDArray, allowed: Allowed | None
) -> NDArray[np.float32]:
    """(P, Q, H) evidence for a patch of a fissure at ``offsets`` from the expected surface."""
    fine = np.meshgrid(*((np.arange(2 * n) + 0.5) / 2 - 0.5 for n in expected.shape), indexing="ij")
    base = ndimage.map_coordinates(expected, fine, order=1, mode="nearest")
    a, b = (x[0] + CELL_MM * ((np.arange(2 * x.size) + 0.5) / 2 - 0.5) for x in (cells.a, cells.b))
    k, j, i = cells.plane.to_atlas(a[:, None, None], b[None, :, None], base[:, :, None] + offsets)
    hu = image.sample(image.hu, k, j, i, order=1)
    inside = image.sample(image.mask.view(np.uint8), k, j, i, order=0) > 0
    if allowed is not None:
        inside &= allowed(k, j, i)
    for axis, samples in enumerate(BORDER_SAMPLES):
        inside = ndimage.minimum_filter1d(inside, 2 * samples + 1, axis=axis, mode="constant")
    plates = plateness(hu, inside, (SAMPLE_MM, SAMPLE_MM, HEIGHT_MM))
    return patch_plateness(_pairs(plates), _pairs(inside.astype(np.float32)), CELL_MM, HEIGHT_MM)


def _pairs(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over the two by two samples of every cell."""
    return 0.25 * (samples[::2, ::2] + samples[1::2, ::2] + samples[::2, 1::2] + samples[1::2, 1::2])


def _path_costs(cost: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Costs of the cheapest paths that come along ``axis`` from either side (equation 13 of Hirschmueller 2008)."""
    cost = np.moveaxis(cost, axis, 0)
    total = np.zeros(cost.shape, dtype=np.float32)
    for order in (range(cost.shape[0]), range(cost.shape[0] - 1, -1, -1)):
        before = np.zeros(cost.shape[1:], dtype=np.float32)
        for n in order:
            least = before.min(axis=1, keepdims=True)
            reached = np.minimum(before, least + np.float32(JUMP_COST))
            reached[:, 1:] = np.minimum(reached[:, 1:], before[:, :-1] + np.float32(STEP_COST))
            reached[:, :-1] = np.minimum(reached[:, :-1], before[:, 1:] + np.float32(STEP_COST))
            before = cost[n] + reached - least
            total[n] += before
    return np.moveaxis(total, 0, axis)


def _fit_modes(observed: list[tuple[_Cells, _Path]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (M,) of the modes and their covariance: normal prior, robust observations, reweighted least squares."""
    modes = np.concatenate([cells.modes.reshape(len(cells.modes), -1) for cells, _ in observed], axis=1)
    off = np.concatenate([(path.height - cells.mean).ravel() for cells, path in observed])
    seen = np.concatenate([path.seen.ravel() for _, path in observed])
    modes, off, seen = modes[:, seen > 0], off[seen > 0], seen[seen > 0]
    weights, inverse = np.zeros(modes.shape[0]), np.eye(modes.shape[0])
    if not seen.size:
        return weights, inverse
    for scale in ROBUST_MM:
        rest = off - np.einsum("m,mn->n", weights, modes)
        trust = seen * _robust(rest, scale) / (MODE_NOISE_MM**2 * CELLS_PER_OBSERVATION)
        # einsum adds in one fixed order, and the system is too small for threads: the same bits everywhere.
        normal = np.einsum("mn,kn,n->mk", modes, modes, trust) + np.eye(modes.shape[0])
        inverse = np.linalg.inv(normal)
        weights = np.einsum("mk,k->m", inverse, np.einsum("mn,n,n->m", modes, off, trust))
    return weights, inverse


def _robust(off: NDArray, scale: float) -> NDArray:
    """Geman and McClure's weight."""
    return 1.0 / (1.0 + (off / scale) ** 2) ** 2


def _displaced(expected: NDArray, path: _Path) -> NDArray[np.float64]:
    """The expected surface, moved smoothly to the path where that was seen."""
    off = path.height - expected
    trust = path.seen * _robust(off, ROBUST_MM[-1])
    sigma = SPREAD_MM / CELL_MM
    moved = ndimage.gaussian_filter(trust * off, sigma) / (ndimage.gaussian_filter(trust, sigma) + SPREAD_FLOOR)
    return expected + moved


def _surface(
    image: LungImage, cells: _Cells, model: FissureModel, height: NDArray, path: _Path, spread: NDArray
) -> FissureSurface:
    """The final surface with what is known of its errors.

    Where nothing is seen, the left-out cases' distance counts, less what the modes learned from the rest of the lung.
    """
    k, j, i = cells.plane.to_atlas(cells.a[:, None], cells.b[None, :], height)
    inside = image.sample(image.mask.view(np.uint8), k, j, i, order=0) > 0
    seen = path.seen * _robust(path.height - height, ROBUST_MM[-1])
    prior = (cells.modes**2).sum(axis=0)
    rest = np.einsum("mpq,mk,kpq->pq", cells.modes, spread, cells.modes)
    noise = MODE_NOISE_MM**2
    guessed = model.distance_mm * np.sqrt((rest + noise) / (prior + noise)) / min(image.frame.scale)
    guessed = guessed * (2.0 if image.frame.cut else 1.0)
    expected_mm = seen * FOUND_MM + (1.0 - seen) * np.maximum(guessed, FOUND_MM)
    return FissureSurface(cells.plane, cells.a, cells.b, height, inside, seen, expected_mm)
