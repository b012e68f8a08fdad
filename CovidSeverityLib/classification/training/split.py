"""The split of patients: for training, for deciding when to stop, and for measuring."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from CovidSeverityLib.classification.description import CLASS_NAMES
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Diagnosis

from .cases import PART_TEXTS, Part, TrainingCase, patients_of


class TooFewPatientsError(InputError):
    """A diagnosis has fewer patients than parts."""


def split_patients(cases: Sequence[TrainingCase], validation: float, test: float, seed: int) -> Mapping[str, Part]:
    """Assign the patients of each diagnosis to the parts.

    The order of the cases has no effect. A patient with CTs of several diagnoses counts as one with disease.

    Parameters
    ----------
    cases : sequence of TrainingCase
        Cases to split.
    validation, test : float
        Shares of the patients of each diagnosis, 0 to 1; at least one patient if above 0.
    seed : int
        Seed of the split.

    Returns
    -------
    mapping of str to Part
        The part of every patient.

    Raises
    ------
    TooFewPatientsError
        If a diagnosis has too few patients for a patient in every part.
    """
    diagnoses = patients_of(cases)
    shares = {Part.VALIDATION: validation, Part.TEST: test}
    _check(diagnoses, [Part.TRAINING, *(part for part, share in shares.items() if share > 0)])
    parts = dict.fromkeys(diagnoses, Part.TRAINING)
    for diagnosis in Diagnosis:
        patients = [patient for patient, found in diagnoses.items() if found == diagnosis]
        order = np.random.default_rng((seed, int(diagnosis))).permutation(len(patients))
        shuffled = [patients[n] for n in order]
        for part, number in _numbers(len(patients), shares).items():
            parts |= {shuffled.pop(): part for _ in range(number)}
    return MappingProxyType(parts)


def _numbers(patients: int, shares: Mapping[Part, float]) -> dict[Part, int]:
    """Number of patients in each part except the first: rounded, at least one, leaving at least one for training."""
    numbers = {part: max(1, math.floor(share * patients + 0.5)) if share > 0 else 0 for part, share in shares.items()}
    while sum(numbers.values()) >= patients:
        numbers[max(numbers, key=lambda part: numbers[part])] -= 1
    return numbers


def _check(diagnoses: Mapping[str, Diagnosis], parts: Sequence[Part]) -> None:
    for diagnosis in Diagnosis:
        number = sum(found == diagnosis for found in diagnoses.values())
        if number < len(parts):
            purposes = ", ".join(f"one {PART_TEXTS[part]}" for part in parts)
            raise TooFewPatientsError(
                f"{number} {'patient has' if number == 1 else 'patients have'} the diagnosis {CLASS_NAMES[diagnosis]} "
                f"and a CT that can be used; {len(parts)} at least are needed of each ({purposes})"
            )
