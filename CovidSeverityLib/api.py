"""The one door of the library: every public name, and its two functions that take whatever a user has in hand.

``__all__`` is the public API. ``CovidSeverityLib`` gives the same names and loads this module when the first of them is
used, so that ``import CovidSeverityLib`` takes no time. ``docs/api.md`` describes them all.

The examples run in a folder with a synthetic chest, ``ct.nii.gz``, and what ``analyze("ct.nii.gz").save("results")``
writes. ``python docs/list_api.py FOLDER`` makes such a folder.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import SimpleITK as sitk

from . import pipeline
from .analysis import Analysis, ClassifiedCt
from .classification.description import NetworkDescription
from .classification.diagnosis import ExplainingClassifier, PatientDiagnosis
from .classification.loading import open_classifier
from .config import AnalysisConfig
from .ctss import Severity
from .errors import (
    CancelledError,
    ConfigurationError,
    CovidSeverityError,
    InputError,
    NoLungsError,
    NotComparableError,
    OutputError,
    PacsError,
)
from .features.quantification import LobeScore, SliceRow
from .findings import Findings, Provenance
from .io.dicomweb.receiving import read_ct_from_pacs
from .io.dicomweb.sending import send_to_pacs
from .io.masks import read_mask
from .io.reading import read_ct, read_ct_and_source
from .io.volume import CtVolume
from .segmentation.lobes.external_lobes import lobes_from_labels
from .segmentation.lobes.values import LobeSegmentation
from .segmentation.lungs.external_lungs import lungs_from_labels
from .segmentation.lungs.lung_segmentation import LungSegmentation
from .types import Diagnosis, Geometry, Lobe, NoteSeverity, Opacity, Progress, QualityNote, Side
from .version import __version__

if TYPE_CHECKING:
    from .followup.change import OpacityChange
    from .followup.comparison import Comparison
    from .followup.config import FollowUpConfig
    from .followup.examination import Examination
    from .followup.lobe_changes import Change, LobeChange
    from .segmentation.lungs.lung_segmentation import LungSegmenter

__all__ = [
    "Analysis",
    "AnalysisConfig",
    "CancelledError",
    "Change",
    "ClassifiedCt",
    "Comparison",
    "ConfigurationError",
    "CovidSeverityError",
    "CtVolume",
    "Diagnosis",
    "ExplainingClassifier",
    "FollowUpConfig",
    "Geometry",
    "InputError",
    "Lobe",
    "LobeChange",
    "LobeScore",
    "LobeSegmentation",
    "LungSegmentation",
    "NetworkDescription",
    "NoLungsError",
    "NotComparableError",
    "NoteSeverity",
    "Opacity",
    "OpacityChange",
    "OutputError",
    "PacsError",
    "PatientDiagnosis",
    "Provenance",
    "QualityNote",
    "Severity",
    "Side",
    "SliceRow",
    "__version__",
    "analyze",
    "classify",
    "compare",
    "lobes_from_labels",
    "lungs_from_labels",
    "open_classifier",
    "read_ct",
    "read_ct_from_pacs",
    "read_mask",
    "send_to_pacs",
]


FOLLOW_UP = {
    "Change": "lobe_changes",
    "Comparison": "comparison",
    "FollowUpConfig": "config",
    "LobeChange": "lobe_changes",
    "OpacityChange": "change",
}
"""Public names of a comparison and their modules, which an analysis does not load."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 (any public name)
    if name not in FOLLOW_UP:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".followup.{FOLLOW_UP[name]}", __package__), name)


