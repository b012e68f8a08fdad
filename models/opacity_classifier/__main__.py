"""Fit the opacity classifier and write the file that the library ships, with its data sheet.

Run from the root of the repository::

    python -m models.opacity_classifier --normal FOLDER

FOLDER holds a healthy chest CT; synthetic chests are made beside it. How well opacity is told in cases that were left
out is printed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom
from CovidSeverityLib.io.reading import read_ct
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.segmentation.lungs.lung_segmentation import segment_lungs
from CovidSeverityLib.segmentation.opacity.volumetric.lung_features import FEATURES
from CovidSeverityLib.segmentation.opacity.volumetric.opacity_classifier import CLASSIFIER_FILE, OpacityClassifier

from .cases import SCANS, Chest, Sample, prepared, samples
from .fitting import ITERATIONS, Quality, committee, fit_network, quality_of

SHIPPED = Path(__file__).parents[2] / "CovidSeverityLib" / "segmentation" / "opacity" / "volumetric" / CLASSIFIER_FILE

PHANTOM_SEEDS = range(100, 110)
"""Synthetic chests; seeds under 10 are the tests'."""

FIRST_SEED = 1000
"""Of the first part of the cases."""

MEMBERS = ((60, 2), (150, 4))
"""Cases of a part, of which there are two, and start of each network. Their log-odds are averaged: what one network
makes of real disease hangs on cases and start (ROC area of the slices of one CT 0.90 to 0.94), what two say less."""

HELD_OUT = 8
"""One case in so many is not fitted, but judged."""

DIGITS = 6
"""Significant digits of a weight."""


def chests(normal: Path) -> list[Chest]:
    """The healthy CT in turn with synthetic ones, each with its lungs."""
    ct = _with_lungs(read_ct(normal))
    return [part for seed in PHANTOM_SEEDS for part in (ct, _with_lungs(make_phantom(seed, healthy=True).volume))]


def _with_lungs(volume: CtVolume) -> Chest:
    return prepared(volume, segment_lungs(volume).labels)


def _part(work: tuple[list[Chest], int, int]) -> list[Sample]:
    made, count, seed = work
    return list(samples(made, count, seed))


def split(found: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Samples to fit and to judge by; all scans of a case go the same way."""
    fitted = [s for n, s in enumerate(found) if (n // SCANS) % HELD_OUT]
    return fitted, [s for n, s in enumerate(found) if not (n // SCANS) % HELD_OUT]


def first_cases(parts: Sequence[Sequence[Sample]], count: int) -> list[Sample]:
    """All scans of the first cases of every part."""
    return [sample for part in parts for sample in part[: count * SCANS]]


def sheet(fitted: Sequence[Sample], judged: Sequence[Sample], quality: Quality) -> dict[str, Any]:
    """What the classifier was fitted to and how it does on what it was not."""
    return {
        "task": "tells opacity from aerated lung, vessels, airways and borders, block by block",
        "data": (
            "simulated opacities in one healthy CT (COVID-CT-MD normal001) and in synthetic chests; features of blocks"
            " only, no pixels of any CT are in this file"
        ),
        "networks (cases of each part, start)": [list(member) for member in MEMBERS],
        "seeds": {"cases": [FIRST_SEED, FIRST_SEED + 1], "synthetic chests": [PHANTOM_SEEDS[0], PHANTOM_SEEDS[-1]]},
        "scans": {"fitted": len(fitted), "held out": len(judged)},
        "blocks": {"fitted": sum(len(s.truth) for s in fitted), "held out": sum(len(s.truth) for s in judged)},
        "held out": {
            "log-loss": round(quality.log_loss, 4),
            "area under the ROC curve": round(quality.auc, 4),
            "calibration (share of blocks, mean probability, share that is opacity)": [
                [round(value, 4) for value in row] for row in quality.calibration
            ],
        },
    }


def described(
    parts: Sequence[Sequence[Sample]], sets: Sequence[Sequence[Sample]], classifier: OpacityClassifier
) -> dict[str, Any]:
    """The data sheet; judged by the scans that no network was fitted to."""
    seen = {id(sample) for fitted in sets for sample in fitted}
    scans = [sample for part in parts for sample in part]
    fitted, judged = ([s for s in scans if (id(s) in seen) == known] for known in (True, False))
    return sheet(fitted, judged, quality_of(classifier, judged))


def content(classifier: OpacityClassifier, about: dict[str, Any]) -> dict[str, Any]:
    """What is written."""
    layers = [
        {"weights": [[_short(w) for w in row] for row in weights], "offsets": [_short(b) for b in offsets]}
        for weights, offsets in zip(classifier.weights, classifier.offsets, strict=True)
    ]
    return {"sheet": about, "features": list(FEATURES), "layers": layers}


def _short(value: float) -> float:
    return float(f"{float(value):.{DIGITS}g}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make cases, fit, write and tell."""
    parser = argparse.ArgumentParser(prog="python -m models.opacity_classifier", description=__doc__.partition("\n")[0])
    parser.add_argument("--normal", type=Path, required=True, help="a healthy chest CT: DICOM folder or file")
    parser.add_argument("--iterations", type=int, default=ITERATIONS, help=f"of the fit (default: {ITERATIONS})")
    parser.add_argument("-o", "--output", type=Path, default=SHIPPED, help="the file (default: where it is shipped)")
    options = parser.parse_args(arguments)
    made = chests(options.normal)
    cases = max(count for count, _ in MEMBERS)
    work = [(made, cases, FIRST_SEED), (made[::-1], cases, FIRST_SEED + 1)]
    with ProcessPoolExecutor(len(work)) as pool:
        parts = list(pool.map(_part, work))
    sets = [split(first_cases(parts, count))[0] for count, _ in MEMBERS]
    classifier = committee(
        [fit_network(fitted, options.iterations, seed) for fitted, (_, seed) in zip(sets, MEMBERS, strict=True)]
    )
    about = described(parts, sets, classifier)
    options.output.write_text(json.dumps(content(classifier, about)) + "\n", encoding="utf-8")
    print(json.dumps(about, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
