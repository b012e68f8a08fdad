"""Bootstrap intervals: as wide as theory says, the same every time, and absent where they would mean nothing."""

import numpy as np
import pytest

from CovidSeverityLib.evaluation.estimates import Estimate, bootstrap, clustered_mean, mean_estimate, rowwise


def test_interval_of_a_mean_is_as_wide_as_the_normal_one():
    values = np.random.default_rng(1).normal(10, 3, 200)
    estimate = mean_estimate(values)
    half = 1.96 * values.std(ddof=1) / np.sqrt(200)
    assert estimate.value == values.mean()
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.1 * half)
    assert estimate.n == 200


def test_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(2)
    inside = [e.low <= 0 <= e.high for e in (mean_estimate(random.normal(0, 1, 40)) for _ in range(200))]
    assert 0.90 <= np.mean(inside) <= 0.99


def test_same_data_give_the_same_interval():
    values = np.random.default_rng(3).random(30)
    assert mean_estimate(values) == mean_estimate(values)


def test_values_that_are_no_numbers_are_left_out():
    assert mean_estimate([1.0, float("nan"), 3.0]).value == 2.0
    assert mean_estimate([1.0, float("nan"), 3.0]).n == 2


def test_one_value_has_no_interval_and_none_has_no_value():
    assert mean_estimate([0.5]) == Estimate(0.5, None, None, 1)
    assert mean_estimate([]) == Estimate(None, None, None, 0)
    assert clustered_mean([[], []]) == Estimate(None, None, None, 0)


def test_equal_values_have_an_interval_of_no_width():
    estimate = mean_estimate([0.7] * 10)
    assert estimate.low == estimate.high == pytest.approx(0.7)


def test_slices_of_one_patient_do_not_count_as_patients():
    random = np.random.default_rng(4)
    groups = [(level + random.normal(0, 0.01, 50)).tolist() for level in random.normal(0.5, 0.2, 12)]
    grouped, single = clustered_mean(groups), mean_estimate(np.concatenate(groups))
    assert grouped.value == pytest.approx(single.value)
    assert grouped.n == single.n == 600
    assert grouped.high - grouped.low > 4 * (single.high - single.low)


def test_slices_of_a_single_file_are_resampled_one_by_one():
    values = [0.1, 0.2, 0.6, 0.9, 0.4]
    assert clustered_mean([values]) == mean_estimate(values)
    assert clustered_mean([values]).low < 0.44 < clustered_mean([values]).high


def test_group_without_values_does_not_make_a_group_of_slices():
    assert clustered_mean([[0.1, 0.2, 0.6], []]) == Estimate(pytest.approx(0.3), None, None, 3)


def test_statistic_that_most_resamples_leave_undefined_has_no_interval():
    truth = np.array([1.0] + [0.0] * 9)
    estimate = bootstrap([truth, truth], rowwise(lambda a, b: float(np.corrcoef(a, b)[0, 1])))
    assert estimate.value == pytest.approx(1.0)
    assert estimate.low is None


def test_measure_of_rows_is_resampled_in_pairs():
    x = np.arange(20.0)
    estimate = bootstrap([x, 2 * x], rowwise(lambda a, b: float(np.abs(b - 2 * a).max())))
    assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)


def test_estimate_reads_as_value_and_interval():
    assert Estimate(0.8126, 0.79, 0.8333, 9).text() == "0.813 (0.790 to 0.833)"
    assert Estimate(-1.04, -1.7, 0.2, 9).text(2) == "−1.04 (−1.70 to 0.20)"
    assert Estimate(0.5, None, None, 1).text(1) == "0.5"
    assert Estimate(None, None, None, 0).text() == "-"
