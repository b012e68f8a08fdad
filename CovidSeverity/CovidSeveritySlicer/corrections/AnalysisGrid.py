"""The grid of an analysis: where the (K, J, I) of the library lie in what the scene stores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import slicer
from slicer.i18n import tr as _

from CovidSeverityLib.types import StorageOrder
from CovidSeveritySlicer.nodes.VolumeGeometry import ijkToRas
from CovidSeveritySlicer.scene.Result import AnalysisResult


class UnusableSegmentation(ValueError):  # noqa: N818 (it says what the segmentation is)
    """A segmentation that cannot be scored, with the reason. For the user."""


@dataclass(frozen=True, eq=False)
class AnalysisGrid:
    """Voxels of the CT, and the order in which the library takes them.

    Parameters
    ----------
    image : vtkOrientedImageData
        The CT as it is stored, in its own coordinates, without values.
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
        """Of the library's arrays, (K, J, I)."""
        stored = self.size[::-1]
        return tuple(stored[axis] for axis in self.order.axes)

    def box(self, extent: tuple[int, ...]) -> tuple[slice, slice, slice]:
        """Where a part of the stored CT lies in the library's arrays.

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
    """The grid that a result was found on.

    Raises
    ------
    UnusableSegmentation
        If the report does not say how the CT was stored, or neither the CT nor the segmentation has its size.
    """
    storage, wanted = result.report["input"].get("storage"), result.report["input"]["size"]
    if storage is None:
        text = _("An earlier version made this result and did not note how the CT is stored; analyze the CT again.")
        raise UnusableSegmentation(text)
    grid = AnalysisGrid(_storedGeometry(result), StorageOrder(tuple(storage["axes"]), tuple(storage["flipped"])))
    if grid.shape[::-1] != tuple(wanted):
        text = _("The segmentation has {found} voxels and the CT that was analysed {wanted}; it cannot be scored.")
        found, analysed = (" x ".join(str(n) for n in numbers) for numbers in (grid.size, wanted))
        raise UnusableSegmentation(text.format(found=found, wanted=analysed))
    return grid


def _storedGeometry(result: AnalysisResult) -> Any:
    """A vtkOrientedImageData on the grid of the CT, or without it on the one that the segmentation was given."""
    image, volumeNode = slicer.vtkOrientedImageData(), result.volumeNode
    if volumeNode is not None and volumeNode.GetScene() is not None and volumeNode.GetImageData() is not None:
        image.SetExtent(volumeNode.GetImageData().GetExtent())
        image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijkToRas(volumeNode)))
    else:
        parameter = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
        text = result.segmentationNode.GetSegmentation().GetConversionParameter(parameter)
        slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, image, False)
    return image
