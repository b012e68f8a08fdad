"""Positions of the bars in the histogram of CTSS; the template draws them as SVG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from CovidSeverityLib.ctss import CTSS_MAX, severity_for
from CovidSeverityLib.reporting.html.charts import (
    PLOT_BOTTOM,
    PLOT_LEFT,
    PLOT_RIGHT,
    PLOT_TOP,
    Mark,
    round_values,
    text_of,
)

from .row_values import Row, whole

BAR_SHARE = 0.84
"""Width of a bar, as a share of the distance of two."""

TICK_EVERY = 5


@dataclass(frozen=True)
class ScoreBar:
    """The cases of one score."""

    score: int
    cases: int
    severity: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class ScoreChart:
    """Number of cases by CTSS; ``unscored`` have none."""

    bars: tuple[ScoreBar, ...]
    x_ticks: tuple[Mark, ...]
    y_ticks: tuple[Mark, ...]
    unscored: int


def score_chart(rows: Sequence[Row]) -> ScoreChart | None:
    """The histogram of the scores; None where no case has one.

    Raises
    ------
    ValueError
        A score is no number from 0 to 25.
    """
    scores = [whole(row, "ctss") for row in rows]
    counts = Counter(score for score in scores if score is not None)
    if not counts:
        return None
    wrong = [score for score in counts if not 0 <= score <= CTSS_MAX]
    if wrong:
        raise ValueError(f"a CTSS is {wrong[0]}; expected 0 to {CTSS_MAX}")
    ticks = [value for value in round_values(0.0, float(max(counts.values()))) if value == round(value)]
    top = max(*ticks, *counts.values())
    step = (PLOT_RIGHT - PLOT_LEFT) / (CTSS_MAX + 1)

    def y_of(cases: float) -> float:
        return round(PLOT_BOTTOM - (PLOT_BOTTOM - PLOT_TOP) * cases / top, 2)

    bars = tuple(
        ScoreBar(
            score,
            counts[score],
            severity_for(score).label,
            round(PLOT_LEFT + step * (score + (1 - BAR_SHARE) / 2), 2),
            y_of(counts[score]),
            round(step * BAR_SHARE, 2),
            round(PLOT_BOTTOM - y_of(counts[score]), 2),
        )
        for score in range(CTSS_MAX + 1)
    )
    x_ticks = tuple(Mark(round(PLOT_LEFT + step * (n + 0.5), 2), str(n)) for n in range(0, CTSS_MAX + 1, TICK_EVERY))
    return ScoreChart(bars, x_ticks, tuple(Mark(y_of(tick), text_of(tick)) for tick in ticks), scores.count(None))
