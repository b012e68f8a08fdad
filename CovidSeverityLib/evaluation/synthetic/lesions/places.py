"""Places for simulated lesions: voxels of the lungs by depth, neighbouring structure, and height."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Geometry, Side

CANDIDATES = 24
"""Number of random places that are compared, to keep lesions apart."""

PLACING_MM = 3.0
"""Spacing of the grid of places, mm."""

PLEURAL_DEPTH_PART = 0.6
"""Largest depth of a pleural centre under the surface, in radii: the lung's border cuts the lesion."""

CENTRAL_DEPTH = (1.3, 2.0)
"""Smallest depth of a central place under the surface, in radii and mm: the rough outline stays inside."""

DEEPEST_PART = 0.7
"""In a lung without such a depth, this fraction of its largest depth."""

FACING = 0.7
"""Cosine of 45 degrees: a surface whose normal is closer than that to an axis faces along it."""

MEDIAL_FACING = 0.5
"""The same for the mediastinum, which is round: cosine of 60 degrees."""

APEX_HEIGHT = 0.88
DIAPHRAGM_HEIGHT = 0.5
HILUM_HEIGHT = (0.40, 0.65)
"""Fractions of a lung's height from its base: the apex is above the first, the dome below the second, the hilum (fifth
to seventh thoracic vertebra) between the last two."""

HILUM_DEPTH_PART = (0.3, 0.7)
"""Range of the hilum in a lung's depth from anterior to posterior, as fractions."""

HILUM_REACH_MM = 30.0
"""Distance from the middle of the medial surface there; the lobar and segmental vessels begin within it."""


class Position(str, Enum):
    """The place of a lesion.

    ``CENTRAL``: away from the lung's surface. ``PLEURAL``: cut by the surface. ``ANY``: anywhere. The other values name
    the structure at the lesion; ``FISSURE`` needs lobes.
    """

    CENTRAL = "central"
    PLEURAL = "pleural"
    ANY = "any"
    CHEST_WALL = "chest_wall"
    MEDIASTINUM = "mediastinum"
    DIAPHRAGM = "diaphragm"
    HILUM = "hilum"
    FISSURE = "fissure"
    APEX = "apex"


