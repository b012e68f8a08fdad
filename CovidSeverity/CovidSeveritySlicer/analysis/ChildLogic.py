"""What the logics have in common that run the library's command in a child process, one run at a time. No GUI."""

from __future__ import annotations

import contextlib
import logging
import shutil
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.events.Background import Background
from CovidSeveritySlicer.events.Signal import Signal
from CovidSeveritySlicer.events.Timers import TimerFactory, qtTimer
from CovidSeveritySlicer.scene.ResultFiles import UnusableResult

from .Job import Job, JobOutcome, JobStatus, libraryJob


class AnalysisError(RuntimeError):
    """A run that failed: one sentence, and the log of the program."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.log = log


class Arrival(Protocol):
    """What a child has made, on its way to the user."""

    def read(self) -> None:
        """Read its files. A thread calls this."""

    def finish(self) -> Any:
        """The result of the run. The thread of the application calls this, and may change the scene."""


@dataclass(kw_only=True)
class Run:
    """One run of the command.

    Parameters
    ----------
    job : Job
        The child.
    folder : Path
        Files of this run. They are deleted when it ends without a result.
    """

    job: Job
    folder: Path
    cancelled: bool = False
    result: Any = None
    error: AnalysisError | None = None


class ChildLogic(ABC):
    """Runs the command: a thread writes files for the child, the child works, a thread reads what it has made.

    Signals
    -------
    progressed(stage: str, done: int, total: int)
        The library reports progress.
    finished(result), failed(message: str, log: str), cancelled()
        The run has ended. Exactly one of the three is emitted.

    Parameters
    ----------
    timerFactory : TimerFactory
        Makes the timers that look after threads and the child.
    makeJob : callable
        Makes the job that runs the library's command with given arguments, as :func:`~.Job.libraryJob`.
    """

    def __init__(self, timerFactory: TimerFactory = qtTimer, makeJob: Callable[..., Job] = libraryJob) -> None:
        self.progressed = Signal()
        self.finished = Signal()
        self.failed = Signal()
        self.cancelled = Signal()
        self._timerFactory = timerFactory
        self._makeJob = makeJob
        self._background = Background(timerFactory)
        self._run: Any = None

    @property
    def running(self) -> bool:
        """Whether a run has begun and not ended."""
        return self._run is not None

    def cancel(self) -> None:
        """End the current run, if there is one, with all its processes."""
        self._cancel(None)

    def cleanup(self) -> None:
        """Cancel the current run and wait for its end."""
        self._endAtOnce()
        self._background.finish()

    @abstractmethod
    def _arrival(self, run: Any) -> Arrival:
        """What a child that ended well has made. An :class:`UnusableResult` ends the run."""

    def _unwritten(self, error: BaseException) -> str:
        """The sentence for files that could not be written for the child."""
        return str(error)

    def _tidy(self, run: Any) -> None:
        """The run has ended: delete what it leaves behind."""
        if run.result is None:
            shutil.rmtree(run.folder, ignore_errors=True)

    def _cancel(self, patienceS: float | None) -> None:
        if self._run is not None:
            self._run.cancelled = True
            self._run.job.cancel(patienceS)

    def _begin(self, run: Any) -> None:
        run.job.progressed.connect(self.progressed.emit)
        run.job.finished.connect(lambda outcome: self._jobEnded(run, outcome))
        self._run = run

    def _write(self, run: Any, write: Callable[[], None]) -> None:
        """Write the files for the child in a thread, then start it."""
        self._background.run(write, lambda written: self._written(run, written))

    def _written(self, run: Any, written: Future[None]) -> None:
        error = written.exception()
        if error is None:
            run.job.start()  # it starts no child if it was cancelled
        else:
            run.error = AnalysisError(self._unwritten(error))
            self._end(run)

    def _waitFor(self, run: Any) -> None:
        """Return when the run has ended. Until then the application handles its events. An error in them ends it."""
        try:
            self._background.finish(slicer.app.processEvents)
            if self.running:
                run.job.wait(slicer.app.processEvents)
            self._background.finish(slicer.app.processEvents)
        except BaseException:
            self._endAtOnce()
            self._background.finish()
            raise

    def _endAtOnce(self) -> None:
        self.cancel()
        self._background.finish()
        if self._run is not None:
            self._run.job.wait()

    def _jobEnded(self, run: Any, outcome: JobOutcome) -> None:
        if outcome.status is JobStatus.SUCCEEDED:
            with _errorsGoTo(run, outcome.log):
                arrival = self._arrival(run)
                self._background.run(arrival.read, lambda read: self._arrived(run, arrival, read, outcome.log))
                return
        else:
            run.cancelled = outcome.status is JobStatus.CANCELLED
            said = "" if outcome.status is JobStatus.REFUSED else outcome.log  # the message says it all
            run.error = AnalysisError(outcome.message, said)
        self._end(run)

    def _arrived(self, run: Any, arrival: Arrival, read: Future[None], log: str) -> None:
        with _errorsGoTo(run, log):
            if run.cancelled:
                raise UnusableResult(_("{work} was cancelled.").format(work=run.job.work))
            read.result()
            run.result = arrival.finish()
        self._end(run)

    def _end(self, run: Any) -> None:
        self._run = None
        self._tidy(run)
        if run.result is not None:
            self.finished.emit(run.result)
        elif run.cancelled:
            self.cancelled.emit()
        else:
            self.failed.emit(run.error.message, run.error.log)


@contextlib.contextmanager
def _errorsGoTo(run: Any, log: str) -> Iterator[None]:
    """Whatever the error, the panel must learn that the run has ended."""
    try:
        yield
    except UnusableResult as error:
        run.error = AnalysisError(str(error), log)
    except Exception as error:
        logging.getLogger(__name__).exception("the result could not be brought into the scene")
        message = _("The result could not be brought into the scene: {reason}").format(reason=error)
        run.error = AnalysisError(message, traceback.format_exc())
