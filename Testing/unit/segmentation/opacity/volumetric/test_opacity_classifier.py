"""The classifier of opacity: its file, its arithmetic, and the script that fits it."""

import json
from importlib.resources import files

import numpy as np
import pytest

from CovidSeverityLib.segmentation.opacity.volumetric.lung_features import FEATURES, gather_features
from CovidSeverityLib.segmentation.opacity.volumetric.opacity_classifier import (
    CLASSIFIER_FILE,
    OpacityClassifier,
    _layer,
    classifier_from,
    compressed,
    load_classifier,
)
from models.opacity_classifier.__main__ import content, described, first_cases, sheet, split
from models.opacity_classifier.cases import (
    SCANS,
    STYLES,
    Sample,
    healthy_case,
    painted_case,
    prepared,
    samples,
    scanned,
)
from models.opacity_classifier.fitting import committee, fit_network, quality_of

LARGEST_BYTES = 50_000


@pytest.fixture(scope="module")
def shipped():
    return (
        files("CovidSeverityLib.segmentation.opacity.volumetric").joinpath(CLASSIFIER_FILE).read_text(encoding="utf-8")
    )


@pytest.fixture(scope="module")
def chest(phantom_of):
    """A small healthy chest, as the fit gets it: no seed of the shipped file."""
    made = phantom_of(7, healthy=True, shape=(40, 128, 128), spacing_mm=(3.0, 3.0, 7.0))
    return prepared(made.volume, made.lungs)


def features(count, seed=0):
    return np.random.default_rng(seed).normal(0, 100, (len(FEATURES), count)).astype(np.float32)


def test_shipped_file_is_small_and_says_what_it_was_fitted_to(shipped):
    about = json.loads(shipped)["sheet"]
    assert len(shipped) < LARGEST_BYTES
    assert about["held out"]["area under the ROC curve"] > 0.97
    assert about["seeds"]["synthetic chests"][0] >= 100
    assert about["blocks"]["fitted"] > about["blocks"]["held out"] > 0


def test_shipped_probabilities_are_calibrated(shipped):
    rows = json.loads(shipped)["sheet"]["held out"]
    for _, told, true in rows["calibration (share of blocks, mean probability, share that is opacity)"]:
        assert told == pytest.approx(true, abs=0.12)


