"""Lung that disease has made airless, told from heart, liver and chest wall by the shape of the chest.

Its density is theirs, so that shape must tell. Three things are known, on blocks of about 5 mm: the rib cage
(:mod:`.rib_cage`), the *organs*, where a ball of 6 cm finds no air in the whole chest, and the surface of the lung
wherever it is aerated. From these follows the expected lung (:mod:`.expected_shape`). Tissue in it is lung where it
makes a dent in the lung's surface, or is thick (:mod:`.airless_pieces`): an organ's own surface has no dents.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import fill_holes, largest_component
from CovidSeverityLib.morphology.grid import WorkingGrid, bounding_box, distance_to
from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.types import Side

from .expected_shape import SurfaceObservations, register_nonrigid, usual_lung
from .rib_cage import Spacing, bridged_wall, rib_cage

SHAPE_SPACING_MM = 4.6
"""Edge of a block on which the chest's shape is looked at, about; the expected surface is off by more."""

MARGIN_MM = 60.0
"""Above and below the lungs: an organ's ball, which must fit there."""

BONE_HU = 200
BONE_SHARE = 0.4
"""A block is bone if this share of it is denser than soft tissue, enhanced vessels and cartilage (ribs: 12 x 8 mm)."""

DENSEST_HU = 90
"""Mean of a block above which it is cartilage, bone or enhanced blood; consolidation stays under 60 HU."""

FAT_HU = (-140, -65)
FAT_SHARE = 0.7
"""A block is fat if this share of it has the density of fat (about -100 HU); ground glass only passes through it."""

ORGAN_RADIUS_MM = 30.0
"""Heart, liver, stomach and spleen hold such a ball; single opacities, 6 cm across at most, hold none."""

VESSEL_CLOSING_MM = 6.0
"""Radius of the closing that takes vessels out of the lung's surface."""

FACE_RADIUS_MM = 25.0
"""The ball that rolls over the lung from outside touches its own surface (radii of the heart and the domes are larger),
but hardly the faces of opacities in it: they lie in dents."""

DENT_MM = 2.0
"""Half a block: the surface of that ball is known no better, and lies in the middle of its blocks."""

FACE_DEPTH_MM = 5.0
"""Depth under that ball's surface at which trust in a face has fallen to a third."""

NEAR_SURFACE_MM = 50.0
"""Farther from the lungs than this nothing matters to their shape."""


TOLERANCE_MM = 2.0
"""The expected surface lies too far inside by about this much where opacities hide the true one: their faces pull."""

POSSIBLE_MM = 8.0
"""No lung lies farther outside its expected surface than this, unless it is aerated: twice the usual error."""


@dataclass(frozen=True, eq=False)
class ExpectedLung:
    """(K, J, I) bool: ``inside`` is the expected lung, ``dents`` the part of it in dents of the lung's surface,
    ``possible`` has a margin around it without organs, ``wall`` lies between aerated lung and the rib cage."""

    inside: NDArray[np.bool_]
    dents: NDArray[np.bool_]
    possible: NDArray[np.bool_]
    wall: NDArray[np.bool_]


def expected_lungs(
    hu: NDArray[np.float32], aerated: NDArray[np.uint8], grid: WorkingGrid, *, whole_chest: bool = True
) -> dict[Side, ExpectedLung]:
    """Where each lung may be, whether or not it is aerated.

    Parameters
    ----------
    hu : (K, J, I) float32, Hounsfield units on the working grid.
    aerated : (K, J, I) uint8 of :class:`Side`, at least one lung; a side without one is expected to have none.
    grid : of both.
    whole_chest : whether the shape of the chest is seen; otherwise lung is where it is aerated, and at the wall.

    Returns
    -------
    dict of ExpectedLung, for every side that has aerated lung
    """
    found = tuple(side for side in Side if (aerated == side).any())
    box = bounding_box(aerated > 0, margin=(int(MARGIN_MM / grid.spacing_mm[0]), aerated.shape[1], aerated.shape[2]))
    blocks = _blocks(aerated[box].shape, grid)
    lungs, bone, never = _on_blocks(hu[box], aerated[box], found, blocks)
    shapes, walls, barred = _shapes(lungs, bone, never, blocks.spacing_mm, whole_chest=whole_chest)
    not_bone = hu[box] <= BONE_HU

    def expected(side: Side) -> ExpectedLung:
        inside, dents, possible, wall = np.zeros((4, *aerated.shape), dtype=bool)
        near = bounding_box(shapes[side] < POSSIBLE_MM, margin=(1, 1, 1))
        distance = _smooth_expand(shapes[side], near, blocks, POSSIBLE_MM + max(blocks.spacing_mm))
        allowed = not_bone & (_smooth_expand(barred, near, blocks, 1.0) <= 0.5)
        inside[box], possible[box] = allowed & (distance < TOLERANCE_MM), allowed & (distance < POSSIBLE_MM)
        wall[box] = possible[box] & (_smooth_expand(walls[side].astype(np.float32), near, blocks, 1.0) > 0.5)
        rolled = rolled_over(lungs[side], FACE_RADIUS_MM, blocks.spacing_mm)
        dents[box] = inside[box] & (_smooth_expand(rolled, near, blocks, POSSIBLE_MM) < DENT_MM)
        return ExpectedLung(inside, dents, possible, wall)

    return dict(zip(found, map_in_order(expected, found, "shapes", None), strict=True))


