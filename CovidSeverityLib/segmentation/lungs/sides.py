"""Aerated lung divided into right and left by geometry alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import boxes_of, component_sizes
from CovidSeverityLib.morphology.grid import Mask, WorkingGrid, bounding_box, dilate_mm, distance_to, erode_mm
from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.types import Box, Side

from .config import SideConfig


def split_sides(parenchyma: Mask, body: Mask, grid: WorkingGrid, config: SideConfig) -> NDArray[np.uint8]:
    """Label every voxel of ``parenchyma`` as the right (1) or the left (2) lung.

    A piece belongs to the side of the body's midline that holds most of it. A piece on both sides is eroded until it
    separates, and its voxels belong to the nearer part.

    Parameters
    ----------
    parenchyma : (K, J, I) ndarray of bool
        Aerated lung, I from the patient's right to left.
    body : (K, J, I) ndarray of bool
        The patient.
    grid : WorkingGrid
        Grid of both.
    config : SideConfig
        How sides are divided.

    Returns
    -------
    (K, J, I) ndarray of uint8
        Values of :class:`Side`.
    """
    result = np.zeros(parenchyma.shape, dtype=np.uint8)
    whole = bounding_box(parenchyma)
    if not parenchyma[whole].size:
        return result
    midline = _midline(parenchyma, body) - whole[2].start
    labels, count = ndimage.label(parenchyma[whole])
    left_share = _left_shares(labels, count, midline)
    sides = np.where(left_share > 0.5, Side.LEFT, Side.RIGHT).astype(np.uint8)
    sides[0] = 0
    result[whole] = sides[labels]
    for label, box in enumerate(boxes_of(labels), start=1):
        if config.stray_share < left_share[label] < 1 - config.stray_share:
            piece = labels[box] == label
            result[whole][box][piece] = _separated(piece, midline - box[2].start, grid, config)[piece]
    return result


def _midline(parenchyma: Mask, body: Mask) -> float:
    """Median, over the slices that hold lung, of the middle column of the body."""
    slices = np.flatnonzero(parenchyma.any(axis=(1, 2)))
    columns = [np.flatnonzero(body[k].any(axis=0)) for k in slices]
    return float(np.median([(c[0] + c[-1]) / 2 for c in columns if c.size])) if slices.size else body.shape[2] / 2


def _left_shares(labels: NDArray, count: int, midline: float) -> NDArray[np.float64]:
    """Share of every label's voxels on the patient's left of ``midline``."""
    first_left = max(0, int(np.ceil(midline)))
    right, left = (_sizes(part, count) for part in (labels[:, :, :first_left], labels[:, :, first_left:]))
    return left / np.maximum(right + left, 1)


def _sizes(labels: NDArray, count: int) -> NDArray[np.intp]:
    """Voxels of every label from 0 to ``count``, of the background none."""
    return np.bincount(labels[labels > 0], minlength=count + 1)


def _separated(piece: Mask, midline: float, grid: WorkingGrid, config: SideConfig) -> NDArray[np.uint8]:
    """Sides of a piece that holds both lungs; divided at the midline itself if no erosion separates it."""
    stray = config.stray_share
    for radius in config.erosion_steps_mm:
        if radius < min(grid.spacing_mm):
            continue  # takes nothing away
        labels, count = ndimage.label(erode_mm(piece, radius, grid.spacing_mm))
        if count < 2:
            continue
        sizes = component_sizes(labels)
        share = _left_shares(labels, count, midline)
        large = sizes >= config.piece_share * sizes.sum()
        mixed = (share > stray) & (share < 1 - stray) & large
        right, left = large & (share <= stray), large & (share >= 1 - stray)
        if not mixed.any() and right.any() and left.any():
            return _nearer_side(right[labels], left[labels], grid, config)
    columns = np.arange(piece.shape[2])
    return np.broadcast_to(np.where(columns < midline, Side.RIGHT, Side.LEFT).astype(np.uint8), piece.shape)


def _nearer_side(right: Mask, left: Mask, grid: WorkingGrid, config: SideConfig) -> NDArray[np.uint8]:
    """Side of the nearer core. Distances are measured only where the cores face each other."""
    margin = int(config.facing_margin_mm / grid.spacing_mm[2])
    first_left = int(np.flatnonzero(left.any(axis=(0, 1)))[0]) - margin
    last_right = int(np.flatnonzero(right.any(axis=(0, 1)))[-1]) + margin
    begin, end = max(0, min(first_left, last_right)), max(first_left, last_right) + 1
    sides = np.full(right.shape, Side.RIGHT, dtype=np.uint8)
    sides[:, :, end:] = Side.LEFT
    to_right, to_left = (distance_to(core[:, :, begin:end], grid.spacing_mm) for core in (right, left))
    sides[:, :, begin:end][to_left < to_right] = Side.LEFT
    return sides


def main_lungs(sides: NDArray[np.uint8], grid: WorkingGrid, config: SideConfig) -> NDArray[np.uint8]:
    """The largest piece of each side, and the pieces near it that a fissure or a band of consolidation separates.

    Parameters
    ----------
    sides : (K, J, I) ndarray of uint8
        Values of :class:`Side`.
    grid : WorkingGrid
        Grid of ``sides``.
    config : SideConfig
        What is near, and the smallest lung.

    Returns
    -------
    (K, J, I) ndarray of uint8
        Empty on a side whose largest piece is smaller than a lung.
    """

    def main_pieces(side: Side) -> tuple[Box, Mask]:
        box = bounding_box(sides == side)
        labels, count = ndimage.label(sides[box] == side)
        sizes = component_sizes(labels)
        if sizes.max(initial=0) * grid.voxel_ml < config.smallest_lung_ml:
            return box, np.zeros(labels.shape, dtype=bool)
        kept = sizes == sizes.max()
        if count > 1:
            kept[labels[dilate_mm(kept[labels], config.contact_mm, grid.spacing_mm)]] = True
            kept[0] = False
        return box, kept[labels]

    result = np.zeros_like(sides)
    for side, (box, lung) in zip(Side, map_in_order(main_pieces, tuple(Side), "sides", None), strict=True):
        result[box][lung] = side
    return result
