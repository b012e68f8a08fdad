"""The slice with the largest area of opacity, and showing it in the slice views."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeveritySlicer.nodes.SegmentLabels import segmentLabels
from CovidSeveritySlicer.nodes.Terminology import opacityIDs
from CovidSeveritySlicer.nodes.VolumeGeometry import ijkToRas, rasToWorld

from .Result import AnalysisResult
from .Tables import sliceRows

Position = tuple[float, float, float]


def worstSlice(result: AnalysisResult, rows: Iterable[Mapping[str, Any]] | None = None) -> Position | None:
    """The centre of the largest opacity in the axial slice of the CT with the largest area of opacity.

    Parameters
    ----------
    result : AnalysisResult
        Result of an analysis.
    rows : iterable of Mapping or None
        Values by column of ``slices.csv``. None takes the slice table, which has corrected numbers.

    Returns
    -------
    Position or None
        RAS in world coordinates, mm. None if no slice has an opacity, or the CT has left the scene.
    """
    rows = list(sliceRows(result) if rows is None else rows)
    areas = [(row["lung_ml"] or 0.0) * (row["infection_percent"] or 0.0) for row in rows]
    if result.volumeNode is None or not areas or max(areas) <= 0:
        return None
    toWorld = rasToWorld(result.volumeNode)
    place = None if toWorld is None else _placeIn(result, int(rows[int(np.argmax(areas))]["index"]))
    if place is None:
        return None
    world = toWorld @ ijkToRas(result.volumeNode) @ [*place, 1.0]
    return float(world[0]), float(world[1]), float(world[2])


def jumpTo(position: Position) -> None:
    """Move every slice view so that it shows a position.

    Parameters
    ----------
    position : Position
        RAS in world coordinates, mm.
    """
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *position, slicer.vtkMRMLSliceNode.OffsetJumpSlice)


def _placeIn(result: AnalysisResult, index: int) -> tuple[float, float, float] | None:
    """Stored (i, j, k) of the opacity in axial slice ``index``, counted from inferior to superior."""
    axis = result.storageOrder.axes[0]
    extent = list(result.volumeNode.GetImageData().GetExtent())
    last = extent[5 - 2 * axis]
    stored = last - index if result.storageOrder.flipped[0] else index
    extent[4 - 2 * axis] = extent[5 - 2 * axis] = stored
    opacities = {1: opacityIDs(result.segmentationNode.GetSegmentation())}
    labels = segmentLabels(result.volumeNode, result.segmentationNode, opacities, tuple(extent))
    centre = None if labels is None else _centre(np.stack(list(labels.planes())).squeeze(axis) > 0)
    if centre is None:
        return None
    kji = np.insert(np.array(centre, dtype=float), axis, stored)
    return float(kji[2]), float(kji[1]), float(kji[0])


def _centre(opacity: NDArray[np.bool_]) -> tuple[int, int] | None:
    """The pixel of the largest object that is nearest to its centre of gravity. It always lies in the object."""
    labels, count = ndimage.label(opacity, np.ones((3, 3), dtype=bool))
    if count == 0:
        return None
    pixels = np.argwhere(labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]))
    nearest = pixels[((pixels - pixels.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    return int(nearest[0]), int(nearest[1])
