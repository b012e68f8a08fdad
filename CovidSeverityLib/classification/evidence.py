"""The reasons for a diagnosis: the slices that decided, and where the network looked in them (Grad-CAM)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.features.classification_image import CLASSIFICATION_IMAGES, classification_images
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.types import Progress

from .diagnosis import (
    ClassifierIdentity,
    ExplainingClassifier,
    PatientDiagnosis,
    SliceEvidence,
    diagnose,
    network_images,
)

DECIDING_SLICES = 4
"""Number of slices that a reader can see at a glance."""

DECIDING_DISTANCE_MM = 10.0
"""Smallest distance of deciding slices. Neighbouring slices would show the same place."""

DECIDING_DEFINITION = (
    "Of the slices that voted for the patient's label, those with the largest product of vote weight and probability; "
    f"at most {DECIDING_SLICES}, at least {DECIDING_DISTANCE_MM:g} mm apart"
)
"""The rule in words, for reports."""

EXPLANATION_STAGE = "explanation"
"""Name of this stage in progress calls."""


def classify_slices(
    volume: CtVolume,
    lung: NDArray[np.bool_],
    classifier: ExplainingClassifier,
    progress: Progress | None = None,
    batch: int = 8,
) -> PatientDiagnosis:
    """The patient's diagnosis, with the kind and size of image that the classifier was trained with; without evidence.

    The memory is that of the uint8 images of the slices that vote (at most 81) and of one batch of the network.

    Parameters
    ----------
    volume : CtVolume
        Chest CT. Its interpolated slices do not vote.
    lung : (K, J, I) ndarray of bool
    classifier : ExplainingClassifier
        The classifier.
    progress : Progress, optional
        Called with stage "classification" as slices are done.
    batch : int
        Number of slices per call of the classifier.

    Raises
    ------
    InputError, ValueError
        As :func:`~.diagnosis.diagnose`.
    """
    description = classifier.description
    found = diagnose(
        volume.hu,
        lung,
        classifier,
        CLASSIFICATION_IMAGES[description.image],
        batch,
        description.size_px,
        progress,
        volume.acquired,
    )
    return replace(found, classifier=identity_of(classifier))


def identity_of(classifier: ExplainingClassifier) -> ClassifierIdentity:
    """The identity of a classifier, with source and licence of its weights if it has attributes of these names."""
    known = {what: getattr(classifier, what, None) for what in ("source", "licence")}
    return ClassifierIdentity(classifier.name, classifier.sha256, classifier.description, **known)


def deciding_slices(diagnosis: PatientDiagnosis, slice_mm: float) -> tuple[int, ...]:
    """Slices of the CT that decided, the strongest first (:data:`DECIDING_DEFINITION`).

    Parameters
    ----------
    diagnosis : PatientDiagnosis
        Diagnosis of the patient; at least one slice voted for its label.
    slice_mm : float
        Spacing of the CT's slices.
    """
    label = diagnosis.label
    strength = diagnosis.slice_weights * diagnosis.probabilities[:, label].astype(np.float64)
    voted = [n for n, of_slice in enumerate(diagnosis.slice_labels) if of_slice == label]
    chosen: list[int] = []
    for n in sorted(voted, key=lambda n: (-strength[n], n)):
        index = diagnosis.slices[n]
        if all(abs(index - other) * slice_mm >= DECIDING_DISTANCE_MM for other in chosen):
            chosen.append(index)
    return tuple(chosen[:DECIDING_SLICES])


def with_evidence(
    diagnosis: PatientDiagnosis,
    volume: CtVolume,
    lung: NDArray[np.bool_],
    classifier: ExplainingClassifier,
    progress: Progress | None = None,
) -> PatientDiagnosis:
    """``diagnosis`` with its evidence: where the classifier looked in the slices that decided.

    Parameters
    ----------
    diagnosis : PatientDiagnosis
        Diagnosis of this CT by this classifier.
    volume, lung, classifier
        As for :func:`classify_slices`.
    progress : Progress, optional
        Called with stage "explanation".

    Raises
    ------
    InputError
        If the classifier's answer is not a map of 0 to 1.
    """
    slices = deciding_slices(diagnosis, volume.geometry.spacing_kji[0])
    if progress is not None:
        progress(EXPLANATION_STAGE, 0, len(slices))
    description = classifier.description
    images = classification_images(volume.hu, lung, CLASSIFICATION_IMAGES[description.image], slices)
    labels = [diagnosis.label] * len(slices)
    maps = np.asarray(classifier.explain(network_images(images, description.size_px), labels))
    if maps.ndim != 3 or len(maps) != len(slices) or not ((maps >= 0) & (maps <= 1)).all():
        raise InputError(
            f"the classifier {classifier.name} did not tell where it looked: {len(slices)} maps of 0 to 1 are needed"
        )
    if progress is not None:
        progress(EXPLANATION_STAGE, len(slices), len(slices))
    evidence = tuple(SliceEvidence(index, seen) for index, seen in zip(slices, maps, strict=True))
    return replace(diagnosis, evidence=evidence)
