"""``classification.png``: the diagnosis, the slices that decided and where the network looked in them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, BinaryIO

from CovidSeverityLib.classification.description import CLASS_NAMES
from CovidSeverityLib.classification.evidence import DECIDING_SLICES
from CovidSeverityLib.classification.notes import CONTRADICTION
from CovidSeverityLib.classification.voting import VOTE_DEFINITION
from CovidSeverityLib.findings import ClassifiedFindings
from CovidSeverityLib.types import DIAGNOSIS_NAMES, OPACITY_NAMES, Opacity

from . import overview_panels as panels
from .classification_panels import attention_colours, draw_attention_scale, draw_slices, draw_vote
from .overview_text import clean, elided, note_lines, signed
from .overview_views import attention_on, classified_view, lung_box
from .page import DPI, LEFT, RIGHT, write_page
from .palette import DIAGNOSIS_COLOURS, LUNG_COLOUR, OPACITY_COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME_LENGTH, DETAILS_LENGTH, CLASSIFIER_LENGTH = 60, 150, 40
NOTE_COLUMNS, NOTE_LINES = 205, 4
RULE_COLUMNS = 92

# Rectangles are left, bottom, width and height as fractions of the page.
TILES_BOTTOM, TILES_TOP, TILE_GAP = 0.415, 0.905, 0.004
LEGEND_Y = 0.398
SLICES = (0.045, 0.158, 0.515, 0.165)
VOTE = (0.672, 0.238, 0.215, 0.085)
HEADINGS_Y = 0.364


def write_classification_page(found: ClassifiedFindings, file: BinaryIO, dpi: int = DPI) -> None:
    """Draw the page and write it to an open binary ``file`` as PNG. The same result gives the same bytes."""
    write_page(lambda figure: draw_classification_page(figure, found), file, dpi)


def draw_classification_page(figure: Figure, found: ClassifiedFindings) -> None:
    """Draw the page on an empty ``figure`` of :data:`~.page.PAGE_INCHES`."""
    _draw_header(figure, found)
    _draw_tiles(figure, found)
    _draw_legend(figure, found)
    _heading(figure, LEFT, "Probabilities and votes of the slices")
    z_mm = found.volume.geometry.slice_z_mm()
    draw_slices(figure.add_axes(SLICES), found.diagnosis, z_mm, found.volume.geometry.spacing_kji[0])
    _heading(figure, VOTE[0] - 0.065, "Vote")
    draw_vote(figure.add_axes(VOTE), found.diagnosis)
    _draw_rule(figure)
    _draw_footer(figure, found)


def _draw_header(figure: Figure, found: ClassifiedFindings) -> None:
    diagnosis = found.diagnosis
    name = elided(clean(found.volume.name) or "unnamed CT", NAME_LENGTH)
    figure.text(LEFT, 0.972, name, fontsize=15, fontweight="bold", va="center", color=panels.INK, parse_math=False)
    details = elided(clean(_classifier_text(found)), DETAILS_LENGTH)
    figure.text(LEFT, 0.931, details, fontsize=7.5, va="center", color=panels.MUTED, parse_math=False)
    box = {"boxstyle": "round,pad=0.35", "facecolor": DIAGNOSIS_COLOURS[diagnosis.label], "edgecolor": "none"}
    at_right = {"ha": "right", "va": "center", "parse_math": False}
    shown = DIAGNOSIS_NAMES[diagnosis.label]
    figure.text(RIGHT - 0.008, 0.969, shown, fontsize=17, fontweight="bold", color="white", bbox=box, **at_right)
    vote = diagnosis.vote
    said = f"vote {vote.weights[diagnosis.label]:.1f} of {vote.total:.1f}, {len(diagnosis.slices)} slices; research use"
    figure.text(RIGHT, 0.928, said, fontsize=panels.NORMAL, color=panels.MUTED, **at_right)


def _classifier_text(found: ClassifiedFindings) -> str:
    known = found.diagnosis.classifier
    program = f"CovidSeverity {found.version}"
    if known is None:
        return program
    network = known.description
    size = f"{network.size_px} × {network.size_px}"
    name = elided(known.name, CLASSIFIER_LENGTH)
    return f"Classifier {name}: {network.backbone}, {size}, SHA-256 {known.sha256[:12]}…   ·   {program}"


def _draw_tiles(figure: Figure, found: ClassifiedFindings) -> None:
    """One column per deciding slice: the CT with outlines, and below it the CT with the network's attention."""
    box, diagnosis = lung_box(found), found.diagnosis
    width = (RIGHT - LEFT - (DECIDING_SLICES - 1) * TILE_GAP) / DECIDING_SLICES
    height = (TILES_TOP - TILES_BOTTOM - TILE_GAP) / 2
    z_mm = found.volume.geometry.slice_z_mm()
    for n, seen in enumerate(diagnosis.evidence):
        left = LEFT + n * (width + TILE_GAP)
        view = classified_view(found, seen.index, box)
        row = diagnosis.slices.index(seen.index)
        title = f"{n + 1}   z {signed(z_mm[seen.index])} mm"
        note = f"{CLASS_NAMES[diagnosis.label]} {diagnosis.probabilities[row, diagnosis.label]:.2f}"
        note += f", counts {diagnosis.slice_weights[row]:.1f}"
        upper = figure.add_axes((left, TILES_TOP - height, width, height))
        panels.draw_view(upper, view, title, note)
        lower = figure.add_axes((left, TILES_BOTTOM, width, height))
        overlay = attention_colours(attention_on(view, seen.attention, found))
        empty = "" if seen.attention.any() else "no place speaks for it"
        panels.draw_view(lower, view, f"{n + 1}   Grad-CAM", empty, overlay=overlay, outlines=False)


