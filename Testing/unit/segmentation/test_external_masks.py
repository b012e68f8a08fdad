"""Lung and lobe masks that were made elsewhere: accepted, refused, fitted to the lungs."""

import numpy as np
import pytest

from CovidSeverityLib import analyze
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.segmentation.lobes.external_lobes import LOBE_SCHEMES, fit_to_lungs, lobes_from_labels, lungs_of
from CovidSeverityLib.segmentation.lobes.values import LobeSegmentation
from CovidSeverityLib.segmentation.lungs.external_lungs import lungs_from_labels
from CovidSeverityLib.types import Lobe, Side

NAME = "mask.nii.gz"
LUNGMASK = {Lobe.LUL: 1, Lobe.LLL: 2, Lobe.RUL: 3, Lobe.RML: 4, Lobe.RLL: 5}
TOTAL_SEGMENTATOR = {Lobe.LUL: 10, Lobe.LLL: 11, Lobe.RUL: 12, Lobe.RML: 13, Lobe.RLL: 14}
SCHEMES = {"lungmask": LUNGMASK, "TotalSegmentator": TOTAL_SEGMENTATOR}


@pytest.fixture(scope="module")
def chest(factory):
    return factory.make_chest((30, 60, 80))


@pytest.fixture(scope="module")
def volume(factory, chest):
    return factory.make_volume(chest.hu, spacing_mm=(4.0, 4.0, 8.0))


def in_scheme(lobes, scheme):
    labels = np.zeros(lobes.shape, dtype=np.uint8)
    for lobe, label in scheme.items():
        labels[lobes == lobe] = label
    return labels


# Lungs


def test_labels_of_lungmask_are_the_sides(chest, volume):
    found = lungs_from_labels(chest.lungs, volume, NAME)
    np.testing.assert_array_equal(found.labels, chest.lungs)
    assert found.source == f"file {NAME}"


@pytest.mark.parametrize("label", [1, 2, 255])
def test_single_label_is_split_into_the_sides(chest, volume, label):
    found = lungs_from_labels(np.where(chest.lungs > 0, label, 0), volume, NAME)
    np.testing.assert_array_equal(found.labels, chest.lungs)


def test_single_label_is_split_though_the_lungs_touch(chest, volume):
    both = (chest.lungs > 0).copy()
    both[14:17, 20:23, 30:50] = True
    labels = lungs_from_labels(both.astype(np.uint8), volume, NAME).labels
    np.testing.assert_array_equal(labels > 0, both)
    assert np.mean(labels[chest.lungs > 0] == chest.lungs[chest.lungs > 0]) > 0.99


def test_swapped_lungs_are_refused(chest, volume):
    with pytest.raises(InputError, match=r"mask\.nii\.gz has its right lung on the patient's left"):
        lungs_from_labels(np.where(chest.lungs > 0, 3 - chest.lungs, 0), volume, NAME)


@pytest.mark.parametrize(("labels", "said"), [((1, 3), "1, 3"), ((1, 2, 3), "1, 2, 3"), ((), "none")])
def test_other_labels_of_lungs_are_refused_with_what_was_got(chest, volume, labels, said):
    mask = np.zeros(chest.lungs.shape, dtype=np.uint8)
    for n, label in enumerate(labels):
        mask[n] = label
    with pytest.raises(InputError, match=f"has the labels {said}; expected 1"):
        lungs_from_labels(mask, volume, NAME)


def test_long_list_of_labels_is_cut(volume):
    mask = np.arange(volume.hu.size).reshape(volume.hu.shape) % 200
    with pytest.raises(InputError, match=r"1, 2, 3, 4, 5, 6, 7, 8, \.\.\.;"):
        lungs_from_labels(mask, volume, NAME)


def test_mask_that_is_not_on_lungs_is_refused(chest, volume):
    tissue = np.roll(chest.lungs, 12, axis=1) & np.where(chest.hu > -200, 255, 0).astype(np.uint8)
    with pytest.raises(
        InputError, match=r"does not lie on the lungs of this CT: \d+ % .* inside the body and \d+ % is aerated"
    ):
        lungs_from_labels(tissue, volume, NAME)


def test_missing_lung_of_a_given_mask_is_noted(chest, volume):
    found = lungs_from_labels(np.where(chest.lungs == Side.LEFT, 1, 0), volume, NAME)
    assert set(np.unique(found.labels).tolist()) == {0, Side.LEFT}
    assert "lung_missing" in {note.code for note in found.notes}


# Lobes


def test_schemes_are_those_of_the_tools():
    assert {name: {lobe: label for label, lobe in s.items()} for name, s in LOBE_SCHEMES.items()} == SCHEMES


@pytest.mark.parametrize("name", SCHEMES)
def test_labels_of_either_tool_become_the_lobes(chest, volume, name):
    found = lobes_from_labels(in_scheme(chest.lobes, SCHEMES[name]), volume, NAME)
    np.testing.assert_array_equal(found.labels, chest.lobes)
    assert found.source == f"file {NAME} ({name} labels)"
    assert not found.approximate


def test_other_organs_of_totalsegmentator_are_left_out(chest, volume):
    labels = in_scheme(chest.lobes, TOTAL_SEGMENTATOR)
    labels[:, :4] = 5
    labels[:, -4:] = 51
    np.testing.assert_array_equal(lobes_from_labels(labels, volume, NAME).labels, chest.lobes)


