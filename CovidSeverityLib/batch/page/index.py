"""``index.html``: all cases of a batch as a table to sort and filter, that needs neither network nor server."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from CovidSeverityLib.batch.values import CaseFailure
from CovidSeverityLib.checked import known
from CovidSeverityLib.ctss import CTSS_MAX, severity_for
from CovidSeverityLib.reporting import html as report_page
from CovidSeverityLib.reporting.files import THUMBNAIL_NAME
from CovidSeverityLib.reporting.html import charts
from CovidSeverityLib.reporting.report_parts import RESEARCH_USE

from .columns import (
    CASE_REM,
    NARROW_WIDTHS,
    NUMBER_REM,
    SEVERITY_ORDER,
    Cell,
    ColumnKind,
    IndexColumn,
    cell,
    index_columns,
    widths,
)
from .row_values import Row, number, printable, text, warning_codes, whole
from .score_chart import score_chart
from .thumbnail import THUMBNAIL_SIZE

FAILURE_KINDS = {
    "input": "the CT or a mask cannot be used",
    "limit": "too long, or too much memory",
    "worker": "the process that analysed it died",
    "output": "the results cannot be written",
}


@dataclass(frozen=True)
class IndexRow:
    """One case of the table; paths are relative and percent-encoded."""

    number: int
    case: str
    report: str
    thumbnail: str
    ctss: str
    cells: tuple[Cell, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of its warnings."""
        return self.cells[-1].codes


def write_index(
    rows: Sequence[Row],
    failures: Sequence[CaseFailure],
    path: Path,
    *,
    name: str,
    version: str,
    profile: str,
    report_name: str = "report.html",
    thumbnails: bool = True,
    files: Sequence[str] = ("cases.csv", "failures.csv"),
    contact_sheets: Sequence[str] = (),
) -> None:
    """Write the page of a batch: counts, a histogram, and a table with a link to each report.

    Without scripts the whole table is there; with them it sorts by any column and filters.

    Parameters
    ----------
    rows : sequence of mapping of str to object
        The cases that were analysed, by column of ``cases.csv``, in the order of the table. ``folder`` is relative to
        the page.
    failures : sequence of CaseFailure
        The cases that were not.
    path : Path
        The file, which is replaced. The same arguments give the same bytes.
    name : str
        What the page calls the batch.
    version, profile : str
        Of the program, and of the analysis.
    report_name : str
        The file in the folder of a case that a row links to.
    thumbnails : bool
        Whether the folder of a case holds ``thumbnail.jpg``.
    files, contact_sheets : sequence of str
        Paths of more files to link to, relative to the page.

    Raises
    ------
    OSError
        The page cannot be written.
    ValueError
        A value of a row is no number where a number belongs.

    Examples
    --------
    >>> from pathlib import Path
    >>> from CovidSeverityLib.batch.page.index import write_index
    >>> row = {"case": "P001", "folder": "cases/P001", "ctss": 4, "severity": "mild", "warnings": 0}
    >>> write_index([row], [], Path("index.html"), name="March", version="0.1.0", profile="default")
    """
    jinja = _environment()
    columns = index_columns(rows)
    script, style = Markup(jinja.get_template("index.js").render()), _style(jinja, columns)
    content = {
        "name": printable(name),
        "version": version,
        "profile": profile,
        "counts": _counts(rows, failures),
        "choices": _choices(rows),
        "chart": score_chart(rows),
        "columns": columns,
        "rows": _rows(rows, columns, report_name, thumbnails),
        "failures": [(printable(f.case), f.kind, printable(f.reason)) for f in failures],
        "files": [(file, _address(file)) for file in files],
        "contact_sheets": [_address(sheet) for sheet in contact_sheets],
        "script": script,
        "style": style,
        "script_hash": _hash(script),
        "style_hash": _hash(style),
    }
    page = jinja.get_template("index.html").render(content)
    path.write_text(page, encoding="utf-8", newline="\n")


def _environment() -> Environment:
    """The templates, beside them those of ``report.html``, whose style sheet the page shares."""
    jinja = Environment(
        loader=ChoiceLoader([PackageLoader(known(__package__)), PackageLoader(report_page.__name__)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters["grouped"] = "{:,}".format
    jinja.globals |= {
        "charts": charts,
        "ColumnKind": ColumnKind,
        "thumbnail_size": THUMBNAIL_SIZE,
        "research_use": RESEARCH_USE,
        "ctss_max": CTSS_MAX,
        "severities": tuple(SEVERITY_ORDER),
        "cutoffs": severity_for(0).cutoffs,
        "failure_kinds": FAILURE_KINDS,
    }
    return jinja


def _style(jinja: Environment, columns: Sequence[IndexColumn]) -> Markup:
    return Markup(
        jinja.get_template("index.css").render(
            columns=columns,
            case_rem=NUMBER_REM + CASE_REM,
            widths=widths(columns),
            narrow_widths=NARROW_WIDTHS,
        )
    )


def _counts(rows: Sequence[Row], failures: Sequence[CaseFailure]) -> dict[str, int]:
    return {
        "cases": len(rows) + len(failures),
        "analysed": len(rows),
        "failed": len(failures),
        "warned": sum((number(row, "warnings") or 0) > 0 for row in rows),
    }


def _choices(rows: Sequence[Row]) -> dict[str, list[tuple[str, int]]]:
    """What the filters offer, with the number of cases."""
    severities = Counter(text(row, "severity") for row in rows)
    diagnoses = Counter(text(row, "diagnosis") for row in rows)
    codes = Counter(code for row in rows for code in warning_codes(row))
    in_order = sorted(severities, key=lambda word: (SEVERITY_ORDER.get(word, len(SEVERITY_ORDER)), word))
    return {
        "severity": [(word, severities[word]) for word in in_order if word],
        "diagnosis": [(label, diagnoses[label]) for label in sorted(diagnoses) if label],
        "code": sorted(codes.items()),
    }


def _rows(
    rows: Sequence[Row], columns: Sequence[IndexColumn], report_name: str, thumbnails: bool
) -> Iterator[IndexRow]:
    for n, row in enumerate(rows, start=1):
        folder, score = str(row["folder"]), whole(row, "ctss")
        yield IndexRow(
            n,
            text(row, "case"),
            _address(f"{folder}/{report_name}"),
            _address(f"{folder}/{THUMBNAIL_NAME}") if thumbnails else "",
            "" if score is None else str(score),
            tuple(cell(row, column) for column in columns),
        )


def _address(path: str) -> str:
    """A relative path as an address: every character that means something in one is percent-encoded."""
    return quote(path, safe="/", errors="surrogateescape")


def _hash(content: str) -> str:
    """What a Content Security Policy calls a script or a style that may be used."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
