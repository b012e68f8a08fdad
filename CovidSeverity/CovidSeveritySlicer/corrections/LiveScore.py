"""The score of a segmentation while it is being corrected."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from typing import Any

import slicer

from CovidSeveritySlicer.events.Background import Background
from CovidSeveritySlicer.events.Signal import Signal
from CovidSeveritySlicer.events.Timers import TimerFactory, qtTimer
from CovidSeveritySlicer.scene import Tables
from CovidSeveritySlicer.scene.LargeText import putText, removeTexts, textOf
from CovidSeveritySlicer.scene.Result import AnalysisResult
from CovidSeveritySlicer.scene.SceneBridge import CORRECTED_TEXT, DIFFERENCE_TEXT, REPORT_TEXT, TEXT_ROLES

from .AnalysisGrid import UnusableSegmentation
from .Corrected import UNSCORED_ATTRIBUTE, Corrected
from .ResultScorer import ResultScorer, Score
from .SegmentEditing import openInSegmentEditor

__all__ = ["Corrected", "LiveScore", "openInSegmentEditor"]

DELAY_MS = 150
"""Time from the last edit to the new score. Strokes in quick succession are counted once."""

_EDITS = (
    slicer.vtkSegmentation.SourceRepresentationModified,
    slicer.vtkSegmentation.ContainedRepresentationNamesModified,
    slicer.vtkSegmentation.SegmentAdded,
    slicer.vtkSegmentation.SegmentRemoved,
    slicer.vtkSegmentation.SegmentModified,
    slicer.vtkMRMLSegmentationNode.SegmentationChangedEvent,
)
"""Events of the segmentation node. It forwards those of its segmentation, also after that was replaced."""

_log = logging.getLogger(__name__)


class LiveScore:
    """Follows the segmentation of a result: tables and attributes are updated soon after every edit.

    A thread counts, in a copy of the segments: the user may go on editing.

    Attributes
    ----------
    changed : Signal
        Emitted with a :class:`~.Corrected.Corrected`, or with None if the masks are the automatic ones again.
    failed : Signal
        Emitted with a message if the segmentation cannot be scored. Tables then have the automatic numbers.

    Parameters
    ----------
    timerFactory : TimerFactory
        Makes the timer between an edit and its score.
    background : Background or None
        Runs the thread. None: one with a timer of ``timerFactory``.
    """

    def __init__(self, timerFactory: TimerFactory = qtTimer, background: Background | None = None) -> None:
        self.changed = Signal()
        self.failed = Signal()
        self._timer = timerFactory(DELAY_MS, self._onDelay, singleShot=True)
        self._background = background or Background(timerFactory)
        self._pending = False
        self._result: AnalysisResult | None = None
        self._report: str | None = None
        self._scorer: ResultScorer | None = None
        self._corrected: Corrected | None = None
        self._observations: list[tuple[Any, int]] = []

    @property
    def corrected(self) -> Corrected | None:
        """Corrected numbers; None while the masks are the automatic ones."""
        return self._corrected

    @property
    def counting(self) -> bool:
        """Whether there are edits, or a first look, without a score yet."""
        return self._pending or self._background.running

    def follow(self, result: AnalysisResult) -> None:
        """Follow a result instead of the previous one. Earlier corrections are scored.

        Parameters
        ----------
        result : AnalysisResult
            Result to follow. Its nodes may leave the scene at any time.
        """
        self.stop()
        self._result = result
        self._report = textOf(result.segmentationNode, REPORT_TEXT)
        self._observe(result.segmentationNode)
        self._look()

    def stop(self) -> None:
        """Stop following. Pending edits are scored first."""
        self.update()
        self._release()

    def update(self) -> None:
        """Score pending edits now, and wait for it."""
        if not self._isCurrent:
            self._release()
            return
        self._background.finish()
        if self._pending:
            self._look()
            self._background.finish()

    def _release(self) -> None:
        self._pending = False
        self._timer.stop()
        self._background.forget()
        for subject, tag in self._observations:
            subject.RemoveObserver(tag)
        self._observations.clear()
        self._result = self._scorer = self._corrected = None

    def _onDelay(self) -> None:
        if not self._background.running:  # otherwise its end starts the timer again
            self._look()

    def _look(self) -> None:
        """Copy the segments and count in a thread."""
        self._timer.stop()
        self._pending = False
        if not self._isCurrent:
            self._release()
            return
        try:
            scorer = self._scorer or ResultScorer(self._result)
            now = scorer.snapshot()
        except UnusableSegmentation as error:
            self._markUnscored(False)
            self._fail(error)
            return
        self._background.run(lambda: scorer.score(now), lambda counted: self._show(scorer, counted))

    def _show(self, scorer: ResultScorer, counted: Future[Score | None]) -> None:
        """Show what was counted, unless the result has gone meanwhile."""
        if not self._isCurrent:
            self._release()
            return
        if self._pending:
            self._timer.start()
        first = self._scorer is None
        score, problem = None, None
        try:
            score = counted.result()
        except UnusableSegmentation as error:
            problem = error
        self._scorer = scorer
        self._markUnscored(self._pending)
        if problem is not None:
            self._fail(problem)
        if score is None:
            return
        if score.automaticKnown:  # for a scene that is saved and loaded
            putText(self._result.segmentationNode, DIFFERENCE_TEXT, score.difference)
        if score.corrected is not None or not first or self._isMarked:
            self._publish(score.corrected)

    def _fail(self, error: UnusableSegmentation) -> None:
        _log.warning("%s", error)
        self._publish(None)
        self.failed.emit(str(error))

    @property
    def _isCurrent(self) -> bool:
        """Whether no other analysis has filled the node since."""
        result = self._result
        return result is not None and textOf(result.segmentationNode, REPORT_TEXT) == self._report

    @property
    def _isMarked(self) -> bool:
        """Whether a text says that the segmentation was corrected."""
        return textOf(self._result.segmentationNode, CORRECTED_TEXT) is not None

    def _publish(self, corrected: Corrected | None) -> None:
        """Update tables and attributes, and emit ``changed``."""
        self._corrected = corrected
        node, scorer = self._result.segmentationNode, self._scorer
        putText(node, CORRECTED_TEXT, None if corrected is None else corrected.asJson())
        fillTables(self._result, corrected, scorer.automaticRows if scorer else ())
        self.changed.emit(corrected)

    def _observe(self, segmentationNode: Any) -> None:
        for event in _EDITS:
            self._observations.append((segmentationNode, segmentationNode.AddObserver(event, self._onEdit)))
        scene = segmentationNode.GetScene()
        for event, slot in (
            (slicer.vtkMRMLScene.NodeRemovedEvent, self._onNodeRemoved),
            (slicer.vtkMRMLScene.StartCloseEvent, self._onSceneClosed),
        ):
            self._observations.append((scene, scene.AddObserver(event, slot)))

    def _onEdit(self, caller: Any, event: str) -> None:
        self._pending = True
        self._markUnscored(True)
        self._timer.start()

    def _markUnscored(self, unscored: bool) -> None:
        node = self._result.segmentationNode
        if unscored != (node.GetAttribute(UNSCORED_ATTRIBUTE) is not None):
            node.SetAttribute(UNSCORED_ATTRIBUTE, "true" if unscored else None)

    def _onNodeRemoved(self, caller: Any, event: str) -> None:
        if self._result is not None and self._result.segmentationNode.GetScene() is None:
            node = self._result.segmentationNode
            self._onSceneClosed(caller, event)
            removeTexts(node, TEXT_ROLES, caller)

    def _onSceneClosed(self, caller: Any, event: str) -> None:
        self._release()


def fillTables(result: AnalysisResult, corrected: Corrected | None, automaticRows: tuple[Any, ...]) -> None:
    """Fill tables with corrected numbers beside the automatic ones, or with the automatic ones alone.

    Parameters
    ----------
    result : AnalysisResult
        Its tables are filled if they are still in the scene.
    corrected : Corrected or None
        None fills in the automatic numbers.
    automaticRows : tuple of Mapping
        Automatic rows of the slice table. Without any, that table stays unchanged.
    """
    lobes, slices, measurements = (
        table if table is not None and table.GetScene() is not None else None
        for table in (result.lobeTable, result.sliceTable, result.measurementTable)
    )
    report = result.report
    shown = report
    if corrected is not None:
        kept = {"classification": report["classification"], "low_attenuation": corrected.lowAttenuation}
        shown = {**corrected.fields, **kept}
    automatic = None if corrected is None else report
    if lobes is not None:
        Tables.fillLobeTable(lobes, shown, automatic)
    if slices is not None and automaticRows:
        rows = automaticRows if corrected is None else corrected.rows
        Tables.fillSliceTable(slices, rows, None if corrected is None else automaticRows)
    if measurements is not None:
        Tables.fillMeasurementTable(measurements, shown, automatic)
