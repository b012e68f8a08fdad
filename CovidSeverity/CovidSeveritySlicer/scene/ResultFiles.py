"""Files of an analysis, read and checked before they reach the scene."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from CovidSeverityLib.reporting import report_schema
from CovidSeverityLib.reporting.report_parts import SCHEMA_VERSION
from CovidSeverityLib.reporting.tables import HISTOGRAM_COLUMNS, SLICE_COLUMNS
from CovidSeverityLib.types import StorageOrder

from .Result import storageOrderOf
from .SegmentationFile import LabelMaps, SegmentationHeader, readSegmentation

REPORT_FILE, SEGMENTATION_FILE = "report.json", "segmentation.seg.nrrd"
SLICES_FILE, LOBES_FILE, HISTOGRAM_FILE = "slices.csv", "lobes.csv", "histogram.csv"

NEUTRAL_NAME = "ct.nrrd"
"""Name of the CT in the scene. The name of its file may be that of a patient."""

TEXT_COLUMNS = frozenset({"label", "lobe", "name"})
TEXT_ENDING = "_more_than_repeatability"
WHOLE_COLUMNS = frozenset({"index", "hu", "voxels"})
"""Columns of text, by name or ending, and of whole numbers. The others have fractions."""


class UnusableResult(RuntimeError):  # noqa: N818 (it says what the result is)
    """A file of an analysis is missing or damaged, or belongs to another CT. The message is for the user."""


@dataclass(frozen=True, eq=False)
class ResultFiles:
    """Files of an analysis.

    Parameters
    ----------
    report : Mapping
        Content of ``report.json`` with a neutral name of the input.
    sliceRows, histogramRows : tuple of dict
        Rows of ``slices.csv`` and ``histogram.csv``. Numbers are parsed; an empty cell is None.
    segmentation : SegmentationHeader
        Grid and segments of ``segmentation.seg.nrrd``.
    """

    report: Mapping[str, Any]
    sliceRows: tuple[dict[str, Any], ...]
    histogramRows: tuple[dict[str, Any], ...]
    segmentation: SegmentationHeader

    @property
    def storageOrder(self) -> StorageOrder:
        """Order of the stored axes of the CT, from the report."""
        return storageOrderOf(self.report)


def readResultFiles(folder: Path, labelMaps: LabelMaps) -> ResultFiles:
    """Read the files of an analysis. Any thread may call this.

    Parameters
    ----------
    folder : Path
        Folder with the files.
    labelMaps : LabelMaps
        Get the voxels of the segmentation if they have its size.

    Raises
    ------
    UnusableResult
        A file is missing, damaged or of another version of the program.
    """
    return ResultFiles(
        report=_report(folder / REPORT_FILE),
        sliceRows=readRows(folder / SLICES_FILE, SLICE_COLUMNS),
        histogramRows=readRows(folder / HISTOGRAM_FILE, HISTOGRAM_COLUMNS),
        segmentation=_segmentation(folder / SEGMENTATION_FILE, labelMaps),
    )


def readRows(path: Path, columns: Iterable[str]) -> tuple[dict[str, Any], ...]:
    """Rows of a table that has at least ``columns``. Numbers are parsed; an empty cell is None.

    Raises
    ------
    UnusableResult
        The table cannot be read, lacks a column, has no row, or has text in place of a number.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = tuple(
                {column: _cell(column, text) for column, text in row.items()}
                for row in csv.DictReader(file, strict=True)
            )
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise _unusable(path) from error
    if not rows or not set(columns) <= set(rows[0]):
        raise _unusable(path)
    return rows


def checkedReport(text: str) -> dict[str, Any] | None:
    """A report from its JSON text; None if it is not a report of this version.

    The two outer levels have everything that the schema requires.
    """
    try:
        report = json.loads(text)
    except ValueError:
        return None
    if not isinstance(report, dict) or report.get("schema_version") != SCHEMA_VERSION:
        return None
    schema = _schema()
    if not _holds(report, schema["required"]):
        return None
    parts = {name: part["required"] for name, part in schema["properties"].items() if "required" in part}
    nullable = {name for name, part in schema["properties"].items() if "null" in part.get("type", ())}
    whole = all(
        (report[name] is None and name in nullable) or _holds(report[name], required)
        for name, required in parts.items()
        if name in schema["required"]
    )
    return report if whole and _scores(report, schema["$defs"]["lobe"]["required"]) else None


@cache
def _schema() -> Mapping[str, Any]:
    """Read once, because the panel checks a report often."""
    return report_schema()


def _scores(report: Mapping[str, Any], required: list[str]) -> bool:
    lobes, totals = report["ctss"]["lobes"], report["total_severity_score"]["lobes"]
    names = list(_schema()["properties"]["ctss"]["properties"]["lobes"]["required"])
    return _holds(lobes, names) and _holds(totals, names) and all(_holds(lobes[name], required) for name in names)


def _holds(value: Any, names: Iterable[str]) -> bool:
    return isinstance(value, dict) and all(name in value for name in names)


def _report(path: Path) -> dict[str, Any]:
    try:
        report = checkedReport(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unusable(path) from error
    if report is None:
        raise _unusable(path)
    return {**report, "input": {**report["input"], "name": NEUTRAL_NAME}}


def _cell(column: str, text: str | None) -> Any:
    if text is None:
        raise ValueError(f"{column} ends early")
    if not text:
        return None
    if not isinstance(column, str) or column in TEXT_COLUMNS or column.endswith(TEXT_ENDING):
        return text
    return int(text) if column in WHOLE_COLUMNS else float(text)


def _segmentation(path: Path, labelMaps: LabelMaps) -> SegmentationHeader:
    try:
        return readSegmentation(path, labelMaps)
    except (OSError, ValueError) as error:
        raise _unusable(path) from error


def _unusable(path: Path) -> UnusableResult:
    text = _("The results of the analysis cannot be shown: {file} is missing, damaged or of another version.")
    return UnusableResult(text.format(file=path.name))
