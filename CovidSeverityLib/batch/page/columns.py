"""The columns of the table in ``index.html``, and their cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain

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
    width_rem : float
        Its width on a screen, in the font size of the page.
    """

    name: str
    heading: str
    meaning: str = ""
    kind: ColumnKind = ColumnKind.NUMBER
    decimals: int = 0
    wide: bool = True
    width_rem: float = 2.2

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


CTSS_COLUMN = IndexColumn("ctss", "CTSS", f"CT severity score, 0-{CTSS_MAX}, with its range", wide=False, width_rem=5.3)

COLUMNS = (
    CTSS_COLUMN,
    IndexColumn("severity", "Severity", "", ColumnKind.SEVERITY, width_rem=5.3),
    IndexColumn("total_severity_score", "TSS", f"total severity score (Chung), 0-{TSS_MAX}", width_rem=2.3),
    IndexColumn(
        "opacity_percent", "Opacity, %", "part of the lungs with opacity", decimals=1, wide=False, width_rem=4.1
    ),
    IndexColumn("ground_glass_ml", "GGO, ml", "ground-glass opacity", decimals=1, width_rem=3.7),
    IndexColumn("consolidation_ml", "Cons., ml", "consolidation", decimals=1, width_rem=3.7),
    IndexColumn("lung_ml", "Lungs, ml", "volume of both lungs", width_rem=3.5),
    IndexColumn("well_aerated_percent", "Aerated, %", "well-aerated part of the lungs", decimals=1, width_rem=4.1),
    IndexColumn("low_attenuation_percent", "Low att., %", "lung of low attenuation", decimals=1, width_rem=3.2),
    *(IndexColumn(f"{lobe.name.lower()}_score", lobe.name, f"score of the {LOBE_NAMES[lobe]}, 0-5") for lobe in Lobe),
)
WARNINGS_COLUMN = IndexColumn("warnings", "Warnings", "", ColumnKind.WARNINGS, wide=False, width_rem=7.2)

NUMBER_REM, CASE_REM = 2.8, 9.6
"""Widths of the number and the name of a case; see :class:`IndexColumn`."""

NARROW_WIDTHS = ("minmax(7rem, 1fr)", "5rem", "3.5rem", "4.3rem")
"""Case, CTSS, opacity and warnings on a phone, as CSS writes it."""

DIAGNOSIS_COLUMNS = (
    IndexColumn("diagnosis", "Network", "what the network calls the CT", ColumnKind.TEXT, width_rem=6.5),
    IndexColumn("p_covid19", "COVID-19", "mean probability of COVID-19", decimals=2, width_rem=3.4),
)
"""Shown where a case has a diagnosis."""


COMPARED_COLUMNS = (
    IndexColumn("compared_ctss", "CTSS, 2nd", "CTSS with the second engine for the lobes", width_rem=3.2),
    IndexColumn(
        "compared_lowest_dice", "Dice", "agreement of both engines in the lobe with the least", decimals=2, width_rem=3
    ),
)
"""Shown where the lobes of a case were compared."""


def index_columns(rows: Sequence[Row]) -> tuple[IndexColumn, ...]:
    """The columns of the table of these cases, without the case itself."""
    groups = (("compared_ctss", COMPARED_COLUMNS), ("diagnosis", DIAGNOSIS_COLUMNS))
    more = (columns for name, columns in groups if any(text(row, name) for row in rows))
    return (*COLUMNS, *chain.from_iterable(more), WARNINGS_COLUMN)


def widths(columns: Sequence[IndexColumn]) -> tuple[str, ...]:
    """Widths of all columns on a screen, as CSS writes it: the case and the warnings share what is left."""
    given = (f"minmax({c.width_rem}rem, 3fr)" if c == WARNINGS_COLUMN else f"{c.width_rem}rem" for c in columns)
    return (f"{NUMBER_REM}rem", f"minmax({CASE_REM}rem, 2fr)", *given)


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
