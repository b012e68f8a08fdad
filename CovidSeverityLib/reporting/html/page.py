"""``report.html``: what is on the page, and the templates that lay it out."""

from __future__ import annotations

import gettext
import json
import platform
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from typing import Any, TextIO

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from CovidSeverityLib.checked import known
from CovidSeverityLib.classification.description import CLASS_NAMES
from CovidSeverityLib.classification.diagnosis import PatientDiagnosis
from CovidSeverityLib.ctss import CTSS_MAX, SEVERITY_CUTOFFS, TSS_MAX
from CovidSeverityLib.findings import Findings
from CovidSeverityLib.reporting.citation import REFERENCES, Reference, software_citation
from CovidSeverityLib.reporting.corrected_findings import CorrectedFindings
from CovidSeverityLib.reporting.overview_text import signed
from CovidSeverityLib.reporting.overview_views import (
    axial_indices,
    axial_view,
    coronal_index,
    coronal_view,
    lung_box,
    most_infected_index,
)
from CovidSeverityLib.reporting.palette import LOBE_COLOURS, LUNG_COLOUR, OPACITY_COLOURS
from CovidSeverityLib.reporting.report_parts import RESEARCH_USE
from CovidSeverityLib.reporting.tables import with_range
from CovidSeverityLib.types import (
    DIAGNOSIS_NAMES,
    LOBE_NAMES,
    OPACITY_NAMES,
    Box,
    Diagnosis,
    Lobe,
    NoteSeverity,
    Opacity,
    Side,
)

from . import charts
from .pictures import hexadecimal, picture, slice_stack
from .texts import translations

KEY_SLICES = 6
"""So many axial slices stand on the page itself: on paper and where scripts do not run."""

PACKAGES = ("numpy", "scipy", "scikit-image", "SimpleITK")
"""Whose versions the methods paragraph names: numbers can depend on them."""

FROM_FILE = "file "
"""Begins the source of a mask that was read from a file."""

NAMELESS_NOTES = {
    "files_left_out": "Files were left out, for their headers cannot be read. If they are slices of this CT, its ends "
    "may be missing. report.json names the files.",
    "other_files_left_out": "Files were left out, for they cannot be read, but of other images than the CT. "
    "report.json names them.",
}
"""Instead of notes that name files, by their code."""


def write_html(
    analysis: Findings,
    file: TextIO,
    *,
    title: str = "",
    language: str | None = None,
) -> None:
    """Write the page to an open text file; see :func:`html_text`."""
    file.write(html_text(analysis, title=title, language=language))


def html_text(
    analysis: Findings,
    *,
    title: str = "",
    language: str | None = None,
    texts: gettext.NullTranslations | None = None,
    viewer: bool = True,
) -> str:
    """The page as one text, with its pictures, styles and scripts.

    Parameters
    ----------
    analysis : Findings
        The result.
    title : str
        What the page calls the CT. By default nothing tells whose CT it is: neither the name of the input nor the
        names of files with masks are on the page.
    language : str or None
        Code of the language of the page's texts, as in ``"de"``; English where there is no translation.
    texts : gettext.NullTranslations or None
        The texts themselves; None takes those of ``language`` that come with the program.
    viewer : bool
        Whether the page has the viewer of all slices, and scripts; paper has neither.

    Returns
    -------
    str
        The same for the same arguments and the same versions of Python and its packages.
    """
    texts = translations(language) if texts is None else texts
    language = language if language and "language" in texts.info() else "en"
    return environment(texts).get_template("report.html").render(_content(analysis, title, viewer), language=language)


