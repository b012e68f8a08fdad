"""The result: what an analysis found, with what its user does with it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .findings import ClassifiedFindings, Findings
from .io.volume import CtVolume
from .reporting.files import ReportPages
from .reporting.notebook import analysis_html, classified_html
from .reporting.saving import load_analysis, save_analysis
from .types import Progress


@dataclass(frozen=True, eq=False, repr=False)
class Analysis(Findings):
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
    lobe_agreement : LobeAgreement or None
        How the lobes agree with those of a second engine; None without one.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis, Lobe
    >>> result = Analysis.load("results")
    >>> result.ctss, result.severity.label, round(result.infection_percent, 1)
    (10, 'moderate', 8.5)
    >>> {score.lobe.name: score.score for score in result.lobe_scores}
    {'RUL': 2, 'RML': 2, 'RLL': 2, 'LUL': 2, 'LLL': 2}
    >>> result.infection.shape == result.volume.hu.shape
    True
    """

    def _repr_html_(self) -> str:
        """Score card and overview for notebooks."""
        return analysis_html(self)

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        with_ct: bool = True,
        html: bool = True,
        pdf: bool = False,
        title: str = "",
        language: str | None = None,
        progress: Progress | None = None,
    ) -> tuple[Path, ...]:
        """Write what ``covid-severity analyze`` writes, and ``analysis.npz``, which :meth:`load` reads.

        Files of an earlier run are replaced: all of them or, where a file cannot be written, none.

        Parameters
        ----------
        folder : str or path-like
            It is made where it is missing.
        with_ct : bool
            Whether ``analysis.npz`` holds the CT too. It is much smaller without, but then :meth:`load` needs the CT.
        html : bool
            Whether ``report.html`` is written.
        pdf : bool
            Whether ``report.pdf`` is written, with the same content. It needs the package ``reportlab``.
        title : str
            What the reports call the CT. By default they do not tell whose CT it is.
        language : str or None
            Code of the language of the reports, as in ``"de"``; None is English.
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
        InputError
            ``pdf`` needs ``reportlab``, which is not installed, or there is no translation to ``language``.

        Examples
        --------
        >>> from CovidSeverityLib import Analysis
        >>> result = Analysis.load("results")
        >>> sorted(path.name for path in result.save("copy"))[:3]
        ['analysis.npz', 'histogram.csv', 'lobes.csv']
        """
        pages = ReportPages(html=html, pdf=pdf, title=title, language=language)
        return save_analysis(self, Path(folder), with_ct=with_ct, pages=pages, progress=progress)

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
        Analysis('ct.nii.gz', CTSS 10 of 25, moderate, 8.5 % of 5321 ml lung infected, profile default)
        """
        return load_analysis(cls, Path(folder), ct)


@dataclass(frozen=True, eq=False, repr=False)
class ClassifiedCt(ClassifiedFindings):
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

    def _repr_html_(self) -> str:
        """The diagnosis and its page for notebooks."""
        return classified_html(self)
