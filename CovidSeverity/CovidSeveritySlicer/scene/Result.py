"""The result of an analysis in the scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from CovidSeverityLib.types import StorageOrder

Voxel = tuple[int, int, int]
"""Stored (i, j, k) of the CT."""


@dataclass(frozen=True)
class FirstLook:
    """Voxels to show first.

    Parameters
    ----------
    axial : Voxel
        In the slice with the largest area of opacity.
    others : Voxel
        Near the centre of the largest opacity; without opacity, of the right lung.
    """

    axial: Voxel
    others: Voxel


@dataclass(frozen=True, eq=False)
class AnalysisResult:
    """The nodes of one analysis and the report that they were made from.

    Parameters
    ----------
    report : Mapping
        Content of ``report.json`` (schema in ``CovidSeverityLib/reporting/report.schema.json``). Manual corrections do
        not change it.
    volumeNode : any
        VtkMRMLScalarVolumeNode or None The CT; None after it has left the scene.
    segmentationNode : any
        VtkMRMLSegmentationNode Lungs, lobes, ground-glass opacity and consolidation.
    lobeTable, sliceTable, measurementTable, histogramTable : any
        VtkMRMLTableNode.
    involvementChart, histogramChart : any
        VtkMRMLPlotChartNode.
    folder : Path or None
        Files of the analysis; None in a scene that was loaded from disk.
    firstLook : FirstLook or None
        Where to look first; None unless the result has just come into the scene.
    """

    report: Mapping[str, Any]
    volumeNode: Any
    segmentationNode: Any
    lobeTable: Any
    sliceTable: Any
    measurementTable: Any
    histogramTable: Any
    involvementChart: Any
    histogramChart: Any
    folder: Path | None = None
    firstLook: FirstLook | None = None

    @property
    def storageOrder(self) -> StorageOrder:
        """Order of the stored axes of the CT, from the report."""
        return storageOrderOf(self.report)

    @property
    def ctss(self) -> int | None:
        """CT severity score, 0-25; None where no lobe is known."""
        return self.report["ctss"]["total"]

    @property
    def ctssRange(self) -> tuple[int, int] | None:
        """Lowest and highest CTSS within its uncertainty; None if the profile has none."""
        ends = self.report["ctss"]["range"]
        return None if ends is None else (ends[0], ends[1])

    @property
    def severity(self) -> str:
        """Severity in words."""
        return self.report["severity"]["label"]

    @property
    def diagnosis(self) -> str | None:
        """Label of the classifier; None without a classifier."""
        found = self.report["classification"]
        return None if found is None else found["label"]


def storageOrderOf(report: Mapping[str, Any]) -> StorageOrder:
    """Order of the stored axes of the CT that a report tells."""
    storage = report["input"]["storage"]
    return StorageOrder(tuple(storage["axes"]), tuple(storage["flipped"]))
