"""How the report looks on paper. Sizes are in points; colours are those of the page's light theme."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import TableStyle

from .fonts import BOLD, REGULAR

INK, MUTED, RULE, WARNING = (HexColor(colour) for colour in ("#1b2733", "#4d5a67", "#c3ccd5", "#fff1d6"))
BADGES = {"mild": "#00669f", "moderate": "#8f5600", "severe": "#b3261e"}
OTHER_BADGE = "#4d5a67"

_BODY = ParagraphStyle(
    "p",
    fontName=REGULAR,
    fontSize=8.5,
    leading=12,
    textColor=INK,
    spaceAfter=3,
    allowWidows=0,  # no single line of a paragraph on a page
    allowOrphans=0,
)
_CAPTION = {"fontSize": 7.5, "leading": 10, "bulletFontSize": 7.5}
_CELL = {"alignment": TA_RIGHT, "spaceAfter": 0, "fontSize": 8, "leading": 10}


def _style(name: str, **changes: Any) -> ParagraphStyle:  # noqa: ANN401 (ReportLab checks them)
    return ParagraphStyle(name, parent=_BODY, **changes)


STYLES = {
    style.name: style
    for style in (
        _BODY,
        _style("h1", fontName=BOLD, fontSize=16, leading=20, spaceAfter=1),
        _style("h2", fontName=BOLD, fontSize=12, leading=15, spaceBefore=9, spaceAfter=4, keepWithNext=1),
        _style("h3", fontName=BOLD, fontSize=9.5, leading=12, spaceBefore=4, keepWithNext=1),
        _style("p.muted", textColor=MUTED),
        _style("p.small", **_CAPTION),
        _style("p.score", leading=30, fontSize=10),
        _style("p.use", spaceBefore=2),
        _style("p.corrected", spaceBefore=2, borderPadding=4, backColor=WARNING),
        _style("figcaption", textColor=MUTED, **_CAPTION),
        _style("dt", fontName=BOLD, spaceBefore=2, spaceAfter=0, keepWithNext=1),
        _style("dt.plain", spaceAfter=0, fontSize=8, leading=10),
        _style("dd", leftIndent=10),
        _style("li", leftIndent=14, bulletIndent=2, **_CAPTION),
        _style("li.warning", leftIndent=14, bulletIndent=2, backColor=WARNING),
        _style("td", **_CELL),
        _style("th", **(_CELL | {"fontName": BOLD, "fontSize": 6.5, "leading": 8})),
        _style("th.first", fontName=BOLD, spaceAfter=0, fontSize=8, leading=10),
    )
}
"""By element, or by element and class."""

_NO_PADDING = [("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), 0)]
_TOP = [("VALIGN", (0, 0), (-1, -1), "TOP")]
_LOW = [("TOPPADDING", (0, 0), (-1, -1), 1.5), ("BOTTOMPADDING", (0, 0), (-1, -1), 2)]
_RULES = [("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE)]
TIGHT = TableStyle([*_NO_PADDING, *_TOP, *_LOW])
NUMBERS = TableStyle([*_NO_PADDING, *_TOP, *_LOW, *_RULES])
_APART = [("LEFTPADDING", (0, 0), (-1, -1), 3), ("RIGHTPADDING", (0, 0), (-1, -1), 0)]
GRID = TableStyle([*_APART, *_LOW, *_RULES, ("VALIGN", (0, 0), (-1, -1), "BOTTOM")])


def badge_colour(classes: Sequence[str]) -> str:
    """The colour of the word for a score."""
    return next((BADGES[name] for name in classes if name in BADGES), OTHER_BADGE)