class Places:
    """Centres for lesions: voxels of a coarse grid inside the lungs.

    Parameters
    ----------
    lungs : (K, J, I) ndarray of uint8
        Labels of :class:`~CovidSeverityLib.types.Side`, not empty.
    geometry : Geometry
        Geometry of the masks.
    lobes : (K, J, I) ndarray of uint8, optional
        Labels of :class:`~CovidSeverityLib.types.Lobe`; None if no place at a fissure is needed.
    """

    def __init__(self, lungs: NDArray[np.uint8], geometry: Geometry, lobes: NDArray[np.uint8] | None = None) -> None:
        self.steps = tuple(max(1, round(PLACING_MM / mm)) for mm in geometry.spacing_kji)
        self._every = tuple(slice(step // 2, None, step) for step in self.steps)
        self._spacing = np.array([step * mm for step, mm in zip(self.steps, geometry.spacing_kji, strict=True)])
        self._coarse, self._lobes = lungs[self._every], lobes
        found = np.argwhere(self._coarse > 0)
        self._cells = tuple(found.T)
        depth = ndimage.distance_transform_edt(np.pad(self._coarse > 0, 1), sampling=self._spacing)
        self.voxels = np.minimum(found * self.steps + [s // 2 for s in self.steps], np.array(lungs.shape) - 1)
        self.depth = depth[1:-1, 1:-1, 1:-1][self._cells]
        self.mm = self.voxels * np.array(geometry.spacing_kji)
        self.side = self._coarse[self._cells]

    def choose(
        self,
        radius_mm: float,
        position: Position,
        free: NDArray[np.bool_],
        placed: Sequence[int],
        rng: np.random.Generator,
    ) -> int:
        """Index of a suitable place: of a few random ones the farthest from the existing lesions."""
        fits = free & self.at(position, radius_mm)
        candidates = np.flatnonzero(fits if fits.any() else free)
        candidates = candidates[rng.integers(0, len(candidates), CANDIDATES)]
        if not placed:
            return int(candidates[0])
        gaps = np.linalg.norm(self.mm[candidates][:, None] - self.mm[list(placed)][None], axis=2).min(axis=1)
        return int(candidates[gaps.argmax()])

    def at(self, position: Position, radius_mm: float) -> NDArray[np.bool_]:
        """The possible places for a lesion of ``radius_mm`` at ``position``.

        Raises
        ------
        InputError
            If the position is a fissure and there are no lobes.
        """
        shallow = self.depth <= max(PLEURAL_DEPTH_PART * radius_mm, PLACING_MM)
        if position is Position.ANY:
            return np.ones(len(self.depth), dtype=bool)
        if position is Position.PLEURAL:
            return shallow
        if position is Position.CENTRAL:
            radii, mm = CENTRAL_DEPTH
            return self.depth >= min(radii * radius_mm + mm, DEEPEST_PART * float(self.depth.max()))
        if position is Position.FISSURE:
            return self._at_fissure()
        if position is Position.APEX:
            return self._part(0) >= APEX_HEIGHT
        return self._near_hilum() if position is Position.HILUM else shallow & self._facing(position)

    def diameter_holding(self, place: int, volume_ml: float) -> float:
        """Diameter in mm of the sphere around a place that has ``volume_ml`` inside the lung of the place."""
        cell_ml = float(self._spacing.prod()) / 1000.0
        own = np.sort(np.linalg.norm(self.mm[self.side == self.side[place]] - self.mm[place], axis=1))
        return 2.0 * float(own[min(round(volume_ml / cell_ml), len(own) - 1)])

    def _part(self, axis: int) -> NDArray[np.float64]:
        """Position of every place between the ends of its own lung along an array axis, 0 to 1."""
        part = np.zeros(len(self.mm))
        for side in Side:
            own = self.side == side
            if own.any():
                mm = self.mm[own, axis]
                part[own] = (mm - mm.min()) / max(float(np.ptp(mm)), PLACING_MM)
        return part

    def _normals(self) -> NDArray[np.float64]:
        """(places, 3) unit vectors along (K, J, I) to the nearest voxel outside the lungs."""
        nearest = ndimage.distance_transform_edt(
            np.pad(self._coarse > 0, 1), sampling=self._spacing, return_distances=False, return_indices=True
        )
        cells = np.stack(self._cells, axis=1)
        outward = (nearest[:, 1:-1, 1:-1, 1:-1][(slice(None), *self._cells)].T - 1 - cells) * self._spacing
        return outward / np.linalg.norm(outward, axis=1, keepdims=True)

    def _facing(self, position: Position) -> NDArray[np.bool_]:
        normals = self._normals()
        medial = normals[:, 2] * np.where(self.side == Side.RIGHT, 1.0, -1.0)
        down = (normals[:, 0] < -FACING) & (self._part(0) < DIAPHRAGM_HEIGHT)
        if position is Position.DIAPHRAGM:
            return down
        level = np.abs(normals[:, 0]) < FACING
        return level & (medial >= MEDIAL_FACING if position is Position.MEDIASTINUM else medial < 0.0)

    def _near_hilum(self) -> NDArray[np.bool_]:
        low, high = HILUM_HEIGHT
        front, back = HILUM_DEPTH_PART
        height, depth = self._part(0), self._part(1)
        band = (height >= low) & (height <= high) & (depth >= front) & (depth <= back)
        medial = band & self._facing(Position.MEDIASTINUM) & (self.depth <= 2.0 * PLACING_MM)
        near = np.zeros(len(self.mm), dtype=bool)
        for side in Side:
            own = medial & (self.side == side)
            if own.any():
                near |= (self.side == side) & (
                    np.linalg.norm(self.mm - self.mm[own].mean(axis=0), axis=1) <= HILUM_REACH_MM
                )
        return near

    def _at_fissure(self) -> NDArray[np.bool_]:
        """Whether a place is next to a place of the same lung in another lobe."""
        if self._lobes is None:
            raise InputError("a lesion at a fissure was asked for, and no lobes were given")
        lobes = self._lobes[self._every]
        border = np.zeros(lobes.shape, dtype=bool)
        for axis in range(3):
            one, other = ([slice(None)] * 3 for _ in range(2))
            one[axis], other[axis] = slice(1, None), slice(None, -1)
            one, other = tuple(one), tuple(other)
            parted = (lobes[one] != lobes[other]) & (lobes[one] > 0) & (lobes[other] > 0)
            parted &= self._coarse[one] == self._coarse[other]
            border[one] |= parted
            border[other] |= parted
        return border[self._cells]
