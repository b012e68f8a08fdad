"""What the module can do: analyses, comparisons, batches, and the live score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .analysis.AnalysisLogic import AnalysisLogic
from .analysis.BatchLogic import BatchLogic
from .analysis.CaseLoader import CaseLoader
from .analysis.ComparisonLogic import ComparisonLogic
from .analysis.Install import ensurePackages
from .analysis.ModelDownloads import ModelDownloads
from .corrections.CorrectedSegmentation import correctedSegmentationWriter
from .corrections.LiveScores import LiveScores
from .events.Timers import qtTimer
from .scene.Comparison import ComparisonResult
from .scene.ReportFiles import Report
from .scene.Result import AnalysisResult


class ModuleLogic(AnalysisLogic):
    """Analyses volumes, and keeps the scores of corrected segmentations up to date.

    Parameters
    ----------
    **parts : dict
        Arguments of :class:`~.AnalysisLogic.AnalysisLogic`.
    """

    def __init__(self, **parts: Any) -> None:
        AnalysisLogic.__init__(self, **parts)
        timerFactory = parts.get("timerFactory", qtTimer)
        self.comparisons = ComparisonLogic(timerFactory)
        self.batches = BatchLogic(timerFactory, ensure=parts.get("ensure", ensurePackages))
        self.cases = CaseLoader(timerFactory)
        self.downloads = ModelDownloads(timerFactory)
        self.liveScores = LiveScores(timerFactory)
        self.finished.connect(self.liveScores.follow)
        self.cases.loaded.connect(self.liveScores.follow)

    def compare(self, before: str | Path | AnalysisResult, after: AnalysisResult) -> ComparisonResult:
        """What changed from an earlier result to a later one of the same person. Waits for the comparison.

        Parameters
        ----------
        before : str, Path or AnalysisResult
            Folder with the earlier result, as *Save report* or ``covid-severity analyze`` writes it, or a result of the
            scene. Corrections count.
        after : AnalysisResult
            The later result. Its CT is in the scene.

        Returns
        -------
        ComparisonResult
            New, resolved and persistent opacity as segments on the later CT, and a table of the changes by lobe.

        Raises
        ------
        AnalysisError
            The results cannot be compared. ``log`` holds the log of the program.
        """
        self.startComparison(before, after)
        return self.comparisons.wait()

    def startComparison(self, before: str | Path | AnalysisResult, after: AnalysisResult) -> None:
        """Like :meth:`compare`, but return at once. A signal of ``comparisons`` reports the end.

        Raises
        ------
        AnalysisError
            As for :meth:`compare`, but only where it is known before the comparison.
        """
        self.liveScores.update()
        earlier = self._reportOf(before) if isinstance(before, AnalysisResult) else Path(before)
        self.comparisons.start(earlier, self._reportOf(after), after.volumeNode)

    def _reportOf(self, result: AnalysisResult) -> Report:
        corrected = self.liveScores.corrected(result.segmentationNode)
        return Report(result, corrected, None if corrected is None else correctedSegmentationWriter(result))

    def cleanup(self) -> None:
        """Cancel what is running, follow no result any more, delete the files of this session."""
        self.comparisons.cleanup()
        self.batches.cleanup()
        self.cases.cleanup()
        self.downloads.cleanup()
        self.liveScores.stop()
        AnalysisLogic.cleanup(self)
