"""One row per lobe and one per slice: every table and file takes its numbers from here."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from typing import TextIO

from CovidSeverityLib.results import Analysis, LobeScore, SliceRow
from CovidSeverityLib.types import LOBE_NAMES, Lobe

PERCENT_DECIMALS = 3
ML_DECIMALS = 2
MM_DECIMALS = 3
CONFIDENCE_DECIMALS = 2

LOBE_COLUMNS = (
    "lobe",
    "name",
    "score",
    "score_low",
    "score_high",
    "total_severity_score",
    "involvement_percent",
    "volume_ml",
    "infection_ml",
    "confidence",
)
SLICE_COLUMNS = (
    "index",
    "z_mm",
    "lung_ml",
    "infection_percent",
    *(f"infection_percent_{lobe.name}" for lobe in Lobe),
)

Row = dict[str, int | float | str | None]


def rounded(value: float, decimals: int) -> float:
    """``value`` to ``decimals`` places; never minus zero."""
    return round(float(value), decimals) + 0.0


def with_range(value: int, ends: tuple[int, int] | None, dash: str = "-") -> str:
    """``6 (5-8)``; the value alone where no other is within its uncertainty, or where that is not known."""
    return f"{value} ({ends[0]}{dash}{ends[1]})" if ends is not None and ends[0] < ends[1] else str(value)


def lobe_row(score: LobeScore) -> Row:
    """What was found in one lobe, by column of ``lobes.csv``."""
    low, high = score.score_range or (None, None)
    return {
        "lobe": score.lobe.name,
        "name": LOBE_NAMES[score.lobe],
        "score": score.score,
        "score_low": low,
        "score_high": high,
        "total_severity_score": score.total_severity_score,
        "involvement_percent": rounded(score.involvement_percent, PERCENT_DECIMALS),
        "volume_ml": rounded(score.volume_ml, ML_DECIMALS),
        "infection_ml": rounded(score.infection_ml, ML_DECIMALS),
        "confidence": None if score.confidence is None else rounded(score.confidence, CONFIDENCE_DECIMALS),
    }


def slice_row(row: SliceRow) -> Row:
    """What was found in one axial slice, by column of ``slices.csv``."""
    values: Row = {
        "index": row.index,
        "z_mm": rounded(row.z_mm, MM_DECIMALS),
        "lung_ml": rounded(row.lung_ml, ML_DECIMALS),
        "infection_percent": rounded(row.infection_percent, PERCENT_DECIMALS),
    }
    percents = {lobe: row.lobe_infection_percent(lobe) for lobe in Lobe}
    return values | {f"infection_percent_{lobe.name}": rounded(p, PERCENT_DECIMALS) for lobe, p in percents.items()}


def write_lobes(analysis: Analysis, file: TextIO) -> None:
    """Write ``lobes.csv``: a row per lobe."""
    _write_csv(file, LOBE_COLUMNS, map(lobe_row, analysis.lobe_scores))


def write_slices(analysis: Analysis, file: TextIO) -> None:
    """Write ``slices.csv``: a row per acquired axial slice, inferior to superior (interpolated slices are left out)."""
    acquired = analysis.volume.acquired
    rows = sorted((row for row in analysis.slices if acquired[row.index]), key=lambda row: row.index)
    _write_csv(file, SLICE_COLUMNS, map(slice_row, rows))


def _write_csv(file: TextIO, columns: Iterable[str], rows: Iterable[Row]) -> None:
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_fixed_decimals(row) for row in rows)


def _fixed_decimals(row: Mapping[str, int | float | str | None]) -> dict[str, str]:
    def text(column: str, value: int | float | str | None) -> str:
        if not isinstance(value, float):
            return "" if value is None else str(value)
        places = {"ml": ML_DECIMALS, "mm": MM_DECIMALS, "confidence": CONFIDENCE_DECIMALS}.get(
            column.rsplit("_", 1)[-1], PERCENT_DECIMALS
        )
        return f"{value:.{places}f}"

    return {column: text(column, value) for column, value in row.items()}