def test_logits_are_those_of_the_network():
    classifier, x = load_classifier(), features(1000)
    values = compressed(x).astype(np.float64)
    for n, (w, b) in enumerate(zip(classifier.weights, classifier.offsets, strict=True)):
        values = w.T.astype(np.float64) @ values + b[:, None]
        values = np.tanh(values) if n + 1 < len(classifier.weights) else values
    np.testing.assert_allclose(classifier.logits(x), values[0], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("count", [1, 2, 29, 1000])
def test_layer_sums_input_by_input_whatever_the_number_of_places(count):
    random = np.random.default_rng(count)
    values, weights, offsets = (
        random.normal(size=shape).astype(np.float32) for shape in ((29, count), (29, 40), (40,))
    )
    sums = np.repeat(offsets[:, None], count, axis=1)
    for row, by in zip(values, weights, strict=True):
        sums += by[:, None] * row
    np.testing.assert_array_equal(_layer(values, weights, offsets), sums)


def test_a_place_is_decided_alike_wherever_it_stands():
    classifier, x = load_classifier(), features(40_000)
    np.testing.assert_array_equal(classifier.logits(x)[33_001:], classifier.logits(x[:, 33_001:]))


def test_file_of_other_features_is_refused(shipped):
    other = json.loads(shipped) | {"features": ["density"]}
    with pytest.raises(ValueError, match="fitted to other features"):
        classifier_from(other)


def test_layers_that_do_not_fit_together_are_refused():
    with pytest.raises(ValueError, match=rf"weights \(3, 1\); expected \({len(FEATURES)}, 1\)"):
        OpacityClassifier((np.zeros((3, 1), np.float32),), (np.zeros(1, np.float32),))
    with pytest.raises(ValueError, match="2 outputs"):
        OpacityClassifier((np.zeros((len(FEATURES), 2), np.float32),), (np.zeros(2, np.float32),))


@pytest.mark.slow
def test_fit_learns_a_rule_of_two_features_and_its_file_gives_the_same_answers():
    made = []
    for seed in range(8 * SCANS):
        x = features(1000, seed).T.copy()
        made.append(Sample(x, x[:, 0] > x[:, 1] + 20, np.full(len(x), 1 / len(x), np.float32), "made up"))
    fitted, judged = split(made)
    assert (len(fitted), len(judged)) == (7 * SCANS, SCANS)
    classifier = fit_network(fitted, iterations=60)
    quality = quality_of(classifier, judged)
    assert quality.auc > 0.97
    assert quality.log_loss < 0.3
    assert sum(row[0] for row in quality.calibration) == pytest.approx(1.0)
    written = json.loads(json.dumps(content(classifier, sheet(fitted, judged, quality))))
    x = features(100, 9)
    np.testing.assert_allclose(classifier_from(written).logits(x), classifier.logits(x), atol=1e-3)


def made_up(seed):
    x = features(100, seed).T.copy()
    return Sample(x, x[:, 0] > 20, np.full(100, 0.01, np.float32), "made up")


def test_odds_of_a_committee_are_the_mean_of_its_networks():
    scans = [made_up(seed) for seed in range(4)]
    members = [fit_network(scans, 5, seed) for seed in (1, 2, 3)]
    x = features(50, 9)
    found = np.array([member.logits(x) for member in members])
    assert np.ptp(found, axis=0).max() > 0.1
    np.testing.assert_allclose(committee(members).logits(x), found.mean(axis=0), rtol=1e-4, atol=1e-4)


def test_committee_is_judged_by_what_none_of_its_networks_was_fitted_to():
    parts = [[made_up(100 * part + n) for n in range(16 * SCANS)] for part in (0, 1)]
    sets = [split(first_cases(parts, count))[0] for count in (6, 16)]
    about = described(parts, sets, fit_network(sets[0], 5))
    # the larger set leaves out cases 0 and 8 of either part; the smaller was fitted to case 0 of the second
    assert about["scans"] == {"fitted": 29 * SCANS, "held out": 3 * SCANS}


@pytest.mark.parametrize("style", STYLES)
def test_painted_opacities_are_dense_and_nothing_else_is_changed(chest, style):
    rng = np.random.default_rng(5)
    healthy = healthy_case(*chest, rng)
    painted = painted_case(healthy, style, rng)
    change = painted.volume.hu.astype(int) - healthy.volume.hu
    assert not painted.truth[healthy.lungs == 0].any()
    if style == "healthy":
        assert not painted.truth.any()
        assert not change.any()
    else:
        assert painted.truth.any()
        assert np.median(change[painted.truth]) > 60
        far = (healthy.lungs > 0) & (healthy.depth_mm > 0) & (painted.opacity_share == 0)
        assert not change[far].any()


def test_samples_are_weighted_back_to_the_whole_lung(chest):
    first, *others = made = list(samples([chest], 1, seed=3))
    assert len(others) == SCANS - 1
    for sample in made:
        assert sample.features.shape == (len(sample.truth), len(FEATURES))
        assert sample.weight.sum() == pytest.approx(1.0, rel=1e-4)
    again = next(iter(samples([chest], 1, seed=3)))
    np.testing.assert_array_equal(first.features, again.features)


def test_scans_of_a_case_keep_truth_inside_the_lungs(chest):
    rng = np.random.default_rng(1)
    healthy = healthy_case(*chest, rng)
    painted = painted_case(healthy, "patches", rng)
    volume, truth, lung = scanned(painted, healthy.lungs, 14.0, rng)
    assert volume.geometry.spacing_kji[0] == pytest.approx(14.0)
    assert truth.any()
    assert not (truth & ~lung).any()
    found = gather_features(volume.hu, lung, volume.geometry)
    assert np.isfinite(found.values).all()
