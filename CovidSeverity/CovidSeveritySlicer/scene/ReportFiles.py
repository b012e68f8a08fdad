"""Saving a result: report, tables, pages, and the segmentation as it is now."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from CovidSeverityLib.reporting.output_folder import check_output_folder, write_together
from CovidSeverityLib.reporting.tables import (
    DIAGNOSIS_COLUMNS,
    HISTOGRAM_COLUMNS,
    LOBE_COLUMNS,
    SLICE_COLUMNS,
    write_rows,
)

from .Result import AnalysisResult
from .ResultFiles import HISTOGRAM_FILE, LOBES_FILE, REPORT_FILE, SEGMENTATION_FILE, SLICES_FILE
from .Tables import automaticSliceRows, histogramRows, lobeRows

PAGE_FILES = ("overview.png", "classification.png", "report.html")
"""Only the analysis draws these pages. They exist as long as its folder."""

CORRECTED_PREFIX = "corrected_"
"""Prefix of files with corrected numbers."""

FileWriter = Callable[[Path], object]


def saveReport(result: AnalysisResult, folder: Path, corrected: Any = None) -> tuple[Path, ...]:
    """Write the files of a result to a folder: all of them, or none.

    ``report.json``, ``lobes.csv``, ``slices.csv`` and ``histogram.csv`` have the automatic numbers. Corrected numbers
    are in ``corrected_report.json``, ``corrected_lobes.csv`` and ``corrected_slices.csv``. ``segmentation.seg.nrrd`` is
    the segmentation as it is now. ``overview.png``, ``classification.png`` and ``report.html`` are written only in the
    session that made the result; they show the automatic result.

    Parameters
    ----------
    result : AnalysisResult
        Result to save.
    folder : Path
        Created if it does not exist.
    corrected : Corrected or None
        Corrected numbers; None without corrections.

    Returns
    -------
    tuple of Path
        The files.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    writers = {**_pages(result), **_automatic(result)}
    if corrected is not None:
        writers |= _corrected(result, corrected)
    writers[SEGMENTATION_FILE] = partial(_writeSegmentation, result.segmentationNode)
    writers[REPORT_FILE] = writers.pop(REPORT_FILE)
    made = check_output_folder(folder, writers)
    try:
        return write_together(folder, writers, obsolete=_obsolete(writers))
    except BaseException:
        made.discard_if_empty()
        raise


def _pages(result: AnalysisResult) -> dict[str, FileWriter]:
    return {name: partial(shutil.copyfile, result.folder / name) for name in PAGE_FILES if _isThere(result, name)}


def _automatic(result: AnalysisResult) -> dict[str, FileWriter]:
    """Writers of the automatic numbers. If a table has left the scene, the file of the analysis is copied."""
    sliceColumns = (*SLICE_COLUMNS, *DIAGNOSIS_COLUMNS)
    rows = {
        LOBES_FILE: (LOBE_COLUMNS, lobeRows(result.report)),
        SLICES_FILE: (sliceColumns, automaticSliceRows(result)),
        HISTOGRAM_FILE: (HISTOGRAM_COLUMNS, histogramRows(result)),
    }
    writers: dict[str, FileWriter] = {name: partial(_writeRows, *table) for name, table in rows.items() if table[1]}
    lost = [name for name in rows if name not in writers and _isThere(result, name)]
    writers |= {name: partial(shutil.copyfile, result.folder / name) for name in lost}
    writers[REPORT_FILE] = partial(_writeJson, result.report)
    return writers


def _corrected(result: AnalysisResult, corrected: Any) -> dict[str, FileWriter]:
    report = {
        "research_use": result.report["research_use"],
        "corrected": "Numbers after corrections by hand; report.json holds those of the analysis.",
        "input": result.report["input"],
        **json.loads(corrected.asJson()),
        "provenance": result.report["provenance"],
    }
    lobes = lobeRows({**corrected.fields, "low_attenuation": corrected.lowAttenuation})
    return {
        CORRECTED_PREFIX + LOBES_FILE: partial(_writeRows, LOBE_COLUMNS, lobes),
        CORRECTED_PREFIX + SLICES_FILE: partial(_writeRows, (*SLICE_COLUMNS, *DIAGNOSIS_COLUMNS), corrected.rows),
        CORRECTED_PREFIX + REPORT_FILE: partial(_writeJson, report),
    }


def _isThere(result: AnalysisResult, name: str) -> bool:
    return result.folder is not None and (result.folder / name).is_file()


def _obsolete(writers: Iterable[str]) -> list[str]:
    """Files that an earlier report in the same folder may have left."""
    corrected = [CORRECTED_PREFIX + name for name in (REPORT_FILE, LOBES_FILE, SLICES_FILE)]
    known = (*PAGE_FILES, LOBES_FILE, SLICES_FILE, HISTOGRAM_FILE, *corrected)
    return [name for name in known if name not in writers]


def _writeJson(content: Mapping[str, Any], path: Path) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def _writeRows(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        write_rows(file, columns, rows)


def _writeSegmentation(segmentationNode: Any, path: Path) -> None:
    """Write with a storage node in a separate scene, so that the storage node of the segmentation stays unchanged."""
    scene = slicer.vtkMRMLScene()
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    if not storage.WriteData(segmentationNode):
        raise OSError(_("the segmentation cannot be written"))
