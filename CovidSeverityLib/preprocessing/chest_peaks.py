"""Do the peaks of a histogram stand where those of a chest CT in Hounsfield units do?"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .block_peaks import Blocks, smoothed_peaks

Zone = tuple[float, float]

RANGE_HU: Zone = (-1100, 1600)
BIN_HU = 4
SMOOTHING_HU = 10.0
"""The histogram, and the standard deviation of its smoothing: a third of the width of the narrowest peaks."""

AIR, FAT, SOFT = -1000.0, -107.0, 45.0
"""Where air, fat, and muscle with blood and liver have their peaks: -1001 to -995, -115 to -103, 37 to 49 on six scans
(two sources); -999 to -991, -99 to -95, 45 to 51 on six synthetic chests."""

AIR_HU: Zone = (-1045, -945)
FAT_HU: Zone = (-165, -60)
SOFT_HU: Zone = (-10, 100)
"""Where these peaks may be: a seventh scan, windowed before it was published, has them at -961, -127 and 11, and scales
30 HU off must pass."""

LUNG_HU: Zone = (-950, -650)
"""Aerated lung, from emphysema to expiration; it makes a broad peak, or none."""

GAS_HU: Zone = (-1100, -500)
"""Air and aerated lung, with room for noise."""

VALLEY_HU: Zone = (-500, -200)
"""Between lung and fat: the lungs' surface, and diseased lung."""

BLOOD_HU: Zone = (100, 300)
"""Blood with contrast medium; or muscle, where values are Hounsfield units times 1.1 to 1.2 and fat is at 0."""

FAT_CORE_HU: Zone = (-135, -75)
"""Where the density of fat is that does not make a peak."""

NEAR_BELOW_HU: Zone = (-1400, -1060)
"""Right below air, where nothing is but air on another scale; padding lies farther below (-2000, -3024)."""

MAX_NEAR_BELOW = 0.03
"""Largest part there where no narrow peak is air (0 to 0.001; 0.12 to 0.46 at 1.1 to 1.2 times Hounsfield units). Four
CTs with padding of -1350, blurred by a resampling, have 0.03 to 0.05, and a peak of air 32 to 36 HU wide."""

MIN_GAS = 0.005
"""Least part in gas: a chest has air around it or inside it."""

MIN_LUNG = 0.03
"""Least part that is lung where air alone is not seen."""

MIN_DENSE = 0.1
"""Least part above -500 HU where fat or muscle must make a peak: lungs that were cut out have a tenth at most."""

MAX_OUTSIDE = 0.1
"""Largest part outside of the histogram, where no padding explains it (0 to 0.01)."""

MAX_PADDING = 0.4
"""The same where air, lung and tissue all have their places: the corners outside the scanner's circle are 0.21."""

HEIGHT = 0.15
"""Least height of a peak above -500 HU as a share of the highest one there (muscle beside fat: 0.38 and more)."""

GAS_HEIGHT = 0.05
"""The same for gas: a windpipe beside two lungs."""

SAME_HEIGHT = 0.8
"""Peaks whose heights differ by less, as a share, are equal: none is the highest (as in an image without peaks)."""

HIGH_GAS = 0.25
"""Least height of a peak that counts against lungs that were cut out, as a share of the highest."""

NARROW_HU = 60.0
"""Full width at half height under which a peak of gas is air (28 to 60; lung has 88 and more)."""

WIDEST_HU = 120.0
"""That of the peak of air, and of the peak of muscle or fat where no air is seen beside it (32 to 72; of a window of
400 HU that was stretched over 2,000 it is 130 and more, unless there is no noise)."""

FAT_OVER_VALLEY, FAT_SHOULDER = 3.0, 0.05
"""Fat that makes no peak of its own is there if its place is this many times denser than the valley (5.9 and more, but
for one lean patient), and has this share of the height of muscle."""

MAX_VALLEY = 0.35
"""Largest mean density of the valley, relative to the peak of muscle (0.01 to 0.1)."""

MAX_TOP_SHARE = 0.001
TOP_HU = 420.0
"""Share of the voxels at the largest value that shows a window's end; one this high would hold no bone in it (under
0.0002 lie above 1,000 HU), so that the values are stretched."""

MIN_BONE = 0.005
"""Least part above muscle, which tells a chest from an inverted one (0.01 to 0.06; inverted, air has nothing there)."""


