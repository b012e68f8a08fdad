"""Tables of true and predicted diagnoses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.evaluation.diagnosis_labels import (
    PredictedDiagnosis,
    read_diagnoses,
    read_diagnosis_predictions,
    read_patients,
)
from CovidSeverityLib.io import csv_tables
from CovidSeverityLib.types import Diagnosis

NORMAL, CAP, COVID = Diagnosis.NORMAL, Diagnosis.CAP, Diagnosis.COVID19


@pytest.fixture
def write(tmp_path) -> Callable[..., Path]:
    """A function that writes a table and returns its path."""

    def to_file(text: str | bytes, name: str = "labels.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return to_file


@pytest.fixture
def labels(write) -> Callable[[str], dict[str, Diagnosis]]:
    """A function that writes a table and reads its labels."""
    return lambda text: dict(read_diagnoses(write(text)).by_case)


@pytest.fixture
def predictions(write) -> Callable[[str], dict[str, PredictedDiagnosis]]:
    """A function that writes a table and reads its predictions."""
    return lambda text: dict(read_diagnosis_predictions(write(text)))


def test_the_table_of_spgc_is_read(write):
    found = read_diagnoses(write(",PatientName,Labels\n0,T1-001,COVID-19\n1,T1-002,NORMAL\n2,T2-003,CAP\n"))
    assert dict(found.by_case) == {"T1-001": COVID, "T1-002": NORMAL, "T2-003": CAP}
    assert found.layout == "SPGC or LDCT (PatientName, Labels)"


def test_a_table_of_ldct_may_lack_the_index(write):
    found = read_diagnoses(write("PatientName,Labels\nP001,COVID-19\nN001,NORMAL\n"))
    assert dict(found.by_case) == {"P001": COVID, "N001": NORMAL}
    assert found.layout == "SPGC or LDCT (PatientName, Labels)"


def test_the_index_of_covid_ct_md_is_read(write):
    text = "Label Index,Diagnosis,Relative Path,Folder/ID\n0,COVID-19,./COVID-19/,P001\n55,CAP,./CAP/,cap001\n"
    found = read_diagnoses(write(text))
    assert dict(found.by_case) == {"P001": COVID, "cap001": CAP}
    assert found.layout == "COVID-CT-MD (Diagnosis, Folder/ID)"


def test_the_registry_of_mosmed_is_read_with_every_severity_as_covid(write):
    rows = "".join(f"study_{n},CT-{n},/studies/CT-{n}/study_{n}.nii.gz,\n" for n in range(5))
    found = read_diagnoses(write("study_id,category,study_file,mask_file\n" + rows))
    assert list(found.by_case.values()) == [NORMAL, COVID, COVID, COVID, COVID]
    assert list(found.by_case) == [f"study_{n}" for n in range(5)]
    assert found.layout == "MosMedData (study_id, category)"


def test_other_tables_say_which_columns_were_taken(write):
    assert read_diagnoses(write("age;File Name;Class\n50;a.nii;healthy\n")).layout == "columns File Name and Class"
    assert read_diagnoses(write("a.nii,healthy\n")).layout == "case and label, without a header"


@pytest.mark.parametrize(
    "text",
    [
        "case,label\nP001,covid\nP002,normal\n",
        "\ufeffcase,label\r\nP001,COVID-19\r\nP002,Healthy\r\n",
        "case;label\nP001;covid19\n\n;\nP002; normal \n",
        "case\tlabel\nP001\tCovid 19\nP002\tNORMAL\n",
        '"case","label"\n"P001","COVID-19" \n"P002", "Normal"\n\n\n',
        "id,label,patient\n7,covid_19,P001\n9,normal,P002\n",
        "P001,COVID-19\nP002,NORMAL\n",
        "\ufeffP001,COVID-19\nP002,NORMAL\n",
        'label, "Patient; name"\ncovid, "P001"\nnormal, "P002"\n',
        "P001,COVID-19,\nP002,NORMAL,\n",
        "case,label\rP001,covid\rP002,normal",
        "case,label\nP001,2.0\nP002,0\n",
        "case,prediction,truth,label\nP001,CAP,covid,cap\nP002,CAP,normal,cap\n",
    ],
)
def test_a_table_is_read_however_it_is_written(labels, text):
    assert labels(text) == {"P001": COVID, "P002": NORMAL}


def test_unicode_text_of_a_spreadsheet_is_read(write):
    assert dict(read_diagnoses(write("case\tlabel\nÅ1\tCAP\n".encode("utf-16"))).by_case) == {"Å1": CAP}


@pytest.mark.parametrize(
    ("label", "diagnosis"),
    [
        ("Community-Acquired Pneumonia", CAP),
        ("pneumonia", CAP),
        ("COVID-19 pneumonia", COVID),
        ("Covid-19 (positive)", COVID),
        ("NCP", COVID),
        ("CP", CAP),
    ],
)
def test_words_for_a_class_count_without_case_and_punctuation(labels, label, diagnosis):
    assert labels(f"case,label\nP001,{label}\n") == {"P001": diagnosis}


@pytest.mark.parametrize(
    "label", ["negative", "positive", "non-COVID", "COVID-19 negative", "unknown", "CT-5", "3", "?"]
)
def test_labels_that_may_mean_several_things_are_refused_with_the_line(labels, label):
    with pytest.raises(InputError, match=r"labels.csv, line 3: the label is .*; normal, CAP or COVID-19 is needed"):
        labels(f"case,label\nP001,normal\nP002,{label}\n")


def test_numbers_are_the_order_of_the_classes(labels):
    assert labels("case,label\na,0\nb,1\nc,2\n") == {"a": NORMAL, "b": CAP, "c": COVID}


@pytest.mark.parametrize("numbers", [(0, 1), (1, 2), (1, 1), (2, 2), (0, 0)])
def test_numbers_that_may_be_another_order_are_refused_with_the_words(labels, numbers):
    with pytest.raises(InputError, match="may mean several things; normal, CAP or COVID-19 is needed"):
        labels("case,label\n" + "".join(f"P{n},{value}\n" for n, value in enumerate(numbers)))


def test_numbers_among_words_are_refused(labels):
    with pytest.raises(InputError, match="line 4: the label is '2'"):
        labels("case,label\na,normal\nb,covid\nc,2\nd,0\n")


def test_a_case_with_two_labels_is_refused(labels):
    with pytest.raises(InputError, match="line 4: P001 has another label than in line 2"):
        labels("case,label\nP001,cap\nP001,cap\nP001,covid\n")


def test_a_case_repeated_with_its_label_counts_once(labels):
    assert labels("case,label\nP001,cap\nP002,normal\nP001,CAP\n") == {"P001": CAP, "P002": NORMAL}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no rows"),
        ("\n\n", "has no rows"),
        ("case,label\n", "has no rows"),
        ("case,label\nP001,\n", "line 2: the row has no label"),
        ("case,label\n,cap\n", "line 2: the row names no case"),
        ("case,outcome\nP001,cap\n", "no column has the label; .* case, outcome are there"),
        ("age,label\n50,cap\n", "no column names the case; .* age, label are there"),
        ("case,label,diagnosis\nP001,cap,cap\n", r"several columns \(label, diagnosis\)"),
        ("case,case,label\nP001,P001,cap\n", "several columns case"),
        ("case,label\nP001,cap,more\n", "line 2: it has 3 values for 2 columns"),
        ("P001,cap,3\n", "it has 3 columns and no header"),
        ("P001\n", "it has 1 columns and no header"),
        ('case,label\nP001,"cap\n', "a quotation mark is not closed"),
        (b"case,label\nP\xe9,cap\n", "is not UTF-8"),
        (b"case,label\nP\0,cap\n", "is no text"),
    ],
)
def test_a_table_that_cannot_be_understood_is_refused(write, text, reason):
    with pytest.raises(InputError, match=reason):
        read_diagnoses(write(text))


@pytest.mark.parametrize(("name", "content"), [("labels.xlsx", b""), ("labels.csv", b"PK\x03\x04..."), ("a.xls", b"x")])
def test_a_spreadsheet_is_to_be_saved_as_csv(write, name, content):
    with pytest.raises(InputError, match=f"^{name} is a spreadsheet; save it as CSV$"):
        read_diagnoses(write(content, name))


def test_a_missing_file_is_named_without_its_folder(tmp_path):
    with pytest.raises(InputError, match=r"^no such file: labels\.csv$"):
        read_diagnoses(tmp_path / "labels.csv")


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_diagnoses(tmp_path)


def test_an_image_given_by_mistake_is_refused_without_reading_it(write, monkeypatch):
    monkeypatch.setattr(csv_tables, "MAX_BYTES", 10)
    with pytest.raises(InputError, match="too many for a table"):
        read_diagnoses(write("case,label\nP001,cap\n"))


def test_labels_cannot_be_changed(write):
    with pytest.raises(TypeError):
        read_diagnoses(write("P001,cap\n")).by_case["P002"] = CAP


def test_probabilities_alone_give_the_label(predictions):
    found = predictions("case,p_normal,p_cap,p_covid19\nP001,0.2,0.1,0.7\nP002,0.5,0.4,0.1\nP003,0.1,0.8,0.1\n")
    assert found["P001"] == PredictedDiagnosis(COVID, (0.2, 0.1, 0.7))
    assert [p.label for p in found.values()] == [COVID, NORMAL, CAP]


def test_probabilities_are_put_into_the_order_of_the_classes(predictions):
    found = predictions("COVID-19 probability;file;Normal;CAP\n0,7;a;0,2;0,1\n")
    assert found == {"a": PredictedDiagnosis(COVID, (0.2, 0.1, 0.7))}


def test_of_equal_probabilities_covid_wins_as_in_the_published_vote(predictions):
    assert predictions("case,normal,cap,covid\nP001,0.5,0,0.5\n")["P001"].label == COVID


def test_two_classes_leave_none_for_the_third(predictions):
    assert predictions("case,normal,covid\nP001,0.3,0.7\n") == {"P001": PredictedDiagnosis(COVID, (0.3, 0.0, 0.7))}


@pytest.mark.parametrize("header", ["prediction", "Predicted label", "pred", "Labels", "diagnosis"])
def test_a_label_alone_is_a_prediction_without_scores(predictions, header):
    assert predictions(f"case,{header}\nP001,CAP\n") == {"P001": PredictedDiagnosis(CAP)}
    assert predictions("P001,CAP\n") == {"P001": PredictedDiagnosis(CAP)}


def test_a_predicted_label_need_not_be_the_likeliest(predictions):
    found = predictions("case,truth,label,prediction,normal,cap,covid\nP001,normal,normal,cap,0.1,0.2,0.7\n")
    assert found == {"P001": PredictedDiagnosis(CAP, (0.1, 0.2, 0.7))}


def test_the_truth_beside_probabilities_is_not_taken_for_the_prediction(predictions):
    found = predictions("case,truth,normal,cap,covid\nP001,normal,0.1,0.2,0.7\n")
    assert found["P001"].label == COVID


def test_a_label_that_may_be_the_truth_beside_probabilities_is_refused(predictions):
    assert predictions("case,label,normal,cap,covid\nP001,covid,0.1,0.2,0.7\n")["P001"].label == COVID
    with pytest.raises(InputError, match="line 2: label is not the likeliest class"):
        predictions("case,label,normal,cap,covid\nP001,normal,0.1,0.2,0.7\n")


def test_rounded_probabilities_need_not_add_up_exactly(predictions):
    assert predictions("case,normal,cap,covid\nP001,0.33,0.33,0.33\n")["P001"].scores == (0.33, 0.33, 0.33)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("case,normal,cap,covid\nP001,0.2,0.2,0.2\n", "line 2: the probabilities add up to 0.6; 1 is needed"),
        ("case,normal,cap,covid\nP001,1.2,-0.1,-0.1\n", "line 2: the probability of normal is '1.2'"),
        ("case,normal,cap,covid\nP001,0.5,,0.5\n", "the probability of community-acquired pneumonia is ''"),
        ("case,normal,cap,covid\nP001,nan,0.5,0.5\n", "'nan'"),
        ("case,cap,covid\nP001,0.5,0.5\n", "none of normal"),
        ("case,covid\nP001,0.5\n", "none of normal"),
        ("case,normal,cap,covid,p_covid19\nP001,0,0,0.5,0.5\n", "covid and p_covid19 are both probabilities"),
        ("case,age\nP001,50\n", "neither labels nor probabilities"),
        ("case,truth\nP001,cap\n", "neither labels nor probabilities"),
        ("case,prediction\nP001,cap\nP001,covid\n", "P001 has another prediction than in line 2"),
    ],
)
def test_wrong_predictions_are_refused(predictions, text, reason):
    with pytest.raises(InputError, match=reason):
        predictions(text)


def test_patients_are_those_of_their_own_column(write):
    path = write("case,patient,label\na1,a,CAP\na2,a,normal\nb,b,CAP\n")
    assert read_patients(path) == {"a1": "a", "a2": "a", "b": "b"}


@pytest.mark.parametrize(
    "table", ["case,label\na,CAP\nb,normal\n", "patient,label\na,CAP\nb,normal\n", "a,CAP\nb,normal\n"]
)
def test_every_case_is_another_patients_where_no_other_column_names_the_patient(write, table):
    assert read_patients(write(table)) == {"a": "a", "b": "b"}
