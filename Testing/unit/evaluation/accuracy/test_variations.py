"""Other slices, pixels and noise: the chest stays where it is in the world."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.evaluation.accuracy.variations import HEALTHY_VARIATIONS, VARIATIONS, Variation, vary
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.types import Geometry

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
GEOMETRIC = [variation for variation in VARIATIONS if variation.noise_hu is None]


def volume(hu, spacing=(0.7, 0.8, 2.0), direction=IDENTITY):
    hu = np.asarray(hu)
    geometry = Geometry(hu.shape[::-1], spacing, (-12.0, 30.0, -400.0), direction)
    return CtVolume(np.rint(hu).astype(np.int16), geometry, geometry, name="chest")


def world(ct):
    """(3, K, J, I) LPS mm of every voxel."""
    k, j, i = np.indices(ct.hu.shape)
    return np.tensordot(ct.geometry.ijk_to_lps[:3], np.stack([i, j, k, np.ones_like(i)]), axes=1)


def ramp(xyz):
    """A density that grows along each axis: whole HU are a fraction of a mm."""
    return 3.0 * xyz[0] - 5.0 * xyz[1] + 7.0 * (xyz[2] + 400.0)


@pytest.mark.parametrize("variation", GEOMETRIC, ids=lambda v: v.name)
@pytest.mark.parametrize("tilt", [0, 12])
def test_every_voxel_shows_what_lies_at_its_place(variation, tilt):
    direction = tuple(Rotation.from_euler("x", tilt, degrees=True).as_matrix().ravel())
    empty = volume(np.zeros((21, 30, 512)), direction=direction)
    ct = volume(ramp(world(empty)), direction=direction)
    found = vary(ct, variation)
    error = found.hu - ramp(world(found))
    inside = error[:, 1:-1, 1:-1] if variation.pixels else error
    assert np.abs(inside).max() < 1.9  # half a HU twice, and a tenth of a mm where a slab ends within an old slice
    assert found.stored_geometry == found.geometry
    assert found.acquired == (True,) * found.hu.shape[0]


def test_thick_slices_are_means_over_their_slab():
    found = vary(volume(np.arange(10)[:, None, None] * np.full((10, 4, 4), 100)), Variation("thick", slice_mm=5.0))
    # 2 mm slices in 5 mm slabs: two and a half of them each
    expected = [(0 + 100 + 0.5 * 200) / 2.5, (0.5 * 200 + 300 + 400) / 2.5, (500 + 600 + 0.5 * 700) / 2.5]
    assert found.hu[:3, 0, 0].tolist() == np.rint(expected).astype(int).tolist()
    assert found.hu.shape == (4, 4, 4)
    assert found.geometry.spacing_mm == (0.7, 0.8, 5.0)
    assert found.geometry.origin_mm == pytest.approx((-12.0, 30.0, -398.5))


def test_thick_slices_average_noise_away():
    noisy = volume(np.random.default_rng(0).normal(0, 50, (40, 40, 40)))
    assert vary(noisy, Variation("thick", slice_mm=8.0)).hu.std() == pytest.approx(25, rel=0.05)


def test_thin_slices_lie_between_the_first_and_last_centre():
    found = vary(volume(np.arange(10)[:, None, None] * np.full((10, 4, 4), 100)), Variation("thin", slice_mm=1.0))
    assert found.hu[:, 0, 0].tolist() == list(range(0, 901, 50))
    assert found.geometry.origin_mm == (-12.0, 30.0, -400.0)


def test_pixels_cover_the_same_field_of_view():
    ct = volume(np.random.default_rng(1).integers(-900, 100, (3, 512, 512)), spacing=(0.6, 0.7, 2.0))
    found = vary(ct, Variation("pixels", pixels=256))
    assert found.hu.shape == (3, 256, 256)
    assert found.geometry.spacing_mm == pytest.approx((1.2, 1.4, 2.0))
    assert found.geometry.origin_mm == pytest.approx((-12.0 + 0.3, 30.0 + 0.35, -400.0))
    blocks = ct.hu.reshape(3, 256, 2, 256, 2).mean(axis=(2, 4))
    assert np.abs(found.hu - blocks).max() <= 0.51


def test_slices_that_are_there_already_are_left_alone():
    ct = volume(np.random.default_rng(1).integers(-900, 100, (5, 8, 8)))
    assert vary(ct, Variation("same", slice_mm=2.0)) is ct


def test_healthy_lungs_are_tilted_shifted_and_resampled():
    names = [variation.name for variation in HEALTHY_VARIATIONS]
    assert len(set(names)) == len(names) == 7
    shared = {variation.name: variation for variation in VARIATIONS}
    assert all(shared.get(variation.name, variation) == variation for variation in HEALTHY_VARIATIONS)


def test_noise_has_the_strength_asked_for_and_is_the_same_every_time():
    ct = volume(np.full((10, 40, 40), -300))
    noise = Variation("noise", noise_hu=40.0)
    first, second, other = vary(ct, noise, 3), vary(ct, noise, 3), vary(ct, noise, 4)
    assert np.array_equal(first.hu, second.hu)
    assert not np.array_equal(first.hu, other.hu)
    assert (first.hu + 300.0).std() == pytest.approx(40, rel=0.03)
    assert first.geometry == ct.geometry
    assert vary(volume(np.full((4, 40, 40), -1020)), noise).hu.min() == -1024


@pytest.mark.parametrize(("change", "axis"), [({"pitch_deg": 10.0}, "x"), ({"roll_deg": 10.0}, "y")])
def test_tilted_chest_is_turned_about_its_middle_in_mm(change, axis):
    empty = volume(np.zeros((41, 40, 44)))
    places = world(empty)
    found = vary(volume(ramp(places)), Variation("tilt", **change))
    middle = places[:, 20, :, :].mean(axis=(1, 2))
    turn = Rotation.from_euler(axis, -10 if axis == "x" else 10, degrees=True).as_matrix()
    shown = np.tensordot(turn.T, places - middle[:, None, None, None], axes=1) + middle[:, None, None, None]
    inside = (slice(8, -8),) * 3
    assert np.abs(found.hu - ramp(shown))[inside].max() < 1.1
    assert found.geometry == empty.geometry


@pytest.mark.parametrize(("change", "axis"), [({"pitch_deg": 10.0}, 1), ({"roll_deg": 10.0}, 2)])
def test_head_leans_back_or_to_the_left(change, axis):
    hu = np.full((41, 40, 44), -900)
    hu[32:36, 18:22, 20:24] = 500
    found = np.argwhere(vary(volume(hu), Variation("tilt", **change)).hu > 0).mean(axis=0)
    assert found[axis] > np.argwhere(hu > 0).mean(axis=0)[axis] + 4


def test_what_a_tilt_brings_in_continues_the_border():
    hu = np.full((30, 30, 30), 40)
    assert (vary(volume(hu), Variation("tilt", pitch_deg=10.0)).hu == 40).all()


@pytest.mark.parametrize("by_hu", [30.0, -30.0])
def test_shift_moves_all_that_was_measured(by_hu):
    hu = np.array([-1024, -1000, -850, 40]).reshape(1, 2, 2) * np.ones((3, 1, 1))
    found = vary(volume(hu), Variation("shift", shift_hu=by_hu))
    assert found.hu[1].ravel().tolist() == [-1024, max(-1000 + by_hu, -1024), -850 + by_hu, 40 + by_hu]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"slice_mm": 5.0, "pixels": 256},
        {"noise_hu": 0.0},
        {"slice_mm": float("nan")},
        {"pitch_deg": -10.0},
        {"shift_hu": 0.0},
        {"shift_hu": -30.0, "roll_deg": 10.0},
    ],
)
def test_variation_is_one_positive_change(fields):
    with pytest.raises(InputError, match="one positive value"):
        Variation("x", **fields)


def test_slices_thicker_than_the_volume_are_refused():
    with pytest.raises(InputError, match="do not fit into 6 mm"):
        vary(volume(np.zeros((3, 4, 4))), Variation("thick", slice_mm=8.0))
