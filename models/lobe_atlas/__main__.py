"""Fit the atlas of the fissures and write the file that the library ships, with its licence notice.

Run from the root of the repository::

    python -m models.lobe_atlas FOLDER

FOLDER holds the lobe atlas of the Chest Imaging Platform. How far the surfaces are from the fissures of cases that were
left out is printed as a table.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.segmentation.lobes.lobe_atlas import ATLAS_FILE, Fissure, FissurePlane
from CovidSeverityLib.segmentation.lobes.lung_frame import LungExtent, lung_extent
from CovidSeverityLib.types import Side

from .cases import AtlasLungs, read_cases, read_lungs, trusted
from .cross_validation import LeftOut, left_out_distances, table
from .fitting import LungFit, Surfaces
from .surfaces import plane_of

SHIPPED = Path(__file__).parents[2] / "CovidSeverityLib" / "segmentation" / "lobes"

MODES = {Side.RIGHT: 14, Side.LEFT: 9}
"""Modes that are kept: nine tenths of the variance."""

IN_FRONT_SHARE = 0.96
"""Share of a fissure's points in front of its rearmost position. The few behind it may be set on another fissure."""

LICENCE_NAME = "lobe_atlas_LICENSE.txt"
LICENCE_SOURCE = "License.txt"
LICENCE_PREFACE = """\
lobe_atlas.json is a modified form of the lobe atlas of the Chest Imaging Platform: surfaces that were fitted to its
fissure points (models/lobe_atlas).

All or portions of this licensed product (such portions are the "Software") have been obtained under license from The
Brigham and Women's Hospital, Inc. and are subject to the following terms and conditions:
"""
LICENCE_ENCODING = "latin-1"
"""Of the notice's file, which is not UTF-8."""


@dataclass(frozen=True, eq=False)
class Atlas:
    """What is written: ``content`` of the atlas's file; and what is told about it."""

    content: dict[str, Any]
    left_out: dict[Fissure, LeftOut]
    held: dict[Side, float]
    read: int


def fit(folder: Path) -> Atlas:
    """Fit the atlas to the points in ``folder`` and leave every case out once."""
    lungs, every = read_lungs(folder), read_cases(folder)
    cases = trusted(every, lungs)
    fissures: dict[str, Any] = {}
    left_out: dict[Fissure, LeftOut] = {}
    held: dict[Side, float] = {}
    for side in Side:
        points = {f: np.concatenate([case.points[f] for case in cases]) for f in Fissure if f.side is side}
        planes = {fissure: plane_of(of_all, lungs, side) for fissure, of_all in points.items()}
        lung = LungFit.of(planes, cases)
        surfaces = lung.surfaces(MODES[side])
        held[side] = surfaces.held
        for fissure, distances in left_out_distances(lung).items():
            left_out[fissure] = LeftOut.of(distances)
            entry = _fissure(fissure, planes[fissure], surfaces, left_out[fissure].mean_mm)
            fissures[fissure.value] = entry | {"rearmost": round(_rearmost(points[fissure], lungs, side), 3)}
    source = f"Chest Imaging Platform's lobe atlas, see {LICENCE_NAME}"
    content = {"source": source, "cases": len(cases), "lungs": _lungs(lungs), "fissures": fissures}
    return Atlas(content, left_out, held, len(every))


def _fissure(fissure: Fissure, plane: FissurePlane, surfaces: Surfaces, distance_mm: float) -> dict[str, Any]:
    arrays = {"mean": surfaces.mean[fissure], "modes": surfaces.modes[fissure]}
    rounded = {name: np.round(array, 2).tolist() for name, array in arrays.items()}
    frame = {name: getattr(plane, name) for name in ("origin_mm", "tilt_deg", "a_mm", "b_mm")}
    return frame | {"distance_mm": round(distance_mm, 2)} | rounded


def _rearmost(points: NDArray[np.float64], lungs: AtlasLungs, side: Side) -> float:
    """Share of the lung's length, from front to back, that holds nearly all points of a fissure."""
    rows = np.flatnonzero(lungs.masks[side].any(axis=(0, 2)))
    front, back = lungs.origin_mm[1] + lungs.spacing_mm[1] * (rows[[0, -1]] + [-0.5, 0.5])
    return float((np.quantile(points[:, 1], IN_FRONT_SHARE) - front) / (back - front))


def _lungs(lungs: AtlasLungs) -> dict[str, Any]:
    origin, spacing = tuple(lungs.origin_mm), tuple(lungs.spacing_mm)
    return {side.name: _extent(lung_extent(lungs.masks[side], spacing).shifted(origin)) for side in Side}


def _extent(extent: LungExtent) -> dict[str, Any]:
    quantiles = [[round(mm, 2) for mm in axis] for axis in extent.quantiles_mm]
    return {"quantiles_mm": quantiles, "ends_mm": [round(mm, 2) for mm in extent.ends_mm]}


def write(atlas: Atlas, notice: Path, folder: Path) -> None:
    """Write the atlas and, from the file ``notice`` of its source, its licence into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ATLAS_FILE).write_text(json.dumps(atlas.content) + "\n", encoding="utf-8")
    text = notice.read_text(encoding=LICENCE_ENCODING).strip("\r\n") + "\n"
    (folder / LICENCE_NAME).write_text(f"{LICENCE_PREFACE}\n{text}", encoding="utf-8")


def report(atlas: Atlas) -> str:
    """How many cases were used, what the modes hold, and the table of the cross-validation."""
    lines = [f"{atlas.content['cases']} of {atlas.read} cases lie in the atlas lungs"]
    lines += [
        f"{s.name.lower()} lung: {MODES[s]} modes hold {100 * h:.0f} % of the variance" for s, h in atlas.held.items()
    ]
    return "\n".join([*lines, "", *table(atlas.left_out)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, write and tell."""
    parser = argparse.ArgumentParser(prog="python -m models.lobe_atlas", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "folder",
        type=Path,
        help="the unpacked lobe atlas: lung mask, points and transforms (or LungLobeAtlasData in it)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=SHIPPED, help="where the two files go (default: where they are shipped)"
    )
    options = parser.parse_args(arguments)
    folder = options.folder / "LungLobeAtlasData"
    folder = folder if folder.is_dir() else options.folder
    notice = next((p for p in (folder / LICENCE_SOURCE, folder.parent / LICENCE_SOURCE) if p.is_file()), None)
    if notice is None:
        parser.error(f"{LICENCE_SOURCE} of the atlas is neither in {folder} nor beside it")
    try:
        atlas = fit(folder)
    except FileNotFoundError as error:
        parser.error(str(error))
    write(atlas, notice, options.output)
    print(report(atlas))
    return 0


if __name__ == "__main__":
    sys.exit(main())
