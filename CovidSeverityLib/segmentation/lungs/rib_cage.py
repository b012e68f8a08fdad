"""The inner wall of the rib cage in polar coordinates around the middle of the chest.

Ribs cross an axial slice in few places, but over the height of two ribs nearly every angle shows one. The radius of
their inner side, smoothed over angle and height, is the wall at which the lungs lie.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.grid import Edges, FloatImage, Mask

from .config import RibCageConfig


@dataclass(frozen=True, eq=False)
class RibCage:
    """The wall, in directions from the middle of the chest.

    Parameters
    ----------
    radius_mm : (K, sectors) ndarray of float32
        Infinite where no wall is known.
    distance_mm, sector : (J, I) ndarrays of float32 and int
        Distance and direction of every column of voxels.
    """

    radius_mm: FloatImage
    distance_mm: FloatImage
    sector: NDArray[np.intp]

    def outside(self) -> Mask:
        """(K, J, I) bool: beyond the wall."""
        return self.distance_mm[None] > self.along_rays(self.radius_mm)

    def part_outside(self, block_mm: float) -> FloatImage:
        """(K, J, I) part of a block with this edge that lies beyond the wall, 0 to 1."""
        beyond_mm = self.distance_mm[None] - self.along_rays(self.radius_mm)
        return np.clip(beyond_mm / block_mm + 0.5, 0.0, 1.0).astype(np.float32)

    def along_rays(self, values: NDArray) -> NDArray:
        """The (K, sectors) value of the direction of every voxel, (K, J, I)."""
        return values[:, self.sector]

    def farthest(self, mask: Mask) -> FloatImage:
        """(K, sectors) distance of the farthest voxel of ``mask`` in every direction, mm (0 without any)."""
        k, j, i = np.nonzero(mask)
        farthest = np.zeros(self.radius_mm.shape, dtype=np.float32)
        np.maximum.at(farthest, (k, self.sector[j, i]), self.distance_mm[j, i])
        return farthest


def rib_cage(bone: Mask, lungs: Mask, spacing_mm: Edges, config: RibCageConfig) -> RibCage:
    """Find the inner wall of the rib cage.

    Parameters
    ----------
    bone : (K, J, I) ndarray of bool
        Ribs and other bones.
    lungs : (K, J, I) ndarray of bool
        At least one voxel of lung. The wall is nowhere inside them.
    spacing_mm : tuple of float
        Edges of a voxel (K, J, I), mm.
    config : RibCageConfig
        How the wall is found.

    Returns
    -------
    RibCage
    """
    rows, columns = np.flatnonzero(lungs.any(axis=(0, 2))), np.flatnonzero(lungs.any(axis=(0, 1)))
    down = (np.arange(bone.shape[1]) - (rows[0] + rows[-1]) / 2) * spacing_mm[1]
    left = (np.arange(bone.shape[2]) - (columns[0] + columns[-1]) / 2) * spacing_mm[2]
    distance = np.hypot(down[:, None], left[None, :]).astype(np.float32)
    turn = np.arctan2(left[None, :], down[:, None]) / (2 * np.pi) + 0.5
    cage = RibCage(
        np.full((bone.shape[0], config.sectors), np.inf, dtype=np.float32),
        distance,
        np.minimum((turn * config.sectors).astype(np.intp), config.sectors - 1),
    )
    seen = cage.farthest(lungs)
    nearest = _nearest_bone(cage, bone, seen - 2 * spacing_mm[1])
    wall = _smoothed_wall(nearest, spacing_mm[0], config) - config.pleura_mm
    return replace(cage, radius_mm=np.maximum(wall, seen + 0.5 * spacing_mm[1]).astype(np.float32))


def bridged_wall(lung: Mask, organs: Mask, cage: RibCage, spacing_mm: Edges, config: RibCageConfig) -> Mask:
    """Gaps between a lung and the wall that the lung touches all around, where no organ lies in the gap.

    Parameters
    ----------
    lung : (K, J, I) ndarray of bool
        One lung.
    organs : (K, J, I) ndarray of bool
        Voxels that are not lung.
    cage : RibCage
        The wall.
    spacing_mm : tuple of float
        Edges of a voxel (K, J, I), mm.
    config : RibCageConfig
        What touches the wall, and how wide a gap may be.

    Returns
    -------
    (K, J, I) ndarray of bool
    """
    reach = cage.farthest(lung)
    contact = (reach > 0) & (cage.radius_mm - reach < config.contact_mm)
    if not contact.any():
        return np.zeros(lung.shape, dtype=bool)
    sector_mm = 2 * np.pi * float(np.median(cage.radius_mm[contact])) / config.sectors
    gap = _close_round_map(contact, config.bridge_mm / spacing_mm[0], config.bridge_mm / sector_mm) & ~contact
    k, j, i = np.nonzero(organs)
    sector, distance = cage.sector[j, i], cage.distance_mm[j, i]
    between = (distance > reach[k, sector]) & (distance < cage.radius_mm[k, sector])
    gap[k[between], sector[between]] = False
    start = np.where(gap, np.maximum(reach, config.bridge_depth * cage.radius_mm), np.inf)
    return (cage.distance_mm[None] > cage.along_rays(start)) & ~cage.outside()


def _nearest_bone(cage: RibCage, bone: Mask, from_mm: NDArray) -> FloatImage:
    """(K, sectors) distance of the nearest bone that lies beyond ``from_mm``, inf without any."""
    k, j, i = np.nonzero(bone)
    sector, distance = cage.sector[j, i], cage.distance_mm[j, i]
    beyond = distance > from_mm[k, sector]
    nearest = np.full(from_mm.shape, np.inf, dtype=np.float32)
    np.minimum.at(nearest, (k[beyond], sector[beyond]), distance[beyond])
    return nearest


def _smoothed_wall(nearest: FloatImage, slice_mm: float, config: RibCageConfig) -> NDArray[np.float64]:
    sigma = (config.height_smoothing_mm / slice_mm, config.sector_smoothing)
    mode: tuple[Literal["nearest"], Literal["wrap"]] = ("nearest", "wrap")
    seen = np.isfinite(nearest)
    radius = np.where(seen, nearest, 0.0).astype(np.float64)
    used = seen
    for outlier_mm in config.outlier_mm:
        support = ndimage.gaussian_filter(used.astype(np.float64), sigma, mode=mode)
        wall = ndimage.gaussian_filter(radius * used, sigma, mode=mode) / np.maximum(support, 1e-6)
        used = seen & (radius < wall + outlier_mm)
    return np.where(support > config.least_support, wall, np.inf)


def _close_round_map(contact: Mask, slices: float, sectors: float) -> Mask:
    """Closing of a (K, sectors) map, round in its second axis, by an ellipse with these half axes."""
    k, a = int(slices) + 1, int(sectors) + 1
    padded = np.pad(np.pad(contact, [(k, k), (0, 0)]), [(0, 0), (a, a)], mode="wrap")
    y, x = np.mgrid[-k : k + 1, -a : a + 1]
    return ndimage.binary_closing(padded, (y / slices) ** 2 + (x / sectors) ** 2 <= 1)[k:-k, a:-a] | contact
