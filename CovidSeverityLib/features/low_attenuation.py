"""Low attenuation (emphysema index): the share of lung under a density that healthy lung does not have.

Noise widens the histogram of the lungs and pushes healthy lung under the threshold. It is taken off the histogram of
every lobe: which one, convolved with the measured noise, gives the one that was measured (Richardson 1972,
doi 10.1364/JOSA.62.000055; Lucy 1974, doi 10.1086/111605)? No voxel is smoothed: small holes stay what they are.

All lung counts, opacities, vessels and the small bronchi in it included: the index is a share of the lung's volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtr

from CovidSeverityLib.checked import Checked, Range
from CovidSeverityLib.immutable import Value
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.morphology.grid import bounding_box
from CovidSeverityLib.types import AIR_HU, Lobe, Side

from .air_noise import AirNoiseConfig, airway_noise

BIN_HU = 2
"""Width of the histogram's bins, HU: a tenth of the usual noise."""

HISTOGRAM_END_HU = -400
"""The histogram ends here: more than ten times the noise of a low-dose CT above either threshold."""

REACH_SDS = 5.0
"""Noise beyond so many standard deviations is left out: one voxel in three million."""

GROUPS = (len(Side) + 1, len(Lobe) + 1)
"""Labels of lungs and of lobes with 0, no lung or no lobe."""


BIN_EDGES = Range(AIR_HU + BIN_HU, HISTOGRAM_END_HU - BIN_HU, step=BIN_HU)
"""Thresholds that the histogram can tell, HU."""


@dataclass(frozen=True)
class LowAttenuationConfig(Checked):
    """What low attenuation is.

    Parameters
    ----------
    thin_threshold_hu : int, HU
        Lung under it is of low attenuation: in thin slices -950 agrees with pathology (Gevenois 1996,
        doi 10.1164/ajrccm.154.1.8680679).
    thick_threshold_hu : int, HU
        The same in thick slices, which mix holes with the lung around them: -910 (Mueller 1988,
        doi 10.1378/chest.94.4.782, in slices of 10 mm).
    thick_slice_mm : float, mm
        Slices further apart than this are thick. Shares fall as slices get thicker (Gierada 2010,
        doi 10.1016/j.acra.2009.08.007).
    percentile : float, %
        Of the lung's density: the 15th follows the course of emphysema best (Parr 2006,
        doi 10.1136/thx.2005.054890).
    iterations : int, iterations
        Number of steps of the deconvolution. With 10 to 40 HU of noise the share hardly moves from 100 to 1000.
    noise : AirNoiseConfig
        Which air the noise is measured in.

    Raises
    ------
    ConfigurationError
        If a value is of the wrong type or out of its range.
    """

    thin_threshold_hu: Annotated[int, BIN_EDGES] = -950
    thick_threshold_hu: Annotated[int, BIN_EDGES] = -910
    thick_slice_mm: Annotated[float, Range(0, without_ends=True)] = 2.5
    percentile: Annotated[float, Range(0, 100, without_ends=True)] = 15.0
    iterations: Annotated[int, Range(1)] = 200
    noise: AirNoiseConfig = AirNoiseConfig()

    def threshold_hu(self, slice_mm: float) -> int:
        """The threshold for slices that lie ``slice_mm`` apart, HU."""
        return self.thick_threshold_hu if slice_mm > self.thick_slice_mm else self.thin_threshold_hu


@dataclass(frozen=True)
class LowDensity:
    """Low attenuation of one part of the lungs.

    Parameters
    ----------
    voxels : int
        Of the part.
    measured_voxels : int
        Under the threshold in the image.
    low_voxels : float
        Under the threshold without noise.
    noise_voxels : float
        Under the threshold in the image, and not without noise.
    percentile_hu : float or None
        Percentile of the density without noise, HU; None for an absent part, or where it lies over
        :data:`HISTOGRAM_END_HU`.
    """

    voxels: int
    measured_voxels: int
    low_voxels: float
    noise_voxels: float
    percentile_hu: float | None

    @property
    def percent(self) -> float:
        """Share of low attenuation without noise, per cent (0 for an absent part)."""
        return self._percent(self.low_voxels)

    @property
    def measured_percent(self) -> float:
        """Share of low attenuation as measured, per cent (0 for an absent part)."""
        return self._percent(self.measured_voxels)

    @property
    def noise_percent(self) -> float:
        """What noise alone adds to the measured share, per cent of the part."""
        return self._percent(self.noise_voxels)

    def _percent(self, voxels: float) -> float:
        return 100.0 * voxels / self.voxels if self.voxels else 0.0


