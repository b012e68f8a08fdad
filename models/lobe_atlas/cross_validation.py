"""How far the mean surface of all other cases is from the fissures of a case that was left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.segmentation.lobes.lobe_atlas import Fissure, FissurePlane

from .cases import Case
from .fitting import LungFit
from .surfaces import rows_of


@dataclass(frozen=True)
class LeftOut:
    """Distances of the points of left-out cases to the others' mean surface, mm."""

    points: int
    mean_mm: float
    median_mm: float
    p95_mm: float

    @classmethod
    def of(cls, distances: NDArray[np.float64]) -> LeftOut:
        """Of the distances of all points."""
        return cls(
            len(distances), float(distances.mean()), float(np.median(distances)), float(np.percentile(distances, 95))
        )


def left_out_distances(lung: LungFit) -> dict[Fissure, NDArray[np.float64]]:
    """(N,) mm of every fissure: each case's points to the mean surface of all other cases."""
    by_case = [left_out_mm(lung, n) for n in range(len(lung.cases))]
    return {fissure: np.concatenate([distances[fissure] for distances in by_case]) for fissure in lung.planes}


def left_out_mm(lung: LungFit, n: int) -> dict[Fissure, NDArray[np.float64]]:
    """Distances of case ``n``'s points to the mean surface of all others."""
    mean = lung.mean_without(n)
    return {
        fissure: distances_mm(lung.cases[n], fissure, plane, mean[fissure]) for fissure, plane in lung.planes.items()
    }


def distances_mm(
    case: Case, fissure: Fissure, plane: FissurePlane, coefficients: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance of a case's points to a surface, in the case's own mm (first order)."""
    a, b, h = plane.of_atlas(*case.points[fissure].T)
    off = h - rows_of(plane, a, b) @ coefficients
    slope_a, slope_b = (rows_of(plane, a, b, axis) @ coefficients for axis in "ab")
    k, j, i = plane.to_atlas(-slope_a, -slope_b, np.ones_like(h))
    k0, j0, i0 = plane.to_atlas(0.0, 0.0, 0.0)
    gradient = np.stack([k - k0, j - j0, i - i0], axis=1) @ case.matrix
    return np.abs(off) / np.sqrt((gradient**2).sum(axis=1))


def table(results: Mapping[Fissure, LeftOut]) -> Iterable[str]:
    """Lines of a Markdown table, a row a fissure."""
    yield "| mean surface against a case that was left out, mm | points | mean | median | 95th percentile |"
    yield "|---|---|---|---|---|"
    for fissure, result in results.items():
        figures = " | ".join(f"{mm:.1f}" for mm in (result.mean_mm, result.median_mm, result.p95_mm))
        yield f"| {fissure.value} | {result.points} | {figures} |"
