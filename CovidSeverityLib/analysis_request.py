"""One CT from its files to a folder of results, as the commands ``analyze`` and ``batch`` are asked for it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from .analysis import Analysis
from .classification.diagnosis import ExplainingClassifier
from .config import AnalysisConfig
from .errors import InputError, NoLungsError
from .findings import Findings
from .io.dicomweb.address import PacsStudy
from .io.dicomweb.receiving import read_study_and_source
from .io.masks import read_mask
from .io.reading import read_ct_and_source
from .io.volume import CtVolume
from .pipeline import analyze
from .reporting.dicom.document import PdfDocument
from .reporting.dicom.writing import dicom_objects, dicom_writers, has_dicom_extra
from .reporting.files import PDF_NAME, ReportPages, report_pdf, write_results
from .reporting.output_folder import FileWriter
from .segmentation.engines import Engines, LobeEngine
from .segmentation.lobes.external_lobes import lobes_from_labels
from .segmentation.lobes.values import LobeSegmentation, OwnLobes
from .segmentation.lungs.external_lungs import lungs_from_labels
from .segmentation.lungs.lung_segmentation import LungSegmentation, LungSegmenter
from .types import Progress

if TYPE_CHECKING:
    from .io.dicom.source import DicomSource

CHOSEN_CODES = ("series_chosen", "volume_chosen")
"""Codes of the notes that the input contains several series or volumes."""


@dataclass(frozen=True)
class AnalysisRequest:
    """Which CT is analysed, and how. It can be sent to another process.

    Parameters
    ----------
    source : Path or PacsStudy
        The CT.
    config : AnalysisConfig
        How it is analysed.
    series : str or None
        SeriesInstanceUID of the series to read; None for the best for the lungs. (A study of a PACS has its own.)
    volume : int or None
        Number of the volume to read, where the input contains several.
    force : bool
        Whether missing slices are interpolated and CTs that are upside down analysed.
    independent_slices : bool
        Whether each slice is analysed separately.
    lungs, lobes : Path or None
        Masks of this CT.
    engines : Engines
        What finds lungs and lobes without masks.
    dicom : bool
        Whether DICOM objects are wanted where the input is DICOM.
    """

    source: Path | PacsStudy
    config: AnalysisConfig = field(default_factory=AnalysisConfig)
    series: str | None = None
    volume: int | None = None
    force: bool = False
    independent_slices: bool = False
    lungs: Path | None = None
    lobes: Path | None = None
    engines: Engines = field(default_factory=Engines)
    dicom: bool = True

    def run(
        self, classifier: ExplainingClassifier | None, no_classifier: str = "", progress: Progress | None = None
    ) -> tuple[Analysis, DicomSource | None]:
        """Read and analyse the CT.

        Parameters
        ----------
        classifier : ExplainingClassifier or None
            What makes the diagnosis.
        no_classifier : str
            Why there is none, for the report.
        progress : callable or None
            Called as ``progress(stage, done, total)``.

        Returns
        -------
        Analysis
            What was found.
        DicomSource or None
            The images that it was read from, where DICOM objects are wanted and possible.

        Raises
        ------
        NoLungsError, InputError
            As :func:`CovidSeverityLib.analyze`.
        """
        volume, images = self.read(progress)
        with naming_other_series(volume):
            found = analyze(
                volume,
                self.config,
                progress,
                lungs=self.lungs_of(volume),
                lobes=self._lobes(volume),
                compared_lobes=self._compared_lobes(volume),
                classifier=classifier,
                force=self.force,
                independent_slices=self.independent_slices,
            )
        return (replace(found, classification_reason=no_classifier) if no_classifier else found), images

    def read(self, progress: Progress | None) -> tuple[CtVolume, DicomSource | None]:
        """The CT, and the images that it is read from as :meth:`run` returns them.

        Raises
        ------
        InputError
            As :func:`CovidSeverityLib.read_ct`.
        """
        wanted = self.dicom and has_dicom_extra()
        common = {"volume": self.volume, "force": self.force, "progress": progress, "keep_headers": wanted}
        if isinstance(self.source, PacsStudy):
            return read_study_and_source(self.source, **common)
        return read_ct_and_source(self.source, series_uid=self.series, **common)

    def lungs_of(self, volume: CtVolume) -> LungSegmentation | LungSegmenter | None:
        """The mask of the lungs, or what finds them.

        Raises
        ------
        InputError
            The mask is none of this CT.
        """
        if self.lungs is None:
            return self.engines.lungs
        return lungs_from_labels(read_mask(self.lungs, volume), volume, self.lungs.name)

    def _lobes(self, volume: CtVolume) -> LobeSegmentation | None:
        if self.lobes is not None:
            return lobes_from_labels(read_mask(self.lobes, volume), volume, self.lobes.name)
        found = _found_by(self.engines.lobes, volume)
        return None if isinstance(found, OwnLobes) else found

    def _compared_lobes(self, volume: CtVolume) -> LobeSegmentation | OwnLobes | None:
        alone = self.independent_slices or volume.is_single_slice  # nothing is compared then
        return None if alone else _found_by(self.engines.compared_lobes, volume)


def _found_by(engine: LobeEngine | None, volume: CtVolume) -> LobeSegmentation | OwnLobes | None:
    """The lobes of an engine; those of the library are left to the analysis."""
    return engine if engine is None or isinstance(engine, OwnLobes) else engine(volume)


def write_analysis(
    result: Findings,
    images: DicomSource | None,
    folder: Path,
    pages: ReportPages,
    progress: Progress | None = None,
    *,
    seal: Callable[[Path], None] | None = None,
    more: Mapping[str, FileWriter] = MappingProxyType({}),
) -> tuple[tuple[Path, ...], str]:
    """Write every file of a result, with its DICOM objects, to an existing folder: all of them or none.

    No garbage is collected meanwhile, which concerns the whole process: only a command may call this.

    Parameters
    ----------
    result : Findings
        The result.
    images : DicomSource or None
        The images that it was read from; None writes no DICOM objects.
    folder : Path
        An existing folder.
    pages : ReportPages
        The report for people.
    progress : callable or None
        Called with stage "write" as files are done.
    seal : callable, optional
        Writes the file ``case.json``, after all others and beside them (:func:`~.reporting.files.write_results`).
    more : mapping of str to FileWriter
        More files by name.

    Returns
    -------
    tuple of Path
        The files.
    str
        Why there are no DICOM objects, as a sentence; empty if there are, or if none were wanted.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    with _no_garbage_collection():
        extra, lacking = ({}, "") if images is None else _dicom_writers(result, images, pages)
        return write_results(result, folder, progress, pages=pages, extra={**extra, **more}, seal=seal), lacking


@contextmanager
def naming_other_series(volume: CtVolume) -> Iterator[None]:
    """If a CT has no lungs, add to the error that another one of several series may be the right one."""
    try:
        yield
    except NoLungsError as error:
        notes = "; ".join(note.message.rstrip(".") for note in volume.notes if note.code in CHOSEN_CODES)
        raise NoLungsError(f"{error}{f' ({notes}; --series chooses another)' if notes else ''}") from error


def _dicom_writers(result: Findings, images: DicomSource, pages: ReportPages) -> tuple[dict[str, FileWriter], str]:
    """Writers of the DICOM objects and of the PDF that is in one of them, and the reason why there are no objects."""
    writers: dict[str, FileWriter] = {}
    document = None
    if pages.pdf:  # drawn once: both files have the same bytes
        document = PdfDocument(report_pdf(result, pages), pages.title)
        writers[PDF_NAME] = partial(_write_bytes, document.content)
    try:
        return writers | dicom_writers(dicom_objects(result, images, document=document)), ""
    except InputError as error:
        return writers, f"No DICOM objects were written, because {error}."


def _write_bytes(content: bytes, path: Path) -> None:
    path.write_bytes(content)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A DICOM object has half a million parts, and looking through them takes a third of its time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
