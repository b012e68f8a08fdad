"""What an analysis left in the scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, eq=False)
class AnalysisResult:
    """The nodes of one analysis and the report that they were made from.

    Parameters
    ----------
    report : content of ``report.json`` (schema in ``CovidSeverityLib/reporting/report.schema.json``), as the analysis
        gave it: corrections by hand do not change it.
    volumeNode : the CT; None once it has left the scene.
    segmentationNode : lungs, lobes, ground-glass opacity and consolidation.
    lobeTable, sliceTable, measurementTable, histogramTable : vtkMRMLTableNode.
    involvementChart, histogramChart : vtkMRMLPlotChartNode.
    folder : the files that the analysis wrote; None in a scene that was loaded from disk.
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

    @property
    def ctss(self) -> int | None:
        """CT severity score, 0-25; None where no lobe is known."""
        return self.report["ctss"]["total"]

    @property
    def ctssRange(self) -> tuple[int, int] | None:
        """Its lowest and highest value within the uncertainty; None where the profile knows none."""
        ends = self.report["ctss"]["range"]
        return None if ends is None else (ends[0], ends[1])

    @property
    def severity(self) -> str:
        """The word for the score."""
        return self.report["severity"]["label"]

    @property
    def diagnosis(self) -> str | None:
        """The classifier's label; None without one."""
        found = self.report["classification"]
        return None if found is None else found["label"]
