"""``report.pdf``: the elements of the page, one after the other, on A4."""

from __future__ import annotations

from html import escape
from importlib import resources
from typing import Any, BinaryIO

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate, Paragraph, Spacer, Table

from CovidSeverityLib.findings import Findings
from CovidSeverityLib.reporting.html import html_text

from .drawing import Drawing, chart_styles
from .elements import Element, parsed
from .fonts import REGULAR, register_fonts
from .styles import GRID, MUTED, NUMBERS, STYLES, TIGHT, badge_colour

PAPER_MARGIN = 15 * mm
PAPER_WIDTH = A4[0] - 2 * PAPER_MARGIN
GAP = 6 * mm
TILES, BETWEEN_TILES, TILE_HEIGHT = 4, 2 * mm, 33 * mm
FOOT_AT, FOOT_SIZE = 9 * mm, 7.0

LEFT_OUT = frozenset({"head", "script", "style", "noscript", "button", "footer"})
"""Elements that have no place on paper; the foot of every page says what the page's footer says."""


def write_pdf(analysis: Findings, file: BinaryIO, *, title: str = "", language: str | None = None) -> None:
    """Write the report to an open binary file. The same result gives the same bytes.

    Parameters
    ----------
    analysis : Findings
        The result.
    file : BinaryIO
        Open for writing.
    title : str
        What the report calls the CT; without it, it does not tell whose CT it is.
    language : str or None
        Code of the language of its texts; English where there is no translation.
    """
    register_fonts()
    root = parsed(html_text(analysis, title=title, language=language, viewer=False))
    found = {element.tag: element for element in root.walk() if element.tag in ("title", "html")}
    foot = next(element for element in root.walk() if element.tag == "footer").elements()[0].text()
    document = _Document(
        file,
        pagesize=A4,
        title=found["title"].text(),
        author=f"CovidSeverity {analysis.provenance.version}",
        lang=found["html"].attributes["lang"],
        invariant=1,
    )
    frame = Frame(PAPER_MARGIN, PAPER_MARGIN, PAPER_WIDTH, A4[1] - 2 * PAPER_MARGIN, 0, 0, 0, 0)
    document.addPageTemplates(PageTemplate("page", [frame], onPage=lambda canvas, _: _draw_foot(canvas, foot)))
    document.build(_Layout().flowables(root, PAPER_WIDTH))


def _draw_foot(canvas: Any, text: str) -> None:  # noqa: ANN401 (ReportLab has no types)
    canvas.setFont(REGULAR, FOOT_SIZE)
    canvas.setFillColor(MUTED)
    canvas.drawString(PAPER_MARGIN, FOOT_AT, text)
    canvas.drawRightString(A4[0] - PAPER_MARGIN, FOOT_AT, str(canvas.getPageNumber()))


class _Document(BaseDocTemplate):
    """Puts the headings of chapters into the outline."""

    def afterFlowable(self, flowable: Flowable) -> None:  # noqa: N802 (ReportLab's name)
        if isinstance(flowable, Paragraph) and flowable.style.name == "h2":
            text = flowable.getPlainText()
            self.canv.bookmarkPage(text)
            self.canv.addOutlineEntry(text, text)


