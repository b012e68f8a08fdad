"""Wall time, processor time and peak memory of whole processes of the command line, and how they grow with the CT.

``python Testing/benchmarks/run_time.py [CT] [--runs N]`` measures, from process start to exit, ``covid-severity
--help``, ``import CovidSeverityLib`` and ``covid-severity analyze CT``, and prints the median of N runs (5 by default)
and the seconds of every stage. CT is a DICOM folder or a file; without it, a synthetic chest of 512 x 512 x 148 voxels.
``--slices 600`` interpolates the CT to that many thinner slices before. ``--no-dicom`` is that of ``analyze``.

``python Testing/benchmarks/run_time.py [CT] --growth FOLDER`` analyses the CT at several numbers of slices and of
pixels, and writes the table ``growth.csv`` and the plot ``growth.png`` to FOLDER.

Needs Linux or macOS. A benchmark, not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]

STANDARD_SHAPE = (148, 512, 512)
SLICES = (74, 148, 296, 444, 600)
PIXELS = (256, 384, 512, 640, 768)
"""Slices at 512 x 512 pixels, and pixels a side at 148 slices, of the plot of the growth."""


@dataclass(frozen=True)
class Cost:
    """Of a whole process, or the medians of several."""

    wall_s: float
    processor_s: float
    peak_mib: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", nargs="?", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--slices", type=int, help="slices to interpolate the CT to")
    parser.add_argument("--no-dicom", action="store_const", const=("--no-dicom",), default=(), dest="options")
    parser.add_argument("--growth", type=Path, metavar="FOLDER", help="write a table and a plot of the growth")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.growth is not None:
            arguments.growth.mkdir(parents=True, exist_ok=True)
            rows = list(measure_growth(arguments.ct, folder, arguments.runs))
            draw_growth(rows, arguments.growth)
            return
        ct = arguments.ct
        if ct is None or arguments.slices is not None:
            ct = resampled(ct, (arguments.slices or STANDARD_SHAPE[0], *STANDARD_SHAPE[1:]), folder)
        measure(ct, folder, arguments.runs, arguments.options)


def measure(ct: Path, folder: Path, runs: int, options: Sequence[str]) -> None:
    """Print what a start and an analysis cost."""
    print(f"{'median of ' + str(runs):<28} {'wall':>8} {'processor':>10} {'peak memory':>12}")
    _row("import CovidSeverityLib", medians(["-c", "import CovidSeverityLib"], runs))
    _row("covid-severity --help", medians(["-m", "CovidSeverityLib", "--help"], runs))
    stages: dict[str, list[float]] = {}

    def keep_stages() -> None:
        report = json.loads((folder / "results" / "report.json").read_text())
        for stage, seconds in report["provenance"]["seconds"].items():
            stages.setdefault(stage, []).append(seconds)

    _row("covid-severity analyze", medians([*_analyze(ct, folder), *options], runs, keep_stages))
    for stage, seconds in stages.items():
        print(f"  {stage:<26} {median(seconds[1:]):6.2f} s")


def measure_growth(ct: Path | None, folder: Path, runs: int) -> Iterator[tuple[str, int, Cost]]:
    """What varies, voxels, and cost of an analysis, for every size."""
    sizes = [("slices", (n, *STANDARD_SHAPE[1:])) for n in SLICES]
    sizes += [("pixels", (STANDARD_SHAPE[0], n, n)) for n in PIXELS]
    for varied, (k, j, i) in sizes:
        cost = medians(_analyze(resampled(ct, (k, j, i), folder), folder), runs)
        _row(f"{i} x {j} x {k}", cost)
        yield varied, k * j * i, cost


def draw_growth(rows: Sequence[tuple[str, int, Cost]], folder: Path) -> None:
    """Write growth.csv and growth.png: each figure against the voxels, and the straight line nearest to it."""
    import matplotlib as mpl

    mpl.use("Agg")
    import numpy as np
    from matplotlib import pyplot as plt

    with (folder / "growth.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["varied", "voxels", *asdict(rows[0][2])])
        table.writerows([varied, voxels, *(f"{x:.2f}" for x in asdict(cost).values())] for varied, voxels, cost in rows)
    figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
    titles = {"wall_s": "Wall time (s)", "processor_s": "Processor time (s)", "peak_mib": "Peak memory (MiB)"}
    names = {"slices": "slices, at 512 x 512", "pixels": "pixels, at 148 slices"}
    for ax, (key, title) in zip(axes, titles.items(), strict=True):
        for (varied, name), marker in zip(names.items(), "os", strict=True):
            x = np.array([voxels / 1e6 for kind, voxels, _ in rows if kind == varied])
            y = np.array([getattr(cost, key) for kind, _, cost in rows if kind == varied])
            slope, start = np.polyfit(x, y, 1)
            points = ax.plot(x, y, marker, label=f"{name}: {start:.3g} + {slope:.3g} per million voxels")
            ends = np.array([0, x.max()])
            ax.plot(ends, start + slope * ends, color=points[0].get_color(), linewidth=1)
        ax.set(title=title, xlabel="Million voxels", xlim=(0, None), ylim=(0, None))
        ax.legend(fontsize=7)
    figure.savefig(folder / "growth.png", dpi=120)


def medians(command: Sequence[str], runs: int, then: Callable[[], None] = lambda: None) -> Cost:
    """The medians over ``runs`` processes, after one that does not count; ``then`` is called after each."""
    costs = []
    for _ in range(runs + 1):
        costs.append(_cost(command))
        then()
    del costs[0]
    return Cost(*(median(column) for column in zip(*(asdict(c).values() for c in costs), strict=True)))


def resampled(ct: Path | None, shape: tuple[int, int, int], folder: Path) -> Path:
    """A file of the CT, interpolated to ``shape`` (K, J, I) over the same part of the body.

    In a process of its own: the peak memory of a child process begins with what its parent holds.
    """
    path = folder / "ct.nii"
    child = multiprocessing.get_context("spawn").Process(target=_resample, args=(ct, shape, path))
    child.start()
    child.join()
    if child.exitcode:
        raise SystemExit(child.exitcode)
    return path


def _resample(ct: Path | None, shape: tuple[int, int, int], path: Path) -> None:
    import SimpleITK as sitk

    sys.path.insert(0, str(ROOT))
    if ct is None:
        from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom

        image = make_phantom(0).volume.to_image()
    else:
        from CovidSeverityLib.io.reading import read_ct

        image = read_ct(ct).to_image()
    old = image.GetSpacing()
    spacing = [mm * n / new for mm, n, new in zip(old, image.GetSize(), shape[::-1], strict=True)]
    corner = [(new / mm - 1) / 2 for new, mm in zip(spacing, old, strict=True)]
    origin = image.TransformContinuousIndexToPhysicalPoint(corner)
    grid = sitk.Image(*shape[::-1], sitk.sitkInt16)
    grid.SetOrigin(origin)
    grid.SetSpacing(spacing)
    grid.SetDirection(image.GetDirection())
    padded = sitk.ZeroFluxNeumannPad(image, [1] * 3, [1] * 3)  # the outer halves of the outer voxels
    sitk.WriteImage(sitk.Resample(padded, grid, sitk.Transform(), sitk.sitkLinear), str(path))


def _analyze(ct: Path, folder: Path) -> list[str]:
    return ["-m", "CovidSeverityLib", "analyze", str(ct), "-o", str(folder / "results"), "--quiet"]


def _cost(command: Sequence[str]) -> Cost:
    began = time.perf_counter()
    # as in an installed package, modules are compiled once
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    child = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"exit status {child.returncode}: {' '.join(command)}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 2**20)


def _row(name: str, cost: Cost) -> None:
    print(f"{name:<28} {cost.wall_s:6.2f} s {cost.processor_s:8.2f} s {cost.peak_mib:8.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
