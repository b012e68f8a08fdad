"""The logic as Slicer knows it: ``slicer.util.getModuleLogic("CovidSeverity")``."""

from __future__ import annotations

from typing import Any

from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from .analysis.AnalysisLogic import AnalysisLogic
from .corrections.LiveScores import LiveScores
from .events.Timers import qtTimer
from .Parameters import CovidSeverityParameters


class CovidSeverityLogic(AnalysisLogic, ScriptedLoadableModuleLogic):
    """Analyses volumes, and keeps the scores of corrected segmentations up to date.

    Parameters
    ----------
    **parts : dict
        Arguments of :class:`~.AnalysisLogic.AnalysisLogic`.
    """

    def __init__(self, **parts: Any) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        AnalysisLogic.__init__(self, **parts)
        self._parameters: CovidSeverityParameters | None = None
        self.liveScores = LiveScores(parts.get("timerFactory", qtTimer))
        self.finished.connect(self.liveScores.follow)
        self.liveScores.followScene()

    def getParameterNode(self) -> CovidSeverityParameters:
        """Parameters of the panel in this scene: one object for each parameter node.

        In Slicer 5.10 the object leaves observers on the node. If Python collects the object while the node lives, the
        next change of the node crashes Slicer.
        """
        node = ScriptedLoadableModuleLogic.getParameterNode(self)
        if self._parameters is None or self._parameters.parameterNode is not node:
            self._parameters = CovidSeverityParameters(node)
        return self._parameters

    def cleanup(self) -> None:
        """Cancel a running analysis, follow no result any more, delete the files of this session."""
        self.liveScores.stop()
        AnalysisLogic.cleanup(self)
