"""The infection mask on made-up slices: what is found, what is not, and each step's edge cases."""

from dataclasses import replace

import numpy as np
import pytest

from CovidSeverityLib import parallel
from CovidSeverityLib.segmentation.opacity.kinds import opacity_labels
from CovidSeverityLib.segmentation.opacity.published.config import PUBLISHED_CTSS, PUBLISHED_SEGMENTATION
from CovidSeverityLib.segmentation.opacity.published.mixture import MixtureFit
from CovidSeverityLib.segmentation.opacity.published.opacities import segment_published_opacities
from CovidSeverityLib.segmentation.opacity.published.vesselness import VesselnessConfig
from CovidSeverityLib.segmentation.opacity.published.windows import windows
from CovidSeverityLib.types import Opacity

ROW, COLUMN = np.mgrid[:128, :128]


def disc(radius_px, row=80, column=64):
    """(J, I) bool."""
    return np.hypot(ROW - row, COLUMN - column) < radius_px


LUNG, DISC = disc(52, row=64), disc(11)
NO_VESSELS = VesselnessConfig(enabled=False)
BOTH = pytest.mark.parametrize("config", [PUBLISHED_SEGMENTATION, PUBLISHED_CTSS], ids=["segmentation", "score"])


def lung_slice(seed=0, noise=30.0):
    """(J, I) of noisy lung with four thin vessels in a block of tissue."""
    hu = np.where(LUNG, -850.0, 40.0)
    for column in (30, 46, 84, 98):
        hu[LUNG & (np.abs(COLUMN - column) < 1.5) & (ROW > 40) & (ROW < 60)] = 20
    hu += np.random.default_rng(seed).normal(0, noise, hu.shape)
    return hu


def volume_of(*slices):
    hu = np.rint(np.clip(slices, -1024, 3000)).astype(np.int16)
    return hu, np.broadcast_to(LUNG, hu.shape).copy()


def with_opacity(hu, where, value=-500.0, seed=1, noise=30.0):
    hu = hu.copy()
    hu[where] = value + np.random.default_rng(seed).normal(0, noise, where.sum())
    return hu


def find(hu, lung, config=PUBLISHED_SEGMENTATION):
    return segment_published_opacities(hu, lung, config).mask


@pytest.fixture(scope="module")
def sick():
    """Four slices; a disc of ground glass in each."""
    return volume_of(*(with_opacity(lung_slice(seed), DISC, seed=10 + seed) for seed in range(4)))


@BOTH
def test_disc_of_ground_glass_is_found(sick, config):
    """Its rim, of 2 pixels, is a line for the vessel filter in part, and is grown over by the dilation in part."""
    for plane in find(*sick, config):
        assert plane[disc(9)].all()
        assert not plane[~disc(15)].any()


def test_healthy_lung_with_vessels_has_nothing():
    hu, lung = volume_of(*(lung_slice(seed) for seed in range(4)))
    assert find(hu, lung).sum() < 0.001 * lung.sum()


def test_long_vessel_alone_is_not_found_unless_the_filter_is_off():
    """It is large enough to be kept otherwise: a vessel that runs in the slice, 3 x 60 pixels."""
    vessel = (np.abs(COLUMN - 64) < 1.5) & (np.abs(ROW - 75) < 30)
    hu, lung = volume_of(*(np.where(vessel, 20, lung_slice(seed)) for seed in range(4)))
    assert not find(hu, lung)[:, vessel].any()
    assert find(hu, lung, replace(PUBLISHED_SEGMENTATION, vesselness=NO_VESSELS))[:, vessel].all()


def test_mask_may_reach_out_of_the_lung():
    edge = LUNG & disc(14, row=108)
    hu, lung = volume_of(*(with_opacity(lung_slice(seed), edge) for seed in range(3)))
    assert (find(hu, lung) & ~lung).any()
    assert not (find(hu, lung, replace(PUBLISHED_SEGMENTATION, dilation_px=1)) & ~lung).any()


def test_mask_is_empty_where_there_is_no_lung():
    hu, lung = volume_of(lung_slice(), lung_slice())
    result = segment_published_opacities(hu, np.zeros_like(lung))
    assert result.mask.shape == hu.shape
    assert not result.mask.any()
    assert result.mixtures == (None, None)


def test_slice_of_too_few_values_has_no_mixture_and_no_infection(sick):
    hu, lung = (a.copy() for a in sick)
    lung[0] = disc(1)
    assert lung[0].any()
    assert len(np.unique(hu[0][lung[0]])) < 3
    result = segment_published_opacities(hu, lung)
    assert result.mixtures[0] is None
    assert not result.mask[0].any()
    assert result.mixtures[1] is not None


def test_input_is_left_alone_and_the_mask_is_read_only(sick):
    hu, lung = (a.copy() for a in sick)
    mask = find(hu, lung)
    np.testing.assert_array_equal(hu, sick[0])
    np.testing.assert_array_equal(lung, sick[1])
    assert not mask.flags.writeable