def environment(texts: gettext.NullTranslations) -> Environment:
    """The templates with their filters, in the language of ``texts``."""
    jinja = Environment(
        loader=PackageLoader(known(__package__)),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.policies["ext.i18n.trimmed"] = True
    jinja.install_gettext_translations(texts, newstyle=True)  # type: ignore[attr-defined]
    jinja.filters["text"] = texts.gettext  # for texts of the library, which may hold a percent sign
    jinja.filters |= {"signed": signed, "fixed": _fixed, "with_range": with_range, "script_json": _script_json}
    jinja.globals |= {
        "Lobe": Lobe,
        "Opacity": Opacity,
        "Side": Side,
        "LOBE_NAMES": LOBE_NAMES,
        "OPACITY_NAMES": OPACITY_NAMES,
        "colours": _colours(),
        "charts": charts,
    }
    return jinja


def _content(analysis: Findings, title: str, viewer: bool) -> dict[str, Any]:
    box = lung_box(analysis)
    return {
        "analysis": analysis,
        "title": title,
        "research_use": RESEARCH_USE,
        "ctss_max": CTSS_MAX,
        "tss_max": TSS_MAX,
        "severity_ends": SEVERITY_CUTOFFS,
        "warnings": _notes(analysis, NoteSeverity.WARNING, title),
        "notes": _notes(analysis, NoteSeverity.INFO, title),
        "lobes_chart": charts.lobes_chart(analysis.lobe_scores),
        "profile": charts.profile_chart(analysis.slices),
        "histogram": charts.histogram_chart(analysis.densitometry),
        "diagnosis": None if analysis.classification is None else _diagnosis(analysis.classification),
        "lungs_from": _source(analysis.provenance.lungs_from, title),
        "lobes_from": _source(analysis.provenance.lobes_from, title),
        "automatic": analysis.automatic if isinstance(analysis, CorrectedFindings) else None,
        "published": analysis.provenance.configuration.get("infection") is not None,
        "packages": _packages(),
        "references": REFERENCES,
        "cited": _cited(),
        "citation": software_citation(analysis.provenance.version),
        **_slices(analysis, box, viewer),
    }


def _slices(analysis: Findings, box: Box, viewer: bool) -> dict[str, Any]:
    """The pictures of the page, and the content of the viewer."""
    rows = {row.index: row for row in analysis.slices}
    worst = most_infected_index(analysis)
    keys = [(rows[k], picture(axial_view(analysis, k, box))) for k in axial_indices(analysis, KEY_SLICES)]
    coronal = None
    if analysis.ctss is not None:  # independent slices have no coronal view
        coronal = picture(coronal_view(analysis, coronal_index(analysis, box), box))
    start = worst if worst is not None else keys[len(keys) // 2][0].index if keys else len(analysis.volume.hu) // 2
    return {
        "key_slices": keys,
        "worst": worst,
        "coronal": coronal,
        "shown_lobes": [score.lobe for score in analysis.lobe_scores if score.voxels],
        "viewer": _viewer(analysis, box, start) if viewer else None,
    }


def _viewer(analysis: Findings, box: Box, start: int) -> dict[str, Any]:
    """What the script of the viewer reads: every slice, superior first."""
    jpegs, labels, (rows, columns) = slice_stack(analysis, box)
    _, dj, di = analysis.volume.geometry.spacing_kji
    height, width = (part.stop - part.start for part in box[1:])
    percent = {row.index: row.infection_percent for row in analysis.slices if row.lung_voxels}
    z_mm = analysis.volume.geometry.slice_z_mm()
    lung_z = [row.z_mm for row in analysis.slices if row.lung_voxels]
    ends = (min(lung_z), max(lung_z)) if len(lung_z) > 1 else None
    order = range(len(jpegs) - 1, -1, -1)
    return {
        "size": [columns, rows],
        "mm": [round(width * di, 3), round(height * dj, 3)],
        "start": len(jpegs) - 1 - start,
        "slices": [
            {
                "z": signed(float(z_mm[k])),
                "percent": f"{percent[k]:.1f}" if k in percent else None,
                "acquired": analysis.volume.acquired[k],
                "x": None if ends is None else charts.profile_x(min(max(float(z_mm[k]), ends[0]), ends[1]), *ends),
                "jpeg": jpegs[k],
                "runs": labels[k],
            }
            for k in order
        ],
    }


def _diagnosis(diagnosis: PatientDiagnosis) -> dict[str, Any]:
    vote, by = diagnosis.vote, diagnosis.classifier
    return {
        "label": DIAGNOSIS_NAMES[diagnosis.label],
        "slices": len(diagnosis.slices),
        "classifier": None if by is None else by.name,
        "sha256": "" if by is None else by.sha256,
        "rows": [(CLASS_NAMES[d], vote.weights[d], float(diagnosis.mean_probabilities[d])) for d in Diagnosis],
    }


def _notes(analysis: Findings, severity: NoteSeverity, title: str) -> list[str]:
    """Messages; names of files can tell whose CT it is, and are left out without a title."""
    notes = [note for note in analysis.quality if note.severity is severity]
    if title:
        return [note.message for note in notes]
    return [NAMELESS_NOTES.get(note.code, note.message) for note in notes]


def _source(text: str, title: str) -> str:
    """How masks were made, as :func:`_notes` without the name of a file."""
    return "masks from a file" if text.startswith(FROM_FILE) and not title else text


def _cited() -> Mapping[str, Reference]:
    return {reference.name.split()[0]: reference for reference in REFERENCES}


def _colours() -> dict[str, str]:
    by_name = {"lung": LUNG_COLOUR} | {lobe.name: colour for lobe, colour in LOBE_COLOURS.items()}
    by_name |= {kind.name: colour for kind, colour in OPACITY_COLOURS.items()}
    return {name: hexadecimal(colour) for name, colour in by_name.items()}


@cache
def _packages() -> tuple[tuple[str, str], ...]:
    """Names and versions of what the numbers can depend on."""
    return (("Python", platform.python_version()), *((name, metadata.version(name)) for name in PACKAGES))


def _fixed(value: float, decimals: int = 1) -> str:
    return f"{value:.{decimals}f}"


def _script_json(value: object) -> Markup:
    """JSON that cannot end the script element that holds it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))
