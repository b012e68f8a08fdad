"""Lung that disease has made airless, separated from heart, liver and chest wall by the shape of the chest.

It has their density, so that only shape separates it from them. Three things are known, on blocks of about 5 mm: the
rib cage (:mod:`.rib_cage`), the *organs*, where a large ball holds no air, and the surface of aerated lung. From these
follows the expected lung (:mod:`.expected_shape`). Tissue in it is lung if it is thick or makes a dent in the lung's
surface (:mod:`.airless_pieces`): the surface of an organ has no dents.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import fill_holes, largest_component
from CovidSeverityLib.morphology.grid import (
    Edges,
    FloatImage,
    Mask,
    WorkingGrid,
    bounding_box,
    close_by_ball,
    dilate_mm,
    distance_to,
    inner_boundary,
    rolling_ball_distance,
    signed_distance,
)
from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.types import Side, triple

from .config import HiddenLungConfig, LungConfig
from .expected_shape import SurfaceObservations, fit_usual_lung, register_nonrigid
from .rib_cage import bridged_wall, rib_cage

NEAR_SURFACE_MM = 50.0
"""Organs farther from the lungs do not matter to the lungs' shape; they are left out to save time."""


@dataclass(frozen=True, eq=False)
class ExpectedLung:
    """Where one lung may be, aerated or not. All are (K, J, I) ndarrays of bool.

    Parameters
    ----------
    inside : ndarray
        The expected lung.
    dents : ndarray
        The part of it in dents of the lung's surface.
    possible : ndarray
        The expected lung with a margin, without organs.
    wall : ndarray
        The part of it between aerated lung and the rib cage.
    """

    inside: Mask
    dents: Mask
    possible: Mask
    wall: Mask


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Blocks of about 5 mm: each lung, bone, and tissue that is not lung; (K, J, I) ndarrays of bool."""

    lungs: dict[Side, Mask]
    bone: Mask
    not_lung: Mask
    spacing_mm: Edges


@dataclass(frozen=True, eq=False)
class _Shapes:
    """What follows from the blocks, on the same blocks.

    Parameters
    ----------
    distances : dict of Side to FloatImage
        By side Distance to the expected surface, negative inside, mm.
    walls : dict of Side to Mask
        By side Gaps between the lung and the rib cage.
    impossible : (K, J, I) ndarray of float32
        Part of each block where no lung can be.
    """

    distances: dict[Side, FloatImage]
    walls: dict[Side, Mask]
    impossible: FloatImage


def expected_lungs(
    hu: FloatImage, aerated: NDArray[np.uint8], grid: WorkingGrid, config: LungConfig, *, whole_chest: bool = True
) -> dict[Side, ExpectedLung]:
    """Where each lung may be, aerated or not.

    Parameters
    ----------
    hu : (K, J, I) ndarray of float32
        Hounsfield units on the working grid.
    aerated : (K, J, I) ndarray of uint8
        Aerated lung, by :class:`Side`; at least one lung.
    grid : WorkingGrid
        Grid of both.
    config : LungConfig
        What the chest shows, and how the usual lungs are fitted to it.
    whole_chest : bool
        Whether the shape of the chest is seen. Otherwise lung is expected only where it is aerated, and at the wall.

    Returns
    -------
    dict of ExpectedLung
        For every side with aerated lung.
    """
    hidden = config.hidden
    found = tuple(side for side in Side if (aerated == side).any())
    margin = int(2 * hidden.organ_radius_mm / grid.spacing_mm[0])  # the ball of an organ fits above and below
    box = bounding_box(aerated > 0, margin=(margin, aerated.shape[1], aerated.shape[2]))
    block_grid = _block_grid(aerated[box].shape, grid, hidden.block_mm)
    blocks = _reduced(hu[box], aerated[box], found, block_grid, hidden)
    shapes = _shapes(blocks, config, whole_chest=whole_chest)

    def expected(side: Side) -> ExpectedLung:
        expected = ExpectedLung(*np.zeros((4, *aerated.shape), dtype=bool))
        near = bounding_box(shapes.distances[side] < hidden.possible_mm, margin=(1, 1, 1))
        part = block_grid.voxels_of(near)
        farthest_mm = np.float32(hidden.possible_mm + max(block_grid.spacing_mm))
        distance = block_grid.interpolate(np.minimum(shapes.distances[side], farthest_mm), near)
        allowed = (hu[box][part] <= hidden.bone_hu) & (block_grid.interpolate(shapes.impossible, near) <= 0.5)
        inside, possible = allowed & (distance < hidden.tolerance_mm), allowed & (distance < hidden.possible_mm)
        wall = block_grid.interpolate(shapes.walls[side], near) > 0.5
        rolled = rolling_ball_distance(blocks.lungs[side], hidden.face_radius_mm, block_grid.spacing_mm)
        dents = block_grid.interpolate(np.minimum(rolled, np.float32(hidden.possible_mm)), near) < hidden.dent_mm
        expected.inside[box][part], expected.dents[box][part] = inside, inside & dents
        expected.possible[box][part], expected.wall[box][part] = possible, possible & wall
        return expected

    return dict(zip(found, map_in_order(expected, found, "shapes", None), strict=True))


def _block_grid(shape: tuple[int, int, int], grid: WorkingGrid, block_mm: float) -> WorkingGrid:
    factors = triple(max(1, round(block_mm / mm)) for mm in grid.spacing_mm)
    return WorkingGrid(shape, factors, triple(mm * f for mm, f in zip(grid.spacing_mm, factors, strict=True)))


def _reduced(
    hu: FloatImage, aerated: NDArray[np.uint8], sides: tuple[Side, ...], grid: WorkingGrid, config: HiddenLungConfig
) -> _Blocks:
    fat_hu = config.fat_hu
    masks = (hu, hu > config.bone_hu, (hu > fat_hu[0]) & (hu < fat_hu[1]), *(aerated == side for side in sides))
    mean_hu, bone_share, fat_share, *lungs = map_in_order(grid.reduce, masks, "blocks", None)
    bone = bone_share > config.bone_share
    not_lung = bone | (fat_share > config.fat_share) | (mean_hu > config.densest_hu)
    by_side = {side: share >= 0.5 for side, share in zip(sides, lungs, strict=True)}
    return _Blocks(by_side, bone, not_lung, grid.spacing_mm)


def _shapes(blocks: _Blocks, config: LungConfig, *, whole_chest: bool) -> _Shapes:
    lungs, spacing_mm, radius_mm = blocks.lungs, blocks.spacing_mm, config.hidden.organ_radius_mm
    both = np.logical_or.reduce(list(lungs.values()))
    cage = rib_cage(blocks.bone, both, spacing_mm, config.rib_cage)
    beyond = cage.outside()
    corners = np.argwhere(both)
    box_mm = np.array([corners.min(axis=0), corners.max(axis=0) + 1]) * np.array(spacing_mm, dtype=np.float64)
    near = distance_to(both, spacing_mm) < NEAR_SURFACE_MM
    chest_wall = (beyond & ndimage.binary_dilation(~beyond)) | blocks.bone
    centres = _organ_centres(both, beyond, spacing_mm, radius_mm)
    organs = dilate_mm(centres, radius_mm, spacing_mm) & ~both
    walls = {
        side: bridged_wall(lung, organs, cage, spacing_mm, config.rib_cage)
        & ~(blocks.not_lung | organs | (both & ~lung))
        for side, lung in lungs.items()
    }

    beyond_share = cage.part_outside(spacing_mm[1])
    if not whole_chest:
        known = {side: signed_distance(lung | walls[side], spacing_mm) for side, lung in lungs.items()}
        return _Shapes(known, walls, np.maximum(beyond_share, blocks.not_lung | organs))

    def outside(side: Side, organs: Mask) -> Mask:
        return (chest_wall | organs | (both & ~lungs[side])) & near

    def fit_affine(side: Side) -> tuple[SurfaceObservations, FloatImage]:
        seen = _observations(lungs[side], walls[side], outside(side, organs), spacing_mm, config.hidden)
        return seen, fit_usual_lung(side, seen, box_mm, config.expected)

    fitted = dict(zip(lungs, map_in_order(fit_affine, lungs, "shapes", None), strict=True))
    for _, distance in fitted.values():
        centres = centres & (distance > 0)
    organs = dilate_mm(largest_component(centres), radius_mm, spacing_mm) & ~both

    def fit_nonrigid(side: Side) -> FloatImage:
        seen, distance = fitted[side]
        surface = inner_boundary(outside(side, organs)) & ~seen.surface
        return register_nonrigid(replace(seen, organs=surface), distance, config.expected)

    distances = dict(zip(lungs, map_in_order(fit_nonrigid, lungs, "shapes", None), strict=True))
    return _Shapes(distances, walls, np.maximum(beyond_share, blocks.not_lung | organs))


def _organ_centres(lungs: Mask, beyond: Mask, spacing_mm: Edges, radius_mm: float) -> Mask:
    """Centres of the balls inside the chest that hold no air, as far as they are connected with the largest organ."""
    margin = [(1 + int(radius_mm / mm),) * 2 for mm in spacing_mm]
    solid = np.pad(lungs | beyond, [(0, 0), *margin[1:]], constant_values=True)
    solid = np.pad(solid, [margin[0], (0, 0), (0, 0)])
    centres = largest_component(~dilate_mm(solid, radius_mm, spacing_mm))
    return centres[tuple(slice(low, -high) for low, high in margin)]


def _observations(
    lung: Mask, wall: Mask, outside: Mask, spacing_mm: Edges, config: HiddenLungConfig
) -> SurfaceObservations:
    known = fill_holes(close_by_ball(lung, config.vessel_closing_mm, spacing_mm) | wall)
    surface = inner_boundary(known)
    rolled = close_by_ball(known, config.face_radius_mm, spacing_mm) & ~(outside & ~known)
    depth = np.maximum(distance_to(~rolled, spacing_mm)[surface] - spacing_mm[0], 0.0)
    trust = np.exp(-depth / config.face_depth_mm)
    return SurfaceObservations(surface, trust, inner_boundary(outside) & ~known, spacing_mm)
