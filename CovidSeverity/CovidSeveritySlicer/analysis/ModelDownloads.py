"""Models that the library's command downloads in a child process, one after the other. No GUI."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from slicer.i18n import tr as _

from CovidSeveritySlicer.events.Signal import Signal
from CovidSeveritySlicer.events.Timers import TimerFactory, qtTimer

from .ChildLogic import AnalysisError
from .Job import Job, JobOutcome, JobStatus, libraryJob


class ModelDownloads:
    """Downloads the models of one request at a time.

    A model is installed when its checksum is right, or not at all. What a cancelled download has received is kept, and
    the next one goes on from there.

    Signals
    -------
    progressed(name: str, done: int, total: int)
        Bytes of the model ``name``.
    listed(name: str, paths: tuple of str)
        The files in the folder of the authors of the model ``name``.
    finished(), failed(message: str, log: str), cancelled()
        The request has ended. For each request exactly one of these three, or ``listed``, is emitted.

    Parameters
    ----------
    timerFactory, makeJob : callable
        As for :class:`~.ChildLogic.ChildLogic`.
    """

    def __init__(self, timerFactory: TimerFactory = qtTimer, makeJob: Callable[..., Job] = libraryJob) -> None:
        self.progressed, self.listed, self.finished, self.failed, self.cancelled = (Signal() for _n in range(5))
        self._timerFactory = timerFactory
        self._makeJob = makeJob
        self._job: Job | None = None
        self._log = ""

    @property
    def running(self) -> bool:
        """Whether a request has begun and not ended."""
        return self._job is not None

    def start(self, names: Sequence[str], path: str | None = None) -> None:
        """Start downloading and return. A signal reports the end. The user has agreed to it.

        Parameters
        ----------
        names : sequence of str
            Models, as ``models list`` calls them. At least one.
        path : str or None
            File in the folder of the authors, as :meth:`listFiles` finds them. None: the model has one file.

        Raises
        ------
        AnalysisError
            A request is running already, or the library's command was not found.
        """
        chosen = [] if path is None else ["--file", path]
        requests = [["download", name, "--yes", "--progress", "json", *chosen] for name in names]
        self._begin(requests, _("The download"), self.finished.emit)

    def listFiles(self, name: str) -> None:
        """Ask for the files in the folder of a model's authors and return. The user has agreed to it.

        Parameters
        ----------
        name : str
            The model.

        Raises
        ------
        AnalysisError
            As for :meth:`start`.
        """
        work = _("The request for the list of files")
        self._begin([["files", name, "--yes", "--json"]], work, lambda: self.listed.emit(name, self._paths))

    def cancel(self) -> None:
        """End the current request, if there is one."""
        if self._job is not None:
            self._job.cancel()

    def cleanup(self) -> None:
        """Cancel the current request and wait for its end."""
        if self._job is not None:
            self._job.cancel()
            self._job.wait()

    def _begin(self, requests: list[list[str]], work: str, then: Callable[[], None]) -> None:
        if self.running:
            raise AnalysisError(_("A download is running already. Wait until it ends, or cancel it."))
        try:
            self._next(requests, work, then)
        except OSError as error:
            raise AnalysisError(str(error)) from error

    def _next(self, requests: list[list[str]], work: str, then: Callable[[], None]) -> None:
        request, others = requests[0], requests[1:]
        job = self._makeJob(["models", *request], work=work, timerFactory=self._timerFactory)
        job.progressed.connect(lambda _stage, done, total: self.progressed.emit(request[1], done, total))
        job.finished.connect(lambda outcome: self._ended(outcome, others, work, then))
        self._job = job
        job.start()

    def _ended(self, outcome: JobOutcome, others: list[list[str]], work: str, then: Callable[[], None]) -> None:
        self._job = None
        if outcome.status is JobStatus.CANCELLED:
            self.cancelled.emit()
        elif outcome.status is not JobStatus.SUCCEEDED:
            self.failed.emit(outcome.message, "" if outcome.status is JobStatus.REFUSED else outcome.log)
        elif others:
            self._next(others, work, then)
        else:
            self._log = outcome.log
            then()

    @property
    def _paths(self) -> tuple[str, ...]:
        """The files that the command has listed: the object of JSON in its output."""
        listed = self._log[self._log.index("{") : self._log.rindex("}") + 1]
        return tuple(file["path"] for file in json.loads(listed)["files"])
