"""The grid of an analysis: where the (K, J, I) of the library lie in what the scene stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from slicer.i18n import tr as _

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.orientation import canonical_order
from CovidSeverityLib.types import StorageOrder
from CovidSeveritySlicer.nodes.VolumeGeometry import LPS_FROM_RAS, ijkToRas, rasToWorld
from CovidSeveritySlicer.scene.Result import AnalysisResult


class UnusableSegmentation(ValueError):  # noqa: N818 (it says what the segmentation is)
    """A segmentation that no score can be made from, with the reason. For the user."""


@dataclass(frozen=True, eq=False)
class AnalysisGrid:
    """Voxels of the CT, and the order in which the library takes them.

    Parameters
    ----------
    ijkToRas : 4 x 4 matrix from voxel indices of the CT as it is stored to RAS mm in its own coordinates.
    size : number of voxels along the stored (I, J, K).
    order : from stored arrays to (K, J, I).
    """

    ijkToRas: NDArray[np.float64]
    size: tuple[int, int, int]
    order: StorageOrder

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the library's arrays, (K, J, I)."""
        stored = self.size[::-1]
        return tuple(stored[axis] for axis in self.order.axes)

    @property
    def emptyImage(self) -> Any:
        """A vtkOrientedImageData of this geometry without voxels, to resample to."""
        image = slicer.vtkOrientedImageData()
        image.SetExtent([bound for n in self.size for bound in (0, n - 1)])
        image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(self.ijkToRas))
        return image

    def start(self, first: tuple[int, int, int], shape: tuple[int, ...]) -> tuple[int, int, int]:
        """Where a part of a stored array begins in the library's.

        Parameters
        ----------
        first : of the part, stored (K, J, I).
        shape : of the part, stored (K, J, I).
        """
        size = self.size[::-1]
        ends = (
            size[axis] - first[axis] - shape[axis] if flipped else first[axis]
            for axis, flipped in zip(self.order.axes, self.order.flipped, strict=True)
        )
        return tuple(ends)


def possibleGrids(result: AnalysisResult) -> tuple[AnalysisGrid, ...]:
    """The grids that an analysis may have been made on, the likeliest first.

    It was made in world coordinates: under a transform that turns the CT, the slices are others than without. Where
    that transform has been changed since, only the numbers of an analysis tell which axis its slices were counted
    along, and from which end; no number depends on the order within a slice.

    Parameters
    ----------
    result : of the analysis.

    Raises
    ------
    UnusableSegmentation
        If neither the CT nor the segmentation has the size of the CT that was analysed.
    """
    matrix, size = _storedGeometry(result)
    wanted = tuple(result.report["input"]["size"])
    grids: dict[tuple[int, bool], AnalysisGrid] = {}
    for order in (*_likelyOrders(matrix, rasToWorld(result.segmentationNode)), *_ALL_ORDERS):
        grid = AnalysisGrid(matrix, size, order)
        if grid.shape[::-1] == wanted:
            grids.setdefault((order.axes[0], order.flipped[0]), grid)
    if not grids:
        text = _("The segmentation has {found} voxels and the CT that was analysed {wanted}; it cannot be scored.")
        found, analysed = (" x ".join(str(n) for n in numbers) for numbers in (size, wanted))
        raise UnusableSegmentation(text.format(found=found, wanted=analysed))
    return tuple(grids.values())


_ALL_ORDERS = tuple(
    StorageOrder(axes, (flipped, False, False)) for axes in permutations(range(3)) for flipped in (False, True)
)


def _likelyOrders(matrix: NDArray[np.float64], toWorld: NDArray[np.float64] | None) -> Iterator[StorageOrder]:
    """As the CT lies in the world now, then as it lies without its transform."""
    for turn in (toWorld, np.eye(4)):
        if turn is None:
            continue
        directions = (LPS_FROM_RAS @ turn @ matrix)[:3, :3]
        with suppress(InputError):  # a transform that shears
            yield canonical_order(directions / np.linalg.norm(directions, axis=0))


def _storedGeometry(result: AnalysisResult) -> tuple[NDArray[np.float64], tuple[int, int, int]]:
    """IJK to RAS and the size along (I, J, K): of the CT, or without it of the grid that the segmentation was given."""
    volumeNode = result.volumeNode
    if volumeNode is not None and volumeNode.GetScene() is not None and volumeNode.GetImageData() is not None:
        return ijkToRas(volumeNode), tuple(volumeNode.GetImageData().GetDimensions())
    image, matrix = slicer.vtkOrientedImageData(), vtk.vtkMatrix4x4()
    parameter = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    text = result.segmentationNode.GetSegmentation().GetConversionParameter(parameter)
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, image, False)
    image.GetImageToWorldMatrix(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix)), tuple(image.GetDimensions())
