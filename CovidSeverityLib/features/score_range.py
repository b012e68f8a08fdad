"""How sure a score is: what it would be with the thresholds, or the fissures, where they may as well lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.morphology.grid import bounding_box, distance_to
from CovidSeverityLib.segmentation.lobes.values import FissureFinding, LobeSegmentation
from CovidSeverityLib.types import Geometry, Lobe, triple

from .config import MeasureConfig
from .quantification import Counts, LobeScore, lobe_scores, spilled_lobes

FISSURE_SIDES: Mapping[str, tuple[tuple[Lobe, ...], tuple[Lobe, ...]]] = {
    "right oblique": ((Lobe.RUL, Lobe.RML), (Lobe.RLL,)),
    "right horizontal": ((Lobe.RUL,), (Lobe.RML,)),
    "left oblique": ((Lobe.LUL,), (Lobe.LLL,)),
}
"""Lobes on either side of every fissure."""


@dataclass(frozen=True)
class ScoredLobes:
    """Scores of the lobes with their ranges, and the range of their sum.

    Parameters
    ----------
    lobes : tuple of LobeScore
        With their ranges.
    ctss : (int, int)
        Lowest and highest sum over the lobes.
    """

    lobes: tuple[LobeScore, ...]
    ctss: tuple[int, int]


def with_ranges(
    scores: tuple[LobeScore, ...],
    masks: Sequence[NDArray[np.bool_]],
    lobes: LobeSegmentation,
    geometry: Geometry,
    config: MeasureConfig = MeasureConfig(),
) -> ScoredLobes:
    """Scores with what they would be for other masks of opacity, and for other places of the fissures.

    Every fissure is moved by its expected distance to the true one, either way, one at a time. What is marked in a lobe
    up to ``config.least_percent`` counts or not. The ranges hold the scores themselves. They are no
    confidence intervals: they are what changes when one thing at a time is moved by its standard uncertainty.

    Parameters
    ----------
    scores : tuple of LobeScore
        Of the opacities as they were marked, in the order of :class:`~CovidSeverityLib.types.Lobe`.
    masks : sequence of (K, J, I) ndarray of bool
        Opacities as they were marked, then by other thresholds.
    lobes : LobeSegmentation
        On the same grid.
    geometry : Geometry
        Of all of them.
    config : MeasureConfig
        What counts, and how many voxels are looked at.
    """
    step = tuple(slice(None, None, max(1, int(config.sampling_mm / mm))) for mm in geometry.spacing_kji)
    spacing = triple(mm * part.step for mm, part in zip(geometry.spacing_kji, step, strict=True))
    box = bounding_box(lobes.labels[step])
    labels = lobes.labels[step][box]
    marked, *others = (mask[step][box] for mask in masks)
    strict = replace(config, least_percent=0.0)
    variants = [_scored(mask, labels, lobes.approximate, config) for mask in others]
    variants += [_scored(mask, labels, lobes.approximate, strict) for mask in (marked, *others)]
    moved = _moved(labels, lobes.fissures, spacing)
    variants += [_scored(marked, other, lobes.approximate, config) for other in moved]
    totals = [sum(score.score for score in variant) for variant in (scores, *variants)]
    return ScoredLobes(
        tuple(_ranged(score, [variant[n] for variant in variants]) for n, score in enumerate(scores)),
        (min(totals), max(totals)),
    )


def _scored(
    opacities: NDArray[np.bool_], labels: NDArray[np.uint8], approximate: bool, config: MeasureConfig
) -> tuple[LobeScore, ...]:
    """Scores of samples; their volumes mean nothing."""
    whole = np.bincount(labels.ravel(), minlength=len(Lobe) + 1)
    sick = np.bincount(labels[opacities], minlength=len(Lobe) + 1)
    spilled = spilled_lobes(opacities, labels) if approximate else ()
    least, spill = config.least_percent, config.spill_percent
    return lobe_scores(Counts(whole[None], sick[None]), 0.0, None, None, spilled, least, spill)


def _ranged(score: LobeScore, variants: Sequence[LobeScore]) -> LobeScore:
    both = (score, *variants)
    points, percents = [lobe.score for lobe in both], [lobe.involvement_percent for lobe in both]
    return replace(
        score, score_range=(min(points), max(points)), involvement_range_percent=(min(percents), max(percents))
    )


def _moved(
    labels: NDArray[np.uint8], fissures: Sequence[FissureFinding], spacing_mm: tuple[float, float, float]
) -> Iterator[NDArray[np.uint8]]:
    """(K, J, I) lobes with one fissure moved by its expected distance to the true one, to either side."""
    if not fissures:
        return
    distances = {lobe: distance_to(labels == lobe, spacing_mm) for lobe in Lobe}
    for fissure in fissures:
        for grows, shrinks in zip(FISSURE_SIDES[fissure.name], reversed(FISSURE_SIDES[fissure.name]), strict=True):
            away = np.array([distances[lobe] for lobe in grows])
            taken = np.isin(labels, shrinks) & (away.min(axis=0) <= fissure.expected_mm)
            moved = labels.copy()
            moved[taken] = np.array(grows, dtype=np.uint8)[away.argmin(axis=0)[taken]]
            yield moved
