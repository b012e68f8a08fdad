"""Do the peaks of a histogram stand where those of a chest CT in Hounsfield units do?"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .block_peaks import Blocks, smoothed_peaks
from .config import ChestPeakConfig, Zone


class ChestPeaks:
    """Peaks of gas and of tissue in a histogram of block means.

    Parameters
    ----------
    blocks : Blocks
        Of a volume.
    hu : (N,) ndarray
        Means of the blocks, in what may be Hounsfield units.
    top : float
        The largest value, in the same units.
    background : float or None
        The value of the background, in the same units; None without one.
    config : ChestPeakConfig
        Where the peaks of a chest are.
    """

    def __init__(
        self,
        blocks: Blocks,
        hu: NDArray,
        top: float,
        background: float | None,
        config: ChestPeakConfig = ChestPeakConfig(),
    ) -> None:
        self._config = config
        self._top_share = blocks.top_share if top > config.top_hu else 0.0
        self._background = background
        bins = np.arange(config.range_hu[0], config.range_hu[1] + 1, config.bin_hu)
        self._counts, _ = np.histogram(hu, bins)
        self._total = max(int(self._counts.sum()), 1)
        self._outside = 1.0 - self._total / max(hu.size, 1)
        low, high = config.near_below_hu
        self._near_below = float(np.mean((hu > low) & (hu < high))) if hu.size else 0.0
        self._centres = bins[:-1] + config.bin_hu / 2
        gas, tissue = self._centres < config.gas_hu[1], self._centres > config.gas_hu[1]
        smoothing = config.smoothing_hu / config.bin_hu
        gas_density, gas_peaks = smoothed_peaks(self._counts * gas, smoothing, config.gas_height)
        tissue_density, tissue_peaks = smoothed_peaks(self._counts * tissue, smoothing, config.height)
        self._density = gas_density + tissue_density
        self._gas = self._highest_first(gas_peaks)
        self._tissue = self._highest_first(tissue_peaks)
        self._air = self._first_in(self._gas, config.air_zone_hu)
        self._fat = self._first_in(self._tissue, config.fat_zone_hu)
        self._soft = self._first_in(self._tissue, config.soft_zone_hu)

    @property
    def dense_share(self) -> float:
        """Part that is denser than gas."""
        return self._share((self._config.gas_hu[1], self._config.range_hu[1]))

    @property
    def lung_share(self) -> float:
        """Part with the density of aerated lung."""
        return self._share(self._config.lung_hu)

    def may_be_hounsfield(self) -> bool:
        """Whether nothing speaks against Hounsfield units."""
        config = self._config
        if not self._gas_in_place():
            return False
        if self.dense_share < config.min_dense:
            high = [n for n in self._gas if self._density[n] >= config.high_gas * self._density[self._gas[0]]]
            strange = [n for n in high if self._width(n) < config.narrow_hu and not self._within(n, config.air_zone_hu)]
            return self._outside <= config.max_outside and not strange
        if not self._tissue_in_place():
            return False
        if self._air is not None:
            padded = self._width(self._air) <= config.widest_hu
            return self._outside <= (config.max_padding if padded else config.max_outside)
        if self._outside > config.max_outside or self._width(self._tissue[0]) > config.widest_hu:
            return False
        if self.lung_share < config.min_lung and (self._fat is None or self._soft is None):
            return False
        return self._fat is not None or self._top_share < config.max_top_share

    def is_clear(self, scale: float) -> bool:
        """Whether the peaks leave no doubt that the values were Hounsfield units times ``scale``, and an offset.

        Three of air, lung, fat and muscle tell both; lung and muscle tell the offset where the scale is that of
        Hounsfield units. Inverted values must show air, lung and bone: turned over, lung and fat change places.
        """
        config = self._config
        if self.dense_share < config.min_dense or self._outside > config.max_outside or self._soft is None:
            return False
        if self._strange_gas() or not (self._gas_in_place() and self._tissue_in_place()):
            return False
        air, lung = self._air is not None, self.lung_share >= config.min_lung
        if not ((air and lung) or (self._has_fat() and (air or lung)) or (lung and scale == 1.0)):
            return False
        if self._first_in(self._tissue, config.valley_hu) is not None:
            return False
        if scale < 0 and not (air and lung and self._bone_and_air_beside()):
            return False
        return self._mean(config.valley_hu) <= config.max_valley * self._density[self._soft]

    def distances(self) -> NDArray[np.float64]:
        """How far the peaks of air, fat and muscle, as far as there are, stand from their usual places, HU."""
        config = self._config
        places = config.air_hu, config.fat_hu, config.soft_hu
        found = zip((self._air, self._fat, self._soft), places, strict=True)
        return np.array([self._centres[n] - place for n, place in found if n is not None])

    def _gas_in_place(self) -> bool:
        config = self._config
        narrow = self._air is not None and self._width(self._air) <= config.narrow_hu
        if self._near_below > config.max_near_below and not narrow:
            return False
        around = self._background
        if around is not None and config.air_zone_hu[0] <= around <= config.air_zone_hu[1]:
            return True
        if self._strange_gas():
            return False
        top = config.gas_hu[1] if around is None or around < config.gas_hu[0] else min(config.gas_hu[1], around)
        return self._share((config.gas_hu[0], top)) >= config.min_gas

    def _strange_gas(self) -> bool:
        """Whether the highest peak of gas is as narrow as that of air, in another place."""
        zone, narrow = self._config.air_zone_hu, self._config.narrow_hu
        return bool(self._gas) and not self._within(self._gas[0], zone) and self._width(self._gas[0]) < narrow

    def _bone_and_air_beside(self) -> bool:
        config, around = self._config, self._background
        bone = self._share((config.soft_zone_hu[1], config.range_hu[1]))
        return bone >= config.min_bone and (around is None or around <= config.air_zone_hu[1])

    def _tissue_in_place(self) -> bool:
        """The highest peak is fat or muscle; without fat, none other may be what muscle would be on another scale."""
        config = self._config
        known = [self._density[n] for n in (self._fat, self._soft) if n is not None]
        if not known or max(known) < config.same_height * self._density[self._tissue[0]]:
            return False
        return self._has_fat() or self._first_in(self._tissue, config.blood_hu) is None

    def _has_fat(self) -> bool:
        config, highest = self._config, float(self._density[self._tissue[0]])
        least = max(config.fat_over_valley * self._mean(config.valley_hu), config.fat_shoulder * highest)
        return self._fat is not None or self._mean(config.fat_core_hu) > least

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
        first, last = left[-1] if left.size else -1, right[0] if right.size else len(self._density)
        return float(self._config.bin_hu * (last - first))
