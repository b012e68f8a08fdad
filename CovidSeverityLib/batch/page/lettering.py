"""Letters on pictures: DejaVu Sans, which comes with matplotlib and has the letters of most languages."""

from __future__ import annotations

from functools import cache
from importlib import resources
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

REGULAR, BOLD = "DejaVuSans", "DejaVuSans-Bold"
ELLIPSIS = "…"


@cache
def font(size: int, name: str = REGULAR) -> FreeTypeFont:
    """A font, ``size`` pixels high. Letters are set one by one, so that pictures are the same on every computer."""
    from PIL import ImageFont

    file = resources.files("matplotlib") / "mpl-data" / "fonts" / "ttf" / f"{name}.ttf"
    return ImageFont.truetype(BytesIO(file.read_bytes()), size, layout_engine=ImageFont.Layout.BASIC)


def fitted(text: str, width: float, letters: FreeTypeFont) -> str:
    """``text``, shortened in the middle until it is at most ``width`` pixels wide: both ends distinguish cases."""
    if letters.getlength(text) <= width:
        return text
    low, high = 0, len(text) - 1  # letters that are kept
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if letters.getlength(_kept(text, middle)) <= width else (low, middle - 1)
    return _kept(text, low)


def _kept(text: str, count: int) -> str:
    head = (count + 1) // 2
    return f"{text[:head]}{ELLIPSIS}{text[len(text) - (count - head) :]}"
