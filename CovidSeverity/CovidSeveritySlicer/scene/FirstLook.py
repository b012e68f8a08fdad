"""Where to look first in a new result, and bringing the slice views there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

from .Result import AnalysisResult, FirstLook, Voxel
from .ResultFiles import ResultFiles
from .SegmentDisplay import LUNG_IDS, OPACITY_IDS
from .WorstSlice import centreOfLargest, storedIndex, toWorld, worstIndex

LOOKED_AT_VOXELS = 2_000_000
"""Objects are searched on every n-th voxel, so that there are no more than these: SciPy's search keeps the lock of
Python's interpreter, and with it the window, for some hundredths of a second."""

SUPERIOR = 2
"""Axis of RAS along which axial slices follow each other."""


def firstLook(files: ResultFiles, layers: Sequence[NDArray[np.uint8]]) -> FirstLook | None:
    """Where to look first. Any thread may call this.

    Parameters
    ----------
    files : ResultFiles
        Files of the result.
    layers : sequence of (K, J, I) ndarray of uint8
        Label maps of its segmentation, in the stored order of the CT.

    Returns
    -------
    FirstLook or None
        None if there is neither opacity nor lung.
    """
    others = next((place for names in (OPACITY_IDS, *LUNG_IDS) if (place := _centre(files, layers, names))), None)
    if others is None:
        return None
    return FirstLook(_inWorstSlice(files, layers) or others, others)


def look(result: AnalysisResult) -> None:
    """Fit the slice views with the CT of a result, and move them to what is to be seen first.

    Parameters
    ----------
    result : AnalysisResult
        Nothing happens if it has no ``firstLook``, as in a scene that was loaded.
    """
    if result.firstLook is None or result.volumeNode is None:
        return
    axial, others = (toWorld(result.volumeNode, voxel) for voxel in (result.firstLook.axial, result.firstLook.others))
    if axial is None or others is None:
        return
    for sliceNode in _viewsOf(result.volumeNode):
        logic = slicer.app.applicationLogic().GetSliceLogic(sliceNode)
        if logic is not None:
            logic.FitSliceToAll()
        sliceNode.JumpSliceByOffsetting(*(axial if _isAxial(sliceNode) else others))


def _viewsOf(volumeNode: Any) -> Iterator[Any]:
    """Slice nodes of the views with a CT in the background."""
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    shown = {node.GetLayoutName() for node in composites if node.GetBackgroundVolumeID() == volumeNode.GetID()}
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        if node.GetLayoutName() in shown:
            yield node


def _isAxial(sliceNode: Any) -> bool:
    normal = [abs(sliceNode.GetSliceToRAS().GetElement(row, 2)) for row in range(3)]
    return bool(np.argmax(normal) == SUPERIOR)


def _inWorstSlice(files: ResultFiles, layers: Sequence[NDArray[np.uint8]]) -> Voxel | None:
    index = worstIndex(files.sliceRows)
    if index is None:
        return None
    axis, plane = storedIndex(files.storageOrder, layers[0].shape, index)
    pixel = centreOfLargest(_mask(files, [layer.take(plane, axis) for layer in layers], OPACITY_IDS))
    return None if pixel is None else _voxel(np.insert(np.array(pixel), axis, plane))


def _centre(files: ResultFiles, layers: Sequence[NDArray[np.uint8]], names: str | Sequence[str]) -> Voxel | None:
    """A voxel near the centre of the largest object of these segments."""
    step = 1
    while np.prod([-(-length // step) for length in layers[0].shape]) > LOOKED_AT_VOXELS:
        step *= 2
    while step:  # what lies between the voxels is found by a smaller step
        place = centreOfLargest(_mask(files, [layer[::step, ::step, ::step] for layer in layers], names))
        if place is not None:
            return _voxel(step * np.array(place))
        step //= 2
    return None


def _mask(files: ResultFiles, layers: Sequence[NDArray[np.uint8]], names: str | Sequence[str]) -> NDArray[np.bool_]:
    found = np.zeros(layers[0].shape, dtype=bool)
    for segment in files.segmentation.segments:
        if segment.identifier in ((names,) if isinstance(names, str) else names):
            found |= layers[segment.layer] == segment.label
    return found


def _voxel(kji: NDArray[np.integer]) -> Voxel:
    k, j, i = (int(n) for n in kji)
    return i, j, k