def test_what_lies_outside_the_lung_does_not_matter(sick):
    hu, lung = sick
    other = np.where(lung, hu, np.int16(-1000))
    np.testing.assert_array_equal(find(other, lung), find(hu, lung))


def test_place_in_the_image_does_not_matter(sick):
    hu, lung = sick
    room = ((0, 0), (40, 3), (0, 57))
    moved = find(np.pad(hu, room), np.pad(lung, room))
    np.testing.assert_array_equal(moved[:, 40:-3, :-57], find(hu, lung))


@BOTH
def test_number_of_threads_changes_no_bit(sick, monkeypatch, config):
    masks = []
    for threads in (1, 4):
        monkeypatch.setattr(parallel, "thread_count", lambda n=threads: n)
        masks.append(find(*sick, config))
    np.testing.assert_array_equal(*masks)
    assert masks[0].any()


# Windows


def fit(means=(-850.0, -500.0, -20.0), sds=(40.0, 60.0, 30.0)):
    return MixtureFit(means, sds, (0.8, 0.1, 0.1), -1.0, 10, True)


def test_window_is_mean_plus_minus_one_and_a_half_sd():
    assert windows(fit(), PUBLISHED_SEGMENTATION) == ((-590.0, -410.0), (-65.0, 25.0))


def test_window_begins_at_the_floor_and_ends_at_the_cap():
    low = fit((-900.0, -640.0, 10.0), (20.0, 40.0, 60.0))
    assert windows(low, PUBLISHED_SEGMENTATION) == ((-650.0, -580.0), (-80.0, 50.0))
    assert windows(low, PUBLISHED_CTSS) == ((-650.0, -580.0), (-80.0, 30.0))


def test_ceiling_itself_is_no_reason_for_a_cap():
    edge = fit((-900.0, -60.0, 5.0), (20.0, 60.0, 30.0))
    assert windows(edge, PUBLISHED_SEGMENTATION) == ((-150.0, 30.0), (-40.0, 50.0))
    assert windows(edge, PUBLISHED_CTSS)[0] == (-150.0, 30.0)
    above = fit((-900.0, -60.0, 5.0), (20.0, 60.5, 30.5))
    assert windows(above, PUBLISHED_CTSS) == ((-150.75, 10.0), (-40.75, 30.0))
    assert windows(above, PUBLISHED_SEGMENTATION)[1] == (-40.75, 50.0)


