"""Which aerated lung is right and which is left, from geometry alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import component_sizes
from CovidSeverityLib.morphology.grid import WorkingGrid, dilate_mm, distance_to, erode_mm
from CovidSeverityLib.types import Side

EROSION_STEPS_MM = (1.0, 2.0, 3.0, 4.5, 6.0, 8.0, 10.0)
"""Radii tried until right and left come apart: the lungs touch over the anterior and posterior junction lines, 1-4 mm
of pleura that a scan of thick slices does not show."""

STRAY_SHARE = 0.25
"""A piece with more than this share on either side of the midline is both lungs in one: an overinflated lung reaches
across the midline with less."""

FACING_MARGIN_MM = 15.0
"""Beyond the innermost point of the other lung's core by this much, aerated lung belongs to its own side: more than the
largest erosion."""

PIECE_SHARE = 0.05
"""After an erosion, pieces under this share of the whole do not decide whether the lungs have come apart."""


def split_sides(parenchyma: NDArray[np.bool_], body: NDArray[np.bool_], grid: WorkingGrid) -> NDArray[np.uint8]:
    """Label every voxel of ``parenchyma`` as the right (1) or the left (2) lung.

    Pieces go to the side of the body's midline where most of them lies; a piece that spans both is eroded until it
    comes apart and its voxels go to the nearer part.

    Parameters
    ----------
    parenchyma : (K, J, I) bool; I from the patient's right to left.
    body : (K, J, I) bool, the patient.

    Returns
    -------
    (K, J, I) uint8 of :class:`Side`.
    """
    midline = _midline(parenchyma, body)
    labels, count = ndimage.label(parenchyma)
    left_share = _left_shares(labels, count, midline)
    sides = np.where(left_share > 0.5, Side.LEFT, Side.RIGHT).astype(np.uint8)
    sides[0] = 0
    result = sides[labels]
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if STRAY_SHARE < left_share[label] < 1 - STRAY_SHARE:
            piece = labels[box] == label
            result[box][piece] = _part(piece, midline - box[2].start, grid)[piece]
    return result


def _midline(parenchyma: NDArray[np.bool_], body: NDArray[np.bool_]) -> float:
    """Median, over the slices that hold lung, of the middle column of the body."""
    slices = np.flatnonzero(parenchyma.any(axis=(1, 2)))
    columns = [np.flatnonzero(body[k].any(axis=0)) for k in slices]
    return float(np.median([(c[0] + c[-1]) / 2 for c in columns if c.size])) if slices.size else body.shape[2] / 2


def _left_shares(labels: NDArray, count: int, midline: float) -> NDArray[np.float64]:
    """Share of every label's voxels on the patient's left of ``midline``."""
    first_left = int(np.ceil(midline))
    whole = np.bincount(labels.ravel(), minlength=count + 1)
    left = np.bincount(labels[:, :, first_left:].ravel(), minlength=count + 1)
    return left / np.maximum(whole, 1)


def _part(piece: NDArray[np.bool_], midline: float, grid: WorkingGrid) -> NDArray[np.uint8]:
    """Sides of a piece that holds both lungs; parted at the midline itself if no erosion parts it."""
    for radius in EROSION_STEPS_MM:
        labels, count = ndimage.label(erode_mm(piece, radius, grid.spacing_mm))
        if count < 2:
            continue
        sizes = component_sizes(labels)
        share = _left_shares(labels, count, midline)
        large = sizes >= PIECE_SHARE * sizes.sum()
        mixed = (share > STRAY_SHARE) & (share < 1 - STRAY_SHARE) & large
        right, left = large & (share <= STRAY_SHARE), large & (share >= 1 - STRAY_SHARE)
        if not mixed.any() and right.any() and left.any():
            return _nearest(right[labels], left[labels], grid)
    columns = np.arange(piece.shape[2])
    return np.broadcast_to(np.where(columns < midline, Side.RIGHT, Side.LEFT).astype(np.uint8), piece.shape)


def _nearest(right: NDArray[np.bool_], left: NDArray[np.bool_], grid: WorkingGrid) -> NDArray[np.uint8]:
    """Side of the nearer core. Distances are taken only where the cores face each other: beyond, the side is plain."""
    margin = int(FACING_MARGIN_MM / grid.spacing_mm[2])
    first_left = int(np.flatnonzero(left.any(axis=(0, 1)))[0]) - margin
    last_right = int(np.flatnonzero(right.any(axis=(0, 1)))[-1]) + margin
    begin, end = max(0, min(first_left, last_right)), max(first_left, last_right) + 1
    sides = np.full(right.shape, Side.RIGHT, dtype=np.uint8)
    sides[:, :, end:] = Side.LEFT
    to_right, to_left = (distance_to(core[:, :, begin:end], grid.spacing_mm) for core in (right, left))
    sides[:, :, begin:end][to_left < to_right] = Side.LEFT
    return sides


def main_lungs(sides: NDArray[np.uint8], smallest_ml: float, grid: WorkingGrid) -> NDArray[np.uint8]:
    """Drop what is not part of a lung: pieces far from their side's largest one.

    A piece stays if it is the largest of its side, or if it lies within :data:`CONTACT_MM` of it (a fissure, a band of
    consolidation). A side whose largest piece is under ``smallest_ml`` has no lung.
    """
    result = np.zeros_like(sides)
    for side in Side:
        mask = sides == side
        labels, count = ndimage.label(mask)
        sizes = component_sizes(labels)
        if sizes.max(initial=0) * grid.voxel_ml < smallest_ml:
            continue
        kept = sizes == sizes.max()
        if count > 1:
            kept[np.unique(labels[dilate_mm(kept[labels], CONTACT_MM, grid.spacing_mm)])] = True
            kept[0] = False
        result[kept[labels]] = side
    return result


CONTACT_MM = 5.0
"""Two pieces of one lung lie this near to each other: a thickened fissure or septum is 1-4 mm wide."""