def _on_blocks(
    hu: NDArray[np.float32],
    aerated: NDArray[np.uint8],
    sides: tuple[Side, ...],
    blocks: WorkingGrid,
) -> tuple[dict[Side, NDArray[np.bool_]], NDArray[np.bool_], NDArray[np.bool_]]:
    """Blocks of each lung, of bone, and of tissue that is never lung."""
    masks = (hu, hu > BONE_HU, (hu > FAT_HU[0]) & (hu < FAT_HU[1]), *(aerated == side for side in sides))
    mean_hu, bone, fat, *lungs = map_in_order(blocks.reduce, masks, "blocks", None)
    never = (bone > BONE_SHARE) | (fat > FAT_SHARE) | (mean_hu > DENSEST_HU)
    return {side: share >= 0.5 for side, share in zip(sides, lungs, strict=True)}, bone > BONE_SHARE, never


def _blocks(shape: tuple[int, ...], grid: WorkingGrid) -> WorkingGrid:
    factors = tuple(max(1, round(SHAPE_SPACING_MM / mm)) for mm in grid.spacing_mm)
    return WorkingGrid(shape, factors, tuple(mm * f for mm, f in zip(grid.spacing_mm, factors, strict=True)))


def _shapes(
    lungs: dict[Side, NDArray[np.bool_]],
    bone: NDArray[np.bool_],
    never: NDArray[np.bool_],
    spacing_mm: Spacing,
    *,
    whole_chest: bool,
) -> tuple[dict[Side, NDArray[np.float32]], dict[Side, NDArray[np.bool_]], NDArray[np.float32]]:
    """On blocks: distance to the expected surface of each lung, mm, what lies between each and the rib cage, and the
    part of each block where no lung can be."""
    both = np.logical_or.reduce(list(lungs.values()))
    cage = rib_cage(bone, both, spacing_mm)
    beyond = cage.outside()
    corners = np.argwhere(both)
    box_mm = np.array([corners.min(axis=0), corners.max(axis=0) + 1]) * np.array(spacing_mm)
    near = distance_to(both, spacing_mm) < NEAR_SURFACE_MM
    fixed = (beyond & ndimage.binary_dilation(~beyond)) | bone
    centres = _organ_centres(both, beyond, spacing_mm)
    organs = _around(centres, spacing_mm) & ~both
    walls = {
        side: bridged_wall(lung, organs, cage, spacing_mm) & ~(never | organs | (both & ~lung))
        for side, lung in lungs.items()
    }

    beyond_share = cage.part_outside(spacing_mm[1])
    if not whole_chest:
        known = {side: _signed_distance(lung | walls[side], spacing_mm) for side, lung in lungs.items()}
        return known, walls, np.maximum(beyond_share, never | organs)

    def barred(side: Side, organs: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return (fixed | organs | (both & ~lungs[side])) & near

    def first(side: Side) -> tuple[SurfaceObservations, NDArray[np.float32]]:
        seen = _seen(lungs[side], walls[side], barred(side, organs), spacing_mm)
        return seen, usual_lung(side, seen, box_mm)

    fitted = dict(zip(lungs, map_in_order(first, lungs, "shapes", None), strict=True))
    for _, distance in fitted.values():
        centres = centres & (distance > 0)
    true_organs = _around(largest_component(centres), spacing_mm) & ~both

    def second(side: Side) -> NDArray[np.float32]:
        seen, distance = fitted[side]
        return register_nonrigid(
            replace(seen, organs=_inner_boundary(barred(side, true_organs)) & ~seen.surface), distance
        )

    shapes = dict(zip(lungs, map_in_order(second, lungs, "shapes", None), strict=True))
    return shapes, walls, np.maximum(beyond_share, never | true_organs)


def _signed_distance(mask: NDArray[np.bool_], spacing_mm: Spacing) -> NDArray[np.float32]:
    """Distance from the surface of ``mask``, mm, negative inside it."""
    return distance_to(mask, spacing_mm) - distance_to(~mask, spacing_mm)


def _organ_centres(lungs: NDArray[np.bool_], beyond: NDArray[np.bool_], spacing_mm: Spacing) -> NDArray[np.bool_]:
    """Centres of the balls inside the chest that hold no air, as far as they hang together with the largest organ."""
    margin = [(1 + int(ORGAN_RADIUS_MM / mm),) * 2 for mm in spacing_mm]
    solid = np.pad(lungs | beyond, [(0, 0), *margin[1:]], constant_values=True)
    solid = np.pad(solid, [margin[0], (0, 0), (0, 0)])
    centres = largest_component(distance_to(solid, spacing_mm) > ORGAN_RADIUS_MM)
    return centres[tuple(slice(low, -high) for low, high in margin)]


def _around(centres: NDArray[np.bool_], spacing_mm: Spacing) -> NDArray[np.bool_]:
    return distance_to(centres, spacing_mm) <= ORGAN_RADIUS_MM


def _seen(
    lung: NDArray[np.bool_], wall: NDArray[np.bool_], barred: NDArray[np.bool_], spacing_mm: Spacing
) -> SurfaceObservations:
    known = fill_holes(_close(lung, VESSEL_CLOSING_MM, spacing_mm) | wall)
    surface = _inner_boundary(known)
    rolled = _close(known, FACE_RADIUS_MM, spacing_mm) & ~(barred & ~known)
    depth = np.maximum(distance_to(~rolled, spacing_mm)[surface] - spacing_mm[0], 0.0)
    return SurfaceObservations(surface, np.exp(-depth / FACE_DEPTH_MM), _inner_boundary(barred) & ~known, spacing_mm)


def _close(mask: NDArray[np.bool_], radius_mm: float, spacing_mm: Spacing) -> NDArray[np.bool_]:
    """Closing by a large ball, by distances."""
    return (rolled_over(mask, radius_mm, spacing_mm) < 0) | mask


def rolled_over(mask: NDArray[np.bool_], radius_mm: float, spacing_mm: Spacing) -> NDArray[np.float32]:
    """Distance to the surface of a ball that rolls over a mask from outside, mm: negative in the mask and its dents.

    Parameters
    ----------
    mask : (K, J, I) bool.
    radius_mm : of the ball.
    spacing_mm : of the voxels, (K, J, I).
    """
    margin = [(2 + int(radius_mm / mm),) * 2 for mm in spacing_mm]
    grown = distance_to(np.pad(mask, margin), spacing_mm) <= radius_mm
    distance = np.float32(radius_mm) - distance_to(~grown, spacing_mm)
    return distance[tuple(slice(low, -high) for low, high in margin)]


def _inner_boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return mask & ~ndimage.binary_erosion(mask)


def _smooth_expand(
    field: NDArray[np.float32], near: tuple[slice, slice, slice], blocks: WorkingGrid, highest: float
) -> NDArray[np.float32]:
    """``field``, no more than ``highest``, interpolated on the grid that the blocks were made of; ``highest`` where it
    is not ``near``."""
    fine = np.full([n * f for n, f in zip(field.shape, blocks.factors, strict=True)], highest, dtype=np.float32)
    if field[near].size:
        inner = tuple(slice(s.start * f, s.stop * f) for s, f in zip(near, blocks.factors, strict=True))
        part = np.minimum(field[near], np.float32(highest))
        fine[inner] = ndimage.zoom(part, blocks.factors, order=1, mode="nearest", grid_mode=True)
    return fine[tuple(slice(0, n) for n in blocks.shape)]
