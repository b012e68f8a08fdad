"""Opacities that an air threshold loses: enclosed by lung, or lying against the chest wall.

Two shapes are put back, both seen in axial slices: *islands* of tissue inside one lung, and *bays* in its outer
contour, bridged by the convex hull. The same shapes are made by the diaphragm, the heart and the liver's dome; what
tells them apart is what they rest on. An opacity has lung below it again, an organ goes on into the abdomen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.types import Side

from .components import IN_PLANE_4, fill_holes, fill_holes_in_slices
from .convex_hull import ConvexHull, convex_hull
from .grid import WorkingGrid, bounding_box, close_mm, dilate_mm

BAY_MIN_WIDTH_MM = 5.0
"""A bay holds a disc of this diameter; the inward bulge of ribs and intercostal muscle is shallower."""

VENTRAL_MEDIAL_LIMIT = 0.2
DORSAL_MEDIAL_LIMIT = 0.5
"""A bay opens towards the chest wall: its outward normal points no further towards the midline than this (sine of 12
and 30 degrees). In front the heart and the diaphragm lie next to that direction, at the back the ribs still do."""

COSTAL_LIMIT = 0.5
"""Sine of 30 degrees: an edge faces a direction if its normal points no further away from it than 60 degrees."""

BAY_MIN_EDGE_MM = 6.0
"""Hull edges shorter than this bridge nothing."""

EDGE_PROBES = np.linspace(0.1, 0.9, 9)
"""Where along a hull edge a bay is looked for."""

TETHER_MM = 8.0
"""Radius of the ball that cuts a large opacity from what it hangs on: lobar vessels and bronchi with their sheath are
up to 15 mm across."""

WALL_SEAM_MM = 6.0
"""How far the chest wall moves inwards from one slice to the next where it slopes most."""

SUPPORT_SHARE = 0.2
SMALL_ISLAND_SUPPORT_SHARE = 0.5
SMALL_ISLAND_ML = 5.0
"""At least this share of an opacity's underside rests on lung. Under livers and stomachs it was 0.08 at most, under
opacities 0.26 and more, also where they reach down to the diaphragm. A small island needs more: pieces of hilar vessels
(up to 3 ml) rest on lung with 0.20 to 0.34 (three scans and eight phantoms)."""


FAT_HU = (-150, -50)
"""Extrapleural and chest-wall fat: about -100 HU, blurred."""

FAT_SHARE = 0.6
"""A bay that is fat for more than this is chest wall; ground glass only passes through these values."""

BONE_HU = 250
"""Trabecular bone and cortex; enhanced vessels and consolidation stay below."""

BONE_SHARE = 0.1
"""A bay with more bone than this is chest wall."""


def enclosed_opacities(lung: NDArray[np.bool_], free: NDArray[np.bool_], grid: WorkingGrid) -> NDArray[np.bool_]:
    """Large airless parts of a lung that hang on the mediastinum or the wall by a vessel or a bronchus alone.

    A closing by :data:`TETHER_MM` cuts whatever is thinner than its ball; what then is a hole in the lung in 3-D was
    held by no more than that. Organs are held more broadly.

    Parameters
    ----------
    lung : (K, J, I) bool, one lung.
    free : (K, J, I) bool; only these voxels may be added.
    """
    _, rows, columns = lung.shape
    spacing_mm = (grid.spacing_mm[0], 2 * grid.spacing_mm[1], 2 * grid.spacing_mm[2])  # fine enough for such a ball
    closed = close_mm(lung[:, ::2, ::2], TETHER_MM, spacing_mm)
    cores = fill_holes(closed) & ~closed
    if not cores.any():
        return np.zeros(lung.shape, dtype=bool)
    found = dilate_mm(cores, TETHER_MM, spacing_mm) & (closed | cores)
    found = np.repeat(np.repeat(found, 2, axis=1), 2, axis=2)[:, :rows, :columns]
    return found & ~lung & free


def hidden_opacities(
    hu: NDArray[np.float32], lung: NDArray[np.bool_], side: Side, free: NDArray[np.bool_], grid: WorkingGrid
) -> NDArray[np.bool_]:
    """Airless lung of one side that is not in ``lung``.

    Parameters
    ----------
    hu : (K, J, I) float32, Hounsfield units on the working grid.
    lung : (K, J, I) bool, one lung.
    side : which lung it is.
    free : (K, J, I) bool; only these voxels may be added (not the other lung, not an airway, inside the body).
    """
    box = bounding_box(lung, margin=(1, 2, 2))
    found = np.zeros(lung.shape, dtype=bool)
    hu, lung, free = hu[box], lung[box], free[box]
    islands = fill_holes_in_slices(lung) & ~lung
    bays, costal, wall = _bays(lung | islands, side, grid)
    opacities = _airless(hu, bays & free)
    resting = _supported(islands & free, opacities, lung, wall, SMALL_ISLAND_ML / grid.voxel_ml)
    found[box] = resting | (opacities & costal)
    return found


def _bays(
    lung: NDArray[np.bool_], side: Side, grid: WorkingGrid
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Bays of all slices that open towards the chest wall, those of them that open towards its side or back and nowhere
    else, and the seam along the wall where no bay is."""
    bays, costal, wall = np.zeros((3, *lung.shape), dtype=bool)
    disc = _disc(BAY_MIN_WIDTH_MM / 2 / grid.spacing_mm[2])
    seam = _disc(WALL_SEAM_MM / grid.spacing_mm[2])
    for k in np.flatnonzero(lung.any(axis=(1, 2))):
        hull = convex_hull(lung[k])
        inside = hull.mask | lung[k]
        open_sides = ndimage.binary_opening(inside & ~lung[k], disc)
        labels, count = ndimage.label(open_sides)
        facing_wall, facing_only_wall = _open_to_chest_wall(hull, labels, count, side, grid)
        bays[k] = facing_wall[labels] & open_sides
        costal[k] = facing_only_wall[labels] & open_sides
        wall[k] = ndimage.binary_dilation(inside, seam) & ~open_sides & ~lung[k]
    return bays, costal, wall


