"""Fit the atlas of the fissures: ``python tools/fit_lobe_atlas.py FOLDER`` from the root of the repository.

FOLDER holds the lobe atlas of the Chest Imaging Platform: fissure points of 100 chest CTs, affine transforms and the
lung mask of the case that they lead to. The script writes ``CovidSeverityLib/features/lobe_atlas.json`` and the licence
notice beside it, and prints how far the surfaces are from the fissures of cases that were left out.

Every case's coefficients are drawn from one normal distribution per lung, seen through scattered noisy points; its mean
and covariance come from expectation-maximisation, shrunk towards smooth surfaces (Rasmussen and Williams, Gaussian
processes for machine learning, section 5.4; the inverse Wishart prior of Gelman, Bayesian data analysis, section 3.6).
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from CovidSeverityLib.features.lobe_atlas import ATLAS_FILE, Fissure, FissurePlane, spline_taps
from CovidSeverityLib.features.lung_frame import LungExtent, lung_extent
from CovidSeverityLib.preprocessing.grid import close_mm, distance_to
from CovidSeverityLib.types import Side

OUTPUT = Path(__file__).parents[1] / "CovidSeverityLib" / "features"
LICENCE_NAME = "lobe_atlas_LICENSE.txt"
LICENCE_PREFACE = """\
lobe_atlas.json is a modified form of the lobe atlas of the Chest Imaging Platform: surfaces that were fitted to its
fissure points (tools/fit_lobe_atlas.py).

All or portions of this licensed product (such portions are the "Software") have been obtained under license from The
Brigham and Women's Hospital, Inc. and are subject to the following terms and conditions:
"""
LICENCE_ENCODING = "latin-1"
"""Of the notice's file, which is not UTF-8."""

MASK_LABELS = {2: Side.RIGHT, 3: Side.LEFT}
"""Chest Imaging Platform's regions "right lung" and "left lung"."""

MASK_BLOCK = 4
"""Voxels of the mask a block, along every axis: 2 mm, finer than the points are set."""

CLOSING_MM = 8.0
"""The mask leaves vessels and airways out; this fills those of the hilum too."""

NEAR_LUNG_MM = 3.0
NEAR_LUNG_SHARE = 0.9
"""A transform is trusted where this share of the case's points lies in the lungs or so near to them."""

KNOT_MM = 28.0
"""Distance of the B-splines' knots: the fissures' undulations are longer."""

MARGIN_MM = 10.0
"""How far a surface's plane reaches beyond the lung."""

POINT_NOISE_MM = 1.5
"""Scatter of the points about a smooth surface: they were set by hand on voxels of 0.5 to 2.5 mm."""

PRIOR_SD_MM = 8.0
PRIOR_LENGTH_MM = 45.0
PRIOR_CASES = 10.0
SMOOTH_SHARE = 0.995
"""Covariance of a smooth surface, how many cases it counts for, and the share of it that is kept: the fit works in its
principal directions, a quarter of the coefficients."""

MEAN_SD_MM = 40.0
"""Standard deviation of the mean surface before any case is seen: next to nothing is known."""

ITERATIONS = 12
"""Of expectation-maximisation, from the smooth prior: the leave-one-out errors tell whether they are enough."""

MODES = {Side.RIGHT: 14, Side.LEFT: 9}
"""Modes that are kept: nine tenths of the variance."""


@dataclass(frozen=True, eq=False)
class Case:
    """Fissure points of one CT in the atlas lungs: (N, 3) K, J, I mm; ``matrix`` maps the case's own mm to them."""

    name: str
    points: Mapping[Fissure, NDArray[np.float64]]
    matrix: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Design:
    """What a case says about a lung's weights w: ``rows @ w`` is near ``heights`` (``rows`` (N, C), mm)."""

    rows: NDArray[np.float64]
    heights: NDArray[np.float64]


