"""Choosing in the panel what finds lungs and lobes."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from CovidSeveritySlicer.analysis.Engines import LungSource, lungReadiness
from CovidSeveritySlicer.nodes.Masks import findMasks

from .ReadinessRow import ReadinessRow


class EngineSelector:
    """Shows what the chosen source of lungs and lobes needs.

    Parameters
    ----------
    ui : any
        Namespace Widgets of the panel.
    logic : CovidSeverityLogic
        Its ``downloads`` get what is missing.
    """

    def __init__(self, ui: Any, logic: Any) -> None:
        self._ui = ui
        self._source = LungSource.BUILT_IN
        self._row = ReadinessRow(ui, "lungSource", logic, self._showReadiness)

    def disconnect(self) -> None:
        """The panel is destroyed."""
        self._row.disconnect()

    def show(self, source: LungSource, segmentationNode: Any) -> None:
        """Show a choice.

        Parameters
        ----------
        source : LungSource
            What shall find lungs and lobes.
        segmentationNode : any
            VtkMRMLSegmentationNode The segmentation in the scene that would be used; or None.
        """
        self._source = source
        ofScene = source is LungSource.SCENE
        for widget in (self._ui.maskSegmentationLabel, self._ui.maskSegmentationSelector, self._ui.maskStatusLabel):
            widget.visible = ofScene
        if ofScene:
            self._ui.maskStatusLabel.text = _usedOf(segmentationNode)
        self._showReadiness()

    def _showReadiness(self) -> None:
        self._row.show(lungReadiness(self._source))


def _usedOf(segmentationNode: Any) -> str:
    if segmentationNode is None:
        return _("Choose a segmentation with both lungs or all five lobes of this CT.")
    found = findMasks(segmentationNode)
    if found.completeLobes:
        return _("Its five lobes are used.")
    if found.completeLungs:
        return _("Its lungs are used; the lobes are found.")
    return _("It has neither both lungs nor all five lobes (by terminology and name).")
