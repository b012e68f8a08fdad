"""Many CTs at once: the library's batch in a child process, and the batches that it has made. No GUI."""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.events.Background import Background
from CovidSeveritySlicer.events.Signal import Signal
from CovidSeveritySlicer.events.Steps import Steps
from CovidSeveritySlicer.events.Timers import TimerFactory, qtTimer
from CovidSeveritySlicer.scene.ResultFiles import UnusableResult

from .AnalysisLogic import ensureFor
from .AnalysisSettings import DEFAULT_SETTINGS, AnalysisSettings
from .BatchTables import Batch, BatchArrival, holdsBatch, readBatch
from .ChildLogic import AnalysisError, ChildLogic, Run
from .DicomSeries import CASES_FILE, DatabaseSource, FoundSeries, findSeries, placeSeries
from .Engines import LungSource
from .Install import ensurePackages
from .Job import Job, libraryJob

Source = str | DatabaseSource
"""A folder, a table of cases or an address as the command takes it, or patients of the DICOM database."""

ADDRESS = "://"
"""What an address has, such as ``s3://bucket/cts``, and a path has not."""

CANCEL_S = 120.0
"""Patience with a batch that was cancelled, s: it ends its workers and writes the tables of what is finished."""

SAID_LINES = 4
"""Last lines of standard error that are shown while a batch runs."""

SERIES_STAGE = "series"
"""Stage in which the DICOM database is looked through. Its steps are patients."""


class BatchSource(Enum):
    """Where the CTs of a batch come from."""

    FOLDER = "folder"
    DATABASE = "database"

    def label(self) -> str:
        """Its name in the panel."""
        if self is BatchSource.FOLDER:
            return _("A folder")
        return _("The DICOM database")


@dataclass(kw_only=True)
class _Run(Run):
    source: Source
    output: Path
    found: FoundSeries = field(default_factory=FoundSeries)
    said: deque[str] = field(default_factory=lambda: deque(maxlen=SAID_LINES))


