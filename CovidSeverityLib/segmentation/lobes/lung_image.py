"""One lung of a CT, looked at in the coordinates of the atlas lung."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .lung_frame import LungFrame


@dataclass(frozen=True, eq=False)
class LungImage:
    """One lung of a CT.

    Parameters
    ----------
    hu : (K, J, I) ndarray of int16
        Hounsfield units.
    mask : (K, J, I) ndarray of bool
        The lung.
    spacing_kji : (float, float, float)
        Distance of voxel centres, mm.
    frame : LungFrame
        From the patient's mm to the atlas lung.
    """

    hu: NDArray[np.int16]
    mask: NDArray[np.bool_]
    spacing_kji: tuple[float, float, float]
    frame: LungFrame

    @cached_property
    def usual_hu(self) -> float:
        """Median density of the lung, HU, of a voxel in 32."""
        some = slice(None, None, 2), slice(None, None, 4), slice(None, None, 4)
        return float(np.median(self.hu[some][self.mask[some]]))

    def hu_at(self, k: NDArray, j: NDArray, i: NDArray) -> NDArray[np.float32]:
        """(N,) interpolated Hounsfield units at (N,) positions in the atlas lung, mm."""
        return ndimage.map_coordinates(
            self.hu, np.stack(self._voxels(k, j, i)), output=np.float32, order=1, mode="nearest"
        )

    def row_at(self, share: float) -> float:
        """Position along J in the atlas lung, mm, of a share of the lung's length from front to back."""
        rows = np.flatnonzero(self.mask.any(axis=(0, 2)))
        front, back = (rows[0] - 0.5) * self.spacing_kji[1], (rows[-1] + 0.5) * self.spacing_kji[1]
        return float(self.frame.to_atlas(1, front + share * (back - front)))

    def covers(self, k: NDArray, j: NDArray, i: NDArray) -> NDArray[np.bool_]:
        """Whether the voxels nearest to positions in the atlas lung, mm, belong to the lung."""
        nearest = (
            np.clip(x + np.float32(0.5), 0, size - 1).astype(np.intp)
            for x, size in zip(self._voxels(k, j, i), self.mask.shape, strict=True)
        )
        return self.mask[tuple(nearest)]

    def _voxels(self, *positions: NDArray) -> list[NDArray[np.float32]]:
        """Where positions in the atlas lung, mm, lie in the arrays."""
        return [
            (self.frame.to_patient(n, x) / mm).astype(np.float32)
            for n, (x, mm) in enumerate(zip(positions, self.spacing_kji, strict=True))
        ]
