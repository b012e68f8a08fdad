"""Geometry of a volume, as the library describes it: LPS millimetres in world coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray

from CovidSeverityLib.io.affine import SAME_GRID_MM
from CovidSeverityLib.types import Geometry

RAS_FROM_LPS = LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

RIGID_TOLERANCE = 1e-3
"""How far the columns of a rigid transform may be from perpendicular unit vectors: half a millimetre over a chest."""


def ijkToRas(volumeNode: Any) -> NDArray[np.float64]:
    """(4, 4) matrix from voxel indices to RAS mm, without the transform of the volume.

    Parameters
    ----------
    volumeNode : any
        VtkMRMLScalarVolumeNode.
    """
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix))


def storedGrid(volumeNode: Any) -> Any:
    """The grid of a volume, without its transform, as a vtkOrientedImageData without values.

    Parameters
    ----------
    volumeNode : any
        VtkMRMLScalarVolumeNode Has image data.
    """
    grid = slicer.vtkOrientedImageData()
    grid.SetExtent(volumeNode.GetImageData().GetExtent())
    grid.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijkToRas(volumeNode)))
    return grid


def rasToWorld(node: Any) -> NDArray[np.float64] | None:
    """(4, 4) matrix from the coordinates of a node to the world; None if its transform is not linear.

    Parameters
    ----------
    node : any
        VtkMRMLTransformableNode.
    """
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    matrix = vtk.vtkMatrix4x4()
    if not transform.IsTransformToWorldLinear() or not transform.GetMatrixTransformToWorld(matrix):
        return None
    return np.array(slicer.util.arrayFromVTKMatrix(matrix))


def isRigid(matrix: NDArray[np.float64]) -> bool:
    """Whether a (4, 4) matrix preserves lengths and angles. A reflection does."""
    turn = matrix[:3, :3]
    return bool(np.abs(turn.T @ turn - np.eye(3)).max() <= RIGID_TOLERANCE)


def geometryOf(volumeNode: Any, toWorld: NDArray[np.float64]) -> Geometry:
    """The grid of a volume in LPS mm, in its stored order of axes.

    Parameters
    ----------
    volumeNode : any
        VtkMRMLScalarVolumeNode Has image data.
    toWorld : (4, 4) ndarray of float64
        From the RAS coordinates of the volume to the world, rigid.
    """
    matrix = LPS_FROM_RAS @ toWorld @ ijkToRas(volumeNode)
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    return Geometry(
        size=tuple(volumeNode.GetImageData().GetDimensions()),
        spacing_mm=tuple(spacing.tolist()),
        origin_mm=tuple(matrix[:3, 3].tolist()),
        direction=tuple((matrix[:3, :3] / spacing).ravel().tolist()),
    )


def sameGrid(first: NDArray[np.float64], second: NDArray[np.float64], size: tuple[int, int, int]) -> bool:
    """Whether two matrices put the corners of a grid in the same places.

    Parameters
    ----------
    first, second : (4, 4) ndarray of float64
        From voxel indices to mm. Both are RAS, or both LPS.
    size : tuple of int
        Number of voxels along (I, J, K).
    """
    corners = np.array([[*((np.array(size) - 1) * corner), 1.0] for corner in np.ndindex(2, 2, 2)])
    return bool(np.abs(corners @ (first - second).T).max() <= SAME_GRID_MM)
