"""Tables of true and predicted severity scores, and which rows belong together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.evaluation.paper.ctss_tables import (
    CtssPredictions,
    match_ctss,
    read_ctss_predictions,
    read_ctss_truth,
)


@pytest.fixture(scope="session")
def reference_scores(real_data) -> Path:
    """The folder of the published scores."""
    return real_data("data/reference")


@pytest.fixture
def write(tmp_path) -> Callable[[str], Path]:
    """A function that writes a table and returns its path."""

    def to_file(text: str) -> Path:
        path = tmp_path / "scores.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


@pytest.fixture
def truth(write) -> Callable[[str], dict[str, int]]:
    """A function that writes a table and reads its true scores."""
    return lambda text: dict(read_ctss_truth(write(text)))


@pytest.fixture
def predictions(write) -> Callable[[str], CtssPredictions]:
    """A function that writes a table and reads its predictions."""
    return lambda text: read_ctss_predictions(write(text))


@pytest.mark.parametrize(
    "text",
    [
        "IITM_001,2\nIITM_002,25\n",
        "IITM_001;2\r\nIITM_002;25",
        "case,ctss\nIITM_001,2\nIITM_002,25\n",
        "id,Patient Name,Severity Score\n1,IITM_001,2.0\n2,IITM_002,25\n",
        ",PatientID,CTSS_GT\n0,IITM_001,2\n1,IITM_002,25\n",
        "case,truth,ctss,ctss_max_variant\nIITM_001,2,9,9\nIITM_002,25,9,9\n",
        "IITM_001,2\nIITM_002,25\nIITM_001,2\n",
    ],
)
def test_true_scores_are_read_with_and_without_a_header(truth, text):
    assert truth(text) == {"IITM_001": 2, "IITM_002": 25}


def test_cases_may_be_numbers(truth):
    assert truth("1,2\n2,25\n") == {"1": 2, "2": 25}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("P001,26\n", "scores.csv, line 1: the score is '26'; a whole number from 0 to 25 is needed"),
        ("P001,1\nP002,-1\n", "line 2: the score is '-1'"),
        ("P001,2.5\n", "'2.5'"),
        ("P001,\nP002,3\n", "line 1: the score is ''"),
        ("P001,mild\n", "'mild'"),
        ("P001,nan\n", "'nan'"),
        ("P001,1_0\n", "'1_0'"),
        ("P001,2\nP002,3\nP001,3\n", "line 3: P001 has another score than in line 1"),
        ("case,ctss\nP001,2\n,3\n", "line 3: the row names no case"),
        ("case,points\nP001,2\n", "no column has the score; .* case, points are there"),
        ("age,ctss\n50,2\n", "no column names the case"),
        ("case,ctss,score\nP001,2,2\n", r"several columns \(ctss, score\)"),
        ("P001,2,3\n", "it has 3 columns and no header"),
    ],
)
def test_wrong_true_scores_are_refused(truth, text, reason):
    with pytest.raises(InputError, match=reason):
        truth(text)


def test_the_published_results_are_truth_and_two_variants(predictions):
    found = predictions("2,4,13\n21,18,25\n5,7,23\n")
    assert found.cases is None
    assert found.truth == (2, 21, 5)
    assert dict(found.variants) == {"mean": (4, 18, 7), "max": (13, 25, 23)}


def test_an_only_column_of_scores_is_called_ctss(predictions):
    for text in ("P001,4\nP002,7.5\n", "case,Severity Score\nP001,4\nP002,7.5\n"):
        found = predictions(text)
        assert found.cases == ("P001", "P002")
        assert found.truth is None
        assert repr(found.variants["ctss"]) == "(4, 7.5)"


def test_our_own_results_are_read_and_other_columns_passed_over(predictions):
    found = predictions(
        "case,truth,ctss,ctss_max_variant,tss,lobe_RUL,infection_percent,seconds,profile\n"
        "P001,6,5,25,4,1,12.5,8.1,reference\nP002,2,4,13,3,1,0.5,8.2,reference\n"
    )
    assert found.cases == ("P001", "P002")
    assert found.truth == (6, 2)
    assert dict(found.variants) == {"ctss": (5, 4), "ctss_max_variant": (25, 13)}


def test_a_column_without_any_score_is_no_variant(predictions):
    found = predictions("case,ctss,ctss_max_variant\nP001,5,\nP002,4,\n")
    assert dict(found.variants) == {"ctss": (5, 4)}


def test_a_case_repeated_with_its_scores_counts_once(predictions):
    found = predictions("case,truth,ctss\nP001,6,5\nP002,1,2\nP001,6,5\n")
    assert (found.cases, found.truth, dict(found.variants)) == (("P001", "P002"), (6, 1), {"ctss": (5, 2)})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("case,ctss\nP001,26\n", "line 2: the score is '26'; a number from 0 to 25 is needed"),
        ("case,ctss,mean\nP001,1,2\nP002,3,\n", "line 3: the score is ''"),
        ("case,truth,ctss\nP001,2.5,2\n", "'2.5'; a whole number"),
        ("case,ctss\nP001,2\nP001,3\n", "P001 has another score than in line 2"),
        ("case,truth\nP001,2\n", "no column has scores"),
        ("case,ctss,ctss\nP001,2,3\n", "have the same name"),
        ("2,4\n3,5\n", "not clear what its 2 columns are"),
        ("P001,4,5\n", "not clear what its 3 columns are"),
        ("1,4,5\n2,5,6\n3,6,7\n4,7,8\n5,8,9\n", "not clear what its 3 columns are"),
        ("1,4,5,6\n", "not clear what its 4 columns are"),
    ],
)
def test_wrong_predictions_are_refused(predictions, text, reason):
    with pytest.raises(InputError, match=reason):
        predictions(text)


def test_named_predictions_are_matched_by_name_in_the_order_of_the_truth(predictions):
    pairs = match_ctss(predictions("case,mean,max\nP003,3,9\np001.nii.gz,1,7\nP002,2,8\n"), {"P001": 10, "P003": 30})
    assert pairs.cases == ("P001", "P003")
    assert pairs.truth == (10, 30)
    assert dict(pairs.variants) == {"mean": (1, 3), "max": (7, 9)}
    assert pairs.matched_by == "name"
    assert [(f.case, f.reason) for f in pairs.failures] == [("P002", "there is no true score for it")]


def test_cases_without_a_prediction_are_failures(predictions):
    pairs = match_ctss(predictions("P001,1\nP002,2\n"), {"P001": 10, "P009": 5})
    assert pairs.cases == ("P001",)
    assert [f.case for f in pairs.failures] == ["P009", "P002"]


def test_unclear_names_are_failures_that_name_what_is_possible(predictions):
    pairs = match_ctss(predictions("a/P001,1\nb/P001,2\nP002,3\n"), {"P001": 10, "P002": 3})
    assert pairs.cases == ("P002",)
    assert [(f.case, f.reason) for f in pairs.failures] == [
        ("P001", "which prediction belongs to it is not clear: a/P001, b/P001")
    ]


def test_no_case_in_common_is_refused(predictions):
    with pytest.raises(InputError, match=r"scores.csv and the true scores have no case in common"):
        match_ctss(predictions("case1,1\n"), {"case11": 2})


def test_another_truth_beside_named_predictions_is_refused(predictions):
    found = predictions("case,truth,ctss\nP002,2,3\nP001,6,5\n")
    assert match_ctss(found, {"P001": 6, "P002": 2}).truth == (6, 2)
    with pytest.raises(InputError, match="2 as the true score of P002, but the table of true scores has 3"):
        match_ctss(found, {"P001": 6, "P002": 3})


def test_predictions_without_names_are_matched_by_row(predictions):
    pairs = match_ctss(predictions("mean,max\n4,13\n18,25\n"), {"P001": 2, "P002": 21})
    assert pairs.cases == ("P001", "P002")
    assert dict(pairs.variants) == {"mean": (4, 18), "max": (13, 25)}
    assert (pairs.matched_by, pairs.failures) == ("row order", ())


def test_rows_whose_truth_is_another_are_refused_with_the_row(predictions):
    found = predictions("2,4,13\n21,18,25\n")
    assert match_ctss(found, {"P001": 2, "P002": 21}).matched_by == "row order"
    with pytest.raises(InputError, match="the truth in its row 2 is 21, but that of P002 is 20"):
        match_ctss(found, {"P001": 2, "P002": 20})


def test_another_number_of_rows_is_refused(predictions):
    with pytest.raises(InputError, match="has 2 rows, but 1 cases have true scores"):
        match_ctss(predictions("2,4,13\n21,18,25\n"), {"P001": 2})


def test_without_a_table_of_truth_the_predictions_own_counts(predictions):
    pairs = match_ctss(predictions("2,4,13\n21,18,25\n"), None)
    assert pairs.cases == ("row 1", "row 2")
    assert pairs.truth == (2, 21)
    assert pairs.matched_by == "the predictions' own truth"
    assert match_ctss(predictions("case,truth,ctss\nP001,2,3\n"), None).cases == ("P001",)


def test_without_any_truth_one_is_asked_for(predictions):
    with pytest.raises(InputError, match=r"scores.csv holds no true scores; .*--truth"):
        match_ctss(predictions("P001,2\n"), None)


def test_the_published_scores_are_read_and_matched(reference_scores):
    true_scores = read_ctss_truth(reference_scores / "CTSS_GT.csv")
    found = read_ctss_predictions(reference_scores / "CTSS_results.csv")
    pairs = match_ctss(found, true_scores)
    assert len(pairs.cases) == 50
    assert pairs.matched_by == "row order"
    assert pairs.failures == ()
    row = pairs.cases.index("P001")
    assert (pairs.truth[row], pairs.variants["mean"][row], pairs.variants["max"][row]) == (6, 5, 25)
