"""Mean and standard deviation of the density by lung, lobe and kind of opacity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.immutable import Value
from CovidSeverityLib.types import Lobe, Opacity, Side

TABLE_SHAPE = (len(Side) + 1, len(Lobe) + 1, len(Opacity) + 1)
"""Labels of lungs, lobes and opacities with 0: no lung, no lobe, no opacity."""

ALL = slice(None)


@dataclass(frozen=True)
class PartAttenuation:
    """Density of one part of the lungs.

    Parameters
    ----------
    voxels : int
        Of the part.
    infected_voxels : int
        Of the opacities in it.
    mean_hu, sd_hu : float or None
        Mean and standard deviation of all its voxels, HU; None for an absent part.
    """

    voxels: int
    infected_voxels: int
    mean_hu: float | None
    sd_hu: float | None

    @property
    def infected_percent(self) -> float:
        """Opacities of the part, per cent of its volume (0 for an absent part)."""
        return 100.0 * self.infected_voxels / self.voxels if self.voxels else 0.0


@dataclass(frozen=True, eq=False, repr=False)
class Attenuation(Value):
    """Density by lung, lobe and opacity: counts, from which every part follows.

    Parameters
    ----------
    voxels : (3, 6, 3) int64 ndarray
        By labels of :class:`Side`, :class:`Lobe` and :class:`Opacity`; row 0 is empty.
    total_hu, total_squares : (3, 6, 3) float64 ndarray
        Sums of the Hounsfield units and of their squares: whole numbers under 2 ** 53, therefore exact.
    """

    voxels: NDArray[np.int64]
    total_hu: NDArray[np.float64]
    total_squares: NDArray[np.float64]

    @property
    def total(self) -> PartAttenuation:
        """Of both lungs."""
        return self._part()

    def side(self, side: Side) -> PartAttenuation:
        """Of one lung."""
        return self._part(sides=slice(side, side + 1))

    def lobe(self, lobe: Lobe) -> PartAttenuation:
        """Of one lobe."""
        return self._part(lobes=slice(lobe, lobe + 1))

    def opacity(self, opacity: Opacity) -> PartAttenuation:
        """Of one kind of opacity in both lungs."""
        return self._part(kinds=slice(opacity, opacity + 1))

    def _part(self, sides: slice = slice(1, None), lobes: slice = ALL, kinds: slice = ALL) -> PartAttenuation:
        where = (sides, lobes, kinds)
        count = int(self.voxels[where].sum())
        infected = int(self.voxels[sides, lobes, max(1, kinds.start or 0) : kinds.stop].sum())
        if not count:
            return PartAttenuation(0, 0, None, None)
        mean = float(self.total_hu[where].sum()) / count
        variance = float(self.total_squares[where].sum()) / count - mean**2
        return PartAttenuation(count, infected, mean, float(np.sqrt(max(variance, 0.0))))


def attenuation(
    hu: NDArray[np.int16], lungs: NDArray[np.uint8], lobes: NDArray[np.uint8], opacities: NDArray[np.uint8]
) -> Attenuation:
    """Density of every lung, lobe and kind of opacity; what lies outside the lungs is not counted.

    Parameters
    ----------
    hu : (K, J, I) ndarray of int16
        Hounsfield units.
    lungs, lobes, opacities : (K, J, I) ndarray of uint8
        Labels of :class:`Side`, :class:`Lobe` and :class:`Opacity`.

    Raises
    ------
    ValueError
        If a mask has another shape than the CT.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis
    >>> result = Analysis.load("results")
    >>> found = attenuation(result.volume.hu, result.lungs, result.lobes, result.infection)
    >>> found.total.voxels == result.lung_voxels
    True
    >>> found.opacity(Opacity.CONSOLIDATION).mean_hu > found.opacity(Opacity.GROUND_GLASS).mean_hu
    True
    """
    for name, mask in (("lungs", lungs), ("lobes", lobes), ("opacities", opacities)):
        if mask.shape != hu.shape:
            raise ValueError(f"{name} {mask.shape} do not match the CT {hu.shape} (K, J, I)")
    sums = np.zeros((3, int(np.prod(TABLE_SHAPE))))
    for plane, sides, parts, kinds in zip(hu, lungs, lobes, opacities, strict=True):
        inside = sides > 0
        values = plane[inside].astype(np.float64)
        place = ((sides * np.uint8(TABLE_SHAPE[1]) + parts) * np.uint8(TABLE_SHAPE[2]) + kinds)[inside]
        for row, weights in zip(sums, (None, values, values * values), strict=True):
            row += np.bincount(place, weights, minlength=row.size)
    voxels, total_hu, total_squares = sums.reshape(3, *TABLE_SHAPE)
    return Attenuation(voxels.astype(np.int64), total_hu.copy(), total_squares.copy())
