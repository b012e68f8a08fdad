"""``thumbnail.jpg``: a case at a glance, an axial slice beside a coronal one, with tinted opacities."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.findings import Findings
from CovidSeverityLib.reporting.overview_views import (
    View,
    axial_view,
    coronal_index,
    coronal_view,
    grey,
    lung_box,
    most_infected_index,
)
from CovidSeverityLib.reporting.palette import OPACITY_COLOURS
from CovidSeverityLib.types import Opacity

from .lettering import BOLD, font

if TYPE_CHECKING:
    from PIL.Image import Image

THUMBNAIL_SIZE = (240, 120)
"""Width and height of every thumbnail, pixels."""

PANEL_GAP = 2
TINT = 0.55
"""Share of the colour in a tinted pixel: the pattern of the opacity stays visible."""
THUMBNAIL_QUALITY = 85
MARK_PIXELS, MARK_INSET = 11, 3
MARK_COLOUR, RIM_COLOUR = "white", "black"


def write_thumbnail(analysis: Findings, path: Path) -> None:
    """Write a small JPEG of a result.

    It shows the axial slice with the largest area of opacity, or else the middle of the lungs, and beside it the
    coronal slice with the largest area. Independent slices have no coronal one. Slices are cropped to the lungs, in the
    lung window; R and L are the patient's sides.

    Parameters
    ----------
    analysis : Findings
        The result.
    path : Path
        The file, which is replaced. The same analysis gives the same bytes with the same version of Pillow.

    Raises
    ------
    OSError
        It cannot be written.
    """
    from PIL import Image

    views = _views(analysis)
    width, height = THUMBNAIL_SIZE
    panel = ((width - PANEL_GAP * (len(views) - 1)) // len(views), height)
    picture = Image.new("RGB", THUMBNAIL_SIZE)
    for n, view in enumerate(views):
        picture.paste(_panel(view, panel), (n * (panel[0] + PANEL_GAP), 0))
    picture.save(path, "jpeg", quality=THUMBNAIL_QUALITY, subsampling=0)


def _views(analysis: Findings) -> tuple[View, ...]:
    box = lung_box(analysis)
    axial = axial_view(analysis, _axial_index(analysis), box)
    if analysis.ctss is None:  # independent slices
        return (axial,)
    return axial, coronal_view(analysis, coronal_index(analysis, box), box)


def _axial_index(analysis: Findings) -> int:
    """K of the slice with the largest area of opacity, else of the middle of the lungs, else of the CT."""
    worst = most_infected_index(analysis)
    if worst is not None:
        return worst
    lung = [row.index for row in analysis.slices if row.lung_voxels] or range(len(analysis.volume.hu))
    return sorted(lung)[len(lung) // 2]


def _panel(view: View, size: tuple[int, int]) -> Image:
    """The view as large as it fits in ``size`` pixels, in its true proportions, on black."""
    from PIL import Image

    left, right, bottom, top = view.extent_mm
    width_mm, height_mm = right - left, abs(bottom - top)
    scale = min(size[0] / width_mm, size[1] / height_mm)
    fitting = max(1, round(width_mm * scale)), max(1, round(height_mm * scale))
    shown = Image.fromarray(_tinted(view)).resize(fitting, Image.Resampling.BICUBIC)
    panel = Image.new("RGB", size)
    panel.paste(shown, ((size[0] - fitting[0]) // 2, (size[1] - fitting[1]) // 2))
    _draw_marks(panel)
    return panel


def _tinted(view: View) -> NDArray[np.uint8]:
    """(rows, columns, 3) red, green, blue: the CT in the lung window, with the colours of the opacities."""
    pixels = np.repeat(grey(view.hu)[..., np.newaxis], 3, axis=2)
    for kind in Opacity:
        marked = view.infection == kind
        colour = 255.0 * np.asarray(OPACITY_COLOURS[kind])
        pixels[marked] = np.rint((1 - TINT) * pixels[marked] + TINT * colour)
    return pixels


def _draw_marks(panel: Image) -> None:
    """R and L: a view's columns run from the patient's right to left."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(panel)
    marks = ((MARK_INSET, "R", "lt"), (panel.width - MARK_INSET, "L", "rt"))
    for x, letter, anchor in marks:
        draw.text(
            (x, MARK_INSET),
            letter,
            MARK_COLOUR,
            font(MARK_PIXELS, BOLD),
            anchor,
            stroke_width=1,
            stroke_fill=RIM_COLOUR,
        )
