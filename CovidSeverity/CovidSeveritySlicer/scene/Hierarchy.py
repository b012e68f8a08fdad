"""Where the nodes of a result stand in the subject hierarchy: with the study of their CT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer
from slicer.i18n import tr as _

from .Plots import seriesOf
from .Result import AnalysisResult
from .SceneChange import SceneChange


def placeWithCt(change: SceneChange, volumeNode: Any, nodes: Sequence[Any], charts: Sequence[Any]) -> None:
    """Put nodes beside their CT: under its study, or where else it stands.

    Parameters
    ----------
    change : takes back what it did, should an error follow.
    volumeNode : the CT.
    nodes : vtkMRMLNode.
    charts : vtkMRMLPlotChartNode; their lines go under them.
    """
    parent = _hierarchy().GetItemParent(_itemOf(volumeNode, change))
    for node in (*nodes, *charts):
        _place(change, node, parent)
    for chart in charts:
        for line in seriesOf(chart):
            _place(change, line, _itemOf(chart, change))
        _hierarchy().SetItemExpanded(_itemOf(chart, change), False)


def studyForExport(result: AnalysisResult) -> int:
    """The item of a study that holds the CT and the segmentation, for the export as DICOM; made where there is none.

    Raises
    ------
    ValueError
        If the CT has left the scene.
    """
    if result.volumeNode is None:
        raise ValueError(_("The CT of this result is no longer in the scene; it is needed for an export as DICOM."))
    hierarchy, level = _hierarchy(), slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMLevelStudy()
    volumeItem = _itemOf(result.volumeNode)
    study = hierarchy.GetItemAncestorAtLevel(volumeItem, level)
    if not study:
        patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), _("CovidSeverity patient"))
        study = hierarchy.CreateStudyItem(patient, _("CovidSeverity study"))
        hierarchy.SetItemParent(volumeItem, study)
    segmentationItem = _itemOf(result.segmentationNode)
    if hierarchy.GetItemAncestorAtLevel(segmentationItem, level) != study:
        hierarchy.SetItemParent(segmentationItem, study)
    return study


def _place(change: SceneChange, node: Any, parent: int) -> None:
    hierarchy, item = _hierarchy(), _itemOf(node, change)
    before = hierarchy.GetItemParent(item)
    if before != parent:
        hierarchy.SetItemParent(item, parent)
        change.onError(lambda: _moveBack(node, before))


def _moveBack(node: Any, parent: int) -> None:
    item = _hierarchy().GetItemByDataNode(node)
    if item:
        _hierarchy().SetItemParent(item, parent)


def _itemOf(node: Any, change: SceneChange | None = None) -> int:
    """A node's item; Slicer makes most of them by itself."""
    hierarchy = _hierarchy()
    item = hierarchy.GetItemByDataNode(node)
    if item:
        return item
    item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
    if change is not None:
        change.onError(lambda: hierarchy.RemoveItem(item, False, False))
    return item


def _hierarchy() -> Any:
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
