"""What a button of the result needs of the scene, and a sentence where it is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slicer.i18n import tr as _

from CovidSeveritySlicer.scene.Result import AnalysisResult

NEEDED: Mapping[str, tuple[str, ...]] = {
    "show3dButton": ("segmentationNode",),
    "worstSliceButton": ("segmentationNode", "volumeNode", "sliceTable"),
    "editButton": ("segmentationNode",),
    "tablesButton": ("segmentationNode", "lobeTable"),
    "involvementChartButton": ("segmentationNode", "involvementChart"),
    "histogramChartButton": ("segmentationNode", "histogramChart"),
    "saveReportButton": ("segmentationNode",),
    "exportDicomButton": ("segmentationNode", "volumeNode"),
    "compareButton": ("segmentationNode", "volumeNode"),
}
"""Nodes of the result that a button works on."""


def obstacle(result: AnalysisResult | None, button: str) -> str:
    """Why a button cannot work, as a sentence for the user; empty if it can.

    Parameters
    ----------
    result : AnalysisResult or None
        The result in the panel.
    button : str
        Name of the button.
    """
    if result is None or not _isThere(result.segmentationNode):
        return _("There is no result: choose a chest CT and click Analyze.")
    missing = [name for name in NEEDED[button] if not _isThere(getattr(result, name))]
    if not missing:
        return ""
    if missing[0] == "volumeNode":
        return _("The CT of this result is no longer in the scene. Load it again to use this button.")
    return _("It was deleted from the scene. Analyze again to get a new one.")


def _isThere(node: Any) -> bool:
    return node is not None and node.GetScene() is not None
