"""What changed since an earlier result: the library compares two results in a child process. No GUI."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.events.Background import Background
from CovidSeveritySlicer.events.Signal import Signal
from CovidSeveritySlicer.events.Timers import TimerFactory, qtTimer
from CovidSeveritySlicer.scene.Comparison import ComparisonImport, ComparisonResult
from CovidSeveritySlicer.scene.ReportFiles import Report
from CovidSeveritySlicer.scene.ResultFiles import REPORT_FILE, SEGMENTATION_FILE, UnusableResult

from .AnalysisLogic import AnalysisError
from .Job import Job, JobOutcome, JobStatus, libraryJob

BEFORE_FOLDER, AFTER_FOLDER, OUTPUT_FOLDER = "before", "after", "comparison"
"""Names that say nothing of the patient: the comparison contains them."""


@dataclass
class _Run:
    folder: Path
    job: Job
    volumeNode: Any
    cancelled: bool = False
    result: ComparisonResult | None = None
    error: AnalysisError | None = None


class ComparisonLogic:
    """Compares one pair of results at a time. A thread writes and reads the files.

    Signals
    -------
    progressed(stage: str, done: int, total: int)
        The library reports progress.
    finished(result: ComparisonResult), failed(message: str, log: str), cancelled()
        The comparison has ended. Exactly one of the three is emitted.

    Parameters
    ----------
    timerFactory : TimerFactory
        Makes the timers that look after threads and the child.
    makeJob : callable
        Makes the job that runs the library's command with given arguments.
    """

    def __init__(self, timerFactory: TimerFactory = qtTimer, makeJob: Callable[..., Job] = libraryJob) -> None:
        self.progressed = Signal()
        self.finished = Signal()
        self.failed = Signal()
        self.cancelled = Signal()
        self._timerFactory = timerFactory
        self._makeJob = makeJob
        self._background = Background(timerFactory)
        self._run: _Run | None = None

    @property
    def running(self) -> bool:
        """Whether a comparison is running."""
        return self._run is not None

    def start(self, before: Path | Report, after: Report, volumeNode: Any) -> None:
        """Start a comparison and return. A signal reports its end.

        Parameters
        ----------
        before : Path or Report
            Folder with an earlier result, or the report of one in the scene.
        after : Report
            The report of the later result.
        volumeNode : any
            VtkMRMLScalarVolumeNode The CT of the later result.

        Raises
        ------
        AnalysisError
            A comparison is running already, the folder has no result, or the CT has left the scene.
        """
        if self.running:
            raise AnalysisError(_("A comparison is running already. Wait until it ends, or cancel it."))
        if volumeNode is None or volumeNode.GetScene() is None:
            raise AnalysisError(_("The CT of this result is no longer in the scene. The comparison needs it."))
        if isinstance(before, Path):
            _checkResult(before)
        folder = Path(tempfile.mkdtemp(prefix="CovidSeverity-", dir=slicer.app.temporaryPath))
        earlier = before if isinstance(before, Path) else folder / BEFORE_FOLDER
        later = folder / AFTER_FOLDER
        arguments = ["compare", str(earlier), str(later), "-o", str(folder / OUTPUT_FOLDER), "--progress", "json"]
        run = _Run(folder, self._makeJob(arguments, timerFactory=self._timerFactory), volumeNode)
        run.job.progressed.connect(self.progressed.emit)
        run.job.finished.connect(lambda outcome: self._onCompared(run, outcome))
        self._run = run

        def write() -> None:
            if not isinstance(before, Path):
                before.save(earlier)
            after.save(later)

        self._background.run(write, lambda written: self._onWritten(run, written))

    def wait(self) -> ComparisonResult:
        """The result of the running comparison. Until it is there, the application handles its events.

        Raises
        ------
        AnalysisError
            The comparison failed or was cancelled.
        """
        run = self._run
        if run is None:
            raise AnalysisError(_("No comparison is running."))
        try:
            self._background.finish(slicer.app.processEvents)
            if self.running:
                run.job.wait(slicer.app.processEvents)
            self._background.finish(slicer.app.processEvents)
        except BaseException:
            self.cleanup()
            raise
        if run.result is None:
            raise run.error or AnalysisError(_("The comparison was cancelled."))
        return run.result

    def cancel(self) -> None:
        """End the running comparison, if there is one."""
        if self._run is not None:
            self._run.cancelled = True
            self._run.job.cancel()

    def cleanup(self) -> None:
        """Cancel a running comparison and wait for its end."""
        self.cancel()
        self._background.finish()
        if self._run is not None:
            self._run.job.wait()
        self._background.finish()

    def _onWritten(self, run: _Run, written: Future[None]) -> None:
        error = written.exception()
        if error is None:
            run.job.start()  # it starts no child if it was cancelled
        else:
            run.error = AnalysisError(_("The results cannot be compared: {reason}").format(reason=error))
            self._end(run)

    def _onCompared(self, run: _Run, outcome: JobOutcome) -> None:
        if outcome.status is JobStatus.SUCCEEDED:
            try:
                found = ComparisonImport(run.folder / OUTPUT_FOLDER, run.volumeNode)
            except UnusableResult as error:
                run.error = AnalysisError(str(error), outcome.log)
            else:
                self._background.run(found.read, lambda read: self._onRead(run, found, read, outcome.log))
                return
        else:
            run.cancelled = outcome.status is JobStatus.CANCELLED
            run.error = AnalysisError(outcome.message, "" if outcome.status is JobStatus.REFUSED else outcome.log)
        self._end(run)

    def _onRead(self, run: _Run, found: ComparisonImport, read: Future[None], log: str) -> None:
        try:
            read.result()
            if not run.cancelled:
                run.result = found.finish()
        except UnusableResult as error:
            run.error = AnalysisError(str(error), log)
        self._end(run)

    def _end(self, run: _Run) -> None:
        self._run = None
        shutil.rmtree(run.folder, ignore_errors=True)
        if run.result is not None:
            self.finished.emit(run.result)
        elif run.cancelled:
            self.cancelled.emit()
        else:
            self.failed.emit(run.error.message, run.error.log)


def _checkResult(folder: Path) -> None:
    if not all((folder / name).is_file() for name in (REPORT_FILE, SEGMENTATION_FILE)):
        text = _("The folder has no result of CovidSeverity ({report} and {segmentation}). Choose a saved report.")
        raise AnalysisError(text.format(report=REPORT_FILE, segmentation=SEGMENTATION_FILE))
