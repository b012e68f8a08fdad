"""The values that an analysis ends in. Totals are derived from counts, never stored beside them.

Axes and units are those of :mod:`.types`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .types import CtVolume, Lobe, Opacity, QualityNote, Side, frozen_array

if TYPE_CHECKING:
    from .classification.diagnosis import PatientDiagnosis
    from .features.low_attenuation import LowAttenuation


@dataclass(frozen=True, eq=False)
class MixtureFit:
    """A three-component Gaussian mixture of Hounsfield units, components by ascending mean."""

    means_hu: tuple[float, ...]
    sds_hu: tuple[float, ...]
    weights: tuple[float, ...]
    log_likelihood: float
    iterations: int
    converged: bool


@dataclass(frozen=True)
class FissureFinding:
    """How a fissure between two lobes was found.

    Parameters
    ----------
    name : "right oblique", "right horizontal" or "left oblique".
    seen_percent : part of its area that the image shows; the rest is an atlas's.
    expected_mm : expected mean distance to the true fissure, mm.
    """

    name: str
    seen_percent: float
    expected_mm: float


@dataclass(frozen=True)
class LobeScore:
    """What was found in one lobe: ``score`` 0-5 (CTSS) and ``total_severity_score`` 0-4 (TSS, Chung 2020).

    ``confidence`` is the lobe's expected Dice coefficient with the true one, 0 to 1; None where it is not known. The
    ranges hold lowest and highest value with thresholds and fissures moved by their uncertainty; None where they were
    not looked for.
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
        """Volume of the infected part, ml."""
        return self.infected_voxels * self.voxel_ml

    @property
    def involvement_percent(self) -> float:
        """Infected part of the lobe, per cent of its volume (0 for an absent lobe)."""
        return 100.0 * self.infected_voxels / self.voxels if self.voxels else 0.0


@dataclass(frozen=True)
class SliceRow:
    """What was found in one axial slice. ``lobe_*`` run over :class:`Lobe` in its order."""

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
        """Infected part of the lung in this slice, per cent (0 where there is no lung)."""
        return 100.0 * self.infected_voxels / self.lung_voxels if self.lung_voxels else 0.0

    def lobe_infection_percent(self, lobe: Lobe) -> float:
        """Infected part of ``lobe`` in this slice, per cent (0 where there is none of it)."""
        voxels = self.lobe_voxels[lobe - 1]
        return 100.0 * self.lobe_infected_voxels[lobe - 1] / voxels if voxels else 0.0


@dataclass(frozen=True)
class Severity:
    """A word for the total score, with the cut-offs that chose it and where they come from."""

    label: str
    cutoffs: str
    source: str


@dataclass(frozen=True)
class UncountedDensity:
    """Lung that is denser than aerated lung where it bears no weight, and not counted as infected, by reason.

    Parameters
    ----------
    borders_ml : voxels of lung and tissue in parts, at the edge of the lung.
    vessels_ml : vessels with their blur.
    dependent_ml : as dense as aerated lung is at the same height of the chest: gravity explains it.
    small_ml : too small or too thin for an opacity.
    dependent_opacity_ml : of what *is* counted, the part right under the dependent pleura, where lung may be airless by
        gravity alone; None where the CT does not tell which side was down.
    """

    borders_ml: float
    vessels_ml: float
    dependent_ml: float
    small_ml: float
    dependent_opacity_ml: float | None


@dataclass(frozen=True, eq=False)
class Densitometry:
    """Counts over both lungs, by Hounsfield units.

    ``histogram[n]`` counts lung voxels of ``first_hu + n`` HU; ``mixture`` is fitted to that histogram to describe it,
    and no infection is marked by it.
    """

    first_hu: int
    histogram: NDArray[np.int64]
    well_aerated_voxels: int
    mixture: MixtureFit | None


@dataclass(frozen=True)
class Provenance:
    """How a result was made."""

    version: str
    profile: str
    configuration: Mapping[str, Any]
    seconds: Mapping[str, float]
    lungs_from: str
    lobes_from: str
    lobes_approximate: bool
    fissures: tuple[FissureFinding, ...] = ()


def ctss_of(lobe_scores: Iterable[LobeScore]) -> int | None:
    """The sum of the lobes' scores; None where no lobe has a volume, so that none is known."""
    known = [s.score for s in lobe_scores if s.voxels]
    return sum(known) if known else None


