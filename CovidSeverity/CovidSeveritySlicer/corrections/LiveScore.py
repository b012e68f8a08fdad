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
from .FollowedResult import FollowedResult
from .SegmentEditing import openInSegmentEditor

__all__ = ["Corrected", "LiveScore", "openInSegmentEditor"]

DELAY_MS = 200
"""From the last edit to the new score: strokes that follow each other at once are counted once."""

_EDITS = (
    slicer.vtkSegmentation.SourceRepresentationModified,
    slicer.vtkSegmentation.ContainedRepresentationNamesModified,
    slicer.vtkSegmentation.SegmentAdded,
    slicer.vtkSegmentation.SegmentRemoved,
    slicer.vtkSegmentation.SegmentModified,
    slicer.vtkMRMLSegmentationNode.SegmentationChangedEvent,
)
"""Of the segmentation node, which passes on what its segmentation says, also after that was replaced."""

_log = logging.getLogger(__name__)


class LiveScore:
    """Follows the segmentation of a result: tables and attributes tell its numbers soon after every edit.

    Attributes
    ----------
    changed : signal with a :class:`~.Corrected.Corrected`, or None where the masks are the automatic ones again.
    failed : signal with a message: the segmentation cannot be scored as it is. Tables tell the automatic numbers then.

    Parameters
    ----------
    timerFactory : makes the timer between an edit and its score.
    """

    def __init__(self, timerFactory: TimerFactory = qtTimer) -> None:
        self.changed = Signal()
        self.failed = Signal()
        self._timer = timerFactory(DELAY_MS, self.update, singleShot=True)
        self._pending = False
        self._result: AnalysisResult | None = None
        self._report: str | None = None
        self._followed: FollowedResult | None = None
        self._corrected: Corrected | None = None
        self._observations: list[tuple[Any, int]] = []

    @property
    def corrected(self) -> Corrected | None:
        """The numbers after corrections by hand; None while nothing differs from the automatic masks."""
        return self._corrected

    def follow(self, result: AnalysisResult) -> None:
        """Follow a result in place of the one before; corrections that were made earlier are told at once.

        Parameters
        ----------
        result : its segmentation is in the scene. Nodes may leave the scene at any time.
        """
        self.stop()
        self._result = result
        self._report = result.segmentationNode.GetAttribute(REPORT_ATTRIBUTE)
        self._observe(result.segmentationNode)
        self._score(first=True)

    def stop(self) -> None:
        """Follow nothing; an edit that has not been counted yet is counted first."""
        if self._pending:
            self.update()
        self._timer.stop()
        for subject, tag in self._observations:
            subject.RemoveObserver(tag)
        self._observations.clear()
        self._result = self._followed = self._corrected = None

    def update(self) -> None:
        """Count now what was edited, without waiting for the next edit to stay away."""
        self._timer.stop()
        self._pending = False
        if self._result is None:
            return
        if self._result.segmentationNode.GetAttribute(REPORT_ATTRIBUTE) != self._report:
            self.stop()  # another analysis has filled the node: there is nothing left to correct of this one
            return
        self._score()

    def _score(self, first: bool = False) -> None:
        try:
            if self._followed is None:
                self._followed = FollowedResult(self._result)
            elif not self._followed.follow():
                return
            corrected = self._followed.corrected()
        except UnusableSegmentation as error:
            _log.warning("%s", error)
            self._tell(None)
            self.failed.emit(str(error))
            return
        self._keepDifference()
        if corrected is not None or not first or self._isMarked:
            self._tell(corrected)

    @property
    def _isMarked(self) -> bool:
        """Whether the scene says that the segmentation was corrected."""
        return self._result.segmentationNode.GetAttribute(CORRECTED_ATTRIBUTE) is not None

    def _tell(self, corrected: Corrected | None) -> None:
        """Bring tables and attributes up to date and say so."""
        self._corrected = corrected
        node, followed = self._result.segmentationNode, self._followed
        node.SetAttribute(CORRECTED_ATTRIBUTE, None if corrected is None else corrected.asJson())
        fillTables(self._result, corrected, followed.automaticRows if followed else ())
        self.changed.emit(corrected)

    def _keepDifference(self) -> None:
        """So that the scene, saved and loaded, knows what was automatic."""
        difference = self._followed.difference()
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
    """Tell corrected numbers with the automatic ones beside, or the automatic ones alone.

    Parameters
    ----------
    result : its tables are filled, those that are still in the scene.
    corrected : None for the automatic numbers.
    automaticRows : of the slices; without any, their table is left alone.
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
