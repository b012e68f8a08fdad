"""The plots of an evaluation. Each function returns a writer of one PNG; the same data give the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.ctss import CTSS_MAX, SEVERITY_CUTOFFS
from CovidSeverityLib.reporting.output_folder import FileWriter

from .estimates import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
PANEL_INCHES = (5.0, 5.0)
BAR_PANEL_INCHES = (2.8, 3.0)
INK, MUTED, BLUE, ORANGE, GREEN = "#1B2733", "#5B6875", "#0072B2", "#C8401A", "#009E73"
CLASS_COLOURS = (GREEN, "#B8860B", ORANGE)
MOST_NAMES = 40
"""With more cases, the axis has no names."""

SPREAD = 0.18
"""Largest shift of points that would hide each other, as a fraction of a score."""


def scatter(truth: Sequence[float], variants: Mapping[str, Sequence[float]], notes: Mapping[str, str]) -> FileWriter:
    """Scores by the truth, a panel for each variant, with ``notes`` under the titles."""

    def draw(figure: Figure) -> None:
        for axes, (name, scores) in zip(panels(figure, len(variants)), variants.items(), strict=True):
            severity_bands(axes)
            axes.plot([0, CTSS_MAX], [0, CTSS_MAX], color=MUTED, linewidth=1, linestyle="--")
            x, y = apart(truth, scores)
            axes.scatter(x, y, s=22, color=BLUE, alpha=0.75, linewidths=0)
            axes.set(xlim=(-0.7, CTSS_MAX + 0.7), ylim=(-0.7, CTSS_MAX + 0.7), aspect="equal")
            label_axes(axes, f"{_score_title(name)}, {len(truth)} cases\n{notes[name]}", "radiologists' CTSS", "CTSS")

    return picture_writer(draw, len(variants))


def bland_altman(
    truth: Sequence[float],
    variants: Mapping[str, Sequence[float]],
    limits: Mapping[str, tuple[Estimate, Estimate, Estimate]],
) -> FileWriter:
    """Difference by mean, a panel for each variant; ``limits`` are the lower limit, the bias and the upper limit."""

    def draw(figure: Figure) -> None:
        for axes, (name, scores) in zip(panels(figure, len(variants)), variants.items(), strict=True):
            a, b = np.asarray(truth, dtype=float), np.asarray(scores, dtype=float)
            x, y = apart((a + b) / 2, b - a)
            axes.scatter(x, y, s=22, color=BLUE, alpha=0.75, linewidths=0)
            axes.axhline(0, color=MUTED, linewidth=0.8)
            for estimate, colour in zip(limits[name], (ORANGE, INK, ORANGE), strict=True):
                _level(axes, estimate, colour)
            axes.set_xlim(-0.7, CTSS_MAX + 0.7)
            label_axes(axes, _score_title(name), "mean of CTSS and radiologists' CTSS", "CTSS minus radiologists' CTSS")

    return picture_writer(draw, len(variants))


def dice_by_case(names: Sequence[str], dice: Sequence[float], mean: Estimate) -> FileWriter:
    """Dice of every case, the best at the top, with the mean and its interval."""
    order = sorted((n for n in range(len(dice)) if np.isfinite(dice[n])), key=lambda n: (dice[n], names[n]))

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.scatter([dice[n] for n in order], range(len(order)), s=26, color=BLUE, zorder=3)
        if mean.value is not None:
            axes.axvline(mean.value, color=ORANGE, linewidth=1.2)
        if mean.low is not None and mean.high is not None:
            axes.axvspan(mean.low, mean.high, color=ORANGE, alpha=0.15, linewidth=0)
        few = len(order) <= MOST_NAMES
        axes.set_yticks(range(len(order)) if few else [], [_short(names[n]) for n in order] if few else [])
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.7, max(len(order) - 0.3, 0.7)))
        axes.grid(axis="x", color="#E3E8ED")
        label_axes(axes, f"Dice of the infection, mean {mean.text(2)}", "Dice", "" if few else f"{len(order)} cases")

    return picture_writer(draw, 1)


def volumes(truth_ml: Sequence[float], found_ml: Sequence[float]) -> FileWriter:
    """Marked and true volume of opacities, one point per case."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        largest = max([*truth_ml, *found_ml, 1.0]) * 1.05
        axes.plot([0, largest], [0, largest], color=MUTED, linewidth=1, linestyle="--")
        axes.scatter(truth_ml, found_ml, s=26, color=BLUE, alpha=0.8, linewidths=0)
        axes.set(xlim=(-0.02 * largest, largest), ylim=(-0.02 * largest, largest), aspect="equal")
        label_axes(axes, "Volume of infection in the compared slices", "true, ml", "found, ml")

    return picture_writer(draw, 1)


