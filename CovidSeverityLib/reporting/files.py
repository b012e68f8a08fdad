"""The files of one result; an interrupted run leaves no partial files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, TextIO

from CovidSeverityLib.analysis import Analysis, ClassifiedCt
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Progress

from .classification_page import write_classification_page
from .classification_report import write_classification_report
from .output_folder import FileWriter, write_together
from .overview import write_overview
from .report import write_report
from .segmentation import write_segmentation
from .tables import write_classified_slices, write_histogram, write_lobes, write_slices

REPORT_NAME, CLASSIFICATION_REPORT_NAME = "report.json", "classification.json"
SLICES_NAME, PAGE_NAME, ANALYSIS_NAME = "slices.csv", "classification.png", "analysis.npz"

BinaryWriter = Callable[[Analysis, BinaryIO], None]
TextWriter = Callable[[Analysis, TextIO], None]

_BINARY_WRITERS: dict[str, BinaryWriter] = {
    "segmentation.seg.nrrd": write_segmentation,
    "overview.png": write_overview,
}
_TEXT_WRITERS: dict[str, TextWriter] = {
    "lobes.csv": write_lobes,
    SLICES_NAME: write_slices,
    "histogram.csv": write_histogram,
    REPORT_NAME: write_report,
}
OUTPUT_NAMES = (*_BINARY_WRITERS, *_TEXT_WRITERS, PAGE_NAME, CLASSIFICATION_REPORT_NAME, ANALYSIS_NAME)
"""Every file that an analysis writes, or removes after an earlier run."""

CLASSIFICATION_OUTPUT_NAMES = (PAGE_NAME, SLICES_NAME, CLASSIFICATION_REPORT_NAME)
"""Every file of a diagnosis alone, in the order of writing; the report comes last."""


def write_results(
    analysis: Analysis,
    folder: Path,
    progress: Progress | None = None,
    *,
    extra: Mapping[str, FileWriter] = MappingProxyType({}),
) -> tuple[Path, ...]:
    """Write every file of a result to ``folder`` and return their paths; the report comes last.

    Either all files are replaced or none (:func:`~.output_folder.write_together`). ``classification.png`` is only
    written with a diagnosis; that of an earlier run is removed.

    Parameters
    ----------
    analysis : Analysis
        The result.
    folder : Path
        An existing folder.
    progress : callable or None
        Called with stage "write" as files are done.
    extra : mapping of str to callable
        More files by name, each with a function that writes it to a path.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    writers: dict[str, FileWriter] = {
        **{name: partial(_binary, write, analysis) for name, write in _BINARY_WRITERS.items()},
        **({} if analysis.classification is None else {PAGE_NAME: _page(ClassifiedCt.of(analysis))}),
        **extra,
        **{name: partial(_text, write, analysis) for name, write in _TEXT_WRITERS.items()},
    }
    obsolete = [name for name in OUTPUT_NAMES if name not in writers]
    return write_together(Path(folder), writers, progress, obsolete)


def write_classified(found: ClassifiedCt, folder: Path, progress: Progress | None = None) -> tuple[Path, ...]:
    """Write every file of a diagnosis alone to ``folder`` and return their paths, like :func:`write_results`.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    writers: dict[str, FileWriter] = {
        PAGE_NAME: _page(found),
        SLICES_NAME: partial(_text, write_classified_slices, found),
        CLASSIFICATION_REPORT_NAME: partial(_text, write_classification_report, found),
    }
    return write_together(Path(folder), writers, progress)


def check_holds_no_analysis(folder: Path) -> None:
    """Refuse a folder with the results of an analysis: a diagnosis alone would replace some of them.

    Raises
    ------
    InputError
        It contains a report.
    """
    if (folder / REPORT_NAME).exists():
        raise InputError(f"{folder} holds the results of an analysis ({REPORT_NAME}); choose another folder")


def _page(found: ClassifiedCt) -> FileWriter:
    return partial(_binary, write_classification_page, found)


def _binary(write: Callable[..., None], result: Analysis | ClassifiedCt, path: Path) -> None:
    with path.open("wb") as file:
        write(result, file)


def _text(write: Callable[..., None], result: Analysis | ClassifiedCt, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        write(result, file)
