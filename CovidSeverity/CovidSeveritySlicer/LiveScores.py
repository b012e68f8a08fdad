"""The score of every result in the scene follows its segmentation, whether the panel shows it or not."""

from __future__ import annotations

from typing import Any

import slicer

from .LiveScore import LiveScore
from .Result import AnalysisResult
from .SceneBridge import resultOf
from .Signal import Signal
from .Timers import TimerFactory, qtTimer


class LiveScores:
    """One :class:`~.LiveScore.LiveScore` for every result.

    Signals
    -------
    changed(segmentationNode) : a result was corrected, or is automatic again.
    """

    def __init__(self, timerFactory: TimerFactory = qtTimer) -> None:
        self.changed = Signal()
        self._timerFactory = timerFactory
        self._scores: dict[str, LiveScore] = {}
        self._observations: list[tuple[Any, int]] = []

    def followScene(self) -> None:
        """Follow every result in the scene, now and when another scene is loaded."""
        scene = slicer.mrmlScene
        if not self._observations:
            for event, slot in (
                (scene.EndImportEvent, lambda *_caller: self._followAll()),
                (scene.StartCloseEvent, lambda *_caller: self._forgetAll()),
            ):
                self._observations.append((scene, scene.AddObserver(event, slot)))
        self._followAll()

    def follow(self, result: AnalysisResult) -> None:
        """Follow one result; what it was before, in the same segmentation, is forgotten."""
        nodeID = result.segmentationNode.GetID()
        self._forget(nodeID)
        score = LiveScore(self._timerFactory)
        score.changed.connect(lambda _corrected: self.changed.emit(result.segmentationNode))
        self._scores[nodeID] = score
        score.follow(result)

    def corrected(self, segmentationNode: Any) -> Any:
        """The corrected numbers of a result, a :class:`~.LiveScore.Corrected`; None where nothing was corrected.

        Parameters
        ----------
        segmentationNode : vtkMRMLSegmentationNode of the result.
        """
        score = self._scores.get(segmentationNode.GetID())
        return None if score is None else score.corrected

    def stop(self) -> None:
        """Follow nothing any more."""
        self._forgetAll()
        for scene, tag in self._observations:
            scene.RemoveObserver(tag)
        self._observations.clear()

    def _followAll(self) -> None:
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
            result = None if node.GetID() in self._scores else resultOf(node)
            if result is not None:
                self.follow(result)

    def _forgetAll(self) -> None:
        for nodeID in tuple(self._scores):
            self._forget(nodeID)

    def _forget(self, nodeID: str) -> None:
        score = self._scores.pop(nodeID, None)
        if score is not None:
            score.stop()
