"""Pieces of tissue inside the expected lung: airless lung, pleural fluid, or neither.

What lies between the aerated and the expected lung (:mod:`.hidden_lung`) is also hilum, and what the expected surface
cuts off organs and large vessels, because it is only known to some millimetres. Where a piece lies and what it borders
on tell them apart; fluid has its own density and no texture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.grid import WORKING_SPACING_MM, WorkingGrid, bounding_box, dilate_mm, distance_to

CORE_MM = 7.5
SMALL_CORE_MM = 5.5
"""Radii of the balls that pieces hold; vessels that lie on the mediastinum hold none. Thick pieces come first: an
opacity beside the hilum hangs on it by a thinner neck."""

LUNG_SHARE = 0.45
"""Part of a piece's surface that is on lung, at least, less its part that is hilum: of pieces in a dent of the lung's
surface, and of small ones. A ball that is half sunk in the heart or a dome has 0.5 to 0.6, a flat lens 0.42 and more;
what the expected surface cuts off organs has 0.35 to 0.44. Vessels of the hilum have 0.5 to 0.7, of which 0.6 to 1.0 is
taken off (seven scans and their variants of 1 to 8 mm, five synthetic chests)."""

CUT_SHARE = 1 / 3
LARGE_CUT_SHARE = 0.5
LARGE_CORE_MM = 12.0
"""No more of a piece's surface may cut through other tissue, unless it lies in a dent: an opacity has lung around it,
or the chest wall (mostly under 0.3). More may be cut of one that holds a ball of the larger radius. Where the expected
surface runs through the aorta or the superior vena cava it cuts off a lens, half of whose surface or more is the cut
(0.36 to 0.74 on three scans). At the wall, where no large vessel lies, a piece may be thin, and the larger part holds
for all; of a slice alone, in which lung above and below cannot speak for a piece, it is enough that :data:`CUT_SHARE`
is on lung."""

HILUM_MM = 15.0
HILUM_SHARE = 0.5
"""The hilum, arteries and veins of 15 to 20 mm, lies around the main bronchi; not around the trachea. A thick piece of
which more than this share lies there is no lung (0.78 and 0.83 of the hilum on three scans, 0.35 at most of opacities).
In slices over 2 mm it reaches farther by twice the excess: by half of it the faces of bronchus and piece are nearer
than the middles of their slices, and the end of a bronchus, mixed with its wall, is not seen over one slice or two (the
left hilum of one scan in 5, 6 and 8 mm)."""

FLUID_ML = 100.0
FLUID_HU = (-5.0, 22.0)
FLUID_QUARTILES = (0.25, 0.5, 0.75)
FLUID_RANGE_HU = 12.0
FLUID_LUNG_SHARE = 0.45
FLUID_SMOOTHING_MM = 10.0
"""An effusion is a large piece whose median is that of fluid (7 HU, standard deviation 9: Abramowitz, AJR 2009;192:618)
and whose middle half is nearly of one density, once noise is averaged away; it lies between lung and wall, so that
little of its surface is on lung. Consolidation is denser, bronchi, vessels and aerated rests give it texture, and lung
surrounds it."""


@dataclass(frozen=True, eq=False)
class AirlessPieces:
    """(K, J, I) bool: ``lung``, and ``fluid`` that fills the pleural space instead."""

    lung: NDArray[np.bool_]
    fluid: NDArray[np.bool_]


def airless_pieces(
    hu: NDArray[np.float32],
    tissue: NDArray[np.bool_],
    dents: NDArray[np.bool_],
    wall: NDArray[np.bool_],
    lung: NDArray[np.bool_],
    room: NDArray[np.bool_],
    bronchi: NDArray[np.bool_],
    grid: WorkingGrid,
    *,
    whole_chest: bool = True,
) -> AirlessPieces:
    """The pieces of ``tissue`` that lie in a dent, are thick, or are at the wall, and have lung around them.

    Parameters
    ----------
    hu : (K, J, I) float32, Hounsfield units on the working grid.
    tissue : (K, J, I) bool, not aerated and inside the expected lung.
    dents : (K, J, I) bool: the part of it in dents of the lung's surface.
    wall : (K, J, I) bool: the part of it between lung and rib cage.
    lung : (K, J, I) bool, as far as it is known; it may hold some of ``tissue``.
    room : (K, J, I) bool: tissue that could be lung; chest wall, bone and organs are not in it.
    bronchi : (K, J, I) bool: main bronchi.
    grid : of all of them.
    whole_chest : whether what lies above and below a piece is seen.
    """
    found, fluid = np.zeros((2, *tissue.shape), dtype=bool)
    hilum_mm = HILUM_MM + 2 * grid.excess_slice_mm
    box = bounding_box(tissue, margin=tuple(1 + int(hilum_mm / mm) for mm in grid.spacing_mm))
    tissue, dents, wall, lung, room = tissue[box], dents[box], wall[box], lung[box], room[box]
    if not tissue.any():
        return AirlessPieces(found, fluid)
    depth = _depth(tissue, grid)
    around = _Surroundings(lung, room, dilate_mm(bronchi[box], hilum_mm, grid.spacing_mm), grid)
    thick = around.pieces(_thick(tissue, depth, CORE_MM, grid))
    wet = (thick.lung_share <= FLUID_LUNG_SHARE) & _are_fluid(hu[box], thick.labels, depth, grid)
    small = around.pieces(_thick(tissue & (thick.labels == 0), depth, SMALL_CORE_MM, grid))
    airless = thick.where(_is_lung(thick, depth) & ~wet)
    airless |= small.where((small.cut_share <= CUT_SHARE) & small.are_on_lung)
    fluid[box] = thick.where(wet)
    airless |= _in_dents(dents & ~airless & ~fluid[box], replace(around, lung=lung | airless))
    beside = replace(around, lung=lung | airless).pieces(wall & ~airless & ~fluid[box])
    cut_share = LARGE_CUT_SHARE if whole_chest else 1 - CUT_SHARE
    found[box] = airless | beside.where(beside.cut_share <= cut_share)
    return AirlessPieces(found, fluid)


def _in_dents(tissue: NDArray[np.bool_], around: _Surroundings) -> NDArray[np.bool_]:
    """The pieces of ``tissue``, all of it in dents, that are lung, thick ones first."""
    airless, left = np.zeros_like(tissue), tissue
    for core_mm in (CORE_MM, SMALL_CORE_MM):
        pieces = around.pieces(_thick(left, _depth(left, around.grid), core_mm, around.grid))
        airless |= pieces.where(pieces.are_on_lung)
        left = left & (pieces.labels == 0)
    return airless


def _thick(
    tissue: NDArray[np.bool_], depth: NDArray[np.float32], radius_mm: float, grid: WorkingGrid
) -> NDArray[np.bool_]:
    """What of ``tissue`` lies around balls of ``radius_mm`` that fit into it."""
    return dilate_mm(tissue & (depth >= radius_mm), 2 * radius_mm, grid.spacing_mm) & tissue


@dataclass(frozen=True, eq=False)
class _Pieces:
    """Connected pieces of tissue. Shares are (labels,), the first of which is no piece.

    Parameters
    ----------
    labels : (K, J, I).
    lung_share : part of a piece's whole surface that is on lung.
    cut_share : part that cuts through other tissue, of what is not on bone or an organ.
    hilum_share : part of its volume that lies around a main bronchus.
    """

    labels: NDArray[np.int32]
    lung_share: NDArray[np.float64]
    cut_share: NDArray[np.float64]
    hilum_share: NDArray[np.float64]

    @property
    def are_on_lung(self) -> NDArray[np.bool_]:
        """(labels,) bool: which have lung around them and are not at the hilum."""
        return self.lung_share - self.hilum_share >= LUNG_SHARE

    def where(self, which: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(K, J, I) bool: the pieces that ``which``, (labels,) bool, says."""
        return which[self.labels] & (self.labels > 0)


