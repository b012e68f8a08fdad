"""Tables of true and of predicted diagnoses, case by case.

Words are compared without case and punctuation (:data:`DIAGNOSIS_WORDS`). "positive" and "negative" are not accepted,
because a patient without COVID-19 may have another pneumonia. Numbers mean the classifier's outputs (0 normal, 1 CAP,
2 COVID-19), but only if the whole column is numbers and contains both 0 and 2: 0 and 1 alone could also mean no
COVID-19 and COVID-19.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from CovidSeverityLib.checked import known
from CovidSeverityLib.io.csv_tables import CASE_WORDS, Row, Table, number, once_each, read_table, whole_number, word
from CovidSeverityLib.types import DIAGNOSIS_NAMES, Diagnosis

DIAGNOSIS_WORDS: Mapping[str, Diagnosis] = MappingProxyType(
    {
        **dict.fromkeys(("normal", "healthy"), Diagnosis.NORMAL),
        **dict.fromkeys(("cap", "pneumonia", "communityacquiredpneumonia"), Diagnosis.CAP),
        **dict.fromkeys(("covid", "covid19", "covid19pneumonia", "covid19positive"), Diagnosis.COVID19),
        # the severity classes of MosMedData (arXiv 2005.06465): CT-0 has no sign of viral pneumonia
        "ct0": Diagnosis.NORMAL,
        **dict.fromkeys(("ct1", "ct2", "ct3", "ct4"), Diagnosis.COVID19),
        # CC-CCII (doi 10.1016/j.cell.2020.04.045): novel coronavirus and common pneumonia
        "ncp": Diagnosis.COVID19,
        "cp": Diagnosis.CAP,
    }
)
"""Diagnosis of each word in a table."""

UNDERSTOOD = "normal, CAP or COVID-19"
AMBIGUOUS_NUMBERS = (
    f"the labels are the numbers {{}}, which may mean several things; {UNDERSTOOD} is needed "
    "(or 0, 1 and 2 for these three, where 0 and 2 are both present)"
)

LABEL_WORDS = ("diagnosis", "label", "labels", "class", "category", "finding")
"""Headers of the column with the diagnosis, true or predicted."""

TRUTH_WORDS = ("truth", "groundtruth", "gt", "truelabel", "trueclass", "truediagnosis")
"""Headers of the column with the true diagnosis. They precede :data:`LABEL_WORDS` and are never a prediction."""

PREDICTION_WORDS = (
    *("prediction", "predictions", "predicted", "pred", "predictedlabel", "predictedclass", "predicteddiagnosis"),
    *("predlabel", "predclass"),
)
"""Headers of the column with the predicted diagnosis. They precede :data:`LABEL_WORDS`."""

PATIENT_WORDS = ("patient", "patientid", "patientname", "subject", "subjectid")
"""Headers of the column with the patient, if another column names the case."""

SCORE_ADDITIONS = {"p", "prob", "probs", "proba", "probability", "score", "softmax", "class", "pred", "of"}
"""Words with the name of a class in the header of its probabilities (``p_normal``, ``COVID-19 probability``)."""

SUM_TOLERANCE = 0.0101
"""Tolerance of the sum: three probabilities with two decimals add up to 0.99 to 1.01, plus binary rounding."""

LAYOUTS: tuple[tuple[str, frozenset[str]], ...] = (
    ("SPGC or LDCT (PatientName, Labels)", frozenset({"patientname", "labels"})),
    ("COVID-CT-MD (Diagnosis, Folder/ID)", frozenset({"diagnosis", "folderid"})),
    ("MosMedData (study_id, category)", frozenset({"studyid", "category"})),
)
"""Known layouts of tables, by their columns."""

WITHOUT_HEADER = "case and label, without a header"


@dataclass(frozen=True)
class DiagnosisLabels:
    """True diagnosis of each case, in the order of the table; ``layout`` is the recognised layout of the table."""

    by_case: Mapping[str, Diagnosis]
    layout: str


@dataclass(frozen=True)
class PredictedDiagnosis:
    """``scores`` are probabilities in the order of :class:`Diagnosis`, None without probabilities."""

    label: Diagnosis
    scores: tuple[float, float, float] | None = None


def read_diagnoses(path: Path) -> DiagnosisLabels:
    """Read the true diagnosis of every case.

    Parameters
    ----------
    path : Path
        CSV with a header and columns for the case and the label, or with only these two columns.

    Raises
    ------
    InputError
        If there is no such column, or several for the label; if a label is unknown or missing, or a case has two
        labels. The message gives the line.
    """
    table = read_table(path, lambda words: bool({*CASE_WORDS, *LABEL_WORDS, *TRUTH_WORDS}.intersection(words)))
    case = _case_column(table)
    column = _label_column(table, TRUTH_WORDS, LABEL_WORDS) if table.header else 1
    if column is None:
        raise table.error(f"no column has the label; one named label or diagnosis is needed, {table.shown} are there")
    labels = _diagnoses(table, column)
    entries = zip(table.rows, (row.cell(case) for row in table.rows), labels, strict=True)
    return DiagnosisLabels(once_each(table, entries, "label"), _layout(table, case, column))


def read_patients(path: Path) -> Mapping[str, str]:
    """Read the patient of every case in a table of diagnoses.

    Parameters
    ----------
    path : Path
        As for :func:`read_diagnoses`.

    Returns
    -------
    mapping of str to str
        The patient by case, from the column with a header of :data:`PATIENT_WORDS`; without such a column, the name of
        the case.

    Raises
    ------
    InputError
        If several columns may contain the patient, a row has no patient, or a case has two patients.
    """
    table = read_table(path, lambda words: bool({*CASE_WORDS, *LABEL_WORDS, *TRUTH_WORDS}.intersection(words)))
    case = _case_column(table)
    found = [n for n in table.columns(PATIENT_WORDS) if n != case]
    if len(found) > 1:
        names = ", ".join(known(table.header)[n] for n in found)
        raise table.error(f"the patient may be in several columns ({names}); one is needed")
    column = found[0] if found else case
    for row in table.rows:
        if not row.cell(column):
            raise table.error("the row names no patient", row)
    return once_each(table, ((row, row.cell(case), row.cell(column)) for row in table.rows), "patient")


def read_diagnosis_predictions(path: Path) -> Mapping[str, PredictedDiagnosis]:
    """Read the predicted diagnosis of every case, in the order of the file.

    Parameters
    ----------
    path : Path
        CSV with a header and columns for the case and for the label or the probabilities of each class, or both; or
        only with case and label. Without a label the class with the highest probability is used (of equal ones the last
        in :class:`Diagnosis`, because COVID-19 wins ties of the published vote). If only normal and COVID-19 have
        probabilities, that of CAP is 0.

    Raises
    ------
    InputError
        As in :func:`read_diagnoses`, or if probabilities are not from 0 to 1 or do not add up to 1.
    """
    known = {*CASE_WORDS, *LABEL_WORDS, *PREDICTION_WORDS}
    table = read_table(path, lambda words: bool(known.intersection(words)))
    case = _case_column(table)
    column = _label_column(table, PREDICTION_WORDS, LABEL_WORDS) if table.header else 1
    score_columns = _score_columns(table)
    if column is None and not score_columns:
        raise table.error(
            "neither labels nor probabilities are there; a column named prediction, or columns named normal, cap and "
            f"covid19, are needed, {table.shown} are there"
        )
    scores = [_scores(table, row, score_columns) if score_columns else None for row in table.rows]
    labels = [_likeliest(s) for s in scores if s] if column is None else _diagnoses(table, column)
    if column is not None and table.header and table.words[column] in LABEL_WORDS:
        _check_predicted(table, column, labels, scores)
    values = map(PredictedDiagnosis, labels, scores)
    entries = zip(table.rows, (row.cell(case) for row in table.rows), values, strict=True)
    return once_each(table, entries, "prediction")


def _case_column(table: Table) -> int:
    if table.header is None:
        if table.width != 2:
            raise table.error(f"it has {table.width} columns and no header; case and label, or a header, are needed")
        return 0
    column = table.case_column()
    if column is None:
        raise table.error(f"no column names the case; one named case is needed, {table.shown} are there")
    return column


def _label_column(table: Table, *groups: Sequence[str]) -> int | None:
    """The column whose header is in the first matching one of ``groups``."""
    case = table.case_column()
    for words in groups:
        found = [n for n in table.columns(words) if n != case]
        if len(found) > 1:
            names = ", ".join(known(table.header)[n] for n in found)
            raise table.error(f"the label may be in several columns ({names}); one is needed")
        if found:
            return found[0]
    return None


def _diagnoses(table: Table, column: int) -> list[Diagnosis]:
    texts = [row.cell(column) for row in table.rows]
    numbers = [value for text in texts if (value := whole_number(text)) is not None and value in list(Diagnosis)]
    if len(numbers) == len(texts):
        if not {Diagnosis.NORMAL, Diagnosis.COVID19} <= set(numbers):
            raise table.error(AMBIGUOUS_NUMBERS.format(" and ".join(str(n) for n in sorted(set(numbers)))))
        return [Diagnosis(value) for value in numbers]
    return [_diagnosis(table, row, text) for row, text in zip(table.rows, texts, strict=True)]


def _diagnosis(table: Table, row: Row, text: str) -> Diagnosis:
    if not text:
        raise table.error(f"the row has no label; {UNDERSTOOD} is needed", row)
    found = DIAGNOSIS_WORDS.get(word(text))
    if found is None:
        raise table.error(f"the label is {text!r}; {UNDERSTOOD} is needed", row)
    return found


def _check_predicted(
    table: Table, column: int, labels: Sequence[Diagnosis], scores: Sequence[tuple[float, float, float] | None]
) -> None:
    """Raise InputError if labels that are not named predicted may be the truth beside predicted probabilities."""
    for row, label, score in zip(table.rows, labels, scores, strict=True):
        if score is not None and score[label] < max(score):
            raise table.error(
                f"{known(table.header)[column]} is not the likeliest class; it should be named prediction or truth", row
            )


def _score_columns(table: Table) -> dict[Diagnosis, int]:
    """The columns of probabilities by class: none, or a sufficient number."""
    columns: dict[Diagnosis, int] = {}
    for n, header in enumerate(table.header or ()):
        found = _class_of_scores(header)
        if found is None or n == table.case_column():
            continue
        if found in columns:
            names = f"{known(table.header)[columns[found]]} and {header}"
            raise table.error(f"{names} are both probabilities of {DIAGNOSIS_NAMES[found]}; one column is needed")
        columns[found] = n
    missing = [DIAGNOSIS_NAMES[d] for d in (Diagnosis.NORMAL, Diagnosis.COVID19) if d not in columns]
    if columns and missing:
        raise table.error(f"there are probabilities, but none of {' and '.join(missing)}; one column a class is needed")
    return columns


def _class_of_scores(header: str) -> Diagnosis | None:
    words = [w for w in re.split(r"[\W_]+", header.casefold()) if w not in SCORE_ADDITIONS]
    return DIAGNOSIS_WORDS.get("".join(words))


def _scores(table: Table, row: Row, columns: Mapping[Diagnosis, int]) -> tuple[float, float, float]:
    values = []
    for diagnosis in Diagnosis:
        text = row.cell(columns[diagnosis]) if diagnosis in columns else "0"
        value = number(text)
        if value is None or not 0 <= value <= 1:
            name = DIAGNOSIS_NAMES[diagnosis]
            raise table.error(f"the probability of {name} is {text!r}; a number from 0 to 1 is needed", row)
        values.append(value)
    if abs(sum(values) - 1) > SUM_TOLERANCE:
        raise table.error(f"the probabilities add up to {sum(values):.3g}; 1 is needed", row)
    return values[0], values[1], values[2]


def _likeliest(scores: tuple[float, float, float]) -> Diagnosis:
    return max(Diagnosis, key=lambda d: (scores[d], d))


def _layout(table: Table, case: int, column: int) -> str:
    if table.header is None:
        return WITHOUT_HEADER
    known = next((name for name, words in LAYOUTS if words <= set(table.words)), None)
    return known or f"columns {table.header[case]} and {table.header[column]}"
