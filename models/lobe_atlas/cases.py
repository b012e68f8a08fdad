"""The lobe atlas of the Chest Imaging Platform: the lungs of one CT and the fissure points of 100, laid onto them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from CovidSeverityLib.morphology.grid import close_mm, distance_to
from CovidSeverityLib.segmentation.lobes.lobe_atlas import Fissure
from CovidSeverityLib.types import Side

MASK_PATTERN = "*_leftLungRightLung.nrrd"
POINTS_ENDING = "_regionAndTypePoints.csv"

MASK_LABELS = {2: Side.RIGHT, 3: Side.LEFT}
"""Chest Imaging Platform's regions "right lung" and "left lung"."""

MASK_BLOCK = 4
"""Voxels of the mask a block, along every axis: 2 mm, finer than the points are set."""

CLOSING_MM = 8.0
"""The mask leaves vessels and airways out; this fills those of the hilum too."""

ROOM_BLOCKS = 6
"""Blocks of room about the lungs while they are closed."""

NEAR_LUNG_MM = 3.0
NEAR_LUNG_SHARE = 0.9
"""A transform is trusted where this share of the case's points lies in the lungs or so near to them."""


@dataclass(frozen=True, eq=False)
class AtlasLungs:
    """The lungs that every case is laid onto.

    Parameters
    ----------
    masks : mapping of Side to (K, J, I) ndarray of bool
        Of either lung, on blocks, closed.
    origin_mm : (3,) ndarray of float64
        K, J, I of the first block's centre, mm.
    spacing_mm : (3,) ndarray of float64
        The blocks' edges along K, J, I, mm.
    """

    masks: Mapping[Side, NDArray[np.bool_]]
    origin_mm: NDArray[np.float64]
    spacing_mm: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Case:
    """Fissure points of one CT in the atlas lungs: (N, 3) K, J, I mm; ``matrix`` maps the case's own mm to them."""

    name: str
    points: Mapping[Fissure, NDArray[np.float64]]
    matrix: NDArray[np.float64]


def read_lungs(folder: Path) -> AtlasLungs:
    """Both lungs of the atlas.

    Raises
    ------
    FileNotFoundError
        If the folder does not hold one lung mask.
    """
    paths = sorted(folder.glob(MASK_PATTERN))
    if len(paths) != 1:
        raise FileNotFoundError(f"{folder} holds {len(paths)} files {MASK_PATTERN}; one is needed")
    image = sitk.ReadImage(str(paths[0]))
    array = sitk.GetArrayViewFromImage(image)
    shape = tuple(n // MASK_BLOCK for n in array.shape)
    array = array[tuple(slice(0, n * MASK_BLOCK) for n in shape)]
    blocks = array.reshape(*(m for n in shape for m in (n, MASK_BLOCK)))
    spacing = np.array(image.GetSpacing())[::-1] * MASK_BLOCK
    origin = np.array(image.GetOrigin())[::-1] + spacing * (0.5 - 0.5 / MASK_BLOCK)
    masks = {}
    for label, side in MASK_LABELS.items():
        mask = np.pad((blocks == label).mean(axis=(1, 3, 5)) >= 0.5, ROOM_BLOCKS)
        masks[side] = close_mm(mask, CLOSING_MM, tuple(spacing))[(slice(ROOM_BLOCKS, -ROOM_BLOCKS),) * 3]
    return AtlasLungs(masks, origin, spacing)


def read_cases(folder: Path) -> list[Case]:
    """Every case of the atlas, by name.

    Raises
    ------
    FileNotFoundError
        If the folder holds none.
    """
    cases = [read_case(path) for path in sorted(folder.glob(f"*{POINTS_ENDING}"))]
    if not cases:
        raise FileNotFoundError(f"{folder} holds no files *{POINTS_ENDING}")
    return cases


def read_case(points_file: Path) -> Case:
    """The points of one CT, brought into the atlas lungs by the inverse of its transform (if it has one)."""
    name = points_file.name.removesuffix(POINTS_ENDING)
    found = sorted(points_file.parent.glob(f"{name}_TO_*_transform.tfm"))
    transform = sitk.AffineTransform(3)
    if found:
        transform = sitk.AffineTransform(sitk.ReadTransform(str(found[0])).GetInverse())
    rows: dict[Fissure, list[tuple[float, ...]]] = {fissure: [] for fissure in Fissure}
    with points_file.open(newline="") as file:
        for region, kind, *lps in list(csv.reader(file))[1:]:
            fissure = _fissure(region.upper(), kind.upper())
            if fissure is not None:
                rows[fissure].append(transform.TransformPoint([float(mm) for mm in lps])[::-1])
    points = {fissure: np.array(r, dtype=np.float64).reshape(-1, 3) for fissure, r in rows.items()}
    return Case(name, points, np.reshape(transform.GetMatrix(), (3, 3))[::-1, ::-1])


def _fissure(region: str, kind: str) -> Fissure | None:
    """The fissure that a point lies on; None for a point of unknown region or type."""
    if kind == "HORIZONTALFISSURE" and region.startswith("RIGHT"):
        return Fissure.RIGHT_HORIZONTAL
    if kind == "OBLIQUEFISSURE" and region.startswith(("RIGHT", "LEFT")):
        return Fissure.RIGHT_OBLIQUE if region.startswith("RIGHT") else Fissure.LEFT_OBLIQUE
    return None


def trusted(cases: Iterable[Case], lungs: AtlasLungs) -> list[Case]:
    """The cases whose points the transform brings into the lungs."""
    distance = distance_to(lungs.masks[Side.RIGHT] | lungs.masks[Side.LEFT], tuple(lungs.spacing_mm))
    last = np.array(distance.shape) - 1
    kept = []
    for case in cases:
        points = np.concatenate(list(case.points.values()))
        index = np.rint((points - lungs.origin_mm) / lungs.spacing_mm).astype(np.intp)
        near = distance[tuple(np.clip(index, 0, last).T)] <= NEAR_LUNG_MM
        if near.mean() > NEAR_LUNG_SHARE:
            kept.append(case)
    return kept
