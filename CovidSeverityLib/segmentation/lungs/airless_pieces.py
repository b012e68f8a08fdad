"""Pieces of tissue inside the expected lung: airless lung, pleural fluid, or neither.

The expected surface (:mod:`.hidden_lung`) is exact to some millimetres. Between it and the aerated lung also lie the
hilum and parts of organs and large vessels that it cuts off. The position of a piece and its neighbours separate them.
Fluid has its own density and no texture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.grid import FloatImage, Mask, WorkingGrid, bounding_box, dilate_mm, distance_to
from CovidSeverityLib.types import triple

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
    depth = _depth(tissue, grid)
    around = _Surroundings(lung, room, dilate_mm(bronchi[box], hilum_mm, grid.spacing_mm), grid)
    thick = around.pieces(_around_balls(tissue, depth, config.core_mm, grid))
    is_fluid = (thick.lung_share <= config.fluid.lung_share) & _are_fluid(
        hu[box], thick.labels, depth, grid, config.fluid
    )
    small = around.pieces(_around_balls(tissue & (thick.labels == 0), depth, config.small_core_mm, grid))
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
        pieces = around.pieces(_around_balls(rest, _depth(rest, around.grid), core_mm, around.grid))
        airless |= pieces.where(pieces.are_on_lung(config.lung_share))
        rest = rest & (pieces.labels == 0)
    return airless


def _around_balls(tissue: Mask, depth: FloatImage, radius_mm: float, grid: WorkingGrid) -> Mask:
    """The part of ``tissue`` around balls of ``radius_mm`` that fit into it."""
    return dilate_mm(tissue & (depth >= radius_mm), 2 * radius_mm, grid.spacing_mm) & tissue


@dataclass(frozen=True, eq=False)
class _Pieces:
    """Connected pieces of tissue. Shares are (labels,), the first of which is no piece.

    Parameters
    ----------
    labels : (K, J, I) ndarray of int32
    lung_share : ndarray
        Part of a piece's whole surface that is on lung.
    cut_share : ndarray
        Part that cuts through other tissue, of the surface that is not on bone or an organ.
    hilum_share : ndarray
        Part of its volume around a main bronchus.
    """

    labels: NDArray[np.integer]
    lung_share: NDArray[np.float64]
    cut_share: NDArray[np.float64]
    hilum_share: NDArray[np.float64]

    def are_on_lung(self, least_share: float) -> Mask:
        """(labels,) bool: which have lung around them and are not at the hilum."""
        return self.lung_share - self.hilum_share >= least_share

    def where(self, which: Mask) -> Mask:
        """(K, J, I) bool: the pieces of the labels for which ``which``, (labels,) bool, is true."""
        return which[self.labels] & (self.labels > 0)


@dataclass(frozen=True, eq=False)
class _Surroundings:
    """What surrounds pieces: lung, tissue that could be lung, and the hilum; (K, J, I) ndarrays of bool."""

    lung: Mask
    room: Mask
    hilum: Mask
    grid: WorkingGrid

    def pieces(self, tissue: Mask) -> _Pieces:
        """The connected pieces of ``tissue``."""
        labels, count = ndimage.label(tissue)
        on_lung, on_tissue, elsewhere = _surface_areas(labels, count, self.lung, self.room, self.grid)
        whole, inner = on_lung + on_tissue + elsewhere, on_lung + on_tissue
        sizes, near = (np.bincount(labels[m], minlength=count + 1) for m in (labels > 0, self.hilum))
        return _Pieces(labels, _share(on_lung, whole), _share(on_tissue, inner), _share(near, sizes))


def _share(part: NDArray, whole: NDArray) -> NDArray[np.float64]:
    return part / np.where(whole > 0, whole, 1.0)


def _are_lung(pieces: _Pieces, depth: FloatImage, config: AirlessPieceConfig) -> Mask:
    """Which of the thick pieces have lung around them rather than other tissue."""
    deepest = ndimage.maximum(depth, pieces.labels, np.arange(len(pieces.cut_share)))
    limit = np.where(deepest >= config.large_core_mm, config.large_cut_share, config.cut_share)
    return (pieces.cut_share <= limit) & (pieces.hilum_share <= config.hilum_share)


def _depth(tissue: Mask, grid: WorkingGrid) -> FloatImage:
    """Largest depth under the surface of ``tissue`` in every block, mm.

    Thick slices are divided first. Otherwise the middle of the next slice would be the nearest point outside, and one
    slice of 8 mm would hold a ball of 7.5 mm radius.
    """
    slice_mm, row_mm, column_mm = grid.spacing_mm
    parts = max(1, round(slice_mm / grid.thin_slice_mm))
    fine = np.pad(~np.repeat(tissue, parts, axis=0), 1, constant_values=True)
    depth = distance_to(fine, (slice_mm / parts, row_mm, column_mm))[1:-1, 1:-1, 1:-1]
    return depth.reshape(tissue.shape[0], parts, *tissue.shape[1:]).max(axis=1)


def _are_fluid(
    hu: FloatImage, labels: NDArray[np.integer], depth: FloatImage, grid: WorkingGrid, config: FluidConfig
) -> Mask:
    """Which of the labels are large, of the density of water and without texture."""
    large = np.bincount(labels.ravel()) * grid.voxel_ml >= config.smallest_ml
    large[0] = False
    if not large.any():
        return large
    smooth = ndimage.uniform_filter(hu, [max(1, round(config.smoothing_mm / mm)) for mm in grid.spacing_mm])
    inner = depth >= config.smoothing_mm / 2
    inner_labels, inner_hu = labels[inner], smooth[inner]
    for label in np.flatnonzero(large):
        low, middle, high = np.quantile(inner_hu[inner_labels == label], (0.25, 0.5, 0.75))
        large[label] = config.median_hu[0] <= middle <= config.median_hu[1] and high - low <= config.texture_hu
    return large


def _surface_areas(labels: NDArray, count: int, lung: Mask, room: Mask, grid: WorkingGrid) -> NDArray[np.float64]:
    """(3, labels) area of every label's surface on lung, on other tissue that could be lung, and on anything else."""
    voxels = np.nonzero(labels)
    own = labels[voxels]
    padded_labels, padded_lung, padded_room = np.pad(labels, 1), np.pad(lung, 1), np.pad(room, 1)
    areas = np.zeros((3, count + 1))
    for axis, step in product(range(3), (-1, 1)):
        beside = tuple(n + 1 + step * (axis == a) for a, n in enumerate(voxels))
        surface = padded_labels[beside] != own
        kind = np.where(padded_lung[beside], 0, np.where(padded_room[beside], 1, 2))
        for n in range(3):
            areas[n] += np.bincount(own[surface & (kind == n)], minlength=count + 1) / grid.spacing_mm[axis]
    return areas * grid.voxel_ml
