"""The panels of the overview page. Each draws on given axes; sizes are in points, positions in mm or HU.

The caller loads matplotlib. This module uses neither pyplot nor matplotlib's settings.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.ctss import CTSS_EDGES_PERCENT, TSS_MAX
from CovidSeverityLib.features.quantification import Densitometry, LobeScore
from CovidSeverityLib.findings import Findings
from CovidSeverityLib.segmentation.opacity.published.mixture import MixtureFit
from CovidSeverityLib.types import Lobe, Opacity, Side

from .histogram_bins import HISTOGRAM_BIN_HU, HISTOGRAM_FLOOR_PERCENT, HISTOGRAM_RANGE_HU, binned_histogram
from .outlines import outline
from .overview_text import clean, signed
from .overview_views import LUNG_WINDOW_HU, View
from .palette import LOBE_COLOURS, LUNG_COLOUR, OPACITY_COLOURS, Rgb

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#1B2733"
MUTED = "#5B6875"
RULE = "#C9D1D9"
PALE = "#EEF2F6"
COMPONENT_COLOURS = ("#0072B2", "#7A5195", "#8C6D31")
"""Colours of the components. They are not those of opacities, because a component is not a kind of opacity."""
MARK = "#F0E442"

RIM_WIDTH, RIM_OPACITY = 2.0, 0.4
LUNG_LINE_WIDTH = 0.8
LOBE_LINE_WIDTH = 1.0
OPACITY_LINE_WIDTH = 1.0
SMALL, NORMAL, HEADING = 6.0, 7.0, 8.0


def draw_view(
    axes: Axes,
    view: View,
    corner: str,
    note: str,
    marked: bool = False,
    overlay: NDArray[np.float64] | None = None,
    outlines: bool = True,
) -> None:
    """One slice with outlines that fills ``axes``; ``corner`` is text at the top left, ``note`` at the bottom left.

    ``overlay`` is (rows, columns, 4), red, green, blue and opacity, drawn over the CT.
    """
    low, high = LUNG_WINDOW_HU
    axes.imshow(
        view.hu, cmap="gray", vmin=low, vmax=high, extent=view.extent_mm, interpolation="bilinear", aspect="equal"
    )
    if overlay is not None:
        axes.imshow(overlay, extent=view.extent_mm, interpolation="bilinear", aspect="equal")
    if outlines:
        draw_outlines(axes, view)
    _fill_with_margin(axes, view)
    axes.set(xticks=[], yticks=[], facecolor="black")
    for spine in axes.spines.values():
        spine.set(color=MARK if marked else "black", linewidth=2.0 if marked else 0.5)
    label: dict[str, Any] = {"transform": axes.transAxes, "parse_math": False, "fontweight": "bold"} | _on_image()
    axes.text(0.015, 0.97, corner, va="top", ha="left", fontsize=NORMAL, color="white", **label)
    axes.text(0.015, 0.03, note, va="bottom", ha="left", fontsize=NORMAL, color=MARK, **label)
    for x, letter in ((0.022, "R"), (0.978, "L")):
        axes.text(x, 0.5, letter, va="center", ha="center", fontsize=HEADING, color="white", **label)


def draw_outlines(axes: Axes, view: View) -> None:
    """Outlines of lungs (thin, with a dark rim), of lobes over them (also at the edge of the lung), of opacities."""
    from matplotlib.collections import LineCollection

    lung = [("black", RIM_OPACITY, RIM_WIDTH), (LUNG_COLOUR, 1.0, LUNG_LINE_WIDTH)]
    parts: list[tuple[NDArray[np.bool_], list[tuple[Rgb | str, float, float]]]] = [
        *((view.lungs == side, lung) for side in Side),
        *((view.lobes == lobe, [(LOBE_COLOURS[lobe], 1.0, LOBE_LINE_WIDTH)]) for lobe in Lobe),
        *((view.infection == opacity, [(OPACITY_COLOURS[opacity], 1.0, OPACITY_LINE_WIDTH)]) for opacity in Opacity),
    ]
    drawn = [
        (line, (colour, alpha), width)
        for mask, strokes in parts
        for lines in [outline(view, mask)]
        for colour, alpha, width in strokes
        for line in lines
    ]
    if drawn:
        lines, colours, widths = zip(*drawn, strict=True)
        axes.add_collection(LineCollection(lines, colors=colours, linewidths=widths), autolim=False)


def _fill_with_margin(axes: Axes, view: View) -> None:
    """Set limits so that the view keeps its proportions and black margins fill the rest of ``axes``."""
    left, right, bottom, top = view.extent_mm
    box = axes.get_window_extent()
    scale = max(abs(right - left) / box.width, abs(top - bottom) / box.height)
    half_width, half_height = scale * box.width / 2, scale * box.height / 2
    x, y, up = (left + right) / 2, (bottom + top) / 2, np.sign(top - bottom)
    axes.set_xlim(x - half_width, x + half_width)
    axes.set_ylim(y - up * half_height, y + up * half_height)


def draw_swatches(axes: Axes, entries: Sequence[tuple[str, Rgb | str, float]]) -> None:
    """Name, colour and line width of every outline, in one line on axes of its own."""
    axes.axis("off")
    handles = [axes.plot([], [], color=colour, linewidth=width, label=name)[0] for name, colour, width in entries]
    legend = axes.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(0.0, 0.5),
        ncols=len(entries),
        fontsize=NORMAL,
        frameon=False,
        handlelength=1.5,
        columnspacing=1.4,
        borderpad=0,
        borderaxespad=0,
    )
    for text in legend.get_texts():
        text.set_color(INK)


def draw_levels(axes: Axes, heights_mm: list[float]) -> None:
    """Numbered ticks at the right edge of the coronal view, at the positions of the axial slices."""
    across = axes.get_yaxis_transform()
    label: dict[str, Any] = {
        "transform": across,
        "color": "white",
        "fontsize": SMALL,
        "fontweight": "bold",
    } | _on_image()
    for number, height in enumerate(heights_mm, start=1):
        axes.plot([0.945, 0.97], [height, height], transform=across, color="white", linewidth=1.0, **_on_image())
        axes.text(0.937, height, str(number), ha="right", va="center", **label)


def _on_image() -> dict[str, Any]:
    """A dark rim, so that white and yellow text is legible on any tissue."""
    from matplotlib.patheffects import withStroke

    return {"path_effects": [withStroke(linewidth=1.6, foreground="black")]}


def draw_lobes(axes: Axes, scores: tuple[LobeScore, ...]) -> None:
    """One bar per lobe: its share of opacity on a square-root scale, with the bands of the score behind it."""
    edges = (*CTSS_EDGES_PERCENT, 100.0)
    positions = np.sqrt(edges)
    axes.set(xlim=(0, 10), ylim=(len(scores) - 0.45, -0.55), xticks=positions)
    axes.set_xticklabels([f"{edge:.0f}" for edge in edges], fontsize=NORMAL, color=INK)
    for band, (low, high) in enumerate(itertools.pairwise(positions), start=1):
        axes.axvspan(low, high, color=PALE if band % 2 else "white", zorder=0, linewidth=0)
        axes.text((low + high) / 2, -0.6, str(band), ha="center", va="bottom", fontsize=NORMAL, color=MUTED)
    axes.text(-0.15, -0.6, "score", ha="right", va="bottom", fontsize=NORMAL, color=MUTED)
    axes.vlines(positions[1:-1], -0.55, len(scores) - 0.45, color=RULE, linewidth=0.8, zorder=1)
    for row, score in enumerate(scores):
        _draw_lobe(axes, row, score)
    plain_frame(axes, ("bottom",))
    axes.set_yticks([])
    axes.set_xlabel("infected part of the lobe, % (square-root scale)", fontsize=NORMAL, color=INK)


def _draw_lobe(axes: Axes, row: int, score: LobeScore) -> None:
    width = float(np.sqrt(np.clip(score.involvement_percent, 0.0, 100.0)))
    axes.barh(row, width, height=0.56, color=LOBE_COLOURS[score.lobe], edgecolor=INK, linewidth=0.5, zorder=2)
    axes.text(-0.15, row, score.lobe.name, ha="right", va="center", fontsize=HEADING, fontweight="bold", color=INK)
    found = f"{score.involvement_percent:.1f} %  of {score.volume_ml:.0f} ml" if score.voxels else "absent"
    inside = width > 5.5
    axes.text(
        width - 0.15 if inside else width + 0.15,
        row,
        found,
        ha="right" if inside else "left",
        va="center",
        fontsize=NORMAL,
        color=INK,
        zorder=3,
    )
    if score.involvement_range_percent is not None:
        ends = np.sqrt(np.clip(score.involvement_range_percent, 0.0, 100.0))
        axes.plot(ends, [row + 0.28] * 2, color=INK, linewidth=1.4, marker="|", markersize=4, zorder=3)
    shown = str(score.score) if score.voxels else "–"
    axes.text(10.2, row, shown, ha="left", va="center", fontsize=11, fontweight="bold", color=INK)
    if score.near_edge and score.score_range is not None:
        low, high = score.score_range
        axes.text(10.75, row, f"({low}–{high})", ha="left", va="center", fontsize=NORMAL, color=MUTED)


def draw_histogram(axes: Axes, densitometry: Densitometry, well_aerated_percent: float) -> None:
    """Lung voxels by Hounsfield unit, the fitted mixture over them, on a logarithmic scale."""
    axes.axvspan(*densitometry.well_aerated_hu, color="#D6ECE4", zorder=0, linewidth=0)
    centres, percent = binned_histogram(densitometry)
    floor = HISTOGRAM_FLOOR_PERCENT
    shown = np.maximum(percent, floor)
    axes.fill_between(centres, floor, shown, color="#AEB8C2", step="mid", linewidth=0, label="lung voxels", zorder=1)
    if densitometry.mixture is not None:
        _draw_mixture(axes, densitometry, densitometry.mixture)
    axes.set(xlim=HISTOGRAM_RANGE_HU, yscale="log", ylim=(floor, max(6.0 * float(shown.max()), 100 * floor)))
    axes.text(
        float(np.mean(densitometry.well_aerated_hu)),
        0.985,
        f"well aerated\n{well_aerated_percent:.1f} %",
        transform=axes.get_xaxis_transform(),
        ha="center",
        va="top",
        fontsize=SMALL,
        color="#1F6B50",
    )
    axes.set_xlabel("Hounsfield units", fontsize=NORMAL, color=INK)
    axes.set_ylabel(f"% of lung per {HISTOGRAM_BIN_HU} HU (log scale)", fontsize=NORMAL, color=INK)
    axes.tick_params(labelsize=NORMAL, colors=INK, width=0.6, length=3)
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(loc="upper right", fontsize=SMALL, frameon=False, handlelength=1.4, borderaxespad=0.2)
    plain_frame(axes, ("bottom", "left"))


def _draw_mixture(axes: Axes, densitometry: Densitometry, fit: MixtureFit) -> None:
    hu = np.arange(*HISTOGRAM_RANGE_HU, 2.0)
    total = np.zeros_like(hu)
    components = zip(fit.means_hu, fit.sds_hu, fit.weights, strict=True)
    for n, (mean, sd, weight) in enumerate(components):
        sd = max(sd, 1e-3)
        density = weight * np.exp(-0.5 * ((hu - mean) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
        total += density
        label = f"{signed(mean, 0)} ± {sd:.0f} HU, {100 * weight:.0f} %"
        colour = COMPONENT_COLOURS[n % len(COMPONENT_COLOURS)]
        axes.plot(hu, _per_bin(density), color=colour, linewidth=1.2, label=label, zorder=2)
    axes.plot(hu, _per_bin(total), color=INK, linewidth=0.9, linestyle=(0, (4, 2)), label="their sum", zorder=3)


def _per_bin(density: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(100.0 * HISTOGRAM_BIN_HU * density, HISTOGRAM_FLOOR_PERCENT / 10)


def draw_numbers(axes: Axes, analysis: Findings) -> None:
    """The key numbers as a small table."""
    rows = number_rows(analysis)
    axes.set(xlim=(0, 1), ylim=(len(rows), 0))
    axes.axis("off")
    for n, (name, value, emphasis) in enumerate(rows):
        weight = "bold" if emphasis else "normal"
        text = {"va": "center", "fontsize": NORMAL, "color": INK, "fontweight": weight, "parse_math": False}
        axes.text(0.0 if emphasis else 0.05, n + 0.5, clean(name), ha="left", **text)
        axes.text(1.0, n + 0.5, value, ha="right", **text)
        axes.axhline(n + 1, color=RULE, linewidth=0.5)


def number_rows(analysis: Findings) -> list[tuple[str, str, bool]]:
    """Name, value and emphasis of every key number."""
    total = analysis.total_severity_score
    return [
        ("Infected lung", f"{analysis.infection_percent:.1f} %", True),
        ("ground-glass opacity", f"{analysis.opacity_ml(Opacity.GROUND_GLASS):.1f} ml", False),
        ("consolidation", f"{analysis.opacity_ml(Opacity.CONSOLIDATION):.1f} ml", False),
        ("high opacity (> −200 HU)", f"{analysis.high_opacity_percent:.2f} %", False),
        ("Well-aerated lung", f"{analysis.well_aerated_percent:.1f} %", True),
        _low_attenuation_row(analysis),
        ("Lung volume", f"{analysis.lung_ml:.0f} ml", True),
        ("right", f"{analysis.side_ml(Side.RIGHT):.0f} ml", False),
        ("left", f"{analysis.side_ml(Side.LEFT):.0f} ml", False),
        *([] if total is None else [("Total severity score (Chung)", f"{total} / {TSS_MAX}", True)]),
    ]


def _low_attenuation_row(analysis: Findings) -> tuple[str, str, bool]:
    low = analysis.low_attenuation
    return f"Low attenuation ({signed(low.threshold_hu, 0)} HU)", f"{low.total.percent:.1f} %", True


def plain_frame(axes: Axes, sides: tuple[str, ...]) -> None:
    """Thin lines at ``sides`` ("bottom", "left", ...), no lines at the other sides."""
    for name, spine in axes.spines.items():
        spine.set(visible=name in sides, color=MUTED, linewidth=0.6)
    axes.tick_params(color=MUTED, width=0.6, length=3)
