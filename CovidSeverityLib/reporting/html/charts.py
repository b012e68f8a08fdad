"""Positions in the charts of the page: numbers to places. The templates draw them as SVG.

Places are in the units of a chart's view box, :data:`CHART_WIDTH` wide, x to the right and y down. A phone shows about
one unit per pixel, so that letters keep their size there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from CovidSeverityLib.ctss import CTSS_EDGES_PERCENT
from CovidSeverityLib.features.quantification import Densitometry, LobeScore, SliceRow
from CovidSeverityLib.reporting.histogram_bins import (
    HISTOGRAM_BIN_HU,
    HISTOGRAM_FLOOR_PERCENT,
    HISTOGRAM_RANGE_HU,
    binned_histogram,
)
from CovidSeverityLib.types import LOBE_NAMES

CHART_WIDTH = 340

LOBES_LEFT, LOBES_RIGHT, LOBES_TOP = 42.0, 286.0, 26.0
LOBE_HEIGHT, BAR_HEIGHT = 32.0, 18.0
INSIDE_FROM = 150.0
"""In a bar of at least this length its text stands inside, otherwise beside it."""

PLOT_LEFT, PLOT_RIGHT, PLOT_TOP, PLOT_BOTTOM = 44.0, 334.0, 10.0, 150.0
PLOT_HEIGHT = 190.0
TICKS = 5
LEAST_TOP_PERCENT = 1.0
"""The profile's scale ends no lower than here, per cent: a trace of opacity shall not look like much."""


