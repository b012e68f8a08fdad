"""Live scores of all results in the scene, also of those that the panel does not show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.events.Signal import Signal
from CovidSeveritySlicer.events.Timers import TimerFactory, qtTimer
from CovidSeveritySlicer.scene.Result import AnalysisResult
from CovidSeveritySlicer.scene.SceneBridge import resultOf

from .LiveScore import Corrected, LiveScore
from .ResultScorer import ResultScorer


class LiveScores:
    """One :class:`~.LiveScore.LiveScore` for each result.

    Signals
    -------
    changed(segmentationNode)
        A result was corrected, is automatic again, or cannot be scored.
    """

    def __init__(self, timerFactory: TimerFactory = qtTimer) -> None:
        self.changed = Signal()
        self._timerFactory = timerFactory
        self._scores: dict[str, LiveScore] = {}
        self._problems: dict[str, str] = {}
        self._observations: list[tuple[Any, int]] = []

    def followScene(self) -> None:
        """Follow every result in the scene, now and after a scene is loaded."""
        scene = slicer.mrmlScene
        if not self._observations:
            for event, slot in (
                (scene.EndImportEvent, lambda *_caller: self._followAll()),
                (scene.StartCloseEvent, lambda *_caller: self._onSceneClosed()),
            ):
                self._observations.append((scene, scene.AddObserver(event, slot)))
        self._followAll()

    def follow(self, result: AnalysisResult) -> None:
        """Follow a result instead of an earlier one in the same segmentation."""
        nodeID = result.segmentationNode.GetID()
        self._forget(nodeID)
        score = LiveScore(self._timerFactory)
        score.changed.connect(lambda _corrected: self._publish(result, ""))
        score.failed.connect(lambda message: self._publish(result, message))
        self._scores[nodeID] = score
        score.follow(result)

    @property
    def counting(self) -> bool:
        """Whether there are edits, or first looks, without a score yet."""
        return any(score.counting for score in self._scores.values())

    def update(self) -> None:
        """Score pending edits now, and wait for it."""
        for score in tuple(self._scores.values()):
            score.update()

    def corrected(self, segmentationNode: Any) -> Corrected | None:
        """Corrected numbers of a result; None without corrections.

        Parameters
        ----------
        segmentationNode : any
            VtkMRMLSegmentationNode Segmentation of the result.
        """
        score = self._scores.get(segmentationNode.GetID())
        return None if score is None else score.corrected

    def masksWriter(self, result: AnalysisResult) -> Callable[[Path], None]:
        """A function that writes the corrected masks of a result, as they are now, to a file. Any thread may call it.

        Raises
        ------
        UnusableSegmentation
            There are no label maps to read.
        """
        scorer = ResultScorer(result)
        now = scorer.snapshot()
        return lambda path: scorer.corrections(now).write(path)

    def warnings(self, segmentationNode: Any) -> tuple[str, ...]:
        """Warnings about the corrected numbers of a result.

        Parameters
        ----------
        segmentationNode : any
            VtkMRMLSegmentationNode Segmentation of the result.
        """
        problem, corrected = self._problems.get(segmentationNode.GetID()), self.corrected(segmentationNode)
        if problem:
            return (_("These are the automatic numbers, not those of the present segmentation. ") + problem,)
        return () if corrected is None else tuple(_warningsOf(corrected))

    def stop(self) -> None:
        """Stop following."""
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

    def _onSceneClosed(self) -> None:
        """Each score lets go of its nodes by itself, and counts nothing any more."""
        self._scores.clear()
        self._problems.clear()

    def _publish(self, result: AnalysisResult, problem: str) -> None:
        self._problems[result.segmentationNode.GetID()] = problem
        self.changed.emit(result.segmentationNode)

    def _forget(self, nodeID: str) -> None:
        self._problems.pop(nodeID, None)
        score = self._scores.pop(nodeID, None)
        if score is not None:
            score.stop()


def _warningsOf(corrected: Corrected) -> Iterator[str]:
    if corrected.opacityOutsideLungsMl > 0:
        text = _("{volume} ml of opacity are outside the lungs after the corrections. They are not counted.")
        yield text.format(volume=f"{corrected.opacityOutsideLungsMl:.1f}")
    if corrected.lungWithoutLobeMl > 0:
        text = _("{volume} ml of lung are in no lobe after the corrections. No lobe score counts them.")
        yield text.format(volume=f"{corrected.lungWithoutLobeMl:.1f}")