class Totals:
    """What follows from counts, for any class that has them; ``well_aerated_voxels`` may be None: not known."""

    voxel_ml: float
    side_voxels: Mapping[Side, int]
    opacity_voxels: Mapping[Opacity, int]
    lobe_scores: tuple[LobeScore, ...]
    well_aerated_voxels: int | None

    @property
    def ctss(self) -> int | None:
        """CT severity score, 0-25: the sum over the lobes; None where no lobe is known."""
        return ctss_of(self.lobe_scores)

    @property
    def total_severity_score(self) -> int | None:
        """Total severity score (TSS), 0-20: the sum over the lobes of the 0-4 score; None where no lobe is known."""
        return None if self.ctss is None else sum(s.total_severity_score for s in self.lobe_scores)

    @property
    def lung_voxels(self) -> int:
        """Voxels of both lungs."""
        return sum(self.side_voxels.values())

    def side_ml(self, side: Side) -> float:
        """Volume of one lung, ml."""
        return self.side_voxels[side] * self.voxel_ml

    @property
    def lung_ml(self) -> float:
        """Volume of both lungs, ml."""
        return self.lung_voxels * self.voxel_ml

    def opacity_ml(self, opacity: Opacity) -> float:
        """Volume of one kind of opacity inside the lungs, ml."""
        return self.opacity_voxels[opacity] * self.voxel_ml

    @property
    def infection_percent(self) -> float:
        """Percentage of opacity (PO): infected part of both lungs."""
        return self._percent_of_lung(sum(self.opacity_voxels.values()))

    @property
    def high_opacity_percent(self) -> float:
        """Percentage of high opacity (PHO): infected lung above -200 HU, per cent of both lungs."""
        return self._percent_of_lung(self.opacity_voxels[Opacity.CONSOLIDATION])

    @property
    def well_aerated_percent(self) -> float | None:
        """Well-aerated part of both lungs (-950 to -700 HU), per cent; None where it is not known."""
        return None if self.well_aerated_voxels is None else self._percent_of_lung(self.well_aerated_voxels)

    def _percent_of_lung(self, voxels: int) -> float:
        """0 where there is no lung."""
        return 100.0 * voxels / self.lung_voxels if self.lung_voxels else 0.0


@dataclass(frozen=True, eq=False)
class Analysis(Totals):
    """Everything that one analysis found: masks, and the counts that every number follows from.

    ``lungs``, ``lobes`` and ``infection`` are (K, J, I) uint8 label arrays of :class:`Side`, :class:`Lobe` and
    :class:`Opacity` on the grid of ``volume``. Totals are derived, never stored twice. ``ctss_range`` and ``uncounted``
    are None where the profile does not know them; ``classification`` is None for the reason in
    ``classification_reason``. No score depends on ``low_attenuation``.
    """

    volume: CtVolume
    lungs: NDArray[np.uint8]
    lobes: NDArray[np.uint8]
    infection: NDArray[np.uint8]
    side_voxels: Mapping[Side, int]
    opacity_voxels: Mapping[Opacity, int]
    lobe_scores: tuple[LobeScore, ...]
    slices: tuple[SliceRow, ...]
    severity: Severity
    ctss_definition: str
    densitometry: Densitometry
    low_attenuation: LowAttenuation
    provenance: Provenance
    quality: tuple[QualityNote, ...] = ()
    ctss_max_variant: int | None = None
    ctss_range: tuple[int, int] | None = None
    uncounted: UncountedDensity | None = None
    classification: PatientDiagnosis | None = None
    classification_reason: str = field(default="")

    def __post_init__(self) -> None:
        for name in ("lungs", "lobes", "infection"):
            array = getattr(self, name)
            if array.shape != self.volume.hu.shape:
                raise ValueError(f"{name} {array.shape} does not match volume {self.volume.hu.shape}")
            object.__setattr__(self, name, frozen_array(array))

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel, ml."""
        return self.volume.geometry.voxel_ml

    @property
    def well_aerated_voxels(self) -> int:
        """Voxels of both lungs from -950 to -700 HU."""
        return self.densitometry.well_aerated_voxels


@dataclass(frozen=True, eq=False)
class ClassifiedCt:
    """A diagnosis with what it was made from, without a severity.

    Parameters
    ----------
    volume : the CT.
    lungs : (K, J, I) uint8 labels of :class:`Side`.
    diagnosis : of the patient.
    lungs_from : what found the lungs.
    version : of the program.
    seconds : by stage.
    quality : what the reader should know.
    infection : (K, J, I) uint8 labels of :class:`Opacity` where they were marked, to be drawn.
    """

    volume: CtVolume
    lungs: NDArray[np.uint8]
    diagnosis: PatientDiagnosis
    lungs_from: str
    version: str
    seconds: Mapping[str, float]
    quality: tuple[QualityNote, ...] = ()
    infection: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if self.lungs.shape != self.volume.hu.shape:
            raise ValueError(f"lungs {self.lungs.shape} does not match volume {self.volume.hu.shape}")
        object.__setattr__(self, "lungs", frozen_array(self.lungs))

    @property
    def slice_lung_ml(self) -> tuple[float, ...]:
        """Lung in every slice of the volume, ml."""
        voxels = np.count_nonzero(self.lungs, axis=(1, 2))
        return tuple((voxels * self.volume.geometry.voxel_ml).tolist())

    @classmethod
    def of(cls, analysis: Analysis) -> ClassifiedCt:
        """The diagnosis of an analysis.

        Raises
        ------
        ValueError
            If it has none.
        """
        if analysis.classification is None:
            raise ValueError("the analysis holds no diagnosis")
        return cls(
            volume=analysis.volume,
            lungs=analysis.lungs,
            diagnosis=analysis.classification,
            lungs_from=analysis.provenance.lungs_from,
            version=analysis.provenance.version,
            seconds=analysis.provenance.seconds,
            quality=analysis.quality,
            infection=analysis.infection,
        )
