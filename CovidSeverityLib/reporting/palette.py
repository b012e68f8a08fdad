"""The colours of the segments, the same in Slicer and on the overview page.

Lobes and opacities use Okabe and Ito's palette, which is distinct for every common kind of colour blindness
(https://jfly.uni-koeln.de/color/). Slicer's own lobe colours are equal for both sides and similar for all lobes, so
only the lungs have Slicer's colour.
"""

from __future__ import annotations

from CovidSeverityLib.types import Diagnosis, Lobe, Opacity

Rgb = tuple[float, float, float]


def _rgb(hexadecimal: str) -> Rgb:
    red, green, blue = (int(hexadecimal[n : n + 2], 16) / 255.0 for n in (1, 3, 5))
    return round(red, 6), round(green, 6), round(blue, 6)


LUNG_COLOUR = _rgb("#C5A591")
"""Slicer's colour of a lung (its General Anatomy list: 197, 165, 145)."""

LOBE_COLOURS: dict[Lobe, Rgb] = {
    Lobe.RUL: _rgb("#56B4E9"),
    Lobe.RML: _rgb("#CC79A7"),
    Lobe.RLL: _rgb("#009E73"),
    Lobe.LUL: _rgb("#8C9EFF"),
    Lobe.LLL: _rgb("#7BD3A8"),
}
"""Upper lobes are blue, lower lobes green, the middle lobe purple; the left lung is lighter than the right one."""

OPACITY_COLOURS: dict[Opacity, Rgb] = {
    Opacity.GROUND_GLASS: _rgb("#F0E442"),
    Opacity.CONSOLIDATION: _rgb("#FF5A1F"),
}
"""Yellow and vermilion have the strongest contrast to a grey lung."""

DIAGNOSIS_COLOURS: dict[Diagnosis, str] = {
    Diagnosis.NORMAL: "#5B6875",
    Diagnosis.CAP: "#0072B2",
    Diagnosis.COVID19: "#B3261E",
}
"""Grey, blue and red, dark enough for white letters."""

ATTENTION_COLOURS = "plasma"
"""matplotlib's name of a perceptually uniform scale without grey, which is distinct from the CT."""