def read_lungs(folder: Path) -> tuple[dict[Side, NDArray[np.bool_]], NDArray, NDArray]:
    """Both lungs on blocks (closed), the first block's centre and the blocks' edges (K, J, I), mm."""
    (path,) = folder.glob("*_leftLungRightLung.nrrd")
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayViewFromImage(image)
    shape = tuple(n // MASK_BLOCK for n in array.shape)
    array = array[tuple(slice(0, n * MASK_BLOCK) for n in shape)]
    blocks = array.reshape(*(m for n in shape for m in (n, MASK_BLOCK)))
    spacing = np.array(image.GetSpacing())[::-1] * MASK_BLOCK
    origin = np.array(image.GetOrigin())[::-1] + spacing * (0.5 - 0.5 / MASK_BLOCK)
    lungs = {}
    for label, side in MASK_LABELS.items():
        mask = np.pad((blocks == label).mean(axis=(1, 3, 5)) >= 0.5, 6)
        lungs[side] = close_mm(mask, CLOSING_MM, tuple(spacing))[6:-6, 6:-6, 6:-6]
    return lungs, origin, spacing


def read_case(points_file: Path) -> Case:
    """The points of one CT, brought into the atlas lungs by the inverse of its transform (if it has one)."""
    name = points_file.name.removesuffix("_regionAndTypePoints.csv")
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


def trusted(cases: Iterable[Case], lungs: Mapping[Side, NDArray], origin: NDArray, spacing: NDArray) -> list[Case]:
    """The cases whose points the transform brings into the lungs."""
    distance = distance_to(lungs[Side.RIGHT] | lungs[Side.LEFT], tuple(spacing))
    kept = []
    for case in cases:
        index = np.rint((np.concatenate(list(case.points.values())) - origin) / spacing).astype(np.intp)
        near = distance[tuple(np.clip(index, 0, np.array(distance.shape) - 1).T)] <= NEAR_LUNG_MM
        if near.mean() > NEAR_LUNG_SHARE:
            kept.append(case)
    return kept


def plane_of(points: NDArray, lung: NDArray[np.bool_], origin: NDArray, spacing: NDArray) -> FissurePlane:
    """The plane of steepest least-squares fit in sagittal view, over the extent of the lung."""
    centre = points.mean(axis=0)
    covariance = np.cov((points - centre)[:, :2].T)
    along = np.linalg.eigh(covariance)[1][:, 1]
    tilt = float(np.round(np.degrees(np.arctan2(along[0], along[1])) % 180.0, 1))
    plane = FissurePlane(tuple(np.round(centre, 1).tolist()), tilt, (0.0, 1.0), (0.0, 1.0))
    a, b, h = plane.of_atlas(*(np.argwhere(lung) * spacing + origin).T)
    a, b = a[np.abs(h) < 60.0], b[np.abs(h) < 60.0]
    limits = [(float(np.floor(x.min() - MARGIN_MM)), float(np.ceil(x.max() + MARGIN_MM))) for x in (a, b)]
    return FissurePlane(plane.origin_mm, tilt, *limits)


def coefficient_shape(plane: FissurePlane) -> tuple[int, int]:
    """Number of B-splines along a and b."""
    return tuple(3 + round((high - low) / KNOT_MM) for low, high in (plane.a_mm, plane.b_mm))


def rows_of(plane: FissurePlane, a: NDArray, b: NDArray, derivative: str = "") -> NDArray[np.float64]:
    """(N, A * B) values of all B-splines at positions, or their derivative along "a" or "b" (by differences)."""
    if derivative:
        step = {"a": (0.5, 0.0), "b": (0.0, 0.5)}[derivative]
        return rows_of(plane, a + step[0], b + step[1]) - rows_of(plane, a - step[0], b - step[1])
    shape = coefficient_shape(plane)
    first_a, weight_a = spline_taps(a, plane.a_mm, shape[0])
    first_b, weight_b = spline_taps(b, plane.b_mm, shape[1])
    rows = np.zeros((len(a), *shape))
    for m in range(4):
        for n in range(4):
            rows[np.arange(len(a)), first_a + m, first_b + n] = weight_a[m] * weight_b[n]
    return rows.reshape(len(a), -1)


def smooth_covariance(plane: FissurePlane) -> NDArray[np.float64]:
    """(A * B, A * B) covariance of a smooth surface's coefficients, mm2."""
    shape = coefficient_shape(plane)
    steps = [(high - low) / (n - 3) for (low, high), n in zip((plane.a_mm, plane.b_mm), shape, strict=True)]
    at = np.stack(np.meshgrid(*(np.arange(n) * s for n, s in zip(shape, steps, strict=True)), indexing="ij"), -1)
    at = at.reshape(-1, 2)
    squared = ((at[:, None] - at[None]) ** 2).sum(axis=-1)
    return PRIOR_SD_MM**2 * np.exp(-0.5 * squared / PRIOR_LENGTH_MM**2)


def smooth_directions(
    planes: Mapping[Fissure, FissurePlane], size: int, parts: Mapping[Fissure, NDArray]
) -> NDArray[np.float64]:
    """(coefficients, C) principal directions of smooth surfaces, each one standard deviation long, mm."""
    blocks = []
    for fissure, part in parts.items():
        values, vectors = np.linalg.eigh(smooth_covariance(planes[fissure]))
        kept = np.cumsum(values[::-1]) <= SMOOTH_SHARE * values.sum()
        block = np.zeros((size, np.count_nonzero(kept)))
        block[part] = (vectors * np.sqrt(np.maximum(values, 0.0)))[:, ::-1][:, kept]
        blocks.append(block)
    return np.concatenate(blocks, axis=1)


def design_of(case: Case, planes: Mapping[Fissure, FissurePlane]) -> Design:
    """The points of a lung's fissures as one linear system."""
    sizes = [int(np.prod(coefficient_shape(plane))) for plane in planes.values()]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    rows, heights = [np.zeros((0, starts[-1]))], [np.zeros(0)]
    for start, size, (fissure, plane) in zip(starts, sizes, planes.items(), strict=False):
        a, b, h = plane.of_atlas(*case.points[fissure].T)
        block = np.zeros((len(a), starts[-1]))
        block[:, start : start + size] = rows_of(plane, a, b)
        rows.append(block)
        heights.append(h)
    return Design(np.concatenate(rows), np.concatenate(heights))


def fit_distribution(normal: NDArray, right: NDArray) -> tuple[NDArray, NDArray]:
    """Mean (C,) and covariance (C, C) of the cases' weights; those of smooth surfaces have unit covariance.

    Parameters
    ----------
    normal, right : (N, C, C) and (N, C): every case's normal equations, divided by the points' variance.
    """
    smooth = np.eye(normal.shape[1])
    precision = smooth * (PRIOR_SD_MM / MEAN_SD_MM) ** 2
    mean = np.linalg.solve(normal.mean(axis=0) + precision, right.mean(axis=0))
    covariance = smooth
    for _ in range(ITERATIONS):
        inverse = np.linalg.inv(covariance)
        posterior = np.linalg.inv(normal + inverse)
        w = np.einsum("nij,nj->ni", posterior, right + inverse @ mean)
        mean = w.mean(axis=0)
        spread = (w - mean).T @ (w - mean) + posterior.sum(axis=0)
        covariance = (spread + PRIOR_CASES * smooth) / (len(w) + PRIOR_CASES)
    return mean, covariance


def distances_mm(case: Case, fissure: Fissure, plane: FissurePlane, coefficients: NDArray) -> NDArray[np.float64]:
    """Distance of a case's points to a surface, in the case's own mm (first order)."""
    a, b, h = plane.of_atlas(*case.points[fissure].T)
    off = h - rows_of(plane, a, b) @ coefficients
    slope_a, slope_b = (rows_of(plane, a, b, axis) @ coefficients for axis in "ab")
    k, j, i = plane.to_atlas(-slope_a, -slope_b, np.ones_like(h))
    k0, j0, i0 = plane.to_atlas(0.0, 0.0, 0.0)
    gradient = np.stack([k - k0, j - j0, i - i0], axis=1) @ case.matrix
    return np.abs(off) / np.sqrt((gradient**2).sum(axis=1))


@dataclass(frozen=True, eq=False)
class LungFit:
    """The normal equations of every case over the smooth directions of one lung's fissures.

    Parameters
    ----------
    planes : of the fissures.
    parts : the coefficients of every fissure.
    directions : (coefficients, C), mm.
    cases : N cases.
    normal, right : (N, C, C) and (N, C), divided by the points' variance.
    """

    planes: Mapping[Fissure, FissurePlane]
    parts: Mapping[Fissure, NDArray]
    directions: NDArray[np.float64]
    cases: Sequence[Case]
    normal: NDArray[np.float64]
    right: NDArray[np.float64]

    @classmethod
    def of(cls, planes: Mapping[Fissure, FissurePlane], cases: Sequence[Case]) -> LungFit:
        """Gather what the cases say."""
        sizes = [int(np.prod(coefficient_shape(plane))) for plane in planes.values()]
        parts = dict(zip(planes, np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1]), strict=True))
        directions = smooth_directions(planes, sum(sizes), parts)
        designs = [design_of(case, planes) for case in cases]
        rows = [design.rows @ directions for design in designs]
        normal = np.stack([r.T @ r for r in rows]) / POINT_NOISE_MM**2
        right = np.stack([r.T @ d.heights for r, d in zip(rows, designs, strict=True)]) / POINT_NOISE_MM**2
        return cls(planes, parts, directions, cases, normal, right)

    def models(self, side: Side) -> dict[Fissure, dict[str, NDArray]]:
        """Mean and modes of every fissure; prints how much of the variance the modes hold."""
        mean, covariance = fit_distribution(self.normal, self.right)
        values, vectors = np.linalg.eigh(self.directions @ covariance @ self.directions.T)
        vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(values))])
        values = np.maximum(values, 0.0)
        modes = (vectors * np.sqrt(values))[:, ::-1][:, : MODES[side]].T
        held = 100 * values[::-1][: MODES[side]].sum() / values.sum()
        print(f"{side.name.lower()} lung: {MODES[side]} modes hold {held:.0f} % of the variance")
        shapes = {fissure: coefficient_shape(plane) for fissure, plane in self.planes.items()}
        mean = self.directions @ mean
        return {
            fissure: {"mean": mean[p].reshape(shapes[fissure]), "modes": modes[:, p].reshape(-1, *shapes[fissure])}
            for fissure, p in self.parts.items()
        }

    def left_out_mm(self, n: int) -> dict[Fissure, NDArray]:
        """Distances of case ``n``'s points to the mean of all others."""
        others = np.arange(len(self.cases)) != n
        mean = self.directions @ fit_distribution(self.normal[others], self.right[others])[0]
        return {f: distances_mm(self.cases[n], f, plane, mean[self.parts[f]]) for f, plane in self.planes.items()}


