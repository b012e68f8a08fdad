"""Seconds of every stage on a synthetic chest, and what the histogram and the slice cuts save, as ratios in one run.

Run as ``python Testing/benchmarks/stages.py [SEED]`` from the repository. A benchmark, not a test: nothing is asserted.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from CovidSeverityLib import analyze
from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom
from CovidSeverityLib.segmentation.opacity.published.mixture import MixtureConfig, fit_mixture
from CovidSeverityLib.segmentation.opacity.published.windows import histogram

ITERATIONS = 20
"""EM iterations of the comparison: both sides do the same number."""


def main() -> None:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    phantom = make_phantom(seed)
    began = time.perf_counter()
    result = analyze(phantom.volume)
    total = time.perf_counter() - began
    print(f"analyze, {phantom.volume.hu.shape[0]} slices: {total:.2f} s")
    for stage, seconds in result.provenance.seconds.items():
        print(f"  {stage:<10} {seconds:6.2f} s  {100 * seconds / total:4.0f} %")
    slowest, fastest = pixel_against_histogram(phantom.volume.hu, phantom.lungs)
    print(f"mixture of one slice, {ITERATIONS} iterations:")
    print(f"  histogram {1000 * fastest:.1f} ms, pixels {1000 * slowest:.1f} ms, ratio {slowest / fastest:.0f}")


def pixel_against_histogram(hu: np.ndarray, lungs: np.ndarray) -> tuple[float, float]:
    """Seconds of the same EM over the pixels and over the histogram of the slice with most lung."""
    k = int(np.count_nonzero(lungs, axis=(1, 2)).argmax())
    pixels = hu[k][(lungs[k] > 0) & (hu[k] != 0)].astype(np.int64)
    config = MixtureConfig(max_iterations=ITERATIONS, tolerance=0.0)
    began = time.perf_counter()
    fit_mixture(pixels, np.ones(pixels.size, dtype=np.int64), config)
    slowest = time.perf_counter() - began
    began = time.perf_counter()
    fit_mixture(*histogram(pixels), config)
    return slowest, time.perf_counter() - began


if __name__ == "__main__":
    main()
