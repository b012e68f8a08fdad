"""The cases of ``evaluate accuracy``, and the measurements of each analysis.

Every profile analyses every CT unchanged, as other scanners would show it, and with simulated lesions.

Synthetic chests have the seeds :data:`CHEST_SEEDS`. Fits that use synthetic chests or simulated lesions use chests and
plans of seeds from :data:`FITTING_SEEDS_FROM` on, so that fits and measurements do not share data.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.analysis import Analysis
from CovidSeverityLib.config import AnalysisConfig
from CovidSeverityLib.ctss import score_for_percent
from CovidSeverityLib.evaluation.journal import Record
from CovidSeverityLib.evaluation.synthetic.lesions.plan import plan_simulated_lesions, plan_single_lesions
from CovidSeverityLib.evaluation.synthetic.lesions.simulated_lesions import (
    SimulatedCt,
    SimulatedLesionsSpec,
    SingleLesionSpec,
    simulate_lesions,
)
from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom
from CovidSeverityLib.io.reading import read_ct
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.metrics import MaskAgreement
from CovidSeverityLib.pipeline import analyze
from CovidSeverityLib.types import Lobe, Opacity, Side

from .slice_labels import SliceLabels, labels_at, no_infection
from .variations import HEALTHY_VARIATIONS, Variation, vary

PHANTOM_GRID: Mapping[str, Any] = {}
"""Shape and spacing of the synthetic chest, as in :func:`make_phantom`."""

CHEST_SEEDS = range(10)
"""Seeds of the synthetic chests for measurements."""

FITTING_SEEDS_FROM = 100
"""Lowest seed of chests and of plans of lesions for fits."""

AS_IT_IS = "as it is"

Value = TypeVar("Value")


@dataclass(frozen=True)
class Chest:
    """A CT for measurements.

    Parameters
    ----------
    name : str
        Name in tables.
    image : Path or None
        File or DICOM folder; None for a healthy synthetic chest.
    labels : SliceLabels or None
        Labels of its slices; None without labels.
    normal : bool
        Whether it has no opacities.
    seed : int
        Seed of the synthetic chest.
    pixels : int or None
        Rows and columns to which a larger CT is reduced first; None for no reduction.
    """

    name: str
    image: Path | None
    labels: SliceLabels | None = None
    normal: bool = False
    seed: int = 0
    pixels: int | None = None

    @property
    def synthetic(self) -> bool:
        """Whether it is synthetic."""
        return self.image is None

    def read(self) -> CtVolume:
        """Read, or make, the CT; errors as in :func:`~CovidSeverityLib.io.reading.read_ct`."""
        if self.image is None:
            volume = make_phantom(self.seed, healthy=True, **PHANTOM_GRID).volume
        else:
            volume = read_ct(self.image)
        if self.pixels is None or max(volume.hu.shape[1:]) <= self.pixels:
            return volume
        return vary(volume, Variation("reduced", pixels=self.pixels))


@dataclass(frozen=True)
class AccuracyCase:
    """One analysis: of an unchanged chest, of a variation, or of simulated lesions (case ``number`` of the plan)."""

    chest: Chest
    profile: str
    variation: Variation | None = None
    spec: SimulatedLesionsSpec | SingleLesionSpec | None = None
    number: int = 0

    @property
    def what(self) -> str:
        """The change to the CT, for tables."""
        if self.variation is not None:
            return self.variation.name
        if self.spec is None:
            return AS_IT_IS
        return f"{'single' if isinstance(self.spec, SingleLesionSpec) else 'simulated'} {self.number:03d}"

    @property
    def name(self) -> str:
        """Name in the journal."""
        return f"{self.chest.name}/{self.what}/{self.profile}"


@dataclass(frozen=True)
class Work:
    """The analyses in addition to those of the unchanged CTs.

    Parameters
    ----------
    variations : sequence of Variation
        Variations of the CTs from files.
    simulated : int
        Number of cases with lesions in 1 to 60 per cent of the lungs, over all normal chests together.
    single_lesions : int
        Number of cases with one lesion, over all normal chests together.
    healthy : bool
        Whether to analyse every normal chest unchanged and with each of :data:`~.variations.HEALTHY_VARIATIONS`.
    seed : int
        Seed of the plans.
    """

    variations: Sequence[Variation] = ()
    simulated: int = 0
    single_lesions: int = 0
    healthy: bool = False
    seed: int = 0


def accuracy_cases(chests: Sequence[Chest], profiles: Sequence[str], work: Work) -> tuple[AccuracyCase, ...]:
    """List every analysis.

    Parameters
    ----------
    chests : sequence of Chest
        Real CTs, and synthetic ones.
    profiles : sequence of str
        Names of the profiles; all of them analyse the same cases.
    work : Work
        The analyses of the chests. Case n of a plan uses normal chest n; after the last chest the first one follows.

    Returns
    -------
    tuple of AccuracyCase
        Analyses of one CT follow one another, so that it is read, changed and given lesions once.
    """
    normal = [chest for chest in chests if chest.normal]
    plans = (
        plan_simulated_lesions(work.simulated, work.seed) if work.simulated else (),
        plan_single_lesions(work.single_lesions, work.seed) if work.single_lesions else (),
    )
    cases: list[AccuracyCase] = []
    for chest in chests:
        cases += [AccuracyCase(chest, p, variation=change) for change in _changes(chest, work) for p in profiles]
        for plan in plans if chest.normal else ():
            own = range(normal.index(chest), len(plan), len(normal))
            cases += [AccuracyCase(chest, p, spec=plan[n], number=n + 1) for n in own for p in profiles]
    return tuple(cases)


def _changes(chest: Chest, work: Work) -> Iterator[Variation | None]:
    """None for the unchanged chest, and its variations, each once."""
    healthy = work.healthy and chest.normal
    if chest.synthetic and not healthy:
        return
    yield None
    read = () if chest.synthetic else work.variations
    yield from dict.fromkeys((*read, *(HEALTHY_VARIATIONS if healthy else ())))


class Workbench:
    """Makes the records of cases; keeps the last CT, its variation or lesions, and its analysis without lesions.

    Parameters
    ----------
    configs : mapping of str to AnalysisConfig
        Configuration by profile; lungs and lobes without lesions come from the default profile.
    seed : int
        Seed of added noise.
    """

    def __init__(self, configs: Mapping[str, AnalysisConfig], seed: int = 0) -> None:
        self.configs, self.seed = configs, seed
        self._volume: _Last[CtVolume] = _Last()
        self._varied: _Last[CtVolume] = _Last()
        self._lesion_free: _Last[Analysis] = _Last()
        self._simulated: _Last[SimulatedCt] = _Last()

    def measure(self, case: AccuracyCase) -> Record:
        """Analyse a case and measure the result.

        Raises
        ------
        CovidSeverityError
            Errors of reading and analysing, and of :func:`~.slice_labels.labels_at`.
        """
        chest = case.chest
        volume = self._volume((chest,), chest.read)
        spec = case.spec
        if spec is None:
            return self._measure_ct(case, volume)
        base = self._lesion_free((chest,), lambda: analyze(volume, AnalysisConfig()))
        laid_in = self._simulated((chest, spec), lambda: simulate_lesions(volume, base.lungs, spec, base.lobes))
        began = time.perf_counter()
        found = analyze(laid_in.volume, self.configs[case.profile])
        return _head(case, found, began) | _against_truth(found, base, laid_in) | {"spec": _plain(spec)}

    def _measure_ct(self, case: AccuracyCase, volume: CtVolume) -> Record:
        if case.variation is not None:
            change = case.variation
            volume = self._varied((case.chest, change), lambda: vary(volume, change, self.seed))
        began = time.perf_counter()
        found = analyze(volume, self.configs[case.profile])
        record = _head(case, found, began)
        return record if case.variation is not None else record | {"slices": _labelled_slices(found, case.chest)}


class _Last(Generic[Value]):
    """Keeps the last value, with the input that it was made from."""

    def __init__(self) -> None:
        self._kept: dict[tuple, Value] = {}

    def __call__(self, key: tuple, make: Callable[[], Value]) -> Value:
        if key not in self._kept:
            self._kept.clear()  # before memory is allocated for the new value
            self._kept[key] = make()
        return self._kept[key]


def _head(case: AccuracyCase, found: Analysis, began: float) -> Record:
    return {
        "chest": case.chest.name,
        "what": case.what,
        "profile": case.profile,
        "normal": case.chest.normal,
        "synthetic": case.chest.synthetic,
        "ctss": found.ctss,
        "ctss_range": None if found.ctss_range is None else list(found.ctss_range),
        "infection_percent": round(found.infection_percent, 4),
        "infection_ml": round(_infection_ml(found), 3),
        "lung_ml": round(found.lung_ml, 1),
        "seconds": round(time.perf_counter() - began, 2),
    }


def _infection_ml(found: Analysis) -> float:
    return sum(found.opacity_voxels.values()) * found.volume.geometry.voxel_ml


def _labelled_slices(found: Analysis, chest: Chest) -> list[list[Any]] | None:
    """z, label, opacity in per cent, and the lobes' labels and shares, of every slice; None without labels."""
    z_mm = [row.z_mm for row in found.slices]
    if chest.synthetic or (chest.labels is None and not chest.normal):
        return None
    slice_mm = found.volume.geometry.spacing_mm[2]
    labels = no_infection(z_mm) if chest.labels is None else labels_at(chest.labels, z_mm, slice_mm)
    return [
        [
            round(row.z_mm, 3),
            int(infected),
            round(row.infection_percent, 4),
            [int(label) for label in lobes],
            [round(row.lobe_infection_percent(lobe), 4) for lobe in Lobe],
        ]
        for row, infected, lobes in zip(found.slices, labels.infected, labels.lobes, strict=True)
    ]


