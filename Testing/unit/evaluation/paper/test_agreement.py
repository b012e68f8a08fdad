"""Agreement of scores: every measure against the library that has it."""

import warnings

import numpy as np
import pandas as pd
import pingouin
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from CovidSeverityLib.evaluation.paper.agreement import (
    MEASURES,
    SEVERITY_CLASSES,
    _icc_of_resamples,
    agreement,
    severity_class,
    severity_table,
)


@pytest.fixture(scope="module")
def scores():
    """Truth and scores of 40 made-up patients, with an error that grows and a bias."""
    random = np.random.default_rng(5)
    truth = random.integers(0, 26, 40)
    return truth, np.clip(np.rint(0.8 * truth - 1 + random.normal(0, 2, 40)), 0, 25).astype(int)


@pytest.fixture(scope="module")
def found(scores):
    """Every measure of the made-up patients."""
    return agreement(*scores)


def test_every_measure_is_there_with_its_interval(found):
    assert tuple(found) == MEASURES
    assert all(e.low <= e.value <= e.high and e.n == 40 for e in found.values())


def test_correlations_are_those_of_scipy(found, scores):
    assert found["pearson"].value == pytest.approx(stats.pearsonr(*scores).statistic)
    assert found["spearman"].value == pytest.approx(stats.spearmanr(*scores).statistic)


def test_errors_and_limits_are_those_of_bland_and_altman(found, scores):
    difference = scores[1] - scores[0]
    assert found["bias"].value == pytest.approx(difference.mean())
    assert found["bias"].value < 0
    assert found["mae"].value == pytest.approx(np.abs(difference).mean())
    assert found["rmse"].value == pytest.approx(np.sqrt((difference**2).mean()))
    assert found["limit_low"].value == pytest.approx(difference.mean() - 1.96 * difference.std(ddof=1))
    assert found["limit_high"].value == pytest.approx(difference.mean() + 1.96 * difference.std(ddof=1))


def test_kappa_is_that_of_scikit_learn_over_severity(found, scores):
    classes = [[severity_class(v) for v in column] for column in scores]
    assert found["kappa_linear"].value == pytest.approx(cohen_kappa_score(*classes, weights="linear"))
    assert found["kappa_quadratic"].value == pytest.approx(cohen_kappa_score(*classes, weights="quadratic"))


def icc(truth, scores):
    """ICC(2,1) by pingouin."""
    long = pd.DataFrame({"n": [*range(len(truth))] * 2, "r": np.repeat([0, 1], len(truth)), "v": [*truth, *scores]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = pingouin.intraclass_corr(long, "n", "r", "v")
    return float(table[table["Type"].isin(["ICC2", "ICC(A,1)"])]["ICC"].iloc[0])


def test_intraclass_correlation_is_that_of_pingouin(found, scores):
    assert found["icc_2_1"].value == pytest.approx(icc(*scores))


@pytest.mark.parametrize("seed", range(4))
def test_intraclass_correlation_of_resamples_is_that_of_pingouin(seed):
    random = np.random.default_rng(seed)
    truth = random.normal(8, 4, (3, 15))
    scores = truth + random.normal(-1, 3, (3, 15))
    expected = [icc(t, s) for t, s in zip(truth, scores, strict=True)]
    np.testing.assert_allclose(_icc_of_resamples(truth, scores), expected, rtol=1e-9)


def test_perfect_scores_agree_perfectly():
    truth = [0, 3, 7, 12, 19, 25]
    found = agreement(truth, truth)
    ones = ("pearson", "spearman", "icc_2_1", "kappa_linear", "kappa_quadratic")
    assert [found[name].value for name in ones] == pytest.approx([1] * 5)
    assert [found[name].value for name in ("mae", "rmse", "bias", "limit_low", "limit_high")] == [0] * 5


def test_constant_scores_have_no_correlation():
    found = agreement([3, 5, 9, 14], [6, 6, 6, 6])
    assert found["pearson"].value is None
    assert found["spearman"].value is None
    assert found["mae"].value == pytest.approx((3 + 1 + 3 + 8) / 4)


def test_single_case_has_an_error_and_nothing_else():
    found = agreement([6], [5])
    assert {name for name, e in found.items() if e.value is not None} == {"mae", "rmse", "bias"}
    assert found["bias"].value == -1


@pytest.mark.parametrize(
    ("score", "word"), [(0, "mild"), (7, "mild"), (8, "moderate"), (17, "moderate"), (18, "severe")]
)
def test_severity_begins_at_8_and_18(score, word):
    assert SEVERITY_CLASSES[severity_class(score)] == word


def test_rows_of_the_severity_table_are_the_truth():
    np.testing.assert_array_equal(severity_table([1, 1, 20], [2, 9, 9]), [[1, 1, 0], [0, 0, 0], [0, 1, 0]])
