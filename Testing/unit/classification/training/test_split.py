"""Patients are shared out to training, validation and test: no patient to two of them, every diagnosis to each."""

from pathlib import Path

import pytest

from CovidSeverityLib.classification.training.cases import Part, TrainingCase
from CovidSeverityLib.classification.training.split import TooFewPatientsError, split_patients
from CovidSeverityLib.types import Diagnosis


def cases_of(*counts, per_patient=1):
    """``counts`` patients of each diagnosis, with ``per_patient`` CTs each."""
    return [
        TrainingCase(f"{diagnosis.name}-{n}-{scan}", Path("ct.nii.gz"), diagnosis, f"{diagnosis.name}-{n}")
        for diagnosis, count in zip(Diagnosis, counts, strict=True)
        for n in range(count)
        for scan in range(per_patient)
    ]


def numbers(parts, diagnosis):
    return [sum(p == part and name.startswith(diagnosis.name) for name, p in parts.items()) for part in Part]


@pytest.mark.parametrize("seed", range(25))
def test_every_patient_has_one_part_and_every_part_has_every_diagnosis(seed):
    cases = cases_of(10, 4, 7, per_patient=3)
    parts = split_patients(cases, 0.15, 0.2, seed)
    assert set(parts) == {case.patient for case in cases}
    assert [numbers(parts, diagnosis) for diagnosis in Diagnosis] == [[6, 2, 2], [2, 1, 1], [5, 1, 1]]


def test_slices_of_one_patient_are_in_one_part_though_the_cts_differ_in_diagnosis():
    cases = [*cases_of(5, 5, 5), TrainingCase("later", Path("ct.nii.gz"), Diagnosis.NORMAL, "COVID19-0")]
    parts = split_patients(cases, 0.2, 0.2, 0)
    assert len(parts) == 15
    assert numbers(parts, Diagnosis.COVID19) == [3, 1, 1]


def test_split_depends_on_the_seed_and_not_on_the_order_of_the_table():
    cases = cases_of(12, 12, 12)
    split = split_patients(cases, 0.2, 0.2, 3)
    assert split_patients(cases[::-1], 0.2, 0.2, 3) == split
    assert split_patients(cases, 0.2, 0.2, 4) != split


def test_three_patients_of_a_diagnosis_go_one_to_each_part():
    parts = split_patients(cases_of(3, 3, 3), 0.4, 0.5, 0)
    assert [numbers(parts, diagnosis) for diagnosis in Diagnosis] == [[1, 1, 1]] * 3


def test_no_test_patients_where_none_are_asked_for():
    parts = split_patients(cases_of(2, 2, 2), 0.5, 0.0, 0)
    assert [numbers(parts, diagnosis) for diagnosis in Diagnosis] == [[1, 1, 0]] * 3


def test_too_few_patients_of_a_diagnosis_are_refused_though_they_have_many_cts():
    wanted = (
        r"^2 patients have the diagnosis CAP and a CT that can be used; 3 at least are needed of each "
        r"\(one to learn from, one to stop by, one to measure with\)$"
    )
    with pytest.raises(TooFewPatientsError, match=wanted):
        split_patients(cases_of(9, 2, 9, per_patient=4), 0.2, 0.2, 0)
    with pytest.raises(TooFewPatientsError, match=r"^0 patients have the diagnosis COVID-19"):
        split_patients(cases_of(9, 9, 0), 0.2, 0.2, 0)
