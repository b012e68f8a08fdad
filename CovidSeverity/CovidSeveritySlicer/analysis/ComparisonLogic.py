"""What changed since an earlier result: the library compares two results in a child process. No GUI."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.scene.Comparison import ComparisonImport, ComparisonResult
from CovidSeveritySlicer.scene.ReportFiles import Report
from CovidSeveritySlicer.scene.ResultFiles import REPORT_FILE, SEGMENTATION_FILE

from .ChildLogic import AnalysisError, ChildLogic, Run

BEFORE_FOLDER, AFTER_FOLDER, OUTPUT_FOLDER = "before", "after", "comparison"
"""Names that say nothing of the patient: the comparison contains them."""


@dataclass(kw_only=True)
class _Run(Run):
    volumeNode: Any


class ComparisonLogic(ChildLogic):
    """Compares one pair of results at a time. A thread writes and reads the files.

    Its ``finished`` has a :class:`~CovidSeveritySlicer.scene.Comparison.ComparisonResult`.
    """

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
        job = self._makeJob(arguments, work=_("The comparison"), timerFactory=self._timerFactory)
        run = _Run(job=job, folder=folder, volumeNode=volumeNode)
        self._begin(run)

        def write() -> None:
            """Write the results that are in the scene."""
            if not isinstance(before, Path):
                before.save(earlier)
            after.save(later)

        self._write(run, write)

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
        self._waitFor(run)
        if run.result is None:
            raise run.error or AnalysisError(_("The comparison was cancelled."))
        return run.result

    def _arrival(self, run: _Run) -> ComparisonImport:
        return ComparisonImport(run.folder / OUTPUT_FOLDER, run.volumeNode)

    def _unwritten(self, error: BaseException) -> str:
        return _("The results cannot be compared: {reason}").format(reason=error)

    def _tidy(self, run: _Run) -> None:
        shutil.rmtree(run.folder, ignore_errors=True)


def _checkResult(folder: Path) -> None:
    if not all((folder / name).is_file() for name in (REPORT_FILE, SEGMENTATION_FILE)):
        text = _("The folder has no result of CovidSeverity ({report} and {segmentation}). Choose a saved report.")
        raise AnalysisError(text.format(report=REPORT_FILE, segmentation=SEGMENTATION_FILE))
