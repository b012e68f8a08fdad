"""Throughput and memory of ``covid-severity batch``: two workers against one, and memory over many cases.

Run from the root of the repository, on a quiet computer with two cores or more::

    python Testing/benchmarks/batch_throughput.py throughput FOLDER --cases 16
    python Testing/benchmarks/batch_throughput.py memory FOLDER --cases 200
    python Testing/benchmarks/batch_throughput.py throughput FOLDER --cts DICOM_FOLDER ... --cases 12

FOLDER is for the CTs and results, and may hold those of an earlier run. Without ``--cts``, CTs are synthetic chests of
256 x 256 x 80 voxels. The same few are linked as often as cases are asked for; a batch does not know that.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

CHESTS = 4
SHAPE, SPACING_MM = (80, 256, 256), (1.4, 1.4, 4.0)
SAMPLE_S = 0.5


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("throughput", "memory"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=int, default=16)
    parser.add_argument("--cts", type=Path, nargs="*", default=())
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    originals = arguments.cts or chests(arguments.folder / "chests")
    source = linked(originals, arguments.folder / f"cases-{arguments.cases}", arguments.cases)
    if arguments.what == "memory":
        memory(source)
        return
    for number in range(arguments.rounds):
        seconds = {workers: run(source, workers)[0] for workers in (1, 2)}
        ratio = seconds[1] / seconds[2]
        print(f"round {number + 1}: 1 worker {seconds[1]:.1f} s, 2 workers {seconds[2]:.1f} s, {ratio:.2f} times")


def chests(folder: Path) -> list[Path]:
    """Synthetic chests as NIfTI."""
    from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom, write_phantom

    for seed in range(CHESTS):
        if not (folder / f"{seed}" / "ct.nii.gz").exists():
            (folder / f"{seed}").mkdir(parents=True, exist_ok=True)
            write_phantom(make_phantom(seed, shape=SHAPE, spacing_mm=SPACING_MM), folder / f"{seed}")
    return [folder / f"{seed}" / "ct.nii.gz" for seed in range(CHESTS)]


def linked(originals: list[Path], folder: Path, cases: int) -> Path:
    """A table of as many cases."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{originals[n % len(originals)].resolve()},case{n:04d}" for n in range(cases)]
    (folder / "cases.csv").write_text("path,id\n" + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return folder / "cases.csv"


def run(source: Path, workers: int, watch: bool = False) -> tuple[float, list[tuple[int, float]]]:
    """Seconds of a batch; with ``watch``, also (cases done, MB of all its processes) twice a second."""
    samples: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory(dir=source.parent) as out:
        command = [sys.executable, "-m", "CovidSeverityLib", "batch", source, "-o", out, "--workers", str(workers)]
        begun = time.monotonic()
        with (Path(out) / "progress").open("w+") as progress:
            process = subprocess.Popen([*map(str, command), "--progress", "json"], stdout=progress)
            while process.poll() is None:
                time.sleep(SAMPLE_S if watch else 0.01)
                if watch:
                    samples.append((_done(Path(out) / "progress"), _resident_mb(process.pid)))
        seconds = time.monotonic() - begun
        if process.returncode:
            raise SystemExit(f"the batch ended with status {process.returncode}")
        summary = json.loads((Path(out) / "batch.json").read_text(encoding="utf-8"))
        print(f"  {summary['done']} cases in {seconds:.1f} s: {seconds / summary['done']:.2f} s a case")
        shutil.rmtree(Path(out) / "cases")
    return seconds, samples


def _done(progress: Path) -> int:
    lines = progress.read_text(encoding="utf-8").splitlines()
    return json.loads(lines[-1])["done"] if lines and lines[-1].endswith("}") else 0


def _resident_mb(pid: int) -> float:
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            total += process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0.0
    return total / 2**20


def memory(source: Path) -> None:
    """Print the peak of every tenth of the cases."""
    _, samples = run(source, 2, watch=True)
    cases = max(done for done, _ in samples)
    for tenth in range(10):
        peak = max((mb for done, mb in samples if cases * tenth // 10 <= done <= cases * (tenth + 1) // 10), default=0)
        print(f"  cases {cases * tenth // 10:4d} to {cases * (tenth + 1) // 10:4d}: at most {peak:.0f} MB")


if __name__ == "__main__":
    main()