def fit(folder: Path) -> dict[str, Any]:
    """The content of the atlas file; prints the leave-one-out table."""
    lungs, origin, spacing = read_lungs(folder)
    every = [read_case(path) for path in sorted(folder.glob("*_regionAndTypePoints.csv"))]
    cases = trusted(every, lungs, origin, spacing)
    print(f"{len(cases)} of {len(every)} cases lie in the atlas lungs")
    fissures: dict[str, Any] = {}
    for side in Side:
        planes = {
            fissure: plane_of(np.concatenate([c.points[fissure] for c in cases]), lungs[side], origin, spacing)
            for fissure in Fissure
            if fissure.side is side
        }
        lung = LungFit.of(planes, cases)
        left_out = [lung.left_out_mm(n) for n in range(len(cases))]
        for fissure, model in lung.models(side).items():
            off = np.concatenate([distances[fissure] for distances in left_out])
            told = " ".join(f"{name} {mm:.2f}" for name, mm in _summary(off).items())
            print(f"{fissure.value}: {len(off)} points, mm from the others' mean: {told}", flush=True)
            fissures[fissure.value] = _content(planes[fissure], model, float(off.mean()))
    extents = {side.name: _plain(lung_extent(lungs[side], tuple(spacing)).shifted(tuple(origin))) for side in Side}
    source = f"Chest Imaging Platform's lobe atlas, see {LICENCE_NAME}"
    return {"source": source, "cases": len(cases), "lungs": extents, "fissures": fissures}


