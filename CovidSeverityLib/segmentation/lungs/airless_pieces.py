"""Pieces of tissue inside the expected lung: airless lung, pleural fluid, or neither.

The expected surface (:mod:`.hidden_lung`) is exact to some millimetres. Between it and the aerated lung also lie the
hilum and parts of organs and large vessels that it cuts off. The position of a piece and its neighbours separate them.
Fluid has its own density and no texture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import boxes_around
from CovidSeverityLib.morphology.grid import (
    FloatImage,
    Mask,
    WorkingGrid,
    bounding_box,
    dilate_mm,
    distance_to,
    erode_by_cuboid,
)
from CovidSeverityLib.types import Box, triple

from .config import AirlessPieceConfig, FluidConfig


@dataclass(frozen=True, eq=False)
class AirlessPieces:
    """``lung``, and ``fluid`` that fills the pleural space instead; (K, J, I) ndarrays of bool."""

    lung: Mask
    fluid: Mask


def airless_pieces(
    hu: FloatImage,
    tissue: Mask,
    dents: Mask,
    wall: Mask,
    lung: Mask,
    room: Mask,
    bronchi: Mask,
    grid: WorkingGrid,
    config: AirlessPieceConfig,
    *,
    whole_chest: bool = True,
) -> AirlessPieces:
    """The pieces of ``tissue`` that lie in a dent, are thick, or are at the wall, and have lung around them.

    Parameters
    ----------
    hu : (K, J, I) ndarray of float32
        Hounsfield units on the working grid.
    tissue : (K, J, I) ndarray of bool
        Tissue inside the expected lung.
    dents : (K, J, I) ndarray of bool
        The part of it in dents of the lung's surface.
    wall : (K, J, I) ndarray of bool
        The part of it between lung and rib cage.
    lung : (K, J, I) ndarray of bool
        Lung as far as it is known; it may hold some of ``tissue``.
    room : (K, J, I) ndarray of bool
        Tissue that could be lung, without chest wall, bone and organs.
    bronchi : (K, J, I) ndarray of bool
        Main bronchi.
    grid : WorkingGrid
        Grid of all of them.
    config : AirlessPieceConfig
        Which pieces are lung.
    whole_chest : bool
        Whether the CT shows what lies above and below a piece.

    Returns
    -------
    AirlessPieces
    """
    found, fluid = np.zeros((2, *tissue.shape), dtype=bool)
    hilum_mm = config.hilum_mm + config.hilum_per_mm * grid.excess_slice_mm
    box = bounding_box(tissue, margin=triple(1 + int(hilum_mm / mm) for mm in grid.spacing_mm))
    tissue, dents, wall, lung, room = tissue[box], dents[box], wall[box], lung[box], room[box]
    if not tissue.any():
        return AirlessPieces(found, fluid)
    depth = _depth(tissue, min(config.core_mm, config.small_core_mm), config.large_core_mm, grid)
    around = _Surroundings(lung, room, dilate_mm(bronchi[box], hilum_mm, grid.spacing_mm), grid)
    around_balls = _around_balls(tissue, depth, config.core_mm, grid)
    thick = around.pieces(around_balls)
    is_fluid = (thick.lung_share <= config.fluid.lung_share) & _are_fluid(hu[box], tissue, thick, grid, config.fluid)
    small = around.pieces(_around_balls(tissue & ~around_balls, depth, config.small_core_mm, grid))
    airless = thick.where(_are_lung(thick, depth, config) & ~is_fluid)
    airless |= small.where((small.cut_share <= config.cut_share) & small.are_on_lung(config.lung_share))
    fluid[box] = thick.where(is_fluid)
    airless |= _in_dents(dents & ~airless & ~fluid[box], replace(around, lung=lung | airless), config)
    beside = replace(around, lung=lung | airless).pieces(wall & ~airless & ~fluid[box])
    cut_share = config.large_cut_share if whole_chest else 1 - config.cut_share
    found[box] = airless | beside.where(beside.cut_share <= cut_share)
    return AirlessPieces(found, fluid)


def _in_dents(tissue: Mask, around: _Surroundings, config: AirlessPieceConfig) -> Mask:
    """The pieces of ``tissue``, all of it in dents, that are lung, thick ones first."""
    airless, rest = np.zeros_like(tissue), tissue
    for core_mm in (config.core_mm, config.small_core_mm):
        around_balls = _around_balls(rest, _depth(rest, core_mm, core_mm, around.grid), core_mm, around.grid)
        pieces = around.pieces(around_balls)
        airless |= pieces.where(pieces.are_on_lung(config.lung_share))
        rest = rest & ~around_balls
    return airless


def _around_balls(tissue: Mask, depth: FloatImage, radius_mm: float, grid: WorkingGrid) -> Mask:
    """The part of ``tissue`` around balls of ``radius_mm`` that fit into it."""
    middles, around = tissue & (depth >= radius_mm), np.zeros_like(tissue)
    for box in boxes_around(middles, 2 * radius_mm, grid.spacing_mm):
        around[box] |= dilate_mm(middles[box], 2 * radius_mm, grid.spacing_mm)
    return around & tissue


@dataclass(frozen=True, eq=False)
class _Pieces:
    """Connected pieces of tissue. Shares are (labels,), the first of which is no piece.

    Parameters
    ----------
    labels : (K, J, I) ndarray of int32
        In ``box``, which holds all of them.
    box : tuple of slice
    shape : (int, int, int)
        Of the whole, of which ``box`` is a part.
    lung_share : ndarray
        Part of a piece's whole surface that is on lung.
    cut_share : ndarray
        Part that cuts through other tissue, of the surface that is not on bone or an organ.
    hilum_share : ndarray
        Part of its volume around a main bronchus.
    """

    labels: NDArray[np.integer]
    box: Box
    shape: tuple[int, ...]
    lung_share: NDArray[np.float64]
    cut_share: NDArray[np.float64]
    hilum_share: NDArray[np.float64]

    def are_on_lung(self, least_share: float) -> Mask:
        """(labels,) bool: which have lung around them and are not at the hilum."""
        return self.lung_share - self.hilum_share >= least_share

    def where(self, which: Mask) -> Mask:
        """(K, J, I) bool: the pieces of the labels for which ``which``, (labels,) bool, is true."""
        mask = np.zeros(self.shape, dtype=bool)
        mask[self.box] = which[self.labels] & (self.labels > 0)
        return mask


@dataclass(frozen=True, eq=False)
class _Surroundings:
    """What surrounds pieces: lung, tissue that could be lung, and the hilum; (K, J, I) ndarrays of bool."""

    lung: Mask
    room: Mask
    hilum: Mask
    grid: WorkingGrid

    def pieces(self, tissue: Mask) -> _Pieces:
        """The connected pieces of ``tissue``."""
        box = bounding_box(tissue, margin=(1, 1, 1))
        labels, count = ndimage.label(tissue[box])
        on_lung, on_tissue, elsewhere = _surface_areas(labels, count, self.lung[box], self.room[box], self.grid)
        whole, inner = on_lung + on_tissue + elsewhere, on_lung + on_tissue
        sizes, near = (np.bincount(labels[m], minlength=count + 1) for m in (labels > 0, self.hilum[box]))
        shares = _share(on_lung, whole), _share(on_tissue, inner), _share(near, sizes)
        return _Pieces(labels, box, tissue.shape, *shares)


def _share(part: NDArray, whole: NDArray) -> NDArray[np.float64]:
    return part / np.where(whole > 0, whole, 1.0)


def _are_lung(pieces: _Pieces, depth: FloatImage, config: AirlessPieceConfig) -> Mask:
    """Which of the thick pieces have lung around them rather than other tissue."""
    deep = np.bincount(pieces.labels[depth[pieces.box] >= config.large_core_mm], minlength=len(pieces.cut_share))
    limit = np.where(deep > 0, config.large_cut_share, config.cut_share)
    return (pieces.cut_share <= limit) & (pieces.hilum_share <= config.hilum_share)


def _depth(tissue: Mask, least_mm: float, most_mm: float, grid: WorkingGrid) -> FloatImage:
    """Largest depth under the surface of ``tissue`` in every block, mm.

    It is exact from ``least_mm`` to ``most_mm``. Less may come out as 0, more as any larger value: thick pieces are
    few, and distances are measured in boxes around them. Thick slices are divided first. Otherwise the middle of the
    next slice would be the nearest point outside, and one slice of 8 mm would hold a ball of 7.5 mm radius.
    """
    parts = max(1, round(grid.spacing_mm[0] / grid.thin_slice_mm))
    edges_mm = (grid.spacing_mm[0] / parts, *grid.spacing_mm[1:])
    fine = np.repeat(tissue, parts, axis=0)
    depth = np.zeros(fine.shape, dtype=np.float32)
    in_balls = triple(ceil(least_mm / 3**0.5 / mm) - 1 for mm in edges_mm)  # half-widths of a cuboid in every such ball
    for box in boxes_around(erode_by_cuboid(fine, in_balls), max(least_mm, most_mm), edges_mm):
        outside = np.pad(~fine[box], 1, constant_values=True)
        np.maximum(depth[box], distance_to(outside, edges_mm)[1:-1, 1:-1, 1:-1], out=depth[box])
    return depth.reshape(tissue.shape[0], parts, *tissue.shape[1:]).max(axis=1)


def _are_fluid(hu: FloatImage, tissue: Mask, pieces: _Pieces, grid: WorkingGrid, config: FluidConfig) -> Mask:
    """Which of the pieces are large, of the density of water and without texture."""
    large = np.bincount(pieces.labels.ravel(), minlength=1) * grid.voxel_ml >= config.smallest_ml
    large[0] = False
    if not large.any():
        return large
    smooth = ndimage.uniform_filter(hu, [max(1, round(config.smoothing_mm / mm)) for mm in grid.spacing_mm])
    inner_mm = config.smoothing_mm / 2
    inner = (_depth(tissue, inner_mm, inner_mm, grid) >= inner_mm)[pieces.box]
    inner_labels, inner_hu = pieces.labels[inner], smooth[pieces.box][inner]
    for label in np.flatnonzero(large):
        low, middle, high = np.quantile(inner_hu[inner_labels == label], (0.25, 0.5, 0.75))
        large[label] = config.median_hu[0] <= middle <= config.median_hu[1] and high - low <= config.texture_hu
    return large


def _surface_areas(labels: NDArray, count: int, lung: Mask, room: Mask, grid: WorkingGrid) -> NDArray[np.float64]:
    """(3, labels) area of every label's surface on lung, on other tissue that could be lung, and on anything else."""
    padded = np.pad(labels, 1)
    kinds = np.pad(np.where(lung, np.uint8(0), np.where(room, np.uint8(1), np.uint8(2))), 1, constant_values=2).ravel()
    steps = (padded.shape[1] * padded.shape[2], padded.shape[2], 1)
    padded = padded.ravel()
    voxels = np.flatnonzero(padded)
    own = padded[voxels]
    areas = np.zeros((3, count + 1))
    for axis, way in product(range(3), (-1, 1)):
        beside = voxels + way * steps[axis]
        surface = padded[beside] != own
        faces = np.bincount(own[surface] * 3 + kinds[beside[surface]], minlength=3 * (count + 1))
        areas += faces.reshape(-1, 3).T / grid.spacing_mm[axis]
    return areas * grid.voxel_ml
