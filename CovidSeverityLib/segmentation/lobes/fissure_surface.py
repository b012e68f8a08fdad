"""Surfaces over the cells of a fissure's plane: what the atlas expects, and what was found in a lung."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .lobe_atlas import FissureModel, FissurePlane, surface_on_grid
from .lung_image import LungImage

Height = Callable[[NDArray, NDArray, NDArray], NDArray[np.float64]]
"""Of (K, J, I) positions in the atlas lungs above a surface, mm."""


@dataclass(frozen=True, eq=False)
class FissureGrid:
    """The cells of a fissure's plane.

    Parameters
    ----------
    plane : FissurePlane
        In the atlas lungs.
    a, b : (P,) and (Q,) ndarray of float64
        Centres of cells, mm.
    cell_mm : float
        Their distance, mm.
    """

    plane: FissurePlane
    a: NDArray[np.float64]
    b: NDArray[np.float64]
    cell_mm: float

    def positions(self, height: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """(K, J, I) of a (P, Q) surface over these cells in the atlas lungs, mm."""
        return self.plane.to_atlas(self.a[:, None], self.b[None, :], height)

    def above(self, height: NDArray) -> Height:
        """Height of positions above a (P, Q) surface over these cells, which goes on beyond them."""

        def above(k: NDArray, j: NDArray, i: NDArray) -> NDArray[np.float64]:
            """Of (K, J, I) positions in the atlas lungs, mm."""
            a, b, h = np.broadcast_arrays(*self.plane.of_atlas(k, j, i))
            cells = np.stack([(a - self.a[0]) / self.cell_mm, (b - self.b[0]) / self.cell_mm])
            return h - ndimage.map_coordinates(height, cells, order=1, mode="nearest")

        return above


@dataclass(frozen=True, eq=False)
class FissureSurface:
    """A fissure as heights over the cells of its plane.

    Parameters
    ----------
    grid : FissureGrid
        The cells.
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

    grid: FissureGrid
    height: NDArray[np.float64]
    end: NDArray[np.float64]
    rearmost_j: float
    inside: NDArray[np.bool_]
    seen: NDArray[np.float64]
    expected_mm: NDArray[np.float64]

    def above(self, k: NDArray, j: NDArray, i: NDArray) -> NDArray[np.float64]:
        """Height of positions in the atlas lungs above the surface, mm (negative below); infinite behind its end."""
        a, b, _ = self.grid.plane.of_atlas(k, j, i)
        before_end = (b < self.end_at(a)) & (j < self.rearmost_j)
        return np.where(before_end, self.grid.above(self.height)(k, j, i), np.inf)

    def end_at(self, a: NDArray) -> NDArray[np.float64]:
        """Where the surface ends at positions along a, mm."""
        return np.interp(a, self.grid.a, self.end)


@dataclass(frozen=True, eq=False)
class FissureCells:
    """What the atlas expects over the cells of a fissure's plane.

    Parameters
    ----------
    grid : FissureGrid
        The cells.
    mean : (P, Q) ndarray of float64
        Mean surface, mm.
    modes : (M, P, Q) ndarray of float64
        Its modes, mm.
    rearmost : float
        Share of the lung's length behind which there is nothing of it.
    """

    grid: FissureGrid
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
        return cls(FissureGrid(model.plane, a, b, cell_mm), mean, modes, model.rearmost)

    def expected(self, weights: NDArray) -> NDArray[np.float64]:
        """(P, Q) mean plus weighted modes; summed one by one, for the same bits on any number of threads."""
        return self.mean + sum(weight * mode for weight, mode in zip(weights, self.modes, strict=True))

    def end(self, image: LungImage, height: NDArray, over: Height | None) -> NDArray[np.float64]:
        """(P,) where a surface over these cells, followed backwards, ends on another one that it is ``over``.

        No fissure reaches farther back than the atlas's; infinite where nothing ends it.
        """
        b, end = self.grid.b, np.full(self.grid.a.shape, np.inf)
        if over is None:
            return end
        at = self.grid.positions(height)
        gap = np.minimum(over(*at), image.row_at(self.rearmost) - at[1])
        behind = np.arange(b.size) > gap.argmax(axis=1)[:, None]
        down = behind & (gap <= 0.0)
        rows, n = np.flatnonzero(down.any(axis=1)), down.argmax(axis=1)
        before, after = gap[rows, n[rows] - 1], gap[rows, n[rows]]
        end[rows] = b[n[rows]] - self.grid.cell_mm * after / (after - before)
        return end