def patches(values):
    """Noisy lung with a square of 20 x 20 pixels of every value, and where they are."""
    hu, squares = lung_slice(), {}
    for n, value in enumerate(values):
        square = (slice(34 + 24 * (n // 2), 54 + 24 * (n // 2)), slice(40 + 28 * (n % 2), 60 + 28 * (n % 2)))
        hu[square] = value
        squares[value] = square
    return *volume_of(hu), squares


@pytest.fixture
def known_mixture(monkeypatch):
    """The windows are those of ``fit()``, whatever a slice holds."""
    monkeypatch.setattr(
        "CovidSeverityLib.segmentation.opacity.published.windows.windows", lambda _, config: windows(fit(), config)
    )


def inside_windows(values, config):
    """Which of ``values`` are marked; whole squares, nothing else done to them."""
    hu, lung, squares = patches(values)
    mask = find(hu, lung, replace(config, vesselness=NO_VESSELS, dilation_px=1, fill_holes=False))[0]
    return {value for value, square in squares.items() if mask[square].mean() > 0.5}


@pytest.mark.parametrize(
    ("values", "marked"),
    [((-591, -590, -589), {-589}), ((-411, -410, -409), {-411}), ((-66, -65, -64), {-64}), ((24, 25, 26), {24})],
)
def test_bounds_of_the_published_windows_are_outside(known_mixture, values, marked):
    assert inside_windows(values, PUBLISHED_SEGMENTATION) == marked


def test_windows_leave_a_gap_and_what_is_denser(known_mixture):
    assert inside_windows((-500, -200, -30, 100), PUBLISHED_SEGMENTATION) == {-500, -30}


@BOTH
def test_voxel_of_exactly_0_hu_is_lost_to_the_windows(known_mixture, config):
    assert inside_windows((0, 1, -1), config) == {1, -1}


def test_published_mask_loses_a_block_of_0_hu_even_inside_a_lesion(known_mixture):
    hole = (np.abs(ROW - 80) <= 4) & (np.abs(COLUMN - 64) <= 4)
    hu, lung = volume_of(np.where(hole, 0, with_opacity(lung_slice(), DISC, noise=10)))
    mask = find(hu, lung, replace(PUBLISHED_SEGMENTATION, vesselness=NO_VESSELS))[0]
    inner = (np.abs(ROW - 80) <= 2) & (np.abs(COLUMN - 64) <= 2)
    np.testing.assert_array_equal(mask & hole, hole & ~inner)


# Objects


BARE = replace(PUBLISHED_SEGMENTATION, vesselness=NO_VESSELS, dilation_px=1)
"""Windows, objects and holes only."""


def rectangle(rows, columns, first_row=70, first_column=60):
    inside = np.zeros((128, 128), dtype=bool)
    inside[first_row : first_row + rows, first_column : first_column + columns] = True
    return inside


def quiet(*opacities):
    """One slice for every (J, I) bool of opacity, with little noise."""
    return volume_of(*(with_opacity(lung_slice(k, 10), o, noise=10) for k, o in enumerate(opacities)))


def without_vessels(mask):
    """The rows under the made-up vessels."""
    return mask[..., 62:, :]


def test_hole_is_filled_and_an_open_bay_is_not(known_mixture):
    ring = DISC & ~disc(5)
    bay = ring & ~rectangle(20, 1, first_column=64, first_row=80)
    hu, lung = quiet(ring, bay)
    np.testing.assert_array_equal(without_vessels(find(hu, lung, BARE)), without_vessels(np.array([DISC, bay])))
    unfilled = find(hu, lung, replace(BARE, fill_holes=False))
    np.testing.assert_array_equal(without_vessels(unfilled), without_vessels(np.array([ring, bay])))


def test_hole_behind_a_diagonal_wall_is_closed(known_mixture):
    """4-connected background does not pass between two pixels that touch at a corner."""
    wall = np.abs(np.abs(ROW - 85) + np.abs(COLUMN - 64) - 12) == 0
    hu, lung = quiet(wall)
    config = replace(BARE, smallest_px=10)
    assert find(hu, lung, config)[0, 85, 64]


@pytest.mark.parametrize(
    ("config", "rows", "columns", "stays"),
    [
        (PUBLISHED_SEGMENTATION, 7, 10, True),
        (PUBLISHED_SEGMENTATION, 3, 23, False),
        (PUBLISHED_CTSS, 5, 10, True),
        (PUBLISHED_CTSS, 7, 7, False),
    ],
)
def test_object_of_exactly_the_smallest_size_stays(known_mixture, config, rows, columns, stays):
    """Below 70 pixels goes, below 50 in the severity score: 69 and 49 do, 70 and 50 do not."""
    hu, lung = quiet(rectangle(rows, columns))
    found = find(hu, lung, replace(config, vesselness=NO_VESSELS, dilation_px=1))
    assert without_vessels(found).sum() == (rows * columns if stays else 0)


def test_parts_that_touch_at_a_corner_are_one_object(known_mixture):
    corner = rectangle(6, 6) | rectangle(6, 6, first_row=76, first_column=66)
    hu, lung = quiet(corner)
    np.testing.assert_array_equal(without_vessels(find(hu, lung, BARE)[0]), without_vessels(corner))


def test_small_end_of_a_lesion_goes_although_the_next_slice_shows_the_rest(known_mixture):
    end, body = rectangle(5, 10), rectangle(15, 15)
    found = without_vessels(find(*quiet(end, body), BARE))
    np.testing.assert_array_equal(found, without_vessels(np.array([end & False, body])))


@BOTH
def test_published_method_looks_at_every_slice_alone(sick, config):
    hu, lung = sick
    whole = find(hu, lung, config)
    for k in range(len(hu)):
        np.testing.assert_array_equal(find(hu[k : k + 1], lung[k : k + 1], config)[0], whole[k])


def test_published_mask_is_dilated_by_a_square_of_five(known_mixture):
    hu, lung = quiet(rectangle(20, 20))
    mask = find(hu, lung, replace(PUBLISHED_SEGMENTATION, vesselness=NO_VESSELS))[0]
    np.testing.assert_array_equal(without_vessels(mask), without_vessels(rectangle(24, 24, 68, 58)))


def test_only_the_published_score_lets_its_vessel_filter_see_0_hu_outside_the_lung(known_mixture):
    """Beside that step of 850 HU a broad, faint line counts for little and stays in the mask."""
    line = -850 + 300 * np.exp(-(((COLUMN - 64) / 8) ** 2 + ((ROW - 64) / 20) ** 2) / 2)
    hu, lung = volume_of(np.where(LUNG, line, 40))
    crest = (np.abs(ROW - 64) < 8) & (np.abs(COLUMN - 64) < 2)
    assert find(hu, lung, PUBLISHED_CTSS)[0][crest].all()
    assert not find(hu, lung, replace(PUBLISHED_CTSS, background_hu=-1024))[0][crest].any()
    assert not find(hu, lung, PUBLISHED_SEGMENTATION)[0][crest].any()


# Kinds


def test_opacity_is_consolidation_above_minus_200_hu():
    hu = np.array([[[-700, -201, -200, -199, 40, -199]]], dtype=np.int16)
    infected = np.array([[[True, True, True, True, True, False]]])
    glass, solid = Opacity.GROUND_GLASS, Opacity.CONSOLIDATION
    labels = opacity_labels(hu, infected)
    assert labels.tolist() == [[[glass, glass, glass, solid, solid, 0]]]
    assert labels.dtype == np.uint8
