"""The values that an analysis ends in. Totals are derived from counts, never stored beside them.

Axes and units are those of :mod:`.types`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .ctss import Severity
from .features.quantification import Densitometry, LobeScore, SliceRow
from .features.totals import Totals
from .segmentation.lobes.values import FissureFinding
from .segmentation.opacity.values import UncountedDensity
from .types import CtVolume, Opacity, QualityNote, Side, frozen_array

if TYPE_CHECKING:
    from .classification.diagnosis import PatientDiagnosis
    from .features.low_attenuation import LowAttenuation


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
