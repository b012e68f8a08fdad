"""Surfaces over the cells of a fissure's plane: what the atlas expects, and what was found in a lung."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .lobe_atlas import FissureModel, FissurePlane, surface_on_grid
from .lung_image import LungImage


@dataclass(frozen=True, eq=False)
class FissureSurface:
    """A fissure as heights over the cells of its plane.

    Parameters
    ----------
    plane : FissurePlane
        In the atlas lungs.
    a, b : (P,) and (Q,) ndarray of float64
        Centres of cells, mm.
    cell_mm : float
        Their distance, mm.
    height : (P, Q) ndarray of float64
        Above the plane, mm.
    end : (P,) ndarray of float64
        Position along b at which the surface ends on another one, mm; infinite where it does not.
    rearmost_j : float
        Position along J behind which there is nothing of it, mm.
    inside : (P, Q) ndarray of bool
        Where the surface lies in the lung, in front of its end.
    seen : (P, Q) ndarray of float64
        How clearly the image shows it, 0 to 1.
    expected_mm : (P, Q) ndarray of float64
        Expected distance to the true fissure, mm of the patient.
    """

    plane: FissurePlane
    a: NDArray[np.float64]
    b: NDArray[np.float64]
    cell_mm: float
    height: NDArray[np.float64]
    end: NDArray[np.float64]
    rearmost_j: float
    inside: NDArray[np.bool_]
    seen: NDArray[np.float64]
    expected_mm: NDArray[np.float64]

    def above(self, k: NDArray, j: NDArray, i: NDArray) -> NDArray[np.float64]:
        """Height of positions in the atlas lungs above the surface, mm (negative below); infinite behind its end."""
        a, b, h = np.broadcast_arrays(*self.plane.of_atlas(k, j, i))
        cells = np.stack([(a - self.a[0]) / self.cell_mm, (b - self.b[0]) / self.cell_mm])
        off = h - ndimage.map_coordinates(self.height, cells, order=1, mode="nearest")
        return np.where((b < self.end_at(a)) & (j < self.rearmost_j), off, np.inf)

    def end_at(self, a: NDArray) -> NDArray[np.float64]:
        """Where the surface ends at positions along a, mm."""
        return np.interp(a, self.a, self.end)


Height = Callable[[NDArray, NDArray, NDArray], NDArray[np.float64]]
"""Of (K, J, I) positions in the atlas lungs above a surface, mm."""


@dataclass(frozen=True, eq=False)
class FissureCells:
    """The cells of a fissure's plane with the atlas's mean (P, Q) and modes (M, P, Q) on them, mm."""

    plane: FissurePlane
    a: NDArray[np.float64]
    b: NDArray[np.float64]
    cell_mm: float
    mean: NDArray[np.float64]
    modes: NDArray[np.float64]
    rearmost: float

    @classmethod
    def of(cls, model: FissureModel, cell_mm: float) -> FissureCells:
        """The cells of a fissure's plane, ``cell_mm`` apart."""
        a, b = (
            low + cell_mm * (np.arange(int((high - low) / cell_mm), dtype=np.float64) + 0.5)
            for low, high in (model.plane.a_mm, model.plane.b_mm)
        )
        mean, modes = (surface_on_grid(c, model.plane, a, b) for c in (model.mean, model.modes))
        return cls(model.plane, a, b, cell_mm, mean, modes, model.rearmost)

    def expected(self, weights: NDArray) -> NDArray[np.float64]:
        """(P, Q) mean plus weighted modes; summed one by one, for the same bits on any number of threads."""
        return self.mean + sum(weight * mode for weight, mode in zip(weights, self.modes, strict=True))

    def above(self, height: NDArray) -> Height:
        """Height of positions above a surface over these cells."""
        nothing, end = np.zeros(height.shape), np.full(self.a.shape, np.inf)
        grid = self.plane, self.a, self.b, self.cell_mm
        return FissureSurface(*grid, height, end, np.inf, nothing > 0, nothing, nothing).above

    def positions(self, height: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """(K, J, I) of a surface over these cells in the atlas lungs, mm."""
        return self.plane.to_atlas(self.a[:, None], self.b[None, :], height)

    def end(self, image: LungImage, height: NDArray, over: Height | None) -> NDArray[np.float64]:
        """(P,) where a surface over these cells, followed backwards, ends on another one that it is ``over``.

        No fissure reaches farther back than the atlas's; infinite where nothing ends it.
        """
        end = np.full(self.a.shape, np.inf)
        if over is None:
            return end
        at = self.positions(height)
        gap = np.minimum(over(*at), image.row_at(self.rearmost) - at[1])
        behind = np.arange(self.b.size) > gap.argmax(axis=1)[:, None]
        down = behind & (gap <= 0.0)
        rows, n = np.flatnonzero(down.any(axis=1)), down.argmax(axis=1)
        before, after = gap[rows, n[rows] - 1], gap[rows, n[rows]]
        end[rows] = self.b[n[rows]] - self.cell_mm * after / (after - before)
        return end
