"""Right and left from geometry: touching lungs, strays, missing lungs."""

import numpy as np
import pytest

from CovidSeverityLib.morphology.grid import WorkingGrid
from CovidSeverityLib.segmentation.lungs.config import SideConfig
from CovidSeverityLib.segmentation.lungs.sides import main_lungs, split_sides
from CovidSeverityLib.types import Side

CONFIG = SideConfig()
TEN_ML = SideConfig(smallest_lung_ml=10.0)
SHAPE = (20, 60, 80)
GRID = WorkingGrid(SHAPE, (1, 1, 1), (2.0, 1.5, 1.5))
K, J, I = np.indices(SHAPE)  # noqa: E741 - the axes of the library
BODY = ((J - 30) / 29) ** 2 + ((I - 40) / 39) ** 2 < 1


def lung(column, radius=14):
    return ((K - 10) / 9) ** 2 + ((J - 30) / 20) ** 2 + ((I - column) / radius) ** 2 < 1


RIGHT, LEFT = lung(22), lung(58)


def expected():
    return np.where(RIGHT, Side.RIGHT, np.where(LEFT, Side.LEFT, 0))


def test_right_lung_is_the_one_in_the_first_columns():
    np.testing.assert_array_equal(split_sides(RIGHT | LEFT, BODY, GRID, CONFIG), expected())


def test_lungs_that_touch_in_front_are_parted():
    bridge = (np.abs(J - 14) < 2) & (np.abs(K - 12) < 3) & (I > 20) & (I < 60)
    sides = split_sides(RIGHT | LEFT | bridge, BODY, GRID, CONFIG)
    assert np.mean(sides[RIGHT & ~bridge] == Side.RIGHT) > 0.99
    assert np.mean(sides[LEFT & ~bridge] == Side.LEFT) > 0.99
    assert (sides[bridge] > 0).all()


def test_bridge_between_the_lungs_goes_to_the_nearer_one():
    bridge = (np.abs(J - 30) < 3) & (np.abs(K - 12) < 3) & (I > 20) & (I < 60)
    sides = split_sides(RIGHT | LEFT | bridge, BODY, GRID, CONFIG)
    assert set(sides[bridge & (I < 39)]) == {Side.RIGHT}
    assert set(sides[bridge & (I > 41)]) == {Side.LEFT}


@pytest.mark.parametrize("spot", [False, True], ids=["alone", "beside a spot"])
def test_lungs_that_touch_broadly_are_parted_at_the_midline(spot):
    block = BODY & (np.abs(K - 10) < 8) & (np.abs(J - 30) < 15) & (np.abs(I - 39.5) < 30)
    elsewhere = (K == 10) & (J == 30) & (I == 3) & spot
    sides = split_sides(block | elsewhere, BODY, GRID, CONFIG)
    np.testing.assert_array_equal(sides[block], np.where(I < 39.5, Side.RIGHT, Side.LEFT)[block])


@pytest.mark.parametrize(("mask", "side"), [(RIGHT, Side.RIGHT), (LEFT, Side.LEFT)], ids=["right", "left"])
def test_single_lung_keeps_its_side(mask, side):
    assert set(np.unique(split_sides(mask, BODY, GRID, CONFIG)[mask])) == {side}


def test_lung_that_reaches_across_the_midline_stays_whole():
    """The other one is collapsed."""
    wide = lung(30, 26)
    assert set(np.unique(split_sides(wide, BODY, GRID, CONFIG)[wide])) == {Side.RIGHT}


def test_midline_is_that_of_the_body_and_not_of_the_image():
    room = ((0, 0), (0, 0), (0, 70))
    grid = WorkingGrid((20, 60, 150), (1, 1, 1), GRID.spacing_mm)
    sides = split_sides(np.pad(RIGHT | LEFT, room), np.pad(BODY, room), grid, CONFIG)
    np.testing.assert_array_equal(sides[..., :80], expected())


def test_nothing_has_no_sides():
    assert not split_sides(np.zeros(SHAPE, dtype=bool), BODY, GRID, CONFIG).any()


def sides_with_piece(first_column):
    sides = expected().astype(np.uint8)
    sides[10, 28:32, first_column : first_column + 2] = Side.RIGHT
    return sides


def test_piece_beside_its_lung_stays_and_a_far_one_goes():
    edge = int(np.flatnonzero(RIGHT[10, 30])[-1])
    near, far = edge + 3, edge + 7
    assert (main_lungs(sides_with_piece(near), GRID, TEN_ML)[10, 30, near : near + 2] == Side.RIGHT).all()
    assert not main_lungs(sides_with_piece(far), GRID, TEN_ML)[10, 30, far : far + 2].any()


def test_side_that_is_too_small_has_no_lung():
    volume_ml = RIGHT.sum() * GRID.voxel_ml
    assert not main_lungs(expected().astype(np.uint8), GRID, SideConfig(smallest_lung_ml=volume_ml * 1.01)).any()
    np.testing.assert_array_equal(
        main_lungs(expected().astype(np.uint8), GRID, SideConfig(smallest_lung_ml=volume_ml * 0.99)), expected()
    )
