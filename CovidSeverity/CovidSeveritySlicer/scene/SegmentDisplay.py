"""Display of the segments of a result: opacities filled, lobes as outlines, surfaces on request."""

from __future__ import annotations

from typing import Any

from CovidSeverityLib.types import Lobe

from .Result import AnalysisResult

LUNG_IDS = ("right_lung", "left_lung")
OPACITY_IDS = ("ground_glass_opacity", "consolidation")
CLOSED_SURFACE = "Closed surface"

LOBE_OPACITY_3D = 0.25
"""Opacity of the surface of a lobe. Its content stays visible."""


def showAsResult(segmentationNode: Any) -> None:
    """Fill opacities and outline lobes in the slice views. Hide lungs and surfaces.

    Parameters
    ----------
    segmentationNode : any
        VtkMRMLSegmentationNode Has a display node.
    """
    display = segmentationNode.GetDisplayNode()
    wasModifying = display.StartModify()
    display.SetVisibility(True)
    display.SetVisibility2D(True)
    display.SetVisibility3D(False)
    display.SetPreferredDisplayRepresentationName2D("Binary labelmap")
    display.SetPreferredDisplayRepresentationName3D(CLOSED_SURFACE)
    for identifier in segmentationNode.GetSegmentation().GetSegmentIDs():
        display.SetSegmentVisibility(identifier, identifier not in LUNG_IDS)
        display.SetSegmentVisibility3D(identifier, True)
        display.SetSegmentVisibility2DFill(identifier, identifier in OPACITY_IDS)
        display.SetSegmentVisibility2DOutline(identifier, True)
        display.SetSegmentOpacity3D(identifier, LOBE_OPACITY_3D if identifier in Lobe.__members__ else 1.0)
    display.EndModify(wasModifying)


def setShownIn3d(result: AnalysisResult, shown: bool) -> None:
    """Show or hide the surfaces of a result.

    They are created when they are shown and removed when they are hidden. Otherwise Slicer would create them again
    after every correction.
    """
    node = result.segmentationNode
    if shown:
        node.CreateClosedSurfaceRepresentation()
    else:
        node.RemoveClosedSurfaceRepresentation()
    if node.GetDisplayNode() is not None:
        node.GetDisplayNode().SetVisibility3D(shown)
