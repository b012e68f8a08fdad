"""The files of one analysis, written so that an interrupted run leaves nothing half-written."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO

from CovidSeverityLib.results import Analysis
from CovidSeverityLib.types import Progress

from .output_folder import write_together
from .overview import write_overview
from .report import write_report
from .segmentation import write_segmentation
from .tables import write_lobes, write_slices

REPORT_NAME = "report.json"

Writer = Callable[[Analysis, IO], None]

_BINARY_WRITERS: dict[str, Writer] = {
    "segmentation.seg.nrrd": write_segmentation,
    "overview.png": write_overview,
}
_TEXT_WRITERS: dict[str, Writer] = {
    "lobes.csv": write_lobes,
    "slices.csv": write_slices,
    REPORT_NAME: write_report,
}
OUTPUT_NAMES = (*_BINARY_WRITERS, *_TEXT_WRITERS)
"""Every file of a result in the order of writing; the report comes last, so that its presence means complete."""


def write_results(analysis: Analysis, folder: Path, progress: Progress | None = None) -> tuple[Path, ...]:
    """Write every file of a result to ``folder`` and return their paths.

    Either all files are replaced or none (:func:`~.output_folder.write_together`).

    Raises
    ------
    OutputError
        Where a file cannot be written.
    """
    return write_together(Path(folder), {name: partial(_write_one, analysis) for name in OUTPUT_NAMES}, progress)


def _write_one(analysis: Analysis, path: Path) -> None:
    if path.name in _BINARY_WRITERS:
        with path.open("wb") as file:
            _BINARY_WRITERS[path.name](analysis, file)
    else:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            _TEXT_WRITERS[path.name](analysis, file)
