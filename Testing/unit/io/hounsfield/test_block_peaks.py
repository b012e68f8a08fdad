"""Peaks of histograms."""

import numpy as np
import pytest
from scipy import ndimage, signal

from CovidSeverityLib.io.hounsfield.block_peaks import smoothed_peaks

SHAPES = {
    "noise": lambda rng: rng.random(300),
    "flat tops": lambda rng: np.repeat(rng.integers(0, 4, 60), rng.integers(1, 5, 60)),
    "few counts": lambda rng: rng.poisson(0.3, 400),
    "nothing": lambda _: np.zeros(50, dtype=int),
    "one value": lambda _: np.eye(1, 80, 33, dtype=int)[0],
    "rising": lambda _: np.arange(40),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("smoothing", [1e-3, 0.8, 2.5])
@pytest.mark.parametrize("height", [0.0, 0.05, 0.4, 0.9])
def test_peaks_are_those_of_scipy(shape, smoothing, height):
    for seed in range(10):
        histogram = SHAPES[shape](np.random.default_rng(seed))
        density, peaks = smoothed_peaks(histogram, smoothing, height)
        plain = np.pad(ndimage.gaussian_filter1d(histogram.astype(float), smoothing, mode="constant"), 1)
        least = height * plain.max()
        expected, _ = signal.find_peaks(plain, height=least, prominence=least)
        np.testing.assert_array_equal(density, plain[1:-1])
        np.testing.assert_array_equal(peaks, expected - 1)
