"""The score of a segmentation while it is being corrected."""

from __future__ import annotations

import logging
from typing import Any

import slicer

from CovidSeveritySlicer.events.Signal import Signal
from CovidSeveritySlicer.events.Timers import TimerFactory, qtTimer
from CovidSeveritySlicer.scene import Tables
from CovidSeveritySlicer.scene.Result import AnalysisResult
from CovidSeveritySlicer.scene.SceneBridge import CORRECTED_ATTRIBUTE, REPORT_ATTRIBUTE

from .AnalysisGrid import UnusableSegmentation
from .Corrected import DIFFERENCE_ATTRIBUTE, Corrected, differenceAsText
from .ResultScorer import ResultScorer
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
    """

    def __init__(self, timerFactory: TimerFactory = qtTimer) -> None:
        self.changed = Signal()
        self.failed = Signal()
        self._timer = timerFactory(DELAY_MS, self.update, singleShot=True)
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

    def follow(self, result: AnalysisResult) -> None:
        """Follow a result instead of the previous one. Earlier corrections are scored at once.

        Parameters
        ----------
        result : AnalysisResult
            Result to follow. Its nodes may leave the scene at any time.
        """
        self.stop()
        self._result = result
        self._report = result.segmentationNode.GetAttribute(REPORT_ATTRIBUTE)
        self._observe(result.segmentationNode)
        self._score(first=True)

    def stop(self) -> None:
        """Stop following. A pending edit is scored first."""
        if self._pending:
            self.update()
        self._timer.stop()
        for subject, tag in self._observations:
            subject.RemoveObserver(tag)
        self._observations.clear()
        self._result = self._scorer = self._corrected = None

    def update(self) -> None:
        """Score pending edits now."""
        self._timer.stop()
        self._pending = False
        if self._result is None:
            return
        if self._result.segmentationNode.GetAttribute(REPORT_ATTRIBUTE) != self._report:
            self.stop()  # another analysis has filled the node: this result is gone
            return
        self._score()

    def _score(self, first: bool = False) -> None:
        try:
            if self._scorer is None:
                self._scorer = ResultScorer(self._result)
            elif not self._scorer.read():
                return
            corrected = self._scorer.corrected()
        except UnusableSegmentation as error:
            _log.warning("%s", error)
            self._publish(None)
            self.failed.emit(str(error))
            return
        self._keepDifference()
        if corrected is not None or not first or self._isMarked:
            self._publish(corrected)

    @property
    def _isMarked(self) -> bool:
        """Whether an attribute says that the segmentation was corrected."""
        return self._result.segmentationNode.GetAttribute(CORRECTED_ATTRIBUTE) is not None

    def _publish(self, corrected: Corrected | None) -> None:
        """Update tables and attributes, and emit ``changed``."""
        self._corrected = corrected
        node, scorer = self._result.segmentationNode, self._scorer
        node.SetAttribute(CORRECTED_ATTRIBUTE, None if corrected is None else corrected.asJson())
        fillTables(self._result, corrected, scorer.automaticRows if scorer else ())
        self.changed.emit(corrected)

    def _keepDifference(self) -> None:
        """Store the difference from the automatic masks, for a scene that is saved and loaded."""
        difference = self._scorer.difference()
        if difference is not None:
            text = differenceAsText(difference) if difference.voxels.size else None
            self._result.segmentationNode.SetAttribute(DIFFERENCE_ATTRIBUTE, text)

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
        self._timer.start()

    def _onNodeRemoved(self, caller: Any, event: str) -> None:
        if self._result is not None and self._result.segmentationNode.GetScene() is None:
            self._onSceneClosed(caller, event)

    def _onSceneClosed(self, caller: Any, event: str) -> None:
        self._pending = False
        self.stop()


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
