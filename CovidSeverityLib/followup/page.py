"""``comparison.png``: both examinations side by side, what is new, resolved and persistent, and a table of changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.ctss import CTSS_MAX
from CovidSeverityLib.reporting import overview_panels as panels
from CovidSeverityLib.reporting.outlines import outline
from CovidSeverityLib.reporting.overview_text import clean, elided, note_lines, signed
from CovidSeverityLib.reporting.page import DPI, LEFT, RIGHT, write_page
from CovidSeverityLib.reporting.tables import with_range

from .change import CHANGE_NAMES, OpacityChange
from .compared import Compared
from .lobe_changes import Change
from .page_views import ComparedView, axial_pairs, coronal_pair
from .segments import CHANGE_COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHORT_NAME_LENGTH = 26
NOTE_COLUMNS, NOTE_LINES = 205, 4

# Rectangles are left, bottom, width and height as fractions of the page.
PAIRS_BOTTOM, PAIRS_TOP, TILE_GAP = 0.385, 0.885, 0.004
ROW_NAME = 0.016
CHANGE_LEGEND_Y = 0.368
CHANGES_BOTTOM, CHANGES_TOP = 0.095, 0.35
CORONALS = (LEFT, CHANGES_BOTTOM, 0.36, CHANGES_TOP - CHANGES_BOTTOM)
TABLE = (0.39, CHANGES_BOTTOM + 0.006, RIGHT - 0.39, CHANGES_TOP - CHANGES_BOTTOM - 0.006)
FILL_OPACITY = 0.42

TABLE_COLUMNS = (
    (0.0, "left"),
    *((x, "right") for x in (0.26, 0.345, 0.585, 0.72, 0.85, 1.0)),
)
"""Place of each column, as a fraction of the table's width, and its alignment."""

HEADINGS = ("Opacity, % of the volume", "before", "after", "change (may be)", "CTSS", "new ml", "resolved ml")


def write_comparison_page(comparison: Compared, file: BinaryIO, dpi: int = DPI) -> None:
    """Draw the page and write it to an open binary ``file`` as PNG. The same comparison gives the same bytes."""
    write_page(lambda figure: _draw_page(figure, comparison), file, dpi)


def _draw_page(figure: Figure, comparison: Compared) -> None:
    _draw_header(figure, comparison)
    _draw_axials(figure, comparison)
    _draw_legend(figure)
    _draw_coronal(figure, comparison)
    _draw_table(figure.add_axes(TABLE), comparison)
    _draw_footer(figure, comparison)


def _draw_header(figure: Figure, comparison: Compared) -> None:
    before, after = (
        elided(clean(e.name) or "unnamed CT", SHORT_NAME_LENGTH) for e in (comparison.before, comparison.after)
    )
    left: dict[str, Any] = {"va": "center", "parse_math": False}
    figure.text(LEFT, 0.972, f"{before}  →  {after}", fontsize=15, fontweight="bold", color=panels.INK, **left)
    days = "" if comparison.days is None else f"{comparison.days} days between   ·   "
    quality = comparison.registration_quality
    fit = f"lungs registered with a Dice coefficient of {quality.dice:.2f}"
    if quality.correlation is not None:
        fit += f", vessels correlate with {quality.correlation:.2f}"
    text = f"{days}CovidSeverity {comparison.version}, profile {comparison.after.profile}   ·   {fit}"
    figure.text(LEFT, 0.931, clean(text), fontsize=7.5, color=panels.MUTED, **left)
    lungs = comparison.lungs
    scores = [
        with_range(None if score is None else int(score), ends, "–")
        for score, ends in zip((lungs.ctss.before, lungs.ctss.after), lungs.ctss_ranges, strict=True)
    ]
    right: dict[str, Any] = left | {"ha": "right"}
    box = {"boxstyle": "round,pad=0.35", "facecolor": "#34495E", "edgecolor": "none"}
    score = f"CTSS {scores[0]}  →  {scores[1]}  of {CTSS_MAX}"
    figure.text(RIGHT - 0.008, 0.969, score, fontsize=16, fontweight="bold", color="white", bbox=box, **right)
    word = "more than" if lungs.ctss.more_than_repeatability else "not more than"
    figure.text(
        RIGHT,
        0.928,
        f"the change is {word} the method's repeatability",
        fontsize=panels.NORMAL,
        color=panels.MUTED,
        **right,
    )


def _draw_axials(figure: Figure, comparison: Compared) -> None:
    """The earlier examination in the upper row, the later one with the changes in the lower row."""
    pairs = axial_pairs(comparison)
    width = (RIGHT - LEFT - ROW_NAME - (len(pairs) - 1) * TILE_GAP) / max(len(pairs), 1)
    height = (PAIRS_TOP - PAIRS_BOTTOM - TILE_GAP) / 2
    for row, name in enumerate(("before", "after")):
        bottom = PAIRS_TOP - height - row * (height + TILE_GAP)
        figure.text(
            LEFT + 0.004, bottom + height / 2, name, rotation=90, ha="center", va="center", fontsize=panels.HEADING,
            fontweight="bold", color=panels.INK,
        )  # fmt: skip
        for column, pair in enumerate(pairs):
            axes = figure.add_axes((LEFT + ROW_NAME + column * (width + TILE_GAP), bottom, width, height))
            _draw_compared(axes, pair[row], f"z {signed(pair[row].z_mm)} mm" if row else "same place")


