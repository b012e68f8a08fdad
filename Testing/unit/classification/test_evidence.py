"""Which slices decided, and where a classifier looked in them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.classification.diagnosis import SliceEvidence, network_images
from CovidSeverityLib.classification.evidence import (
    DECIDING_SLICES,
    classify_slices,
    deciding_slices,
    identity_of,
    with_evidence,
)
from CovidSeverityLib.classification.loading import KnownClassifier
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.features.classification_image import CLASSIFICATION_IMAGES, classification_images
from CovidSeverityLib.types import Diagnosis

NORMAL, CAP, COVID19 = Diagnosis
SIZE = 40


class Brightness:
    """COVID-19 as likely as the image is bright on average; says that it looked where the image is bright."""

    name, sha256 = "brightness", "0f" * 32

    def __init__(self, image="as-published"):
        self.description = NetworkDescription(backbone="EfficientNetB0", size_px=SIZE, image=image)
        self.seen, self.asked = [], []

    def __call__(self, images):
        self.seen.append(images.copy())
        bright = np.clip(images.mean(axis=(1, 2)) / 40, 0.05, 0.9)
        return np.stack([1 - bright, 0 * bright, bright], axis=1).astype(np.float32)

    def explain(self, images, diagnoses):
        self.asked.append((images.copy(), tuple(diagnoses)))
        coarse = images.reshape(len(images), 4, SIZE // 4, 5, SIZE // 5).mean(axis=(2, 4))
        return (coarse / np.maximum(coarse.max(axis=(1, 2), keepdims=True), 1)).astype(np.float32)


@pytest.fixture(scope="module")
def chest(factory):
    """Volume and lung of a chest of 20 slices, infected at its base."""
    made = factory.make_chest()
    return factory.make_volume(made.hu), made.lungs > 0


def covid(*probabilities):
    return [(1 - p, 0.0, p) for p in probabilities]


def test_slices_that_decided_are_the_heaviest_and_surest_of_the_patients_label(factory):
    """Nine slices, thirds of three: outer ones count 0.7, so 0.9 there is less than 0.7 in the middle."""
    rows = covid(0.9, 0.6, 0.6, 0.7, 0.2, 0.66, 0.6, 0.6, 0.99)
    diagnosis = factory.make_diagnosis(rows, first=10)
    assert diagnosis.label == COVID19
    assert deciding_slices(diagnosis, 10.0) == (15, 10, 13, 18)
    assert len(deciding_slices(diagnosis, 10.0)) == DECIDING_SLICES


def test_slices_that_voted_otherwise_never_decided(factory):
    rows = [(0.1, 0.85, 0.05)] * 3 + covid(0.6, 0.6, 0.6) + [(0.1, 0.85, 0.05)] * 2
    diagnosis = factory.make_diagnosis(rows)
    assert diagnosis.label == CAP
    assert set(deciding_slices(diagnosis, 50.0)) <= {0, 1, 5, 6, 7}


def test_neighbours_of_a_slice_that_decided_are_passed_over(factory):
    diagnosis = factory.make_diagnosis(covid(*np.linspace(0.6, 0.9, 30)))
    assert deciding_slices(diagnosis, 2.5) == (10, 14, 18, 0)
    far = deciding_slices(diagnosis, 10.0)
    assert far == (10, 11, 12, 13)
    assert deciding_slices(diagnosis, 9.9) == (10, 12, 14, 16)
    assert deciding_slices(factory.make_diagnosis(covid(0.8, 0.9)), 2.0) == (0,)


def test_the_first_of_equals_decides(factory):
    assert deciding_slices(factory.make_diagnosis(covid(0.8, 0.8, 0.8)), 1.0) == (1,)
    assert deciding_slices(factory.make_diagnosis(covid(*[0.8] * 9)), 10.0) == (5, 4, 3, 8)


def test_classifier_is_given_its_own_kind_of_image_in_its_own_size(chest):
    volume, lung = chest
    for kind in ("as-published", "without-boundary"):
        classifier = Brightness(kind)
        found = classify_slices(volume, lung, classifier)
        images = classification_images(volume.hu, lung, CLASSIFICATION_IMAGES[kind], found.slices)
        np.testing.assert_array_equal(np.concatenate(classifier.seen), network_images(images, SIZE))
        assert found.classifier == identity_of(classifier)
        assert (found.classifier.name, found.classifier.sha256) == ("brightness", "0f" * 32)


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_batches_bound_what_the_classifier_is_given_and_change_nothing(chest, batch):
    classifier = Brightness()
    found = classify_slices(*chest, classifier, batch=batch)
    assert max(map(len, classifier.seen)) == min(batch, len(found.slices))
    np.testing.assert_array_equal(found.probabilities, classify_slices(*chest, Brightness()).probabilities)


def test_interpolated_slices_neither_vote_nor_decide(chest):
    volume, lung = chest
    whole = classify_slices(volume, lung, Brightness())
    (strongest, *_) = deciding_slices(whole, 5.0)
    gap = dataclasses.replace(volume, acquired=tuple(k != strongest for k in range(len(volume.hu))))
    found = classify_slices(gap, lung, Brightness())
    assert found.slices == tuple(k for k in whole.slices if k != strongest)
    assert strongest not in deciding_slices(found, 5.0)


def test_classifier_is_asked_about_the_patients_label_in_the_slices_that_decided(chest):
    volume, lung = chest
    classifier, calls = Brightness(), []
    found = classify_slices(volume, lung, classifier)
    explained = with_evidence(found, volume, lung, classifier, lambda *call: calls.append(call))
    slices = deciding_slices(found, 5.0)
    assert tuple(seen.index for seen in explained.evidence) == slices
    ((images, asked),) = classifier.asked
    assert asked == (found.label,) * len(slices)
    wanted = classification_images(volume.hu, lung, CLASSIFICATION_IMAGES["as-published"], slices)
    np.testing.assert_array_equal(images, network_images(wanted, SIZE))
    assert {seen.attention.shape for seen in explained.evidence} == {(4, 5)}
    assert calls == [("explanation", 0, len(slices)), ("explanation", len(slices), len(slices))]
    np.testing.assert_array_equal(explained.probabilities, found.probabilities)


@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.1])
def test_map_that_is_none_is_a_sentence_and_no_picture(chest, bad):
    class Broken(Brightness):
        def explain(self, images, diagnoses):
            return np.full((len(images), 3, 3), bad, np.float32)

    found = classify_slices(*chest, Broken())
    with pytest.raises(InputError, match="the classifier brightness did not tell where it looked: 4 maps of 0 to 1"):
        with_evidence(found, *chest, Broken())


def test_maps_of_other_slices_are_refused(chest):
    class Fewer(Brightness):
        def explain(self, images, diagnoses):
            return np.zeros((1, 3, 3), np.float32)

    found = classify_slices(*chest, Fewer())
    with pytest.raises(InputError, match="4 maps"):
        with_evidence(found, *chest, Fewer())
    with pytest.raises(ValueError, match="slices that were not classified"):
        dataclasses.replace(found, evidence=(SliceEvidence(99, np.zeros((2, 2), np.float32)),))


def test_what_is_known_of_the_weights_goes_with_the_classifier():
    known = KnownClassifier(Brightness(), "a paper", "CC0-1.0")
    assert dataclasses.astuple(identity_of(known))[3:] == ("a paper", "CC0-1.0")
    assert dataclasses.astuple(identity_of(Brightness()))[3:] == (None, None)
    images = np.full((2, SIZE, SIZE), 20, np.uint8)
    np.testing.assert_array_equal(known(images), Brightness()(images))
    np.testing.assert_array_equal(known.explain(images, [CAP] * 2), Brightness().explain(images, [CAP] * 2))
    assert known.description == Brightness().description
