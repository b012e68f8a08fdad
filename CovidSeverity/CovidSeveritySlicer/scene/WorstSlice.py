"""The slice with most opacity, and the way to it in the slice views."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.io.orientation import canonical_order
from CovidSeveritySlicer.nodes.SegmentLabels import labelsOnGridOf
from CovidSeveritySlicer.nodes.Terminology import opacityIDs
from CovidSeveritySlicer.nodes.VolumeGeometry import geometryOf, ijkToRas, rasToWorld

from .Result import AnalysisResult
from .Tables import sliceRows

Position = tuple[float, float, float]


def worstSlice(result: AnalysisResult, rows: Iterable[Mapping[str, Any]] | None = None) -> Position | None:
    """The centre of the largest opacity in the axial slice of the CT with the largest area of opacity.

    Parameters
    ----------
    result : of an analysis.
    rows : by column of ``slices.csv``; None for those of the slice table, which follow corrections.

    Returns
    -------
    RAS position in world coordinates, mm; None where no slice shows an opacity, or the CT has left the scene.
    """
    rows = list(sliceRows(result) if rows is None else rows)
    areas = [(row["lung_ml"] or 0.0) * (row["infection_percent"] or 0.0) for row in rows]
    if result.volumeNode is None or not areas or max(areas) <= 0:
        return None
    toWorld = rasToWorld(result.volumeNode)
    place = None if toWorld is None else _placeIn(result, int(rows[int(np.argmax(areas))]["index"]), toWorld)
    if place is None:
        return None
    world = toWorld @ ijkToRas(result.volumeNode) @ [*place, 1.0]
    return float(world[0]), float(world[1]), float(world[2])


def jumpTo(position: Position) -> None:
    """Move every slice view so that it shows a position.

    Parameters
    ----------
    position : RAS, world coordinates, mm.
    """
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *position, slicer.vtkMRMLSliceNode.OffsetJumpSlice)


def _placeIn(result: AnalysisResult, index: int, toWorld: NDArray[np.float64]) -> tuple[float, float, float] | None:
    """(i, j, k) in the stored order of the CT; ``index`` counts axial slices from inferior to superior."""
    labels = labelsOnGridOf(
        result.volumeNode, result.segmentationNode, {1: opacityIDs(result.segmentationNode.GetSegmentation())}
    )
    if labels is None:
        return None
    order = canonical_order(geometryOf(result.volumeNode, toWorld).direction)
    axis, size = order.axes[0], labels.shape[order.axes[0]]
    stored = size - 1 - index if order.flipped[0] else index
    centre = _centre(np.take(labels, stored, axis=axis) > 0)
    if centre is None:
        return None
    kji = np.insert(np.array(centre, dtype=float), axis, stored)
    return float(kji[2]), float(kji[1]), float(kji[0])


def _centre(opacity: NDArray[np.bool_]) -> tuple[int, int] | None:
    """The pixel of the largest object that is nearest to its centre of gravity: in the opacity, also of a bent one."""
    labels, count = ndimage.label(opacity, np.ones((3, 3), dtype=bool))
    if count == 0:
        return None
    pixels = np.argwhere(labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]))
    nearest = pixels[((pixels - pixels.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    return int(nearest[0]), int(nearest[1])