def _summary(off: NDArray) -> dict[str, float]:
    return {"mean": float(off.mean()), "median": float(np.median(off)), "p95": float(np.percentile(off, 95))}


def _content(plane: FissurePlane, model: Mapping[str, NDArray], distance_mm: float) -> dict[str, Any]:
    rounded = {name: np.round(array, 2).tolist() for name, array in model.items()}
    frame = {name: getattr(plane, name) for name in ("origin_mm", "tilt_deg", "a_mm", "b_mm")}
    return frame | {"distance_mm": round(distance_mm, 2)} | rounded


def _plain(extent: LungExtent) -> dict[str, Any]:
    quantiles = [[round(mm, 2) for mm in axis] for axis in extent.quantiles_mm]
    return {"quantiles_mm": quantiles, "ends_mm": [round(mm, 2) for mm in extent.ends_mm]}


def main(arguments: Sequence[str]) -> int:
    """Fit, write and tell."""
    if len(arguments) != 1:
        print("usage: python tools/fit_lobe_atlas.py FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    data = folder / "LungLobeAtlasData" if (folder / "LungLobeAtlasData").is_dir() else folder
    (OUTPUT / ATLAS_FILE).write_text(json.dumps(fit(data)) + "\n", encoding="utf-8")
    notice = next(p for p in (data / "License.txt", data.parent / "License.txt") if p.is_file())
    text = notice.read_text(encoding=LICENCE_ENCODING).strip("\r\n") + "\n"
    (OUTPUT / LICENCE_NAME).write_text(f"{LICENCE_PREFACE}\n{text}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