@dataclass(frozen=True, eq=False)
class _Surroundings:
    """What pieces lie in; arrays are (K, J, I) bool. ``hilum`` is what lies around a large airway."""

    lung: NDArray[np.bool_]
    room: NDArray[np.bool_]
    hilum: NDArray[np.bool_]
    grid: WorkingGrid

    def pieces(self, tissue: NDArray[np.bool_]) -> _Pieces:
        """The connected pieces of ``tissue``."""
        labels, count = ndimage.label(tissue)
        on_lung, on_tissue, elsewhere = _surfaces(labels, count, self.lung, self.room, self.grid)
        whole, inner = on_lung + on_tissue + elsewhere, on_lung + on_tissue
        sizes, near = (np.bincount(labels[m], minlength=count + 1) for m in (labels > 0, self.hilum))
        return _Pieces(labels, _share(on_lung, whole), _share(on_tissue, inner), _share(near, sizes))


def _share(part: NDArray, whole: NDArray) -> NDArray[np.float64]:
    return part / np.where(whole > 0, whole, 1.0)


def _is_lung(pieces: _Pieces, depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of the thick pieces have lung around them rather than other tissue."""
    deepest = ndimage.maximum(depth, pieces.labels, np.arange(len(pieces.cut_share)))
    limit = np.where(deepest >= LARGE_CORE_MM, LARGE_CUT_SHARE, CUT_SHARE)
    return (pieces.cut_share <= limit) & (pieces.hilum_share <= HILUM_SHARE)


def _depth(tissue: NDArray[np.bool_], grid: WorkingGrid) -> NDArray[np.float32]:
    """Largest depth under the surface of ``tissue`` in every block, mm.

    Thick slices are looked at in parts: their own middle is a whole slice away from that of the next, which is no
    surface yet, and one slice of 8 mm would hold a ball of 7.5 mm radius.
    """
    slice_mm, *pixel_mm = grid.spacing_mm
    parts = max(1, round(slice_mm / WORKING_SPACING_MM[0]))
    fine = np.pad(~np.repeat(tissue, parts, axis=0), 1, constant_values=True)
    depth = distance_to(fine, (slice_mm / parts, *pixel_mm))[1:-1, 1:-1, 1:-1]
    return depth.reshape(tissue.shape[0], parts, *tissue.shape[1:]).max(axis=1)


def _are_fluid(
    hu: NDArray[np.float32], labels: NDArray[np.int32], depth: NDArray[np.float32], grid: WorkingGrid
) -> NDArray[np.bool_]:
    """Which of the labels are large, of the density of water and without texture."""
    large = np.bincount(labels.ravel()) * grid.voxel_ml >= FLUID_ML
    large[0] = False
    if not large.any():
        return large
    smooth = ndimage.uniform_filter(hu, [max(1, round(FLUID_SMOOTHING_MM / mm)) for mm in grid.spacing_mm])
    inner = depth >= FLUID_SMOOTHING_MM / 2
    inner_labels, inner_hu = labels[inner], smooth[inner]
    for label in np.flatnonzero(large):
        low, middle, high = np.quantile(inner_hu[inner_labels == label], FLUID_QUARTILES)
        large[label] = FLUID_HU[0] <= middle <= FLUID_HU[1] and high - low <= FLUID_RANGE_HU
    return large


def _surfaces(
    labels: NDArray, count: int, lung: NDArray[np.bool_], room: NDArray[np.bool_], grid: WorkingGrid
) -> NDArray[np.float64]:
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
