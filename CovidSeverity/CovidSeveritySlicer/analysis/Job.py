"""A command in a child process. Starting, reading, cancelling and ending it never block the application."""

from __future__ import annotations

import atexit
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from slicer.i18n import tr as _

from CovidSeveritySlicer.events.Signal import Signal
from CovidSeveritySlicer.events.Timers import TimerFactory, qtTimer

from .ChildOutput import BoundedLog, ChildOutput, Line, Stream, parseCases, parseProgress
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
"""Interval between two polls of the child. The progress bar moves smoothly."""

DRAIN_S = 0.02
"""Longest time that one poll spends on output. A flood of output does not freeze the application."""

WAIT_STEP_S = 0.02
"""Sleep between two polls in :meth:`Job.wait`."""

GRACE_S = 2.0
"""A cancelled child that has not ended after this time is killed."""

LATE_OUTPUT_S = 1.0
"""How long to wait for output after the child has ended: a process that it left behind may still write."""

ERROR_LINES = 60
"""Last lines of standard error in which the reason for a failure is looked for. A trace of the fault handler fits."""


class Job:
    """One run of a command.

    A timer calls :meth:`poll` in the thread of the application. Only there signals are emitted.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.
    environment : Mapping or None
        Environment variables of the child. None: those of this process.
    folder : Path or None
        Working folder of the child. None: the current folder.
    work : str or None
        What the command does, at the beginning of a sentence, for example "The download". None: "The program".
    timerFactory : TimerFactory
        Makes the timer that polls the child.

    Attributes
    ----------
    work : str
        What the command does.
    progressed : Signal
        ``(stage: str, done: int, total: int)`` for every progress line of the child, 0 <= done <= total.
    counted : Signal
        ``(cases: CaseProgress)`` for every progress line that counts the cases of a batch.
    said : Signal
        ``(line: str)`` for every line on standard error.
    finished : Signal
        ``(outcome: JobOutcome)``, once.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        folder: Path | None = None,
        work: str | None = None,
        timerFactory: TimerFactory = qtTimer,
    ) -> None:
        self.progressed, self.counted, self.said, self.finished = (Signal() for _n in range(4))
        self.work = work or _("The program")
        self._processArguments = (list(command), environment, folder)
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
        """How it ended; None while it runs."""
        return self._outcome

    def start(self) -> None:
        """Start the child and return. If that fails, ``finished`` reports it.

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

    def cancel(self, graceS: float | None = None) -> None:
        """Ask the child and its processes to end, and return. ``finished`` is emitted when they have ended.

        Before the start, the child is never started. After the end nothing happens. A second time can only shorten the
        patience.

        Parameters
        ----------
        graceS : float or None
            They are killed after this time, s. None: after :data:`GRACE_S`.
        """
        if self._outcome is not None:
            return
        first, self._cancelled = not self._cancelled, True
        if self._tree is not None:
            self._killAt = min(self._killAt, time.monotonic() + (GRACE_S if graceS is None else graceS))
            if first:
                self._tree.terminate()

    def poll(self) -> None:
        """Emit the progress since the last poll, and ``finished`` after the end."""
        if self._polling or not self.running:
            return
        self._polling = True
        try:
            self._readOutput()
            outcome = self._ending()
            if outcome is not None:
                self._finish(outcome)
        finally:
            self._polling = False

    def wait(self, onIdle: Callable[[], None] | None = None) -> JobOutcome:
        """Return when the job has ended. Until then ``onIdle`` is called repeatedly.

        An exception in ``onIdle`` or in a slot, or Ctrl-C, ends the job at once.

        Raises
        ------
        RuntimeError
            It was not started, or one of its own slots calls this.
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
            self._tree = ProcessTree(*self._processArguments)
        except (OSError, ValueError) as error:
            self._failure = str(error)
            return
        self._output = ChildOutput(self._tree.stdout, self._tree.stderr)
        atexit.register(self._tree.kill)

    def _readOutput(self) -> None:
        until = time.monotonic() + DRAIN_S
        for line in self._output.take() if self._output is not None else ():
            self._readLine(line)
            if time.monotonic() > until:
                return

    def _readLine(self, line: Line) -> None:
        progress = parseProgress(line)
        if progress is not None:
            if not self._cancelled:
                self.progressed.emit(*progress)
                self._count(line)
            return
        self._log.add(line.text)
        if line.stream is Stream.ERRORS:
            self._errors.append(line.text)
            self.said.emit(line.text)

    def _count(self, line: Line) -> None:
        cases = parseCases(line)
        if cases is not None:
            self.counted.emit(cases)

    def _ending(self) -> JobOutcome | None:
        """The outcome; None while there is something to wait for."""
        if self._tree is None:
            return self._cancelledOutcome() if self._cancelled else self._notStartedOutcome()
        now, exitCode = time.monotonic(), self._tree.exitCode
        # Processes that a child leaves behind are killed. If it was cancelled, they get time: its launcher ends first.
        if not self._killed and (now >= self._killAt or (exitCode is not None and not self._cancelled)):
            self._tree.kill()
            self._killed, self._finishAt = True, now + LATE_OUTPUT_S
        if now < self._finishAt and not (exitCode is not None and self._output.ended):
            return None
        if self._cancelled:
            return self._cancelledOutcome()
        status, message = judge(exitCode, self._errors, self.work)
        return JobOutcome(status, message, self._log.text, exitCode)

    def _cancelledOutcome(self) -> JobOutcome:
        exitCode = None if self._tree is None else self._tree.exitCode
        message = _("{work} was cancelled.").format(work=self.work)
        return JobOutcome(JobStatus.CANCELLED, message, self._log.text, exitCode)

    def _notStartedOutcome(self) -> JobOutcome:
        message = _("{work} could not be started: {reason}").format(work=self.work, reason=self._failure)
        return JobOutcome(JobStatus.NOT_STARTED, message, self._failure, None)

    def _finish(self, outcome: JobOutcome) -> None:
        self._timer.stop()
        self._outcome = outcome
        if self._tree is not None:
            self._tree.kill()
            self._output.abandon()
            atexit.unregister(self._tree.kill)
        # PythonQt never releases a timer and its function, hence this job. Its listeners must not be kept with it.
        finished = self.finished
        self.progressed, self.counted, self.said, self.finished = (Signal() for _n in range(4))
        finished.emit(outcome)

    def _endAtOnce(self) -> None:
        if self._outcome is not None:
            return
        self._cancelled = True
        if self._tree is not None:
            self._tree.kill()
            until = time.monotonic() + LATE_OUTPUT_S
            while self._tree.exitCode is None and time.monotonic() < until:
                time.sleep(WAIT_STEP_S)
        self._finish(self._cancelledOutcome())


def libraryJob(arguments: Sequence[str], *, work: str | None = None, timerFactory: TimerFactory = qtTimer) -> Job:
    """A job that runs the library's command.

    Parameters
    ----------
    arguments : sequence of str
        For example ``["analyze", ..., "--progress", "json"]``. Paths are absolute.
    work : str or None
        As for :class:`Job`.
    timerFactory : TimerFactory
        Makes the timer that polls the child.

    Raises
    ------
    FileNotFoundError
        Slicer's Python or the library was not found.
    """
    command = [*libraryCommand(), *arguments]
    return Job(command, childEnvironment(), folder=libraryRoot(), work=work, timerFactory=timerFactory)
