"""Lesions of known extent laid into a healthy CT: opacities whose true mask is known to the voxel.

How they look is in :mod:`.implant_painting`; here is decided what lies where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.phantom.model import LesionKind
from CovidSeverityLib.types import CtVolume, Geometry, frozen_array

from .implant_painting import Canvas, ImplantedLesion, composed
from .scan_noise import estimate_noise

DIAMETER_RANGE_MM = (5.0, 60.0)
"""Diameter of the sphere of a lesion's volume, before the lung's border cuts it (asked for: 5 to 60 mm)."""

BURDEN_RANGE_PERCENT = (0.1, 70.0)
"""Share of the lungs that can be asked for: less is below a voxel's worth, more leaves no air to tell a lung by."""

GROUND_GLASS_HU = (-700.0, -400.0)
CONSOLIDATION_HU = (-50.0, 50.0)
"""Mean density of a lesion (asked for)."""

AXES_RANGE = (0.75, 1.3)
"""Half axes of a lesion relative to each other."""

KEPT_PART = 0.6
"""Typical part of a lesion that the lung's border and earlier lesions leave."""

MISSED_PART = 0.05
"""No further lesion is laid in where less than this part of the burden is missing."""

MOST_LESIONS = 150
"""Then the burden stays below what was asked for; 60 per cent of large lungs take 40 lesions of 60 mm."""

CANDIDATES = 24
"""Random places that are compared to keep lesions apart."""

PLACING_MM = 3.0
"""Grid on which places are looked for, mm."""

PLEURAL_DEPTH_PART = 0.6
"""A centre this part of the radius, or less, under the surface: the lung's border cuts the lesion."""

CENTRAL_DEPTH = (1.3, 2.0)
"""A centre this many radii, and mm, under the surface: the rough outline stays inside."""

DEEPEST_PART = 0.7
"""Where a lung is not that deep, this part of its largest depth."""


class Position(str, Enum):
    """Where lesions lie: away from the lung's surface, cut by it, or anywhere."""

    CENTRAL = "central"
    PLEURAL = "pleural"
    ANY = "any"


@dataclass(frozen=True)
class ImplantSpec:
    """The lesions of one case.

    Parameters
    ----------
    kind : of all lesions; with ``MIXED`` each has a consolidated core in ground glass.
    position : of their centres.
    count : lesions at least; there are more where so many of 60 mm cannot hold the burden.
    burden_percent : share of both lungs that the lesions are to cover, about.
    seed : everything else follows from it.

    Raises
    ------
    InputError
        For a count under 1, a burden outside :data:`BURDEN_RANGE_PERCENT` or a negative seed.
    """

    kind: LesionKind
    position: Position
    count: int
    burden_percent: float
    seed: int

    def __post_init__(self) -> None:
        low, high = BURDEN_RANGE_PERCENT
        if not low <= self.burden_percent <= high:
            raise InputError(f"a burden of {self.burden_percent:g} % is not between {low:g} and {high:g} %")
        if self.count < 1:
            raise InputError(f"{self.count} lesions were asked for; at least 1 is needed")
        if self.seed < 0:
            raise InputError(f"seed {self.seed} is negative")


@dataclass(frozen=True, eq=False)
class Implanted:
    """A CT with lesions: ``truth`` is (K, J, I) bool, where at least half of a lesion's opacity is, in a lung."""

    volume: CtVolume
    truth: NDArray[np.bool_]
    lesions: tuple[ImplantedLesion, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "truth", frozen_array(self.truth))

    @property
    def truth_ml(self) -> float:
        """True volume of the lesions, ml."""
        return float(np.count_nonzero(self.truth)) * self.volume.geometry.voxel_ml


def implant(volume: CtVolume, lungs: NDArray[np.uint8], spec: ImplantSpec) -> Implanted:
    """Lay lesions into a healthy CT.

    Parameters
    ----------
    volume : CT without lesions.
    lungs : (K, J, I) uint8 of :class:`~CovidSeverityLib.types.Side`. No lesion reaches from one lung to the other.
    spec : what is laid in; the same specification gives the same bits.

    Raises
    ------
    InputError
        If ``lungs`` do not match the volume or are empty.
    """
    if lungs.shape != volume.hu.shape:
        raise InputError(f"lungs {lungs.shape} do not match the volume {volume.hu.shape}")
    if not lungs.any():
        raise InputError("the lungs are empty; lesions need a lung")
    place_rng, paint_rng, noise_rng = np.random.default_rng(spec.seed).spawn(3)
    canvas = Canvas(volume, lungs)
    lesions = _lay_in(canvas, _Places(lungs, volume.geometry), spec, place_rng, paint_rng)
    hu = composed(volume.hu, canvas.opacity, estimate_noise(volume), noise_rng)
    return Implanted(replace(volume, hu=hu, name=f"{volume.name}-implanted"), canvas.truth, lesions)


