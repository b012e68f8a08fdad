"""The classification image of made-up slices, and which slices are classified."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from CovidSeverityLib.features.classification_image import (
    PUBLISHED_CLASSIFICATION_IMAGE,
    classification_images,
    classification_slices,
)
from CovidSeverityLib.features.lung_outline import lung_outline
from CovidSeverityLib.segmentation.opacity.published.config import PUBLISHED_CTSS
from CovidSeverityLib.segmentation.opacity.published.mixture import MixtureFit
from CovidSeverityLib.segmentation.opacity.published.vesselness import VesselnessConfig

PUBLISHED = PUBLISHED_CLASSIFICATION_IMAGE
NO_OUTLINE = replace(PUBLISHED, outline=False)
ROW, COLUMN = np.mgrid[:96, :112]


def disc(radius_px, row=48, column=56):
    """(J, I) bool."""
    return np.hypot(ROW - row, COLUMN - column) < radius_px


LUNG, LESION, SPOT = disc(40), disc(9, 60, 50), disc(3, 36, 66)
VESSEL = (np.abs(COLUMN - 40) < 1.5) & (np.abs(ROW - 40) < 14)


def chest(*slices):
    """HU and lung mask of noisy lung; every slice is {HU: where} in it."""
    hu = np.random.default_rng(0).normal(-860, 12, (len(slices), *ROW.shape))
    hu[:, ~LUNG] = 40
    for plane, parts in zip(hu, slices, strict=True):
        for value, where in parts.items():
            plane[where] = value
    return np.rint(hu).astype(np.int16), np.broadcast_to(LUNG, hu.shape).copy()


@pytest.fixture
def known_mixture(monkeypatch):
    """Windows of the published score: -590 to -410 HU and -65 to 25 HU."""
    fit = MixtureFit((-850.0, -500.0, -20.0), (40.0, 60.0, 30.0), (0.8, 0.1, 0.1), -1.0, 10, True)
    monkeypatch.setattr(
        "CovidSeverityLib.features.classification_image.slice_mixtures", lambda masked, _: [fit] * len(masked)
    )


def image_of(parts, config=NO_OUTLINE):
    return classification_images(*chest(parts), config)[0]


def test_published_image_has_the_windows_of_the_published_score_and_keeps_the_vessels():
    assert PUBLISHED.infection == PUBLISHED_CTSS
    assert (PUBLISHED.fill_holes, PUBLISHED.outline) == (True, True)
    assert (PUBLISHED.remove_vessels, PUBLISHED.open_area) == (False, False)
    with pytest.raises(FrozenInstanceError):
        PUBLISHED.outline = False


def test_image_is_what_the_windows_hold_stretched_to_0_255(known_mixture):
    """-500 HU is stored as 524, 24 HU as 1048: 127.5 of 255, which is rounded up."""
    image = image_of({-500: LESION, 24: SPOT})
    assert image.dtype == np.uint8
    assert set(image[LESION]) == {128}
    assert set(image[SPOT]) == {255}
    assert not image[~(LESION | SPOT)].any()


def test_halves_are_rounded_up_and_not_to_even(known_mixture):
    """Stored 1028 is the brightest; 514 is exactly 127.5 and 510 + 4 of it stays below."""
    image = image_of({4: SPOT, -510: LESION})
    assert set(image[LESION]) == {128}
    image = image_of({3: SPOT, -510: LESION})
    assert set(image[LESION]) == {round(255 * 514 / 1027)}


def test_outline_adds_950_to_what_lies_under_it(known_mixture):
    at_edge = LUNG & disc(10, 48, 92)
    image = image_of({-500: at_edge | LESION}, PUBLISHED)
    outline = lung_outline(LUNG)
    brightest = 524 + 950
    assert set(image[outline & at_edge]) == {255}
    assert set(image[outline & ~at_edge]) == {round(255 * 950 / brightest)}
    assert set(image[LESION]) == {round(255 * 524 / brightest)}
    assert not image[~(outline | at_edge | LESION)].any()


def test_hole_is_filled_with_its_own_density(known_mixture):
    ring, hole = LESION & ~disc(4, 60, 50), disc(4, 60, 50)
    parts = {-500: ring, -300: hole}
    filled, open_ = image_of(parts), image_of(parts, replace(NO_OUTLINE, fill_holes=False))
    assert set(filled[hole]) == {255}
    assert not open_[hole].any()
    assert set(open_[ring]) == {255}


def test_values_under_minus_1024_hu_count_as_stored_0(known_mixture):
    """In a filled hole; stored values are unsigned."""
    ring = LESION & ~disc(4, 60, 50)
    np.testing.assert_array_equal(image_of({-500: ring, -2048: disc(4, 60, 50)}), 255 * ring)


def test_filled_hole_that_is_no_lung_stays_dark(known_mixture):
    """A large vessel that the lung mask leaves out, inside a lesion."""
    vessel = disc(4, 60, 50)
    hu, lung = chest({-500: LESION, 40: vessel})
    lung[:, vessel] = False
    image = classification_images(hu, lung, NO_OUTLINE)[0]
    np.testing.assert_array_equal(image, 255 * (LESION & ~vessel))


def test_vessels_and_small_objects_stay_unless_switched_off(known_mixture):
    parts = {-500: LESION, 10: VESSEL | SPOT}
    published = image_of(parts)
    assert (published[VESSEL | SPOT] > 0).all()
    opened = image_of(parts, replace(NO_OUTLINE, open_area=True))
    assert not opened[SPOT].any()
    assert (opened[VESSEL] > 0).all()
    without = image_of(parts, replace(NO_OUTLINE, remove_vessels=True))
    assert not without[VESSEL].any()
    assert (without[disc(5, 60, 50)] > 0).all()


def test_vessels_go_before_small_objects(known_mixture):
    """A vessel joins two spots that are too small to stay without it."""
    spots = disc(4, 26, 40) | disc(4, 54, 40)
    parts = {10: VESSEL, -500: spots}
    assert (image_of(parts, replace(NO_OUTLINE, open_area=True))[spots] > 0).all()
    assert not image_of(parts, replace(NO_OUTLINE, open_area=True, remove_vessels=True))[spots | VESSEL].any()


def test_small_objects_go_before_holes_are_filled(known_mixture):
    """A ring of fewer than 50 pixels goes, although it would fill to more."""
    ring = disc(5, 60, 50) & ~disc(4, 60, 50)
    assert ring.sum() < 50 < disc(5, 60, 50).sum()
    assert image_of({-500: ring})[disc(5, 60, 50)].any()
    assert not image_of({-500: ring}, replace(NO_OUTLINE, open_area=True)).any()


def test_ablation_steps_follow_their_own_switches_and_not_those_of_the_infection(known_mixture):
    infection = replace(PUBLISHED_CTSS, vesselness=VesselnessConfig(enabled=False), open_area=False)
    parts = {-500: LESION, 10: VESSEL | SPOT}
    for switch in ("remove_vessels", "open_area"):
        config = replace(NO_OUTLINE, **{switch: True})
        np.testing.assert_array_equal(image_of(parts, replace(config, infection=infection)), image_of(parts, config))


def test_slices_are_taken_in_the_order_asked_for_and_stand_for_themselves():
    hu, lung = chest({-500: LESION}, {}, {-500: SPOT | LESION})
    every = classification_images(hu, lung, PUBLISHED)
    np.testing.assert_array_equal(classification_images(hu, lung, PUBLISHED, (2, 0)), every[[2, 0]])
    assert (every[0] != every[2]).any()


def test_no_slices_give_no_images():
    assert classification_images(*chest({}), PUBLISHED, ()).shape == (0, *ROW.shape)


def test_slice_with_too_few_values_shows_its_outline_alone_and_one_without_lung_nothing():
    hu, lung = chest({-500: LESION}, {}, {})
    hu[1] = -850
    lung[2] = False
    images = classification_images(hu, lung, PUBLISHED)
    np.testing.assert_array_equal(images[1], 255 * lung_outline(LUNG))
    assert not images[2].any()
    assert images[0][LESION].all()


def test_lung_of_one_value_has_no_mixture_and_no_warning():
    hu, lung = chest({-850: LUNG})
    np.testing.assert_array_equal(classification_images(hu, lung, PUBLISHED)[0], 255 * lung_outline(LUNG))
    assert not classification_images(hu, lung, NO_OUTLINE).any()


def test_labels_of_the_lungs_serve_as_well_as_a_mask():
    hu, lung = chest({-500: LESION})
    labels = np.where(COLUMN < 56, 1, 2).astype(np.uint8) * lung
    np.testing.assert_array_equal(
        classification_images(hu, labels, PUBLISHED), classification_images(hu, lung, PUBLISHED)
    )


def test_input_is_left_alone():
    hu, lung = chest({-500: LESION})
    before = hu.copy(), lung.copy()
    classification_images(hu, lung, PUBLISHED)
    np.testing.assert_array_equal(hu, before[0])
    np.testing.assert_array_equal(lung, before[1])


def test_mask_of_another_shape_is_refused():
    hu, lung = chest({}, {})
    with pytest.raises(ValueError, match=r"lung mask \(1, 96, 112\) does not match volume \(2, 96, 112\)"):
        classification_images(hu, lung[:1], PUBLISHED)


# Which slices


def shows_lung(number, without=()):
    lung = np.ones((number, 2, 2), dtype=bool)
    lung[list(without)] = False
    return lung


@pytest.mark.parametrize(
    ("number", "first", "last"),
    [(1, 1, 1), (30, 1, 30), (50, 1, 50), (53, 1, 51), (60, 5, 55), (80, 15, 65), (81, 1, 80), (131, 25, 105)],
)
def test_slices_around_the_middle_are_numbered_from_the_superior_end(number, first, last):
    """First and last in the authors' numbers: 1 is the most superior slice, our last."""
    assert classification_slices(shows_lung(number)) == tuple(number - n for n in range(first, last + 1))


def test_slices_run_from_superior_to_inferior():
    assert classification_slices(shows_lung(4)) == (3, 2, 1, 0)


def test_slices_without_lung_are_left_out_but_count_for_the_middle():
    assert classification_slices(shows_lung(6, without=(0, 1, 3))) == (5, 4, 2)
    assert classification_slices(shows_lung(60, without=range(5, 60))) == ()
    assert classification_slices(shows_lung(3, without=range(3))) == ()
