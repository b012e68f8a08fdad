"""Changed images: what may change and how far, and the same bits in any order of reading."""

from dataclasses import replace

import numpy as np
import pytest

from CovidSeverityLib.classification.training.augmentation import Augmentation, AugmentationConfig
from CovidSeverityLib.classification.training.examples import CaseSlices, ImageExamples, VectorExamples
from CovidSeverityLib.errors import ConfigurationError

SIZE = 41
NOTHING = AugmentationConfig(mirror=0, shift=0, rotation_deg=0, gain=0)


def changed(image, number=1, seed=0, **fields):
    """``number`` changed versions of one image."""
    augmentation = Augmentation(replace(NOTHING, **fields), seed)
    return augmentation.applied(np.stack([image] * number), "ct", range(number))


def dot(row, column, value=200):
    image = np.zeros((SIZE, SIZE), dtype=np.uint8)
    image[row - 1 : row + 2, column - 1 : column + 2] = value
    return image


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).integers(0, 256, (SIZE, SIZE)).astype(np.uint8)


def test_images_without_a_change_are_the_same_bits(noise):
    np.testing.assert_array_equal(changed(noise)[0], noise)


def test_mirrored_images_exchange_left_and_right_and_never_front_and_back(noise):
    np.testing.assert_array_equal(changed(noise, mirror=1)[0], noise[:, ::-1])
    half = changed(noise, 200, mirror=0.5)
    mirrored = [np.array_equal(image, noise[:, ::-1]) for image in half]
    assert all(m or np.array_equal(image, noise) for m, image in zip(mirrored, half, strict=True))
    assert 70 < sum(mirrored) < 130


def test_shift_is_at_most_its_share_of_the_edge_along_each_axis():
    places = np.array([np.argwhere(image).mean(axis=0) for image in changed(dot(20, 20), 200, shift=0.1)]) - 20
    assert np.abs(places).max() <= 0.1 * SIZE + 0.5
    assert (places.max(axis=0) >= 3).all()
    assert (places.min(axis=0) <= -3).all()


def test_rotation_is_about_the_middle_and_at_most_its_angle():
    places = np.array([np.argwhere(image).mean(axis=0) for image in changed(dot(20, 35), 200, rotation_deg=20)]) - 20
    np.testing.assert_allclose(np.hypot(*places.T), 15, atol=0.8)
    angles = np.rad2deg(np.arctan2(*places.T))
    assert np.abs(angles).max() < 22
    assert angles.max() > 15
    assert angles.min() < -15


def test_gain_changes_densities_within_its_share_and_leaves_air_black():
    images = changed(dot(20, 20, 100), 100, gain=0.2)
    assert not images[:, 0, 0].any()
    assert 80 <= images[:, 20, 20].min() < 85
    assert 115 < images[:, 20, 20].max() <= 120
    assert changed(dot(20, 20, 250), 100, gain=0.2).max() == 255


def test_changes_depend_on_seed_epoch_case_and_slice_and_on_nothing_else(training_factory, tmp_path):
    cases, prepared = training_factory.easy_cases(tmp_path, 1, 16, slices=3)
    plain = ImageExamples(
        tuple(CaseSlices(c.name, c.diagnosis, 3) for c in cases), tuple(prepared.images[c.name] for c in cases)
    )
    examples = replace(plain, augmentation=Augmentation(AugmentationConfig(), seed=0))
    whole = examples.for_epoch(2).read(np.arange(9))
    order = np.array([8, 0, 4, 3, 0])
    np.testing.assert_array_equal(examples.for_epoch(2).read(order), whole[order])
    last = replace(examples, cases=examples.cases[2:], images=examples.images[2:])
    np.testing.assert_array_equal(last.for_epoch(2).read(np.arange(3)), whole[6:])
    assert not np.array_equal(examples.for_epoch(3).read(np.arange(9)), whole)
    other = replace(plain, augmentation=Augmentation(AugmentationConfig(), seed=1))
    assert not np.array_equal(other.for_epoch(2).read(np.arange(9)), whole)
    assert plain.for_epoch(2) is plain


def test_vectors_and_their_copies_take_turns():
    first, second = np.zeros((2, 3), dtype=np.float32), np.ones((2, 3), dtype=np.float32)
    examples = VectorExamples((), first, (second,))
    for epoch, wanted in ((1, first), (2, second), (3, first)):
        np.testing.assert_array_equal(examples.for_epoch(epoch).read(np.arange(2)), wanted)


@pytest.mark.parametrize(("field", "value"), [("mirror", 1.1), ("shift", -0.1), ("rotation_deg", 181), ("copies", 0)])
def test_values_out_of_range_are_refused(field, value):
    with pytest.raises(ConfigurationError, match=rf"{field} is {value}; expected"):
        AugmentationConfig(**{field: value})
