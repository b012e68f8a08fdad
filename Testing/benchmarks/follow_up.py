"""How well ``compare`` finds known changes: real and synthetic chests against themselves in another breath.

Run from the root of the repository::

    python Testing/benchmarks/follow_up.py CT [CT ...] [--phantoms N] [--percent 10] [--seed 0]

Every chest is warped by a known field into a breath of less volume, its mass kept, noise is added, and both are
analysed and compared. First unchanged, then with lesions that are known to stay, to grow, to be new and to be taken
out. One JSON line is printed for each comparison.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib import Analysis, Comparison, CtVolume, analyze, compare, read_ct
from CovidSeverityLib.evaluation.synthetic.breath import Breath, BreathSpec, breathe
from CovidSeverityLib.evaluation.synthetic.lesions.painting import Canvas, SimulatedLesion, composed
from CovidSeverityLib.evaluation.synthetic.lesions.places import Places
from CovidSeverityLib.evaluation.synthetic.lesions.scan_noise import estimate_noise
from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom
from CovidSeverityLib.evaluation.synthetic.phantom.model import LesionKind
from CovidSeverityLib.morphology.grid import dilate_mm

GRID = {"shape": (144, 256, 256), "spacing_mm": (1.5, 1.5, 2.2)}
"""Of the synthetic chests."""

APART_MM = 35.0
"""Smallest distance between the centres of lesions, and from opacities that are there already."""

DEPTH_MM = 8.0
"""Least depth of a centre under the surface of the lung."""


@dataclass(frozen=True)
class LesionPlan:
    """One lesion: its radius before and after, mm; 0 where it is not there."""

    before_mm: float
    after_mm: float
    hu: float


PLANS = (
    LesionPlan(14.0, 14.0, -550.0),
    LesionPlan(12.0, 18.0, -550.0),
    LesionPlan(20.0, 26.0, -450.0),
    LesionPlan(0.0, 15.0, -500.0),
    LesionPlan(0.0, 22.0, -600.0),
    LesionPlan(16.0, 0.0, -550.0),
    LesionPlan(24.0, 0.0, -450.0),
    LesionPlan(20.0, 12.0, -550.0),
)
"""Lesions that stay, grow, are new, are taken out and shrink."""


def laid_in(base: Analysis, which: str, seed: int) -> tuple[CtVolume, NDArray[np.bool_]]:
    """The CT with the lesions of one side, ``"before_mm"`` or ``"after_mm"``, and their mask."""
    canvas = Canvas(base.volume, base.lungs)
    for n, (plan, centre) in enumerate(zip(PLANS, centres(base, seed), strict=True)):
        radius = getattr(plan, which)
        if radius > 0:
            lps = (base.volume.geometry.ijk_to_lps * np.append(centre[::-1], 1.0)).sum(axis=1)[:3]
            lesion = SimulatedLesion(LesionKind.GROUND_GLASS, tuple(lps), (radius,) * 3, plan.hu, None)
            canvas.paint(lesion, centre, np.random.default_rng((seed, n)))
    rng = np.random.default_rng((seed, 99, which == "after_mm"))
    hu = composed(base.volume.hu, canvas.opacity, estimate_noise(base.volume), rng)
    return replace(base.volume, hu=hu), canvas.labels > 0


def centres(base: Analysis, seed: int) -> list[NDArray[np.intp]]:
    """A place for every lesion, apart from each other and from what is there, the same before and after."""
    places = Places(base.lungs, base.volume.geometry)
    sick = dilate_mm(base.infection > 0, 0.5 * APART_MM, base.volume.geometry.spacing_kji)
    free = (places.depth >= DEPTH_MM) & ~sick[tuple(places.voxels.T)]
    rng, found = np.random.default_rng((seed, 7)), []
    for plan in PLANS:
        deep = free & (places.depth >= 0.6 * max(plan.before_mm, plan.after_mm))
        options = np.flatnonzero(deep if deep.any() else free)
        if not options.size:
            raise SystemExit(f"{base.volume.name} has no place for {len(PLANS)} lesions")
        place = int(rng.choice(options))
        found.append(places.voxels[place])
        free &= np.square(places.mm - places.mm[place]).sum(axis=1) >= APART_MM**2
    return found


def unchanged(name: str, base: Analysis, spec: BreathSpec) -> dict[str, Any]:
    """The chest against itself in another breath."""
    volume, breath = breathe(base.volume, base.lungs, spec)
    later = analyze(volume)
    began = time.perf_counter()
    found = compare(base, later)
    return {
        **line(name, "unchanged", found, began),
        "points_off_mm": points_off(found, breath),
        "lung_percent_change": round(found.lungs.opacity_percent.change or 0.0, 3),
        "ctss": [base.ctss, later.ctss],
        "said_more": [part.code for part in found.changes if part.opacity_percent.more_than_repeatability],
        "lobe_percent_change": [round(part.opacity_percent.change or 0.0, 2) for part in found.lobes],
        "lobe_volume_change": [round(part.volume_ml.change or 0.0) for part in found.lobes],
    }


def changed(name: str, base: Analysis, spec: BreathSpec) -> dict[str, Any]:
    """The chest with lesions before, against itself with other lesions in another breath."""
    earlier_ct, earlier_truth = laid_in(base, "before_mm", spec.seed)
    later_ct, later_truth = laid_in(base, "after_mm", spec.seed)
    earlier = analyze(earlier_ct)
    volume, breath = breathe(later_ct, base.lungs, spec)
    later = analyze(volume)
    began = time.perf_counter()
    found = compare(earlier, later)
    masks = (later_truth & ~earlier_truth, earlier_truth & ~later_truth, earlier_truth & later_truth)
    old = base.volume.geometry
    truth = [float(breath.carried(m.astype(np.uint8), old).sum()) * volume.geometry.voxel_ml for m in masks]
    measured = (found.lungs.new_ml, found.lungs.resolved_ml)
    return {
        **line(name, "changed", found, began),
        "points_off_mm": points_off(found, breath),
        "true_new_ml": round(truth[0], 1),
        "true_resolved_ml": round(truth[1], 1),
        "new_off_ml": round(measured[0] - truth[0], 1),
        "resolved_off_ml": round(measured[1] - truth[1], 1),
        "off_percent": [round(100.0 * (m - t) / t, 1) for m, t in zip(measured, truth[:2], strict=True)],
        "ctss": [earlier.ctss, later.ctss],
        "said_more": [part.code for part in found.changes if part.opacity_percent.more_than_repeatability],
    }


def line(name: str, what: str, found: Comparison, began: float) -> dict[str, Any]:
    """What every comparison tells."""
    quality = found.registration_quality
    return {
        "chest": name,
        "what": what,
        "dice": round(quality.dice, 4),
        "correlation": round(quality.correlation or 0.0, 3),
        "folded_percent": round(quality.folded_percent, 3),
        "lungs_ml": [round(found.before.lung_ml), round(found.after.lung_ml)],
        "new_ml": round(found.lungs.new_ml, 1),
        "resolved_ml": round(found.lungs.resolved_ml, 1),
        "persistent_ml": round(found.lungs.persistent_ml, 1),
        "seconds": round(time.perf_counter() - began, 1),
        "most_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def points_off(found: Comparison, breath: Breath) -> dict[str, float]:
    """How far registered points lie from their true places, mm: median and 95th percentile over the lungs."""
    ours, true = found.registration.transform(), breath.transform()
    matrix = found.after.geometry.ijk_to_lps
    places = np.argwhere(found.after.lungs > 0)[::2003]
    points = [(matrix * np.append(place[::-1], 1.0)).sum(axis=1)[:3].tolist() for place in places]
    off = [np.subtract(ours.TransformPoint(point), true.TransformPoint(point)) for point in points]
    median, most = np.percentile(np.sqrt(np.square(off).sum(axis=1)), [50, 95])
    return {"median": round(float(median), 2), "p95": round(float(most), 2)}


def chests(arguments: argparse.Namespace) -> Iterator[tuple[str, CtVolume]]:
    """Every chest with its name."""
    for path in arguments.cts:
        yield path.name, read_ct(path)
    for seed in range(arguments.phantoms):
        yield f"synthetic {seed}", make_phantom(seed, **GRID).volume


def main() -> None:
    """Compare every chest with itself and print one JSON line for each comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cts", metavar="CT", nargs="*", type=Path, help="chest CT, as analyze takes it")
    parser.add_argument("--phantoms", metavar="N", type=int, default=0, help="number of synthetic chests")
    parser.add_argument("--percent", type=float, default=10.0, help="by how much less the lungs hold")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    spec = BreathSpec(less_percent=arguments.percent, seed=arguments.seed)
    for name, volume in chests(arguments):
        base = analyze(volume)
        for what in (unchanged, changed):
            sys.stdout.write(json.dumps(what(name, base, spec)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
