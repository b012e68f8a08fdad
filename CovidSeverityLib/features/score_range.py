"""How sure a score is: what it would be with the thresholds, or the fissures, where they may as well lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.morphology.grid import bounding_box, distance_to
from CovidSeverityLib.segmentation.lobes.values import FissureFinding, LobeSegmentation
from CovidSeverityLib.types import Geometry, Lobe, Side, triple

from .config import MeasureConfig
from .quantification import Counts, LobeScore, lobe_scores
from .spill import connected_opacities, lobes_without_opacity, spill_matters

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
    labels = lobes.labels[step].copy()
    box = bounding_box(labels)
    labels = labels[box]
    inside = labels > 0
    marked, *others = (_Opacities(mask[step][box], inside) for mask in masks)
    strict = replace(config, least_percent=0.0)
    automatic = labels[inside]
    variants = [_scored(found, automatic, lobes.approximate, config) for found in others]
    variants += [_scored(found, automatic, lobes.approximate, strict) for found in (marked, *others)]
    moved = _moved(labels, lobes.fissures, spacing)
    variants += [_scored(marked, other, lobes.approximate, config) for other in moved]
    totals = [sum(score.score for score in variant) for variant in (scores, *variants)]
    return ScoredLobes(
        tuple(_ranged(score, [variant[n] for variant in variants]) for n, score in enumerate(scores)),
        (min(totals), max(totals)),
    )


@dataclass(frozen=True, eq=False)
class _Opacities:
    """Opacities among (K, J, I) samples, and which samples lie in a lobe, the N that count."""

    mask: NDArray[np.bool_]
    inside: NDArray[np.bool_]

    @cached_property
    def voxels(self) -> NDArray[np.intp]:
        """Those of the N samples that are marked."""
        return np.flatnonzero(self.mask[self.inside])

    @cached_property
    def objects(self) -> NDArray[np.integer]:
        """The connected opacity of each of :attr:`voxels`: where lobes are moved, it stays."""
        return connected_opacities(self.mask)[self.inside][self.voxels]


def _scored(
    opacities: _Opacities, labels: NDArray[np.uint8], approximate: bool, config: MeasureConfig
) -> tuple[LobeScore, ...]:
    """Scores of the samples that count, of which ``labels`` (N,) are the lobes; their volumes mean nothing."""
    sick = labels[opacities.voxels]
    whole, infected = (np.bincount(part, minlength=len(Lobe) + 1)[None] for part in (labels, sick))
    counts = Counts(whole, infected)
    least, spill = config.least_percent, config.spill_percent
    doubted = approximate and spill_matters(counts, least, spill)
    spilled = lobes_without_opacity(opacities.objects, sick) if doubted else ()
    return lobe_scores(counts, 0.0, None, None, spilled, least, spill)


def _ranged(score: LobeScore, variants: Sequence[LobeScore]) -> LobeScore:
    both = (score, *variants)
    points, percents = [lobe.score for lobe in both], [lobe.involvement_percent for lobe in both]
    return replace(
        score, score_range=(min(points), max(points)), involvement_range_percent=(min(percents), max(percents))
    )


def _moved(
    labels: NDArray[np.uint8], fissures: Sequence[FissureFinding], spacing_mm: tuple[float, float, float]
) -> Iterator[NDArray[np.uint8]]:
    """(N,) lobes of the samples that count, with one fissure moved by its expected distance to the true one, to either
    side."""
    if not fissures:
        return
    automatic, distances = labels[labels > 0], _distances(labels, spacing_mm)
    for fissure in fissures:
        for grows, shrinks in zip(FISSURE_SIDES[fissure.name], reversed(FISSURE_SIDES[fissure.name]), strict=True):
            away = np.array([distances[lobe] for lobe in grows])
            taken = np.flatnonzero(np.isin(automatic, shrinks) & (away.min(axis=0) <= fissure.expected_mm))
            moved = automatic.copy()
            moved[taken] = np.array(grows, dtype=np.uint8)[away[:, taken].argmin(axis=0)]
            yield moved


def _distances(labels: NDArray[np.uint8], spacing_mm: tuple[float, float, float]) -> dict[Lobe, NDArray[np.float32]]:
    """Of the samples in a lobe (N,) to every lobe, mm; infinite to those of the other lung."""
    inside = labels > 0
    distances = {}
    for side in Side:
        lobes = [lobe for lobe in Lobe if lobe.side is side]
        lung = np.isin(labels, lobes)
        box = bounding_box(lung)
        for lobe in lobes:
            distances[lobe] = np.full(np.count_nonzero(inside), np.inf, dtype=np.float32)
            distances[lobe][lung[inside]] = distance_to(labels[box] == lobe.value, spacing_mm)[lung[box]]
    return distances
