"""Text for the overview page: limited in length, with only the characters of its font."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Iterable

from CovidSeverityLib.types import NoteSeverity, QualityNote

MISSING = "?"


def clean(text: str) -> str:
    """``text`` on one line; characters that the page's font lacks are replaced."""
    drawable = _drawable()
    return "".join(letter if ord(letter) in drawable else MISSING for letter in " ".join(text.split()))


@functools.cache
def _drawable() -> frozenset[int]:
    """Code points of DejaVu Sans, the font that matplotlib contains."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties(family="DejaVu Sans")))
    return frozenset(font.get_charmap())


def elided(text: str, length: int) -> str:
    """``text``, shortened in the middle if it is longer than ``length`` (both ends of a name distinguish cases)."""
    if len(text) <= length:
        return text
    head = (length - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def signed(value: float, decimals: int = 1) -> str:
    """``value`` with a typographic minus, never minus zero."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "−")


def note_lines(
    notes: Iterable[QualityNote], columns: int, most: int, where: str = "report.json"
) -> list[tuple[str, bool]]:
    """At most ``most`` lines of notes, warnings first, each with a flag for warnings.

    The last line gives the number of notes that do not fit, and the file that contains them.
    """
    ordered = sorted(notes, key=lambda note: note.severity is not NoteSeverity.WARNING)
    lines: list[tuple[str, bool]] = []
    for n, note in enumerate(ordered):
        warning = note.severity is NoteSeverity.WARNING
        prefix = "Warning: " if warning else "Note: "
        wrapped = textwrap.wrap(prefix + clean(note.message), columns, subsequent_indent="    ", max_lines=2) or [
            prefix
        ]
        more_follow = n < len(ordered) - 1
        if len(lines) + len(wrapped) + more_follow > most:
            return [*lines, (f"+{len(ordered) - n} more, see {where}", False)]
        lines += [(line, warning) for line in wrapped]
    return lines
