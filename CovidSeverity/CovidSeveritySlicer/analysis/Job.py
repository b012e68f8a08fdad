"""An analysis in a child process: started, heard, cancelled and ended without ever holding up the application."""

from __future__ import annotations

import atexit
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from slicer.i18n import tr as _

from CovidSeveritySlicer.events.Signal import Signal
from CovidSeveritySlicer.events.Timers import TimerFactory, qtTimer

from .ChildOutput import BoundedLog, ChildOutput, Line, Stream, parseProgress
from .ChildPython import childEnvironment, libraryCommand, libraryRoot, pythonCommand
from .JobOutcome import JobOutcome, JobStatus, judge
from .ProcessTree import ProcessTree

__all__ = [
    "Job",
    "JobOutcome",
    "JobStatus",
    "childEnvironment",
    "libraryCommand",
    "libraryJob",
    "libraryRoot",
    "pythonCommand",
]

POLL_MS = 50
"""How often the child is looked after: a progress bar moves smoothly."""

DRAIN_S = 0.02
"""Longest time per look that goes into the child's output: a flood of it does not freeze the application."""

WAIT_STEP_S = 0.02
"""How long a caller that waits sleeps between two looks."""

GRACE_S = 2.0
"""After this time a cancelled child that has not ended by itself is killed."""

LAST_WORDS_S = 1.0
"""How long the output of a child that has ended may still come, from a process that it left behind."""

ERROR_LINES = 60
"""Of these last lines of standard error the reason of a failure is told: a trace of the fault handler fits."""


