"""``overview.png``: the results on one page, for readers who have no other file."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from CovidSeverityLib.checked import known
from CovidSeverityLib.classification.description import CLASS_NAMES
from CovidSeverityLib.classification.diagnosis import PatientDiagnosis
from CovidSeverityLib.ctss import CTSS_MAX
from CovidSeverityLib.findings import Findings
from CovidSeverityLib.types import LOBE_NAMES, OPACITY_NAMES, Box, Opacity

from . import overview_panels as panels
from .overview_text import clean, elided, note_lines, signed
from .overview_views import (
    AXIAL_COUNT,
    axial_indices,
    axial_view,
    coronal_index,
    coronal_view,
    lung_box,
    most_infected_index,
)
from .page import DPI, LEFT, RIGHT, write_page
from .palette import DIAGNOSIS_COLOURS, LOBE_COLOURS, LUNG_COLOUR, OPACITY_COLOURS
from .tables import with_range

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 4
NAME_LENGTH = 60
DETAILS_LENGTH = 110
CUTOFFS_LENGTH = 70
NOTE_COLUMNS, NOTE_LINES = 205, 4

SEVERITY_COLOURS = {"none": "#5B6875", "mild": "#0072B2", "moderate": "#B86E00", "severe": "#B3261E"}
FALLBACK_SEVERITY_COLOUR = "#5B6875"

# Rectangles are left, bottom, width and height as fractions of the page.
TILES_BOTTOM, TILES_TOP, TILE_GAP = 0.425, 0.905, 0.004
LEGEND_Y = 0.409
LOWER_BOTTOM, LOWER_TOP = 0.1, 0.388
CORONAL = (LEFT, LOWER_BOTTOM, 0.26, LOWER_TOP - LOWER_BOTTOM)
LOBES_PANEL = (0.318, 0.15, 0.187, 0.19)
HISTOGRAM_PANEL = (0.592, 0.15, 0.2, 0.194)
NUMBERS = (0.822, LOWER_BOTTOM + 0.012, RIGHT - 0.822, 0.25)
HEADINGS_Y = LOWER_TOP - 0.012


def write_overview(analysis: Findings, file: BinaryIO, dpi: int = DPI) -> None:
    """Draw the page and write it to an open binary ``file`` as PNG. The same analysis gives the same bytes."""
    write_page(lambda figure: _draw_page(figure, analysis), file, dpi)


def _draw_page(figure: Figure, analysis: Findings) -> None:
    _draw_header(figure, analysis)
    indices, box = axial_indices(analysis), lung_box(analysis)
    _draw_axials(figure, analysis, indices, box)
    _draw_legend(figure, analysis, box)
    if analysis.ctss is not None:  # independent slices have neither lobes nor a coronal view
        _draw_coronal(figure, analysis, indices, box)
        _heading(figure, LOBES_PANEL[0] - 0.03, "Infection by lobe")
        panels.draw_lobes(figure.add_axes(LOBES_PANEL), analysis.lobe_scores)
    _heading(figure, HISTOGRAM_PANEL[0] - 0.035, "Density of the lungs")
    _draw_mixture_note(figure, analysis)
    panels.draw_histogram(figure.add_axes(HISTOGRAM_PANEL), analysis.densitometry, known(analysis.well_aerated_percent))
    _heading(figure, NUMBERS[0], "Key numbers")
    panels.draw_numbers(figure.add_axes(NUMBERS), analysis)
    _draw_footer(figure, analysis)


def _draw_header(figure: Figure, analysis: Findings) -> None:
    volume, provenance = analysis.volume, analysis.provenance
    i, j, k = volume.geometry.size
    di, dj, dk = volume.geometry.spacing_mm
    name = elided(clean(volume.name) or "unnamed CT", NAME_LENGTH)
    figure.text(LEFT, 0.972, name, fontsize=15, fontweight="bold", va="center", color=panels.INK, parse_math=False)
    details = (
        f"Chest CT, {k} slice{'s' if k > 1 else ''} of {i} × {j}, voxels {di:.2f} × {dj:.2f} × {dk:.2f} mm   ·   "
        f"CovidSeverity {provenance.version}, profile {provenance.profile}"
    )
    figure.text(
        LEFT,
        0.931,
        elided(clean(details), DETAILS_LENGTH),
        fontsize=7.5,
        va="center",
        color=panels.MUTED,
        parse_math=False,
    )
    colour = SEVERITY_COLOURS.get(analysis.severity.label.lower(), FALLBACK_SEVERITY_COLOUR)
    box = {"boxstyle": "round,pad=0.35", "facecolor": colour, "edgecolor": "none"}
    score, cutoffs = "No CTSS", "the lobes are not known"
    if analysis.ctss is not None:
        total = with_range(analysis.ctss, analysis.ctss_range, "–")
        score = f"CTSS {total} / {CTSS_MAX}   {clean(analysis.severity.label)}"
        cutoffs = elided(clean(analysis.severity.cutoffs), CUTOFFS_LENGTH)
    at_right = {"ha": "right", "va": "center", "parse_math": False}
    figure.text(RIGHT - 0.008, 0.969, score, fontsize=17, fontweight="bold", color="white", bbox=box, **at_right)
    lower = 0.928 if analysis.classification is None else 0.936
    figure.text(RIGHT, lower, cutoffs, fontsize=panels.SMALL, color=panels.MUTED, **at_right)
    if analysis.classification is not None:
        _draw_diagnosis(figure, analysis.classification)


def _draw_diagnosis(figure: Figure, diagnosis: PatientDiagnosis) -> None:
    """One line under the score: label and votes, and the file with more."""
    label, vote = CLASS_NAMES[diagnosis.label], diagnosis.vote
    weight = f"{vote.weights[diagnosis.label]:.1f} of {vote.total:.1f}"
    figure.text(
        RIGHT,
        0.9165,
        f"Network: {label} (vote {weight}), research use; see classification.png",
        fontsize=panels.HEADING,
        fontweight="bold",
        color=DIAGNOSIS_COLOURS[diagnosis.label],
        ha="right",
        va="center",
        parse_math=False,
    )


def _draw_axials(figure: Figure, analysis: Findings, indices: tuple[int, ...], box: Box) -> None:
    worst = most_infected_index(analysis)
    rows_by_index = {row.index: row for row in analysis.slices}
    rows = -(-AXIAL_COUNT // COLUMNS)
    width = (RIGHT - LEFT - (COLUMNS - 1) * TILE_GAP) / COLUMNS
    height = (TILES_TOP - TILES_BOTTOM - (rows - 1) * TILE_GAP) / rows
    for n, index in enumerate(indices):
        row, column = divmod(n, COLUMNS)
        corner = (LEFT + column * (width + TILE_GAP), TILES_TOP - height - row * (height + TILE_GAP))
        axes = figure.add_axes((*corner, width, height))
        result = rows_by_index[index]
        note = f"{result.infection_percent:.1f} % infected" if result.infected_voxels else ""
        if index == worst:
            note += ", the largest area"
        title = f"{n + 1}   z {signed(result.z_mm)} mm"
        panels.draw_view(axes, axial_view(analysis, index, box), title, note, marked=index == worst)


def _draw_legend(figure: Figure, analysis: Findings, box: Box) -> None:
    """One line: colour and name of every outline, and the orientation of the images."""
    shown = [score.lobe for score in analysis.lobe_scores if score.voxels]
    slices = zip(analysis.lungs[box], analysis.lobes[box], strict=True)
    without_lobe = any(((lung > 0) & (lobe == 0)).any() for lung, lobe in slices)
    entries = [("lung", LUNG_COLOUR, 2.0)] if without_lobe else []
    entries += [(LOBE_NAMES[lobe], LOBE_COLOURS[lobe], 2.0) for lobe in shown]
    entries += [(OPACITY_NAMES[opacity], OPACITY_COLOURS[opacity], 3.0) for opacity in Opacity]
    axes = figure.add_axes((LEFT, LEGEND_Y - 0.012, RIGHT - LEFT, 0.024))
    panels.draw_swatches(axes, entries)
    axes.text(
        1.0,
        0.5,
        "The patient's right (R) is on the left. Lung window.",
        ha="right",
        va="center",
        fontsize=panels.NORMAL,
        color=panels.MUTED,
    )


def _draw_coronal(figure: Figure, analysis: Findings, indices: tuple[int, ...], box: Box) -> None:
    index = coronal_index(analysis, box)
    axes = figure.add_axes(CORONAL)
    worst = "largest infected area" if most_infected_index(analysis) is not None else "largest lung area"
    panels.draw_view(axes, coronal_view(analysis, index, box), "Coronal, superior up", worst)
    slice_mm = analysis.volume.geometry.spacing_kji[0]
    panels.draw_levels(axes, [k * slice_mm for k in indices])


def _heading(figure: Figure, x: float, text: str) -> None:
    figure.text(x, HEADINGS_Y, text, fontsize=panels.HEADING, fontweight="bold", va="center", color=panels.INK)


def _draw_mixture_note(figure: Figure, analysis: Findings) -> None:
    """Text under the heading of the histogram: what the fitted curves are, and that no mask depends on them.

    The published method marks opacities with a separate mixture for every slice.
    """
    if analysis.densitometry.mixture is None:
        return
    by_mixtures = analysis.provenance.configuration.get("infection") is not None
    use = "each slice has its own" if by_mixtures else "it marks no infection"
    figure.text(
        HISTOGRAM_PANEL[0] - 0.035,
        HEADINGS_Y - 0.0185,
        f"Fitted mixture, for orientation: {use}",
        fontsize=panels.SMALL,
        va="center",
        color=panels.MUTED,
    )


def _draw_footer(figure: Figure, analysis: Findings) -> None:
    lines = note_lines(analysis.quality, NOTE_COLUMNS, NOTE_LINES)
    for n, (line, warning) in enumerate(lines):
        colour = "#8A4B00" if warning else panels.MUTED
        y = 0.086 - 0.0155 * n
        figure.text(LEFT, y, line, fontsize=panels.SMALL + 0.3, va="center", color=colour, parse_math=False)
    limits = "Research use only: not a medical device."
    if analysis.provenance.lobes_approximate:
        limits += "  Lobes are approximate, and so are the scores by lobe."
    figure.text(LEFT, 0.014, limits, fontsize=panels.NORMAL, fontweight="bold", va="center", color=panels.INK)
