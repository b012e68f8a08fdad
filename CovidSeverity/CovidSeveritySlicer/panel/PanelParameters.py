"""Parameters of the panel: their widgets, and the nodes of a result as outputs."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.parameterNodeWrapper import SlicerParameterNamePropertyName

from CovidSeveritySlicer.scene.Result import AnalysisResult
from CovidSeveritySlicer.scene.SceneBridge import resultOf

OUTPUT_PARAMETERS = {
    "outputSegmentation": "segmentationNode",
    "lobeTable": "lobeTable",
    "sliceTable": "sliceTable",
    "measurementTable": "measurementTable",
}
"""Parameters for outputs, and the nodes of a result that belong there."""


def boundWidgets(ui: Any) -> dict[str, Any]:
    """Widgets that are bound to parameters, by parameter name.

    ``connectGui`` finds them too, but up to Slicer 5.10 it returns no tag for disconnecting them.
    """
    named = {widget.property(SlicerParameterNamePropertyName): widget for widget in vars(ui).values()}
    return {name: widget for name, widget in named.items() if name}


def setOutputs(parameters: Any, result: AnalysisResult | None) -> None:
    """Make the nodes of a result the outputs; None makes new ones the outputs."""
    with slicer.util.NodeModify(parameters.parameterNode):  # one change, not four
        for parameter, node in OUTPUT_PARAMETERS.items():
            setattr(parameters, parameter, None if result is None else getattr(result, node))


def latestResult(volumeNode: Any) -> AnalysisResult | None:
    """The latest result of this CT in the scene."""
    for node in reversed(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")):
        result = resultOf(node)
        if result is not None and volumeNode is not None and result.volumeNode is volumeNode:
            return result
    return None
