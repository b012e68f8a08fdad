"""Body and gas on the working grid."""

import numpy as np
import pytest
from scipy import ndimage

from CovidSeverityLib.morphology.grid import WorkingGrid
from CovidSeverityLib.preprocessing.thorax import _close_along_k, _opened_by_disc


def speckle(share, seed=0):
    return np.random.default_rng(seed).random((7, 25, 30)) < share


@pytest.mark.parametrize("radius_mm", [1.0, 2.5, 5.0])
def test_opening_is_by_a_disc_in_every_slice(radius_mm):
    mask = speckle(0.95)
    grid = WorkingGrid(mask.shape, (1, 1, 1), (2.0, 1.5, 1.5))
    radius = max(1, round(radius_mm / 1.5))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    expected = ndimage.binary_opening(mask, (x * x + y * y <= radius * radius)[None])
    np.testing.assert_array_equal(_opened_by_disc(mask, radius_mm, grid), expected)
    assert 0 < np.count_nonzero(expected) < np.count_nonzero(mask)


def test_closing_along_the_body_mends_slices_from_above_and_below():
    mask = speckle(0.3)
    padded = np.pad(mask, [(2, 2), (0, 0), (0, 0)], mode="edge")
    closed = ndimage.binary_closing(padded, np.ones((5, 1, 1), dtype=bool))[2:-2]
    np.testing.assert_array_equal(_close_along_k(mask, 2), closed)
    assert np.count_nonzero(closed & ~mask) > 100
