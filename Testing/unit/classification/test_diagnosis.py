"""A patient's diagnosis by a classifier that is a few lines of the test."""

import numpy as np
import pytest

from CovidSeverityLib.classification.diagnosis import PatientDiagnosis, diagnose
from CovidSeverityLib.classification.voting import weighted_vote
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.features.classification_image import (
    PUBLISHED_CLASSIFICATION_IMAGE,
    classification_images,
    classification_slices,
)
from CovidSeverityLib.types import Diagnosis

NORMAL, CAP, COVID19 = Diagnosis
SIZE = 64
ROW, COLUMN = np.mgrid[:SIZE, :SIZE]
LUNG = np.hypot(ROW - 32, COLUMN - 32) < 26


def chest(lesion_px, size=LUNG.shape):
    """A slice for every radius of a lesion; lung in all but the first and last."""
    rng = np.random.default_rng(0)
    hu = np.where(LUNG, rng.normal(-860, 12, (len(lesion_px), SIZE, SIZE)), 40)
    for plane, radius in zip(hu, lesion_px, strict=True):
        plane[np.hypot(ROW - 32, COLUMN - 32) < radius] = -450
    lung = np.broadcast_to(LUNG, hu.shape).copy()
    lung[[0, -1]] = False
    return np.rint(hu).astype(np.int16), lung


class Recorder:
    """A classifier: COVID-19 as likely as the image's middle is bright; remembers what it was shown."""

    def __init__(self):
        self.batches = []

    def __call__(self, images):
        self.batches.append(images.copy())
        half = images.shape[1] // 2
        bright = (images[:, half - 3 : half + 3, half - 3 : half + 3] > 50).mean(axis=(1, 2))
        return np.stack([0.9 - 0.8 * bright, np.full(len(images), 0.1), 0.8 * bright], axis=1).astype(np.float32)


def run(hu, lung, classifier=None, **kwargs):
    kwargs = {"size_px": SIZE, **kwargs}
    return diagnose(hu, lung, classifier or Recorder(), PUBLISHED_CLASSIFICATION_IMAGE, **kwargs)


RADII = (0, 9, 9, 0, 9, 9, 0, 0)


def test_sick_slices_are_told_from_healthy_ones_and_vote():
    result = run(*chest(RADII))
    assert result.slices == (6, 5, 4, 3, 2, 1)
    sick, well = COVID19, NORMAL
    assert result.slice_labels == (well, sick, sick, well, sick, sick)
    assert result.label == COVID19
    assert result.vote == weighted_vote(result.slice_labels)


def test_classifier_sees_the_classification_images_from_superior_to_inferior():
    hu, lung = chest(RADII)
    recorder = Recorder()
    run(hu, lung, recorder)
    wanted = classification_images(hu, lung, PUBLISHED_CLASSIFICATION_IMAGE, classification_slices(lung))
    np.testing.assert_array_equal(np.concatenate(recorder.batches), wanted)
    assert recorder.batches[0].dtype == np.uint8


@pytest.mark.parametrize(("batch", "sizes"), [(1, [1] * 6), (4, [4, 2]), (6, [6]), (8, [6])])
def test_batches_change_the_calls_and_not_the_result(batch, sizes):
    recorder = Recorder()
    result = run(*chest(RADII), recorder, batch=batch)
    assert [len(images) for images in recorder.batches] == sizes
    np.testing.assert_array_equal(result.probabilities, run(*chest(RADII)).probabilities)


def test_progress_counts_slices_and_may_stop_the_work():
    calls = []
    run(*chest(RADII), batch=4, progress=lambda *call: calls.append(call))
    assert calls == [("classification", n, 6) for n in (0, 4, 6)]

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(*chest(RADII), progress=stop)


def test_image_of_another_size_is_resampled_to_the_classifiers():
    recorder = Recorder()
    result = run(*chest(RADII), recorder, size_px=96)
    assert recorder.batches[0].shape == (6, 96, 96)
    assert result.slice_labels == run(*chest(RADII)).slice_labels


def test_resampling_is_linear_and_keeps_edges_on_edges():
    """Twice the size: every new pixel lies a quarter of an old one from its centre."""
    hu, lung = chest(RADII)
    seen, enlarged = Recorder(), Recorder()
    run(hu, lung, seen)
    run(hu, lung, enlarged, size_px=2 * SIZE)
    old, new = (np.concatenate(r.batches).astype(float) for r in (seen, enlarged))
    wanted = sum(
        weight * old[:, row : SIZE - 1 + row, column : SIZE - 1 + column]
        for (row, column), weight in {(0, 0): 9 / 16, (0, 1): 3 / 16, (1, 0): 3 / 16, (1, 1): 1 / 16}.items()
    )
    assert np.abs(new[:, 1:-1:2, 1:-1:2] - wanted).max() <= 0.5
    np.testing.assert_array_equal(new[:, 0, 0], old[:, 0, 0])


