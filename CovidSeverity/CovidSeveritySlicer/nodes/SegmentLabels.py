"""Segments as labels on the grid of a volume. Their own grid and transform may differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray

from CovidSeverityLib.correction.parts import look_up

from .Layers import BINARY_LABELMAP, Extent, LabelBox, isOnGrid, labelsIn, layersOf
from .VolumeGeometry import storedGrid


@dataclass(frozen=True, eq=False)
class SegmentLabels:
    """Segments as they are now, as labels: a copy, which any thread may read. Where they overlap, the later counts.

    Parameters
    ----------
    labels : (N,) ndarray of uint8
        Label by rank. Rank 0 is no segment; a higher rank is a later segment.
    extent : Extent
        Part of the volume.
    layers : tuple
        Labels of each layer, and the table of their ranks. The last entry of a table is 0.
    """

    labels: NDArray[np.uint8]
    extent: Extent
    layers: tuple[tuple[LabelBox, NDArray[np.uint16]], ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the part, (K, J, I)."""
        return tuple(self.extent[n + 1] - self.extent[n] + 1 for n in (4, 2, 0))

    def planes(self) -> Iterator[NDArray[np.uint8]]:
        """Labels of each slice of the part, (J, I), in the stored order of the volume."""
        left, _right, top, _bottom, first, last = self.extent
        for k in range(first, last + 1):
            ranks = np.zeros(self.shape[1:], dtype=np.uint16)
            for box, table in self.layers:
                i0, i1, j0, j1, k0, k1 = box.extent
                if k0 <= k <= k1:
                    there = ranks[j0 - top : j1 - top + 1, i0 - left : i1 - left + 1]
                    np.maximum(there, look_up(table, box.labels[k - k0]), out=there)
            yield self.labels[ranks]


def segmentLabels(
    volumeNode: Any, segmentationNode: Any, segmentIDs: Mapping[int, Iterable[str]], extent: Extent | None = None
) -> SegmentLabels | None:
    """Labels of segments on the grid of a volume.

    Label maps that are on this grid already are only copied. Otherwise Slicer resamples them, which holds the window
    for seconds.

    Parameters
    ----------
    volumeNode : any
        VtkMRMLScalarVolumeNode Has image data.
    segmentationNode : any
        VtkMRMLSegmentationNode.
    segmentIDs : Mapping
        Segment identifiers by label, 1 to 255.
    extent : Extent or None
        Part of the volume; None for the whole.

    Returns
    -------
    SegmentLabels or None
        None if there are no label maps, or Slicer cannot resample them to this grid.
    """
    named = [(name, label) for label, names in segmentIDs.items() for name in names]
    ranks = {name: rank for rank, (name, _label) in enumerate(named, 1)}
    grid = storedGrid(volumeNode)
    extent = extent or grid.GetExtent()
    layers = _layers(volumeNode, segmentationNode, ranks, grid)
    if layers is None:
        return None
    boxes = [(labelsIn(image, extent), _table(own)) for image, own in layers]
    labels = np.array([0, *(label for _name, label in named)], dtype=np.uint8)
    return SegmentLabels(labels, extent, tuple((box, table) for box, table in boxes if box is not None))


def _layers(
    volumeNode: Any, segmentationNode: Any, ranks: Mapping[str, int], grid: Any
) -> list[tuple[Any, dict[int, int]]] | None:
    """Label maps on the grid of the volume, and rank by label of each."""
    if not ranks:
        return []  # Slicer takes an empty list for every segment
    if not segmentationNode.GetSegmentation().ContainsRepresentation(BINARY_LABELMAP):
        return None
    own = list(layersOf(segmentationNode, ranks))
    together = segmentationNode.GetTransformNodeID() == volumeNode.GetTransformNodeID()
    if together and all(isOnGrid(image, grid) for image, _labels in own):
        return [(image, {label: ranks[name] for name, label in labels.items()}) for image, labels in own]
    merged = _resampled(volumeNode, segmentationNode, ranks)
    return [(merged, {rank: rank for rank in ranks.values()})] if merged.GetExtent() == grid.GetExtent() else None


def _resampled(volumeNode: Any, segmentationNode: Any, ranks: Mapping[str, int]) -> Any:
    """A vtkOrientedImageData of ranks, by Slicer. It is empty if Slicer cannot make it."""
    identifiers, values = vtk.vtkStringArray(), vtk.vtkIntArray()
    for name, rank in ranks.items():
        identifiers.InsertNextValue(name)
        values.InsertNextValue(rank)
    merged = slicer.vtkOrientedImageData()
    slicer.vtkSlicerSegmentationsModuleLogic.GenerateMergedLabelmapInReferenceGeometry(
        segmentationNode, volumeNode, identifiers, slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY, merged, values
    )
    return merged


def _table(ranks: Mapping[int, int]) -> NDArray[np.uint16]:
    """Rank by label of a layer. The last entry is 0, for labels that are not in the table."""
    table = np.zeros(max(ranks) + 2, dtype=np.uint16)
    for label, rank in ranks.items():
        table[label] = rank
    return table
