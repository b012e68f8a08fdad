"""The CTs that a classifier is trained on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from CovidSeverityLib.types import Diagnosis


class Part(str, Enum):
    """What a patient's CTs are used for."""

    TRAINING = "training"
    VALIDATION = "validation"
    TEST = "test"


PART_TEXTS = {Part.TRAINING: "to learn from", Part.VALIDATION: "to stop by", Part.TEST: "to measure with"}
"""What the parts are for, in words."""


@dataclass(frozen=True)
class TrainingCase:
    """One CT with its truth. Every slice of it has the patient's diagnosis (as published).

    Parameters
    ----------
    name : of the CT; no other has it.
    image : file or DICOM folder.
    diagnosis : of the patient at the time of the CT.
    patient : whose CT it is; those of one patient stay together.
    """

    name: str
    image: Path
    diagnosis: Diagnosis
    patient: str


def patients_of(cases: Iterable[TrainingCase]) -> dict[str, Diagnosis]:
    """Diagnosis by patient, in the order of names; of several the last of :class:`Diagnosis` (disease before none)."""
    found: dict[str, Diagnosis] = {}
    for case in sorted(cases, key=lambda case: case.patient):
        found[case.patient] = max(case.diagnosis, found.get(case.patient, case.diagnosis))
    return found
