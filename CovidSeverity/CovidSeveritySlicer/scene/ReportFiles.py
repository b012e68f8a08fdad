"""Saving a result: report, tables, pages, and the segmentation as it is now."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

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
from .SegmentationCopy import SegmentationCopy
from .Tables import automaticSliceRows, histogramRows, lobeRows

PAGE_FILES = ("overview.png", "classification.png", "report.html")
"""Only the analysis draws these pages. They exist as long as its folder."""

CORRECTED_PREFIX = "corrected_"
"""Prefix of files with corrected numbers."""

CORRECTED_PAGE = "corrected_report.html"
"""The page of the corrected result. The library draws it from the corrected masks."""

FileWriter = Callable[[Path], object]


class Report:
    """The files of a result as it is now, which any thread may save.

    ``report.json``, ``lobes.csv``, ``slices.csv`` and ``histogram.csv`` have the automatic numbers. Corrected numbers
    are in ``corrected_report.json``, ``corrected_lobes.csv`` and ``corrected_slices.csv``, and in
    ``corrected_report.html`` after :meth:`addPage`. ``segmentation.seg.nrrd`` is the segmentation as it is now.
    ``overview.png``, ``classification.png`` and ``report.html`` are written only in the
    session that made the result; they show the automatic result.

    Parameters
    ----------
    result : AnalysisResult
        Result to save.
    corrected : Corrected or None
        Corrected numbers; None without corrections.
    writeSegmentation : callable or None
        Writes another segmentation than that of the scene.

    Raises
    ------
    OSError
        Slicer cannot write the segmentation.
    """

    def __init__(
        self, result: AnalysisResult, corrected: Any = None, writeSegmentation: FileWriter | None = None
    ) -> None:
        self._writers = {**_pages(result), **_automatic(result)}
        if corrected is not None:
            self._writers |= _corrected(result, corrected)
        self._writers[SEGMENTATION_FILE] = writeSegmentation or SegmentationCopy(result.segmentationNode).write
        self._writers[REPORT_FILE] = self._writers.pop(REPORT_FILE)

    def addPage(self, page: Path) -> None:
        """Add the page of the corrected result. Its bytes are read now."""
        content = page.read_bytes()
        self._writers = {CORRECTED_PAGE: lambda path: path.write_bytes(content), **self._writers}

    def save(self, folder: Path) -> tuple[Path, ...]:
        """Write the files to a folder: all of them, or none. Any thread may call this.

        Parameters
        ----------
        folder : Path
            Created if it does not exist.

        Returns
        -------
        tuple of Path
            The files.

        Raises
        ------
        OutputError
            A file cannot be written.
        """
        made = check_output_folder(folder, self._writers)
        try:
            return write_together(folder, self._writers, obsolete=_obsolete(self._writers))
        except BaseException:
            made.discard_if_empty()
            raise


def saveReport(result: AnalysisResult, folder: Path, corrected: Any = None) -> tuple[Path, ...]:
    """Save a :class:`Report` at once."""
    return Report(result, corrected).save(folder)


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
    known = (*PAGE_FILES, CORRECTED_PAGE, LOBES_FILE, SLICES_FILE, HISTOGRAM_FILE, *corrected)
    return [name for name in known if name not in writers]


def _writeJson(content: Mapping[str, Any], path: Path) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def _writeRows(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        write_rows(file, columns, rows)
