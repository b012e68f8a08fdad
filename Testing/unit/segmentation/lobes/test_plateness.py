"""The fast steps of the search for sheets against plain ones."""

from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from CovidSeverityLib.segmentation.lobes.config import PlatenessConfig
from CovidSeverityLib.segmentation.lobes.plateness import _second_derivatives, patch_plateness, with_neighbours

STEP = (1.5, 1.2, 1.0)


@pytest.fixture
def block():
    return np.random.default_rng(0).normal(0.1, 0.3, (13, 10, 21)).astype(np.float32)


def plain_mean(block, axis, slope, cell_mm, height_mm, config):
    """Tap by tap, voxel by voxel."""
    offsets = range(-config.patch_radius, config.patch_radius + 1)
    weights = np.exp(-0.5 * (np.array(offsets) * cell_mm / config.patch_sigma_mm) ** 2)
    weights /= weights.sum()
    mean = np.zeros(block.shape)
    for place in np.ndindex(block.shape):
        for offset, weight in zip(offsets, weights, strict=True):
            at = list(place)
            at[axis] += offset
            at[2] += int(np.floor(slope * offset * cell_mm / height_mm + 0.5))
            if all(0 <= n < size for n, size in zip(at, block.shape, strict=True)):
                mean[place] += weight * block[tuple(at)]
    return mean


def test_patch_is_the_best_of_all_tilts_relative_to_its_part_inside(block):
    config = PlatenessConfig(patch_radius=2, tilts=(-0.4, 0.0, 0.7), smallest_fill=0.4)
    inside = (np.random.default_rng(1).random(block.shape) < 0.6).astype(np.float32)

    def patch(values, along_a, along_b):
        return plain_mean(plain_mean(values, 0, along_a, 3.0, 1.5, config), 1, along_b, 3.0, 1.5, config)

    best = np.max([patch(block, *tilt) for tilt in product(config.tilts, repeat=2)], axis=0)
    expected = best / np.maximum(patch(inside, 0.0, 0.0), config.smallest_fill)
    np.testing.assert_allclose(patch_plateness(block, inside, 3.0, 1.5, config), expected, atol=1e-6)


def test_derivatives_are_those_of_gaussian_filters(block):
    found = _second_derivatives(block, STEP, 1.5)
    for derivative, order in zip(
        found, [(2, 0, 0), (0, 2, 0), (0, 0, 2), (1, 1, 0), (1, 0, 1), (0, 1, 1)], strict=True
    ):
        unit = np.prod([mm**n for mm, n in zip(STEP, order, strict=True)])
        expected = ndimage.gaussian_filter(block, [1.5 / mm for mm in STEP], order=order) / np.float32(-unit)
        np.testing.assert_array_equal(derivative, expected)


@pytest.mark.parametrize("samples", [(1, 1, 1), (0, 2, 3), (4, 0, 30)])
def test_neighbours_are_those_of_a_dilation_by_a_box(block, samples):
    mask = block > 0.8
    expected = ndimage.binary_dilation(mask, np.ones([2 * n + 1 for n in samples], dtype=bool))
    np.testing.assert_array_equal(with_neighbours(mask, samples), expected)