def analyze(
    ct: CtVolume | sitk.Image | str | os.PathLike[str],
    config: AnalysisConfig | str | None = None,
    progress: Progress | None = None,
    *,
    lungs: LungSegmentation | LungSegmenter | None = None,
    lobes: LobeSegmentation | None = None,
    compared_lobes: LobeSegmentation | None = None,
    classifier: ExplainingClassifier | str | os.PathLike[str] | None = None,
    force: bool = False,
    independent_slices: bool = False,
) -> Analysis:
    """Analyse a chest CT: lungs, lobes, infection, CT severity score and, with a classifier, the diagnosis.

    Nothing is printed or written, and the network is not used. The same CT and configuration give the same bits,
    whatever the number of threads.

    Parameters
    ----------
    ct : CtVolume, SimpleITK.Image, str or path-like
        The CT, or the file or folder to read it from.
    config : AnalysisConfig, str or None
        A configuration, or a profile by its name, ``"default"`` or ``"reference"``. None is the default profile.
    progress : callable or None
        Called as ``progress(stage, done, total)``. It may raise to stop the analysis.
    lungs : LungSegmentation, callable or None
        Masks from elsewhere (:func:`lungs_from_labels`), or a function that finds them in a CtVolume. None finds them
        here.
    lobes : LobeSegmentation or None
        Masks from elsewhere (:func:`lobes_from_labels`). Without ``lungs`` the lungs are their union. None splits the
        lungs here.
    compared_lobes : LobeSegmentation or None
        Other lobes, for example of a network. The result tells how they agree, and the ranges of its scores cover both.
    classifier : ExplainingClassifier, str, path-like or None
        Tells COVID-19, community-acquired pneumonia and normal apart, or the name of an installed model or its file
        (:func:`open_classifier`). None leaves the diagnosis open. No other number depends on it.
    force : bool
        Interpolate missing slices, and analyse a CT that its own anatomy shows upside down, with a warning, instead of
        refusing them.
    independent_slices : bool
        The slices do not belong together (of several patients, say). Each is decided alone, and no lobe is known, so
        that there is no score. A single slice is always taken so.

    Returns
    -------
    Analysis
        Masks, scores, volumes and notes. ``result.volume.to_image(result.infection)`` is a mask as SimpleITK has it,
        on the grid of the input.

    Raises
    ------
    TypeError
        ``ct`` or ``config`` is of another type.
    NoLungsError
        The CT shows no lungs.
    InputError
        The CT cannot be read or is no chest CT in Hounsfield units, its body is wider or narrower than any, it is
        upside down and ``force`` is False, there is no such profile or classifier, or the classifier answers what are
        no probabilities.

    Examples
    --------
    >>> from CovidSeverityLib import analyze
    >>> result = analyze("ct.nii.gz")
    >>> result.ctss, result.ctss_range
    (10, (9, 10))
    >>> analyze("ct.nii.gz", "reference").provenance.profile
    'reference'
    """
    return pipeline.analyze(
        _volume(ct, force, progress),
        _configuration(config),
        progress,
        lungs=lungs,
        lobes=lobes,
        compared_lobes=compared_lobes,
        classifier=None if classifier is None else _opened(classifier),
        force=force,
        independent_slices=independent_slices,
    )


def classify(
    ct: CtVolume | sitk.Image | str | os.PathLike[str],
    classifier: ExplainingClassifier | str | os.PathLike[str],
    progress: Progress | None = None,
    *,
    lungs: LungSegmentation | LungSegmenter | None = None,
    force: bool = False,
) -> ClassifiedCt:
    """Tell COVID-19, community-acquired pneumonia and normal apart, without a severity.

    Parameters
    ----------
    ct : CtVolume, SimpleITK.Image, str or path-like
        The CT, or the file or folder to read it from.
    classifier : ExplainingClassifier, str or path-like
        As for :func:`analyze`.
    progress : callable or None
        Called as ``progress(stage, done, total)``. It may raise to stop.
    lungs : LungSegmentation, callable or None
        As for :func:`analyze`.
    force : bool
        As for :func:`analyze`.

    Returns
    -------
    ClassifiedCt

    Raises
    ------
    TypeError
        ``ct`` is of another type.
    NoLungsError
        The CT shows no lungs.
    InputError
        As for :func:`analyze`; or no slice around the middle of the scan shows lung.

    Examples
    --------
    Any object with these attributes classifies, such as this one, which finds every slice normal:

    >>> import numpy as np
    >>> from CovidSeverityLib import NetworkDescription, classify
    >>> class Optimist:
    ...     name, sha256, description = "optimist", 64 * "0", NetworkDescription()
    ...
    ...     def __call__(self, images):
    ...         return np.tile(np.float32([0.8, 0.1, 0.1]), (len(images), 1))
    ...
    ...     def explain(self, images, diagnoses):
    ...         return np.zeros((len(images), 4, 4), dtype=np.float32)
    >>> classify("ct.nii.gz", Optimist())
    ClassifiedCt('ct.nii.gz', NORMAL by 20.5 of 20.5 votes)
    """
    opened = _opened(classifier)
    return pipeline.classify(_volume(ct, force, progress), opened, progress, lungs=lungs, force=force)


