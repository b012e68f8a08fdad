"""Mean surfaces and their usual variation, from scattered noisy points of many cases.

Every case's coefficients are drawn from one normal distribution per lung, seen through its points; its mean and
covariance come from expectation-maximisation, shrunk towards smooth surfaces (Rasmussen and Williams, Gaussian
processes for machine learning, section 5.4; the inverse Wishart prior of Gelman, Bayesian data analysis, section 3.6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.segmentation.lobes.lobe_atlas import Fissure, FissurePlane

from .cases import Case
from .surfaces import PRIOR_SD_MM, coefficient_shape, rows_of, smooth_directions

POINT_NOISE_MM = 1.5
"""Scatter of the points about a smooth surface: they were set by hand on voxels of 0.5 to 2.5 mm."""

PRIOR_CASES = 10.0
"""How many cases the covariance of a smooth surface counts for."""

MEAN_SD_MM = 40.0
"""Standard deviation of the mean surface before any case is seen: next to nothing is known."""

ITERATIONS = 12
"""Of expectation-maximisation, from the smooth prior: the leave-one-out errors tell whether they are enough."""


@dataclass(frozen=True, eq=False)
class Design:
    """What a case says about a lung's weights w: ``rows @ w`` is near ``heights`` (``rows`` (N, C), mm)."""

    rows: NDArray[np.float64]
    heights: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Surfaces:
    """What is fitted to one lung.

    Parameters
    ----------
    mean : mapping of Fissure to (A, B) ndarray of float64
        Coefficients of every fissure's mean surface, mm.
    modes : mapping of Fissure to (M, A, B) ndarray of float64
        Of its modes, each one standard deviation long, mm; the fissures of a lung share them.
    held : float
        Share of the variance that the modes hold, 0 to 1.
    """

    mean: Mapping[Fissure, NDArray[np.float64]]
    modes: Mapping[Fissure, NDArray[np.float64]]
    held: float


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


def fit_distribution(
    normal: NDArray[np.float64], right: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (C,) and covariance (C, C) of the cases' weights; those of smooth surfaces have unit covariance.

    Parameters
    ----------
    normal, right : (N, C, C) ndarray of float64
        And (N, C): every case's normal equations, divided by the points' variance.
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


@dataclass(frozen=True, eq=False)
class LungFit:
    """The normal equations of every case over the smooth directions of one lung's fissures.

    Parameters
    ----------
    planes : mapping of Fissure to FissurePlane
        Of the fissures.
    parts : mapping of Fissure to ndarray of intp
        The coefficients of every fissure.
    directions : (coefficients, C) ndarray of float64
        Mm.
    cases : sequence of Case
        N cases.
    normal, right : (N, C, C) ndarray of float64
        And (N, C), divided by the points' variance.
    """

    planes: Mapping[Fissure, FissurePlane]
    parts: Mapping[Fissure, NDArray[np.intp]]
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

    def surfaces(self, modes: int) -> Surfaces:
        """Mean and first ``modes`` modes of every fissure, from all cases."""
        mean, covariance = fit_distribution(self.normal, self.right)
        values, vectors = np.linalg.eigh(self.directions @ covariance @ self.directions.T)
        vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(values))])
        values = np.maximum(values, 0.0)
        first = (vectors * np.sqrt(values))[:, ::-1][:, :modes].T
        mean = self.directions @ mean
        shapes = {fissure: coefficient_shape(plane) for fissure, plane in self.planes.items()}
        return Surfaces(
            {fissure: mean[part].reshape(shapes[fissure]) for fissure, part in self.parts.items()},
            {fissure: first[:, part].reshape(-1, *shapes[fissure]) for fissure, part in self.parts.items()},
            float(values[::-1][:modes].sum() / values.sum()),
        )

    def mean_without(self, n: int) -> dict[Fissure, NDArray[np.float64]]:
        """(A * B,) coefficients of every fissure's mean surface from all cases but number ``n``, mm."""
        others = np.arange(len(self.cases)) != n
        mean = self.directions @ fit_distribution(self.normal[others], self.right[others])[0]
        return {fissure: mean[part] for fissure, part in self.parts.items()}
