"""Why a patient got a diagnosis: the slices that decided, and where the network looked in them (Grad-CAM)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.features.classification_image import CLASSIFICATION_IMAGES, classification_images
from CovidSeverityLib.types import CtVolume, Progress

from .diagnosis import (
    ClassifierIdentity,
    ExplainingClassifier,
    PatientDiagnosis,
    SliceEvidence,
    diagnose,
    network_images,
)

DECIDING_SLICES = 4
"""As many as a reader takes in at a glance."""

DECIDING_DISTANCE_MM = 10.0
"""Deciding slices are at least this far apart, so that they show different places: a slice and its neighbour do not."""

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
    """The patient's diagnosis, by the images and the size that the classifier was trained with; no evidence yet.

    Memory is that of the uint8 images of the slices that vote (at most 81) and of one batch of the network.

    Parameters
    ----------
    volume : chest CT. Its interpolated slices do not vote.
    lung : (K, J, I) bool.
    classifier : that answers.
    progress : called with stage "classification" as slices are done.
    batch : slices that the classifier is given at a time.

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
    """What a classifier says of itself; source and licence of its weights where it has attributes of these names."""
    known = {what: getattr(classifier, what, None) for what in ("source", "licence")}
    return ClassifierIdentity(classifier.name, classifier.sha256, classifier.description, **known)


def deciding_slices(diagnosis: PatientDiagnosis, slice_mm: float) -> tuple[int, ...]:
    """Slices of the CT that decided, the strongest first (:data:`DECIDING_DEFINITION`).

    Parameters
    ----------
    diagnosis : of the patient; at least one slice voted for its label.
    slice_mm : spacing of the CT's slices.
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
    """``diagnosis`` with where the classifier looked for it in the slices that decided.

    Parameters
    ----------
    diagnosis : of this CT, by this classifier.
    volume, lung, classifier : as for :func:`classify_slices`.
    progress : called with stage "explanation".

    Raises
    ------
    InputError
        If the classifier answers what is no map of 0 to 1.
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
