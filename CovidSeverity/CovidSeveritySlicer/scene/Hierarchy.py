"""Place of a result in the subject hierarchy: in the study of its CT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer
from slicer.i18n import tr as _

from .Plots import seriesOf
from .Result import AnalysisResult
from .SceneTransaction import SceneTransaction


def placeWithCt(change: SceneTransaction, volumeNode: Any, nodes: Sequence[Any], charts: Sequence[Any]) -> None:
    """Put nodes beside their CT: in its study, or wherever it is.

    Parameters
    ----------
    change : SceneTransaction
        Undoes it if an error follows.
    volumeNode : any
        VtkMRMLScalarVolumeNode The CT.
    nodes : sequence of vtkMRMLNode
        Nodes to place.
    charts : sequence of vtkMRMLPlotChartNode
        Charts to place. Their lines are placed under them.
    """
    parent = _hierarchy().GetItemParent(_itemOf(volumeNode, change))
    for node in (*nodes, *charts):
        _place(change, node, parent)
    for chart in charts:
        for line in seriesOf(chart):
            _place(change, line, _itemOf(chart, change))
        _hierarchy().SetItemExpanded(_itemOf(chart, change), False)


def studyForExport(result: AnalysisResult) -> int:
    """The study with CT and segmentation, for the export as DICOM. It is created if there is none.

    Raises
    ------
    ValueError
        The CT has left the scene.
    """
    if result.volumeNode is None:
        raise ValueError(_("The CT of this result is no longer in the scene. The export as DICOM needs it."))
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


def _place(change: SceneTransaction, node: Any, parent: int) -> None:
    hierarchy, item = _hierarchy(), _itemOf(node, change)
    before = hierarchy.GetItemParent(item)
    if before != parent:
        hierarchy.SetItemParent(item, parent)
        change.onError(lambda: _moveBack(node, before))


def _moveBack(node: Any, parent: int) -> None:
    item = _hierarchy().GetItemByDataNode(node)
    if item:
        _hierarchy().SetItemParent(item, parent)


def _itemOf(node: Any, change: SceneTransaction | None = None) -> int:
    """The item of a node. It is created if there is none."""
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
