"""The diagnosis for programs: an object in ``report.json``, or ``classification.json`` for a diagnosis alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.classification.description import CLASS_NAMES
from CovidSeverityLib.classification.diagnosis import ClassifierIdentity, PatientDiagnosis
from CovidSeverityLib.classification.evidence import DECIDING_DEFINITION
from CovidSeverityLib.classification.voting import VOTE_DEFINITION
from CovidSeverityLib.findings import ClassifiedFindings
from CovidSeverityLib.types import DIAGNOSIS_NAMES, Diagnosis, Side

from .report_parts import RESEARCH_USE, SCHEMA_VERSION, SECONDS_DECIMALS, input_fields, note_fields
from .tables import ML_DECIMALS, MM_DECIMALS, PERCENT_DECIMALS, PROBABILITY_DECIMALS, rounded

MEAN_DECIMALS = 4
"""Decimals of the mean probabilities: further ones have no meaning."""

PROBABILITIES_DEFINITION = (
    "Mean of the network's probabilities over the slices that voted; not calibrated: no patient's chance of a disease"
)


def classification_fields(diagnosis: PatientDiagnosis, z_mm: Sequence[float]) -> dict[str, Any]:
    """A diagnosis as plain values.

    Parameters
    ----------
    diagnosis : PatientDiagnosis
        Diagnosis of a patient, by a classifier with a description.
    z_mm : sequence of float
        LPS z of every slice of the CT.
    """
    vote = diagnosis.vote
    means = rounded_shares(diagnosis.mean_probabilities, MEAN_DECIMALS)
    return {
        "label": CLASS_NAMES[diagnosis.label],
        "name": DIAGNOSIS_NAMES[diagnosis.label],
        "probabilities": {CLASS_NAMES[d]: means[d] for d in Diagnosis},
        "probabilities_definition": PROBABILITIES_DEFINITION,
        "vote": {
            "weights": {CLASS_NAMES[d]: rounded(vote.weights[d], 1) for d in Diagnosis},
            "total": rounded(vote.total, 1),
            "slices": len(diagnosis.slices),
            "smallest_change_percent": rounded(100 * vote.smallest_change, PERCENT_DECIMALS),
            "definition": VOTE_DEFINITION,
        },
        "deciding_slices": [_deciding_slice(diagnosis, seen.index, z_mm) for seen in diagnosis.evidence],
        "deciding_slices_definition": DECIDING_DEFINITION,
        "classifier": None if diagnosis.classifier is None else _classifier(diagnosis.classifier),
    }


def rounded_shares(shares: NDArray[np.float64], decimals: int) -> list[float]:
    """Shares, rounded so that they still add up to 1 (largest remainder; the first of equal ones)."""
    units = 10**decimals
    scaled = np.asarray(shares, dtype=np.float64) / np.sum(shares) * units
    whole = np.floor(scaled).astype(int)
    missing = units - int(whole.sum())
    for n in np.argsort(-(scaled - whole), kind="stable")[:missing]:
        whole[n] += 1
    return [rounded(n / units, decimals) for n in whole.tolist()]


def build_classification(found: ClassifiedFindings) -> dict[str, Any]:
    """The content of ``classification.json``: the fields of ``report.json`` that exist for a diagnosis alone."""
    voxels = {side: int((found.lungs == side).sum()) for side in Side}
    ml = {side: n * found.volume.geometry.voxel_ml for side, n in voxels.items()}
    return {
        "schema_version": SCHEMA_VERSION,
        "research_use": RESEARCH_USE,
        "input": input_fields(found.volume),
        "lungs": {
            "right_ml": rounded(ml[Side.RIGHT], ML_DECIMALS),
            "left_ml": rounded(ml[Side.LEFT], ML_DECIMALS),
            "total_ml": rounded(sum(ml.values()), ML_DECIMALS),
        },
        "classification": classification_fields(found.diagnosis, found.volume.geometry.slice_z_mm().tolist()),
        "quality": [note_fields(note) for note in found.quality],
        "provenance": {
            "version": found.version,
            "lungs_from": found.lungs_from,
            "classifier": classifier_mark(found.diagnosis),
            "seconds": {stage: rounded(s, SECONDS_DECIMALS) for stage, s in found.seconds.items()},
        },
    }


def write_classification_report(found: ClassifiedFindings, file: TextIO) -> None:
    """Write ``classification.json``."""
    json.dump(build_classification(found), file, indent=2, ensure_ascii=False, allow_nan=False)
    file.write("\n")


def classifier_mark(diagnosis: PatientDiagnosis) -> dict[str, str] | None:
    """Name and checksum of the classifier; a result also depends on the version and the configuration."""
    known = diagnosis.classifier
    return None if known is None else {"name": known.name, "sha256": known.sha256}


def _deciding_slice(diagnosis: PatientDiagnosis, index: int, z_mm: Sequence[float]) -> dict[str, Any]:
    n = diagnosis.slices.index(index)
    return {
        "index": index,
        "z_mm": rounded(z_mm[index], MM_DECIMALS),
        "label": CLASS_NAMES[diagnosis.slice_labels[n]],
        "probability": rounded(diagnosis.probabilities[n, diagnosis.label], PROBABILITY_DECIMALS),
        "vote_weight": rounded(diagnosis.slice_weights[n], 1),
    }


def _classifier(known: ClassifierIdentity) -> dict[str, Any]:
    return {
        "name": known.name,
        "sha256": known.sha256,
        "source": known.source,
        "licence": known.licence,
        **known.description.as_dict(),
    }
