"""The Gaussian mixture over a histogram against expectation maximisation over the voxels themselves."""

import numpy as np
import pytest

from CovidSeverityLib.segmentation.opacity.published.mixture import MixtureConfig, fit_mixture, fit_mixtures
from CovidSeverityLib.segmentation.opacity.published.windows import histogram

LUNG = ((-860, 45, 0.80), (-560, 110, 0.14), (-20, 90, 0.06))
"""Mean HU, sd HU and weight of aerated lung, ground glass and tissue."""


def draw(parts, voxels=20_000, seed=0):
    """Integer HU of ``parts``, a (mean, sd, weight) triple each."""
    rng = np.random.default_rng(seed)
    means, sds, weights = (np.array(column, dtype=float) for column in zip(*parts, strict=True))
    which = rng.choice(len(parts), voxels, p=weights / weights.sum())
    return np.rint(rng.normal(means[which], sds[which])).astype(np.int16)


def em_over_voxels(hu, means, floor, tolerance, iterations):
    """Textbook expectation maximisation, one voxel at a time as far as the mathematics is concerned."""
    x = hu.astype(float)[:, None]
    means, weights = np.array(means, dtype=float), np.full(len(means), 1 / len(means))
    variances = np.full(len(means), x.var(ddof=1) + floor)
    history = []
    for _ in range(iterations):
        density = weights * np.exp(-((x - means) ** 2) / (2 * variances)) / np.sqrt(2 * np.pi * variances)
        history.append(np.log(density.sum(axis=1)).sum())
        share = density / density.sum(axis=1, keepdims=True)
        weights = share.mean(axis=0)
        means = (share * x).sum(axis=0) / share.sum(axis=0)
        variances = (share * (x - means) ** 2).sum(axis=0) / share.sum(axis=0) + floor
        if len(history) > 1 and abs(history[-1] - history[-2]) <= tolerance * abs(history[-1]):
            break
    return means, np.sqrt(variances), weights, history


def log_likelihood(hu, fit):
    x = hu.astype(float)[:, None]
    means, sds, weights = np.array(fit.means_hu), np.array(fit.sds_hu), np.array(fit.weights)
    return np.log((weights * np.exp(-(((x - means) / sds) ** 2) / 2) / (sds * np.sqrt(2 * np.pi))).sum(axis=1)).sum()


@pytest.mark.parametrize("floor", [0.1, 0.0])
@pytest.mark.parametrize("seed", range(3))
def test_fit_to_the_histogram_is_the_fit_to_the_voxels(seed, floor):
    hu = draw(LUNG, seed=seed)
    config = MixtureConfig(variance_floor_hu2=floor, tolerance=1e-6, max_iterations=100)
    fit = fit_mixture(*histogram(hu), config)
    means, sds, weights, history = em_over_voxels(hu, config.start_means_hu, floor, 1e-6, 100)
    assert fit.iterations == len(history)
    np.testing.assert_allclose(fit.means_hu, means, atol=1e-7)
    np.testing.assert_allclose(fit.sds_hu, sds, atol=1e-7)
    np.testing.assert_allclose(fit.weights, weights, atol=1e-10)
    assert fit.log_likelihood == pytest.approx(history[-1], rel=1e-12)


def test_known_mixture_is_recovered():
    fit = fit_mixture(*histogram(draw(LUNG, voxels=200_000)))
    means, sds, weights = zip(*LUNG, strict=True)
    assert fit.converged
    np.testing.assert_allclose(fit.means_hu, means, atol=8)
    np.testing.assert_allclose(fit.sds_hu, sds, atol=8)
    np.testing.assert_allclose(fit.weights, weights, atol=0.01)


def test_components_come_by_ascending_mean_whatever_the_start():
    hu = draw(LUNG)
    expected = fit_mixture(*histogram(hu))
    fit = fit_mixture(*histogram(hu), MixtureConfig(start_means_hu=(0.0, -850.0, -500.0)))
    np.testing.assert_allclose(fit.means_hu, expected.means_hu, atol=0.01)
    assert list(fit.means_hu) == sorted(fit.means_hu)