class ChestPeaks:
    """Peaks of gas and of tissue in a histogram of block means.

    Parameters
    ----------
    blocks : those of a volume.
    hu : (N,) the means of the blocks, in what may be Hounsfield units.
    top, background : the largest value, and that of the background (None without one), in the same units.
    """

    def __init__(self, blocks: Blocks, hu: NDArray, top: float, background: float | None) -> None:
        self._top_share = blocks.top_share if top > TOP_HU else 0.0
        self._background = background
        bins = np.arange(RANGE_HU[0], RANGE_HU[1] + 1, BIN_HU)
        self._counts, _ = np.histogram(hu, bins)
        self._total = max(int(self._counts.sum()), 1)
        self._outside = 1.0 - self._total / max(hu.size, 1)
        self._near_below = float(np.mean((hu > NEAR_BELOW_HU[0]) & (hu < NEAR_BELOW_HU[1]))) if hu.size else 0.0
        self._centres = bins[:-1] + BIN_HU / 2
        gas, tissue = self._centres < GAS_HU[1], self._centres > GAS_HU[1]
        smoothing = SMOOTHING_HU / BIN_HU
        gas_density, gas_peaks = smoothed_peaks(self._counts * gas, smoothing, GAS_HEIGHT)
        tissue_density, tissue_peaks = smoothed_peaks(self._counts * tissue, smoothing, HEIGHT)
        self._density = gas_density + tissue_density
        self._gas = self._highest_first(gas_peaks)
        self._tissue = self._highest_first(tissue_peaks)
        self._air = self._first_in(self._gas, AIR_HU)
        self._fat = self._first_in(self._tissue, FAT_HU)
        self._soft = self._first_in(self._tissue, SOFT_HU)

    @property
    def dense_share(self) -> float:
        """Part above -500 HU."""
        return self._share((GAS_HU[1], RANGE_HU[1]))

    @property
    def lung_share(self) -> float:
        """Part with the density of aerated lung."""
        return self._share(LUNG_HU)

    def may_be_hounsfield(self) -> bool:
        """Whether nothing speaks against Hounsfield units."""
        if not self._gas_in_place():
            return False
        if self.dense_share < MIN_DENSE:
            high = [n for n in self._gas if self._density[n] >= HIGH_GAS * self._density[self._gas[0]]]
            strange = [n for n in high if self._width(n) < NARROW_HU and not self._within(n, AIR_HU)]
            return self._outside <= MAX_OUTSIDE and not strange
        if not self._tissue_in_place():
            return False
        if self._air is not None:
            return self._outside <= (MAX_PADDING if self._width(self._air) <= WIDEST_HU else MAX_OUTSIDE)
        if self._outside > MAX_OUTSIDE or self._width(self._tissue[0]) > WIDEST_HU:
            return False
        if self.lung_share < MIN_LUNG and (self._fat is None or self._soft is None):
            return False
        return self._fat is not None or self._top_share < MAX_TOP_SHARE

    def is_clear(self, scale: float) -> bool:
        """Whether the peaks leave no doubt that the values were Hounsfield units times ``scale``, and an offset.

        Three of air, lung, fat and muscle tell both; lung and muscle tell the offset where the scale is that of
        Hounsfield units. Inverted values must show air, lung and bone: turned over, lung and fat change places.
        """
        if self.dense_share < MIN_DENSE or self._outside > MAX_OUTSIDE or self._soft is None:
            return False
        if self._strange_gas() or not (self._gas_in_place() and self._tissue_in_place()):
            return False
        air, lung = self._air is not None, self.lung_share >= MIN_LUNG
        if not ((air and lung) or (self._has_fat() and (air or lung)) or (lung and scale == 1.0)):
            return False
        if self._first_in(self._tissue, VALLEY_HU) is not None:
            return False
        if scale < 0 and not (air and lung and self._bone_and_air_beside()):
            return False
        return self._mean(VALLEY_HU) <= MAX_VALLEY * self._density[self._soft]

    def distances(self) -> NDArray[np.float64]:
        """How far the peaks of air, fat and muscle, as far as there are, stand from their usual places, HU."""
        found = ((self._air, AIR), (self._fat, FAT), (self._soft, SOFT))
        return np.array([self._centres[n] - place for n, place in found if n is not None])

    def _gas_in_place(self) -> bool:
        narrow = self._air is not None and self._width(self._air) <= NARROW_HU
        if self._near_below > MAX_NEAR_BELOW and not narrow:
            return False
        around = self._background
        if around is not None and AIR_HU[0] <= around <= AIR_HU[1]:
            return True
        if self._strange_gas():
            return False
        top = GAS_HU[1] if around is None or around < GAS_HU[0] else min(GAS_HU[1], around)
        return self._share((GAS_HU[0], top)) >= MIN_GAS

    def _strange_gas(self) -> bool:
        """Whether the highest peak of gas is as narrow as that of air, in another place."""
        return bool(self._gas) and not self._within(self._gas[0], AIR_HU) and self._width(self._gas[0]) < NARROW_HU

    def _bone_and_air_beside(self) -> bool:
        around = self._background
        return self._share((SOFT_HU[1], RANGE_HU[1])) >= MIN_BONE and (around is None or around <= AIR_HU[1])

    def _tissue_in_place(self) -> bool:
        """The highest peak is fat or muscle; without fat, none other may be what muscle would be on another scale."""
        known = [self._density[n] for n in (self._fat, self._soft) if n is not None]
        if not known or max(known) < SAME_HEIGHT * self._density[self._tissue[0]]:
            return False
        return self._has_fat() or self._first_in(self._tissue, BLOOD_HU) is None

    def _has_fat(self) -> bool:
        shoulder = self._mean(FAT_CORE_HU)
        least = max(FAT_OVER_VALLEY * self._mean(VALLEY_HU), FAT_SHOULDER * float(self._density[self._tissue[0]]))
        return self._fat is not None or shoulder > least

    def _inside(self, zone: Zone) -> NDArray[np.bool_]:
        return (self._centres > zone[0]) & (self._centres < zone[1])

    def _share(self, zone: Zone) -> float:
        return float(self._counts[self._inside(zone)].sum()) / self._total

    def _mean(self, zone: Zone) -> float:
        return float(self._density[self._inside(zone)].mean())

    def _within(self, peak: int, zone: Zone) -> bool:
        return bool(zone[0] <= self._centres[peak] <= zone[1])

    def _highest_first(self, peaks: Iterable[int]) -> list[int]:
        return sorted(peaks, key=lambda n: -self._density[n])

    def _first_in(self, peaks: list[int], zone: Zone) -> int | None:
        return next((n for n in peaks if self._within(n, zone)), None)

    def _width(self, peak: int) -> float:
        """Full width at half height, HU."""
        low = np.flatnonzero(self._density < self._density[peak] / 2)
        left, right = low[low < peak], low[low > peak]
        return float(BIN_HU * ((right[0] if right.size else len(self._density)) - (left[-1] if left.size else -1)))
