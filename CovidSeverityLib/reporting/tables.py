"""Rows for lobes, slices and Hounsfield units: the numbers of every table and file.

:mod:`~CovidSeverityLib.formats.analysis_tables` says what each column is.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping
from typing import TextIO

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from CovidSeverityLib.classification.description import CLASS_NAMES
from CovidSeverityLib.classification.diagnosis import PatientDiagnosis
from CovidSeverityLib.features.low_attenuation import LowDensity
from CovidSeverityLib.features.quantification import Densitometry, LobeScore, SliceRow
from CovidSeverityLib.findings import ClassifiedFindings, Findings
from CovidSeverityLib.formats.analysis_tables import (
    CLASSIFIED_SLICES,
    HISTOGRAM,
    LOBES,
    SLICE_DIAGNOSIS,
    SLICE_OPACITIES,
    SLICE_PLACE,
    SLICES,
)
from CovidSeverityLib.segmentation.opacity.published.mixture import MixtureFit
from CovidSeverityLib.types import LOBE_NAMES, Diagnosis, Lobe

PERCENT_DECIMALS = 3
ML_DECIMALS = 2
MM_DECIMALS = 3
CONFIDENCE_DECIMALS = 2
DICE_DECIMALS = 4
EXPECTED_VOXELS_DECIMALS = 2
HU_DECIMALS = 1
PROBABILITY_DECIMALS = 6

LOW_ATTENUATION_COLUMNS = (
    "low_attenuation_percent",
    "low_attenuation_measured_percent",
    "low_attenuation_noise_percent",
    "density_percentile_hu",
)
"""Share without noise, measured share, share that noise alone adds; percentile of the density without noise."""

LOBE_COLUMNS = LOBES.header()
SLICE_COLUMNS = tuple(column.name for column in (*SLICE_PLACE, *SLICE_OPACITIES))
DIAGNOSIS_COLUMNS = tuple(column.name for column in SLICE_DIAGNOSIS)
"""Columns of ``slices.csv``; those of the diagnosis are empty if a slice was not classified."""

PROBABILITY_COLUMNS = {
    Diagnosis.NORMAL: "p_normal",
    Diagnosis.CAP: "p_cap",
    Diagnosis.COVID19: "p_covid19",
}

HISTOGRAM_COLUMNS = HISTOGRAM.header()
COMPONENT_COLUMNS = tuple(name for name in HISTOGRAM_COLUMNS if name.startswith("component_"))
"""Components by ascending mean, empty without a fitted mixture."""

DECIMALS = {
    "ml": ML_DECIMALS,
    "mm": MM_DECIMALS,
    "confidence": CONFIDENCE_DECIMALS,
    "dice": DICE_DECIMALS,
    "voxels": EXPECTED_VOXELS_DECIMALS,
    "weight": 1,
    "hu": HU_DECIMALS,
    **{column.rsplit("_", 1)[-1]: PROBABILITY_DECIMALS for column in PROBABILITY_COLUMNS.values()},
}
"""Decimals of a column with fractions, by the last part of its name; other columns have those of per cent."""

Row = dict[str, int | float | str | None]


def rounded(value: float, decimals: int) -> float:
    """``value`` with ``decimals`` decimals; never minus zero."""
    return round(float(value), decimals) + 0.0


def with_range(value: int | None, ends: tuple[int, int] | None, dash: str = "-") -> str:
    """``6 (5-8)``; only the value if its range has no other value or is unknown; ``-`` for an unknown value."""
    if value is None:
        return dash
    return f"{value} ({ends[0]}{dash}{ends[1]})" if ends is not None and ends[0] < ends[1] else str(value)


def lobe_row(score: LobeScore) -> Row:
    """The results for one lobe, by column of ``lobes.csv``."""
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


def low_attenuation_row(part: LowDensity) -> dict[str, float | None]:
    """Low attenuation of one part of the lungs, by :data:`LOW_ATTENUATION_COLUMNS`."""
    shares = (part.percent, part.measured_percent, part.noise_percent)
    percentile = None if part.percentile_hu is None else rounded(part.percentile_hu, HU_DECIMALS)
    values = (*(rounded(share, PERCENT_DECIMALS) for share in shares), percentile)
    return dict(zip(LOW_ATTENUATION_COLUMNS, values, strict=True))


def slice_row(row: SliceRow) -> Row:
    """The results for one axial slice, by column of ``slices.csv``."""
    values: Row = {
        "index": row.index,
        "z_mm": rounded(row.z_mm, MM_DECIMALS),
        "lung_ml": rounded(row.lung_ml, ML_DECIMALS),
        "infection_percent": rounded(row.infection_percent, PERCENT_DECIMALS),
    }
    percents = {lobe: row.lobe_infection_percent(lobe) for lobe in Lobe}
    return values | {f"infection_percent_{lobe.name}": rounded(p, PERCENT_DECIMALS) for lobe, p in percents.items()}


def diagnosis_rows(diagnosis: PatientDiagnosis | None) -> dict[int, Row]:
    """The answer of the classifier for every slice that voted, by its index and by column of ``slices.csv``."""
    if diagnosis is None:
        return {}
    votes = zip(diagnosis.slices, diagnosis.probabilities, diagnosis.slice_labels, diagnosis.slice_weights, strict=True)
    return {
        index: {
            **{column: rounded(row[d], PROBABILITY_DECIMALS) for d, column in PROBABILITY_COLUMNS.items()},
            "label": CLASS_NAMES[label],
            "vote_weight": rounded(weight, 1),
        }
        for index, row, label, weight in votes
    }


def histogram_rows(densitometry: Densitometry) -> list[Row]:
    """Lung voxels of every integer Hounsfield unit and the mixture's expectation, by column of ``histogram.csv``."""
    hu = densitometry.first_hu + np.arange(len(densitometry.histogram))
    counts = {"hu": hu.tolist(), "voxels": densitometry.histogram.tolist()}
    expected = dict.fromkeys(COMPONENT_COLUMNS, [None] * hu.size)
    if densitometry.mixture is not None:
        expected = _expected_voxels(hu, int(densitometry.histogram.sum()), densitometry.mixture)
    columns = counts | expected
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _expected_voxels(hu: NDArray[np.int64], total: int, mixture: MixtureFit) -> dict[str, list[float]]:
    """Voxels of each component, of ``total`` voxels, within half a unit of each value of ``hu``."""
    edges = np.append(hu - 0.5, hu[-1] + 0.5)
    fits = zip(COMPONENT_COLUMNS, mixture.means_hu, mixture.sds_hu, mixture.weights, strict=True)
    return {
        column: [rounded(n, EXPECTED_VOXELS_DECIMALS) for n in total * weight * np.diff(ndtr((edges - mean) / sd))]
        for column, mean, sd, weight in fits
    }