def confusion(table: NDArray[np.int64], classes: Sequence[str]) -> FileWriter:
    """A confusion matrix: rows are the truth, columns the prediction; shades are shares of the row."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(table):
            colour = "white" if share[row, column] > 0.55 else INK
            axes.text(column, row, f"{count}\n{share[row, column]:.0%}", ha="center", va="center", color=colour)
        axes.set_xticks(range(len(classes)), classes)
        axes.set_yticks(range(len(classes)), classes, rotation=90, va="center")
        label_axes(axes, f"{table.sum()} cases", "predicted", "true")

    return picture_writer(draw, 1)


def roc_curves(curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64], Estimate]]) -> FileWriter:
    """One curve per class against the others: false positive rates, true positive rates, area."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle="--")
        for colour, (name, (false_rate, true_rate, area)) in zip(CLASS_COLOURS, curves.items(), strict=False):
            axes.plot(false_rate, true_rate, color=colour, linewidth=1.8, label=f"{name}: {area.text(2)}")
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        if curves:
            axes.legend(
                loc="lower right", frameon=False, fontsize=8, title="one against the rest: area", title_fontsize=8
            )
        label_axes(axes, "ROC curves", "1 - specificity", "sensitivity")

    return picture_writer(draw, 1)


def bars(title: str, measures: Mapping[str, Mapping[str, Estimate]]) -> FileWriter:
    """A panel for each measure with a bar for each variant and its interval: ``measures[measure][variant]``."""

    def draw(figure: Figure) -> None:
        drawn = panels(figure, len(measures))
        for axes, (name, estimates) in zip(drawn, measures.items(), strict=True):
            rows = np.arange(len(estimates))[::-1]
            for row, estimate in zip(rows, estimates.values(), strict=True):
                _bar(axes, int(row), estimate)
            first = axes is drawn[0]
            axes.set_yticks(rows if first else [], [_short(v) for v in estimates] if first else [])
            axes.set(xlim=(0, 1.2), ylim=(-0.6, len(estimates) - 0.4), xticks=(0, 0.25, 0.5, 0.75, 1))
            axes.grid(axis="x", color="#E3E8ED")
            axes.set_axisbelow(True)
            label_axes(axes, name, "", "")
        figure.suptitle(title, fontsize=11, color=INK)

    return picture_writer(draw, len(measures), BAR_PANEL_INCHES)


def _bar(axes: Axes, row: int, estimate: Estimate) -> None:
    if estimate.value is not None:
        axes.barh(row, estimate.value, color=BLUE, alpha=0.75, height=0.6)
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [row, row], color=INK, linewidth=1.4)
    text = estimate.text(2).split(" ")[0]
    axes.text(1.18, row, text, ha="right", va="center", fontsize=8, color=INK)


def picture_writer(
    draw: Callable[[Figure], None], count: int, panel_inches: tuple[float, float] = PANEL_INCHES
) -> FileWriter:
    """A writer of the plot that ``draw`` draws on a figure as wide as ``count`` panels."""

    def write(path: Path) -> None:
        import matplotlib.style
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        with matplotlib.style.context("default"):
            width, height = panel_inches
            size = (width * max(count, 1) + 0.6, height)
            figure = Figure(figsize=size, dpi=DPI, facecolor="white", layout="constrained")
            FigureCanvasAgg(figure)
            draw(figure)
            figure.savefig(path, format="png", metadata={"Software": None})

    return write


def panels(figure: Figure, count: int) -> list[Axes]:
    """``count`` axes beside each other."""
    return list(np.ravel(figure.subplots(1, max(count, 1), squeeze=False)))[:count]


def label_axes(axes: Axes, title: str, x: str, y: str) -> None:
    """Title and labels of axes, in the style of all plots."""
    axes.set_title(title, fontsize=10, color=INK, parse_math=False)
    axes.set_xlabel(x, fontsize=9, color=MUTED)
    axes.set_ylabel(y, fontsize=9, color=MUTED)
    axes.tick_params(labelsize=8, colors=MUTED)
    for spine in axes.spines.values():
        spine.set_color("#C9D1D9")


def _level(axes: Axes, estimate: Estimate, colour: str) -> None:
    """A horizontal line with its value, in the band of its interval."""
    if estimate.value is None:
        return
    axes.axhline(estimate.value, color=colour, linewidth=1.2)
    if estimate.low is not None and estimate.high is not None:
        axes.axhspan(estimate.low, estimate.high, color=colour, alpha=0.12, linewidth=0)
    axes.annotate(
        estimate.text(2).split(" ")[0],
        (1.0, estimate.value),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=colour,
    )


def _score_title(variant: str) -> str:
    return "CTSS" if variant == "ctss" else f"CTSS ({variant.removeprefix('ctss_').replace('_', ' ')})"


def severity_bands(axes: Axes) -> None:
    """Fine lines between mild, moderate and severe."""
    for highest, _ in SEVERITY_CUTOFFS[1:-1]:
        axes.axvline(highest + 0.5, color="#E3E8ED", linewidth=1, zorder=0)
        axes.axhline(highest + 0.5, color="#E3E8ED", linewidth=1, zorder=0)


def apart(
    x: Sequence[float] | NDArray, y: Sequence[float] | NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coincident points of integer scores, moved onto a small spiral around their place."""
    points = np.column_stack([np.asarray(x, dtype=float), np.asarray(y, dtype=float)])
    seen: dict[tuple[float, float], int] = {}
    for n, point in enumerate(points.copy()):
        turn = seen[tuple(point)] = seen.get(tuple(point), -1) + 1
        angle, radius = 2.4 * turn, SPREAD * np.sqrt(turn)
        points[n] += radius * np.cos(angle), radius * np.sin(angle)
    return points[:, 0], points[:, 1]


def _short(name: str, length: int = 32) -> str:
    return name if len(name) <= length else f"…{name[1 - length :]}"
