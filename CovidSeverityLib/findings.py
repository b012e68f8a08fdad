"""What an analysis found. Totals are derived from counts, never stored beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .classification.diagnosis import PatientDiagnosis
from .ctss import CTSS_MAX, Severity
from .features.agreement import LobeAgreement
from .features.low_attenuation import LowAttenuation
from .features.quantification import Densitometry, LobeScore, SliceRow
from .features.totals import Totals
from .immutable import Value
from .io.volume import CtVolume
from .segmentation.lobes.values import FissureFinding
from .segmentation.opacity.values import UncountedDensity
from .types import Opacity, QualityNote, Side


@dataclass(frozen=True, repr=False)
class Provenance(Value):
    """How a result was made.

    Parameters
    ----------
    version : str
        Of the program.
    profile : str
        Name of the profile, or that it was changed, as in ``"custom (from default)"``.
    configuration : mapping of str to Any
        The whole configuration, and the numbers of the code that decide.
    seconds : mapping of str to float
        By stage.
    lungs_from, lobes_from : str
        The methods, or the files of masks.
    lobes_approximate : bool
        Whether single scores may be off for that reason.
    fissures : tuple of FissureFinding
        How they were found, where lobes were made from them.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis
    >>> made = Analysis.load("results").provenance
    >>> made.profile, sorted(made.seconds)
    ('default', ['infection', 'lobes', 'lungs', 'scores'])
    """

    version: str
    profile: str
    configuration: Mapping[str, Any]
    seconds: Mapping[str, float]
    lungs_from: str
    lobes_from: str
    lobes_approximate: bool
    fissures: tuple[FissureFinding, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Findings(Value, Totals):
    """What an analysis found: :class:`~CovidSeverityLib.analysis.Analysis` without its methods for users."""

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
    classification_reason: str = ""
    lobe_agreement: LobeAgreement | None = None

    def __post_init__(self) -> None:
        for name in ("lungs", "lobes", "infection"):
            array = getattr(self, name)
            if array.shape != self.volume.hu.shape:
                raise ValueError(f"{name} {array.shape} does not match volume {self.volume.hu.shape}")
        super().__post_init__()

    def __repr__(self) -> str:
        score = "no CTSS" if self.ctss is None else f"CTSS {self.ctss} of {CTSS_MAX}, {self.severity.label}"
        opacity = f"{self.infection_percent:.1f} % of {self.lung_ml:.0f} ml lung infected"
        return f"{type(self).__name__}({self.volume.name!r}, {score}, {opacity}, profile {self.provenance.profile})"

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel, ml."""
        return self.volume.geometry.voxel_ml

    @property
    def well_aerated_voxels(self) -> int:
        """Voxels of both lungs from -950 to -700 HU."""
        return self.densitometry.well_aerated_voxels


@dataclass(frozen=True, eq=False, repr=False)
class ClassifiedFindings(Value):
    """A diagnosis: :class:`~CovidSeverityLib.analysis.ClassifiedCt` without its methods for users."""

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
        super().__post_init__()

    def __repr__(self) -> str:
        found = self.diagnosis
        vote = f"{found.vote.weights[found.label]:.1f} of {found.vote.total:.1f} votes"
        return f"{type(self).__name__}({self.volume.name!r}, {found.label.name} by {vote})"

    @property
    def slice_lung_ml(self) -> tuple[float, ...]:
        """Lung in every slice of the volume, ml."""
        voxels = np.count_nonzero(self.lungs, axis=(1, 2))
        return tuple((voxels * self.volume.geometry.voxel_ml).tolist())

    @classmethod
    def of(cls, analysis: Findings) -> ClassifiedFindings:
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