class BatchLogic(ChildLogic):
    """Runs one batch at a time, and reads the tables of batches.

    Signals
    -------
    progressed(stage: str, done: int, total: int)
        Of the stage "series", in which the DICOM database is looked through, and of the library.
    counted(cases: CaseProgress)
        Cases that are finished, and the time that is left.
    said(lines: tuple of str)
        The last lines of standard error, for example about a case that failed.
    finished(batch: Batch), failed(message: str, log: str), cancelled()
        The batch has ended. Exactly one of the three is emitted.
    opened(batch: Batch), notOpened(message: str)
        What :meth:`open` has found.

    Parameters
    ----------
    timerFactory, makeJob : callable
        As for :class:`~.ChildLogic.ChildLogic`.
    ensure : callable
        Installs missing packages if the user agrees.
    """

    def __init__(
        self,
        timerFactory: TimerFactory = qtTimer,
        makeJob: Callable[..., Job] = libraryJob,
        ensure: Callable[..., None] = ensurePackages,
    ) -> None:
        ChildLogic.__init__(self, timerFactory, makeJob)
        self.counted = Signal()
        self.said = Signal()
        self.opened = Signal()
        self.notOpened = Signal()
        self._ensure = ensure
        self._steps = Steps(timerFactory)
        self._opening = Background(timerFactory)
        self._sources: dict[Path, Source] = {}

    def start(
        self,
        source: Source,
        output: str | Path,
        settings: AnalysisSettings = DEFAULT_SETTINGS,
        workers: int = 0,
        resume: bool = True,
    ) -> None:
        """Start a batch and return. A signal reports its end.

        Parameters
        ----------
        source : str or DatabaseSource
            The CTs.
        output : str or Path
            Folder for the results.
        settings : AnalysisSettings
            Profile, classifier and other options.
        workers : int
            Number of CTs that are analysed side by side. 0: as many as the memory allows.
        resume : bool
            If the folder has a batch already, go on with it. False: the command refuses the folder.

        Raises
        ------
        AnalysisError
            A batch is running already, packages are missing, or there is no such source.
        """
        if self.running:
            raise AnalysisError(_("A batch is running already. Wait until it ends, or cancel it."))
        if not str(output):
            raise AnalysisError(_("No output folder is chosen. Choose a folder for the results."))
        if settings.lungs is LungSource.SCENE:
            raise AnalysisError(_("A batch uses no segmentation of the scene. Choose another source of the lungs."))
        given = source if isinstance(source, DatabaseSource) else checkedSource(source)
        ensureFor(settings, partial(self._ensure, batch=True))
        place = Path(output).expanduser().absolute()
        folder = Path(tempfile.mkdtemp(prefix="CovidSeverity-", dir=slicer.app.temporaryPath))
        cases = str(folder / CASES_FILE) if isinstance(given, DatabaseSource) else given
        arguments = ["batch", cases, "-o", str(place), *settings.arguments(), "--progress", "json"]
        arguments += ["--workers", str(workers)] if workers else []
        arguments += ["--resume"] if resume and holdsBatch(place) else []
        arguments += ["--no-dicom"] if isinstance(given, DatabaseSource) and not given.named else []
        try:
            job = self._makeJob(arguments, work=_("The batch"), timerFactory=self._timerFactory)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise AnalysisError(str(error)) from error
        self._launch(_Run(job=job, folder=folder, source=given, output=place))

    def run(
        self,
        source: Source,
        output: str | Path,
        settings: AnalysisSettings = DEFAULT_SETTINGS,
        workers: int = 0,
        resume: bool = True,
    ) -> Batch:
        """Like :meth:`start`, but wait for the end. Meanwhile the application handles its events.

        Raises
        ------
        AnalysisError
            As for :meth:`start`, or the batch failed or was cancelled. ``log`` holds the log of the program.
        """
        self.start(source, output, settings, workers, resume)
        run = self._run
        try:
            self._steps.finish(slicer.app.processEvents)
        except BaseException:
            self.cleanup()
            raise
        self._waitFor(run)
        if run.result is None:
            raise run.error or AnalysisError(_("The batch was cancelled."))
        return run.result

    def open(self, folder: Path) -> None:
        """Read the tables of a batch in a thread, also of one that was cancelled. A signal has them."""
        self._opening.forget()
        self._opening.run(lambda: readBatch(folder), self._onRead)

    def sourceOf(self, batch: Batch) -> Source | None:
        """Where the CTs of a batch are; None for a batch that was not begun in this session."""
        return self._sources.get(batch.folder)

    def cancel(self) -> None:
        """End the running batch, if there is one. What is finished stays, and its tables are written."""
        self._cancel(CANCEL_S)

    def cleanup(self) -> None:
        """End the running batch at once, without its tables, and wait for its end."""
        self._opening.forget()
        self._cancel(None)
        self._steps.finish()
        ChildLogic.cleanup(self)

    def _launch(self, run: _Run) -> None:
        self._sources[run.output] = run.source
        run.job.counted.connect(self.counted.emit)
        run.job.said.connect(partial(self._onSaid, run))
        self._begin(run)
        if isinstance(run.source, DatabaseSource):
            self._steps.run(self._look(run, run.source), lambda error: self._looked(run, run.source, error))
        else:
            run.job.start()

    def _onSaid(self, run: _Run, line: str) -> None:
        if line.strip():
            run.said.append(line.strip())
            self.said.emit(tuple(run.said))

    def _look(self, run: _Run, source: DatabaseSource) -> Iterator[None]:
        told = partial(self.progressed.emit, SERIES_STAGE)
        for step in findSeries(source.database, source.patients, run.found, told):
            if run.cancelled:
                return
            yield step

    def _looked(self, run: _Run, source: DatabaseSource, error: Exception | None) -> None:
        """Link the images and start the child."""
        if error is not None:
            run.error = AnalysisError(_("The DICOM database cannot be read: {reason}").format(reason=error))
            self._end(run)
        elif not run.found.series and not run.cancelled:
            run.error = AnalysisError(noSeries(run.found))
            self._end(run)
        else:
            self._write(run, lambda: placeSeries(run.found.series, source, run.folder, lambda: run.cancelled))

    def _unwritten(self, error: BaseException) -> str:
        return _("The images of the DICOM database cannot be linked: {reason}").format(reason=error)

    def _arrival(self, run: _Run) -> BatchArrival:
        return BatchArrival(run.output)

    def _tidy(self, run: _Run) -> None:
        shutil.rmtree(run.folder, ignore_errors=True)  # links, not the images

    def _onRead(self, read: Future[Batch]) -> None:
        try:
            self.opened.emit(read.result())
        except UnusableResult as error:
            self.notOpened.emit(str(error))


def checkedSource(source: str) -> str:
    """A source as the command takes it: an address, or the absolute path of a folder or file that is there.

    Raises
    ------
    AnalysisError
        It is empty, or there is no such folder or file.
    """
    if not source.strip():
        raise AnalysisError(_("No source is chosen. Choose a folder with CTs."))
    if ADDRESS in source:
        return source
    path = Path(source).expanduser().absolute()
    if not path.exists():
        raise AnalysisError(_("There is no folder {source}. Choose a folder with CTs.").format(source=path))
    return str(path)


def noSeries(found: FoundSeries) -> str:
    """Why a database gives nothing to analyse."""
    text = _("The chosen patients have no CT series ({localizers} scouts, {missing} series without readable files).")
    return text.format(localizers=found.localizers, missing=found.missing)
