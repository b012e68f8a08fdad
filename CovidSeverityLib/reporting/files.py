"""The files of one result; an interrupted run leaves no partial files."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, TextIO

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.findings import ClassifiedFindings, Findings
from CovidSeverityLib.types import Progress

from .classification_page import write_classification_page
from .classification_report import write_classification_report
from .dicom.writing import DICOM_OUTPUT_NAMES
from .output_folder import FileWriter, write_together
from .overview import write_overview
from .report import write_report
from .segmentation import segmentation_header, write_segmentation
from .tables import write_classified_slices, write_histogram, write_lobes, write_slices

REPORT_NAME, CLASSIFICATION_REPORT_NAME = "report.json", "classification.json"
SEGMENTATION_NAME, OVERVIEW_NAME = "segmentation.seg.nrrd", "overview.png"
SLICES_NAME, PAGE_NAME, ANALYSIS_NAME = "slices.csv", "classification.png", "analysis.npz"
HTML_NAME, PDF_NAME = "report.html", "report.pdf"
THUMBNAIL_NAME, SEAL_NAME = "thumbnail.jpg", "case.json"
"""What a batch adds: a small picture, and which input and configuration the other files were made from."""

INSTALL_REPORTLAB = "pip install reportlab"

TextWriter = Callable[[Findings, TextIO], None]

_TABLE_WRITERS: dict[str, TextWriter] = {
    "lobes.csv": write_lobes,
    SLICES_NAME: write_slices,
    "histogram.csv": write_histogram,
}
OUTPUT_NAMES = (
    *(SEGMENTATION_NAME, *_TABLE_WRITERS, OVERVIEW_NAME, PAGE_NAME, HTML_NAME, PDF_NAME),
    *(REPORT_NAME, CLASSIFICATION_REPORT_NAME, ANALYSIS_NAME, THUMBNAIL_NAME, SEAL_NAME),
)
"""Every file that an analysis writes, or removes after an earlier run."""

CLASSIFICATION_OUTPUT_NAMES = (PAGE_NAME, SLICES_NAME, CLASSIFICATION_REPORT_NAME)
"""Every file of a diagnosis alone, in the order of writing; the report comes last."""


@dataclass(frozen=True)
class ReportPages:
    """The report for people that is written beside the files for programs.

    Parameters
    ----------
    html : bool
        Whether ``report.html`` is written.
    pdf : bool
        Whether ``report.pdf`` is written, with the same content.
    title : str
        What they call the CT. By default they do not tell whose CT it is.
    language : str or None
        Code of their language, as in ``"de"``; None is English.

    Raises
    ------
    InputError
        ``pdf`` needs ReportLab, which is not installed, or there is no translation to ``language``.
    """

    html: bool = True
    pdf: bool = False
    title: str = ""
    language: str | None = None

    def __post_init__(self) -> None:
        if self.pdf and importlib.util.find_spec("reportlab") is None:
            raise InputError(f"{PDF_NAME} needs the package reportlab, which is not installed: {INSTALL_REPORTLAB}")
        if self.language is not None and (self.html or self.pdf):
            from .html.texts import check_language

            check_language(self.language)


def write_results(
    analysis: Findings,
    folder: Path,
    progress: Progress | None = None,
    *,
    pages: ReportPages = ReportPages(),
    extra: Mapping[str, FileWriter] = MappingProxyType({}),
    seal: FileWriter | None = None,
) -> tuple[Path, ...]:
    """Write every file of a result to ``folder`` and return their paths; the report comes last.

    Either all files are replaced or none (:func:`~.output_folder.write_together`). ``classification.png`` is only
    written with a diagnosis; that of an earlier run is removed. The pages are drawn in a thread of their own meanwhile.

    Parameters
    ----------
    analysis : Findings
        The result.
    folder : Path
        An existing folder.
    progress : callable or None
        Called with stage "write" as files are done.
    pages : ReportPages
        The report for people.
    extra : mapping of str to callable
        More files by name, each with a function that writes it to a path. They stand for files of the same name here.
    seal : callable or None
        Writes :data:`SEAL_NAME`, the very last file. All others are complete then, in the folder of its path.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    header = segmentation_header(analysis.volume.stored_geometry)  # before the thread begins, see there
    with ThreadPoolExecutor(1) as pool:
        drawn = {OVERVIEW_NAME: pool.submit(_drawn, write_overview, analysis)}
        if analysis.classification is not None:
            drawn[PAGE_NAME] = pool.submit(_drawn, write_classification_page, ClassifiedFindings.of(analysis))
        writers: dict[str, FileWriter] = {
            SEGMENTATION_NAME: partial(_binary, partial(write_segmentation, header=header), analysis),
            **{name: partial(_text, write, analysis) for name, write in _TABLE_WRITERS.items()},
            **_report_writers(analysis, pages),
            **extra,
            **{name: lambda path, page=page: path.write_bytes(page.result()) for name, page in drawn.items()},
            REPORT_NAME: partial(_text, write_report, analysis),
            **({} if seal is None else {SEAL_NAME: seal}),
        }
        obsolete = [name for name in (*OUTPUT_NAMES, *DICOM_OUTPUT_NAMES) if name not in writers]
        try:
            return write_together(Path(folder), writers, progress, obsolete)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def report_pdf(analysis: Findings, pages: ReportPages) -> bytes:
    """What :func:`write_results` writes to ``report.pdf``."""
    return _drawn(partial(_write_pdf, pages=pages), analysis)


def write_classified(found: ClassifiedFindings, folder: Path, progress: Progress | None = None) -> tuple[Path, ...]:
    """Write every file of a diagnosis alone to ``folder`` and return their paths, like :func:`write_results`.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    writers: dict[str, FileWriter] = {
        PAGE_NAME: partial(_binary, write_classification_page, found),
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


def _report_writers(analysis: Findings, pages: ReportPages) -> dict[str, FileWriter]:
    """Of the pages that were chosen; Jinja and ReportLab are loaded when they are used."""

    def html(analysis: Findings, file: TextIO) -> None:
        from .html import write_html

        write_html(analysis, file, title=pages.title, language=pages.language)

    writers: dict[str, FileWriter] = {HTML_NAME: partial(_text, html, analysis)} if pages.html else {}
    return writers | ({PDF_NAME: partial(_binary, partial(_write_pdf, pages=pages), analysis)} if pages.pdf else {})


def _write_pdf(analysis: Findings, file: BinaryIO, pages: ReportPages) -> None:
    from .pdf import write_pdf

    write_pdf(analysis, file, title=pages.title, language=pages.language)


def _drawn(write: Callable[[Any, BinaryIO], None], result: Findings | ClassifiedFindings) -> bytes:
    file = io.BytesIO()
    write(result, file)
    return file.getvalue()


def _binary(write: Callable[..., None], result: Findings | ClassifiedFindings, path: Path) -> None:
    with path.open("wb") as file:
        write(result, file)


def _text(write: Callable[..., None], result: Findings | ClassifiedFindings, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        write(result, file)
