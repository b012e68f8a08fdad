"""Results in notebooks: a card with the numbers above the picture, as HTML without scripts.

The colours are those of the notebook's theme, light or dark; the picture has a white background. Like the files of a
result, the card has the name of the input without its folders, and no patient.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from html import escape
from typing import BinaryIO

from CovidSeverityLib.findings import ClassifiedFindings, Findings

from .classification_page import write_classification_page
from .overview import write_overview
from .page import NOTEBOOK_DPI
from .report_parts import RESEARCH_USE
from .summary import classification_text, summary_text

STYLE = "border:1px solid currentColor;border-radius:4px;padding:0.6em;max-width:75em"
TEXT_STYLE = "white-space:pre-wrap;margin:0.6em 0"


def analysis_html(analysis: Findings) -> str:
    """Score, lobes, volumes and notes above the overview."""
    text = summary_text(analysis)
    return _card(analysis.volume.name, text, "Overview", lambda file: write_overview(analysis, file, NOTEBOOK_DPI))


def classified_html(found: ClassifiedFindings) -> str:
    """The diagnosis and its notes above the page of the slices that decided."""
    text, title = classification_text(found), "Slices that decided"
    return _card(found.volume.name, text, title, lambda file: write_classification_page(found, file, NOTEBOOK_DPI))


def _card(name: str, text: str, picture: str, write: Callable[[BinaryIO], None]) -> str:
    png = io.BytesIO()
    write(png)
    data = base64.b64encode(png.getvalue()).decode("ascii")
    return (
        f'<div style="{STYLE}"><strong>{escape(name or "unnamed CT")}</strong>'
        f'<pre style="{TEXT_STYLE}">{escape(text)}</pre>'
        f'<img alt="{escape(picture)}" style="max-width:100%" src="data:image/png;base64,{data}">'
        f"<p><small>{escape(RESEARCH_USE)}</small></p></div>"
    )
