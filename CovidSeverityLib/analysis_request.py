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
from .segmentation.lobes.command_engine import LobeCommand
from .segmentation.lobes.external_lobes import lobes_from_labels
from .segmentation.lobes.values import LobeSegmentation, OwnLobes
from .segmentation.lungs.external_lungs import lungs_from_labels
from .segmentation.lungs.lung_segmentation import LungSegmentation, LungSegmenter
from .segmentation.lungs.lungmask_engine import LTRC_LOBES, lungmask_lobes
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
    lung_engine : LungSegmenter or None
        What finds the lungs without a mask; None for the library's own segmentation.
    lobe_weights : Path or None
        Checked weights of lungmask's lobes; None for the library's own.
    lobe_command : LobeCommand or None
        An installed segmenter that finds the lobes.
    compared_lobes : LobeCommand, Path, OwnLobes or None
        A second engine for the lobes, which ranges cover too; a path is of weights of lungmask's lobes.
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
    lung_engine: LungSegmenter | None = None
    lobe_weights: Path | None = None
    lobe_command: LobeCommand | None = None
    compared_lobes: LobeCommand | Path | OwnLobes | None = None
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
        volume, images = self._read(progress)
        with naming_other_series(volume):
            found = analyze(
                volume,
                self.config,
                progress,
                lungs=self._lungs(volume),
                lobes=self._lobes(volume),
                compared_lobes=self._compared_lobes(volume),
                classifier=classifier,
                force=self.force,
                independent_slices=self.independent_slices,
            )
        return (replace(found, classification_reason=no_classifier) if no_classifier else found), images

    def _read(self, progress: Progress | None) -> tuple[CtVolume, DicomSource | None]:
        wanted = self.dicom and has_dicom_extra()
        common = {"volume": self.volume, "force": self.force, "progress": progress, "keep_headers": wanted}
        if isinstance(self.source, PacsStudy):
            return read_study_and_source(self.source, **common)
        return read_ct_and_source(self.source, series_uid=self.series, **common)

    def _lungs(self, volume: CtVolume) -> LungSegmentation | LungSegmenter | None:
        if self.lungs is None:
            return self.lung_engine
        return lungs_from_labels(read_mask(self.lungs, volume), volume, self.lungs.name)

    def _lobes(self, volume: CtVolume) -> LobeSegmentation | None:
        if self.lobes is not None:
            return lobes_from_labels(read_mask(self.lobes, volume), volume, self.lobes.name)
        if self.lobe_command is not None:
            return self.lobe_command(volume)
        return None if self.lobe_weights is None else _network_lobes(volume, self.lobe_weights)

    def _compared_lobes(self, volume: CtVolume) -> LobeSegmentation | OwnLobes | None:
        if isinstance(self.compared_lobes, Path):
            return _network_lobes(volume, self.compared_lobes)
        return self.compared_lobes(volume) if isinstance(self.compared_lobes, LobeCommand) else self.compared_lobes


def _network_lobes(volume: CtVolume, weights: Path) -> LobeSegmentation:
    name = f"{LTRC_LOBES.name} ({weights.name})"
    found = lobes_from_labels(lungmask_lobes(volume, weights), volume, name)
    return replace(found, source=f"lungmask {name}")


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
