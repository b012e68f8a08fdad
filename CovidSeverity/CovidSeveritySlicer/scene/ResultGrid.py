"""Where files of a result lie in the scene."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.nodes.VolumeGeometry import RAS_FROM_LPS, ijkToRas, rasToWorld, sameGrid

from .ResultFiles import UnusableResult
from .SegmentationFile import SegmentationHeader


def inScene(node: Any) -> bool:
    """Whether there is a node, and a scene has it."""
    return node is not None and node.GetScene() is not None


def sizeOf(volumeNode: Any) -> tuple[int, int, int]:
    """Number of voxels of a CT along (I, J, K).

    Raises
    ------
    UnusableResult
        It has left the scene.
    """
    if not inScene(volumeNode) or volumeNode.GetImageData() is None:
        raise UnusableResult(_("The CT of this analysis is no longer in the scene, so its result cannot be shown."))
    return tuple(volumeNode.GetImageData().GetDimensions())


def gridFor(volumeNode: Any, header: SegmentationHeader) -> Any:
    """The grid of the CT, in its own coordinates, for the label maps.

    If the CT has a transform, the geometry in the file is in world coordinates.

    Raises
    ------
    UnusableResult
        The CT has left the scene or was moved, or the file belongs to another one.
    """
    size = sizeOf(volumeNode)
    own, toWorld = ijkToRas(volumeNode), rasToWorld(volumeNode)
    places = [own] if toWorld is None else [own, toWorld @ own]
    stored = RAS_FROM_LPS @ header.ijkToLps
    if header.size != size or not any(sameGrid(stored, place, size) for place in places):
        raise UnusableResult(
            _("The result does not lie where the CT is now: the CT was moved, or it is not the one that was analysed.")
        )
    return slicer.util.vtkMatrixFromArray(own)
