"""Two examinations compared."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError, NotComparableError
from CovidSeverityLib.morphology.grid import bounding_box
from CovidSeverityLib.stage_clock import StageClock
from CovidSeverityLib.types import Box, NoteSeverity, Progress, QualityNote
from CovidSeverityLib.version import __version__

from .change import Margins, denser_by, opacity_changes
from .compared import Compared
from .config import FollowUpConfig
from .examination import Examination
from .files import save_comparison
from .lobe_changes import lobe_changes
from .registration import STAGE, Registration, register
from .registration_quality import RegistrationQuality, registration_quality

CHANGES_STAGE = "changes"
"""Name of the stage that labels changes."""


CUT_NOTES = ("lungs_cut_lower", "lungs_cut_upper")
"""Codes of the notes that the volume ends within the lungs."""

COARSE_NOTES = ("pixels_coarse", "slices_thick")
"""Codes of the notes that pixels are wide or slices thick."""


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Compared):
    """What changed between two examinations of one person.

    Parameters
    ----------
    before, after : Examination
        The earlier and the later one.
    registration : Registration
        From later to earlier points.
    registration_quality : RegistrationQuality
        How well the lungs agree.
    labels : (K, J, I) ndarray of uint8
        Labels of :class:`OpacityChange` on the grid of ``after``.
    changes : tuple of LobeChange
        Of every lobe, and of both lungs at the end.
    margins : Margins
        What thinner is no change.
    days : int or None
        Between both; None where it is not known.
    quality : tuple of QualityNote
        What the reader should know.
    version : str
        Of the program.
    configuration : mapping
        The whole of it.
    seconds : mapping of str to float
        By stage.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis, compare
    >>> result = Analysis.load("results")
    >>> compare(result, result)
    Comparison('ct.nii.gz' and 'ct.nii.gz', CTSS 10 to 10, new 0 ml, resolved 0 ml, persistent 454 ml)
    """

    def save(self, folder: str | os.PathLike[str], progress: Progress | None = None) -> tuple[Path, ...]:
        """Write what ``covid-severity compare`` writes: all files or none.

        Parameters
        ----------
        folder : str or path-like
            It is made where it is missing.
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
        >>> from CovidSeverityLib import Analysis, compare
        >>> result = Analysis.load("results")
        >>> sorted(path.name for path in compare(result, result).save("followup"))
        ['changes.seg.nrrd', 'comparison.json', 'comparison.png', 'lobe_changes.csv']
        """
        return save_comparison(self, Path(folder), progress)


def compare_examinations(
    before: Examination,
    after: Examination,
    config: FollowUpConfig = FollowUpConfig(),
    progress: Progress | None = None,
    *,
    force: bool = False,
) -> Comparison:
    """Compare two examinations of one person.

    Parameters
    ----------
    before, after : Examination
        The earlier and the later one.
    config : FollowUpConfig
        How.
    progress : callable or None
        Called as ``progress(stage, done, total)``.
    force : bool
        Compare with a warning what would be refused.

    Raises
    ------
    NotComparableError
        The lungs cannot be registered, or DICOM says that they are of two persons.
    InputError
        A profile differs, or an examination has no lobes.
    """
    notes = list(_admitted(before, after, force))
    clock = StageClock(progress)
    with clock.stage(STAGE, reports_itself=True):
        registration, earlier, later = register(before, after, config.registration, progress)
        box = bounding_box((after.lungs > 0) | (after.infection > 0))
        lungs, opacity = registration.carried((before.lungs > 0, before.opacity), before.geometry, after.geometry, box)
        quality = registration_quality(registration, earlier, later, lungs, after.lungs[box] > 0)
        notes += _judged(before, after, quality, config, force)
    with clock.stage(CHANGES_STAGE):
        slice_mm = max(max(e.geometry.spacing_mm) for e in (before, after))
        margins = Margins.of(config.change, slice_mm, by_structure=registration.by_structure)
        labels = _labels(before, after, opacity, registration, quality, box, margins)
        changes = lobe_changes(before, after, labels, config.repeatability)
    return Comparison(
        before=before,
        after=after,
        registration=registration,
        registration_quality=quality,
        labels=labels,
        changes=changes,
        margins=margins,
        days=_days(before, after),
        quality=(*notes, *_notes(before, after, registration)),
        version=__version__,
        configuration=config.as_dict(),
        seconds=clock.seconds,
    )


def _labels(
    before: Examination,
    after: Examination,
    carried: NDArray[np.bool_],
    registration: Registration,
    quality: RegistrationQuality,
    box: Box,
    margins: Margins,
) -> NDArray[np.uint8]:
    """The changes on the whole later grid."""
    labels = np.zeros(after.lungs.shape, dtype=np.uint8)
    denser = None
    if before.hu is not None and after.hu is not None:
        earlier_hu = registration.carried_hu(before.hu, before.lungs > 0, before.geometry, after.geometry, box)
        denser = denser_by(earlier_hu, after.hu[box], quality.volume_ratio)
    lung, later = after.lungs[box] > 0, after.opacity[box]
    labels[box] = opacity_changes(carried, later, lung, after.geometry.spacing_kji, margins, denser)
    return labels


def _admitted(before: Examination, after: Examination, force: bool) -> Iterator[QualityNote]:
    """Notes on what may be wrong with the pair; what cannot be compared at all is refused."""
    for which, examination in (("BEFORE", before), ("AFTER", after)):
        if examination.ctss is None:
            raise NotComparableError(
                f"{which} ({examination.name}) has no lobes, because its slices were analysed one by one; a comparison "
                "needs a whole chest"
            )
    if before.profile != after.profile:
        raise InputError(
            f"BEFORE was analysed with the profile {before.profile}, AFTER with {after.profile}; both need the same"
        )
    persons = before.person.patient, after.person.patient
    if all(persons) and persons[0] != persons[1]:
        reason = "the patient IDs in the DICOM headers of BEFORE and AFTER differ"
        if not force:
            raise NotComparableError(f"{reason}; --force compares them all the same")
        yield _warning("other_patient", f"{reason[0].upper()}{reason[1:]}: they may be of two persons.")
    days = _days(before, after)
    if days is not None and days < 0:
        yield _warning("order_of_dates", f"AFTER was acquired {-days} days before BEFORE: new means resolved.")


def _judged(
    before: Examination, after: Examination, quality: RegistrationQuality, config: FollowUpConfig, force: bool
) -> tuple[QualityNote, ...]:
    failures = quality.failures(config.quality)
    if _is_cut(before) or _is_cut(after):
        failures = (*failures, *_cut_failures(quality, config))
    if not failures:
        return quality.notes(config.quality)
    reasons = "; ".join(failures)
    if not force:
        raise NotComparableError(
            f"BEFORE and AFTER cannot be compared: {reasons}. They may be of two persons, or one may not show the "
            "whole lungs; --force compares them all the same"
        )
    return (_warning("registration_failed", f"The registration failed: {reasons}. New and resolved mean nothing."),)


def _cut_failures(quality: RegistrationQuality, config: FollowUpConfig) -> Iterator[str]:
    """Lungs that are cut off are warped onto whole ones; only their vessels tell."""
    if quality.correlation is None:
        yield "one does not show the whole lungs, and without both CTs their surface cannot be matched"
    elif quality.correlation < config.quality.doubtful_correlation:
        found = f"{quality.correlation:.2f} ({config.quality.doubtful_correlation:g} needed)"
        yield f"one does not show the whole lungs, and their vessels correlate with {found}"


def _notes(before: Examination, after: Examination, registration: Registration) -> Iterator[QualityNote]:
    if before.version != after.version:
        versions = f"{before.version} and {after.version}"
        yield _warning("versions_differ", f"Versions {versions} of the program analysed the CTs: analyse both again.")
    elif before.configuration != after.configuration:
        yield _warning("configurations_differ", "The CTs were analysed with different configurations.")
    for which, examination in (("BEFORE", before), ("AFTER", after)):
        if _is_cut(examination):
            yield _warning(
                "lungs_cut", f"{which} does not show the whole lungs; volumes and scores differ by that too."
            )
    if any(note.code in COARSE_NOTES for e in (before, after) for note in e.quality):
        message = (
            "Pixels or slices are coarser than those in which repeatability was measured: unchanged lungs differ more."
        )
        yield _warning("repeatability_unknown", message)
    if not registration.by_structure:
        message = (
            "Not both CTs were at hand, so that the lungs were registered by their surface alone: a point inside is "
            "off by up to 7 mm, and it was not checked by the vessels that both are of one person."
        )
        yield QualityNote("surface_only", NoteSeverity.INFO, message)


def _is_cut(examination: Examination) -> bool:
    """Whether the volume ends above or below within the lungs."""
    return any(note.code in CUT_NOTES for note in examination.quality)


def _warning(code: str, message: str) -> QualityNote:
    return QualityNote(code, NoteSeverity.WARNING, message)


def _days(before: Examination, after: Examination) -> int | None:
    """From the earlier to the later day, where both are known."""
    try:
        first, second = (datetime.strptime(e.person.day, "%Y%m%d") for e in (before, after))
    except ValueError:
        return None
    return (second - first).days
