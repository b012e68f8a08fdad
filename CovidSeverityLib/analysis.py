"""The values that an analysis ends in. Totals are derived from counts, never stored beside them.

Axes and units are those of :mod:`.types`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .classification.diagnosis import PatientDiagnosis
from .ctss import CTSS_MAX, Severity
from .features.low_attenuation import LowAttenuation
from .features.quantification import Densitometry, LobeScore, SliceRow
from .features.totals import Totals
from .immutable import Value
from .segmentation.lobes.values import FissureFinding
from .segmentation.opacity.values import UncountedDensity
from .types import CtVolume, Opacity, Progress, QualityNote, Side


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
class Analysis(Value, Totals):
    """Everything that one analysis found: masks, and the counts that every number follows from.

    It cannot be changed. It can be pickled and copied, and two are equal if all that they hold is equal.

    Parameters
    ----------
    volume : CtVolume
        The CT.
    lungs, lobes, infection : (K, J, I) ndarray of uint8
        Labels of :class:`Side`, :class:`Lobe` and :class:`Opacity` on the grid of ``volume``.
    side_voxels : mapping of Side to int
        Voxels of each lung.
    opacity_voxels : mapping of Opacity to int
        Voxels of each kind of opacity inside the lungs.
    lobe_scores : tuple of LobeScore
        What was found in each lobe.
    slices : tuple of SliceRow
        What was found in each axial slice, inferior to superior.
    severity : Severity
        The word for the score.
    ctss_definition : str
        How the score is defined.
    densitometry : Densitometry
        Counts by Hounsfield units.
    low_attenuation : LowAttenuation
        Emphysema index. No score depends on it.
    provenance : Provenance
        How all of this was made.
    quality : tuple of QualityNote
        What the reader should know.
    ctss_max_variant : int or None
        The score by the maximum over slices, in the reference profile.
    ctss_range : tuple of two int, or None
        Lowest and highest score within the uncertainty; None where the profile does not know it.
    uncounted : UncountedDensity or None
        What is dense and no opacity; None where the profile does not know it.
    classification : PatientDiagnosis or None
        What a classifier says; None for the reason in ``classification_reason``.
    classification_reason : str
        Why there is no diagnosis.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis, Lobe
    >>> result = Analysis.load("results")
    >>> result.ctss, result.severity.label, round(result.infection_percent, 1)
    (9, 'moderate', 8.5)
    >>> {score.lobe.name: score.score for score in result.lobe_scores}
    {'RUL': 2, 'RML': 1, 'RLL': 2, 'LUL': 2, 'LLL': 2}
    >>> result.infection.shape == result.volume.hu.shape
    True
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
    classification_reason: str = ""

    def __post_init__(self) -> None:
        for name in ("lungs", "lobes", "infection"):
            array = getattr(self, name)
            if array.shape != self.volume.hu.shape:
                raise ValueError(f"{name} {array.shape} does not match volume {self.volume.hu.shape}")
        super().__post_init__()

    def __repr__(self) -> str:
        score = "no CTSS" if self.ctss is None else f"CTSS {self.ctss} of {CTSS_MAX}, {self.severity.label}"
        opacity = f"{self.infection_percent:.1f} % of {self.lung_ml:.0f} ml lung infected"
        return f"Analysis({self.volume.name!r}, {score}, {opacity}, profile {self.provenance.profile})"

    def _repr_html_(self) -> str:
        """Score card and overview for notebooks."""
        from .reporting.notebook import analysis_html

        return analysis_html(self)

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel, ml."""
        return self.volume.geometry.voxel_ml

    @property
    def well_aerated_voxels(self) -> int:
        """Voxels of both lungs from -950 to -700 HU."""
        return self.densitometry.well_aerated_voxels

    def save(
        self, folder: str | os.PathLike[str], *, with_ct: bool = True, progress: Progress | None = None
    ) -> tuple[Path, ...]:
        """Write what ``covid-severity analyze`` writes, and ``analysis.npz``, which :meth:`load` reads.

        Files of an earlier run are replaced: all of them or, where a file cannot be written, none.

        Parameters
        ----------
        folder : str or path-like
            It is made where it is missing.
        with_ct : bool
            Whether ``analysis.npz`` holds the CT too. It is much smaller without, but then :meth:`load` needs the CT.
        progress : callable or None
            Called as ``progress("write", done, total)``.

        Returns
        -------
        tuple of Path
            The files that were written.

        Raises
        ------
        OutputError
            A file cannot be written.

        Examples
        --------
        >>> from CovidSeverityLib import Analysis
        >>> result = Analysis.load("results")
        >>> sorted(path.name for path in result.save("copy"))[:3]
        ['analysis.npz', 'histogram.csv', 'lobes.csv']
        """
        from .reporting.saving import save_analysis

        return save_analysis(self, Path(folder), with_ct=with_ct, progress=progress)

    @classmethod
    def load(cls, folder: str | os.PathLike[str], ct: CtVolume | None = None) -> Analysis:
        """Read what :meth:`save` wrote: a value equal to the one that was saved.

        Parameters
        ----------
        folder : str or path-like
            Of :meth:`save`.
        ct : CtVolume or None
            The CT that was analysed, needed where it was saved with ``with_ct=False``.

        Returns
        -------
        Analysis

        Raises
        ------
        InputError
            The folder holds no ``analysis.npz``, it is damaged or of another version, or the CT is missing or another.

        Examples
        --------
        >>> from CovidSeverityLib import Analysis
        >>> Analysis.load("results")
        Analysis('ct.nii.gz', CTSS 9 of 25, moderate, 8.5 % of 5321 ml lung infected, profile default)
        """
        from .reporting.saving import load_analysis

        return load_analysis(Path(folder), ct)


@dataclass(frozen=True, eq=False, repr=False)
class ClassifiedCt(Value):
    """A diagnosis with what it was made from, without a severity.

    Parameters
    ----------
    volume : CtVolume
        The CT.
    lungs : (K, J, I) ndarray of uint8
        Labels of :class:`Side`.
    diagnosis : PatientDiagnosis
        Of the patient.
    lungs_from : str
        What found the lungs.
    version : str
        Of the program.
    seconds : mapping of str to float
        By stage.
    quality : tuple of QualityNote
        What the reader should know.
    infection : (K, J, I) ndarray of uint8, or None
        Labels of :class:`Opacity` where they were marked, to be drawn.

    Examples
    --------
    See :func:`~CovidSeverityLib.classify`, which returns one.

    >>> from CovidSeverityLib import Analysis, ClassifiedCt
    >>> ClassifiedCt.of(Analysis.load("results"))
    Traceback (most recent call last):
    ...
    ValueError: the analysis holds no diagnosis
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
        super().__post_init__()

    def __repr__(self) -> str:
        found = self.diagnosis
        vote = f"{found.vote.weights[found.label]:.1f} of {found.vote.total:.1f} votes"
        return f"ClassifiedCt({self.volume.name!r}, {found.label.name} by {vote})"

    def _repr_html_(self) -> str:
        """The diagnosis and its page for notebooks."""
        from .reporting.notebook import classified_html

        return classified_html(self)

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
