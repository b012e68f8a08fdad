"""Simulated lesions in a healthy CT: opacities whose true mask is known for every voxel.

:mod:`.painting` has their appearance, :mod:`.places` their places.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.evaluation.synthetic.phantom.model import LesionKind
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.types import Geometry, Opacity, frozen_array

from .painting import Canvas, SimulatedLesion, composed
from .places import Places, Position
from .scan_noise import estimate_noise

__all__ = ["Position", "SimulatedCt", "SimulatedLesionsSpec", "SingleLesionSpec", "simulate_lesions"]

DIAMETER_RANGE_MM = (5.0, 60.0)
"""Diameter of the sphere of a lesion's volume, before the lung's border cuts it: 5 to 60 mm, as specified."""

BURDEN_RANGE_PERCENT = (0.1, 70.0)
"""Possible share of the lungs: a smaller share is less than a voxel, a larger one leaves too little air."""

GROUND_GLASS_HU = (-700.0, -400.0)
CONSOLIDATION_HU = (-50.0, 50.0)
"""Mean density of a lesion, as specified."""

AXES_RANGE = (0.75, 1.3)
"""Half axes of a lesion relative to each other."""

KEPT_PART = 0.6
"""Typical fraction of a lesion that remains after cutting by the lung's border and by earlier lesions."""

MISSED_PART = 0.05
"""No further lesion is added if less than this fraction of the burden is missing."""

MOST_LESIONS = 150
"""Largest number of lesions; the burden then remains too low. 60 per cent of large lungs need 40 lesions of 60 mm."""

SINGLE_RANGE_ML = (0.5, 100.0)
"""Possible volume of a single lesion: half a millilitre is a nodule of 1 cm, and 100 ml is a sphere with the largest
diameter of :data:`DIAMETER_RANGE_MM`."""


@dataclass(frozen=True)
class SimulatedLesionsSpec:
    """The lesions of one case.

    Parameters
    ----------
    kind : LesionKind
        Kind of all lesions; with ``MIXED`` each has a consolidated core in ground glass.
    position : Position
        Position of their centres.
    count : int
        Smallest number of lesions; there are more if so many lesions of 60 mm cannot reach the burden.
    burden_percent : float
        Approximate share of both lungs with lesions.
    seed : int
        Seed of everything else.

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


@dataclass(frozen=True)
class SingleLesionSpec:
    """One lesion of a given size.

    Parameters
    ----------
    kind : LesionKind
        Kind of the lesion; ``MIXED`` has a consolidated core in ground glass.
    position : Position
        Position of its centre.
    volume_ml : float
        Approximate volume inside the lung; the rough outline changes it by up to a tenth.
    seed : int
        Seed of everything else.

    Raises
    ------
    InputError
        For a volume outside :data:`SINGLE_RANGE_ML` or a negative seed.
    """

    kind: LesionKind
    position: Position
    volume_ml: float
    seed: int

    def __post_init__(self) -> None:
        low, high = SINGLE_RANGE_ML
        if not low <= self.volume_ml <= high:
            raise InputError(f"a lesion of {self.volume_ml:g} ml is not between {low:g} and {high:g} ml")
        if self.seed < 0:
            raise InputError(f"seed {self.seed} is negative")


@dataclass(frozen=True, eq=False)
class SimulatedCt:
    """A CT with lesions.

    Parameters
    ----------
    volume : CtVolume
        The CT.
    labels : (K, J, I) ndarray of uint8
        Labels of :class:`~CovidSeverityLib.types.Opacity`, inside the lungs: voxels with at least half of a lesion's
        opacity, or of a consolidation's opacity.
    lesions : tuple of SimulatedLesion
        The lesions.
    """

    volume: CtVolume
    labels: NDArray[np.uint8]
    lesions: tuple[SimulatedLesion, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", frozen_array(self.labels))

    @cached_property
    def truth(self) -> NDArray[np.bool_]:
        """(K, J, I) bool: any of the lesions."""
        return frozen_array(self.labels > 0)

    @property
    def truth_ml(self) -> float:
        """True volume of the lesions, ml."""
        return float(np.count_nonzero(self.labels)) * self.volume.geometry.voxel_ml

    def opacity_ml(self, opacity: Opacity) -> float:
        """True volume of one kind of opacity, ml."""
        return float(np.count_nonzero(self.labels == opacity)) * self.volume.geometry.voxel_ml


def simulate_lesions(
    volume: CtVolume,
    lungs: NDArray[np.uint8],
    spec: SimulatedLesionsSpec | SingleLesionSpec,
    lobes: NDArray[np.uint8] | None = None,
) -> SimulatedCt:
    """Simulate lesions in a healthy CT.

    Parameters
    ----------
    volume : CtVolume
        CT without lesions.
    lungs : (K, J, I) ndarray of uint8
        Labels of :class:`~CovidSeverityLib.types.Side`. No lesion extends from one lung to the other.
    spec : SimulatedLesionsSpec or SingleLesionSpec
        Specification of the lesions; the same specification gives the same bits.
    lobes : (K, J, I) ndarray of uint8, optional
        Labels of :class:`~CovidSeverityLib.types.Lobe`; only ``Position.FISSURE`` needs them.

    Raises
    ------
    InputError
        If ``lungs`` or ``lobes`` do not match the volume, or if ``lungs`` is empty or has no suitable place.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis
    >>> result = Analysis.load("results")
    >>> spec = SingleLesionSpec(LesionKind.GROUND_GLASS, Position.CHEST_WALL, volume_ml=8.0, seed=100)
    >>> round(simulate_lesions(result.volume, result.lungs, spec).truth_ml, 1)
    9.2
    """
    for name, labels in (("lungs", lungs), ("lobes", lobes)):
        if labels is not None and labels.shape != volume.hu.shape:
            raise InputError(f"{name} {labels.shape} do not match the volume {volume.hu.shape}")
    if not lungs.any():
        raise InputError("the lungs are empty; lesions need a lung")
    place_rng, paint_rng, noise_rng = np.random.default_rng(spec.seed).spawn(3)
    canvas, places = Canvas(volume, lungs), Places(lungs, volume.geometry, lobes)
    if isinstance(spec, SingleLesionSpec):
        lesions = (_lay_in_one(canvas, places, spec, place_rng, paint_rng),)
    else:
        lesions = _lay_in(canvas, places, spec, place_rng, paint_rng)
    hu = composed(volume.hu, canvas.opacity, estimate_noise(volume), noise_rng)
    return SimulatedCt(replace(volume, hu=hu, name=f"{volume.name}-simulated"), canvas.labels, lesions)


def _lay_in_one(
    canvas: Canvas,
    places: Places,
    spec: SingleLesionSpec,
    place_rng: np.random.Generator,
    paint_rng: np.random.Generator,
) -> SimulatedLesion:
    """Paint one lesion, with the size that gives the volume inside the lung's border."""
    fits = places.at(spec.position, 0.5 * _diameter_mm(spec.volume_ml))
    if not fits.any():
        raise InputError(f"these lungs have no place for a lesion at: {spec.position.value.replace('_', ' ')}")
    place = int(place_rng.choice(np.flatnonzero(fits)))
    diameter = float(np.clip(places.diameter_holding(place, spec.volume_ml), *DIAMETER_RANGE_MM))
    centre = places.voxels[place]
    lesion = _drawn(spec.kind, centre, diameter, canvas.geometry, place_rng)
    return replace(lesion, voxels=canvas.paint(lesion, centre, paint_rng))


