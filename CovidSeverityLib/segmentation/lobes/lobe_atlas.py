"""The atlas of the fissures: mean surfaces and their usual variation, in the coordinates of the atlas lungs.

``lobe_atlas.json`` beside this file is written by ``models/lobe_atlas`` from fissure points of 93 chest CTs
(Chest Imaging Platform, The Brigham and Women's Hospital; ``lobe_atlas_LICENSE.txt``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import resources
from math import cos, radians, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.checked import known
from CovidSeverityLib.types import Side, frozen_array, triple

from .lung_frame import LungExtent

ATLAS_FILE = "lobe_atlas.json"


class Fissure(str, Enum):
    """The fissures between the lobes."""

    RIGHT_OBLIQUE = "right oblique"
    RIGHT_HORIZONTAL = "right horizontal"
    LEFT_OBLIQUE = "left oblique"

    @property
    def side(self) -> Side:
        """The lung that this fissure divides."""
        return Side.LEFT if self is Fissure.LEFT_OBLIQUE else Side.RIGHT


@dataclass(frozen=True)
class FissurePlane:
    """The plane over which a fissure is a height field: through ``origin_mm``, rising backwards by ``tilt_deg``.

    Coordinates are ``a`` to the left, ``b`` backwards along the plane and the height ``h`` above it, mm.

    Parameters
    ----------
    origin_mm : (float, float, float)
        (K, J, I) in the atlas lungs, mm.
    tilt_deg : float
        Slope against the axial plane, degrees.
    a_mm, b_mm : (float, float)
        The part of the plane that the surface is described over.
    """

    origin_mm: tuple[float, float, float]
    tilt_deg: float
    a_mm: tuple[float, float]
    b_mm: tuple[float, float]

    def of_atlas(self, k: NDArray, j: NDArray, i: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """(a, b, h) of positions in the atlas lungs, mm."""
        up, back = sin(radians(self.tilt_deg)), cos(radians(self.tilt_deg))
        dk, dj = k - self.origin_mm[0], j - self.origin_mm[1]
        return i - self.origin_mm[2], back * dj + up * dk, back * dk - up * dj

    def to_atlas(self, a: NDArray, b: NDArray, h: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """(K, J, I) positions in the atlas lungs, mm: the inverse of :meth:`of_atlas`."""
        up, back = sin(radians(self.tilt_deg)), cos(radians(self.tilt_deg))
        return self.origin_mm[0] + up * b + back * h, self.origin_mm[1] + back * b - up * h, self.origin_mm[2] + a


@dataclass(frozen=True, eq=False)
class FissureModel:
    """Mean and modes of a fissure's height over its plane, as coefficients of cubic B-splines.

    Parameters
    ----------
    plane : FissurePlane
        The heights stand on it.
    mean : (A, B) ndarray of float64
        Coefficients of the mean surface, mm.
    modes : (M, A, B) ndarray of float64
        Coefficients of what one standard deviation of every mode adds, mm. The fissures of a lung share their modes:
        one set of M weights moves both.
    distance_mm : float
        Mean distance of the mean surface to the fissure of a case that was left out.
    rearmost : float
        How far back the fissure reaches, as a share of the lung's length from front to back.
    """

    plane: FissurePlane
    mean: NDArray[np.float64]
    modes: NDArray[np.float64]
    distance_mm: float
    rearmost: float

    def __post_init__(self) -> None:
        if self.modes.shape[1:] != self.mean.shape:
            raise ValueError(f"modes {self.modes.shape[1:]} do not match mean {self.mean.shape}")
        object.__setattr__(self, "mean", frozen_array(self.mean))
        object.__setattr__(self, "modes", frozen_array(self.modes))


@dataclass(frozen=True)
class LobeAtlas:
    """``lungs``: how the atlas lungs lie in their own coordinates; ``fissures``: what divides them."""

    lungs: Mapping[Side, LungExtent]
    fissures: Mapping[Fissure, FissureModel]


def spline_taps(x: NDArray, interval: tuple[float, float], count: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The four uniform cubic B-splines that reach each position, of ``count`` over ``interval``.

    Parameters
    ----------
    x : (N,) ndarray
        Positions, mm; those outside the interval are moved to its ends.
    interval : (float, float)
        First and last position, mm.
    count : int
        Number of coefficients, at least 4.

    Returns
    -------
    first : (N,) ndarray of int
        Index of the first of four successive coefficients.
    weights : (4, N) ndarray of float64
        Of them; their sum is 1.
    """
    low, high = interval
    position = np.clip((np.asarray(x, dtype=np.float64) - low) / (high - low), 0.0, 1.0) * (count - 3)
    first = np.minimum(position.astype(np.intp), count - 4)
    t = position - first
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6.0
    return first, weights


def surface_on_grid(coefficients: NDArray, plane: FissurePlane, a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """Heights of B-spline surfaces over the grid of ``a`` and ``b``.

    Parameters
    ----------
    coefficients : (..., A, B) ndarray
        Of the surfaces, mm.
    plane : FissurePlane
        Whose part is described.
    a, b : (P,) and (Q,) ndarray
        Positions, mm.

    Returns
    -------
    (..., P, Q) ndarray of float64
        Heights, mm. Taps are added one by one: the bits do not depend on the number of threads.
    """
    first_a, weight_a = spline_taps(a, plane.a_mm, coefficients.shape[-2])
    first_b, weight_b = spline_taps(b, plane.b_mm, coefficients.shape[-1])
    rows = coefficients[..., first_a, :] * weight_a[0][:, None]
    for n in range(1, 4):
        rows = rows + coefficients[..., first_a + n, :] * weight_a[n][:, None]
    surface = rows[..., first_b] * weight_b[0]
    for n in range(1, 4):
        surface = surface + rows[..., first_b + n] * weight_b[n]
    return surface


@cache
def load_atlas() -> LobeAtlas:
    """The atlas that the library ships."""
    return atlas_from(json.loads(resources.files(known(__package__)).joinpath(ATLAS_FILE).read_text(encoding="utf-8")))


def atlas_from(content: Mapping[str, Any]) -> LobeAtlas:
    """The atlas of the content of its file."""
    lungs = {Side[name]: _extent(lung) for name, lung in content["lungs"].items()}
    return LobeAtlas(lungs, {Fissure(name): _model(fissure) for name, fissure in content["fissures"].items()})


def _extent(lung: Mapping[str, Any]) -> LungExtent:
    return LungExtent(triple(tuple(axis) for axis in lung["quantiles_mm"]), tuple(lung["ends_mm"]))


def _model(fissure: Mapping[str, Any]) -> FissureModel:
    plane = FissurePlane(
        tuple(fissure["origin_mm"]), fissure["tilt_deg"], tuple(fissure["a_mm"]), tuple(fissure["b_mm"])
    )
    mean, modes = (np.array(fissure[name], dtype=np.float64) for name in ("mean", "modes"))
    return FissureModel(plane, mean, modes, fissure["distance_mm"], fissure["rearmost"])