@dataclass(frozen=True, eq=False, repr=False)
class LowAttenuation(Value):
    """Density of the lungs by lung and lobe, as measured and without noise.

    Parameters
    ----------
    threshold_hu : int
        Lung under it is of low attenuation, HU.
    percentile : float
        Which percentile of the density is told, per cent.
    noise_sd_hu : float or None
        Standard deviation of the noise in the large airways, HU. None where it could not be measured: then none is
        taken off.
    voxels : (3, 6) int64 ndarray
        By labels of :class:`Side` and :class:`Lobe`; row 0 is empty, column 0 is lung outside every lobe.
    measured : (3, 6, B) int64 ndarray
        Voxels in bins of :data:`BIN_HU` from :data:`~CovidSeverityLib.types.AIR_HU` up to :data:`HISTOGRAM_END_HU`.
    noise_free : (3, 6, B) float64 ndarray
        The same without noise.
    """

    threshold_hu: int
    percentile: float
    noise_sd_hu: float | None
    voxels: NDArray[np.int64]
    measured: NDArray[np.int64]
    noise_free: NDArray[np.float64]

    @property
    def total(self) -> LowDensity:
        """Of both lungs."""
        return self._part(np.s_[:, :])

    def side(self, side: Side) -> LowDensity:
        """Of one lung."""
        return self._part(np.s_[side : side + 1, :])

    def lobe(self, lobe: Lobe) -> LowDensity:
        """Of one lobe."""
        return self._part(np.s_[:, lobe : lobe + 1])

    def _part(self, where: tuple[slice, slice]) -> LowDensity:
        voxels = int(self.voxels[where].sum())
        measured, noise_free = self.measured[where].sum(axis=(0, 1)), self.noise_free[where].sum(axis=(0, 1))
        below = (self.threshold_hu - AIR_HU) // BIN_HU
        return LowDensity(
            voxels=voxels,
            measured_voxels=int(measured[:below].sum()),
            low_voxels=float(noise_free[:below].sum()),
            noise_voxels=float((noise_free[below:] * self._pushed_under(below, len(noise_free))).sum()),
            percentile_hu=_percentile_hu(noise_free, self.percentile / 100.0 * voxels),
        )

    def _pushed_under(self, below: int, bins: int) -> NDArray[np.float64]:
        """Share of the voxels of every bin over the threshold that noise pushes under it."""
        if not self.noise_sd_hu:
            return np.zeros(bins - below)
        distance = (np.arange(below, bins) + 0.5 - below) * BIN_HU
        return np.asarray(ndtr(-distance / self.noise_sd_hu), dtype=np.float64)


def low_attenuation(
    volume: CtVolume,
    lungs: NDArray[np.uint8],
    lobes: NDArray[np.uint8],
    config: LowAttenuationConfig = LowAttenuationConfig(),
) -> LowAttenuation:
    """Low attenuation of lungs and lobes, noise taken off.

    Parameters
    ----------
    volume : CtVolume
        Chest CT.
    lungs, lobes : (K, J, I) uint8 ndarray
        Labels of :class:`Side` and :class:`Lobe`. The trachea and the main bronchi are in neither.
    config : LowAttenuationConfig
        Thresholds and percentile.

    Raises
    ------
    ValueError
        If a mask has another shape than the CT.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis
    >>> result = Analysis.load("results")
    >>> found = low_attenuation(result.volume, result.lungs, result.lobes)
    >>> round(found.total.percent, 1), round(found.lobe(Lobe.RUL).percentile_hu)
    (9.1, -903)
    """
    for name, mask in (("lungs", lungs), ("lobes", lobes)):
        if mask.shape != volume.hu.shape:
            raise ValueError(f"{name} {mask.shape} do not match the CT {volume.hu.shape} (K, J, I)")
    spacing_mm = volume.geometry.spacing_kji
    noise = airway_noise(volume.hu, lungs, spacing_mm, config.noise)
    voxels, measured = _histograms(volume.hu, lungs, lobes)
    return LowAttenuation(
        threshold_hu=config.threshold_hu(spacing_mm[0]),
        percentile=config.percentile,
        noise_sd_hu=noise,
        voxels=voxels,
        measured=measured,
        noise_free=without_noise(measured, noise, config.iterations) if noise else measured.astype(np.float64),
    )


