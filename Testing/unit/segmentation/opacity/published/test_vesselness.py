"""Jerman's vesselness as one comparison of curvatures: the equation itself, and what it must and must not answer to."""

import numpy as np
import pytest
from scipy import ndimage

from CovidSeverityLib.segmentation.opacity.published.vesselness import (
    VesselnessConfig,
    line_curvature,
    relative_curvature,
    vessel_mask,
)

LUNG_HU, VESSEL_HU = -850.0, 0.0
SIGMAS = VesselnessConfig().sigmas_px


def lung(shape=(64, 64), noise=0.0, seed=0):
    return (LUNG_HU + np.random.default_rng(seed).normal(0, noise, shape)).astype(np.float32)


def with_line(image, column=30, width=3):
    image = image.copy()
    image[10:54, column : column + width] = VESSEL_HU
    return image


def jerman_with_tau_1(image):
    """Jerman 2016, equation 8 with tau = 1: rho is -lambda2 over its maximum. The largest of all scales."""
    responses = []
    for sigma in SIGMAS:
        rho = line_curvature(image, sigma).astype(np.float64)
        rho /= rho.max()
        responses.append(np.where(rho >= 0.5, 1.0, rho**2 * (1 - rho) * (3 / (1 + rho)) ** 3))
    return np.max(responses, axis=0)


@pytest.fixture(scope="module")
def picture():
    """Lines of several widths and directions, a disc and noise."""
    j, i = np.mgrid[:96, :96]
    image = lung((96, 96), noise=25)
    for width, distance in ((1, i - 20), (3, j - 70), (5, (i + j - 110) / np.sqrt(2))):
        image[np.abs(distance) <= width / 2] = VESSEL_HU
    image[(i - 70) ** 2 + (j - 25) ** 2 < 100] = -550
    return image


def test_curvature_threshold_solves_the_equation_of_the_paper():
    r = relative_curvature(0.65)
    assert r * r * (1 - r) * (3 / (1 + r)) ** 3 == pytest.approx(0.65, abs=1e-12)
    assert r == pytest.approx(0.25072, abs=5e-6)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_curvature_is_the_eigenvalue_of_larger_magnitude(picture, sigma):
    smooth = ndimage.gaussian_filter(picture.astype(np.float64), sigma, mode="nearest", radius=int(np.ceil(3 * sigma)))
    rows, columns = np.gradient(smooth)
    hessian = sigma**2 * np.array([np.gradient(rows), np.gradient(columns)]).transpose(2, 3, 0, 1)
    values = np.linalg.eigvalsh((hessian + hessian.swapaxes(2, 3)) / 2)
    larger = np.where(np.abs(values[..., 0]) > np.abs(values[..., 1]), values[..., 0], values[..., 1])
    np.testing.assert_allclose(line_curvature(picture, sigma), np.maximum(-larger, 0), atol=0.01)


@pytest.mark.parametrize("threshold", [0.3, 0.65, 0.9])
def test_mask_is_the_thresholded_function_of_the_paper(picture, threshold):
    mask = vessel_mask(picture, VesselnessConfig(threshold=threshold))
    assert mask.any()
    np.testing.assert_array_equal(mask, jerman_with_tau_1(picture) >= threshold)


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, 65])
def test_threshold_outside_0_to_1_is_refused(threshold):
    with pytest.raises(ValueError, match="between 0 and 1"):
        relative_curvature(threshold)


@pytest.mark.parametrize("width", [1, 3, 5])
def test_line_is_a_vessel(width):
    mask = vessel_mask(with_line(lung(), width=width), VesselnessConfig())
    assert mask[12:52, 30 : 30 + width].all()
    assert not mask[:, :22].any()
    assert not mask[:, 45:].any()


def test_line_of_any_direction_is_a_vessel():
    image = with_line(lung())
    np.testing.assert_array_equal(vessel_mask(image.T, VesselnessConfig()), vessel_mask(image, VesselnessConfig()).T)


def test_dark_line_is_no_vessel():
    """A bronchus is darker than the lung around it."""
    image = lung() + 200
    image[10:54, 30:33] = -1000
    mask = vessel_mask(image, VesselnessConfig())
    assert not mask[14:50, 30:33].any()


def test_inside_of_a_large_opacity_is_no_vessel():
    image = with_line(lung())
    j, i = np.mgrid[:64, :64]
    disc = (i - 50) ** 2 + (j - 32) ** 2
    image[disc < 10**2] = -500
    mask = vessel_mask(image, VesselnessConfig())
    assert not mask[disc < 6**2].any()
    assert mask[12:52, 31].all()


def test_ramp_has_no_curvature():
    ramp = np.repeat(np.arange(64, dtype=np.float32)[None] * 10, 64, axis=0)
    assert np.abs(line_curvature(ramp, 2.0)[:, 10:-10]).max() < 0.01


def test_flat_slice_has_no_vessels():
    assert not vessel_mask(lung(), VesselnessConfig()).any()


def test_moved_picture_has_a_moved_mask(picture):
    framed = np.pad(picture, 40, constant_values=np.float32(LUNG_HU))
    mask = vessel_mask(framed, VesselnessConfig())
    moved = vessel_mask(np.roll(framed, (7, -5), axis=(0, 1)), VesselnessConfig())
    np.testing.assert_array_equal(moved, np.roll(mask, (7, -5), axis=(0, 1)))


def test_cut_picture_is_the_same_beyond_the_reach_of_the_filter(picture):
    config = VesselnessConfig()
    framed = np.pad(picture, config.reach_px, constant_values=np.float32(LUNG_HU))
    wide = np.pad(picture, 60, constant_values=np.float32(LUNG_HU))
    inner = vessel_mask(wide, config)[
        60 - config.reach_px : -60 + config.reach_px, 60 - config.reach_px : -60 + config.reach_px
    ]
    np.testing.assert_array_equal(vessel_mask(framed, config), inner)


@pytest.mark.parametrize("offset", [-100, 64, 1024])
def test_offset_of_all_values_changes_nothing(picture, offset):
    for sigma in SIGMAS:
        np.testing.assert_allclose(line_curvature(picture + offset, sigma), line_curvature(picture, sigma), atol=2e-3)
    changed = vessel_mask(picture + offset, VesselnessConfig()) ^ vessel_mask(picture, VesselnessConfig())
    assert changed.mean() < 1e-3  # float32 rounding at the threshold


def test_curvature_is_that_of_an_analytic_ridge():
    """A Gaussian ridge of width s, smoothed, is one of width^2 s^2 + sigma^2, curved at its crest as a parabola is."""
    s, sigma = 4.0, 2.0
    x = np.arange(-30, 31)
    ridge = np.repeat(np.exp(-(x**2) / (2 * s * s))[None], 61, axis=0).astype(np.float32)
    expected = sigma**2 * s / (s * s + sigma * sigma) ** 1.5
    assert line_curvature(ridge, sigma)[30, 30] == pytest.approx(expected, rel=0.12)
