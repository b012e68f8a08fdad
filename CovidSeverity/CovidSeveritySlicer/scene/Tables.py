"""Tables of a result: typed columns with titles and units, automatic values beside corrected ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from slicer.i18n import tr as _

from CovidSeverityLib.reporting.tables import (
    COMPONENT_COLUMNS,
    DIAGNOSIS_COLUMNS,
    LOBE_COLUMNS,
    LOW_ATTENUATION_COLUMNS,
    SLICE_COLUMNS,
)
from CovidSeverityLib.types import LOBE_NAMES, Lobe

from .Measurements import fillMeasurementTable
from .TableColumns import AUTOMATIC_PREFIX, Column, Row, Value, addAutomatic, fill, rowsOf

__all__ = [
    "automaticSliceRows",
    "fillHistogramTable",
    "fillLobeTable",
    "fillMeasurementTable",
    "fillSliceTable",
    "histogramRows",
    "lobeRows",
    "sliceRows",
]

MIXTURE_COLUMN = "mixture_voxels"
"""Column of the histogram table: sum of the components of the mixture."""

_CORRECTED_LOBE_COLUMNS = (
    *("score", "total_severity_score", "involvement_percent", "volume_ml", "infection_ml"),
    *LOW_ATTENUATION_COLUMNS,
)
_CORRECTED_SLICE_COLUMNS = tuple(column for column in SLICE_COLUMNS if column not in ("index", "z_mm"))


def fillLobeTable(tableNode: Any, report: Mapping[str, Any], automatic: Mapping[str, Any] | None = None) -> None:
    """Fill a table with a row for each lobe.

    Parameters
    ----------
    tableNode : any
        VtkMRMLTableNode Its content is replaced.
    report : Mapping
        Content of ``report.json``, or its ``ctss`` and ``total_severity_score`` after corrections.
    automatic : Mapping or None
        Content of ``report.json`` if ``report`` has corrected numbers. It gets columns of its own.
    """
    rows = lobeRows(report)
    fill(tableNode, _lobeColumns(), rows)
    if automatic is not None:
        addAutomatic(tableNode, _lobeColumns(), _CORRECTED_LOBE_COLUMNS, lobeRows(automatic))


def fillSliceTable(tableNode: Any, rows: Iterable[Row], automaticRows: Iterable[Row] | None = None) -> None:
    """Fill a table with a row for each axial slice, inferior to superior.

    Parameters
    ----------
    tableNode : any
        VtkMRMLTableNode Its content is replaced.
    rows : iterable of Row
        Values by column of ``slices.csv``.
    automaticRows : iterable of Row or None
        Automatic rows if ``rows`` are corrected. They get columns of their own.
    """
    rows = list(rows)
    fill(tableNode, _sliceColumns(), rows)
    if automaticRows is not None:
        byIndex = {row["index"]: row for row in automaticRows}
        automatic = [byIndex.get(row["index"], {}) for row in rows]
        addAutomatic(tableNode, _sliceColumns(), _CORRECTED_SLICE_COLUMNS, automatic)


def fillHistogramTable(tableNode: Any, rows: Iterable[Row]) -> None:
    """Fill a table with a row for each Hounsfield unit.

    Parameters
    ----------
    tableNode : any
        VtkMRMLTableNode Its content is replaced.
    rows : iterable of Row
        Values by column of ``histogram.csv``.
    """
    fill(tableNode, _histogramColumns(), [{**row, MIXTURE_COLUMN: _mixtureSum(row)} for row in rows])


def lobeRows(report: Mapping[str, Any]) -> list[Row]:
    """Rows by column of ``lobes.csv``.

    Parameters
    ----------
    report : Mapping
        Content of ``report.json``, or its ``ctss`` and ``total_severity_score`` after corrections.
    """
    lobes, totals = report["ctss"]["lobes"], report["total_severity_score"]["lobes"]
    dice = report.get("lobes", {}).get("compared", {}).get("dice", {})
    rows = []
    for lobe in Lobe:
        fields = lobes[lobe.name]
        low, high = fields.get("score_range") or (None, None)
        known = {column: fields.get(column) for column in LOBE_COLUMNS}
        rows.append(
            {
                **known,
                **_lowAttenuation(report, lobe),
                "lobe": lobe.name,
                "name": LOBE_NAMES[lobe],
                "score_low": low,
                "score_high": high,
                "compared_dice": dice.get(lobe.name),
                "total_severity_score": totals[lobe.name],
            }
        )
    return rows


def _lowAttenuation(report: Mapping[str, Any], lobe: Lobe) -> Row:
    """Low attenuation of a lobe; None if it is unknown."""
    part = ((report.get("low_attenuation") or {}).get("lobes") or {}).get(lobe.name) or {}
    return {column: part.get(column.removeprefix("low_attenuation_")) for column in LOW_ATTENUATION_COLUMNS}


def sliceRows(result: Any) -> tuple[dict[str, Value], ...]:
    """Rows of the slice table by column of ``slices.csv``; none after the table has left the scene.

    Parameters
    ----------
    result : AnalysisResult
        Its tables are read.
    """
    return rowsOf(result.sliceTable, _sliceColumns())


def automaticSliceRows(result: Any) -> tuple[dict[str, Value], ...]:
    """:func:`sliceRows` as the analysis gave them, whatever was corrected since.

    Parameters
    ----------
    result : AnalysisResult
        Its tables are read.
    """
    rows = sliceRows(result)
    columns = [column for column in _sliceColumns() if column.name in _CORRECTED_SLICE_COLUMNS]
    automatic = rowsOf(result.sliceTable, [column.automatic for column in columns])
    return tuple(
        {**row, **{name.removeprefix(AUTOMATIC_PREFIX): value for name, value in before.items()}}
        for row, before in zip(rows, automatic, strict=True)
    )


def histogramRows(result: Any) -> tuple[dict[str, Value], ...]:
    """Rows of the histogram table by column of ``histogram.csv``.

    Parameters
    ----------
    result : AnalysisResult
        Its tables are read.
    """
    return rowsOf(result.histogramTable, [column for column in _histogramColumns() if column.name != MIXTURE_COLUMN])


def _lobeColumns() -> list[Column]:
    return [
        Column("lobe", _("Lobe"), str),
        Column("name", _("Name"), str),
        Column("score", _("Score (0-5)"), int),
        Column("score_low", _("Lowest"), int),
        Column("score_high", _("Highest"), int),
        Column("total_severity_score", _("TSS (0-4)"), int),
        Column("involvement_percent", _("Opacity"), float, "%"),
        Column("volume_ml", _("Volume"), float, "ml"),
        Column("infection_ml", _("Opacity"), float, "ml"),
        Column("confidence", _("Confidence"), float),
        Column("low_attenuation_percent", _("Low attenuation"), float, "%"),
        Column("low_attenuation_measured_percent", _("Low attenuation, measured"), float, "%"),
        Column("low_attenuation_noise_percent", _("Low attenuation, noise"), float, "%"),
        Column("density_percentile_hu", _("Density percentile"), float, "HU"),
    ]


def _sliceColumns() -> list[Column]:
    titles = {
        "index": _("Slice"),
        "z_mm": _("z"),
        "lung_ml": _("Lung"),
        "infection_percent": _("Opacity"),
    }
    lobes = {
        f"infection_percent_{lobe.name}": _("Opacity of {lobe}").format(lobe=lobe.name)  # {lobe}: RUL ... LLL
        for lobe in Lobe
    }
    votes = {
        "p_normal": _("p(normal)"),
        "p_cap": _("p(CAP)"),
        "p_covid19": _("p(COVID-19)"),
        "label": _("Label"),
        "vote_weight": _("Weight of vote"),
    }
    known = titles | lobes | votes
    kinds = {"index": int, "label": str}
    units = {"z_mm": "mm", "lung_ml": "ml"} | {name: "%" for name in SLICE_COLUMNS if "percent" in name}
    return [
        Column(name, known[name], kinds.get(name, float), units.get(name, ""))
        for name in (*SLICE_COLUMNS, *DIAGNOSIS_COLUMNS)
    ]


def _histogramColumns() -> list[Column]:
    components = [
        Column(name, _("Component {number}, voxels").format(number=n)) for n, name in enumerate(COMPONENT_COLUMNS, 1)
    ]
    return [
        Column("hu", _("Hounsfield units"), int, "HU"),
        Column("voxels", _("Lung, voxels"), int),
        *components,
        Column(MIXTURE_COLUMN, _("Mixture, voxels")),
    ]


def _mixtureSum(row: Row) -> float | None:
    parts = [row.get(column) for column in COMPONENT_COLUMNS]
    return None if None in parts else sum(parts)
