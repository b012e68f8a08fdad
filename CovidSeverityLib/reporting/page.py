"""Common parts of the pages: size, margins, and reproducible bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE_INCHES = (11.69, 8.27)
"""A4, landscape."""
DPI, NOTEBOOK_DPI = 190, 100
PNG_COMPRESSION = 2
"""Of an opaque page, 2 makes files as small as 4 does with an opacity for every pixel, in two thirds of the time."""

LEFT, RIGHT = 0.012, 0.988
"""Margins, as fractions of the page's width."""


def write_page(draw: Callable[[Figure], None], file: BinaryIO, dpi: int = DPI) -> None:
    """Let ``draw`` draw on an empty page and write it to an open binary ``file`` as PNG.

    Parameters
    ----------
    draw : callable
        Is given the figure.
    file : BinaryIO
        Binary file Open for writing.
    dpi : int
        Pixels an inch.

    Notes
    -----
    The user's settings of matplotlib have no effect, and the file contains no date.
    """
    import matplotlib.style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    with matplotlib.style.context("default"):
        figure = Figure(figsize=PAGE_INCHES, dpi=dpi, facecolor="white")
        canvas = FigureCanvasAgg(figure)
        draw(figure)
        canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    picture.save(file, "png", dpi=(dpi, dpi), compress_level=PNG_COMPRESSION)
