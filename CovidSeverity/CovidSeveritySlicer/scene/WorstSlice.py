"""The slice with the largest area of opacity, and showing it in the slice views."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.types import StorageOrder
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
    index = worstIndex(sliceRows(result) if rows is None else rows)
    if result.volumeNode is None or index is None:
        return None
    place = None if rasToWorld(result.volumeNode) is None else _placeIn(result, index)
    return None if place is None else toWorld(result.volumeNode, place)


def worstIndex(rows: Iterable[Mapping[str, Any]]) -> int | None:
    """Index, from inferior to superior, of the slice with the largest area of opacity; None without opacity.

    Parameters
    ----------
    rows : iterable of Mapping
        Values by column of ``slices.csv``.
    """
    areas = {int(row["index"]): (row["lung_ml"] or 0.0) * (row["infection_percent"] or 0.0) for row in rows}
    worst = max(areas, key=areas.__getitem__, default=None)
    return None if worst is None or areas[worst] <= 0 else worst


def storedIndex(order: StorageOrder, shape: Sequence[int], index: int) -> tuple[int, int]:
    """The stored array axis across axial slices, and where on it slice ``index`` is.

    Parameters
    ----------
    order : StorageOrder
        From the stored arrays to those of the library.
    shape : sequence of int
        Shape of the stored array, (K, J, I).
    index : int
        From inferior to superior.
    """
    axis = order.axes[0]
    return axis, shape[axis] - 1 - index if order.flipped[0] else index


def toWorld(volumeNode: Any, voxel: Sequence[float]) -> Position | None:
    """RAS in world coordinates, mm, of a stored voxel (i, j, k); None if the transform of the CT is not linear.

    Parameters
    ----------
    volumeNode : any
        VtkMRMLScalarVolumeNode The CT.
    voxel : sequence of float
        Stored (i, j, k).
    """
    matrix = rasToWorld(volumeNode)
    if matrix is None:
        return None
    world = matrix @ ijkToRas(volumeNode) @ [*voxel, 1.0]
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
    image = result.volumeNode.GetImageData()
    extent = list(image.GetExtent())
    axis, stored = storedIndex(result.storageOrder, image.GetDimensions()[::-1], index)
    extent[4 - 2 * axis] = extent[5 - 2 * axis] = stored
    opacities = {1: opacityIDs(result.segmentationNode.GetSegmentation())}
    labels = segmentLabels(result.volumeNode, result.segmentationNode, opacities, tuple(extent))
    centre = None if labels is None else centreOfLargest(np.stack(list(labels.planes())).squeeze(axis) > 0)
    if centre is None:
        return None
    kji = np.insert(np.array(centre, dtype=float), axis, stored)
    return float(kji[2]), float(kji[1]), float(kji[0])


def centreOfLargest(mask: NDArray[np.bool_]) -> tuple[int, ...] | None:
    """The voxel of the largest object that is nearest to its centre of gravity: it always lies in the object.

    Parameters
    ----------
    mask : ndarray of bool
        A slice or a volume.

    Returns
    -------
    tuple of int or None
        Index of the voxel; None without any object.
    """
    if not mask.any():
        return None
    labels, _count = ndimage.label(mask, np.ones((3,) * mask.ndim, dtype=bool))
    voxels = np.argwhere(labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]))
    nearest = voxels[((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    return tuple(int(n) for n in nearest)
