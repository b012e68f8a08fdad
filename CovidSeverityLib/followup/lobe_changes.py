"""Changes of volumes, opacities and scores with their uncertainty: what is more than the method's own repeatability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.features.quantification import LobeScore
from CovidSeverityLib.types import LOBE_NAMES, Lobe

from .change import OpacityChange
from .config import RepeatabilityConfig
from .examination import Examination

BOTH_LUNGS = "lungs"
"""What stands for both lungs in the column of the lobes."""

Ends = tuple[float, float]
"""Lowest and highest."""


@dataclass(frozen=True)
class Change:
    """A value before and after.

    Parameters
    ----------
    before, after : float or None
        None where it is not known.
    low, high : float or None
        What the change may be with the uncertainty of both values; None without a change.

    Examples
    --------
    >>> from CovidSeverityLib import Change
    >>> change = Change(before=4.0, after=9.5, low=3.0, high=8.0)
    >>> change.change, change.more_than_repeatability
    (5.5, True)
    """

    before: float | None
    after: float | None
    low: float | None
    high: float | None

    @property
    def change(self) -> float | None:
        """After minus before."""
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def more_than_repeatability(self) -> bool | None:
        """Whether no change at all is outside what the change may be; None where it is not known."""
        return None if self.low is None or self.high is None else self.low > 0 or self.high < 0


@dataclass(frozen=True)
class LobeChange:
    """What changed in one lobe, or in both lungs.

    Parameters
    ----------
    lobe : Lobe or None
        None for both lungs.
    volume_ml : Change
        Volume, ml. It changes with the breath.
    opacity_ml, opacity_percent : Change
        Opacities, ml and per cent of the volume.
    ctss : Change
        CT severity score, points.
    ctss_ranges : tuple of two ranges
        Of the score before and after; None where the profile knows none.
    new_ml, resolved_ml, persistent_ml : float
        Opacity by :class:`OpacityChange` in the later lobe, ml.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis, compare
    >>> result = Analysis.load("results")
    >>> [lungs] = [part for part in compare(result, result).changes if part.lobe is None]
    >>> lungs.name, lungs.opacity_ml.change, lungs.ctss.more_than_repeatability
    ('both lungs', 0.0, False)
    """

    lobe: Lobe | None
    volume_ml: Change
    opacity_ml: Change
    opacity_percent: Change
    ctss: Change
    ctss_ranges: tuple[tuple[int, int] | None, tuple[int, int] | None]
    new_ml: float
    resolved_ml: float
    persistent_ml: float

    @property
    def code(self) -> str:
        """``RUL``, for example, or ``lungs``."""
        return BOTH_LUNGS if self.lobe is None else self.lobe.name

    @property
    def name(self) -> str:
        """For people."""
        return "both lungs" if self.lobe is None else LOBE_NAMES[self.lobe]


@dataclass(frozen=True)
class _Part:
    """A lobe or both lungs of one examination; ``ends`` are those of the opacities, ml."""

    volume_ml: float
    opacity_ml: float
    ends_ml: Ends
    score: int | None
    score_ends: tuple[int, int] | None

    @property
    def percent(self) -> float:
        return self._share(self.opacity_ml)

    @property
    def ends_percent(self) -> Ends:
        low, high = self.ends_ml
        return self._share(low), self._share(high)

    def _share(self, ml: float) -> float:
        return 100.0 * ml / self.volume_ml if self.volume_ml else 0.0


def lobe_changes(
    before: Examination, after: Examination, labels: NDArray[np.uint8], config: RepeatabilityConfig
) -> tuple[LobeChange, ...]:
    """Every lobe's change, and that of both lungs at the end.

    Parameters
    ----------
    before, after : Examination
        The earlier and the later one.
    labels : (K, J, I) ndarray of uint8
        Labels of :class:`OpacityChange` on the later grid.
    config : RepeatabilityConfig
        What both scans of unchanged lungs may differ by.
    """
    volumes = _segment_ml(labels, after)
    lobes = tuple(
        _change(lobe, _of_lobe(before.lobe(lobe)), _of_lobe(after.lobe(lobe)), volumes[lobe], config) for lobe in Lobe
    )
    both = {kind: sum(part[kind] for part in volumes.values()) for kind in OpacityChange}
    return (*lobes, _change(None, _of_lungs(before), _of_lungs(after), both, config))


def _change(
    lobe: Lobe | None,
    before: _Part,
    after: _Part,
    segments_ml: Mapping[OpacityChange, float],
    config: RepeatabilityConfig,
) -> LobeChange:
    whole = lobe is None
    volume_percent = config.lung_volume_percent if whole else config.lobe_volume_percent
    volume = volume_percent / 100.0 * max(before.volume_ml, after.volume_ml)
    least = config.lung_percent if whole else config.lobe_percent
    percent = least + config.relative_percent / 100.0 * 0.5 * (before.percent + after.percent)
    ml = percent / 100.0 * 0.5 * (before.volume_ml + after.volume_ml)
    return LobeChange(
        lobe=lobe,
        volume_ml=_with_limits(before.volume_ml, after.volume_ml, volume),
        opacity_ml=_with_ranges(before.opacity_ml, before.ends_ml, after.opacity_ml, after.ends_ml, ml),
        opacity_percent=_with_ranges(before.percent, before.ends_percent, after.percent, after.ends_percent, percent),
        ctss=_score_change(before, after, config.score if whole else config.lobe_score),
        ctss_ranges=(before.score_ends, after.score_ends),
        new_ml=segments_ml[OpacityChange.NEW],
        resolved_ml=segments_ml[OpacityChange.RESOLVED],
        persistent_ml=segments_ml[OpacityChange.PERSISTENT],
    )


def _with_limits(before: float, after: float, limit: float) -> Change:
    return Change(before, after, after - before - limit, after - before + limit)


def _with_ranges(before: float, before_ends: Ends, after: float, after_ends: Ends, limit: float) -> Change:
    """The independent uncertainties in quadrature: repeatability, and each value's range on the side that matters."""
    change = after - before
    down = hypot(limit, before_ends[1] - before, after - after_ends[0])
    up = hypot(limit, before - before_ends[0], after_ends[1] - after)
    return Change(before, after, change - down, change + up)


