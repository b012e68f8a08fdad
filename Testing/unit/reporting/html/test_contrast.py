"""Contrast of the page's colours by WCAG 2.1: what axe-core cannot see in SVG and on pictures, and both themes."""

from __future__ import annotations

import re

import pytest

from CovidSeverityLib.reporting.html.pictures import hexadecimal
from CovidSeverityLib.reporting.palette import LOBE_COLOURS

LETTERS, GRAPHICS = 4.5, 3.0
"""Least contrasts of level AA (1.4.3 and 1.4.11)."""


@pytest.fixture(scope="module")
def css(repository):
    folder = repository / "CovidSeverityLib" / "reporting" / "html" / "templates"
    return (folder / "report.css").read_text(encoding="utf-8")


def themes_of(css):
    """Variables of the light theme, of the dark one and of paper."""
    return [dict(re.findall(r"--(\w+): (#\w+);", body)) for body in re.findall(r":root \{(.*?)\}", css, re.DOTALL)]


def luminance(colour):
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_of_black_on_white_is_21():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", [0, 1, 2], ids=["light", "dark", "paper"])
def test_letters_and_graphics_stand_out(css, theme):
    colours = themes_of(css)[theme]
    for letters in ("ink", "muted", "link"):
        for ground in ("back", "card", "pale"):
            assert contrast(colours[letters], colours[ground]) >= LETTERS, (letters, ground)
    assert contrast(colours["ink"], colours["warning"]) >= LETTERS
    for line in ("area", "pointer"):
        assert contrast(colours[line], colours["card"]) >= GRAPHICS, line


def test_white_letters_stand_out_on_every_badge(css):
    badges = re.findall(r"^\.badge[^{]*\{.*background: (#\w+)", css, re.MULTILINE)
    assert len(badges) == 4
    assert [colour for colour in badges if contrast("#ffffff", colour) < LETTERS] == []


def test_letters_inside_bars_stand_out(css):
    inside = re.search(r"\.chart \.inside \{ fill: (#\w+)", css)[1]
    colours = [hexadecimal(colour) for colour in LOBE_COLOURS.values()]
    assert [colour for colour in colours if contrast(inside, colour) < LETTERS] == []
