"""Results in the scene: importing the files of an analysis, and finding a result in a loaded scene."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.nodes.Terminology import registerTerminology

from . import Tables
from .FirstLook import firstLook, look
from .Hierarchy import placeWithCt, studyForExport
from .LargeText import putText, textOf
from .Plots import chartOf, showHistogram, showInvolvement
from .Result import AnalysisResult, FirstLook
from .ResultFiles import ResultFiles, UnusableResult, checkedReport, readResultFiles
from .ResultGrid import gridFor, inScene, sizeOf
from .SceneTransaction import SceneTransaction
from .SegmentationFile import LabelMaps
from .SegmentDisplay import setShownIn3d, showAsResult
from .WorstSlice import jumpTo, worstSlice

__all__ = [
    "Outputs",
    "ResultImport",
    "UnusableResult",
    "importResult",
    "jumpTo",
    "look",
    "resultOf",
    "setShownIn3d",
    "studyForExport",
    "worstSlice",
]

LOBE_TABLE_ROLE = "CovidSeverity.LobeTable"
SLICE_TABLE_ROLE = "CovidSeverity.SliceTable"
MEASUREMENT_TABLE_ROLE = "CovidSeverity.MeasurementTable"
HISTOGRAM_TABLE_ROLE = "CovidSeverity.HistogramTable"
TABLE_ROLES = (LOBE_TABLE_ROLE, SLICE_TABLE_ROLE, MEASUREMENT_TABLE_ROLE, HISTOGRAM_TABLE_ROLE)
"""References from the segmentation to the tables of its result."""

ATTRIBUTE_PREFIX = "CovidSeverity."
REPORT_TEXT = ATTRIBUTE_PREFIX + "Report"
"""Text of the segmentation: the whole report as JSON. Attributes repeat the most important values."""

CORRECTED_TEXT = ATTRIBUTE_PREFIX + "Corrected"
"""Text of the segmentation: corrected numbers as JSON. It is absent without corrections."""

DIFFERENCE_TEXT = ATTRIBUTE_PREFIX + "Difference"
"""Text of the segmentation: where its masks differ from the automatic ones. A loaded scene needs it."""

TEXT_ROLES = (REPORT_TEXT, CORRECTED_TEXT, DIFFERENCE_TEXT)
"""References from the segmentation to the text nodes of its result."""

_folders: dict[str, tuple[str, Path]] = {}
"""Report and folder of each segmentation that this session imported, by node ID."""


@dataclass(frozen=True)
class Outputs:
    """Nodes to fill. None makes a new node.

    Parameters
    ----------
    segmentation : any
        VtkMRMLSegmentationNode.
    lobeTable, sliceTable, measurementTable : any
        VtkMRMLTableNode.
    """

    segmentation: Any = None
    lobeTable: Any = None
    sliceTable: Any = None
    measurementTable: Any = None


class ResultImport:
    """A result on its way into the scene: first its files are read, then all nodes are made at once.

    Parameters
    ----------
    folder : Path
        Folder with the files of the analysis.
    volumeNode : any
        VtkMRMLScalarVolumeNode The CT that was analysed.

    Raises
    ------
    UnusableResult
        The CT has left the scene.
    """

    def __init__(self, folder: Path, volumeNode: Any) -> None:
        self._folder, self._volumeNode = Path(folder), volumeNode
        self._labelMaps = LabelMaps(sizeOf(volumeNode))
        self._files: ResultFiles | None = None
        self._firstLook: FirstLook | None = None

    def read(self) -> None:
        """Read the files. Any thread may call this, and meanwhile anything may happen to the scene.

        Raises
        ------
        UnusableResult
            A file is missing or damaged.
        """
        files = readResultFiles(self._folder, self._labelMaps)
        if files.segmentation.size == self._labelMaps.size:  # otherwise it has no voxels, and is refused
            self._firstLook = firstLook(files, self._labelMaps.voxels)
        self._files = files

    def finish(self, outputs: Outputs = Outputs()) -> AnalysisResult:
        """Import what was read. If that fails, the scene and given nodes stay unchanged.

        Parameters
        ----------
        outputs : Outputs
            Nodes to fill. A node that has left the scene counts as None. A table that is given twice is filled once.

        Raises
        ------
        UnusableResult
            The files belong to another CT. Or the CT has left the scene or was moved.
        """
        files, volumeNode = self._files, self._volumeNode
        matrix = gridFor(volumeNode, files.segmentation)
        segmentation = self._labelMaps.segmentation(files.segmentation.segments, matrix)
        registerTerminology()
        with SceneTransaction() as change:
            segmentationNode = _segmentationNode(change, volumeNode, segmentation, outputs.segmentation)
            tables = _tables(change, segmentationNode, files, outputs)
            charts = (
                showInvolvement(change, tables[SLICE_TABLE_ROLE]),
                showHistogram(change, tables[HISTOGRAM_TABLE_ROLE]),
            )
            for role, table in tables.items():
                _takeFromOthers(change, segmentationNode, role, table)
                segmentationNode.SetNodeReferenceID(role, table.GetID())
            _setAttributes(segmentationNode, files.report)
            _setTexts(change, segmentationNode, files.report)
            placeWithCt(change, volumeNode, (segmentationNode, *tables.values()), charts)
        _folders[segmentationNode.GetID()] = (textOf(segmentationNode, REPORT_TEXT), self._folder)
        return replace(resultOf(segmentationNode), firstLook=self._firstLook)


def importResult(folder: Path, volumeNode: Any, outputs: Outputs = Outputs()) -> AnalysisResult:
    """A :class:`ResultImport` at once. If it fails, the scene and given nodes stay unchanged.

    Raises
    ------
    UnusableResult
        A file is missing or damaged, or belongs to another CT. Or the CT has left the scene or was moved.
    """
    result = ResultImport(folder, volumeNode)
    result.read()
    return result.finish(outputs)


def resultOf(segmentationNode: Any) -> AnalysisResult | None:
    """The result of a segmentation, also in a loaded scene; None if it has none.

    Parameters
    ----------
    segmentationNode : any
        VtkMRMLSegmentationNode or None.
    """
    text = None if segmentationNode is None else textOf(segmentationNode, REPORT_TEXT)
    report = None if text is None else checkedReport(text)
    if report is None:
        return None
    tables = {role: segmentationNode.GetNodeReference(role) for role in TABLE_ROLES}
    known, folder = _folders.get(segmentationNode.GetID(), (None, None))
    return AnalysisResult(
        report=report,
        volumeNode=segmentationNode.GetNodeReference(_volumeRole()),
        segmentationNode=segmentationNode,
        lobeTable=tables[LOBE_TABLE_ROLE],
        sliceTable=tables[SLICE_TABLE_ROLE],
        measurementTable=tables[MEASUREMENT_TABLE_ROLE],
        histogramTable=tables[HISTOGRAM_TABLE_ROLE],
        involvementChart=chartOf(tables[SLICE_TABLE_ROLE]),
        histogramChart=chartOf(tables[HISTOGRAM_TABLE_ROLE]),
        folder=folder if known == text and folder.is_dir() else None,
    )


def _volumeRole() -> str:
    return slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()


def _segmentationNode(change: SceneTransaction, volumeNode: Any, segmentation: Any, given: Any) -> Any:
    if not inScene(given):
        node = change.add("vtkMRMLSegmentationNode", _("CovidSeverity segmentation"))
    else:
        node = given
        change.keep(node)
        if node.GetDisplayNode() is not None:
            change.keep(node.GetDisplayNode())
    node.SetAndObserveSegmentation(segmentation)
    node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
        change.adopt(node.GetDisplayNode())
    showAsResult(node)
    return node


def _tables(change: SceneTransaction, segmentationNode: Any, files: ResultFiles, outputs: Outputs) -> dict[str, Any]:
    given = {
        LOBE_TABLE_ROLE: (_("CovidSeverity lobes"), outputs.lobeTable),
        SLICE_TABLE_ROLE: (_("CovidSeverity slices"), outputs.sliceTable),
        MEASUREMENT_TABLE_ROLE: (_("CovidSeverity measurements"), outputs.measurementTable),
        HISTOGRAM_TABLE_ROLE: (_("CovidSeverity histogram"), segmentationNode.GetNodeReference(HISTOGRAM_TABLE_ROLE)),
    }
    nodes: dict[str, Any] = {}
    for role, (name, node) in given.items():
        if not inScene(node) or node in nodes.values():
            nodes[role] = change.add("vtkMRMLTableNode", name)
        else:
            change.keep(node)
            nodes[role] = node
    Tables.fillLobeTable(nodes[LOBE_TABLE_ROLE], files.report)
    Tables.fillSliceTable(nodes[SLICE_TABLE_ROLE], files.sliceRows)
    Tables.fillMeasurementTable(nodes[MEASUREMENT_TABLE_ROLE], files.report)
    Tables.fillHistogramTable(nodes[HISTOGRAM_TABLE_ROLE], files.histogramRows)
    return nodes


def _takeFromOthers(change: SceneTransaction, segmentationNode: Any, role: str, table: Any) -> None:
    """Remove the references of other results to a table that is filled again."""
    for other in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        if other is not segmentationNode and other.GetNodeReferenceID(role) == table.GetID():
            change.keep(other)
            other.RemoveNodeReferenceIDs(role)


def _setAttributes(segmentationNode: Any, report: Mapping[str, Any]) -> None:
    """Keep in the scene how the result was made. An unknown value has no attribute."""
    provenance, diagnosis = report["provenance"], report["classification"]
    total, ends = report["ctss"]["total"], report["ctss"].get("range")
    classifier = provenance.get("classifier")
    values = {
        "Version": provenance["version"],
        "Profile": provenance["profile"],
        "CTSS": None if total is None else str(total),
        "CTSSRange": None if ends is None else f"{ends[0]}-{ends[1]}",
        "Severity": report["severity"]["label"],
        "Diagnosis": None if diagnosis is None else diagnosis["label"],
        "LungsFrom": provenance["lungs_from"],
        "LobesFrom": provenance["lobes_from"],
        "Classifier": None if classifier is None else classifier["name"],
    }
    for name in segmentationNode.GetAttributeNames():
        if name.startswith(ATTRIBUTE_PREFIX):  # of an earlier result, with its corrections
            segmentationNode.RemoveAttribute(name)
    for name, value in values.items():
        segmentationNode.SetAttribute(ATTRIBUTE_PREFIX + name, value)


def _setTexts(change: SceneTransaction, segmentationNode: Any, report: Mapping[str, Any]) -> None:
    """Keep the report. The corrections of an earlier result go."""
    for role in TEXT_ROLES:
        text = json.dumps(report, ensure_ascii=False) if role == REPORT_TEXT else None
        putText(segmentationNode, role, text, change)