def _score_change(before: _Part, after: _Part, limit: int) -> Change:
    """Points are steps: the ends of both ranges are taken at their worst, and are no less apart than the limit."""
    if before.score is None or after.score is None:
        return Change(before.score, after.score, None, None)
    change = after.score - before.score
    before_low, before_high = before.score_ends or (before.score, before.score)
    after_low, after_high = after.score_ends or (after.score, after.score)
    low, high = after_low - before_high, after_high - before_low
    return Change(before.score, after.score, min(low, change - limit), max(high, change + limit))


def _of_lobe(score: LobeScore) -> _Part:
    ends = score.involvement_range_percent or (score.involvement_percent, score.involvement_percent)
    low, high = (percent / 100.0 * score.volume_ml for percent in ends)
    known = score.score if score.voxels else None
    ml = score.infection_ml
    return _Part(score.volume_ml, ml, (min(low, ml), max(high, ml)), known, score.score_range if score.voxels else None)


def _of_lungs(examination: Examination) -> _Part:
    """Both lungs; the ranges of the lobes, which thresholds move together, are added."""
    lobes = [_of_lobe(score) for score in examination.lobe_scores]
    ml = sum(examination.opacity_voxels.values()) * examination.voxel_ml
    low, high = (ml + sum(part.ends_ml[end] - part.opacity_ml for part in lobes) for end in (0, 1))
    return _Part(examination.lung_ml, ml, (max(low, 0.0), high), examination.ctss, examination.ctss_range)


def _segment_ml(labels: NDArray[np.uint8], after: Examination) -> dict[Lobe | None, dict[OpacityChange, float]]:
    """Volume of each label in every later lobe, ml; None is what lies in no lobe."""
    kinds, places = len(OpacityChange) + 1, len(Lobe) + 1
    counts = np.zeros(kinds * places, dtype=np.int64)
    for plane, lobes in zip(labels, after.lobes, strict=True):
        counts += np.bincount((plane * np.uint8(places) + lobes)[plane > 0], minlength=counts.size)
    table = counts.reshape(kinds, places) * after.voxel_ml
    return {
        place: {kind: float(table[kind, 0 if place is None else place]) for kind in OpacityChange}
        for place in (*Lobe, None)
    }
