"""The page's SVG on paper: charts, and slices with their outlines."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.utils import ImageReader
from reportlab.platypus import Flowable

from .elements import Element
from .fonts import BOLD, REGULAR

LINE_WIDTH = 0.7
"""Outlines on slices, points, whatever their scale."""

FONT_SIZE = 11.0
"""Letters of charts, in units of the chart."""

NONE = "none"

Style = Mapping[str, str]


def chart_styles(css: str) -> dict[str, dict[str, str]]:
    """The declarations of ``.chart .NAME`` by name, in the colours of the light theme.

    Parameters
    ----------
    css : str
        ``report.css``, whose first rule has the variables of the light theme.
    """
    variables = dict(re.findall(r"(--\w+): ([^;]+);", css[: css.index("}")]))
    styles: dict[str, dict[str, str]] = {}
    for name, body in re.findall(r"^\.chart ([\w.]+) \{ (.*) \}$", css, re.MULTILINE):
        declared = dict(re.findall(r"([\w-]+): ([^;]+);", body))
        styles[name.lstrip(".")] = {
            key: variables.get(value[4:-1], value) if value.startswith("var(") else value
            for key, value in declared.items()
        }
    return styles


class Drawing(Flowable):
    """An element ``svg`` that fills a box; its proportions stay.

    Parameters
    ----------
    svg : Element
        With rectangles, paths of straight lines, texts and JPEG pictures, styled by :func:`chart_styles`.
    styles : mapping of str to mapping
        Of :func:`chart_styles`.
    width, height : float, or None
        Of the box, points; without a height that of the drawing.
    """

    def __init__(self, svg: Element, styles: Mapping[str, Style], width: float, height: float | None = None) -> None:
        super().__init__()
        self._svg, self._styles = svg, styles
        self._left, self._top, across, down = (float(n) for n in svg.attributes["viewbox"].split())
        self._scale = width / across if height is None else min(width / across, height / down)
        self.width, self.height = width, down * self._scale if height is None else height
        self._margins = (self.width - across * self._scale) / 2, (self.height - down * self._scale) / 2
        self._is_picture = "picture" in svg.classes

    def wrap(self, *_available: float) -> tuple[float, float]:
        """Its size, points."""
        return self.width, self.height

    def draw(self) -> None:
        """Draw every element in its order."""
        if self._is_picture:
            self.canv.setFillColor(HexColor("#000000"))
            self.canv.rect(0, 0, self.width, self.height, stroke=0, fill=1)
        for element in self._svg.elements():
            attributes = element.attributes
            style = self._style(element)
            if element.tag == "rect":
                x, y, width, height = (float(attributes[name]) for name in ("x", "y", "width", "height"))
                self._path(f"M{x} {y}H{x + width}V{y + height}H{x}Z", style)
            elif element.tag == "path":
                self._path(attributes["d"], style)
            elif element.tag == "text":
                self._text(element, style)
            elif element.tag == "image":
                self._image(attributes)

    def _style(self, element: Element) -> dict[str, str]:
        style = {"fill": "#000000"} | dict(self._styles.get("text", {}) if element.tag == "text" else {})
        if "line" in element.classes:
            style |= {"fill": NONE, "stroke-width": "0"}
        for name in (".".join(element.classes), *element.classes):
            style |= self._styles.get(name, {})
        return style | {name: element.attributes[name] for name in ("fill", "stroke") if name in element.attributes}

    def _at(self, x: float, y: float) -> tuple[float, float]:
        """A place of the view box on the paper, whose y runs upwards."""
        across, down = self._margins
        return across + (x - self._left) * self._scale, self.height - down - (y - self._top) * self._scale

    def _path(self, commands: str, style: Style) -> None:
        path: Any = self.canv.beginPath()
        for command, *place in path_steps(commands):
            if command == "M":
                path.moveTo(*self._at(*place))
            elif command == "L":
                path.lineTo(*self._at(*place))
            else:
                path.close()
        filled, stroked = style.get("fill", NONE) != NONE, style.get("stroke", NONE) != NONE
        if filled:
            self.canv.setFillColor(HexColor(style["fill"]))
        if stroked:
            self.canv.setStrokeColor(HexColor(style["stroke"]))
            self.canv.setLineWidth(float(style.get("stroke-width", "1")) * self._scale or LINE_WIDTH)
        self.canv.drawPath(path, stroke=int(stroked), fill=int(filled))

    def _text(self, element: Element, style: Style) -> None:
        x, y = self._at(float(element.attributes["x"]), float(element.attributes["y"]))
        self.canv.setFont(BOLD if style.get("font-weight") == "700" else REGULAR, FONT_SIZE * self._scale)
        self.canv.setFillColor(HexColor(style["fill"]))
        anchor = element.attributes.get("text-anchor", "start")
        draw = {"start": "drawString", "middle": "drawCentredString", "end": "drawRightString"}[anchor]
        getattr(self.canv, draw)(x, y, element.text())

    def _image(self, attributes: Mapping[str, str]) -> None:
        jpeg = base64.b64decode(attributes["href"].partition(",")[2])
        x, y, width, height = (float(attributes[name]) for name in ("x", "y", "width", "height"))
        at = self._at(x, y + height)
        self.canv.drawImage(ImageReader(io.BytesIO(jpeg)), *at, width * self._scale, height * self._scale)


def path_steps(commands: str) -> Iterator[tuple]:
    """The steps of a path of straight lines: ``("M", x, y)``, ``("L", x, y)`` and ``("Z",)``.

    Places are absolute. More places than one after M are lines to them.
    """
    x = y = 0.0
    for command, body in re.findall(r"([MLHVZ])([^MLHVZ]*)", commands):
        numbers = [float(text) for text in body.split()]
        if command == "Z":
            yield ("Z",)
        elif command in "HV":
            for number in numbers:
                x, y = (number, y) if command == "H" else (x, number)
                yield "L", x, y
        else:
            for n, (x, y) in enumerate(zip(numbers[::2], numbers[1::2], strict=True)):
                yield ("L" if n else command), x, y