def without_noise(measured: NDArray[np.int64], noise_sd_hu: float, iterations: int) -> NDArray[np.float64]:
    """Histograms that, with normal noise added and cut off below, are most likely to give the measured ones.

    Parameters
    ----------
    measured : (..., B) int64 ndarray
        Voxels in bins of :data:`BIN_HU` along the last axis; the first holds all that is darker too.
    noise_sd_hu : float
        Standard deviation, HU.
    iterations : int
        Of Richardson and Lucy's multiplication.

    Returns
    -------
    (..., B) float64 ndarray, with as many voxels in all as ``measured``.

    Examples
    --------
    >>> import numpy as np
    >>> peak = np.zeros(100); peak[50] = 1e6
    >>> wide = ndimage.correlate1d(peak, noise_kernel(10.0), mode="constant")
    >>> bool(without_noise(wide, 10.0, 200)[48:53].sum() > 0.8e6)
    True
    """
    kernel = noise_kernel(noise_sd_hu)
    pad = len(kernel) // 2
    bins = measured.shape[-1]

    def blurred(values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Darker than the first bin: part of it."""
        wide = np.concatenate([np.zeros((*values.shape[:-1], pad)), values], axis=-1)
        wide = ndimage.correlate1d(wide, kernel, axis=-1, mode="constant")
        return np.concatenate([wide[..., : pad + 1].sum(axis=-1, keepdims=True), wide[..., pad + 1 :]], axis=-1)

    def gathered(values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The transpose of :func:`blurred`."""
        wide = np.concatenate([np.repeat(values[..., :1], pad, axis=-1), values], axis=-1)
        return ndimage.correlate1d(wide, kernel, axis=-1, mode="constant")[..., pad:]

    seen = gathered(np.ones(bins))
    filled = measured.any(axis=-1)
    voxels = measured[filled].astype(np.float64)
    total = voxels.sum(axis=-1, keepdims=True)
    estimate = blurred(voxels)
    for _ in range(iterations):
        expected = blurred(estimate)
        ratio = np.divide(voxels, expected, out=np.zeros(voxels.shape), where=expected > 0)
        estimate = estimate * gathered(ratio) / seen
    found = np.zeros(measured.shape)
    found[filled] = estimate * (total / estimate.sum(axis=-1, keepdims=True))
    return found


def noise_kernel(noise_sd_hu: float) -> NDArray[np.float64]:
    """Share of a bin's voxels that noise moves by n bins; symmetric, its sum is 1."""
    reach = int(np.ceil(REACH_SDS * noise_sd_hu / BIN_HU))
    edges = (np.arange(-reach, reach + 2) - 0.5) * BIN_HU
    shares = np.diff(ndtr(edges / noise_sd_hu))
    return shares / shares.sum()


def _histograms(
    hu: NDArray[np.int16], lungs: NDArray[np.uint8], lobes: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Voxels of every lung and lobe: all of them, and those up to :data:`HISTOGRAM_END_HU` in bins."""
    values = HISTOGRAM_END_HU - AIR_HU  # and one more for all that is denser
    counts = np.zeros(GROUPS[0] * GROUPS[1] * (values + 1), dtype=np.int64)
    box = bounding_box(lungs)
    for plane, sides, parts in zip(hu[box], lungs[box], lobes[box], strict=True):
        inside = sides > 0
        place = (sides * np.uint8(GROUPS[1]) + parts)[inside].astype(np.intp)
        place *= values + 1
        place += np.minimum(plane[inside], HISTOGRAM_END_HU) - AIR_HU
        counts += np.bincount(place, minlength=counts.size)
    table = counts.reshape(*GROUPS, values + 1)
    return table.sum(axis=-1), table[..., :values].reshape(*GROUPS, values // BIN_HU, BIN_HU).sum(axis=-1)


def _percentile_hu(histogram: NDArray[np.float64], voxels: float) -> float | None:
    """Density that so many voxels are under, HU; a bin's voxels lie evenly in it."""
    upto = np.cumsum(histogram)
    if not voxels or upto[-1] < voxels:
        return None
    n = int(np.searchsorted(upto, voxels))
    part = 1.0 - (upto[n] - voxels) / histogram[n]
    return float(AIR_HU - 0.5 + BIN_HU * (n + part))
