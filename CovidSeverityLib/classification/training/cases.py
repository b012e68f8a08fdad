"""The CTs for the training of a classifier."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from CovidSeverityLib.types import Diagnosis


class Part(str, Enum):
    """The use of a patient's CTs."""

    TRAINING = "training"
    VALIDATION = "validation"
    TEST = "test"


PART_TEXTS = {Part.TRAINING: "to learn from", Part.VALIDATION: "to stop by", Part.TEST: "to measure with"}
"""Names of the parts in messages."""


@dataclass(frozen=True)
class TrainingCase:
    """One CT with its truth. Every slice of it has the patient's diagnosis (as published).

    Parameters
    ----------
    name : str
        Unique name of the CT.
    image : Path
        File or DICOM folder.
    diagnosis : Diagnosis
        Diagnosis of the patient at the time of the CT.
    patient : str
        The patient; all CTs of a patient are in one part.
    """

    name: str
    image: Path
    diagnosis: Diagnosis
    patient: str


def patients_of(cases: Iterable[TrainingCase]) -> dict[str, Diagnosis]:
    """Diagnosis by patient, in the order of names; for several diagnoses the last one in :class:`Diagnosis`."""
    found: dict[str, Diagnosis] = {}
    for case in sorted(cases, key=lambda case: case.patient):
        found[case.patient] = max(case.diagnosis, found.get(case.patient, case.diagnosis))
    return found
