"""The columns of the table in ``index.html``, and their cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from CovidSeverityLib.ctss import CTSS_MAX, SEVERITY_CUTOFFS, TSS_MAX
from CovidSeverityLib.types import LOBE_NAMES, Lobe

from .row_values import Row, ctss_text, number, text, warning_codes, whole

UNKNOWN = "–"
SEVERITY_ORDER = {word: n for n, (_, word) in enumerate(SEVERITY_CUTOFFS)}


class ColumnKind(str, Enum):
    """How a column is shown and sorted."""

    NUMBER = "number"
    TEXT = "text"
    SEVERITY = "severity"
    WARNINGS = "warnings"


@dataclass(frozen=True)
class IndexColumn:
    """A column of the table.

    Parameters
    ----------
    name : str
        Of the column of ``cases.csv``.
    heading : str
        Its short title.
    meaning : str
        What it is, with its unit; empty where the heading says it.
    kind : ColumnKind
        How it is shown and sorted.
    decimals : int
        Of numbers.
    wide : bool
        Whether a phone leaves it out.
    """

    name: str
    heading: str
    meaning: str = ""
    kind: ColumnKind = ColumnKind.NUMBER
    decimals: int = 0
    wide: bool = True

    @property
    def numeric(self) -> bool:
        """Whether its cells begin with a number."""
        return self.kind in (ColumnKind.NUMBER, ColumnKind.WARNINGS)


@dataclass(frozen=True)
class Cell:
    """What a cell shows; ``key`` orders the rows where the text does not."""

    column: IndexColumn
    text: str
    key: str | None = None
    codes: tuple[str, ...] = ()


CTSS_COLUMN = IndexColumn("ctss", "CTSS", f"CT severity score, 0-{CTSS_MAX}, with its range", wide=False)

COLUMNS = (
    CTSS_COLUMN,
    IndexColumn("severity", "Severity", "", ColumnKind.SEVERITY),
    IndexColumn("total_severity_score", "TSS", f"total severity score (Chung), 0-{TSS_MAX}"),
    IndexColumn("opacity_percent", "Opacity, %", "share of the lungs with opacity", decimals=1, wide=False),
    IndexColumn("ground_glass_ml", "GGO, ml", "ground-glass opacity", decimals=1),
    IndexColumn("consolidation_ml", "Cons., ml", "consolidation", decimals=1),
    IndexColumn("lung_ml", "Lungs, ml", "volume of both lungs"),
    IndexColumn("well_aerated_percent", "Aerated, %", "well-aerated part of the lungs", decimals=1),
    IndexColumn("low_attenuation_percent", "Low att., %", "low attenuation (emphysema index)", decimals=1),
    *(IndexColumn(f"{lobe.name.lower()}_score", lobe.name, f"score of the {LOBE_NAMES[lobe]}, 0-5") for lobe in Lobe),
)
WARNINGS_COLUMN = IndexColumn("warnings", "Warnings", "", ColumnKind.WARNINGS, wide=False)

DIAGNOSIS_COLUMNS = (
    IndexColumn("diagnosis", "Network", "what the network calls the CT", ColumnKind.TEXT),
    IndexColumn("covid_probability", "COVID-19", "mean probability of COVID-19 by the network", decimals=2),
)
"""Shown where a case has a diagnosis."""


def index_columns(rows: Sequence[Row]) -> tuple[IndexColumn, ...]:
    """The columns of the table of these cases, without the case itself."""
    diagnosed = any(text(row, "diagnosis") for row in rows)
    return (*COLUMNS, *(DIAGNOSIS_COLUMNS if diagnosed else ()), WARNINGS_COLUMN)


def cell(row: Row, column: IndexColumn) -> Cell:
    """One cell.

    Raises
    ------
    ValueError
        A value is no number where a number belongs.
    """
    if column == CTSS_COLUMN:
        return Cell(column, ctss_text(row, UNKNOWN, UNKNOWN))
    if column.kind is ColumnKind.SEVERITY:
        word = text(row, column.name)
        return Cell(column, word, str(SEVERITY_ORDER.get(word, "")))
    if column.kind is ColumnKind.WARNINGS:
        return Cell(column, str(whole(row, column.name) or 0), codes=warning_codes(row))
    if column.kind is ColumnKind.TEXT:
        return Cell(column, text(row, column.name) or UNKNOWN, "" if not text(row, column.name) else None)
    value = number(row, column.name)
    return Cell(column, UNKNOWN if value is None else f"{value:.{column.decimals}f}")