def _lay_in(
    canvas: Canvas,
    places: Places,
    spec: SimulatedLesionsSpec,
    place_rng: np.random.Generator,
    paint_rng: np.random.Generator,
) -> tuple[SimulatedLesion, ...]:
    """Paint the specified lesions, the largest first, and more until the burden is reached."""
    voxel_ml = canvas.geometry.voxel_ml
    target_ml = spec.burden_percent / 100.0 * np.count_nonzero(canvas.lungs) * voxel_ml
    shares = np.sort(place_rng.dirichlet(np.ones(spec.count)))[::-1]
    lesions: list[SimulatedLesion] = []
    taken: list[int] = []
    missing_ml = target_ml
    while len(lesions) < spec.count or (missing_ml > MISSED_PART * target_ml and len(lesions) < MOST_LESIONS):
        part = shares[len(lesions)] / shares[len(lesions) :].sum() if len(lesions) < spec.count else 1.0
        diameter = _diameter_mm(part * missing_ml / KEPT_PART)
        free = canvas.labels[tuple(places.voxels.T)] == 0
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
) -> SimulatedLesion:
    shape = rng.uniform(*AXES_RANGE, 3)
    radii = 0.5 * diameter_mm * shape / np.prod(shape) ** (1.0 / 3.0)
    glass, solid = float(rng.uniform(*GROUND_GLASS_HU)), float(rng.uniform(*CONSOLIDATION_HU))
    return SimulatedLesion(
        kind=kind,
        centre_mm=tuple((geometry.ijk_to_lps @ [*voxel[::-1], 1.0])[:3].tolist()),
        radii_mm=tuple(radii.tolist()),
        ground_glass_hu=None if kind is LesionKind.CONSOLIDATION else glass,
        consolidation_hu=None if kind is LesionKind.GROUND_GLASS else solid,
    )
