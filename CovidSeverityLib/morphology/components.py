"""Connected components and holes, in 3-D and slice by slice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.types import Box, triple

from .grid import Edges, Mask, bounding_box

IN_PLANE_4 = ndimage.generate_binary_structure(3, 1) & (np.arange(3) == 1)[:, None, None]
"""Neighbours within an axial slice that share an edge."""


def component_sizes(labels: NDArray) -> NDArray[np.int64]:
    """Voxels of every label; entry 0 (background) is set to 0."""
    sizes = np.bincount(labels.ravel()[labels.ravel() > 0], minlength=1)
    sizes[0] = 0
    return sizes


def large_components(mask: NDArray, smallest: float, structure: NDArray | None = None) -> Mask:
    """The connected components of ``mask`` that have at least ``smallest`` voxels.

    Parameters
    ----------
    mask : (K, J, I) ndarray of bool
        Of any content.
    smallest : float
        Voxels.
    structure : (3, 3, 3) ndarray of bool, optional
        Which neighbours are connected; None for those that share a face.
    """
    labels, _ = ndimage.label(mask, structure)
    return (component_sizes(labels) >= smallest)[labels] & mask


def largest_component(mask: NDArray) -> Mask:
    """The largest 6-connected component of ``mask`` (the first in array order among equals; empty stays empty)."""
    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask.astype(bool, copy=False)
    return labels == component_sizes(labels).argmax()


def fill_holes_in_slices(mask: NDArray) -> Mask:
    """``mask`` with everything that it encloses within an axial slice (4-connected background)."""
    labels, _ = ndimage.label(np.pad(~mask, [(0, 0), (1, 1), (1, 1)], constant_values=True), IN_PLANE_4)
    return (labels != labels[:, :1, :1])[:, 1:-1, 1:-1]


def fill_holes(mask: NDArray) -> Mask:
    """``mask`` with everything that it encloses in 3-D (6-connected background)."""
    box = bounding_box(mask)
    labels, _ = ndimage.label(np.pad(~mask[box], 1, constant_values=True))
    filled = np.zeros(mask.shape, dtype=bool)
    filled[box] = (labels != labels[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return filled


def boxes_of(labels: NDArray[np.integer]) -> list[tuple[slice, ...]]:
    """The box of every label from 1 on, each of which occurs."""
    return [box for box in ndimage.find_objects(labels) if box is not None]


def boxes_around(mask: NDArray, radius_mm: float, spacing_mm: Edges) -> list[Box]:
    """Boxes with all that is within ``radius_mm`` of ``mask``: one a component, or one for all where that is less."""
    if not mask.any():
        return []
    margin = triple(1 + int(radius_mm / mm) for mm in spacing_mm)
    whole, around_all = bounding_box(mask), bounding_box(mask, margin)
    boxes = [
        triple(
            slice(max(0, w.start + s.start - more), min(size, w.start + s.stop + more))
            for w, s, more, size in zip(whole, box, margin, mask.shape, strict=True)
        )
        for box in boxes_of(ndimage.label(mask[whole])[0])
    ]
    return boxes if sum(mask[box].size for box in boxes) < mask[around_all].size else [around_all]
