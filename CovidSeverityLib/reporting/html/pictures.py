"""Slices as pictures inside the page: JPEG in a lung window, outlines as paths of SVG."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.findings import Findings
from CovidSeverityLib.reporting.outlines import outline
from CovidSeverityLib.reporting.overview_views import View, grey
from CovidSeverityLib.reporting.palette import LOBE_COLOURS, LUNG_COLOUR, OPACITY_COLOURS, Rgb
from CovidSeverityLib.types import LOBE_NAMES, OPACITY_NAMES, Box, Lobe, Opacity, Side

JPEG_QUALITY = 80
"""Noise of a usual CT hides what JPEG changes at this quality: 30 KB for a slice of 470 x 310 pixels."""

MAX_STACK_PIXELS = 30_000_000
"""If all slices together have more pixels than this, each is shown with half of its rows and columns, or a third ..."""

RUN = np.dtype([("length", "<u2"), ("label", "u1")])
"""A run of equal labels within a row, as the viewer's script reads it."""


@dataclass(frozen=True)
class Outline:
    """All lines around one mask in one colour; ``kind`` is lung, lobe or opacity."""

    kind: str
    name: str
    colour: str
    path: str


@dataclass(frozen=True)
class Picture:
    """One image with its outlines; positions and sizes are in mm within the plane of the image."""

    jpeg: str
    left: float
    top: float
    width: float
    height: float
    outlines: tuple[Outline, ...]


def picture(view: View) -> Picture:
    """A view of the overview page as a picture inside the page."""
    left, right, bottom, top = view.extent_mm
    masks = [
        *(("lung", "lung", LUNG_COLOUR, view.lungs == side) for side in Side if not view.lobes.any()),
        *(("lobe", LOBE_NAMES[lobe], LOBE_COLOURS[lobe], view.lobes == lobe) for lobe in Lobe),
        *(("opacity", OPACITY_NAMES[kind], OPACITY_COLOURS[kind], view.infection == kind) for kind in Opacity),
    ]
    outlines = tuple(
        Outline(kind, name, hexadecimal(colour), _path(outline(view, mask)))
        for kind, name, colour, mask in masks
        if mask.any()
    )
    width, height = right - left, abs(bottom - top)
    return Picture(
        jpeg(grey(view.hu)), round(left, 3), round(min(top, bottom), 3), round(width, 3), round(height, 3), outlines
    )


def slice_stack(analysis: Findings, box: Box) -> tuple[list[str], list[str], tuple[int, int]]:
    """All axial slices within the rows and columns of a box.

    Parameters
    ----------
    analysis : Findings
        The result.
    box : tuple of three slice
        Its rows and columns are shown, of every slice of the CT.

    Returns
    -------
    jpegs, labels : list of K str
        Inferior to superior, in base64: the picture, and the runs of labels (:data:`RUN`, row by row). A label is
        lobe + 8 side + 32 opacity.
    size : (int, int)
        Rows and columns of the labels.
    """
    inside = (slice(None), *box[1:])
    hu, lungs, lobes, infection = (
        array[inside] for array in (analysis.volume.hu, analysis.lungs, analysis.lobes, analysis.infection)
    )
    step = max(1, int(np.ceil(np.sqrt(hu.size / MAX_STACK_PIXELS))))
    jpegs = [jpeg(grey(plane), step) for plane in hu]
    thin = (slice(None, None, step), slice(None, None, step))
    planes = [
        (lobe | side << 3 | (kind * (side > 0)) << 5)
        for side, lobe, kind in ((s[thin], b[thin], i[thin]) for s, b, i in zip(lungs, lobes, infection, strict=True))
    ]
    return jpegs, [runs(plane) for plane in planes], planes[0].shape


def jpeg(pixels: NDArray[np.uint8], step: int = 1) -> str:
    """A grey image in base64, with the mean of ``step`` x ``step`` pixels in the place of each."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    file = io.BytesIO()
    (image.reduce(step) if step > 1 else image).save(file, "jpeg", quality=JPEG_QUALITY)
    return base64.b64encode(file.getvalue()).decode("ascii")


def runs(labels: NDArray[np.uint8]) -> str:
    """The runs of equal labels of every row, in base64."""
    begins = np.ones(labels.shape, dtype=bool)
    begins[:, 1:] = labels[:, 1:] != labels[:, :-1]
    starts = np.flatnonzero(begins)
    table = np.empty(starts.size, RUN)
    table["length"] = np.diff(starts, append=labels.size)
    table["label"] = labels.ravel()[starts]
    return base64.b64encode(table.tobytes()).decode("ascii")


def hexadecimal(colour: Rgb) -> str:
    """A colour as CSS writes it."""
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour)


def _path(lines: Iterable[NDArray[np.float64]]) -> str:
    """Closed lines as one path, without the points in the middle of straight parts."""
    parts = []
    for line in lines:
        points = np.round(line[:-1], 2)
        ahead, behind = np.roll(line[:-1], -1, axis=0) - line[:-1], line[:-1] - np.roll(line[:-1], 1, axis=0)
        bends = np.abs(ahead[:, 0] * behind[:, 1] - ahead[:, 1] * behind[:, 0]) > 1e-6
        corners = points[bends] if bends.sum() > 2 else points
        parts.append("M" + " ".join(f"{x:g} {y:g}" for x, y in corners.tolist()) + "Z")
    return "".join(parts)
