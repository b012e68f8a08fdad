"""Lobes and the published regions, from the lungs alone."""

import numpy as np
import pytest

from CovidSeverityLib.features.regions import (
    LOWER_LOBE_SHARE,
    MIDDLE_LOBE_SHARE,
    approximate_lobes,
    published_regions,
)
from CovidSeverityLib.types import Geometry, Lobe, Side

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def geometry_of(array, spacing_mm=(2.0, 2.0, 5.0)):
    return Geometry(array.shape[::-1], spacing_mm, (0.0, 0.0, 0.0), IDENTITY)


@pytest.fixture(scope="module")
def lungs(factory):
    return factory.make_chest((40, 72, 96)).lungs


@pytest.fixture(scope="module")
def lobes(lungs):
    return approximate_lobes(lungs, geometry_of(lungs)).labels


def centre(mask):
    return np.argwhere(mask).mean(axis=0)


def test_lobes_are_the_lungs_exactly(lungs, lobes):
    sides = np.array([0, *(lobe.side for lobe in Lobe)], dtype=np.uint8)
    np.testing.assert_array_equal(sides[lobes], lungs)


def test_lobes_have_their_usual_share_of_the_lung(lungs, lobes):
    share = {lobe: np.mean(lobes[lungs == lobe.side] == lobe) for lobe in Lobe}
    assert share[Lobe.RLL] == pytest.approx(LOWER_LOBE_SHARE[Side.RIGHT], abs=0.01)
    assert share[Lobe.LLL] == pytest.approx(LOWER_LOBE_SHARE[Side.LEFT], abs=0.01)
    assert share[Lobe.RML] == pytest.approx(MIDDLE_LOBE_SHARE, abs=0.02)


def test_upper_lobes_lie_above_and_in_front_of_lower_ones(lobes):
    for upper, lower in ((Lobe.RUL, Lobe.RLL), (Lobe.LUL, Lobe.LLL)):
        (k_upper, j_upper, _), (k_lower, j_lower, _) = centre(lobes == upper), centre(lobes == lower)
        assert k_upper > k_lower
        assert j_upper < j_lower


def test_middle_lobe_lies_below_the_upper_and_in_front_of_the_lower(lobes):
    middle, upper, lower = (centre(lobes == lobe) for lobe in (Lobe.RML, Lobe.RUL, Lobe.RLL))
    assert middle[0] < upper[0]
    assert middle[1] < lower[1]


def test_lower_lobe_reaches_higher_at_the_back(lobes):
    """The oblique fissure rises towards the back."""
    rows = np.flatnonzero((lobes == Lobe.RLL).any(axis=(0, 2)))
    top = [np.flatnonzero((lobes[:, j] == Lobe.RLL).any(axis=1)).max() for j in rows[:-8]]
    assert (np.diff(top) >= 0).all()
    assert top[-1] > top[0]


def test_voxel_size_does_not_move_the_fissures(factory):
    coarse = factory.make_chest((20, 36, 48)).lungs
    fine = np.repeat(np.repeat(np.repeat(coarse, 2, 0), 2, 1), 2, 2)
    by_coarse = approximate_lobes(coarse, geometry_of(coarse, (4.0, 4.0, 10.0))).labels
    by_fine = approximate_lobes(fine, geometry_of(fine)).labels
    expanded = np.repeat(np.repeat(np.repeat(by_coarse, 2, 0), 2, 1), 2, 2)
    assert np.mean(expanded[fine > 0] == by_fine[fine > 0]) > 0.9


@pytest.mark.parametrize("side", Side)
def test_one_lung_has_its_lobes_alone(factory, side):
    lungs = factory.make_chest((20, 36, 48), sides=(side,)).lungs
    found = set(np.unique(approximate_lobes(lungs, geometry_of(lungs)).labels).tolist()) - {0}
    assert found == {lobe for lobe in Lobe if lobe.side is side}


def test_source_says_that_lobes_are_approximate(lungs):
    result = approximate_lobes(lungs, geometry_of(lungs))
    assert result.approximate
    assert "geometric" in result.source
    assert not result.labels.flags.writeable


def columns_of_regions(regions, side_column):
    return regions[0, :, side_column].tolist()


def test_published_regions_are_rows_between_the_first_and_the_last_of_the_volume():
    """Rows 1-12 of 14: right thirds of four rows, left halves of six, in every slice alike."""
    lungs = np.zeros((2, 14, 4), dtype=np.uint8)
    lungs[:, 1:13, :2] = Side.RIGHT
    lungs[:, 1:13, 2:] = Side.LEFT
    lungs[1, 1:8] = 0
    regions = published_regions(lungs)
    right = [0] + [Lobe.RUL] * 4 + [Lobe.RML] * 4 + [Lobe.RLL] * 4 + [0]
    left = [0] + [Lobe.LUL] * 6 + [Lobe.LLL] * 6 + [0]
    assert columns_of_regions(regions.labels, 0) == right
    assert columns_of_regions(regions.labels, 3) == left
    np.testing.assert_array_equal(regions.labels[1], np.where(lungs[1] > 0, regions.labels[0], 0))
    assert "published" in regions.source


def test_published_regions_of_one_lung_are_cut_by_the_rows_of_both():
    lungs = np.zeros((1, 13, 2), dtype=np.uint8)
    lungs[0, 0:12, 0] = Side.RIGHT
    lungs[0, 6:9, 1] = Side.LEFT
    assert set(published_regions(lungs).labels[0, :, 1].tolist()) == {0, Lobe.LLL}


def test_published_regions_cover_the_lungs(lungs):
    regions = published_regions(lungs).labels
    sides = np.array([0, *(lobe.side for lobe in Lobe)], dtype=np.uint8)
    np.testing.assert_array_equal(sides[regions], lungs)