def compare(
    before: Analysis | CtVolume | sitk.Image | str | os.PathLike[str],
    after: Analysis | CtVolume | sitk.Image | str | os.PathLike[str],
    config: FollowUpConfig | None = None,
    progress: Progress | None = None,
    *,
    analysis: AnalysisConfig | str | None = None,
    force: bool = False,
) -> Comparison:
    """Compare two chest CTs of one person: what is new, resolved and persistent, and how volumes and scores changed.

    The lungs are registered, by their surface and, where both CTs are at hand, by their structure. The same inputs and
    configurations give the same bits, whatever the number of threads.

    Parameters
    ----------
    before, after : Analysis, CtVolume, SimpleITK.Image, str or path-like
        The earlier and the later examination: a result, a folder with the results of ``analyze`` (its CT is at hand
        only if :meth:`Analysis.save` wrote it), or a CT, which is analysed.
    config : FollowUpConfig or None
        How they are compared. None is the default.
    progress : callable or None
        Called as ``progress(stage, done, total)``. It may raise to stop.
    analysis : AnalysisConfig, str or None
        How CTs are analysed, as for :func:`analyze`.
    force : bool
        Compare with a warning what is refused otherwise; for CTs as for :func:`analyze`.

    Returns
    -------
    Comparison
        Its :meth:`~Comparison.save` writes the files of ``covid-severity compare``.

    Raises
    ------
    TypeError
        An argument is of another type.
    NotComparableError
        The lungs cannot be registered, or DICOM says that they are of two persons.
    InputError
        As for :func:`analyze`; a folder of results is damaged; or the profiles differ.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis, compare
    >>> comparison = compare("results", Analysis.load("results"))
    >>> comparison.lungs.persistent_ml > 400, comparison.lungs.new_ml, comparison.lungs.resolved_ml
    (True, 0.0, 0.0)
    >>> [change.code for change in comparison.changes if change.opacity_percent.more_than_repeatability]
    []
    """
    from .followup.comparison import compare_examinations
    from .followup.config import FollowUpConfig

    how = config or FollowUpConfig()
    earlier, later = (_examination(ct, analysis, progress, force) for ct in (before, after))
    return compare_examinations(earlier, later, how, progress, force=force)


def _examination(
    given: object, config: AnalysisConfig | str | None, progress: Progress | None, force: bool
) -> Examination:
    from .followup.examination import Examination, PersonMark
    from .followup.finished import is_finished_result, read_finished_result

    if isinstance(given, Findings):
        return Examination.of(given)
    if not isinstance(given, str | os.PathLike):
        return Examination.of(analyze(_volume(given, force, progress), config, progress, force=force))
    path = Path(given)
    if path.is_dir() and is_finished_result(path):
        return read_finished_result(path)
    volume, images = read_ct_and_source(path, force=force, progress=progress)
    person = PersonMark() if images is None else PersonMark(images.patient_id, images.day)
    return Examination.of(analyze(volume, config, progress, force=force), person)


def _volume(ct: object, force: bool, progress: Progress | None) -> CtVolume:
    if isinstance(ct, CtVolume):
        return ct
    if isinstance(ct, sitk.Image):
        return CtVolume.from_image(ct)
    if isinstance(ct, str | os.PathLike):
        return read_ct(ct, force=force, progress=progress)
    hint = "; CtVolume.from_array(hu, spacing_mm=...) makes one of an array" if hasattr(ct, "__array__") else ""
    raise TypeError(f"the CT is of type {type(ct).__name__}; a path, a SimpleITK.Image or a CtVolume is needed{hint}")


def _configuration(config: object) -> AnalysisConfig | None:
    if config is None or isinstance(config, AnalysisConfig):
        return config
    if isinstance(config, str):
        return AnalysisConfig.for_profile(config)
    raise TypeError(f"config is of type {type(config).__name__}; an AnalysisConfig or the name of a profile is needed")


def _opened(classifier: ExplainingClassifier | str | os.PathLike[str]) -> ExplainingClassifier:
    return open_classifier(classifier) if isinstance(classifier, str | os.PathLike) else classifier
