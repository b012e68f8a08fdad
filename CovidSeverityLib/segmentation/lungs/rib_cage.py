"""The inner wall of the rib cage in polar coordinates around the middle of the chest.

Ribs cross an axial slice at a few places only, but over the height of two of them they are seen at nearly every angle:
the radius of their inner side, smoothed over angle and height, is the wall that the lungs lie against.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Spacing = tuple[float, float, float]

ANGLES = 96
"""Sectors around the middle of the chest: 3.75 degrees, 8 mm at the wall."""

SMOOTHING_MM = 10.0
"""Along the height: less than half of the 23 mm from one rib to the next."""

SMOOTHING_SECTORS = 2.0
"""Over the angle: about the distance at which two ribs of one side follow each other in a slice."""

OUTLIER_MM = (10.0, 6.0, 6.0)
"""Bone that lies this much outside the smoothed wall is none of it (shoulder blade, collar bone, arm); per round."""

WALL_MM = 3.0
"""From the inner side of a rib to the lung: intercostal muscle, fat and two pleurae (2-4 mm)."""

LEAST_SUPPORT = 0.02
"""Smoothed share of rib under which a direction has no wall."""

CONTACT_MM = 11.0
"""A lung that comes this near to the wall lies against it: twice the edge of a block, and the wall between two ribs."""

BRIDGE_MM = 60.0
"""Radius of the disc that, rolled over the wall, does not fall into a gap between two contacts: consolidation of one
or two segments is up to 12 cm wide. (With 30 mm whole CTs are the same to 0.5 ml; single slices lose such regions.)"""


@dataclass(frozen=True, eq=False)
class RibCage:
    """``radius_mm`` (K, :data:`ANGLES`), inf where no wall is known; ``distance_mm`` and ``sector`` (J, I) of every
    column of voxels, seen from the middle of the chest."""

    radius_mm: NDArray[np.float32]
    distance_mm: NDArray[np.float32]
    sector: NDArray[np.intp]

    def outside(self) -> NDArray[np.bool_]:
        """(K, J, I) bool: beyond the wall."""
        return self.distance_mm[None] > self.along_rays(self.radius_mm)

    def part_outside(self, block_mm: float) -> NDArray[np.float32]:
        """(K, J, I) part of a block with this edge that lies beyond the wall, 0 to 1."""
        beyond_mm = self.distance_mm[None] - self.along_rays(self.radius_mm)
        return np.clip(beyond_mm / block_mm + 0.5, 0.0, 1.0).astype(np.float32)

    def along_rays(self, values: NDArray) -> NDArray:
        """(K, J, I) array that holds, for every voxel, the (K, :data:`ANGLES`) value of its direction."""
        return values[:, self.sector]

    def farthest(self, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """(K, :data:`ANGLES`) distance of the farthest voxel of ``mask`` in every direction, mm (0 without any)."""
        k, j, i = np.nonzero(mask)
        farthest = np.zeros((mask.shape[0], ANGLES), dtype=np.float32)
        np.maximum.at(farthest, (k, self.sector[j, i]), self.distance_mm[j, i])
        return farthest


def rib_cage(bone: NDArray[np.bool_], lungs: NDArray[np.bool_], spacing_mm: Spacing) -> RibCage:
    """Find the inner wall of the rib cage.

    Parameters
    ----------
    bone, lungs : (K, J, I) bool; ``lungs`` holds at least one voxel, and the wall is nowhere inside them.
    spacing_mm : of the voxels, (K, J, I).
    """
    rows, columns = np.flatnonzero(lungs.any(axis=(0, 2))), np.flatnonzero(lungs.any(axis=(0, 1)))
    down = (np.arange(bone.shape[1]) - (rows[0] + rows[-1]) / 2) * spacing_mm[1]
    left = (np.arange(bone.shape[2]) - (columns[0] + columns[-1]) / 2) * spacing_mm[2]
    distance = np.hypot(down[:, None], left[None, :]).astype(np.float32)
    turn = np.arctan2(left[None, :], down[:, None]) / (2 * np.pi) + 0.5
    cage = RibCage(
        np.full((bone.shape[0], ANGLES), np.inf, dtype=np.float32),
        distance,
        np.minimum((turn * ANGLES).astype(np.intp), ANGLES - 1),
    )
    seen = cage.farthest(lungs)
    nearest = _nearest_bone(cage, bone, seen - 2 * spacing_mm[1])
    wall = _smoothed_wall(nearest, spacing_mm[0]) - WALL_MM
    return RibCage(np.maximum(wall, seen + 0.5 * spacing_mm[1]).astype(np.float32), distance, cage.sector)


def bridged_wall(
    lung: NDArray[np.bool_], organs: NDArray[np.bool_], cage: RibCage, spacing_mm: Spacing
) -> NDArray[np.bool_]:
    """What lies between a lung and the wall where the lung touches the wall all around, and no organ lies between.

    Parameters
    ----------
    lung : (K, J, I) bool, one lung.
    organs : (K, J, I) bool, known not to be lung.
    """
    reach = cage.farthest(lung)
    contact = (reach > 0) & (cage.radius_mm - reach < CONTACT_MM)
    if not contact.any():
        return np.zeros(lung.shape, dtype=bool)
    sector_mm = 2 * np.pi * float(np.median(cage.radius_mm[contact])) / ANGLES
    gap = _closed_map(contact, BRIDGE_MM / spacing_mm[0], BRIDGE_MM / sector_mm) & ~contact
    k, j, i = np.nonzero(organs)
    sector, distance = cage.sector[j, i], cage.distance_mm[j, i]
    between = (distance > reach[k, sector]) & (distance < cage.radius_mm[k, sector])
    gap[k[between], sector[between]] = False
    start = np.where(gap, np.maximum(reach, 0.5 * cage.radius_mm), np.inf)
    return (cage.distance_mm[None] > cage.along_rays(start)) & ~cage.outside()


def _nearest_bone(cage: RibCage, bone: NDArray[np.bool_], from_mm: NDArray) -> NDArray[np.float32]:
    """(K, :data:`ANGLES`) distance of the nearest bone that lies beyond ``from_mm``, inf without any."""
    k, j, i = np.nonzero(bone)
    sector, distance = cage.sector[j, i], cage.distance_mm[j, i]
    beyond = distance > from_mm[k, sector]
    nearest = np.full(from_mm.shape, np.inf, dtype=np.float32)
    np.minimum.at(nearest, (k[beyond], sector[beyond]), distance[beyond])
    return nearest


def _smoothed_wall(nearest: NDArray[np.float32], slice_mm: float) -> NDArray[np.float64]:
    sigma, mode = (SMOOTHING_MM / slice_mm, SMOOTHING_SECTORS), ("nearest", "wrap")
    seen = np.isfinite(nearest)
    radius = np.where(seen, nearest, 0.0).astype(np.float64)
    used = seen
    for outlier_mm in OUTLIER_MM:
        support = ndimage.gaussian_filter(used.astype(np.float64), sigma, mode=mode)
        wall = ndimage.gaussian_filter(radius * used, sigma, mode=mode) / np.maximum(support, 1e-6)
        used = seen & (radius < wall + outlier_mm)
    return np.where(support > LEAST_SUPPORT, wall, np.inf)


def _closed_map(contact: NDArray[np.bool_], slices: float, sectors: float) -> NDArray[np.bool_]:
    """Closing of a (K, :data:`ANGLES`) map, round in its second axis, by an ellipse with these half axes."""
    k, a = int(slices) + 1, int(sectors) + 1
    padded = np.pad(np.pad(contact, [(k, k), (0, 0)]), [(0, 0), (a, a)], mode="wrap")
    y, x = np.mgrid[-k : k + 1, -a : a + 1]
    return ndimage.binary_closing(padded, (y / slices) ** 2 + (x / sectors) ** 2 <= 1)[k:-k, a:-a] | contact
