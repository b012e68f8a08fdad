"""Label maps of a segmentation: several segments share a layer; each layer has its own extent."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray
from vtk.util.numpy_support import vtk_to_numpy

from CovidSeverityLib.morphology.grid import bounding_box

BINARY_LABELMAP = "Binary labelmap"

Extent = tuple[int, ...]
"""First and last voxel along the stored I, J and K."""


@dataclass(frozen=True, eq=False)
class LabelBox:
    """Labels of a layer where there are any: a copy, which any thread may read.

    Parameters
    ----------
    labels : (K, J, I) ndarray of integers
        Labels in ``extent``.
    extent : Extent
        Smallest one with all labels.
    """

    labels: NDArray[np.integer]
    extent: Extent


def layersOf(segmentationNode: Any, names: Container[str]) -> Iterator[tuple[Any, dict[str, int]]]:
    """Each label map (vtkOrientedImageData) with one of these segments, and its labels by segment identifier.

    Parameters
    ----------
    segmentationNode : any
        VtkMRMLSegmentationNode.
    names : container of str
        Segment identifiers.
    """
    segmentation = segmentationNode.GetSegmentation()
    for n in range(segmentation.GetNumberOfLayers(BINARY_LABELMAP)):
        own = [name for name in segmentation.GetSegmentIDsForLayer(n, BINARY_LABELMAP) if name in names]
        if own:
            labels = {name: int(segmentation.GetSegment(name).GetLabelValue()) for name in own}
            yield segmentation.GetLayerDataObject(n, BINARY_LABELMAP), labels


def isOnGrid(image: Any, grid: Any) -> bool:
    """Whether a label map is empty or has the grid, if not the extent, of another vtkOrientedImageData."""
    return bool(image.IsEmpty() or slicer.vtkOrientedImageDataResample.DoGeometriesMatch(image, grid))


def labelsIn(image: Any, extent: Extent) -> LabelBox | None:
    """The labels of a label map in an extent; None if there are none.

    Parameters
    ----------
    image : any
        VtkOrientedImageData.
    extent : Extent
        Part of the grid to look at. It may reach beyond the label map, and the label map beyond it.
    """
    scalars, own = image.GetPointData().GetScalars(), image.GetExtent()
    if scalars is None:
        return None
    ends = [(max(own[n], extent[n]), min(own[n + 1], extent[n + 1])) for n in (0, 2, 4)]
    parts = [slice(low - first, max(low, high + 1) - first) for (low, high), first in zip(ends, own[::2], strict=True)]
    stored = vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1])[tuple(reversed(parts))]
    here = _boxAround(stored)
    labels = stored[here].copy()
    if not labels.size:
        return None
    firsts = [low + part.start for (low, _high), part in zip(ends, reversed(here), strict=True)]
    sizes = zip(firsts, reversed(labels.shape), strict=True)
    return LabelBox(labels, tuple(bound for first, size in sizes for bound in (first, first + size - 1)))


def _boxAround(labels: NDArray[np.integer]) -> tuple[slice, slice, slice]:
    """The part that holds all labels. Combining bits is twice as fast as asking every label whether it is 0."""
    planes, _rows, _columns = bounding_box(np.bitwise_or.reduce(labels, axis=(1, 2), keepdims=True))
    _planes, rows, columns = bounding_box(np.bitwise_or.reduce(labels, axis=0, keepdims=True))
    return planes, rows, columns
