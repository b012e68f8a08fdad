"""The label maps of a segmentation, read where they lie: several segments a layer, each layer with its own extent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from CovidSeverityLib.correction.corrections import EMPTY_BOX, EVERY_PART, Box
from CovidSeverityLib.correction.parts import Part
from CovidSeveritySlicer.nodes.SegmentParts import segmentParts

from .AnalysisGrid import AnalysisGrid, UnusableSegmentation

BINARY_LABELMAP = "Binary labelmap"

GRID_TOLERANCE = 1e-3
"""How far a voxel of a label map may lie from one of the CT and still be it, in voxels."""

_SMALLEST_TABLE = 256
"""Every value of an unsigned char has its place in a table of labels."""


@dataclass(frozen=True, eq=False)
class LayerChange:
    """What is to be read after an edit.

    Parameters
    ----------
    box : of the CT's (K, J, I), holds everything that is labelled.
    told : the parts that :meth:`plane` tells; the others did not change.
    layers : to read.
    """

    box: Box
    told: Part
    layers: Sequence[_Layer]

    def plane(self, k: int, rows: slice, columns: slice) -> NDArray[np.uint16]:
        """Bits of :class:`Part` in slice k of the CT, (J, I) of those rows and columns."""
        bits = np.zeros((rows.stop - rows.start, columns.stop - columns.start), dtype=np.uint16)
        for layer in self.layers:
            layer.addTo(bits, k, rows, columns)
        return bits


class LabelLayers:
    """Reads the label maps of a segmentation, and later only those that changed.

    Parameters
    ----------
    segmentationNode : vtkMRMLSegmentationNode.
    grid : of the analysis.
    """

    def __init__(self, segmentationNode: Any, grid: AnalysisGrid) -> None:
        self._node = segmentationNode
        self._grid = grid
        self._layers: list[_Layer] = []

    def read(self) -> LayerChange | None:
        """What changed since the last call, at first everything; None where nothing did.

        Raises
        ------
        UnusableSegmentation
            If there are segments, and no label maps of them.
        """
        segmentation = self._node.GetSegmentation()
        if segmentation.GetNumberOfSegments() and not segmentation.ContainsRepresentation(BINARY_LABELMAP):
            raise UnusableSegmentation(
                _("The segmentation holds no binary label maps; its scores cannot be made from surfaces.")
            )
        first, before = not self._layers, self._layers
        self._layers = [self._layer(*known) for known in _describedLayers(self._node)]
        fresh = [layer for layer in self._layers if layer not in before]
        gone = [layer for layer in before if layer not in self._layers]
        told = EVERY_PART if first else reduce(or_, (layer.parts for layer in (*fresh, *gone)), Part(0))
        if not told:
            return None
        return LayerChange(self._box(), told, [layer.only(told) for layer in self._layers if layer.parts & told])

    def _layer(self, image: Any, table: NDArray[np.uint16]) -> _Layer:
        """The layer as it was read before, where it did not change."""
        for layer in self._layers:
            if layer.image is image and layer.time == image.GetMTime() and np.array_equal(layer.table, table):
                return layer
        return _Layer.of(image, table, self._grid)

    def _box(self) -> Box:
        boxes = [layer.box for layer in self._layers if layer.box != EMPTY_BOX]
        if not boxes:
            return EMPTY_BOX
        axes = zip(*boxes, strict=True)
        return tuple(slice(min(part.start for part in own), max(part.stop for part in own)) for own in axes)


def _describedLayers(segmentationNode: Any) -> list[tuple[Any, NDArray[np.uint16]]]:
    """The image of every layer that holds parts, and the bits of its labels."""
    segmentation = segmentationNode.GetSegmentation()
    parts = segmentParts(segmentationNode)
    described = []
    for n in range(segmentation.GetNumberOfLayers(BINARY_LABELMAP)):
        own = [name for name in segmentation.GetSegmentIDsForLayer(n, BINARY_LABELMAP) if name in parts]
        if own:
            labels = {name: int(segmentation.GetSegment(name).GetLabelValue()) for name in own}
            table = np.zeros(max(_SMALLEST_TABLE, max(labels.values()) + 2), dtype=np.uint16)
            for name in own:
                table[labels[name]] |= np.uint16(parts[name])
            described.append((segmentation.GetLayerDataObject(n, BINARY_LABELMAP), table))
    return described


@dataclass(frozen=True, eq=False)
class _Layer:
    """A label map on the grid of the analysis.

    Parameters
    ----------
    image : vtkOrientedImageData as the segmentation holds it. Held, so that no other can take its place in memory.
    time : of its last change.
    table : bits of :class:`Part` by label; its last entry is 0.
    voxels : (K, J, I) labels, a view of the image where that lies on the grid.
    start : (K, J, I) of the first voxel in the CT.
    box : of the CT's (K, J, I), holds every label.
    """

    image: Any
    time: int
    table: NDArray[np.uint16]
    voxels: NDArray[np.integer]
    start: tuple[int, int, int]
    box: Box

    @classmethod
    def of(cls, image: Any, table: NDArray[np.uint16], grid: AnalysisGrid) -> _Layer:
        """A layer of a segmentation, resampled where it does not lie on the grid."""
        stored, first = _onGrid(image, grid)
        voxels = grid.order.to_canonical(stored)
        start = grid.start(first, stored.shape)
        return cls(image, image.GetMTime(), table, voxels, start, _labelledBox(voxels, start))

    @property
    def parts(self) -> Part:
        """That it holds."""
        return Part(int(np.bitwise_or.reduce(self.table)))

    def only(self, told: Part) -> _Layer:
        """The same, with no other parts."""
        return _Layer(self.image, self.time, self.table & np.uint16(told), self.voxels, self.start, self.box)

    def addTo(self, bits: NDArray[np.uint16], k: int, rows: slice, columns: slice) -> None:
        """Add the parts of slice k to ``bits`` of those rows and columns."""
        if not self.box[0].start <= k < self.box[0].stop:
            return
        both = [
            slice(max(a.start, b.start), min(a.stop, b.stop))
            for a, b in zip((rows, columns), self.box[1:], strict=True)
        ]
        if any(part.start >= part.stop for part in both):
            return
        there, here = (
            tuple(slice(p.start - n, p.stop - n) for p, n in zip(both, starts, strict=True))
            for starts in ((rows.start, columns.start), self.start[1:])
        )
        labels = self.voxels[k - self.start[0]][here]
        bits[there] |= self.table.take(labels, mode="clip")  # twice as fast as an index; no part is at either end


def _onGrid(image: Any, grid: AnalysisGrid) -> tuple[NDArray[np.integer], tuple[int, int, int]]:
    """Stored (K, J, I) labels on the voxels of the CT, cut to it, and the (K, J, I) of their first voxel."""
    offset = _offset(image, grid)
    if offset is None:
        resampled = slicer.vtkOrientedImageData()
        resample = slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage
        if image.IsEmpty() or not resample(image, grid.emptyImage, resampled):
            return np.zeros((0, 0, 0), dtype=np.uint8), (0, 0, 0)
        image, offset = resampled, (0, 0, 0)
    scalars = image.GetPointData().GetScalars()
    if scalars is None:
        return np.zeros((0, 0, 0), dtype=np.uint8), (0, 0, 0)
    stored = vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1])
    first = [image.GetExtent()[2 * axis] + offset[axis] for axis in (2, 1, 0)]
    cut = [slice(max(0, -n), max(0, size - n)) for n, size in zip(first, grid.size[::-1], strict=True)]
    return stored[tuple(cut)], tuple(max(0, n) for n in first)


def _offset(image: Any, grid: AnalysisGrid) -> tuple[int, int, int] | None:
    """Voxels (I, J, K) from the index of a label map to that of the CT; None where voxels are not the same."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    between = np.linalg.inv(grid.ijkToRas) @ np.array(slicer.util.arrayFromVTKMatrix(matrix))
    whole = np.rint(between[:3, 3])
    same = np.eye(4)
    same[:3, 3] = whole
    extent = np.reshape(image.GetExtent(), (3, 2))
    corners = np.array([[*(extent[axis, end] for axis, end in enumerate(ends)), 1] for ends in np.ndindex(2, 2, 2)])
    if np.abs(corners @ (between - same).T).max() > GRID_TOLERANCE:
        return None
    return tuple(int(n) for n in whole)


def _labelledBox(voxels: NDArray[np.integer], start: tuple[int, int, int]) -> Box:
    if not voxels.size:
        return EMPTY_BOX
    overhead = voxels.max(axis=0) > 0
    hits = (voxels.max(axis=(1, 2)) > 0, overhead.any(axis=1), overhead.any(axis=0))
    ends = [np.flatnonzero(hit) for hit in hits]
    if not ends[0].size:
        return EMPTY_BOX
    return tuple(slice(n + int(hit[0]), n + int(hit[-1]) + 1) for n, hit in zip(start, ends, strict=True))
