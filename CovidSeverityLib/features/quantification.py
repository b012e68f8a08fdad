"""Counting: what lies in which lobe and slice, and the scores that follow."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.ctss import score_for_percent, total_severity_score_for_percent
from CovidSeverityLib.immutable import Value
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.segmentation.opacity.published.mixture import MixtureConfig, MixtureFit, fit_mixture
from CovidSeverityLib.segmentation.opacity.published.windows import histogram
from CovidSeverityLib.types import Lobe, Opacity, Side

from .config import MeasureConfig

Label = TypeVar("Label", bound=IntEnum)


@dataclass(frozen=True)
class LobeScore:
    """What was found in one lobe.

    Parameters
    ----------
    lobe : Lobe
        Which one.
    voxels, infected_voxels : int
        Of the lobe, and of the opacities in it.
    voxel_ml : float
        Volume of a voxel, ml.
    score : int
        CTSS, 0 to 5.
    total_severity_score : int
        TSS, 0 to 4 (Chung 2020).
    confidence : float or None
        Expected Dice coefficient of the lobe with the true one, 0 to 1; None where it is not known.
    score_range, involvement_range_percent : tuple of two numbers, or None
        Lowest and highest value with thresholds and fissures moved by their uncertainty; None where they were not
        looked for.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis
    >>> score = Analysis.load("results").lobe_scores[2]
    >>> score.lobe.name, score.score, score.score_range
    ('RLL', 2, (2, 2))
    >>> round(score.involvement_percent), round(score.volume_ml)
    (10, 1133)
    """

    lobe: Lobe
    voxels: int
    infected_voxels: int
    voxel_ml: float
    score: int
    total_severity_score: int
    confidence: float | None = None
    score_range: tuple[int, int] | None = None
    involvement_range_percent: tuple[float, float] | None = None

    @property
    def near_edge(self) -> bool:
        """Whether another score is within the uncertainty."""
        return self.score_range is not None and self.score_range[0] < self.score_range[1]

    @property
    def volume_ml(self) -> float:
        """Volume of the lobe, ml."""
        return self.voxels * self.voxel_ml

    @property
    def infection_ml(self) -> float:
        """Volume of the opacities, ml."""
        return self.infected_voxels * self.voxel_ml

    @property
    def involvement_percent(self) -> float:
        """Opacities of the lobe, per cent of its volume (0 for an absent lobe)."""
        return 100.0 * self.infected_voxels / self.voxels if self.voxels else 0.0


@dataclass(frozen=True)
class SliceRow:
    """What was found in one axial slice.

    Parameters
    ----------
    index : int
        Of the slice in the arrays, inferior to superior.
    z_mm : float
        LPS position of the slice, mm.
    voxel_ml : float
        Volume of a voxel, ml.
    lung_voxels, infected_voxels : int
        Of the slice.
    lobe_voxels, lobe_infected_voxels : tuple of five int
        The same of each lobe, in the order of :class:`Lobe`.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis
    >>> worst = max(Analysis.load("results").slices, key=lambda row: row.infected_voxels)
    >>> worst.index, round(worst.lung_ml), round(worst.infection_percent)
    (6, 112, 24)
    """

    index: int
    z_mm: float
    voxel_ml: float
    lung_voxels: int
    infected_voxels: int
    lobe_voxels: tuple[int, int, int, int, int]
    lobe_infected_voxels: tuple[int, int, int, int, int]

    @property
    def lung_ml(self) -> float:
        """Lung in this slice, ml."""
        return self.lung_voxels * self.voxel_ml

    @property
    def infection_percent(self) -> float:
        """Opacities in this slice, per cent of its lung (0 where there is no lung)."""
        return 100.0 * self.infected_voxels / self.lung_voxels if self.lung_voxels else 0.0

    def lobe_infection_percent(self, lobe: Lobe) -> float:
        """Opacities of ``lobe`` in this slice, per cent of it (0 where there is none of it)."""
        voxels = self.lobe_voxels[lobe - 1]
        return 100.0 * self.lobe_infected_voxels[lobe - 1] / voxels if voxels else 0.0


@dataclass(frozen=True, eq=False, repr=False)
class Densitometry(Value):
    """Counts over both lungs, by Hounsfield units.

    Parameters
    ----------
    first_hu : int
        Density of the first bin, HU.
    histogram : (N,) ndarray of int64
        ``histogram[n]`` counts lung voxels of ``first_hu + n`` HU.
    well_aerated_voxels : int
        Voxels of well-aerated lung.
    mixture : MixtureFit or None
        Fitted to the histogram to describe it. No opacity is marked by it.
    well_aerated_hu : (int, int)
        Well-aerated lung, bounds included, HU.
    """

    first_hu: int
    histogram: NDArray[np.int64]
    well_aerated_voxels: int
    mixture: MixtureFit | None
    well_aerated_hu: tuple[int, int] = MeasureConfig.well_aerated_hu


@dataclass(frozen=True, eq=False)
class Counts:
    """Voxels per slice and lobe: both (K, 6) int64; column 0 is lung outside every lobe, column n is ``Lobe(n)``."""

    lung: NDArray[np.int64]
    infected: NDArray[np.int64]


def count_voxels(lungs: NDArray[np.uint8], lobes: NDArray[np.uint8], opacities: NDArray[np.bool_]) -> Counts:
    """Count lung and opacities in every slice and lobe.

    Parameters
    ----------
    lungs, lobes : (K, J, I) ndarray of uint8
        Labels.
    opacities : (K, J, I) ndarray of bool
        Opacities; what lies outside the lungs is not counted.
    """
    columns = len(Lobe) + 1
    table = np.zeros((len(lungs), 2, columns), dtype=np.int64)
    for row, inside, parts, sick in zip(table, lungs, lobes, opacities, strict=True):
        groups = parts + sick.view(np.uint8) * np.uint8(columns)
        row += np.bincount(groups[inside > 0], minlength=row.size).reshape(row.shape)
    return Counts(table.sum(axis=1), table[:, 1].copy())


def lobe_scores(
    counts: Counts,
    voxel_ml: float,
    scores: dict[Lobe, int] | None = None,
    confidence: Mapping[Lobe, float | None] | None = None,
    spilled: Collection[Lobe] = (),
    least_percent: float = 0.0,
    spill_percent: float = MeasureConfig.spill_percent,
) -> tuple[LobeScore, ...]:
    """Every lobe's volume, involvement and scores.

    Parameters
    ----------
    counts : Counts
        Of the whole volume.
    voxel_ml : float
        Volume of a voxel, ml.
    scores : dict of Lobe to int, optional
        CTSS of every lobe where it was found otherwise; None scores the involved share of its volume.
    confidence : mapping of Lobe to float, optional
        Of every lobe's outline, 0 to 1, where it is known.
    spilled : collection of Lobe
        Lobes of :func:`~CovidSeverityLib.features.spill.spilled_lobes`.
    least_percent : float
        Up to this involvement every lobe scores 0.
    spill_percent : float
        Up to this involvement the lobes of ``spilled`` score 0.
    """
    result = []
    for lobe in Lobe:
        voxels, infected = int(counts.lung[:, lobe].sum()), int(counts.infected[:, lobe].sum())
        percent = 100.0 * infected / voxels if voxels else 0.0
        uncounted = spill_percent if lobe in spilled else least_percent
        counted = 0.0 if percent <= uncounted else percent
        score = score_for_percent(counted) if scores is None else scores[lobe]
        total = total_severity_score_for_percent(counted)
        sure = confidence.get(lobe) if confidence else None
        result.append(LobeScore(lobe, voxels, infected, voxel_ml, score, total, sure))
    return tuple(result)


def slice_rows(counts: Counts, volume: CtVolume) -> tuple[SliceRow, ...]:
    """A row for every acquired axial slice, inferior to superior."""
    z_mm = volume.geometry.slice_z_mm()
    acquired = {k: float(z_mm[k]) for k in range(counts.lung.shape[0]) if volume.acquired[k]}
    return rows_of_slices(counts, acquired, volume.geometry.voxel_ml)


def rows_of_slices(counts: Counts, z_mm: Mapping[int, float], voxel_ml: float) -> tuple[SliceRow, ...]:
    """A row for every slice of ``z_mm``, which tells its position by its index, in that order."""
    return tuple(
        SliceRow(
            index=k,
            z_mm=z,
            voxel_ml=voxel_ml,
            lung_voxels=int(counts.lung[k].sum()),
            infected_voxels=int(counts.infected[k].sum()),
            lobe_voxels=tuple(counts.lung[k, 1:].tolist()),
            lobe_infected_voxels=tuple(counts.infected[k, 1:].tolist()),
        )
        for k, z in z_mm.items()
    )


def well_aerated_voxels(
    hu: NDArray[np.int16], lung: NDArray[np.bool_], well_aerated_hu: tuple[int, int] = MeasureConfig.well_aerated_hu
) -> int:
    """Voxels of well-aerated lung.

    Parameters
    ----------
    hu : ndarray of int16
        Hounsfield units, of any shape.
    lung : ndarray of bool
        Of the same shape.
    well_aerated_hu : (int, int)
        Well-aerated lung, bounds included, HU.
    """
    return int(np.count_nonzero(lung & (hu >= well_aerated_hu[0]) & (hu <= well_aerated_hu[1])))


def densitometry(
    hu: NDArray[np.int16],
    lungs: NDArray[np.uint8],
    mixture: MixtureConfig,
    well_aerated_hu: tuple[int, int] = MeasureConfig.well_aerated_hu,
) -> Densitometry:
    """Histogram of both lungs, their well-aerated part and a mixture over the whole (for the report's picture)."""
    values, counts = _lung_histogram(hu, lungs)
    aerated = int(counts[(values >= well_aerated_hu[0]) & (values <= well_aerated_hu[1])].sum())
    return Densitometry(int(values[0]), counts, aerated, fit_mixture(values, counts, mixture), well_aerated_hu)


def side_voxels(lungs: NDArray[np.uint8]) -> dict[Side, int]:
    """Voxels of each lung."""
    return _counted(lungs, Side)


def opacity_voxels(opacities: NDArray[np.uint8], lungs: NDArray[np.uint8]) -> dict[Opacity, int]:
    """Voxels of each kind of opacity inside the lungs."""
    return _counted((kinds * (sides > 0) for kinds, sides in zip(opacities, lungs, strict=True)), Opacity)


def _lung_histogram(hu: NDArray[np.int16], lungs: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every value from the smallest to the largest in the lungs, and how often it occurs."""
    lowest = int(hu.min())
    counts = np.zeros(int(hu.max()) - lowest + 1, dtype=np.int64)
    for plane, sides in zip(hu, lungs, strict=True):
        values, found = histogram(plane[sides > 0])
        if found.size:
            counts[values[0] - lowest :][: found.size] += found
    first, last = np.flatnonzero(counts)[[0, -1]]
    return lowest + np.arange(first, last + 1), counts[first : last + 1]


def _counted(planes: Iterable[NDArray[np.uint8]], kinds: type[Label]) -> dict[Label, int]:
    """Voxels of every label; slice by slice, so that a slice stays in the processor's cache."""
    counts = dict.fromkeys(kinds, 0)
    for plane in planes:
        for kind in kinds:
            counts[kind] += int(np.count_nonzero(plane == kind.value))
    return counts
