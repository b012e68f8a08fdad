"""The grid of an analysis: from the stored voxels of the CT to the (K, J, I) arrays of the library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import slicer
from slicer.i18n import tr as _

from CovidSeverityLib.types import StorageOrder
from CovidSeveritySlicer.nodes.VolumeGeometry import storedGrid
from CovidSeveritySlicer.scene.Result import AnalysisResult


class UnusableSegmentation(ValueError):  # noqa: N818 (it says what the segmentation is)
    """A segmentation that cannot be scored. The message, for the user, says why."""


@dataclass(frozen=True, eq=False)
class AnalysisGrid:
    """The stored voxels of the CT, and their order in the library.

    Parameters
    ----------
    image : any
        VtkOrientedImageData Geometry of the stored CT, in its own coordinates. It has no values.
    order : StorageOrder
        From stored arrays to (K, J, I).
    """

    image: Any
    order: StorageOrder

    @property
    def size(self) -> tuple[int, int, int]:
        """Number of voxels along the stored (I, J, K)."""
        return self.image.GetDimensions()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the library's arrays, (K, J, I)."""
        stored = self.size[::-1]
        return tuple(stored[axis] for axis in self.order.axes)

    def box(self, extent: tuple[int, ...]) -> tuple[slice, slice, slice]:
        """The part of the library's arrays that a part of the stored CT becomes.

        Parameters
        ----------
        extent : tuple of int
            First and last voxel along the stored I, J and K.
        """
        ranges = [(extent[2 * axis], extent[2 * axis + 1] + 1) for axis in (2, 1, 0)]
        sizes = self.size[::-1]
        return tuple(
            slice(sizes[axis] - ranges[axis][1], sizes[axis] - ranges[axis][0]) if flipped else slice(*ranges[axis])
            for axis, flipped in zip(self.order.axes, self.order.flipped, strict=True)
        )


def gridOf(result: AnalysisResult) -> AnalysisGrid:
    """The grid of the analysis of a result.

    Raises
    ------
    UnusableSegmentation
        If neither the CT nor the segmentation has the size of the CT that was analysed.
    """
    grid, wanted = AnalysisGrid(_storedGeometry(result), result.storageOrder), result.report["input"]["size"]
    if grid.shape[::-1] != tuple(wanted):
        text = _("The segmentation has {found} voxels and the CT that was analysed {wanted}; it cannot be scored.")
        found, analysed = (" x ".join(str(n) for n in numbers) for numbers in (grid.size, wanted))
        raise UnusableSegmentation(text.format(found=found, wanted=analysed))
    return grid


def _storedGeometry(result: AnalysisResult) -> Any:
    """The grid of the CT, or without the CT the reference geometry of the segmentation."""
    volumeNode = result.volumeNode
    if volumeNode is not None and volumeNode.GetScene() is not None and volumeNode.GetImageData() is not None:
        return storedGrid(volumeNode)
    image = slicer.vtkOrientedImageData()
    parameter = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    text = result.segmentationNode.GetSegmentation().GetConversionParameter(parameter)
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, image, False)
    return image