def _draw_coronal(figure: Figure, comparison: Compared) -> None:
    left, bottom, width, height = CORONALS
    each = (width - TILE_GAP) / 2
    for column, (view, name) in enumerate(zip(coronal_pair(comparison), ("before", "after"), strict=True)):
        axes = figure.add_axes((left + column * (each + TILE_GAP), bottom, each, height))
        _draw_compared(axes, view, f"coronal, {name}")


def _draw_compared(axes: Axes, view: ComparedView, corner: str) -> None:
    overlay = np.zeros((*view.labels.shape, 4))
    for kind, colour in CHANGE_COLOURS.items():
        overlay[view.labels == kind] = (*colour, FILL_OPACITY)
    panels.draw_view(axes, view.view, corner, "", overlay=None, outlines=False)
    axes.imshow(overlay, extent=view.view.extent_mm, interpolation="nearest", aspect="equal")
    _draw_lines(axes, view, view.view.lungs > 0, panels.LUNG_COLOUR, 0.7)
    for kind, colour in CHANGE_COLOURS.items():
        _draw_lines(axes, view, view.labels == kind, colour, 1.0)


def _draw_lines(axes: Axes, view: ComparedView, mask: NDArray[np.bool_], colour: Any, width: float) -> None:  # noqa: ANN401
    from matplotlib.collections import LineCollection

    lines = outline(view.view, mask)
    if lines:
        axes.add_collection(LineCollection(lines, colors=[colour], linewidths=width), autolim=False)


def _draw_legend(figure: Figure) -> None:
    axes = figure.add_axes((LEFT, CHANGE_LEGEND_Y - 0.012, RIGHT - LEFT, 0.024))
    entries = [(CHANGE_NAMES[kind], CHANGE_COLOURS[kind], 4.0) for kind in OpacityChange]
    panels.draw_swatches(axes, [*entries, ("lung", panels.LUNG_COLOUR, 2.0)])
    text = "Before is shown as it was registered to after. The patient's right (R) is on the left. Lung window."
    axes.text(1.0, 0.5, text, ha="right", va="center", fontsize=panels.NORMAL, color=panels.MUTED)


def _draw_table(axes: Axes, comparison: Compared) -> None:
    rows: list[tuple[str, ...]] = [HEADINGS]
    for part in comparison.changes:
        percent = part.opacity_percent
        rows.append(
            (
                part.name,
                f"{percent.before:.1f}",
                f"{percent.after:.1f}",
                f"{_plus(percent.change)} ({_plus(percent.low)} to {_plus(percent.high)})",
                f"{_points(part.ctss)}",
                f"{part.new_ml:.1f}",
                f"{part.resolved_ml:.1f}",
            )
        )
    more = [None, *(part.opacity_percent.more_than_repeatability for part in comparison.changes)]
    axes.set(xlim=(0, 1), ylim=(len(rows), 0))
    axes.axis("off")
    for n, (row, marked) in enumerate(zip(rows, more, strict=True)):
        strong = n == 0 or n == len(rows) - 1
        for (x, side), text, column in zip(TABLE_COLUMNS, row, range(len(row)), strict=True):
            bold = marked if column == 3 and n else strong
            axes.text(
                x, n + 0.5, text, ha=side, va="center", fontsize=panels.NORMAL, parse_math=False,
                color=panels.INK, fontweight="bold" if bold else "normal",
            )  # fmt: skip
        axes.axhline(n + 1, color=panels.INK if strong and n else panels.RULE, linewidth=0.5)


def _draw_footer(figure: Figure, comparison: Compared) -> None:
    lines = note_lines(comparison.quality, NOTE_COLUMNS, NOTE_LINES, "comparison.json")
    for n, (line, warning) in enumerate(lines):
        colour = "#8A4B00" if warning else panels.MUTED
        y = 0.082 - 0.0155 * n
        figure.text(LEFT, y, line, fontsize=panels.SMALL + 0.3, va="center", color=colour, parse_math=False)
    text = (
        "Research use only: not a medical device.  A bold change is more than the method's own repeatability. New and "
        f"resolved leave out rims up to {comparison.margins.border_mm:.1f} mm."
    )
    figure.text(LEFT, 0.014, text, fontsize=panels.NORMAL, fontweight="bold", va="center", color=panels.INK)


def _points(change: Change) -> str:
    if change.before is None or change.after is None:
        return "-"
    return f"{change.before:.0f} → {change.after:.0f}"


def _plus(value: float | None) -> str:
    if value is None:
        return "-"
    text = signed(value)
    return f"+{text}" if round(value, 1) > 0 else text
