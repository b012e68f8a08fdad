"""Lung on blocks of one size, of twice and of four times that size, and what they say at every block of lung."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.types import triple

Blocks = NDArray[np.float32]

LEAST_WEIGHT = 1e-3
"""Share of lung under which nothing is known of a place."""

TRUNCATE = 3.0
"""A Gaussian filter sees this many standard deviations far."""

BLOCKS_AT_ONCE = 1 << 18
"""Blocks that are smoothed along the first axis together: few enough for a processor's cache."""


class Places:
    """The blocks of lung in the order of the array: features are taken there alone.

    Parameters
    ----------
    inside : (K, J, I) ndarray of bool
        Blocks of lung.
    """

    def __init__(self, inside: NDArray[np.bool_]) -> None:
        self.inside = inside
        self.index = np.flatnonzero(inside)

    def of(self, values: NDArray) -> NDArray:
        """(N,) of (K, J, I) values."""
        return values.ravel().take(self.index)

    def moved(self, slices: int) -> NDArray[np.intp]:
        """(N,) index of the blocks that many slices above; that of the last slice beyond it."""
        count, *plane = self.inside.shape
        size = plane[0] * plane[1]
        k = self.index // size
        return self.index + (np.clip(k + slices, 0, count - 1) - k) * size

    def interpolated(self, fields: Mapping[str, Blocks]) -> Iterator[tuple[str, Blocks]]:
        """(N,) values of joined blocks, interpolated linearly, with their names; all fields have one shape.

        Along the last axis, where most of the work is, only for the blocks of lung.
        """
        *rows, size = self.inside.shape
        *_, width = self._spread_out(next(iter(fields.values()))).shape
        if width == size:
            yield from ((name, self.of(self._spread_out(values))) for name, values in fields.items())
            return
        begins = width * np.arange(rows[0] * rows[1]).reshape(*rows, 1)
        column = np.arange(size)
        near = (begins + column // 2).ravel().take(self.index)
        far = (begins + np.clip(column // 2 + 2 * (column % 2) - 1, 0, width - 1)).ravel().take(self.index)
        for name, values in fields.items():
            spread = self._spread_out(values).ravel()
            row = spread.take(near)
            row *= np.float32(0.75)
            other = spread.take(far)
            other *= np.float32(0.25)
            row += other
            yield name, row

    def _spread_out(self, values: Blocks) -> Blocks:
        """Values of joined blocks for single ones, along the last axis for pairs."""
        for axis, size in enumerate((*self.inside.shape[:2], -(-self.inside.shape[2] // 2))):
            while values.shape[axis] < size:
                values = doubled(values, axis)
            if axis < 2:
                values = values[(slice(None),) * axis + (slice(0, size),)]
        return values


def doubled(values: Blocks, axis: int) -> Blocks:
    """Linear interpolation at a quarter of a block on either side of every centre, along an axis."""
    shape = triple(n * (1 + (a == axis)) for a, n in enumerate(values.shape))
    result = np.empty(shape, dtype=np.float32)
    pairs, values = result.swapaxes(0, axis), values.swapaxes(0, axis)
    before, after = pairs[0::2], pairs[1::2]
    np.multiply(values, np.float32(0.75), out=before)
    after[...] = before
    far = np.float32(0.25) * values
    before[1:] += far[:-1]
    before[:1] += far[:1]
    after[:-1] += far[1:]
    after[-1:] += far[-1:]
    return result


def gaussian(values: Blocks, sigma: list[float]) -> Blocks:
    """:func:`scipy.ndimage.gaussian_filter`, a few rows at a time along the first axis: its lines lie scattered.

    Parameters
    ----------
    values : (K, J, I) ndarray of float32
        What is smoothed; beyond the faces are the values at them.
    sigma : list of float
        Standard deviation along every axis, blocks.
    """
    smooth = partial(ndimage.gaussian_filter, truncate=TRUNCATE, mode="nearest")
    result = np.empty_like(values)
    count, rows, columns = values.shape
    at_once = max(1, BLOCKS_AT_ONCE // (count * columns))
    for row in range(0, rows, at_once):
        part = slice(row, row + at_once)
        result[:, part] = smooth(np.ascontiguousarray(values[:, part]), (sigma[0], 0, 0))
    return smooth(result, (0, *sigma[1:]), output=result)


@dataclass(frozen=True, eq=False)
class Level:
    """Sums of density over lung, on blocks of one size: density times lung, its square, and lung, each (K, J, I)."""

    total: Blocks
    squares: Blocks
    weight: Blocks
    spacing_mm: tuple[float, float, float]

    def smoothed(self, values: Blocks, sigma_mm: float) -> Blocks:
        """``values`` under a Gaussian."""
        return gaussian(values, self.in_blocks(sigma_mm))

    def in_blocks(self, mm: float) -> list[float]:
        """A length along every axis, blocks."""
        return [mm / edge for edge in self.spacing_mm]

    def mean(self, values: Blocks, share: Blocks, sigma_mm: float) -> Blocks:
        """Mean of ``values`` over the lung around every block, where ``share`` of what lies around is lung."""
        mean = self.smoothed(values, sigma_mm)
        mean /= np.maximum(share, LEAST_WEIGHT)
        np.copyto(mean, np.float32(0), where=share <= LEAST_WEIGHT)
        return mean

    def joined(self, coarsest_slice_mm: float) -> Level:
        """The same on blocks of twice the size; along the axis only up to ``coarsest_slice_mm``."""
        along = 2 if 2 * self.spacing_mm[0] <= coarsest_slice_mm and len(self.total) > 1 else 1
        factors = (along, 2, 2)
        spacing = triple(mm * f for mm, f in zip(self.spacing_mm, factors, strict=True))
        total, squares, weight = (_joined(values, factors) for values in (self.total, self.squares, self.weight))
        return Level(total, squares, weight, spacing)


def _joined(values: Blocks, factors: tuple[int, int, int]) -> Blocks:
    """Means of blocks; beyond the upper faces is nothing."""
    values = np.pad(values, [(0, -n % f) for n, f in zip(values.shape, factors, strict=True)])
    for axis, factor in reversed(tuple(enumerate(factors))):
        if factor == 2:
            parts = values.swapaxes(0, axis)
            values = (np.float32(0.5) * (parts[0::2] + parts[1::2])).swapaxes(0, axis)
    return np.ascontiguousarray(values)
