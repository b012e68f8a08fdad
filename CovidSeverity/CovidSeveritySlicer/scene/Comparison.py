"""A comparison in the scene: what changed since an earlier result, as segments on the later CT and as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.nodes.Terminology import registerTerminology

from .Hierarchy import placeWithCt
from .LargeText import putText
from .ResultFiles import UnusableResult, readRows
from .ResultGrid import gridFor, sizeOf
from .SceneTransaction import SceneTransaction
from .SegmentationFile import LabelMaps, SegmentationHeader, readSegmentation
from .TableColumns import Column, fill

CHANGES_FILE, CHANGE_TABLE_FILE, COMPARISON_FILE = "changes.seg.nrrd", "lobe_changes.csv", "comparison.json"

CHANGE_LAYERS = {"New_opacity": 0, "Resolved_opacity": 0, "Persistent_opacity": 0}
"""Segments of a comparison: all of them in one layer, because no voxel is in two."""

UNIT_ENDINGS = {"_ml": "ml", "_percent": "%"}
"""Units at the end of a column's name."""

COMPARISON_TEXT = "CovidSeverity.Comparison"
"""Text of the segmentation of changes: the content of ``comparison.json``."""

TABLE_ROLE = "CovidSeverity.LobeChanges"
"""Reference from the segmentation of changes to its table."""


@dataclass(frozen=True, eq=False)
class ComparisonResult:
    """A comparison in the scene.

    Parameters
    ----------
    report : Mapping
        Content of ``comparison.json``.
    segmentationNode : any
        VtkMRMLSegmentationNode New, resolved and persistent opacity on the later CT.
    table : any
        VtkMRMLTableNode A row for each lobe and for both lungs, by column of ``lobe_changes.csv``.
    """

    report: Mapping[str, Any]
    segmentationNode: Any
    table: Any


class ComparisonImport:
    """A comparison on its way into the scene: first its files are read, then its nodes are made at once.

    Parameters
    ----------
    folder : Path
        Folder with the files of ``covid-severity compare``.
    volumeNode : any
        VtkMRMLScalarVolumeNode The later CT.

    Raises
    ------
    UnusableResult
        The CT has left the scene.
    """

    def __init__(self, folder: Path, volumeNode: Any) -> None:
        self._folder, self._volumeNode = folder, volumeNode
        self._labelMaps = LabelMaps(sizeOf(volumeNode), CHANGE_LAYERS)
        self._header: SegmentationHeader | None = None
        self._report: Mapping[str, Any] = {}
        self._rows: tuple[Mapping[str, Any], ...] = ()

    def read(self) -> None:
        """Read the files. Any thread may call this.

        Raises
        ------
        UnusableResult
            A file is missing or damaged.
        """
        try:
            report = json.loads((self._folder / COMPARISON_FILE).read_text(encoding="utf-8"))
            named = {which: {**report[which], "name": which} for which in ("before", "after")}
            self._report = {**report, **named}  # a name in the file may be that of a patient
            self._header = readSegmentation(self._folder / CHANGES_FILE, self._labelMaps)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UnusableResult(_("The comparison cannot be shown: {reason}").format(reason=error)) from error
        self._rows = readRows(self._folder / CHANGE_TABLE_FILE, ("lobe", "name"))

    def finish(self) -> ComparisonResult:
        """Make the nodes. If that fails, the scene stays unchanged.

        Raises
        ------
        UnusableResult
            The later CT has left the scene or was moved.
        """
        matrix = gridFor(self._volumeNode, self._header)
        segmentation = self._labelMaps.segmentation(self._header.segments, matrix)
        registerTerminology()
        with SceneTransaction() as change:
            node = change.add("vtkMRMLSegmentationNode", _("CovidSeverity changes"))
            node.SetAndObserveSegmentation(segmentation)
            node.SetAndObserveTransformNodeID(self._volumeNode.GetTransformNodeID())
            node.SetReferenceImageGeometryParameterFromVolumeNode(self._volumeNode)
            node.CreateDefaultDisplayNodes()
            change.adopt(node.GetDisplayNode())
            putText(node, COMPARISON_TEXT, json.dumps(self._report, ensure_ascii=False), change)
            table = change.add("vtkMRMLTableNode", _("CovidSeverity lobe changes"))
            fill(table, _columns(self._rows), self._rows)
            node.SetNodeReferenceID(TABLE_ROLE, table.GetID())
            placeWithCt(change, self._volumeNode, (node, table), ())
        return ComparisonResult(self._report, node, table)


def showTable(table: Any) -> None:
    """Show a table in a layout with a table view."""
    manager = slicer.app.layoutManager()
    if manager is not None:
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
    application = slicer.app.applicationLogic()
    application.GetSelectionNode().SetActiveTableID(table.GetID())
    application.PropagateTableSelection()


def _columns(rows: tuple[Mapping[str, Any], ...]) -> list[Column]:
    """A column for each of the file. A unit at the end of its name is that of the column; the rest is the title."""
    found = []
    for name in rows[0]:
        kind = str if any(isinstance(row[name], str) for row in rows) else float
        ending, unit = next((part for part in UNIT_ENDINGS.items() if name.endswith(part[0])), ("", ""))
        found.append(Column(name, name.removesuffix(ending).replace("_", " "), kind, unit))
    return found
