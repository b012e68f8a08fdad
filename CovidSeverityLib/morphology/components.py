"""Connected components and holes, in 3-D and slice by slice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.checked import known

IN_PLANE_4 = ndimage.generate_binary_structure(3, 1) & (np.arange(3) == 1)[:, None, None]
"""Neighbours within an axial slice that share an edge."""


def component_sizes(labels: NDArray) -> NDArray[np.int64]:
    """Voxels of every label; entry 0 (background) is set to 0."""
    sizes = np.bincount(labels.ravel()[labels.ravel() > 0], minlength=1)
    sizes[0] = 0
    return sizes


def largest_component(mask: NDArray) -> NDArray[np.bool_]:
    """The largest 6-connected component of ``mask`` (the first in array order among equals; empty stays empty)."""
    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask.astype(bool, copy=False)
    return labels == component_sizes(labels).argmax()


def fill_holes_in_slices(mask: NDArray) -> NDArray[np.bool_]:
    """``mask`` with whatever it encloses within an axial slice (4-connected background)."""
    return ~_open_background(mask, IN_PLANE_4, faces=(1, 2))


def fill_holes(mask: NDArray) -> NDArray[np.bool_]:
    """``mask`` with whatever it encloses in 3-D (6-connected background)."""
    return ~_open_background(mask, None, faces=(0, 1, 2))


def _open_background(mask: NDArray, structure: NDArray | None, faces: tuple[int, ...]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(~mask, structure)
    reaches = np.zeros(count + 1, dtype=bool)
    for axis in faces:
        for end in (0, -1):
            reaches[np.unique(np.take(labels, end, axis=axis))] = True
    reaches[0] = False
    return reaches[labels]


def boxes_of(labels: NDArray[np.integer]) -> list[tuple[slice, ...]]:
    """The box of every label from 1 on, each of which occurs."""
    return [known(box) for box in ndimage.find_objects(labels)]
