"""Density of aerated lung, and what lies over it."""

import numpy as np
from scipy import ndimage

from CovidSeverityLib.morphology.grid import WorkingGrid
from CovidSeverityLib.segmentation.opacity.volumetric.parenchyma import (
    aerated_density,
    excess_density,
    smoothed_inside,
)


def test_aerated_density_follows_gravity():
    j = np.arange(80)
    inside = np.ones((6, 80, 70), dtype=bool)
    hu = np.random.default_rng(1).normal(0, 15, inside.shape) + (-880 + 0.6 * j)[None, :, None]
    found = aerated_density(hu.astype(np.float32), inside)
    np.testing.assert_allclose(found[10:70], (-880 + 0.6 * j)[10:70], atol=10)


def test_aerated_density_is_that_of_what_is_left_where_most_is_ground_glass():
    random = np.random.default_rng(2)
    hu = random.normal(-860, 20, (6, 80, 70))
    hu[:, 30:] = random.normal(-640, 20, (6, 50, 70))
    assert np.abs(aerated_density(hu.astype(np.float32), np.ones(hu.shape, dtype=bool)) + 860).max() <= 70


def test_excess_is_zero_outside_the_lung_and_in_plain_lung():
    shape = (40, 80, 120)
    lung = np.zeros(shape, dtype=bool)
    lung[5:35, 10:70, 10:50] = lung[5:35, 10:70, 70:110] = True
    hu = np.where(lung, -850, 40).astype(np.int16)
    density = excess_density(hu, lung, WorkingGrid(shape, (1, 1, 1), (2.0, 1.2, 1.2)))
    assert np.abs(density.excess_hu[density.lung]).max() < 12
    assert (density.excess_hu[~density.lung] == 0).all()


def test_density_is_smoothed_over_lung_alone_slice_by_slice():
    random = np.random.default_rng(3)
    hu = random.normal(-850, 40, (35, 30, 25)).astype(np.float32)
    inside = ndimage.gaussian_filter(random.normal(size=hu.shape), 2) > 0
    inside[20] = False
    found = smoothed_inside(hu, inside, 1.0, (1.5, 1.2), outside=-1024)
    for k, lung in enumerate(inside):
        sigma = 1.0 / 1.5, 1.0 / 1.2
        total, share = (ndimage.gaussian_filter(a, sigma) for a in (hu[k] * lung, lung.astype(np.float32)))
        np.testing.assert_array_equal(found[k][lung], (total / np.maximum(share, 1e-6))[lung])
        assert (found[k][~lung] == -1024).all()
