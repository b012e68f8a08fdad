"""Numbers after corrections by hand, by the keys of ``report.json`` and the columns of ``slices.csv``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from CovidSeverityLib.features.rescoring import Rescored

from .score_fields import score_fields
from .tables import DIAGNOSIS_COLUMNS, Row, slice_row

CORRECTED_KEYS = ("ctss", "total_severity_score", "severity", "lungs", "infection", "well_aerated_percent")
"""Of ``report.json``: what corrections change."""

_RANGES = ("score_range", "involvement_range_percent", "near_edge", "confidence")
"""Of a lobe: how sure the automatic outline is. No number of corrected masks."""


def corrected_fields(rescored: Rescored) -> dict[str, Any]:
    """Scores, severity, volumes and shares by the keys and with the rounding of ``report.json``.

    The score has no range; ``well_aerated_percent`` is None where the CT was not at hand.
    """
    return score_fields(rescored)


def corrected_rows(rescored: Rescored, automatic: Iterable[Mapping[str, Any]]) -> tuple[Row, ...]:
    """Rows by column of ``slices.csv``.

    Parameters
    ----------
    rescored : corrected masks.
    automatic : rows of the analysis: what its classifier said of a slice is told again.
    """
    votes = {int(row["index"]): {c: row[c] for c in DIAGNOSIS_COLUMNS if c in row} for row in automatic}
    return tuple(slice_row(row) | votes.get(row.index, {}) for row in rescored.slices)


def same_numbers(fields: Mapping[str, Any], report: Mapping[str, Any]) -> bool:
    """Whether ``fields`` of :func:`corrected_fields` tell what ``report`` tells, ranges aside.

    What ``fields`` do not know of the aeration is not compared.
    """
    compared = [key for key in CORRECTED_KEYS if fields[key] is not None]
    return all(_without_ranges(fields[key]) == _without_ranges(report[key]) for key in compared)


def _without_ranges(value: Any) -> Any:  # noqa: ANN401 (any value of a report)
    if not isinstance(value, Mapping) or "lobes" not in value or "range" not in value:
        return value
    lobes = {
        name: {field: number for field, number in lobe.items() if field not in _RANGES}
        for name, lobe in value["lobes"].items()
    }
    return {**value, "lobes": lobes, "range": None}
