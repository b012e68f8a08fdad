"""Values of a row of ``cases.csv``, whether they come from the analysis or from the file."""

from __future__ import annotations

import math
import unicodedata

from CovidSeverityLib.batch.values import Row
from CovidSeverityLib.reporting.tables import with_range

CODE_SEPARATOR = ";"
UNDRAWABLE = "\N{REPLACEMENT CHARACTER}"
INVISIBLE = ("Cc", "Cs")
"""Unicode categories that no file can show: controls, and halves of surrogates from names that are no UTF-8."""


def text(row: Row, column: str) -> str:
    """A value as text on one line, without control characters; empty where it is not known."""
    value = row.get(column)
    return "" if value is None else printable(str(value))


def number(row: Row, column: str) -> float | None:
    """A value as a number; None where it is not known.

    Raises
    ------
    ValueError
        It is no number.
    """
    value = row.get(column)
    if value is None or value == "":
        return None
    try:
        found = float(str(value))
    except ValueError:
        raise ValueError(f"{column} of case {text(row, 'case')!r} is {value!r}; expected a number") from None
    return found if math.isfinite(found) else None


def whole(row: Row, column: str) -> int | None:
    """A value as a whole number, as :func:`number`."""
    found = number(row, column)
    return None if found is None else round(found)


def ctss_text(row: Row, dash: str = "-", unknown: str = "-") -> str:
    """CTSS with its range, as in ``9 (8-11)``."""
    score, low, high = (whole(row, name) for name in ("ctss", "ctss_low", "ctss_high"))
    if score is None:
        return unknown
    return with_range(score, None if low is None or high is None else (low, high), dash)


def warning_codes(row: Row) -> tuple[str, ...]:
    """Codes of the warnings, each once, in their order."""
    codes = (code.strip() for code in text(row, "warning_codes").split(CODE_SEPARATOR))
    return tuple(dict.fromkeys(filter(None, codes)))


def printable(value: str) -> str:
    """``value`` on one line; controls and halves of surrogates are replaced."""
    line = " ".join(value.split())
    return "".join(UNDRAWABLE if unicodedata.category(letter) in INVISIBLE else letter for letter in line)