def _draw_legend(figure: Figure, found: ClassifiedFindings) -> None:
    """One line: outlines, the scale of the attention, and the orientation of the images."""
    text = {"va": "center", "fontsize": panels.NORMAL, "parse_math": False}
    entries = [("lung", LUNG_COLOUR, 3.0)]
    if found.infection is not None:
        entries += [(OPACITY_NAMES[opacity], OPACITY_COLOURS[opacity], 3.0) for opacity in Opacity]
    axes = figure.add_axes((LEFT, LEGEND_Y - 0.012, 0.3, 0.024))
    panels.draw_swatches(axes, entries)
    asked = f"Where the network looked for {CLASS_NAMES[found.diagnosis.label]} (each slice by itself):  least"
    figure.text(0.632, LEGEND_Y, asked, ha="right", color=panels.INK, **text)
    draw_attention_scale(figure.add_axes((0.636, LEGEND_Y - 0.006, 0.09, 0.012)))
    figure.text(0.73, LEGEND_Y, "most", ha="left", color=panels.INK, **text)
    turned = "The patient's right (R) is on the left. Lung window."
    figure.text(RIGHT, LEGEND_Y, turned, ha="right", color=panels.MUTED, **text)


def _heading(figure: Figure, x: float, text: str) -> None:
    figure.text(x, HEADINGS_Y, text, fontsize=panels.HEADING, fontweight="bold", va="center", color=panels.INK)


def _draw_rule(figure: Figure) -> None:
    """Text under the bars of the vote: its rule, and what Grad-CAM does not show."""
    rule = f"{VOTE_DEFINITION}. Probabilities are not calibrated."
    cam = (
        "The network does not see the CT, but an image made of it that shows the dense parts of the lungs. Grad-CAM "
        "shows, coarsely, which places of it raised the answer, not that the answer is right; it marks no lesion."
    )
    lines = [*textwrap.wrap(rule, RULE_COLUMNS), *textwrap.wrap(cam, RULE_COLUMNS)]
    figure.text(
        VOTE[0] - 0.065,
        0.188,
        "\n".join(lines),
        fontsize=panels.SMALL,
        va="top",
        color=panels.MUTED,
        linespacing=1.3,
        parse_math=False,
    )


def _draw_footer(figure: Figure, found: ClassifiedFindings) -> None:
    where = "classification.json" if found.infection is None else "report.json"
    last_first = list(reversed(found.quality))  # in an analysis, notes on the diagnosis come last
    last_first.sort(key=lambda note: note.code != CONTRADICTION)
    for n, (line, warning) in enumerate(note_lines(last_first, NOTE_COLUMNS, NOTE_LINES, where)):
        colour = "#8A4B00" if warning else panels.MUTED
        y = 0.086 - 0.0155 * n
        figure.text(LEFT, y, line, fontsize=panels.SMALL + 0.3, va="center", color=colour, parse_math=False)
    limits = "Research use only: not a medical device.  The network knows normal, CAP (community-acquired pneumonia) "
    limits += "and COVID-19, and no other disease."
    figure.text(LEFT, 0.014, limits, fontsize=panels.NORMAL, fontweight="bold", va="center", color=panels.INK)
