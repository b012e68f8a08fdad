"""One analysis at a time: a volume of the scene goes through a child process to nodes of the scene. No GUI."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.events.Background import Background
from CovidSeveritySlicer.events.Signal import Signal
from CovidSeveritySlicer.events.Timers import TimerFactory, qtTimer
from CovidSeveritySlicer.scene.Result import AnalysisResult
from CovidSeveritySlicer.scene.SceneBridge import Outputs, ResultImport, UnusableResult

from .AnalysisSettings import DEFAULT_SETTINGS, AnalysisSettings
from .Classifiers import NO_CLASSIFIER, installedClassifiers
from .InputFiles import Inputs, UnusableInput
from .Install import InstallDeclined, InstallFailed, ensurePackages
from .Job import Job, JobOutcome, JobStatus, libraryJob

RESULTS_FOLDER = "results"


class AnalysisError(RuntimeError):
    """An analysis that failed: one sentence, and the log of the program."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.log = log


NEW_OUTPUTS = Outputs()


@dataclass
class _Run:
    job: Job
    inputs: Inputs
    folder: Path
    volumeNode: Any
    outputs: Outputs
    scene: Any
    observation: int = 0
    cancelled: bool = False
    result: AnalysisResult | None = None
    error: AnalysisError | None = None


class AnalysisLogic:
    """Runs the library in a child process and brings its result into the scene.

    A thread writes the files for the child and reads its files: the window is never held for long.

    Signals
    -------
    started()
        An analysis has begun.
    progressed(stage: str, done: int, total: int)
        The library reports progress.
    finished(result: AnalysisResult), failed(message: str, log: str), cancelled()
        The analysis has ended. Exactly one of the three is emitted.

    Parameters
    ----------
    timerFactory : TimerFactory
        Makes the timer that polls the child process.
    makeJob : callable
        Makes the job that runs the library's command with given arguments.
    ensure : callable
        Installs missing packages if the user agrees.
    """

    def __init__(
        self,
        timerFactory: TimerFactory = qtTimer,
        makeJob: Callable[..., Job] = libraryJob,
        ensure: Callable[..., None] = ensurePackages,
    ) -> None:
        self.started = Signal()
        self.progressed = Signal()
        self.finished = Signal()
        self.failed = Signal()
        self.cancelled = Signal()
        self._timerFactory = timerFactory
        self._makeJob = makeJob
        self._ensure = ensure
        self._background = Background(timerFactory)
        self._run: _Run | None = None
        self._session: tempfile.TemporaryDirectory | None = None

    @property
    def running(self) -> bool:
        """Whether an analysis is running."""
        return self._run is not None

    def start(
        self,
        volumeNode: Any,
        settings: AnalysisSettings = DEFAULT_SETTINGS,
        outputs: Outputs = NEW_OUTPUTS,
        segmentationNode: Any = None,
    ) -> None:
        """Start an analysis and return. A signal reports its end.

        Parameters
        ----------
        volumeNode : any
            VtkMRMLScalarVolumeNode A chest CT in Hounsfield units.
        settings : AnalysisSettings
            Profile, classifier and other options.
        outputs : Outputs
            Nodes to fill. None makes a new node.
        segmentationNode : any
            VtkMRMLSegmentationNode Its lungs or lobes are used instead of being found.

        Raises
        ------
        AnalysisError
            An analysis is running already, packages are missing, or the input cannot be used.
        """
        if self.running:
            raise AnalysisError(_("An analysis is running already. Wait until it ends, or cancel it."))
        if volumeNode is None:
            raise AnalysisError(_("No CT is chosen. Load a chest CT and choose it as input."))
        self._ensurePackages(settings)
        folder = self._newFolder()
        try:
            inputs = Inputs(volumeNode, folder, segmentationNode)
            arguments = ["analyze", *inputs.arguments, *settings.arguments()]
            output = ["-o", str(folder / RESULTS_FOLDER), "--progress", "json"]
            job = self._makeJob([*arguments, *output], timerFactory=self._timerFactory)
        except (UnusableInput, OSError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise AnalysisError(str(error)) from error
        self._launch(_Run(job, inputs, folder, volumeNode, outputs, slicer.mrmlScene))

    def analyze(
        self,
        volumeNode: Any,
        settings: AnalysisSettings = DEFAULT_SETTINGS,
        outputs: Outputs = NEW_OUTPUTS,
        segmentationNode: Any = None,
    ) -> AnalysisResult:
        """Like :meth:`start`, but wait for the result. Meanwhile the application handles its events.

        Raises
        ------
        AnalysisError
            As for :meth:`start`, or the analysis failed or was cancelled. ``log`` holds the log of the program.
        """
        self.start(volumeNode, settings, outputs, segmentationNode)
        run = self._run
        try:
            self._background.finish(slicer.app.processEvents)
            if self.running:
                run.job.wait(slicer.app.processEvents)
            self._background.finish(slicer.app.processEvents)
        except BaseException:
            self._endAtOnce()
            raise
        if run.result is None:
            raise run.error or AnalysisError(_("The analysis ended without a result."))
        return run.result

    def cancel(self) -> None:
        """End the running analysis, if there is one, with all its processes."""
        if self._run is not None:
            self._run.cancelled = True
            self._run.job.cancel()

    def cleanup(self) -> None:
        """Cancel a running analysis and delete the files of this session."""
        self.cancel()
        self._background.finish()
        if self._session is not None:
            self._session.cleanup()
            self._session = None

    def _launch(self, run: _Run) -> None:
        run.job.progressed.connect(self.progressed.emit)
        run.job.finished.connect(lambda outcome: self._jobEnded(run, outcome))
        run.observation = run.scene.AddObserver(run.scene.StartCloseEvent, lambda *_caller: self.cancel())
        self._run = run
        self.started.emit()
        self._write(run)

    def _write(self, run: _Run) -> None:
        run.inputs.expectNoChange()
        self._background.run(
            lambda: run.inputs.write(lambda: run.cancelled), lambda written: self._written(run, written)
        )

    def _written(self, run: _Run, written: Future[None]) -> None:
        """Start the child. If the CT was changed meanwhile, write it again."""
        error = written.exception()
        if error is not None:
            run.error = AnalysisError(str(error))
            self._end(run)
        elif run.inputs.changed and not run.cancelled:
            self._write(run)
        else:
            run.job.start()  # it starts no child if it was cancelled

    def _endAtOnce(self) -> None:
        self.cancel()
        self._background.finish()
        if self._run is not None:
            self._run.job.wait()

    def _ensurePackages(self, settings: AnalysisSettings) -> None:
        """Ask for missing packages; for TensorFlow only if there is a classifier."""
        try:
            self._ensure()
            if settings.classifier == NO_CLASSIFIER:
                return
            if settings.classifier is not None:
                self._ensure(classifier=True)
            elif installedClassifiers():
                with contextlib.suppress(InstallDeclined, InstallFailed):  # the report says why there is no diagnosis
                    self._ensure(classifier=True)
        except (InstallDeclined, InstallFailed) as error:
            raise AnalysisError(str(error)) from error

    def _newFolder(self) -> Path:
        if self._session is None:
            parent = slicer.app.temporaryPath
            self._session = tempfile.TemporaryDirectory(prefix="CovidSeverity-", dir=parent, ignore_cleanup_errors=True)
        return Path(tempfile.mkdtemp(dir=self._session.name))

    def _jobEnded(self, run: _Run, outcome: JobOutcome) -> None:
        if outcome.status is JobStatus.SUCCEEDED:
            with _errorsGoTo(run, outcome.log):
                result = ResultImport(run.folder / RESULTS_FOLDER, run.volumeNode)
                self._read(run, result, outcome.log)
                return
        else:
            run.cancelled = outcome.status is JobStatus.CANCELLED
            said = "" if outcome.status is JobStatus.REFUSED else outcome.log  # the message says it all
            run.error = AnalysisError(outcome.message, said)
        self._end(run)

    def _read(self, run: _Run, result: ResultImport, log: str) -> None:
        """Delete the copy of the CT, and read the files of the result, which stay until the end of the session."""

        def read() -> None:
            run.inputs.remove()
            result.read()

        self._background.run(read, lambda ended: self._import(run, result, ended, log))

    def _import(self, run: _Run, result: ResultImport, read: Future[None], log: str) -> None:
        with _errorsGoTo(run, log):
            if run.cancelled:
                raise UnusableResult(_("The analysis was cancelled."))
            read.result()
            run.result = result.finish(run.outputs)
        self._end(run)

    def _end(self, run: _Run) -> None:
        run.scene.RemoveObserver(run.observation)
        self._run = None
        if run.result is not None:
            self.finished.emit(run.result)
            return
        shutil.rmtree(run.folder, ignore_errors=True)
        if run.cancelled:
            self.cancelled.emit()
        else:
            self.failed.emit(run.error.message, run.error.log)


@contextlib.contextmanager
def _errorsGoTo(run: _Run, log: str) -> Iterator[None]:
    """Whatever the error, the panel must learn that the run has ended."""
    try:
        yield
    except UnusableResult as error:
        run.error = AnalysisError(str(error), log)
    except Exception as error:
        logging.getLogger(__name__).exception("the result could not be brought into the scene")
        message = _("The result could not be brought into the scene: {reason}").format(reason=error)
        run.error = AnalysisError(message, traceback.format_exc())
