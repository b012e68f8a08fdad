"""Milliseconds per slice of the published opacities, against a plain version of the same steps, on one core.

Run as ``python Testing/benchmarks/reference_slices.py [CT]`` from the repository. Without a CT it makes a synthetic
chest of 512 x 512 pixels. The plain version (:func:`plain_slice`) is what one writes with NumPy, SciPy, scikit-image
and scikit-learn: every step on the whole slice, the mixture on all pixels of the lungs. Both run on the same groups of
slices, and the medians of the groups count, in processor time. Exit status 1: a pixel differs.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):  # before NumPy reads them
    os.environ[name] = "1"

import sys
import time
import warnings
from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import hessian_matrix_eigvals
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

sys.path.insert(0, str(Path(__file__).parents[2]))

from CovidSeverityLib import parallel
from CovidSeverityLib.checked import known
from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom
from CovidSeverityLib.io.reading import read_ct
from CovidSeverityLib.segmentation.lungs.lung_segmentation import segment_lungs
from CovidSeverityLib.segmentation.opacity.published.config import PublishedOpacityConfig
from CovidSeverityLib.segmentation.opacity.published.opacities import segment_published_opacities
from CovidSeverityLib.segmentation.opacity.published.windows import masked_slice, slice_mixtures

Result = TypeVar("Result")

Mixture = tuple[NDArray, NDArray]
"""Means and standard deviations."""

CONFIG = PublishedOpacityConfig()

SHAPE, SPACING_MM = (40, 512, 512), (0.75, 0.75, 8.0)
"""Of the synthetic chest, (K, J, I) and (I, J, K)."""

GROUP = 16
"""Slices that take their turn together."""


def main() -> int:
    parallel.thread_count = lambda: 1
    hu, lung = slices(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    segment_published_opacities(hu[:1], lung[:1], CONFIG)  # what is loaded on first use
    groups = [slice(first, first + GROUP) for first in range(0, len(hu), GROUP)]
    times, differing = zip(*(compared(hu[group], lung[group]) for group in groups), strict=True)
    own, plain = np.median(times, axis=0)
    print(f"{len(hu)} slices of {hu.shape[2]} x {hu.shape[1]} pixels, medians:")
    for step, mine, theirs in zip(("mixture", "all but it", "all"), own, plain, strict=True):
        print(f"{step:<10} {mine:6.1f} ms a slice, plain version {theirs:6.1f} ms: {theirs / mine:.0f} times as fast")
    print(f"{sum(differing)} pixels differ")
    return 1 if any(differing) else 0


def compared(hu: NDArray[np.int16], lung: NDArray[np.bool_]) -> tuple[NDArray[np.float64], int]:
    """Milliseconds a slice, (2, 3) for this library and the plain version, and how many pixels differ."""
    masked = np.array([masked_slice(*one, CONFIG) for one in zip(hu, lung, strict=True)])
    own_fits, fits = timed(lambda: slice_mixtures(masked, CONFIG))
    own, found = timed(lambda: segment_published_opacities(hu, lung, CONFIG))
    iterations = [0 if fit is None else fit.iterations for fit in fits]
    plain_fits, mixtures = timed(lambda: [*map(plain_mixture, masked, iterations)])
    plain_rest, expected = timed(lambda: [*map(plain_slice, hu, lung, mixtures)])
    spent = (own_fits, own - own_fits, own), (plain_fits, plain_rest, plain_fits + plain_rest)
    return 1000 * np.array(spent) / len(hu), int(np.count_nonzero(found.mask != np.array(expected)))


def timed(function: Callable[[], Result]) -> tuple[float, Result]:
    """Processor seconds, so that other programs on the machine do not count, and the result."""
    began = time.process_time()
    result = function()
    return time.process_time() - began, result


def slices(ct: Path | None) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """The slices with lung of a CT or of a synthetic chest, and their lungs."""
    if ct is None:
        phantom = make_phantom(0, shape=SHAPE, spacing_mm=SPACING_MM)
        hu, lung = phantom.volume.hu, phantom.lungs > 0
    else:
        volume = read_ct(ct)
        hu, lung = volume.hu, segment_lungs(volume).labels > 0
    chosen = lung.any(axis=(1, 2))
    return hu[chosen], lung[chosen]


def plain_slice(hu: NDArray[np.int16], lung: NDArray[np.bool_], mixture: Mixture | None) -> NDArray[np.bool_]:
    """Opacities of one slice by its mixture, step by step."""
    if mixture is None:
        return np.zeros(hu.shape, dtype=bool)
    masked = np.where(lung, np.clip(hu, *known(CONFIG.clip_hu)), 0)
    mask = plain_windows(masked, *mixture)
    background = np.where(masked == 0, CONFIG.background_hu, masked)
    mask &= plain_vesselness(background.astype(np.float32)) < CONFIG.vesselness.threshold
    labels, _ = ndimage.label(mask, np.ones((3, 3), dtype=bool))
    sizes = np.bincount(labels.ravel())
    mask &= (sizes >= CONFIG.smallest_px)[labels]
    mask = ndimage.binary_fill_holes(mask) & (masked != 0)
    return ndimage.binary_dilation(mask, np.ones((CONFIG.dilation_px,) * 2, dtype=bool))


def plain_mixture(masked: NDArray[np.int16], iterations: int) -> Mixture | None:
    """Means and standard deviations of three components, by ascending mean; None of too few values (0 iterations).

    scikit-learn's tolerance is absolute and ours is relative, therefore it is given the number of iterations.
    """
    if iterations == 0:
        return None
    config = CONFIG.mixture
    values = masked[masked != 0][:, None].astype(np.float64)
    start = 1 / (values.var(ddof=1) + config.variance_floor_hu2)
    count = len(config.start_means_hu)
    mixture = GaussianMixture(
        count,
        tol=0.0,
        max_iter=iterations,
        reg_covar=config.variance_floor_hu2,
        weights_init=np.full(count, 1 / count),
        means_init=np.array(config.start_means_hu)[:, None],
        precisions_init=np.full((count, 1, 1), start),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it ends with the last iteration, as it should
        mixture.fit(values)
    means, variances = known(mixture.means_)[:, 0], known(mixture.covariances_)[:, 0, 0]
    order = np.argsort(means)
    return means[order], np.sqrt(variances[order])


def plain_windows(masked: NDArray[np.int16], means: NDArray, sds: NDArray) -> NDArray[np.bool_]:
    """Pixels in the window around the second or the third component."""
    mask = np.zeros(masked.shape, dtype=bool)
    for mean, sd, cap in zip(means[1:], sds[1:], CONFIG.window_caps_hu, strict=True):
        lower, upper = mean - CONFIG.window_sds * sd, mean + CONFIG.window_sds * sd
        lower = max(lower, CONFIG.window_floor_hu)
        upper = upper if upper <= CONFIG.window_ceiling_hu else cap
        mask |= (masked > lower) & (masked < upper)
    return mask & (masked != 0)


def plain_vesselness(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Jerman's function with tau = 1 (doi 10.1109/TMI.2016.2550102), the largest of all scales."""
    vesselness = np.zeros(image.shape, dtype=np.float32)
    for sigma in CONFIG.vesselness.sigmas_px:
        smooth = ndimage.gaussian_filter(image, sigma, mode="nearest", radius=ceil(3 * sigma))
        rows, columns = np.gradient(smooth)
        hessian = [*np.gradient(rows), np.gradient(columns, axis=1)]
        larger, smaller = hessian_matrix_eigvals(np.float32(sigma**2) * np.stack(hessian))
        curvature = np.where(np.abs(larger) > np.abs(smaller), -larger, -smaller)
        curvature = np.maximum(curvature, 0)
        if curvature.max() > 0:
            r = curvature / curvature.max()
            response = np.where(r >= 0.5, 1, r**2 * (1 - r) * (3 / (1 + r)) ** 3)
            vesselness = np.maximum(vesselness, response)
    return vesselness


if __name__ == "__main__":
    sys.exit(main())