def _disc(radius_px: float) -> NDArray[np.bool_]:
    radius = max(1, round(radius_px))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return x * x + y * y <= radius * radius


def _open_to_chest_wall(
    hull: ConvexHull, labels: NDArray, count: int, side: Side, grid: WorkingGrid
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of the labelled bays have hull edges over them that face the chest wall (length-weighted mean normal), and
    which of these face its side or back alone: such a bay has lung behind it, and is no organ."""
    towards_midline = 1.0 if side is Side.RIGHT else -1.0
    _, row_mm, column_mm = grid.spacing_mm
    length, medial, dorsal, inwards = np.zeros((4, count + 1))
    inset = np.arange(1, 2 + int(BAY_MIN_WIDTH_MM / min(row_mm, column_mm)))
    steps = hull.ends - hull.starts
    lengths_mm = np.hypot(steps[:, 0] * row_mm, steps[:, 1] * column_mm)
    for edge in np.flatnonzero(lengths_mm >= BAY_MIN_EDGE_MM):
        along = hull.starts[edge] + EDGE_PROBES[:, None] * steps[edge]
        probes = np.rint(along[:, None] - inset[:, None] * hull.normals[edge]).astype(int).reshape(-1, 2)
        probes = probes[((probes >= 0) & (probes < labels.shape)).all(axis=1)]
        below = np.unique(labels[probes[:, 0], probes[:, 1]])
        length[below] += lengths_mm[edge]
        medial[below] += lengths_mm[edge] * towards_midline * hull.normals[edge, 1]
        dorsal[below] += lengths_mm[edge] * hull.normals[edge, 0]
        if towards_midline * hull.normals[edge, 1] > COSTAL_LIMIT:
            inwards[below] += lengths_mm[edge]
    limit = np.where(dorsal > 0, DORSAL_MEDIAL_LIMIT, VENTRAL_MEDIAL_LIMIT)
    facing_wall = (length > 0) & (medial <= limit * length)
    lateral_or_dorsal = (-medial > COSTAL_LIMIT * length) | (dorsal > COSTAL_LIMIT * length)
    return facing_wall, facing_wall & lateral_or_dorsal & (inwards == 0)


def _airless(hu: NDArray[np.float32], bays: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The bays that can be diseased lung: neither chest-wall fat nor ribs."""
    labels, count = ndimage.label(bays, IN_PLANE_4)
    fat = bays & (hu > FAT_HU[0]) & (hu < FAT_HU[1])
    sizes, fat_sizes, bone_sizes = (
        np.bincount(labels[mask], minlength=count + 1) for mask in (bays, fat, bays & (hu > BONE_HU))
    )
    keep = (fat_sizes <= FAT_SHARE * sizes) & (bone_sizes <= BONE_SHARE * sizes)
    keep[0] = False
    return keep[labels] & (hu <= BONE_HU)


def _supported(
    islands: NDArray[np.bool_],
    bays: NDArray[np.bool_],
    lung: NDArray[np.bool_],
    wall: NDArray[np.bool_],
    small_island: float,
) -> NDArray[np.bool_]:
    """The 3-D components of islands and bays whose underside rests on lung.

    What rests on the chest wall, which slopes away under every lung, does not count.
    """
    labels, count = ndimage.label(islands | bays)
    underside = labels.copy()
    underside[1:][labels[:-1] == labels[1:]] = 0
    underside[1:][wall[:-1]] = 0
    area = np.bincount(underside.ravel(), minlength=count + 1)
    on_lung = np.bincount(underside[1:][lung[:-1]], minlength=count + 1)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    share = np.where(sizes < small_island, SMALL_ISLAND_SUPPORT_SHARE, SUPPORT_SHARE)
    share[np.unique(labels[bays])] = SUPPORT_SHARE
    supported = (on_lung > 0) & (on_lung >= share * area)
    supported[0] = False
    return supported[labels]
