"""Slices per second of the published network, against Keras slice by slice as its authors call it, in one run.

Run as ``python Testing/benchmarks/classifier.py [BACKBONE [SIZE]]`` from the repository; EfficientNetB5 at 512 pixels
otherwise. Weights are random: time does not depend on them. A benchmark, not a test: nothing is asserted.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from CovidSeverityLib.classification.description import NETWORK_SIZE_PX, NetworkDescription
from CovidSeverityLib.classification.keras.network import KerasClassifier, build_network, load_classifier, save_weights

SLICES, ROUNDS = 8, 3
"""Slices that each way classifies in a round; the ways take turns, and the median of the rounds counts."""


def main() -> None:
    backbone = sys.argv[1] if len(sys.argv) > 1 else "EfficientNetB5"
    description = NetworkDescription(backbone, int(sys.argv[2]) if len(sys.argv) > 2 else NETWORK_SIZE_PX)
    size = description.size_px
    images = np.random.default_rng(0).integers(0, 256, (SLICES, size, size)).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.hdf5"
        save_weights(build_network(description), description, path)
        began = time.perf_counter()
        classifier = load_classifier(path)
        print(f"{backbone}, {size} pixels: loaded in {time.perf_counter() - began:.1f} s")
    unfolded = KerasClassifier(build_network(description), description, "unfolded", "")
    before = peak_mb()
    first = seconds(lambda: classifier(images))
    print(f"first {SLICES} slices {first:.1f} s; peak memory {peak_mb()} MB, {before} MB before")
    times = alternately(ways(classifier, unfolded, images))
    for name, spent in times.items():
        ratio = spent / times["this library"]
        print(f"{name:<28} {SLICES / spent:5.2f} slices/s  {ratio:4.1f} times the time of this library")
    print(f"peak memory of all: {peak_mb()} MB")


def ways(classifier: KerasClassifier, unfolded: KerasClassifier, images: np.ndarray) -> dict[str, Callable[[], object]]:
    """By name, functions that classify all images."""
    channels = np.repeat(images[..., None], 3, axis=-1).astype(np.float32)
    one_by_one = [channels[n : n + 1] for n in range(len(channels))]
    model = unfolded.model
    return {
        "this library": lambda: classifier(images),
        "normalisation not folded": lambda: unfolded(images),
        "model(slice), as published": lambda: [np.asarray(model(one)) for one in one_by_one],
        "model.predict(slice)": lambda: [model.predict(one, verbose=0) for one in one_by_one],
        "where it looked (Grad-CAM)": lambda: classifier.explain(images, classifier.description.classes[:1] * SLICES),
    }


def alternately(functions: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each, after one round that does not count."""
    rounds = [{name: seconds(function) for name, function in functions.items()} for _ in range(ROUNDS + 1)]
    return {name: float(np.median([taken[name] for taken in rounds[1:]])) for name in functions}


def seconds(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