class Job:
    """One run of a command, once.

    Its signals are emitted from :meth:`poll` only, which a timer calls in the thread of the application.

    Parameters
    ----------
    command : program and arguments.
    environment : all variables of the child; None for those of this process.
    folder : where the child starts; None for the current folder.
    timerFactory : makes the timer that looks after the child.

    Attributes
    ----------
    progressed : ``(stage: str, done: int, total: int)`` for every progress line of the child, 0 <= done <= total.
    finished : ``(outcome: JobOutcome)``, once, whatever happened.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        folder: Path | None = None,
        timerFactory: TimerFactory = qtTimer,
    ) -> None:
        self.progressed = Signal()
        self.finished = Signal()
        self._surroundings = (list(command), environment, folder)
        self._timer = timerFactory(POLL_MS, self.poll)
        self._tree: ProcessTree | None = None
        self._output: ChildOutput | None = None
        self._outcome: JobOutcome | None = None
        self._log, self._errors = BoundedLog(), deque(maxlen=ERROR_LINES)
        self._failure = ""
        self._started = self._cancelled = self._polling = self._killed = False
        self._killAt = self._finishAt = float("inf")

    @property
    def running(self) -> bool:
        """From :meth:`start` until ``finished`` is about to be emitted."""
        return self._started and self._outcome is None

    @property
    def outcome(self) -> JobOutcome | None:
        """How it ended; None before."""
        return self._outcome

    def start(self) -> None:
        """Start the child and return; whether that went well is told by ``finished``.

        Raises
        ------
        RuntimeError
            It was started before.
        """
        if self._started:
            raise RuntimeError("this job was started before; make a new one")
        self._started = True
        if not self._cancelled:
            self._startTree()
        self._timer.start()

    def cancel(self) -> None:
        """Ask the child and all that it started to end, and return; ``finished`` follows when they have.

        They are killed if they take too long. Before the start it keeps the child from being started; after the end,
        and the second time, it does nothing.
        """
        if self._cancelled or self._outcome is not None:
            return
        self._cancelled = True
        if self._tree is not None:
            self._tree.terminate()
            self._killAt = time.monotonic() + GRACE_S

    def poll(self) -> None:
        """Emit what the child has said since the last time, and ``finished`` when all is over."""
        if self._polling or not self.running:
            return
        self._polling = True
        try:
            self._hear()
            outcome = self._ending()
            if outcome is not None:
                self._finish(outcome)
        finally:
            self._polling = False

    def wait(self, onIdle: Callable[[], None] | None = None) -> JobOutcome:
        """Return when the job has ended; ``onIdle`` is called again and again meanwhile.

        An exception, of ``onIdle``, of a slot or of a user who presses Ctrl-C, cancels the job at once.

        Raises
        ------
        RuntimeError
            It was not started, or one of its own slots waits for it.
        """
        if self._outcome is not None:
            return self._outcome
        if not self._started or self._polling:
            raise RuntimeError("only a job that was started can be waited for, and not from its own signals")
        try:
            while self._outcome is None:
                self.poll()
                if onIdle is not None:
                    onIdle()
                if self._outcome is None:
                    time.sleep(WAIT_STEP_S)
        except BaseException:
            self._endAtOnce()
            raise
        return self._outcome

    def _startTree(self) -> None:
        try:
            self._tree = ProcessTree(*self._surroundings)
        except (OSError, ValueError) as error:
            self._failure = str(error)
            return
        self._output = ChildOutput(self._tree.stdout, self._tree.stderr)
        atexit.register(self._tree.kill)

    def _hear(self) -> None:
        until = time.monotonic() + DRAIN_S
        for line in self._output.take() if self._output is not None else ():
            self._hearLine(line)
            if time.monotonic() > until:
                return

    def _hearLine(self, line: Line) -> None:
        progress = parseProgress(line)
        if progress is not None:
            if not self._cancelled:
                self.progressed.emit(*progress)
            return
        self._log.add(line.text)
        if line.stream is Stream.ERRORS:
            self._errors.append(line.text)

    def _ending(self) -> JobOutcome | None:
        """The outcome, once there is nothing left to wait for."""
        if self._tree is None:
            return self._cancelledOutcome() if self._cancelled else self._notStartedOutcome()
        now, exitCode = time.monotonic(), self._tree.exitCode
        # What a child leaves behind is killed with it; a cancelled one, whose launcher is gone first, gets its time.
        if not self._killed and (now >= self._killAt or (exitCode is not None and not self._cancelled)):
            self._tree.kill()
            self._killed, self._finishAt = True, now + LAST_WORDS_S
        if now < self._finishAt and not (exitCode is not None and self._output.ended):
            return None
        if self._cancelled:
            return self._cancelledOutcome()
        status, message = judge(exitCode, self._errors)
        return JobOutcome(status, message, self._log.text, exitCode)

    def _cancelledOutcome(self) -> JobOutcome:
        exitCode = None if self._tree is None else self._tree.exitCode
        return JobOutcome(JobStatus.CANCELLED, _("The analysis was cancelled."), self._log.text, exitCode)

    def _notStartedOutcome(self) -> JobOutcome:
        message = _("The analysis could not be started: {reason}").format(reason=self._failure)
        return JobOutcome(JobStatus.NOT_STARTED, message, self._failure, None)

    def _finish(self, outcome: JobOutcome) -> None:
        self._timer.stop()
        self._outcome = outcome
        if self._tree is not None:
            self._tree.kill()
            self._output.abandon()
            atexit.unregister(self._tree.kill)
        # PythonQt keeps a timer and what it calls, this job, for ever: whoever listened must not be kept with them.
        finished, self.progressed, self.finished = self.finished, Signal(), Signal()
        finished.emit(outcome)

    def _endAtOnce(self) -> None:
        if self._outcome is not None:
            return
        self._cancelled = True
        if self._tree is not None:
            self._tree.kill()
            until = time.monotonic() + LAST_WORDS_S
            while self._tree.exitCode is None and time.monotonic() < until:
                time.sleep(WAIT_STEP_S)
        self._finish(self._cancelledOutcome())


def libraryJob(arguments: Sequence[str], *, timerFactory: TimerFactory = qtTimer) -> Job:
    """A job that runs the library's command.

    Parameters
    ----------
    arguments : such as ``["analyze", ..., "--progress", "json"]``; paths are absolute.
    timerFactory : makes the timer that looks after the child.

    Raises
    ------
    FileNotFoundError
        Slicer's Python or the library is not where it should be.
    """
    command = [*libraryCommand(), *arguments]
    return Job(command, childEnvironment(), folder=libraryRoot(), timerFactory=timerFactory)