class _Layout:
    """Elements to flowables; each method takes an element and the width that it has."""

    def __init__(self) -> None:
        css = resources.files("CovidSeverityLib.reporting.html").joinpath("templates/report.css")
        self._styles = chart_styles(css.read_text(encoding="utf-8"))

    def flowables(self, element: Element, width: float) -> list[Flowable]:
        """What is in an element."""
        return [flowable for child in element.elements() for flowable in self._one(child, width)]

    def _one(self, element: Element, width: float) -> list[Flowable]:
        if element.tag in LEFT_OUT or "skip" in element.classes:
            return []
        if element.tag == "svg":
            return [Drawing(element, self._styles, width, TILE_HEIGHT if "picture" in element.classes else None)]
        special = {"pair": self._pair, "tiles": self._tiles, "legend": self._legend, "numbers": self._numbers}
        for name in element.classes:
            if name in special:
                return special[name](element, width)
        if element.tag in STYLES:
            text = markup(element)
            return [Paragraph(text, STYLES[_style_of(element)])] if text else []
        by_tag = {"table": self._table, "ol": self._list, "ul": self._list}
        return by_tag.get(element.tag, self.flowables)(element, width)

    def _pair(self, element: Element, width: float) -> list[Flowable]:
        """Parts side by side."""
        parts, each = element.elements(), (width - GAP) / 2
        cells = [[*self._one(part, each)] for part in parts]
        cells += [[]] * (2 - len(cells))
        return [Table([cells], [each + GAP, each], style=TIGHT), Spacer(1, 2 * mm)]

    def _tiles(self, element: Element, width: float) -> list[Flowable]:
        """Figures in rows."""
        each = (width - (TILES - 1) * BETWEEN_TILES) / TILES
        cells: list[Any] = [self._one(part, each) for part in element.elements()]
        cells += [[]] * (-len(cells) % TILES)
        rows = [cells[n : n + TILES] for n in range(0, len(cells), TILES)]
        return [Table([row], [each + BETWEEN_TILES] * (TILES - 1) + [each], style=TIGHT) for row in rows]

    def _legend(self, element: Element, _width: float) -> list[Flowable]:
        """Colours and their names in one paragraph."""
        return [Paragraph("   ".join(markup(entry) for entry in element.elements()), STYLES["figcaption"])]

    def _numbers(self, element: Element, width: float) -> list[Flowable]:
        """Names and values of the key numbers."""
        rows = [
            [Paragraph(markup(name), STYLES["dt.plain"]), Paragraph(markup(value), STYLES["td"])]
            for name, value in (pair.elements() for pair in element.elements())
        ]
        return [Table(rows, [0.68 * width, 0.32 * width], style=NUMBERS)]

    def _table(self, element: Element, width: float) -> list[Flowable]:
        rows = [row.elements() for row in element.walk() if row.tag == "tr"]
        columns = max(map(len, rows))
        cells = [
            [Paragraph(markup(cell), STYLES[_cell_style(n, cell)]) for n, cell in enumerate(row)]
            + [""] * (columns - len(row))
            for row in rows
        ]
        return [Table(cells, _column_widths(cells, width), style=GRID, repeatRows=1), Spacer(1, 1 * mm)]

    def _list(self, element: Element, _width: float) -> list[Flowable]:
        """Entries of a list, numbered in ``ol``."""
        return [
            Paragraph(markup(entry), STYLES[_style_of(entry)], bulletText=f"{n}." if element.tag == "ol" else "•")
            for n, entry in enumerate(element.elements(), start=1)
        ]


def _column_widths(cells: list[list[Any]], width: float) -> list[float]:
    """Widths of the columns: what the longest word of each needs, and an equal part of the rest."""
    needed = [
        max(cell.minWidth() if isinstance(cell, Paragraph) else 0 for cell in column)
        for column in zip(*cells, strict=True)
    ]
    rest = (width - sum(needed)) / len(needed)
    return [each + rest for each in needed]


def markup(element: Element) -> str:
    """What is in an element, as ReportLab's paragraphs take it."""
    return " ".join("".join(escape(c, False) if isinstance(c, str) else _inline(c) for c in element.children).split())


def _inline(element: Element) -> str:
    if element.tag in LEFT_OUT:
        return ""
    inner = markup(element)
    if element.tag == "strong":
        return f" <b>{inner}</b> "
    if element.tag == "a":
        return f'<a href="{escape(element.attributes["href"])}">{inner}</a>'
    if "swatch" in element.classes:
        colour = element.attributes["style"].partition(":")[2]
        return f'<font color="{colour}">■</font> '
    if "badge" in element.classes:
        return f'<font color="{badge_colour(element.classes)}"><b>{inner}</b></font>'
    sizes = {"total": 26, "range": 14}
    size = next((sizes[name] for name in element.classes if name in sizes), None)
    return inner if size is None else f'<font size="{size}"><b>{inner}</b></font>'


def _style_of(element: Element) -> str:
    """The style of an element with its class, where there is one."""
    names = (f"{element.tag}.{name}" for name in element.classes)
    return next((name for name in names if name in STYLES), element.tag)


def _cell_style(column: int, cell: Element) -> str:
    return "th.first" if column == 0 else cell.tag
