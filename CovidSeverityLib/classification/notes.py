"""What the reader of a diagnosis should be told about it."""

from __future__ import annotations

from collections.abc import Iterator

from CovidSeverityLib.features.quality import LITTLE_INVOLVEMENT_PERCENT
from CovidSeverityLib.types import Diagnosis, NoteSeverity, QualityNote

from .description import CLASS_NAMES
from .diagnosis import ClassifierIdentity, PatientDiagnosis
from .voting import even_label

CONTRADICTION = "diagnosis_contradicts_infection"
"""Code of the note that matters most: one of the two results is wrong."""

CLOSE_VOTE_PERCENT = 10.0
"""A vote is close if another label needs no more of its weight than this to go over. Neighbouring slices look alike: an
opacity that is seen or missed moves several of them at once."""

FEW_SLICES = 20
"""With fewer slices than this each is a twentieth of the vote or more; of published scans 51 to 81 were classified."""

UNDECIDED_PROBABILITY = 0.5
"""Under this the other two together are more probable. Slices vote all the same: a vote can be unanimous by a hair."""

CLEAR_INVOLVEMENT_PERCENT = 1.0
"""More marked lung than this is not found in healthy lungs (at most 0.23 %, one scan and eight phantoms)."""

CLEAR_INVOLVEMENT_PUBLISHED_PERCENT = 5.0
"""The same of the published mask, which marked 4.05 % of a healthy scan."""


def classification_notes(diagnosis: PatientDiagnosis) -> tuple[QualityNote, ...]:
    """Notes on a diagnosis for itself: its vote, its probabilities and its classifier.

    Parameters
    ----------
    diagnosis : of a patient.
    """
    return (*_vote_notes(diagnosis), *_classifier_notes(diagnosis.classifier), *_probability_notes(diagnosis))


def contradiction_notes(
    diagnosis: PatientDiagnosis, infection_percent: float, published_mask: bool
) -> tuple[QualityNote, ...]:
    """A warning where the diagnosis and the marked infection contradict each other.

    Parameters
    ----------
    diagnosis : of a patient.
    infection_percent : infected part of both lungs.
    published_mask : whether the published method marked the infection.
    """
    clear = CLEAR_INVOLVEMENT_PUBLISHED_PERCENT if published_mask else CLEAR_INVOLVEMENT_PERCENT
    sick = diagnosis.label != Diagnosis.NORMAL
    if sick and infection_percent < LITTLE_INVOLVEMENT_PERCENT:
        marked = f"only {infection_percent:.2f} %" if infection_percent else "nothing"
    elif not sick and infection_percent > clear:
        marked = f"{infection_percent:.1f} %"
    else:
        return ()
    return (
        _warning(
            CONTRADICTION,
            f"Diagnosis and severity contradict each other: the network says {CLASS_NAMES[diagnosis.label]}, and "
            f"{marked} of the lungs is marked as infected. One of them is wrong; look at the slices.",
        ),
    )


def _vote_notes(diagnosis: PatientDiagnosis) -> Iterator[QualityNote]:
    vote, label = diagnosis.vote, CLASS_NAMES[diagnosis.label]
    change = 100 * vote.smallest_change
    if change <= CLOSE_VOTE_PERCENT:
        yield _warning(
            "vote_close",
            f"The vote is close: with {change:.1f} % of its weight elsewhere the diagnosis would not be {label}.",
        )
    if even_label(diagnosis.slice_labels) == Diagnosis.NORMAL != diagnosis.label:
        yield _warning(
            "vote_leans",
            f"The diagnosis is {label} because the published vote leans to infection: if all diagnoses counted alike "
            "and the heaviest won, it would be normal.",
        )
    if len(diagnosis.slices) < FEW_SLICES:
        few = len(diagnosis.slices)
        yield _warning("slices_few", f"Only {few} slice{'s' * (few != 1)} voted; each of them counts much.")


def _classifier_notes(classifier: ClassifierIdentity | None) -> Iterator[QualityNote]:
    if classifier is None:
        return
    if classifier.source is None or classifier.licence is None:
        what = {(True, True): "source and licence", (True, False): "source", (False, True): "licence"}
        missing = what[classifier.source is None, classifier.licence is None]
        known = "are" if " and " in missing else "is"
        severity = NoteSeverity.WARNING if classifier.source is None else NoteSeverity.INFO
        yield QualityNote(
            "classifier_unknown",
            severity,
            f"{missing.capitalize()} of the classifier's weights ({classifier.name}) {known} not known: how well they "
            "diagnose, and whom, has to be known from elsewhere.",
        )
    if classifier.description.image != "as-published":
        yield QualityNote(
            "classifier_image",
            NoteSeverity.INFO,
            f"The network was trained with other images than the published one, and is given such: "
            f"{classifier.description.image.replace('-', ' ')}.",
        )


def _probability_notes(diagnosis: PatientDiagnosis) -> Iterator[QualityNote]:
    voted = [of_slice == diagnosis.label for of_slice in diagnosis.slice_labels]
    mean = float(diagnosis.probabilities[voted, diagnosis.label].mean())
    if mean < UNDECIDED_PROBABILITY:
        label = CLASS_NAMES[diagnosis.label]
        yield _warning(
            "network_undecided",
            f"The network is undecided: in the slices that voted {label}, its probability of {label} is {mean:.2f} on "
            "average.",
        )
    likeliest = Diagnosis(int(diagnosis.mean_probabilities.argmax()))
    if likeliest != diagnosis.label:
        yield _warning(
            "diagnosis_not_most_probable",
            f"The vote says {CLASS_NAMES[diagnosis.label]}, but the largest mean probability is that of "
            f"{CLASS_NAMES[likeliest]} ({diagnosis.mean_probabilities[likeliest]:.2f}).",
        )
    yield QualityNote(
        "probabilities_uncalibrated",
        NoteSeverity.INFO,
        "Probabilities of the diagnoses are the network's own, not calibrated: no patient's chance of a disease. It "
        "knows normal, community-acquired pneumonia and COVID-19, and calls any other disease one of these.",
    )


def _warning(code: str, message: str) -> QualityNote:
    return QualityNote(code, NoteSeverity.WARNING, message)
