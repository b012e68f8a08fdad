"""Whether two versions of the program write the same bits: a check for changes that must not change any result.

``python Testing/benchmarks/same_results.py write FOLDER [--data DATA] [--only NAME]`` runs the command line of the
library in the current folder on every case and keeps what it wrote. The cases are ten synthetic chests and, where DATA
(``../shared`` by default) is there, the real CTs in both profiles, the CTs with readers' masks, and the slices that the
authors' own program was run on.

``python Testing/benchmarks/same_results.py compare BEFORE AFTER`` compares two such folders. Every voxel of a mask,
every byte of a table and every pixel of a picture has to be equal. Of reports, the version, the seconds and the
configuration may differ, and AFTER may have fields that BEFORE lacks. Exit status 1: something differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from PIL import Image

SYNTHETIC = {
    "seed-0": (),
    "seed-1": ("--healthy",),
    "seed-2": ("--slice-mm", "5"),
    "seed-3": ("--noise-hu", "40"),
    "seed-4": ("--pixel-mm", "1.6"),
    "seed-5": ("--healthy", "--slice-mm", "8"),
    "seed-6": (),
    "seed-7": ("--noise-hu", "5"),
    "seed-8": ("--slice-mm", "3.2"),
    "seed-9": ("--pixel-mm", "1.4", "--noise-hu", "25"),
}
"""Options of ``covid-severity phantom`` by the name of the case."""

MAY_DIFFER = ("configuration", "seconds", "version")
"""Keys of a report, wherever they stand."""


@dataclass(frozen=True)
class Case:
    """A CT and how it is analysed."""

    name: str
    ct: Path
    options: tuple[str, ...] = ()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write")
    writing.add_argument("folder", type=Path)
    writing.add_argument("--data", type=Path, default=Path("../shared"))
    writing.add_argument("--only", default="", help="part of the names of the cases to run")
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "write":
        write(arguments.folder, arguments.data, arguments.only)
        return 0
    return compare(arguments.before, arguments.after)


def write(folder: Path, data: Path, only: str) -> None:
    """Run every case into a folder of its name."""
    for case in [*synthetic_cases(folder, only), *(real_cases(data, folder) if data.is_dir() else ())]:
        if only in case.name:
            print(case.name, flush=True)
            run("analyze", str(case.ct), "-o", str(folder / case.name), *case.options)


def run(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "CovidSeverityLib", *arguments, "--quiet"], check=True)


def synthetic_cases(folder: Path, only: str) -> Iterator[Case]:
    for name, options in SYNTHETIC.items():
        if only in name:
            made = folder / f"made-{name}"
            run("phantom", str(made), "--seed", name.removeprefix("seed-"), *options)
            yield Case(name, made / "ct.nii.gz")


def real_cases(data: Path, folder: Path) -> Iterator[Case]:
    for name in ("P001", "cap001", "normal001"):
        for profile in ("default", "reference"):
            yield Case(f"{name}-{profile}", data / "data/covid-ct-md" / name, ("--profile", profile))
    for number in (1, 2, 4, 6):
        yield Case(f"medseg-{number}", data / f"data/medseg/{number}_ct.nii.gz")
    ct, lungs = golden_slices(data / "golden/inputs.npz", folder)
    for profile in ("default", "reference"):
        options = ("--independent-slices", "--lungs", str(lungs), "--profile", profile)
        yield Case(f"golden-{profile}", ct, options)


def golden_slices(stored: Path, folder: Path) -> tuple[Path, Path]:
    """The slices as a file, with their lungs."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = np.load(stored)
    written = []
    for name in ("hu", "lung"):
        image = sitk.GetImageFromArray(arrays[name])
        image.SetSpacing((0.7, 0.7, 2.0))
        written.append(folder / f"golden-{name}.nrrd")
        sitk.WriteImage(image, str(written[-1]))
    return written[0], written[1]


def compare(before: Path, after: Path) -> int:
    """Print every difference; 1 if there is one."""
    files = sorted(p.relative_to(before) for p in before.rglob("*") if p.is_file())
    missing = [
        f"{name}: only on one side"
        for name in set(files) ^ {p.relative_to(after) for p in after.rglob("*") if p.is_file()}
    ]
    differences = [
        *missing,
        *(line for name in files if (after / name).is_file() for line in differing(before / name, after / name)),
    ]
    lines = [*dict.fromkeys(differences)]
    for line in lines:
        print(line)
    print(f"{len(files)} files compared, {len(lines)} differences")
    return 1 if lines else 0


def differing(before: Path, after: Path) -> list[str]:
    label = f"{before.parent.name}/{before.name}"
    if before.suffix == ".json":
        return [
            f"{label}: {d}" for d in differing_values(json.loads(before.read_text()), json.loads(after.read_text()), "")
        ]
    return [] if before.read_bytes() == after.read_bytes() or same_image(before, after) else [f"{label}: differs"]


def same_image(before: Path, after: Path) -> bool:
    """Whether two pictures have the same colours, or two segmentations the same voxels and header but the version."""
    if before.suffix == ".png":
        return np.array_equal(*(np.asarray(Image.open(path).convert("RGB")) for path in (before, after)))
    if not before.name.endswith(".seg.nrrd"):
        return False
    first, second = (sitk.ReadImage(str(path)) for path in (before, after))
    keys = [key for key in first.GetMetaDataKeys() if "version" not in key.lower()]
    headers = all(second.HasMetaDataKey(k) and first.GetMetaData(k) == second.GetMetaData(k) for k in keys)
    return headers and np.array_equal(sitk.GetArrayFromImage(first), sitk.GetArrayFromImage(second))


def differing_values(before: Any, after: Any, path: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() - {*MAY_DIFFER}:
            if key not in after:
                yield f"{path}/{key}: only before"
            else:
                yield from differing_values(before[key], after[key], f"{path}/{key}")
    elif before != after:
        yield f"{path}: {before} became {after}"


if __name__ == "__main__":
    sys.exit(main())
