"""Opacity masks compared with radiologists' masks, per slice and per case: tables 2 to 4 of the paper."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from math import isnan
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.config import AnalysisConfig
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.evaluation.cases import Case
from CovidSeverityLib.evaluation.estimates import Estimate, clustered_mean, mean_estimate
from CovidSeverityLib.evaluation.journal import Record
from CovidSeverityLib.io.masks import read_mask
from CovidSeverityLib.io.reading import read_ct
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.metrics import MaskAgreement
from CovidSeverityLib.preprocessing.orientation import check_orientation
from CovidSeverityLib.segmentation.lungs.lung_segmentation import segment_lungs
from CovidSeverityLib.segmentation.lungs.single_slices import segment_slice_lungs
from CovidSeverityLib.types import Opacity

from .slice_lists import SliceList

MEASURES = ("dice", "sensitivity", "specificity", "precision", "jaccard", "mcc", "mae", "accuracy")
"""Names of the measures, in the order of the tables."""


class Protocol(str, Enum):
    """Which slices count."""

    ALL = "all"
    PAPER = "paper"

    @property
    def meaning(self) -> str:
        """Description of the protocol, in one sentence."""
        return {
            Protocol.ALL: "every slice counts: Dice is 0 if there was something to find and nothing right was found, "
            "and 1 if there was nothing to find and nothing was found",
            Protocol.PAPER: "as the method's authors did: slices in which nothing was found are left out, also those "
            "with something to find; sensitivity is 0 where there was nothing to find",
        }[self]


class LungsUsed(str, Enum):
    """The lungs in which opacities are marked: own lungs, given lungs, or both separately."""

    OWN = "own"
    GIVEN = "given"
    BOTH = "both"


@dataclass(frozen=True)
class LoadedCase:
    """A CT with its lungs and its true opacities, all (K, J, I), and the slices to compare.

    ``labels`` are the labels of the mask that count as opacity, 0 elsewhere. ``slices`` are pairs of a number in the
    file (the first axial slice is 1) and an index into K.
    """

    volume: CtVolume
    lung: NDArray[np.bool_]
    labels: NDArray[np.integer]
    slices: tuple[tuple[int, int], ...]

    @cached_property
    def truth(self) -> NDArray[np.bool_]:
        """(K, J, I) bool: any opacity."""
        return self.labels > 0

    @property
    def compared(self) -> list[int]:
        """Indices into K of the slices to compare."""
        return [k for _, k in self.slices]


@dataclass(frozen=True)
class SliceAgreement:
    """One slice: its number in the file, its LPS z in mm, and the agreement of the masks."""

    number: int
    z_mm: float
    agreement: MaskAgreement


@dataclass(frozen=True)
class CaseAgreement:
    """The slices of one case."""

    case: str
    voxel_ml: float
    seconds: float
    slices: tuple[SliceAgreement, ...]

    def counted(self, protocol: Protocol) -> tuple[MaskAgreement, ...]:
        """The slices that count."""
        return tuple(s.agreement for s in self.slices if protocol is Protocol.ALL or s.agreement.marked)


@dataclass(frozen=True)
class SegmentationSummary:
    """Every measure of :data:`MEASURES`: the mean over slices, over slices with true opacity, and over cases.

    The slices of a case are pooled.
    """

    protocol: Protocol
    per_slice: Mapping[str, Estimate]
    per_infected_slice: Mapping[str, Estimate]
    per_case: Mapping[str, Estimate]
    slices: int
    infected_slices: int
    left_out: int


def load_case(
    case: Case,
    slices: SliceList | None = None,
    labels: Sequence[int] | None = None,
    independent_slices: bool = False,
) -> LoadedCase:
    """Read a CT, its true opacities and its lungs (own lungs if the case has no lung mask).

    Parameters
    ----------
    case : Case
        Case with a mask.
    slices : SliceList, optional
        Slices to compare; None for all measured slices.
    labels : sequence of int, optional
        Labels of the mask that count as opacity; None for all except 0.
    independent_slices : bool
        The slices do not belong together: own lungs are segmented slice by slice.

    Raises
    ------
    InputError
        If a file cannot be used, or the list contains slices that the CT does not have.
    """
    if case.mask is None:
        raise InputError(f"no mask was found for {case.name}")
    volume = read_ct(case.image)
    marked = read_mask(case.mask, volume)
    infection = marked if labels is None else np.where(np.isin(marked, labels), marked, 0)
    lung = _lung(case, volume, independent_slices)
    return LoadedCase(volume, lung, infection, _slices(volume, case.name, slices))


def _lung(case: Case, volume: CtVolume, independent_slices: bool) -> NDArray[np.bool_]:
    if case.lungs is None:
        return _found_lung(volume, independent_slices)
    lung = read_mask(case.lungs, volume) > 0  # not checked further: sets of single slices are not volumes
    if not lung.any():
        raise InputError(f"the lung mask {case.lungs.name} is empty")
    return lung


def _found_lung(volume: CtVolume, independent_slices: bool) -> NDArray[np.bool_]:
    """Own lungs."""
    if independent_slices or volume.is_single_slice:
        return segment_slice_lungs(volume).labels > 0
    check_orientation(volume)
    return segment_lungs(volume).labels > 0


def _slices(volume: CtVolume, name: str, slices: SliceList | None) -> tuple[tuple[int, int], ...]:
    """(number in the file, index into K); files that store slices from superior to inferior count from superior."""
    count = volume.hu.shape[0]
    backwards = volume.storage.axes[0] == 0 and volume.storage.flipped[0]
    chosen = range(count) if slices is None else slices.for_case(name, count)
    pairs = ((stored + 1, count - 1 - stored if backwards else stored) for stored in chosen)
    return tuple((number, k) for number, k in pairs if volume.acquired[k])


def compare(loaded: LoadedCase, found: NDArray[np.bool_]) -> list[list[float | int]]:
    """Number, z and the four counts of every slice to compare, for a record."""
    z_mm = loaded.volume.geometry.slice_z_mm()
    return [
        [number, round(float(z_mm[k]), 3), *MaskAgreement.of(found[k], loaded.truth[k]).counts]
        for number, k in loaded.slices
    ]


def evaluate_segmentation(
    case: Case,
    config: AnalysisConfig,
    slices: SliceList | None = None,
    labels: Sequence[int] | None = None,
    lungs: LungsUsed | None = None,
    independent_slices: bool = False,
) -> Record:
    """Mark the opacities of a case and compare them with the truth.

    Parameters
    ----------
    case, slices, labels, independent_slices
        As for :func:`load_case`.
    config : AnalysisConfig
        Configuration of the profile.
    lungs : LungsUsed, optional
        Lungs in which opacities are marked; None for the given lungs of the case, or own lungs if it has none. With
        ``OWN`` and ``BOTH`` own lungs are also compared with the given ones.

    Raises
    ------
    InputError
        As :func:`load_case`, and if ``lungs`` needs masks that the case does not have.
    NoLungsError
        If own lungs are needed and the volume has no lungs.
    """
    if case.lungs is None and lungs in (LungsUsed.GIVEN, LungsUsed.BOTH):
        raise InputError(f"no lung mask was given for {case.name}")
    loaded = load_case(case, slices, labels, independent_slices)
    known = {LungsUsed.OWN if case.lungs is None else LungsUsed.GIVEN: loaded.lung}
    if case.lungs is not None and lungs in (LungsUsed.OWN, LungsUsed.BOTH):
        known = {LungsUsed.OWN: _found_lung(loaded.volume, independent_slices)} | known
    used = known if lungs in (None, LungsUsed.BOTH) else {lungs: known[lungs]}
    return {
        "voxel_ml": loaded.volume.geometry.voxel_ml,
        "runs": {which.value: _marked_in(loaded, lung, config, independent_slices) for which, lung in used.items()},
        **_own_lungs(loaded, known),
    }


def _marked_in(loaded: LoadedCase, lung: NDArray[np.bool_], config: AnalysisConfig, independent_slices: bool) -> Record:
    """Opacities marked in the given lungs compared with the truth, by slice, and by label over all slices together."""
    began = time.perf_counter()
    found = config.marking.mark(loaded.volume, lung, independent_slices=independent_slices).mask
    seconds = round(time.perf_counter() - began, 3)
    k = loaded.compared
    shown, truth = found[k], loaded.labels[k]
    kinds = config.marking.kinds(loaded.volume, found, independent_slices=independent_slices)
    solid = kinds[k] == Opacity.CONSOLIDATION
    return {
        "seconds": seconds,
        "slices": compare(loaded, found),
        "lung_voxels": int(np.count_nonzero(lung[k])),
        "labels": {
            str(label): [int(np.count_nonzero(shown & (truth == label))), int(np.count_nonzero(truth == label))]
            for label in np.unique(truth[truth > 0]).tolist()
        },
        "consolidation": list(MaskAgreement.of(solid, truth == Opacity.CONSOLIDATION).counts),
    }


def _own_lungs(loaded: LoadedCase, known: Mapping[LungsUsed, NDArray[np.bool_]]) -> Record:
    """Own lungs compared with the given lungs and with the true opacities, if these are known."""
    own, given = known.get(LungsUsed.OWN), known.get(LungsUsed.GIVEN)
    k = loaded.compared
    record: Record = {}
    if own is not None:
        record["lesions_in_own_lungs"] = [int(np.count_nonzero(m[k])) for m in (loaded.truth & own, loaded.truth)]
    if own is not None and given is not None:
        record["lungs"] = list(MaskAgreement.of(own[k], given[k]).counts)
    return record


def lungs_used(record: Record) -> tuple[str, ...]:
    """The lungs in which the opacities of a record were marked, own lungs first."""
    return tuple(record["runs"])


def case_agreement(case: str, record: Record, lungs: str | None = None) -> CaseAgreement:
    """The results of :func:`evaluate_segmentation` in the given lungs; None for the first lungs of the record."""
    run = record["runs"][lungs_used(record)[0] if lungs is None else lungs]
    return CaseAgreement(case, record["voxel_ml"], run["seconds"], slice_agreements(run["slices"]))


def slice_agreements(rows: Sequence[Sequence[Any]]) -> tuple[SliceAgreement, ...]:
    """The slices of :func:`compare`."""
    return tuple(SliceAgreement(int(number), z, MaskAgreement(*counts)) for number, z, *counts in rows)


def measure(name: str, agreement: MaskAgreement, protocol: Protocol) -> float:
    """One measure of one slice or case; NaN if it is not defined."""
    value = getattr(agreement, name)
    return 0.0 if name == "sensitivity" and protocol is Protocol.PAPER and isnan(value) else value


def summarise_segmentation(cases: Sequence[CaseAgreement], protocol: Protocol) -> SegmentationSummary:
    """Means over slices and over cases, with intervals."""
    counted = [case.counted(protocol) for case in cases]
    infected = [[a for a in slices if a.infected] for slices in counted]
    pooled = [MaskAgreement.pooled(slices) for slices in counted if slices]
    return SegmentationSummary(
        protocol=protocol,
        per_slice=_over_slices(counted, protocol),
        per_infected_slice=_over_slices(infected, protocol),
        per_case=MappingProxyType(
            {name: mean_estimate([measure(name, a, protocol) for a in pooled]) for name in MEASURES}
        ),
        slices=sum(map(len, counted)),
        infected_slices=sum(map(len, infected)),
        left_out=sum(len(case.slices) for case in cases) - sum(map(len, counted)),
    )


def _over_slices(slices: Sequence[Sequence[MaskAgreement]], protocol: Protocol) -> Mapping[str, Estimate]:
    """Means over the slices of all cases."""
    return MappingProxyType(
        {name: clustered_mean([[measure(name, a, protocol) for a in own] for own in slices]) for name in MEASURES}
    )
