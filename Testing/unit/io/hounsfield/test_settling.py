"""The check of Hounsfield units: what it repairs, what it refuses, and what it must leave alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from CovidSeverityLib.errors import InputError, NoLungsError
from CovidSeverityLib.io.hounsfield.settling import settle_hounsfield
from CovidSeverityLib.io.reading import read_ct
from CovidSeverityLib.io.stored_numbers import PADDING
from CovidSeverityLib.io.volume import volume_from_array
from CovidSeverityLib.types import HounsfieldChange

RNG = np.random.default_rng(3)
SIZE = 200_000


def mixture(parts):
    """(10, n, 1) int16 values: ``parts`` are (share, mean, standard deviation)."""
    values = np.concatenate([RNG.normal(mean, sd, round(share * SIZE)) for share, mean, sd in parts])
    return np.rint(values[: len(values) // 10 * 10]).astype(np.int16).reshape(10, -1, 1)


AIR, LUNG, FAT, MUSCLE, BONE = (0.4, -1000, 12), (0.15, -850, 60), (0.2, -100, 20), (0.2, 45, 20), (0.03, 500, 200)
OPACITY = (0.1, -400, 220)
CHESTS = {
    "normal": [AIR, LUNG, FAT, MUSCLE, BONE],
    "severe disease": [AIR, (0.03, -800, 80), (0.15, -300, 250), FAT, MUSCLE, BONE],
    "white lungs in a tight crop": [(0.02, -700, 150), (0.2, 20, 40), FAT, MUSCLE, BONE],
    "lungs only": [(0.9, -860, 50), (0.05, -500, 150), (0.03, 30, 40)],
    "obese": [(0.1, -1000, 12), (0.05, -800, 60), (0.6, -100, 20), MUSCLE],
    "contrast": [AIR, LUNG, MUSCLE, (0.1, 350, 80), BONE],
    "metal": [AIR, LUNG, FAT, MUSCLE, (0.002, 3071, 1), (0.002, 32700, 10)],
    "padded -2000": [(0.21, -2000, 0), AIR, LUNG, FAT, MUSCLE],
    "padded -3024": [(0.21, -3024, 0), AIR, LUNG, FAT, MUSCLE],
    "padded -32768": [(0.21, PADDING, 0), AIR, LUNG, FAT, MUSCLE],
    "padded -2048 and resampled": [(0.2, -2048, 0), (0.005, -1500, 250), AIR, LUNG, FAT, MUSCLE],
    "masked lungs": [(0.85, -1024, 0), (0.12, -860, 60), (0.008, -100, 150)],
    "masked lungs padded -2000": [(0.85, -2000, 0), (0.12, -870, 40), (0.002, 0, 50)],
    "lossy padding": [(0.25, -2000, 60), (0.45, -1000, 12), (0.15, -870, 40), (0.05, -100, 20), (0.06, 45, 20)],
    "dense phantom": [AIR, LUNG, (0.2, 20, 60), (0.1, 1050, 60)],
    "head": [AIR, MUSCLE, FAT, (0.15, 900, 300)],
    "little fat, cut off above muscle": [(0.2, -860, 60), (0.05, -110, 35), (0.35, 30, 30), (0.06, 137, 8)],
    "opacities": [AIR, LUNG, OPACITY, FAT, MUSCLE, BONE],
}


@pytest.mark.parametrize("name", CHESTS)
def test_hounsfield_units_are_left_alone(name):
    values = mixture(CHESTS[name])
    expected = np.maximum(values, -1024)
    hu, notes, change = settle_hounsfield(values)
    assert change == HounsfieldChange()
    assert notes == ()
    np.testing.assert_array_equal(hu, expected)


@pytest.mark.parametrize("name", ["normal", "severe disease", "obese", "contrast", "metal", "opacities"])
@pytest.mark.parametrize("shift", [1024, -1024])
def test_offset_of_1024_is_repaired_with_a_note(name, shift):
    truth = np.clip(mixture(CHESTS[name]), -1024, 31000)
    values = truth + np.int16(shift)
    hu, notes, change = settle_hounsfield(values)
    assert change == HounsfieldChange(1.0, shift)
    np.testing.assert_array_equal(hu, truth)
    assert [n.code for n in notes] == ["hu_offset_repaired"]
    assert f"1024 too {'high' if shift > 0 else 'low'}" in notes[0].message


def test_padding_is_no_evidence_and_ends_as_air():
    values = mixture([(0.21, PADDING, 0), (0.4, 24, 12), (0.15, 174, 60), (0.2, 924, 20), (0.2, 1069, 20)])
    padding = values == PADDING
    hu, notes, _ = settle_hounsfield(values)
    assert [n.code for n in notes] == ["hu_offset_repaired"]
    assert (hu[padding] == -1024).all()
    assert hu.min() == -1024


def test_highest_values_saturate_when_shifted_up():
    values = mixture(CHESTS["normal"]) - np.int16(1024)
    values[0, 0] = 32767
    hu, _, _ = settle_hounsfield(values)
    assert hu[0, 0] == 32767


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([(0.5, 20, 10), (0.5, 180, 30)], "8-bit window"),
        ([(0.5, 0.2, 0.1), (0.5, 0.9, 0.1)], "0 to 1"),
        ([(0.4, 20, 10), (0.6, 500, 300)], "MR with a dark background"),
        ([(0.4, 20, 10), (0.25, 700, 60), (0.4, 1050, 70)], "MR with bright tissue"),
        ([(0.2, 300, 100), (0.3, 600, 150), (0.3, 900, 200)], "MR, smooth"),
        ([(0.5, 1000, 300), (0.5, 2000, 500)], "radiograph"),
    ],
)
def test_values_of_another_kind_are_refused_with_their_range(parts, reason):
    values = np.abs(mixture(parts))
    with pytest.raises(InputError, match=rf"run from {values.min()} to {values.max()} .*Hounsfield units") as caught:
        settle_hounsfield(values)
    assert not isinstance(caught.value, NoLungsError), reason


@pytest.mark.parametrize("value", [0, 40, 1000, PADDING])
def test_constant_volume_is_refused(value):
    with pytest.raises(InputError, match=f"every voxel is {value}"):
        settle_hounsfield(np.full((3, 4, 5), value, np.int16))


@pytest.mark.parametrize("values", [np.full((3, 40, 50), -1000, np.int16), mixture([(1, -1000, 20)])])
def test_volume_of_air_has_no_lungs(values):
    with pytest.raises(NoLungsError, match="nothing but air"):
        settle_hounsfield(values)


def test_checked_array_is_left_alone_or_repaired_with_a_note():
    truth = np.clip(mixture(CHESTS["normal"]), -1024, 3071)
    good = volume_from_array(truth, (1, 1, 1), (0, 0, 0), np.eye(3), check=True)
    np.testing.assert_array_equal(good.hu, truth)
    assert (good.notes, good.hounsfield_change) == ((), HounsfieldChange())
    raw = truth + np.int16(1024)
    repaired = volume_from_array(raw, (1, 1, 1), (0, 0, 0), np.eye(3), check=True)
    np.testing.assert_array_equal(repaired.hu, truth)
    assert [n.code for n in repaired.notes] == ["hu_offset_repaired"]
    assert repaired.hounsfield_change == HounsfieldChange(1.0, 1024)
    np.testing.assert_array_equal(raw, truth + np.int16(1024))


def test_array_is_checked_before_it_is_clipped_when_asked_to():
    truth = np.clip(mixture(CHESTS["normal"]), -1024, 3071)
    volume = volume_from_array(truth - np.int16(1024), (1, 1, 1), (0, 0, 0), np.eye(3), check=True)
    np.testing.assert_array_equal(volume.hu, truth)
    assert volume.hounsfield_change == HounsfieldChange(1.0, -1024)


@pytest.mark.parametrize("offset", [1000, -1000, 1024, 8192, 31744, 32768])
@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_usual_offset_is_repaired_in_the_numbers_of_the_file(coarse_phantom, offset, dtype):
    truth = coarse_phantom.volume.hu
    hu, (note,), change = settle_hounsfield(truth.astype(dtype) + dtype(offset))
    assert change == HounsfieldChange(1.0, offset)
    np.testing.assert_array_equal(hu, truth)
    assert note.code == "hu_offset_repaired"
    assert f"{abs(offset)} too {'high' if offset > 0 else 'low'}" in note.message


def test_half_the_range_of_unsigned_numbers_is_no_padding(coarse_phantom):
    truth = coarse_phantom.volume.hu
    hu, notes, _ = settle_hounsfield((truth.astype(np.int32) + 32768).astype(np.uint16))
    np.testing.assert_array_equal(hu, truth)
    assert [n.code for n in notes] == ["hu_offset_repaired"]


@pytest.mark.parametrize(
    ("scale", "offset", "words"),
    [
        (2.0, 0, "Hounsfield units x 2 and"),
        (10.0, 0, "Hounsfield units x 10 and"),
        (0.5, 0, "Hounsfield units x 0.5 and"),
        (1e-3, 0, "Hounsfield units x 0.001 and"),
        (2.0**-10, 0, "Hounsfield units x 0.000976562 and"),
        (-1.0, 0, "Hounsfield units x -1 (inverted) and"),
        (-1.0, 3071, "Hounsfield units x -1 + 3071 (inverted) and"),
        (-1e-3, 0, "Hounsfield units x -0.001 (inverted) and"),
    ],
)
def test_scale_is_repaired_with_a_note(coarse_phantom, scale, offset, words):
    truth = coarse_phantom.volume.hu
    hu, (note,), change = settle_hounsfield((truth * scale + offset).astype(np.float32))
    assert change == HounsfieldChange(scale, offset)
    np.testing.assert_array_equal(hu, truth)
    assert note.code == "hu_scale_repaired"
    assert words in note.message


def test_whole_numbers_too_coarse_for_lung_are_refused(coarse_phantom):
    with pytest.raises(InputError, match="with peaks at"):
        settle_hounsfield(np.rint(coarse_phantom.volume.hu * 0.01).astype(np.int16))


ODD = {
    "times 1.1": [(0.4, -1100, 13), (0.15, -935, 66), (0.2, -118, 22), (0.2, 50, 22)],
    "times 1.1, noisy, lean": [(0.3, -1115, 30), (0.3, -990, 88), (0.3, 42, 25)],
    "times 0.9": [(0.4, -900, 11), (0.15, -765, 54), (0.2, -96, 18), (0.2, 40, 18)],
    "mediastinum stretched five times": [(0.5, -1000, 0), (0.2, -750, 100), (0.25, 0, 100)],
    "the same without noise, bone at its end": [(0.5, -1000, 0), (0.2, -706, 25), (0.25, 30, 25), (0.01, 1000, 0)],
    "-1000 to 700 stretched": [AIR, (0.15, -823, 70), (0.3, 50, 23), (0.2, 229, 23)],
    "-1000 to 2000 shrunk": [AIR, (0.15, -900, 40), (0.3, -400, 13), (0.1, 45, 20)],
    "plus 950, the mirror of inverted": [(0.4, -50, 12), (0.15, 100, 60), (0.2, 845, 20), (0.2, 995, 20)],
    "times 1.2 in a tight crop": [(0.05, -1200, 13), (0.3, -1020, 72), (0.2, -130, 24), (0.3, 54, 24)],
}


@pytest.mark.parametrize("name", ODD)
def test_scale_that_is_no_usual_one_is_refused(name):
    with pytest.raises(InputError, match="with peaks at"):
        settle_hounsfield(mixture(ODD[name]))


WINDOWS = [(-1000, 400), (-1350, 150), (-160, 240), (-150, 250), (-1200, 600), (-1024, 3071), (-600, 600)]


@pytest.mark.parametrize("ends", [(-1000, 1000), (0, 255), (0, 1), (-1024, 3071)])
@pytest.mark.parametrize("window", WINDOWS)
def test_stretched_window_is_refused_with_its_peaks(coarse_phantom, window, ends):
    if window == ends:
        pytest.skip("the window is not stretched")
    (low, high), (first, last) = window, ends
    share = (np.clip(coarse_phantom.volume.hu.astype(float), low, high) - low) / (high - low)
    with pytest.raises(InputError, match=r"run from .* with peaks at .*air near -1000, fat near -100 and muscle near"):
        settle_hounsfield((share * (last - first) + first).astype(np.float32))


@pytest.mark.parametrize("window", [(-1350, 150), (-1000, 400), (-1000, 1000), (-1200, 600), (-1024, 300)])
def test_window_that_is_only_cut_off_is_left_alone(coarse_phantom, window):
    values = np.clip(coarse_phantom.volume.hu, *window)
    hu, notes, _ = settle_hounsfield(values)
    assert notes == ()
    np.testing.assert_array_equal(hu, np.maximum(values, -1024))


def inside(phantom):
    """Mask of what has body around it, or is body, in every slice."""
    return np.stack([ndimage.binary_fill_holes(plane > -300) for plane in phantom.volume.hu])


@pytest.mark.parametrize("value", [0, 40, -500, 3071])
def test_background_that_is_no_air_becomes_air(coarse_phantom, value):
    body, truth = inside(coarse_phantom), coarse_phantom.volume.hu
    hu, (note,), _ = settle_hounsfield(np.where(body, truth, np.int16(value)))
    touching = body & (hu != truth)
    assert (truth[touching] == value).all(), "only skin of that very value, side by side with the background"
    assert touching.sum() < 0.0005 * body.sum()
    assert np.mean(hu[~body] == -1024) > 0.999
    assert note.code == "background_set_to_air"
    assert f"hold the value {value} throughout" in note.message


def test_tissue_with_the_value_of_the_background_stays(coarse_phantom):
    body = inside(coarse_phantom)
    values = np.where(body, coarse_phantom.volume.hu, np.int16(0))
    deep = np.stack([ndimage.binary_erosion(plane, iterations=4) for plane in body]) & (values == 0)
    assert deep.sum() > 100
    assert (settle_hounsfield(values)[0][deep] == 0).all()


@pytest.mark.parametrize("padding", [-2000, -3024, PADDING])
def test_padding_outside_the_circle_tells_nothing(coarse_phantom, padding):
    truth = coarse_phantom.volume.hu
    j, i = np.ogrid[-1 : 1 : truth.shape[1] * 1j, -1 : 1 : truth.shape[2] * 1j]
    outside = np.broadcast_to(j**2 + i**2 > 1, truth.shape)
    for offset in (0, 1024):
        hu, notes, _ = settle_hounsfield(np.where(outside, np.int16(padding), truth + np.int16(offset)))
        np.testing.assert_array_equal(hu, np.where(outside, np.int16(-1024), truth))
        assert len(notes) == (offset != 0)


def test_values_of_the_caller_are_not_written_to(coarse_phantom):
    values = coarse_phantom.volume.hu.copy()
    values[0, 0, 0] = -2000
    assert settle_hounsfield(values)[0] is not values
    assert values[0, 0, 0] == -2000
    own, _, _ = settle_hounsfield(values, own=True)
    assert own is values
    assert values[0, 0, 0] == -1024


def test_lungs_and_nothing_else_are_not_called_air():
    with pytest.raises(InputError, match="aerated lung without vessels") as caught:
        settle_hounsfield(mixture([(1, -850, 60)]))
    assert not isinstance(caught.value, NoLungsError)


@pytest.mark.slow
@pytest.mark.parametrize("patient", ["P001", "cap001", "normal001"])
def test_real_ct_is_left_alone_and_its_offsets_are_repaired(real_ct, patient):
    truth = real_ct(patient)
    assert "hu_offset_repaired" not in {n.code for n in truth.notes}
    thin = truth.hu[:, ::5, ::5]
    for crop in (np.s_[:], np.s_[:, 30:70, 20:80], np.s_[:60], np.s_[100:]):
        values = thin[crop].copy()
        assert settle_hounsfield(values)[1] == (), crop
        for shift in (1024, -1024):
            shifted = thin[crop] + np.int16(shift)
            hu, notes, _ = settle_hounsfield(shifted)
            assert [n.code for n in notes] == ["hu_offset_repaired"], (crop, shift)
            np.testing.assert_array_equal(hu, thin[crop])


@pytest.mark.slow
@pytest.mark.parametrize("patient", ["P001", "cap001", "normal001"])
def test_real_ct_on_another_scale_is_refused(real_ct, patient):
    truth = real_ct(patient).hu[::4].astype(np.int32)
    for name, values in {"times 1.1": truth * 11 // 10, "times 0.9": truth * 9 // 10, "minus 100": truth - 100}.items():
        with pytest.raises(InputError, match="with peaks at"):
            pytest.fail(f"{name}: {settle_hounsfield(values)[1]}")


def test_padding_right_below_air_that_a_resampling_has_blurred_is_no_evidence(coarse_phantom):
    hu = coarse_phantom.volume.hu.astype(np.float32)
    rows, columns = np.ogrid[-1 : 1 : hu.shape[1] * 1j, -1 : 1 : hu.shape[2] * 1j]
    hu[:, rows**2 + columns**2 > 0.95] = -1350
    hu = np.rint(ndimage.gaussian_filter(hu, (0, 1.5, 1.5))).astype(np.int16)
    settled, notes, _ = settle_hounsfield(hu)
    assert notes == ()
    np.testing.assert_array_equal(settled, np.maximum(hu, -1024))


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2, 4, 6])
def test_windowed_ct_with_padding_is_left_alone(real_data, number):
    assert read_ct(real_data("data/medseg") / f"{number}_ct.nii.gz").notes == ()


@pytest.mark.slow
@pytest.mark.parametrize("offset", [1012, 1045, 979], ids=["between 1000 and 1024", "21 beyond 1024", "21 under 1000"])
def test_offset_that_is_no_usual_one_is_refused(real_ct, offset):
    values = real_ct("P001").hu[::6, ::2, ::2] + np.int16(offset)
    with pytest.raises(InputError, match="with peaks at"):
        settle_hounsfield(values)


@pytest.mark.slow
def test_whole_numbers_of_100_hu_are_refused_though_their_means_have_the_peaks(real_ct):
    hu = real_ct("P001").hu[::6, ::2, ::2].astype(float)
    hu += np.random.default_rng(0).normal(0, 40, hu.shape)
    with pytest.raises(InputError, match="with peaks at"):
        settle_hounsfield(np.rint(np.maximum(hu, -1024) / 100).astype(np.int16))


def test_air_that_was_cut_off_is_still_air_on_another_scale(coarse_phantom):
    hu = np.maximum(coarse_phantom.volume.hu[::3], -1000)
    settled, notes, _ = settle_hounsfield(hu.astype(np.float32) / 1000)
    np.testing.assert_allclose(settled, hu, atol=1)
    assert [note.code for note in notes] == ["hu_scale_repaired"]


def test_padding_of_inverted_values_is_no_bone(coarse_phantom):
    values = -coarse_phantom.volume.hu
    values[:, :3] = PADDING
    settled, _, _ = settle_hounsfield(values)
    assert (settled[:, :3] == -1024).all()
    np.testing.assert_array_equal(settled[:, 3:], coarse_phantom.volume.hu[:, 3:])