def write_lobes(analysis: Findings, file: TextIO) -> None:
    """Write ``lobes.csv``: a row per lobe."""
    low, compared = analysis.low_attenuation, analysis.lobe_agreement
    dice = {} if compared is None else compared.dice
    rows = (
        lobe_row(score) | {"compared_dice": dice.get(score.lobe)} | low_attenuation_row(low.lobe(score.lobe))
        for score in analysis.lobe_scores
    )
    write_rows(file, LOBE_COLUMNS, rows)


def write_slices(analysis: Findings, file: TextIO) -> None:
    """Write ``slices.csv``: one row per acquired axial slice, inferior to superior, without interpolated slices."""
    acquired = analysis.volume.acquired
    votes = diagnosis_rows(analysis.classification)
    rows = sorted((row for row in analysis.slices if acquired[row.index]), key=lambda row: row.index)
    write_rows(file, SLICES.header(), (slice_row(row) | votes.get(row.index, {}) for row in rows))


def write_histogram(analysis: Findings, file: TextIO) -> None:
    """Write ``histogram.csv``: a row per Hounsfield unit of both lungs."""
    write_rows(file, HISTOGRAM_COLUMNS, histogram_rows(analysis.densitometry))


def write_classified_slices(found: ClassifiedFindings, file: TextIO) -> None:
    """Write ``slices.csv`` for a diagnosis alone: as :func:`write_slices`, without opacities."""
    votes, z_mm = diagnosis_rows(found.diagnosis), found.volume.geometry.slice_z_mm()
    rows = (
        {"index": k, "z_mm": rounded(z_mm[k], MM_DECIMALS), "lung_ml": rounded(ml, ML_DECIMALS)} | votes.get(k, {})
        for k, ml in enumerate(found.slice_lung_ml)
        if found.volume.acquired[k]
    )
    write_rows(file, CLASSIFIED_SLICES.header(), rows)


def write_rows(file: TextIO, columns: Collection[str], rows: Iterable[Row]) -> None:
    """Write a table with a header; fractions have the decimals of their column."""
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_fixed_decimals(row) for row in rows)


def _fixed_decimals(row: Mapping[str, int | float | str | None]) -> dict[str, str]:
    def text(column: str, value: int | float | str | None) -> str:
        if not isinstance(value, float):
            return "" if value is None else str(value)
        places = DECIMALS.get(column.rsplit("_", 1)[-1], PERCENT_DECIMALS)
        return f"{value:.{places}f}"

    return {column: text(column, value) for column, value in row.items()}
