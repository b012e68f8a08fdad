"""The numbers of an analysis with their coded concepts, by both lungs, lung, lobe and opacity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.sr.coding import Code

from CovidSeverityLib.features.attenuation import Attenuation, PartAttenuation, attenuation
from CovidSeverityLib.features.low_attenuation import LowDensity
from CovidSeverityLib.features.quantification import LobeScore
from CovidSeverityLib.findings import Findings
from CovidSeverityLib.reporting.tables import (
    CONFIDENCE_DECIMALS,
    HU_DECIMALS,
    ML_DECIMALS,
    PERCENT_DECIMALS,
    rounded,
)
from CovidSeverityLib.types import Lobe, Opacity, Side

from . import codes
from .segments import Part

DECIMALS_OF_UNIT = {
    codes.ML: ML_DECIMALS,
    codes.PERCENT: PERCENT_DECIMALS,
    codes.HU: HU_DECIMALS,
    codes.NO_UNITS: CONFIDENCE_DECIMALS,
    codes.SCORE: 0,
}
"""Decimals by unit: those of the tables."""


@dataclass(frozen=True)
class Figure:
    """One number.

    Parameters
    ----------
    concept : Code
        What it is.
    value : float
        Rounded to the decimals of its unit.
    unit : Code
        In UCUM.
    derivation : Code or None
        How it was derived, as in mean or standard deviation.
    ends : tuple of two float, or None
        Lowest and highest value within the uncertainty; None where it is not known.
    """

    concept: Code
    value: float
    unit: Code
    derivation: Code | None = None
    ends: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", self._rounded(self.value))
        if self.ends is not None:
            low, high = (self._rounded(end) for end in self.ends)
            object.__setattr__(self, "ends", (min(low, self.value), max(high, self.value)))

    def _rounded(self, value: float) -> float:
        """With the decimals of the unit; a whole number stays one."""
        places = DECIMALS_OF_UNIT[self.unit]
        return rounded(value, places) if places else round(value)


@dataclass(frozen=True)
class FigureGroup:
    """The numbers of one part; ``part`` is None for both lungs. ``severity`` is the word for the total score."""

    part: Part | None
    figures: tuple[Figure, ...]
    severity: Code | None = None


def figure_groups(analysis: Findings) -> tuple[FigureGroup, ...]:
    """Every group of an analysis: both lungs, then what of lungs, lobes and opacities is there."""
    density = attenuation(analysis.volume.hu, analysis.lungs, analysis.lobes, analysis.infection)
    groups = [FigureGroup(None, tuple(_of_both_lungs(analysis, density)), _severity(analysis))]
    for side in Side:
        if analysis.side_voxels[side]:
            groups.append(FigureGroup(side, tuple(_of_lung(analysis, density, side))))
    for score in sorted(analysis.lobe_scores, key=lambda score: score.lobe):
        if score.voxels:
            groups.append(FigureGroup(score.lobe, tuple(_of_lobe(analysis, density, score))))
    for kind in Opacity:
        if analysis.opacity_voxels[kind]:
            groups.append(FigureGroup(kind, tuple(_of_opacity(analysis, density, kind))))
    return tuple(groups)


def _severity(analysis: Findings) -> Code | None:
    """The word for the score; None where there is no score."""
    return codes.SEVERITY_WORDS.get(analysis.severity.label)


def _of_both_lungs(analysis: Findings, density: Attenuation) -> Iterator[Figure]:
    if analysis.ctss is not None:
        yield Figure(codes.CTSS, analysis.ctss, codes.SCORE, ends=analysis.ctss_range)
    if analysis.total_severity_score is not None:
        yield Figure(codes.TSS, analysis.total_severity_score, codes.SCORE)
    yield Figure(codes.VOLUME, analysis.lung_ml, codes.ML)
    yield from _opacities(density.total, analysis.voxel_ml)
    yield Figure(codes.GGO_VOLUME, analysis.opacity_ml(Opacity.GROUND_GLASS), codes.ML)
    yield Figure(codes.CONSOLIDATION_VOLUME, analysis.opacity_ml(Opacity.CONSOLIDATION), codes.ML)
    yield Figure(codes.CONSOLIDATION_PERCENT, analysis.high_opacity_percent, codes.PERCENT)
    if analysis.well_aerated_percent is not None:
        yield Figure(codes.AERATED_PERCENT, analysis.well_aerated_percent, codes.PERCENT)
    yield from _densities(density.total)
    low = analysis.low_attenuation
    yield Figure(codes.THRESHOLD, low.threshold_hu, codes.HU)
    yield Figure(codes.PERCENTILE_RANK, low.percentile, codes.PERCENT)
    yield from _low_attenuation(low.total)


def _of_lung(analysis: Findings, density: Attenuation, side: Side) -> Iterator[Figure]:
    yield Figure(codes.VOLUME, analysis.side_ml(side), codes.ML)
    yield from _opacities(density.side(side), analysis.voxel_ml)
    yield from _densities(density.side(side))
    yield from _low_attenuation(analysis.low_attenuation.side(side))


def _of_lobe(analysis: Findings, density: Attenuation, score: LobeScore) -> Iterator[Figure]:
    lobe: Lobe = score.lobe
    yield Figure(codes.CTSS_LOBE, score.score, codes.SCORE, ends=score.score_range)
    yield Figure(codes.TSS_LOBE, score.total_severity_score, codes.SCORE)
    yield Figure(codes.VOLUME, score.volume_ml, codes.ML)
    yield Figure(codes.OPACITY_VOLUME, score.infection_ml, codes.ML)
    ends = score.involvement_range_percent
    yield Figure(codes.OPACITY_PERCENT, score.involvement_percent, codes.PERCENT, ends=ends)
    if score.confidence is not None:
        yield Figure(codes.LOBE_CONFIDENCE, score.confidence, codes.NO_UNITS)
    yield from _densities(density.lobe(lobe))
    yield from _low_attenuation(analysis.low_attenuation.lobe(lobe))


def _of_opacity(analysis: Findings, density: Attenuation, kind: Opacity) -> Iterator[Figure]:
    yield Figure(codes.VOLUME, analysis.opacity_ml(kind), codes.ML)
    share = 100.0 * analysis.opacity_voxels[kind] / analysis.lung_voxels
    yield Figure(codes.SHARE_OF_LUNGS, share, codes.PERCENT)
    yield from _densities(density.opacity(kind))


def _opacities(part: PartAttenuation, voxel_ml: float) -> Iterator[Figure]:
    yield Figure(codes.OPACITY_VOLUME, part.infected_voxels * voxel_ml, codes.ML)
    yield Figure(codes.OPACITY_PERCENT, part.infected_percent, codes.PERCENT)


def _densities(part: PartAttenuation) -> Iterator[Figure]:
    if part.mean_hu is not None and part.sd_hu is not None:
        yield Figure(codes.ATTENUATION, part.mean_hu, codes.HU, codes.MEAN)
        yield Figure(codes.ATTENUATION, part.sd_hu, codes.HU, codes.STANDARD_DEVIATION)


def _low_attenuation(part: LowDensity) -> Iterator[Figure]:
    yield Figure(codes.LOW_ATTENUATION_PERCENT, part.percent, codes.PERCENT)
    if part.percentile_hu is not None:
        yield Figure(codes.PERCENTILE, part.percentile_hu, codes.HU)
