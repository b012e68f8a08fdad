"""The page of a corrected result: the library draws it in a child process."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.events.Background import Background
from CovidSeveritySlicer.events.Timers import TimerFactory, qtTimer
from CovidSeveritySlicer.scene.ReportFiles import CORRECTED_PAGE
from CovidSeveritySlicer.scene.Result import AnalysisResult
from CovidSeveritySlicer.scene.ResultFiles import REPORT_FILE

from .InputFiles import Inputs, UnusableInput
from .Job import Job, JobOutcome, JobStatus, libraryJob

MASKS_FILE, OUTPUT_FOLDER = "masks.npz", "page"


@dataclass
class _Drawing:
    """What is being drawn. ``then`` gets the page, or None and the reason why there is none."""

    folder: Path
    then: Callable[[Path | None, str], None]
    job: Job | None = field(default=None)


class CorrectedPage:
    """Draws one page at a time. A thread writes the files for the child.

    Parameters
    ----------
    timerFactory, makeJob : callable
        As for :class:`~.ChildLogic.ChildLogic`.
    """

    def __init__(self, timerFactory: TimerFactory = qtTimer, makeJob: Callable[..., Job] = libraryJob) -> None:
        self._timerFactory = timerFactory
        self._makeJob = makeJob
        self._background = Background(timerFactory)
        self._drawing: _Drawing | None = None

    def draw(
        self,
        result: AnalysisResult,
        writeMasks: Callable[[Path], None],
        then: Callable[[Path | None, str], None],
    ) -> None:
        """Start drawing and return.

        Parameters
        ----------
        result : AnalysisResult
            Corrected result. Its CT is needed.
        writeMasks : callable
            Writes the corrected masks to a path, in a thread.
        then : callable
            Gets the page, which exists until it returns, or None and the reason why there is none.
        """
        if result.volumeNode is None or result.volumeNode.GetScene() is None:
            then(None, _("The CT is no longer in the scene."))
            return
        folder = Path(tempfile.mkdtemp(prefix="CovidSeverity-", dir=slicer.app.temporaryPath))
        drawing = _Drawing(folder, then)
        self._drawing = drawing
        try:
            inputs = Inputs(result.volumeNode, folder)
            files = ["--masks", str(folder / MASKS_FILE), "--report", str(folder / REPORT_FILE)]
            options = ["-o", str(folder / OUTPUT_FOLDER), "--progress", "json"]
            arguments = ["corrected", *inputs.arguments, *files, *options]
            drawing.job = self._makeJob(
                arguments, work=_("The drawing of the corrected report"), timerFactory=self._timerFactory
            )
        except (UnusableInput, OSError) as error:
            self._end(drawing, None, str(error))
            return
        drawing.job.finished.connect(lambda outcome: self._onDrawn(drawing, outcome))
        report = result.report

        def write() -> None:
            """Write the files for the child."""
            inputs.write()
            writeMasks(folder / MASKS_FILE)
            (folder / REPORT_FILE).write_text(json.dumps(report), encoding="utf-8")

        self._background.run(write, lambda written: self._onWritten(drawing, written))

    def finish(self) -> None:
        """Wait for the page that is being drawn."""
        self._background.finish()
        if self._drawing is not None:
            self._drawing.job.wait()

    def _onWritten(self, drawing: _Drawing, written: Future[None]) -> None:
        error = written.exception()
        if error is None:
            drawing.job.start()
        else:
            self._end(drawing, None, str(error))

    def _onDrawn(self, drawing: _Drawing, outcome: JobOutcome) -> None:
        page = drawing.folder / OUTPUT_FOLDER / CORRECTED_PAGE
        if outcome.status is JobStatus.SUCCEEDED and page.is_file():
            self._end(drawing, page, "")
        else:
            self._end(drawing, None, outcome.message)

    def _end(self, drawing: _Drawing, page: Path | None, problem: str) -> None:
        self._drawing = None
        try:
            drawing.then(page, problem)
        finally:
            shutil.rmtree(drawing.folder, ignore_errors=True)
