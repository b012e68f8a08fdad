"""Numbers after manual corrections, by the keys of ``report.json`` and the columns of ``slices.csv``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from CovidSeverityLib.correction.rescoring import Rescored
from CovidSeverityLib.types import Lobe

from .score_fields import score_fields
from .tables import DIAGNOSIS_COLUMNS, Row, slice_row

CORRECTED_KEYS = ("ctss", "total_severity_score", "severity", "lungs", "infection", "well_aerated_percent")
"""Keys of ``report.json`` that corrections change."""

_UNCERTAINTIES = ("range", "score_range", "involvement_range_percent", "near_edge", "confidence")
"""Keys for the uncertainty of the automatic outlines, which corrected masks do not have."""


def corrected_fields(rescored: Rescored) -> dict[str, Any]:
    """Scores, severity, volumes and shares by the keys and with the rounding of ``report.json``.

    The score has no range. ``well_aerated_percent`` is None if the CT was not available.
    """
    return score_fields(rescored)


def corrected_rows(rescored: Rescored, automatic: Iterable[Mapping[str, Any]]) -> tuple[Row, ...]:
    """Rows by column of ``slices.csv``.

    Parameters
    ----------
    rescored : Rescored
        Corrected masks.
    automatic : iterable of mapping of str to any
        Rows of the analysis, whose columns of the classifier are kept.
    """
    votes = {int(row["index"]): {c: row[c] for c in DIAGNOSIS_COLUMNS if c in row} for row in automatic}
    return tuple(slice_row(row) | votes.get(row.index, {}) for row in rescored.slices)


def corrected_low_attenuation(
    report: Mapping[str, Any], changed: Collection[Lobe], lungs_changed: bool
) -> dict[str, Any] | None:
    """The low attenuation that remains valid after corrections: it depends on lungs and lobes, not on opacities.

    Parameters
    ----------
    report : Mapping
        Content of ``report.json``.
    changed : collection of Lobe
        Collection of Lobe Lobes that were corrected; their low attenuation is unknown.
    lungs_changed : bool
        Whether the lungs were corrected; the low attenuation of all parts is then unknown.

    Returns
    -------
    dict or None
        By the keys of ``low_attenuation``; None if nothing is known.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis
    >>> from CovidSeverityLib.reporting import build_report
    >>> low = corrected_low_attenuation(build_report(Analysis.load("results")), {Lobe.RML}, False)
    >>> [name for name, part in low["lobes"].items() if part is None]
    ['RML']
    """
    automatic = report.get("low_attenuation")
    if automatic is None or lungs_changed:
        return None
    lobes = {name: None if Lobe[name] in changed else part for name, part in automatic["lobes"].items()}
    return {**automatic, "lobes": lobes}


def same_numbers(fields: Mapping[str, Any], report: Mapping[str, Any]) -> bool:
    """Whether ``fields`` of :func:`corrected_fields` have the same numbers as ``report``, apart from ranges.

    Unknown numbers of the aeration are not compared. Texts are not compared either, because another version may define
    a score in other words.
    """
    compared = [key for key in CORRECTED_KEYS if fields[key] is not None]
    return all(_numbers(fields[key]) == _numbers(report[key]) for key in compared)


def _numbers(value: Any) -> Any:  # noqa: ANN401 (any value of a report)
    """``value`` without texts, ranges and unknown values."""
    if not isinstance(value, Mapping):
        return value
    numbers = {name: _numbers(part) for name, part in value.items() if name not in _UNCERTAINTIES}
    return {name: part for name, part in numbers.items() if part is not None and not isinstance(part, str)}