class _Places:
    """Centres for lesions: voxels of a coarse grid inside the lungs, with their depth under the surface in mm."""

    def __init__(self, lungs: NDArray[np.uint8], geometry: Geometry) -> None:
        self.steps = tuple(max(1, round(PLACING_MM / mm)) for mm in geometry.spacing_kji)
        coarse = lungs[tuple(slice(step // 2, None, step) for step in self.steps)]
        spacing = [step * mm for step, mm in zip(self.steps, geometry.spacing_kji, strict=True)]
        depth = ndimage.distance_transform_edt(np.pad(coarse > 0, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
        found = np.argwhere(coarse > 0)
        self.voxels = np.minimum(found * self.steps + [s // 2 for s in self.steps], np.array(lungs.shape) - 1)
        self.depth = depth[coarse > 0]
        self.mm = self.voxels * np.array(geometry.spacing_kji)

    def choose(
        self,
        radius_mm: float,
        position: Position,
        free: NDArray[np.bool_],
        placed: Sequence[int],
        rng: np.random.Generator,
    ) -> int:
        """Index of a fitting place: of a few random ones the farthest from the lesions already there."""
        fits = free & self._at(position, radius_mm)
        candidates = np.flatnonzero(fits if fits.any() else free)
        candidates = candidates[rng.integers(0, len(candidates), CANDIDATES)]
        if not placed:
            return int(candidates[0])
        gaps = np.linalg.norm(self.mm[candidates][:, None] - self.mm[list(placed)][None], axis=2).min(axis=1)
        return int(candidates[gaps.argmax()])

    def _at(self, position: Position, radius_mm: float) -> NDArray[np.bool_]:
        if position is Position.PLEURAL:
            return self.depth <= max(PLEURAL_DEPTH_PART * radius_mm, PLACING_MM)
        if position is Position.CENTRAL:
            radii, mm = CENTRAL_DEPTH
            return self.depth >= min(radii * radius_mm + mm, DEEPEST_PART * float(self.depth.max()))
        return np.ones(len(self.depth), dtype=bool)


def _lay_in(
    canvas: Canvas,
    places: _Places,
    spec: ImplantSpec,
    place_rng: np.random.Generator,
    paint_rng: np.random.Generator,
) -> tuple[ImplantedLesion, ...]:
    """Paint the lesions asked for, the largest first, and more until the burden is reached."""
    voxel_ml = canvas.geometry.voxel_ml
    target_ml = spec.burden_percent / 100.0 * np.count_nonzero(canvas.lungs) * voxel_ml
    shares = np.sort(place_rng.dirichlet(np.ones(spec.count)))[::-1]
    lesions: list[ImplantedLesion] = []
    taken: list[int] = []
    missing_ml = target_ml
    while len(lesions) < spec.count or (missing_ml > MISSED_PART * target_ml and len(lesions) < MOST_LESIONS):
        part = shares[len(lesions)] / shares[len(lesions) :].sum() if len(lesions) < spec.count else 1.0
        diameter = _diameter_mm(part * missing_ml / KEPT_PART)
        free = ~canvas.truth[tuple(places.voxels.T)]
        if not free.any():
            break
        taken.append(places.choose(0.5 * diameter, spec.position, free, taken, place_rng))
        centre = places.voxels[taken[-1]]
        lesion = _drawn(spec.kind, centre, diameter, canvas.geometry, place_rng)
        added = canvas.paint(lesion, centre, paint_rng)
        lesions.append(replace(lesion, voxels=added))
        missing_ml = max(missing_ml - added * voxel_ml, 0.0)
    return tuple(lesions)


def _diameter_mm(volume_ml: float) -> float:
    return float(np.clip((6000.0 * volume_ml / np.pi) ** (1.0 / 3.0), *DIAMETER_RANGE_MM))


def _drawn(
    kind: LesionKind, voxel: NDArray[np.intp], diameter_mm: float, geometry: Geometry, rng: np.random.Generator
) -> ImplantedLesion:
    shape = rng.uniform(*AXES_RANGE, 3)
    radii = 0.5 * diameter_mm * shape / np.prod(shape) ** (1.0 / 3.0)
    glass, solid = float(rng.uniform(*GROUND_GLASS_HU)), float(rng.uniform(*CONSOLIDATION_HU))
    return ImplantedLesion(
        kind=kind,
        centre_mm=tuple((geometry.ijk_to_lps @ [*voxel[::-1], 1.0])[:3].tolist()),
        radii_mm=tuple(radii.tolist()),
        ground_glass_hu=None if kind is LesionKind.CONSOLIDATION else glass,
        consolidation_hu=None if kind is LesionKind.GROUND_GLASS else solid,
    )
