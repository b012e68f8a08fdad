"""Lung coordinates: where a point of a patient's lung lies in the lung of the atlas, by the mask of the lung alone.

A frame is a scale and a shift per axis. Frames are in (K, J, I) order like arrays: superior, posterior, left, mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import triple

from .config import LungFrameConfig


@dataclass(frozen=True)
class LungExtent:
    """How a lung lies along the axes, (K, J, I), mm from the array's first voxel centre.

    Parameters
    ----------
    quantiles_mm : tuple of three tuples of float
        For every axis, the positions below which shares of the lung lie (``LungFrameConfig.volume_shares``).
    ends_mm : (float, float)
        Lowest and highest end along K.
    cut : (bool, bool)
        Whether the field of view cuts the lung at its lower, its upper end.
    """

    quantiles_mm: tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]
    ends_mm: tuple[float, float]
    cut: tuple[bool, bool] = (False, False)

    def shifted(self, offset_mm: tuple[float, float, float]) -> LungExtent:
        """The same lung with ``offset_mm`` (K, J, I) added to every position."""
        moved = (tuple(mm + offset for mm in axis) for axis, offset in zip(self.quantiles_mm, offset_mm, strict=True))
        low, high = self.ends_mm
        return LungExtent(triple(moved), (low + offset_mm[0], high + offset_mm[0]), self.cut)


@dataclass(frozen=True)
class LungFrame:
    """``atlas_mm = scale * patient_mm + shift_mm`` along (K, J, I); ``cut``: it is a guess, the scan cuts the lung."""

    scale: tuple[float, float, float]
    shift_mm: tuple[float, float, float]
    cut: bool = False

    def to_patient(self, axis: int, atlas_mm: NDArray) -> NDArray:
        """Positions along ``axis`` in the patient's array, mm from its first voxel centre."""
        return (atlas_mm - self.shift_mm[axis]) / self.scale[axis]

    def to_atlas(self, axis: int, patient_mm: NDArray) -> NDArray:
        """Positions along ``axis`` in the lung of the atlas, mm."""
        return patient_mm * self.scale[axis] + self.shift_mm[axis]


def lung_extent(
    mask: NDArray[np.bool_],
    spacing_kji: tuple[float, float, float],
    faces: tuple[bool, bool] = (True, True),
    config: LungFrameConfig = LungFrameConfig(),
) -> LungExtent:
    """How a lung lies in its array.

    Parameters
    ----------
    mask : (K, J, I) ndarray of bool
        One lung, not empty.
    spacing_kji : (float, float, float)
        Distance of voxel centres, (K, J, I), mm.
    faces : (bool, bool)
        Whether the scan ends with the array's first, its last slice.
    config : LungFrameConfig
        Which shares of the volume are looked for, and where a lung ends.
    """
    by_slice_and_row, by_row_and_column = np.count_nonzero(mask, axis=2), np.count_nonzero(mask, axis=0)
    profiles = by_slice_and_row.sum(axis=1), by_row_and_column.sum(axis=1), by_row_and_column.sum(axis=0)
    quantiles = triple(_quantiles(p, mm, config.volume_shares) for p, mm in zip(profiles, spacing_kji, strict=True))
    large = np.flatnonzero(profiles[0] >= config.end_area_share * profiles[0].max())
    ends = float((large[0] - 0.5) * spacing_kji[0]), float((large[-1] + 0.5) * spacing_kji[0])
    cut = faces[0] and bool(large[0] == 0), faces[1] and bool(large[-1] == mask.shape[0] - 1)
    return LungExtent(quantiles, ends, cut)


def match_lungs(patient: LungExtent, atlas: LungExtent) -> LungFrame:
    """The frame that lays a patient's lung onto that of the atlas.

    A lung that the field of view cuts gets the mean scale of the two other axes along K, from the end that is there.
    """
    fits = [_line(p, a) for p, a in zip(patient.quantiles_mm, atlas.quantiles_mm, strict=True)]
    if any(patient.cut):
        scale = (fits[1][0] * fits[2][0]) ** 0.5
        used = [n for n in (0, 1) if not patient.cut[n]] or [0, 1]
        shift = sum(atlas.ends_mm[n] - scale * patient.ends_mm[n] for n in used) / len(used)
        fits[0] = scale, shift
    return LungFrame(triple(f[0] for f in fits), triple(f[1] for f in fits), any(patient.cut))


def _quantiles(profile: NDArray, mm: float, shares: tuple[float, ...]) -> tuple[float, ...]:
    """Positions of shares of the volume, as if every voxel were filled evenly, mm."""
    below = np.concatenate([[0.0], np.cumsum(profile) / profile.sum()])
    edges = (np.arange(below.size) - 0.5) * mm
    return tuple(float(np.interp(share, below, edges)) for share in shares)


def _line(x: tuple[float, ...], y: tuple[float, ...]) -> tuple[float, float]:
    """Slope and intercept of ``y`` over ``x`` by least squares."""
    x_mean, y_mean = float(np.mean(x)), float(np.mean(y))
    dx, dy = np.subtract(x, x_mean), np.subtract(y, y_mean)
    slope = float((dx * dy).sum() / max((dx * dx).sum(), 1e-6))
    return slope, y_mean - slope * x_mean
