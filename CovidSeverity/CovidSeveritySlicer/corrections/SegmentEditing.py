"""Opening a result in the Segment Editor."""

from __future__ import annotations

import slicer

from CovidSeverityLib.correction.parts import Part
from CovidSeveritySlicer.nodes.SegmentParts import segmentParts
from CovidSeveritySlicer.scene.Result import AnalysisResult


def openInSegmentEditor(result: AnalysisResult) -> None:
    """Show the Segment Editor with the segmentation of a result, its CT, and ground glass selected.

    Segments are allowed to overlap, because an opacity lies in a lung and in a lobe.

    Parameters
    ----------
    result : AnalysisResult
        Result whose segmentation is in the scene.
    """
    node, volumeNode = result.segmentationNode, result.volumeNode
    slicer.util.selectModule("SegmentEditor")
    editor = slicer.util.getModuleWidget("SegmentEditor").editor
    editor.setSegmentationNode(node)
    if volumeNode is not None and volumeNode.GetScene() is not None:
        editor.setSourceVolumeNode(volumeNode)
    editor.mrmlSegmentEditorNode().SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
    painted = [name for name, part in segmentParts(node).items() if part is Part.GROUND_GLASS]
    if painted:
        editor.setCurrentSegmentID(painted[0])
