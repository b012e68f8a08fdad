"""Label maps of a segmentation: several segments share a layer; each layer has its own extent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray
from slicer.i18n import tr as _

from CovidSeverityLib.correction.edited_masks import EMPTY_BOX, Box
from CovidSeverityLib.correction.parts import look_up
from CovidSeveritySlicer.nodes.Layers import BINARY_LABELMAP, isOnGrid, labelsIn, layersOf
from CovidSeveritySlicer.nodes.SegmentParts import segmentParts

from .AnalysisGrid import AnalysisGrid, UnusableSegmentation

_SMALLEST_TABLE = 256
"""A table of labels has a place for each value of an unsigned char."""


class LabelLayers:
    """The segments of a segmentation as they are now: a copy, which any thread may read while the user edits on.

    Attributes
    ----------
    box : Box
        Part of the CT's (K, J, I) that holds all labels.

    Parameters
    ----------
    segmentationNode : any
        VtkMRMLSegmentationNode Segmentation to read.
    grid : AnalysisGrid
        Of the analysis.

    Raises
    ------
    UnusableSegmentation
        There are segments without label maps.
    """

    def __init__(self, segmentationNode: Any, grid: AnalysisGrid) -> None:
        segmentation = segmentationNode.GetSegmentation()
        if segmentation.GetNumberOfSegments() and not segmentation.ContainsRepresentation(BINARY_LABELMAP):
            raise UnusableSegmentation(_("The segmentation has no binary label maps; surfaces cannot be scored."))
        self._layers = list(_layers(segmentationNode, grid))
        axes = zip(*(layer.box for layer in self._layers), strict=True)
        boxes = [slice(min(part.start for part in own), max(part.stop for part in own)) for own in axes]
        self.box: Box = tuple(boxes) or EMPTY_BOX

    def plane(self, k: int, rows: slice, columns: slice) -> NDArray[np.uint16]:
        """Bits of :class:`~CovidSeverityLib.correction.parts.Part` in slice k of the CT, (J, I).

        Parameters
        ----------
        k : int
            Index of the slice.
        rows, columns : slice
            Part of the slice. It holds that of the box.
        """
        bits = np.zeros((rows.stop - rows.start, columns.stop - columns.start), dtype=np.uint16)
        for layer in self._layers:
            n = k - layer.box[0].start
            if 0 <= n < len(layer.labels):
                there = tuple(
                    slice(own.start - asked.start, own.stop - asked.start)
                    for own, asked in zip(layer.box[1:], (rows, columns), strict=True)
                )
                bits[there] |= look_up(layer.table, layer.labels[n])
        return bits


@dataclass(frozen=True, eq=False)
class _Layer:
    """A label map.

    Parameters
    ----------
    table : ndarray of uint16
        Bits of Part by label. Its last entry is 0.
    labels : (K, J, I) ndarray of integers
        Labels in ``box``.
    box : Box
        Part of the CT's (K, J, I) that holds all labels.
    """

    table: NDArray[np.uint16]
    labels: NDArray[np.integer]
    box: Box


def _layers(segmentationNode: Any, grid: AnalysisGrid) -> Iterator[_Layer]:
    """Layers with labels of parts."""
    parts, ct = segmentParts(segmentationNode), grid.image
    for image, labels in layersOf(segmentationNode, parts):
        box = labelsIn(image if isOnGrid(image, ct) else _resampled(image, ct), ct.GetExtent())
        if box is None:
            continue
        table = np.zeros(max(_SMALLEST_TABLE, max(labels.values()) + 2), dtype=np.uint16)
        for name, label in labels.items():
            table[label] |= np.uint16(parts[name])
        yield _Layer(table, grid.order.to_canonical(box.labels), grid.box(box.extent))


def _resampled(image: Any, ct: Any) -> Any:
    """A label map on the grid of the CT."""
    resampled = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(image, ct, resampled)
    return resampled
