"""Infection masks against radiologists': what the paper's tables 2 to 4 hold, per slice and per case."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import isnan
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.config import AnalysisConfig
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io import read_ct, read_mask
from CovidSeverityLib.metrics import MaskAgreement
from CovidSeverityLib.pipeline import mark_infection
from CovidSeverityLib.preprocessing.anatomical_orientation import check_orientation
from CovidSeverityLib.preprocessing.lungs import segment_lungs
from CovidSeverityLib.types import CtVolume

from .cases import Case
from .estimates import Estimate, clustered_mean, mean_estimate
from .journal import Record
from .slice_lists import SliceList

MEASURES = ("dice", "sensitivity", "specificity", "precision", "jaccard", "mcc", "mae", "accuracy")
"""Names of the measures, in the order of the tables."""


class Protocol(str, Enum):
    """Which slices count."""

    ALL = "all"
    PAPER = "paper"

    @property
    def meaning(self) -> str:
        """What the protocol does, in a sentence."""
        return {
            Protocol.ALL: "every slice counts: Dice is 0 if there was something to find and nothing right was found, "
            "and 1 if there was nothing to find and nothing was found",
            Protocol.PAPER: "as the method's authors did: slices in which nothing was found are left out, also those "
            "with something to find; sensitivity is 0 where there was nothing to find",
        }[self]


@dataclass(frozen=True)
class LoadedCase:
    """A CT with its lungs and its true infection, all (K, J, I), and the slices that are to be compared.

    ``slices`` are pairs of a number in the file (the first axial slice is 1) and an index into K.
    """

    volume: CtVolume
    lung: NDArray[np.bool_]
    truth: NDArray[np.bool_]
    slices: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class SliceAgreement:
    """One slice: its number in the file, its LPS z in mm, and how the masks agree."""

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
    """Every measure of :data:`MEASURES`: the mean over slices, and over cases (each case's slices taken together)."""

    protocol: Protocol
    per_slice: Mapping[str, Estimate]
    per_case: Mapping[str, Estimate]
    slices: int
    left_out: int


def load_case(case: Case, slices: SliceList | None = None, labels: Sequence[int] | None = None) -> LoadedCase:
    """Read a CT, its true infection and its lungs (found here where the case names none).

    Parameters
    ----------
    case : with a mask.
    slices : which slices are to be compared; None for all that were measured.
    labels : of the mask that count as infection; None for all but 0.

    Raises
    ------
    InputError
        If a file cannot be used, or the list names slices that the CT does not have.
    """
    if case.mask is None:
        raise InputError(f"no mask was found for {case.name}")
    volume = read_ct(case.image)
    marked = read_mask(case.mask, volume)
    truth = marked > 0 if labels is None else np.isin(marked, labels)
    return LoadedCase(volume, _lung(case, volume), truth, _slices(volume, case.name, slices))


def _lung(case: Case, volume: CtVolume) -> NDArray[np.bool_]:
    if case.lungs is None:
        check_orientation(volume)
        return segment_lungs(volume).labels > 0
    lung = read_mask(case.lungs, volume) > 0  # not checked further: sets of single slices are no volumes
    if not lung.any():
        raise InputError(f"the lung mask {case.lungs.name} is empty")
    return lung


def _slices(volume: CtVolume, name: str, slices: SliceList | None) -> tuple[tuple[int, int], ...]:
    """(number in the file, index into K): files that store slices from superior to inferior count from there."""
    count = volume.hu.shape[0]
    backwards = volume.storage.axes[0] == 0 and volume.storage.flipped[0]
    chosen = range(count) if slices is None else slices.for_case(name, count)
    pairs = ((stored + 1, count - 1 - stored if backwards else stored) for stored in chosen)
    return tuple((number, k) for number, k in pairs if volume.acquired[k])


def compare(loaded: LoadedCase, found: NDArray[np.bool_]) -> list[list[float | int]]:
    """Number, z and the four counts of every slice that is to be compared, for a record."""
    z_mm = loaded.volume.geometry.slice_z_mm()
    return [
        [number, round(float(z_mm[k]), 3), *MaskAgreement.of(found[k], loaded.truth[k]).counts]
        for number, k in loaded.slices
    ]


def evaluate_segmentation(
    case: Case, config: AnalysisConfig, slices: SliceList | None = None, labels: Sequence[int] | None = None
) -> Record:
    """Mark the infection of a case and compare it with the truth; see :func:`load_case` for what is raised."""
    loaded = load_case(case, slices, labels)
    began = time.perf_counter()
    found = mark_infection(loaded.volume, loaded.lung, config)
    return {
        "voxel_ml": loaded.volume.geometry.voxel_ml,
        "seconds": round(time.perf_counter() - began, 3),
        "slices": compare(loaded, found),
    }


def case_agreement(case: str, record: Record) -> CaseAgreement:
    """What :func:`evaluate_segmentation` recorded."""
    return CaseAgreement(case, record["voxel_ml"], record["seconds"], slice_agreements(record["slices"]))


def slice_agreements(rows: Sequence[Sequence[float]]) -> tuple[SliceAgreement, ...]:
    """What :func:`compare` listed."""
    return tuple(SliceAgreement(int(number), z, MaskAgreement(*counts)) for number, z, *counts in rows)


def measure(name: str, agreement: MaskAgreement, protocol: Protocol) -> float:
    """One measure of one slice or case; not a number where it is not defined."""
    value = getattr(agreement, name)
    return 0.0 if name == "sensitivity" and protocol is Protocol.PAPER and isnan(value) else value


def summarise_segmentation(cases: Sequence[CaseAgreement], protocol: Protocol) -> SegmentationSummary:
    """Means over slices and over cases, with intervals."""
    counted = [case.counted(protocol) for case in cases]
    pooled = [MaskAgreement.pooled(slices) for slices in counted if slices]
    return SegmentationSummary(
        protocol=protocol,
        per_slice=MappingProxyType(
            {
                name: clustered_mean([[measure(name, a, protocol) for a in slices] for slices in counted])
                for name in MEASURES
            }
        ),
        per_case=MappingProxyType(
            {name: mean_estimate([measure(name, a, protocol) for a in pooled]) for name in MEASURES}
        ),
        slices=sum(map(len, counted)),
        left_out=sum(len(case.slices) for case in cases) - sum(map(len, counted)),
    )