def test_likelihood_never_falls_from_one_iteration_to_the_next():
    values, counts = histogram(draw(LUNG, seed=4))
    course = [
        fit_mixture(values, counts, MixtureConfig(variance_floor_hu2=0.0, max_iterations=n)).log_likelihood
        for n in range(1, 60)
    ]
    assert np.diff(course).min() >= -1e-9 * abs(course[-1])
    assert course[-1] > course[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_own_start_is_at_least_as_good_as_random_starts(seed):
    hu = draw(LUNG, voxels=5_000, seed=seed)
    values, counts = histogram(hu)
    rng = np.random.default_rng(seed)
    random = [
        fit_mixture(values, counts, MixtureConfig(start_means_hu=tuple(rng.choice(hu, 3).astype(float))))
        for _ in range(5)
    ]
    own = fit_mixture(values, counts)
    assert own.log_likelihood >= max(fit.log_likelihood for fit in random) - 1e-6 * abs(own.log_likelihood)


def test_reported_likelihood_is_that_of_the_reported_mixture():
    hu = draw(LUNG)
    fit = fit_mixture(*histogram(hu))
    assert fit.log_likelihood == pytest.approx(log_likelihood(hu, fit), rel=1e-8)


@pytest.mark.parametrize("hu", [[], [-850], [-850] * 50 + [-500] * 50], ids=["none", "one", "two"])
def test_fewer_values_than_components_have_no_mixture(hu):
    assert fit_mixture(*histogram(np.array(hu, dtype=np.int16))) is None


def test_values_that_never_occur_do_not_count_as_values():
    values, counts = np.arange(-900, -800), np.zeros(100, dtype=np.int64)
    counts[[3, 60]] = 10
    assert fit_mixture(values, counts) is None


def test_three_distinct_values_give_a_finite_mixture():
    fit = fit_mixture(*histogram(np.repeat(np.array([-850, -500, 0], np.int16), [100, 20, 5])))
    np.testing.assert_allclose(fit.means_hu, (-850, -500, 0), atol=0.1)
    assert np.isfinite([*fit.sds_hu, *fit.weights, fit.log_likelihood]).all()


def test_value_far_from_everything_does_not_underflow():
    hu = np.concatenate([np.random.default_rng(0).normal(-860, 2, 5000).round().astype(np.int16), [30000, -1024]])
    fit = fit_mixture(*histogram(hu.astype(np.int32)))
    assert np.isfinite([*fit.means_hu, *fit.sds_hu, *fit.weights, fit.log_likelihood]).all()
    assert sum(fit.weights) == pytest.approx(1)


def test_no_variance_falls_under_its_floor():
    fit = fit_mixture(*histogram(np.repeat(np.array([-850, -500, 0], np.int16), 100)), MixtureConfig())
    assert min(fit.sds_hu) ** 2 >= 0.1


def test_order_of_voxels_does_not_matter_and_repeats_are_the_same_bits():
    hu = draw(LUNG)
    first, second = fit_mixture(*histogram(hu)), fit_mixture(*histogram(np.sort(hu)[::-1]))
    assert (first.means_hu, first.sds_hu, first.weights) == (second.means_hu, second.sds_hu, second.weights)
    assert (first.log_likelihood, first.iterations) == (second.log_likelihood, second.iterations)


def test_histograms_fitted_side_by_side_give_the_bits_of_each_alone():
    values = np.arange(-1024, 400)
    parts = [np.clip(draw(LUNG, voxels=2000 * (n + 1), seed=n), -1024, 399) for n in range(5)]
    counts = np.array([np.bincount(part + 1024, minlength=values.size) for part in parts])
    counts[3] = 0
    together = fit_mixtures(values, counts)
    assert together[3] is None
    for n in (0, 1, 2, 4):
        alone = fit_mixture(values, counts[n])
        assert (together[n].means_hu, together[n].sds_hu) == (alone.means_hu, alone.sds_hu)
        assert (together[n].log_likelihood, together[n].iterations) == (alone.log_likelihood, alone.iterations)


def test_cap_on_iterations_ends_the_fit_as_not_converged():
    fit = fit_mixture(*histogram(draw(LUNG)), MixtureConfig(max_iterations=3))
    assert fit.iterations == 3
    assert not fit.converged


def test_histogram_counts_every_value_once():
    values, counts = histogram(np.array([[5, -2], [5, 3]], dtype=np.int16))
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {
        -2: 1,
        -1: 0,
        0: 0,
        1: 0,
        2: 0,
        3: 1,
        4: 0,
        5: 2,
    }
    assert [a.size for a in histogram(np.empty(0, dtype=np.int16))] == [0, 0]
