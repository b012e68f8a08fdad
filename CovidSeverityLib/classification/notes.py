"""What the reader of a diagnosis should know about it."""

from __future__ import annotations

from collections.abc import Iterator

from CovidSeverityLib.features.config import NoteConfig
from CovidSeverityLib.types import Diagnosis, NoteSeverity, QualityNote

from .description import CLASS_NAMES
from .diagnosis import ClassifierIdentity, PatientDiagnosis
from .voting import even_label

CONTRADICTION = "diagnosis_contradicts_infection"
"""Code of the note that matters most: one of the two results is wrong."""


def classification_notes(diagnosis: PatientDiagnosis, config: NoteConfig = NoteConfig()) -> tuple[QualityNote, ...]:
    """Notes on a diagnosis for itself: its vote, its probabilities and its classifier.

    Parameters
    ----------
    diagnosis : PatientDiagnosis
        Of a patient.
    config : NoteConfig
        When a reader is warned.
    """
    return (
        *_vote_notes(diagnosis, config),
        *_classifier_notes(diagnosis.classifier),
        *_probability_notes(diagnosis, config),
    )


def contradiction_notes(
    diagnosis: PatientDiagnosis, infection_percent: float, published_mask: bool, config: NoteConfig = NoteConfig()
) -> tuple[QualityNote, ...]:
    """A warning where the diagnosis and the opacities contradict each other.

    Parameters
    ----------
    diagnosis : PatientDiagnosis
        Of a patient.
    infection_percent : float
        Opacities in per cent of both lungs.
    published_mask : bool
        Whether the published method marked the opacities.
    config : NoteConfig
        How much opacity contradicts a diagnosis.
    """
    clear = config.clear_involvement_published_percent if published_mask else config.clear_involvement_percent
    sick = diagnosis.label != Diagnosis.NORMAL
    if sick and infection_percent < config.little_involvement_percent:
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


def _vote_notes(diagnosis: PatientDiagnosis, config: NoteConfig) -> Iterator[QualityNote]:
    vote, label = diagnosis.vote, CLASS_NAMES[diagnosis.label]
    change = 100 * vote.smallest_change
    if change <= config.close_vote_percent:
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
    if len(diagnosis.slices) < config.few_slices:
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


def _probability_notes(diagnosis: PatientDiagnosis, config: NoteConfig) -> Iterator[QualityNote]:
    voted = [of_slice == diagnosis.label for of_slice in diagnosis.slice_labels]
    mean = float(diagnosis.probabilities[voted, diagnosis.label].mean())
    if mean < config.undecided_probability:
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