@dataclass(frozen=True)
class Mark:
    """A place on an axis, and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Band:
    """A part of an axis, and its text."""

    start: float
    end: float
    text: str

    @property
    def width(self) -> float:
        """Its length."""
        return round(self.end - self.start, 2)

    @property
    def middle(self) -> float:
        """Its middle."""
        return round((self.start + self.end) / 2, 2)


@dataclass(frozen=True)
class LobeBar:
    """One lobe: ``y`` of its middle, ``x`` of the end of its bar, and both ends of its range where it has one."""

    score: LobeScore
    name: str
    y: float
    x: float
    ends: tuple[float, float] | None
    inside: bool


@dataclass(frozen=True)
class LobesChart:
    """Bars on a square-root scale, with the bands of the score behind them."""

    bars: tuple[LobeBar, ...]
    bands: tuple[Band, ...]
    ticks: tuple[Mark, ...]

    @property
    def bottom(self) -> float:
        """``y`` of the axis."""
        return LOBES_TOP + LOBE_HEIGHT * len(self.bars)


@dataclass(frozen=True)
class Plot:
    """A filled line over two axes."""

    line: str
    x_ticks: tuple[Mark, ...]
    y_ticks: tuple[Mark, ...]
    band: Band | None = None


def lobes_chart(scores: Sequence[LobeScore]) -> LobesChart:
    """The share of opacity of every lobe, superior lobes first."""
    edges = (*CTSS_EDGES_PERCENT, 100.0)
    places = [_root_x(edge) for edge in edges]
    bands = [Band(*ends, str(n)) for n, ends in enumerate(itertools.pairwise(places), start=1)]
    ticks = tuple(Mark(x, f"{edge:.0f}") for x, edge in zip(places, edges, strict=True))
    bars = tuple(_bar(row, score) for row, score in enumerate(scores))
    return LobesChart(bars, tuple(bands), ticks)


def profile_chart(rows: Sequence[SliceRow]) -> Plot | None:
    """Opacity in per cent of the lung of every slice along z, inferior on the left; None for fewer than two slices."""
    rows = sorted((row for row in rows if row.lung_voxels), key=lambda row: row.z_mm)
    if len(rows) < 2:
        return None
    z_mm, percent = ([getattr(row, name) for row in rows] for name in ("z_mm", "infection_percent"))
    y_ticks = round_values(0.0, max(LEAST_TOP_PERCENT, *percent))
    if y_ticks[-1] < max(percent):
        y_ticks.append(2 * y_ticks[-1] - y_ticks[-2])
    top = y_ticks[-1]
    xs = [profile_x(z, z_mm[0], z_mm[-1]) for z in z_mm]
    ys = [_linear(value, (0.0, top), (PLOT_BOTTOM, PLOT_TOP)) for value in percent]
    return Plot(
        _line(xs, ys),
        tuple(Mark(profile_x(z, z_mm[0], z_mm[-1]), text_of(z)) for z in round_values(z_mm[0], z_mm[-1])),
        tuple(Mark(_linear(value, (0.0, top), (PLOT_BOTTOM, PLOT_TOP)), text_of(value)) for value in y_ticks),
    )


def profile_x(z_mm: float, first_mm: float, last_mm: float) -> float:
    """The place of a slice in the profile of slices from ``first_mm`` to ``last_mm``."""
    return _linear(z_mm, (first_mm, last_mm), (PLOT_LEFT, PLOT_RIGHT))


def histogram_chart(densitometry: Densitometry) -> Plot:
    """Lung voxels by Hounsfield unit on a logarithmic scale, with the band of well-aerated lung."""
    centres, percent = binned_histogram(densitometry)
    low, high = HISTOGRAM_RANGE_HU
    floor = HISTOGRAM_FLOOR_PERCENT
    top = 10.0 ** math.ceil(math.log10(max(10 * floor, float(percent.max()))))
    scale, place = (math.log10(floor), math.log10(top)), (PLOT_BOTTOM, PLOT_TOP)
    heights = np.log10(np.maximum(percent, floor))
    powers = [10.0**n for n in range(math.ceil(scale[0]), round(scale[1]) + 1)]
    return Plot(
        _line([_hu_x(hu) for hu in centres], [_linear(value, scale, place) for value in heights]),
        tuple(Mark(_hu_x(hu), text_of(hu)) for hu in round_values(low, high)),
        tuple(Mark(_linear(math.log10(value), scale, place), f"{value:g}") for value in powers),
        Band(_hu_x(densitometry.well_aerated_hu[0]), _hu_x(densitometry.well_aerated_hu[1]), ""),
    )


def round_values(low: float, high: float, count: int = TICKS) -> list[float]:
    """About ``count`` round numbers from ``low`` to ``high``, at least two."""
    step = 10.0 ** math.floor(math.log10((high - low) / count))
    step = next((step * factor for factor in (1, 2, 5) if (high - low) / (step * factor) <= count + 1e-9), step * 10)
    first = math.ceil(low / step - 1e-9)
    values = [round(n * step, 6) + 0.0 for n in range(first, math.floor(high / step + 1e-9) + 1)]
    return values if len(values) > 1 else [low, high]


def text_of(value: float) -> str:
    """A number without needless decimals, with a typographic minus."""
    return f"{value:.6g}".replace("-", "−")


def bin_hu() -> int:
    """Width of the histogram's bins, HU."""
    return HISTOGRAM_BIN_HU


def _bar(row: int, score: LobeScore) -> LobeBar:
    x = _root_x(score.involvement_percent)
    ends = score.involvement_range_percent
    return LobeBar(
        score,
        LOBE_NAMES[score.lobe],
        LOBES_TOP + LOBE_HEIGHT * (row + 0.5),
        x,
        None if ends is None else (_root_x(ends[0]), _root_x(ends[1])),
        x - LOBES_LEFT >= INSIDE_FROM,
    )


def _root_x(percent: float) -> float:
    return _linear(math.sqrt(min(max(percent, 0.0), 100.0)), (0.0, 10.0), (LOBES_LEFT, LOBES_RIGHT))


def _hu_x(hu: float) -> float:
    low, high = HISTOGRAM_RANGE_HU
    return _linear(min(max(hu, low), high), (low, high), (PLOT_LEFT, PLOT_RIGHT))


def _linear(value: float, source: tuple[float, float], target: tuple[float, float]) -> float:
    share = (value - source[0]) / (source[1] - source[0])
    return round(float(target[0] + share * (target[1] - target[0])), 2)


def _line(xs: Sequence[float], ys: Sequence[float]) -> str:
    """The points of a line as the path of the area under it."""
    points = " ".join(f"{x:g} {y:g}" for x, y in zip(xs, ys, strict=True))
    return f"M{xs[0]:g} {PLOT_BOTTOM:g}L{points} {xs[-1]:g} {PLOT_BOTTOM:g}Z"