def test_oblong_slices_become_square():
    hu, lung = chest(RADII)
    recorder = Recorder()
    run(hu[:, 4:-4], lung[:, 4:-4], recorder)
    assert recorder.batches[0].shape == (6, SIZE, SIZE)


def test_default_size_is_that_of_the_published_network():
    recorder = Recorder()
    diagnose(*chest((0, 9, 0)), recorder, PUBLISHED_CLASSIFICATION_IMAGE)
    assert recorder.batches[0].shape == (1, 512, 512)


def test_scan_without_lung_around_its_middle_is_refused():
    hu, lung = chest((0,) * 60)
    lung[5:] = False
    with pytest.raises(InputError, match=r"none of the slices around the middle of this scan \(60 slices\) shows lung"):
        run(hu, lung)


@pytest.mark.parametrize(
    ("answer", "message"),
    [(np.zeros((6, 2)), r"answered \(6, 2\) for 6 slices; \(6, 3\)"), (np.zeros(6), r"answered \(6,\)")],
)
def test_answer_of_another_shape_is_refused(answer, message):
    with pytest.raises(ValueError, match=message):
        run(*chest(RADII), lambda _: answer)


@pytest.mark.parametrize(
    "answer", [np.zeros((6, 3)), np.full((6, 3), np.nan), np.array([[1.5, -0.5, 0.0]] * 6)], ids=["0", "nan", "minus"]
)
def test_answer_that_is_no_probability_is_a_sentence_and_no_result(answer):
    with pytest.raises(InputError, match="the classifier answered values that are no probabilities; its weights"):
        run(*chest(RADII), lambda _: answer)


def test_interpolated_slices_do_not_vote():
    recorder = Recorder()
    hu, lung = chest(RADII)
    acquired = [n not in (2, 5) for n in range(len(RADII))]
    result = run(hu, lung, recorder, acquired=acquired)
    assert result.slices == (6, 4, 3, 1)
    whole = run(hu, lung)
    np.testing.assert_array_equal(result.probabilities, whole.probabilities[[0, 2, 3, 5]])
    with pytest.raises(InputError, match="none of the slices"):
        run(hu, lung, acquired=[False] * len(RADII))


def test_batch_of_no_slices_is_refused():
    with pytest.raises(ValueError, match="a batch of 0 slices"):
        run(*chest(RADII), batch=0)


# The value


def patient(rows):
    return PatientDiagnosis(tuple(range(len(rows))), np.array(rows, dtype=np.float32))


def test_mean_probabilities_favour_no_diagnosis_and_no_slice():
    rows = np.array([(0.2, 0.3, 0.5)] * 3 + [(0.5, 0.3, 0.2)] * 3, dtype=np.float32)
    result = PatientDiagnosis(tuple(range(6)), rows)
    np.testing.assert_allclose(result.mean_probabilities, (0.35, 0.3, 0.35), rtol=1e-6)
    even = PatientDiagnosis(tuple(range(9)), np.full((9, 3), 1 / 3, dtype=np.float32))
    np.testing.assert_allclose(even.mean_probabilities, 1 / 3, rtol=1e-6)


def test_scores_weigh_probabilities_like_votes():
    """Three slices: the middle one counts 1, the others 0.5 for normal and 0.7 for the rest."""
    result = patient([[0.5, 0.5, 0.0], [0.25, 0.25, 0.5], [0.0, 0.0, 1.0]])
    sums = np.array([0.5 * 0.5 + 0.25, 0.7 * 0.5 + 0.25, 0.5 + 0.7])
    np.testing.assert_allclose(result.scores, sums / sums.sum(), rtol=1e-7)
    assert result.scores.sum() == pytest.approx(1.0)


def test_certain_slices_score_as_they_vote():
    labels = (COVID19, NORMAL, CAP, NORMAL, COVID19, COVID19, NORMAL)
    result = patient(np.eye(3)[list(labels)])
    assert result.slice_labels == labels
    weights = np.array(weighted_vote(labels).weights)
    np.testing.assert_allclose(result.scores, weights / weights.sum())


def test_label_is_that_of_the_vote_and_not_of_the_largest_score():
    result = patient([[0.1, 0.0, 0.9], [0.9, 0.0, 0.1], [0.5, 0.0, 0.4], [1.0, 0.0, 0.0]])
    assert result.scores.argmax() == NORMAL
    assert result.vote.weights == (2.0, 0.0, 0.7)
    assert result.label == NORMAL
    near = patient([[0.1, 0.0, 0.9], [0.9, 0.0, 0.1], [0.1, 0.9, 0.0]])
    assert near.vote.weights == (1.0, 0.7, 0.7)
    assert near.scores.argmax() == NORMAL
    assert near.label == COVID19


def test_probabilities_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        patient([[1.0, 0.0, 0.0]]).probabilities[0, 0] = 0


@pytest.mark.parametrize("slices", [(), (1,)])
def test_probabilities_have_to_match_the_slices(slices):
    with pytest.raises(ValueError, match=f"do not match {len(slices)} slices"):
        PatientDiagnosis(slices, np.full((len(slices) * 2, 3), 1 / 3))
