"""Lobes and the published method's regions, from the lungs alone."""

from __future__ import annotations

from dataclasses import dataclass
from math import radians, tan

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import Geometry, Lobe, Side, frozen_array

FISSURE_INCLINATION_DEG = 50.0
"""Slope of the oblique fissures against the axial plane, rising towards the back (anatomy texts: from the fourth
thoracic vertebra to the sixth costal cartilage, 45 to 60 degrees)."""

LOWER_LOBE_SHARE = {Side.RIGHT: 0.46, Side.LEFT: 0.48}
MIDDLE_LOBE_SHARE = 0.18
"""Shares of a lung's volume: lower lobes a little under half, the middle lobe a sixth to a fifth of the right lung
(lobar volumes in health; between persons they vary by several per cent of the lung)."""


@dataclass(frozen=True, eq=False)
class LobeSegmentation:
    """``labels`` is (K, J, I) uint8 of :class:`Lobe`; ``source`` names the method or the file."""

    labels: NDArray[np.uint8]
    source: str
    approximate: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", frozen_array(self.labels))


def approximate_lobes(lungs: NDArray[np.uint8], geometry: Geometry) -> LobeSegmentation:
    """Five lobes by flat fissures: every lung is cut by an inclined plane at the usual share of its volume.

    The planes run from left to right, so that a lobe is a matter of slice and row. The fissures of the patient are not
    looked at: borders are off by a centimetre or more, and the result says so (``approximate``).

    Parameters
    ----------
    lungs : (K, J, I) uint8 of :class:`Side`.
    geometry : of ``lungs``.
    """
    slice_mm, row_mm, _ = geometry.spacing_kji
    k, j = np.ogrid[: lungs.shape[0], : lungs.shape[1]]
    above_fissure = k * slice_mm - j * row_mm * tan(radians(FISSURE_INCLINATION_DEG))
    height = np.broadcast_to(k * slice_mm, above_fissure.shape)
    by_side = np.zeros((3, *above_fissure.shape), dtype=np.uint8)
    for side, upper, lower in ((Side.RIGHT, Lobe.RUL, Lobe.RLL), (Side.LEFT, Lobe.LUL, Lobe.LLL)):
        voxels = np.count_nonzero(lungs == side, axis=2)
        in_lower = above_fissure <= _volume_quantile(above_fissure, voxels, LOWER_LOBE_SHARE[side])
        by_side[side] = np.where(in_lower, lower, upper)
        if side is Side.RIGHT:
            rest = np.where(in_lower, 0, voxels)
            share = MIDDLE_LOBE_SHARE / (1 - LOWER_LOBE_SHARE[side])
            by_side[side][~in_lower & (height <= _volume_quantile(height, rest, share))] = Lobe.RML
    labels = np.zeros(lungs.shape, dtype=np.uint8)
    for n in range(lungs.shape[0]):
        for side in Side:
            np.copyto(labels[n], by_side[side, n][:, None], where=lungs[n] == side)
    return LobeSegmentation(labels, "geometric split (flat fissures)", approximate=True)


def _volume_quantile(position: NDArray, voxels: NDArray, share: float) -> float:
    """The position below which ``share`` of the voxels lie (-inf if there are none)."""
    if not voxels.any():
        return -np.inf
    order = np.argsort(position, axis=None, kind="stable")
    below = np.cumsum(voxels.ravel()[order])
    return float(position.ravel()[order][np.searchsorted(below, share * below[-1])])


def published_regions(lungs: NDArray[np.uint8]) -> LobeSegmentation:
    """The published method's five regions: rows of the axial slice.

    Rows between the first and the last lung row of the whole volume are cut, on the left into halves ("LUL" in front,
    "LLL" behind), on the right into thirds ("RUL", "RML", "RLL" from the front).

    Parameters
    ----------
    lungs : (K, J, I) uint8 of :class:`Side`.
    """
    rows = np.flatnonzero(lungs.any(axis=(0, 2)))
    labels = np.zeros(lungs.shape, dtype=np.uint8)
    for side, lobes in ((Side.LEFT, (Lobe.LUL, Lobe.LLL)), (Side.RIGHT, (Lobe.RUL, Lobe.RML, Lobe.RLL))):
        edges = _published_cuts(int(rows[0]), int(rows[-1]), len(lobes))
        for lobe, start, stop in zip(lobes, edges[:-1], edges[1:], strict=True):
            part = labels[:, start:stop]
            part[lungs[:, start:stop] == side] = lobe
    return LobeSegmentation(labels, "published method (rows of the axial slice)", approximate=True)


def _published_cuts(first: int, last: int, parts: int) -> list[int]:
    """First rows of equal parts and the row after the last."""
    return [first + (last - first + 1) * n // parts for n in range(parts + 1)]