@pytest.mark.parametrize(("labels", "said"), [((1, 2, 6), "1, 2, 6"), ((), "none"), ((20, 21), "20, 21")])
def test_other_labels_of_lobes_are_refused_with_what_was_got(chest, volume, labels, said):
    mask = np.zeros(chest.lobes.shape, dtype=np.int32)
    for n, label in enumerate(labels):
        mask[n] = label
    with pytest.raises(InputError, match=f"has the labels {said}; expected 1-5"):
        lobes_from_labels(mask, volume, NAME)


def test_lobes_of_the_other_side_are_refused(chest, volume):
    swapped = in_scheme(chest.lobes[..., ::-1], LUNGMASK)
    with pytest.raises(InputError, match="right upper lobe on the patient's left of the left upper lobe"):
        lobes_from_labels(swapped, volume, NAME)


def test_lobes_upside_down_are_refused(chest, volume):
    with pytest.raises(InputError, match="right upper lobe below the right lower lobe"):
        lobes_from_labels(in_scheme(chest.lobes[::-1], LUNGMASK), volume, NAME)


def test_lobes_in_the_library_s_own_order_are_refused(chest, volume):
    """Their labels 1-5 are lungmask's in another order: right and left would be swapped without a word."""
    with pytest.raises(InputError, match="swapped"):
        lobes_from_labels(chest.lobes, volume, NAME)


def test_lobes_that_are_not_on_lungs_are_refused(chest, volume, factory):
    solid = factory.make_volume(np.full(chest.hu.shape, 40, np.int16), spacing_mm=(4.0, 4.0, 8.0))
    with pytest.raises(InputError, match="does not lie on the lungs"):
        lobes_from_labels(in_scheme(chest.lobes, LUNGMASK), solid, NAME)


def test_lungs_of_lobes_have_their_sides(chest):
    lungs = lungs_of(LobeSegmentation(chest.lobes, "x", approximate=False))
    np.testing.assert_array_equal(lungs, chest.lungs)


# Fitting


def given(lobes):
    return LobeSegmentation(lobes, "file x", approximate=False)


def test_lobes_that_fit_are_left_as_they_are(chest):
    np.testing.assert_array_equal(fit_to_lungs(given(chest.lobes), chest.lungs).labels, chest.lobes)


def test_lobes_outside_the_lungs_are_cut_off(chest):
    lungs = np.where(np.arange(30)[:, None, None] < 15, chest.lungs, 0).astype(np.uint8)
    fitted = fit_to_lungs(given(chest.lobes), lungs).labels
    np.testing.assert_array_equal(fitted, np.where(lungs > 0, chest.lobes, 0))


def test_lung_without_a_lobe_goes_to_the_nearest_of_its_side(chest):
    lobes = chest.lobes.copy()
    hole = np.zeros(lobes.shape, dtype=bool)
    hole[12:18, 25:35] = True
    lobes[hole] = 0
    fitted = fit_to_lungs(given(lobes), chest.lungs).labels
    np.testing.assert_array_equal(fitted > 0, chest.lungs > 0)
    np.testing.assert_array_equal(fitted[~hole], chest.lobes[~hole])
    for lobe in Lobe:
        assert not (fitted[chest.lungs == (3 - lobe.side)] == lobe).any()
    alike = fitted[hole & (chest.lungs > 0)] == chest.lobes[hole & (chest.lungs > 0)]
    assert alike.mean() > 0.8


def test_lobe_that_reaches_over_to_the_other_lung_gives_that_part_back(chest):
    lobes = chest.lobes.copy()
    lobes[:, :, 40:][lobes[:, :, 40:] == Lobe.LUL] = Lobe.RUL
    lobes[20:, :, 60:][chest.lungs[20:, :, 60:] > 0] = Lobe.LUL
    fitted = fit_to_lungs(given(lobes), chest.lungs).labels
    assert {Lobe(n).side for n in np.unique(fitted[chest.lungs == Side.LEFT])} == {Side.LEFT}


def test_side_without_any_lobe_stays_without(chest):
    lobes = np.where(chest.lungs == Side.RIGHT, chest.lobes, 0).astype(np.uint8)
    fitted = fit_to_lungs(given(lobes), chest.lungs).labels
    assert not fitted[chest.lungs == Side.LEFT].any()


# In the analysis


def test_given_masks_are_those_of_the_analysis(chest, volume):
    lungs = lungs_from_labels(chest.lungs, volume, "lungs.nrrd")
    lobes = lobes_from_labels(in_scheme(chest.lobes, LUNGMASK), volume, "lobes.nrrd")
    analysis = analyze(volume, lungs=lungs, lobes=lobes)
    np.testing.assert_array_equal(analysis.lungs, chest.lungs)
    np.testing.assert_array_equal(analysis.lobes, chest.lobes)
    provenance = analysis.provenance
    assert (provenance.lungs_from, provenance.lobes_approximate) == ("file lungs.nrrd", False)
    assert provenance.lobes_from == "file lobes.nrrd (lungmask labels)"
    assert "lobes_approximate" not in {note.code for note in analysis.quality}


def test_lungs_are_the_union_of_given_lobes(chest, volume):
    lobes = lobes_from_labels(in_scheme(chest.lobes, TOTAL_SEGMENTATOR), volume, NAME)
    np.testing.assert_array_equal(analyze(volume, lobes=lobes).lungs, chest.lungs)


@pytest.mark.slow
def test_another_segmenter_can_take_the_place_of_ours(chest, volume):
    analysis = analyze(volume, lungs=lambda v: lungs_from_labels(chest.lungs, v, "model"))
    assert analysis.provenance.lungs_from == "file model"