def _against_truth(found: Analysis, base: Analysis, laid_in: SimulatedCt) -> Record:
    """Marked opacities compared with the simulated lesions, and lungs compared with those without lesions."""
    marked = found.infection > 0
    agreement = MaskAgreement.of(marked, laid_in.truth)
    voxel_ml = laid_in.volume.geometry.voxel_ml
    marked_ml = {o: float(np.count_nonzero(marked & (laid_in.labels == o))) * voxel_ml for o in Opacity}
    return {
        "dice": round(agreement.dice, 5),
        "true_ml": round(laid_in.truth_ml, 3),
        "true_percent": round(100.0 * laid_in.truth_ml / base.lung_ml, 3),
        "true_ctss": true_ctss(laid_in.truth, base.lobes),
        "lungs_dice": [round(MaskAgreement.of(found.lungs == s, base.lungs == s).dice, 5) for s in Side],
        "lesions": len(laid_in.lesions),
        "opacities_ml": {o.name.lower(): [round(marked_ml[o], 3), round(laid_in.opacity_ml(o), 3)] for o in Opacity},
    }


def true_ctss(truth: NDArray[np.bool_], lobes: NDArray[np.uint8]) -> int:
    """CTSS of true opacities, 0-25.

    Parameters
    ----------
    truth : (K, J, I) ndarray of bool
    lobes : (K, J, I) ndarray of uint8
        Labels of :class:`Lobe`, of the same CT without lesions.
    """
    whole = np.bincount(lobes.ravel(), minlength=len(Lobe) + 1)
    sick = np.bincount(lobes[truth], minlength=len(Lobe) + 1)
    return sum(score_for_percent(100.0 * sick[lobe] / whole[lobe]) for lobe in Lobe if whole[lobe])


def _plain(spec: SimulatedLesionsSpec | SingleLesionSpec) -> Record:
    return asdict(spec) | {"kind": spec.kind.value, "position": spec.position.value}


def of_part(records: Iterable[Record], *, simulated: bool) -> list[Record]:
    """The records of simulated lesions, or of unchanged CTs and their variations."""
    return [record for record in records if ("spec" in record) is simulated]


def is_single(record: Record) -> bool:
    """Whether the record is of a single lesion, and not of a plan of burdens."""
    return "volume_ml" in record["spec"]
