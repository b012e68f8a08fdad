"""Two charts of a result: share of opacity along z, and histogram of the lungs with its mixture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import slicer
from slicer.i18n import tr as _

from CovidSeverityLib.reporting.palette import LOBE_COLOURS, Rgb
from CovidSeverityLib.reporting.tables import COMPONENT_COLUMNS
from CovidSeverityLib.types import LOBE_NAMES, Lobe

from .SceneTransaction import SceneTransaction
from .Tables import MIXTURE_COLUMN

CHART_ROLE = "CovidSeverity.Chart"
"""Reference from a table to its chart. If another result takes the table, it takes the chart too."""

INK: Rgb = (0.12, 0.15, 0.18)
GREY: Rgb = (0.62, 0.67, 0.72)
COMPONENT_COLOURS: tuple[Rgb, ...] = ((0.0, 0.447, 0.698), (0.8, 0.475, 0.655), (0.835, 0.369, 0.0))
"""Blue, purple and vermilion of Okabe and Ito's palette (https://jfly.uni-koeln.de/color/)."""

HISTOGRAM_RANGE_HU = (-1024.0, 200.0)
"""Initial range of the histogram: aerated lung to soft tissue."""


@dataclass(frozen=True)
class Series:
    """One line of a chart: column of the table, name in the legend and style."""

    column: str
    name: str
    colour: Rgb
    width: int = 2
    dashed: bool = False


def showInvolvement(change: SceneTransaction, tableNode: Any) -> Any:
    """The chart of a slice table.

    Parameters
    ----------
    change : SceneTransaction
        Creates nodes.
    tableNode : any
        VtkMRMLTableNode Filled by :func:`~.Tables.fillSliceTable`.

    Returns
    -------
    any
        VtkMRMLPlotChartNode The chart of the table, if it has one; otherwise a new one.
    """
    series = [
        Series("infection_percent", _("both lungs"), INK, width=3),
        *(Series(f"infection_percent_{lobe.name}", LOBE_NAMES[lobe], LOBE_COLOURS[lobe]) for lobe in Lobe),
    ]
    chart = _chart(change, tableNode, _("CovidSeverity opacity along z"), "z_mm", series)
    titles = {
        "title": _("Opacity by slice"),
        "x": _("z (mm), inferior to superior"),
        "y": _("opacity, % of lung or lobe"),
    }
    _setTitles(chart, titles)
    return chart


def showHistogram(change: SceneTransaction, tableNode: Any) -> Any:
    """The chart of a histogram table, with the mixture where one was fitted.

    Parameters
    ----------
    change : SceneTransaction
        Creates nodes.
    tableNode : any
        VtkMRMLTableNode Filled by :func:`~.Tables.fillHistogramTable`.

    Returns
    -------
    any
        VtkMRMLPlotChartNode The chart of the table, if it has one; otherwise a new one.
    """
    known = set(_columnNames(tableNode))
    components = [
        Series(column, _("component {number}").format(number=n), colour)
        for n, (column, colour) in enumerate(zip(COMPONENT_COLUMNS, COMPONENT_COLOURS, strict=True), 1)
    ]
    series = [
        Series("voxels", _("lung voxels"), GREY),
        *components,
        Series(MIXTURE_COLUMN, _("mixture"), INK, dashed=True),
    ]
    shown = [line for line in series if line.column in known]
    chart = _chart(change, tableNode, _("CovidSeverity histogram of the lungs"), "hu", shown)
    _setTitles(chart, {"title": _("Histogram of the lungs"), "x": _("Hounsfield units"), "y": _("voxels per HU")})
    chart.SetXAxisRangeAuto(False)
    chart.SetXAxisRange(*HISTOGRAM_RANGE_HU)
    return chart


def chartOf(tableNode: Any) -> Any:
    """The chart of a table; None without one.

    Parameters
    ----------
    tableNode : any
        VtkMRMLTableNode or None.
    """
    return None if tableNode is None else tableNode.GetNodeReference(CHART_ROLE)


def seriesOf(chartNode: Any) -> list[Any]:
    """The vtkMRMLPlotSeriesNode of a chart.

    Parameters
    ----------
    chartNode : any
        VtkMRMLPlotChartNode or None.
    """
    if chartNode is None:
        return []
    found = [chartNode.GetNthPlotSeriesNode(n) for n in range(chartNode.GetNumberOfPlotSeriesNodes())]
    return [series for series in found if series is not None]


def _chart(change: SceneTransaction, tableNode: Any, name: str, x: str, series: Sequence[Series]) -> Any:
    chart = chartOf(tableNode)
    if chart is None:
        chart = change.add("vtkMRMLPlotChartNode", name)
    else:
        change.keep(chart)
    change.discard([line for line in seriesOf(chart) if line.GetTableNode() is tableNode])
    with slicer.util.NodeModify(chart):
        chart.RemoveAllPlotSeriesNodeIDs()
        for line in series:
            chart.AddAndObservePlotSeriesNodeID(_line(change, tableNode, x, line).GetID())
        chart.SetLegendVisibility(True)
        chart.SetXAxisRangeAuto(True)
    tableNode.SetNodeReferenceID(CHART_ROLE, chart.GetID())
    return chart


def _line(change: SceneTransaction, tableNode: Any, x: str, series: Series) -> Any:
    """A plot series. The legend shows the name of its node."""
    node = change.add("vtkMRMLPlotSeriesNode", series.name, unique=False)
    with slicer.util.NodeModify(node):
        node.SetAndObserveTableNodeID(tableNode.GetID())
        node.SetXColumnName(x)
        node.SetYColumnName(series.column)
        node.SetPlotType(node.PlotTypeScatter)
        node.SetMarkerStyle(node.MarkerStyleNone)
        node.SetLineStyle(node.LineStyleDash if series.dashed else node.LineStyleSolid)
        node.SetLineWidth(series.width)
        node.SetColor(*series.colour)
    return node


def _setTitles(chart: Any, titles: Mapping[str, str]) -> None:
    chart.SetTitle(titles["title"])
    chart.SetXAxisTitle(titles["x"])
    chart.SetYAxisTitle(titles["y"])


def _columnNames(tableNode: Any) -> list[str]:
    return [tableNode.GetColumnName(n) for n in range(tableNode.GetNumberOfColumns())]
