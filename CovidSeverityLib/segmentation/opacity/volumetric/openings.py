"""What is thicker than a square: grey openings of the density, slice by slice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .config import FeatureConfig
from .levels import Blocks, Places

SLICES_IN_CACHE = 8
"""Slices that are opened together: few enough for a processor's cache."""


def openings(
    excess: Blocks, places: Places, spacing_mm: tuple[float, float, float], config: FeatureConfig
) -> Iterator[tuple[str, Blocks]]:
    """Densities that squares fit under (grey openings; Serra 1982): what is thinner than they are is gone.

    Beyond the lung's border everything counts as dense, so that an opacity at the chest wall needs half the thickness.
    """
    low, high = (np.float32(hu) for hu in config.clipped_hu)
    eroded, opened = np.empty_like(excess), np.empty_like(excess)
    for name, half_mm in zip(("small", "middle", "large"), config.opening_mm, strict=True):
        sizes = [2 * max(1, round(half_mm / mm)) + 1 for mm in spacing_mm[1:]]
        for first in range(0, len(excess), SLICES_IN_CACHE):
            part = slice(first, first + SLICES_IN_CACHE)
            inside = places.inside[part]
            eroded[part] = over_squares(np.minimum, np.where(inside, excess[part], high), sizes)
            opened[part] = over_squares(np.maximum, np.where(inside, eroded[part], low), sizes)
        if name == "small":
            yield "darkest", places.of(eroded)
        yield f"opening_{name}", places.of(opened)
        if name == "middle":
            yield from _beside(opened, places, max(1, round(config.beside_mm / spacing_mm[0]))).items()


def over_squares(of: np.ufunc, values: Blocks, sizes: list[int]) -> Blocks:
    """Minimum or maximum (``of``) of the blocks around every block, in its slice, as far as there are any.

    Parameters
    ----------
    of : numpy.minimum or numpy.maximum
        Which it is.
    values : (K, J, I) ndarray of float32
        Slices.
    sizes : list of int
        Edges of the square along J and I, odd.
    """
    beyond = np.float32(np.inf if of is np.minimum else -np.inf)
    halves = [(0, 0), *((size // 2, size // 2) for size in sizes)]
    values = np.pad(values, halves, constant_values=beyond)
    for axis, size in enumerate(sizes, start=1):
        width = 1
        while width < size:  # two windows that touch or overlap make a wider one
            step = min(width, size - width)
            along = values.swapaxes(0, axis)
            values = of(along[:-step], along[step:]).swapaxes(0, axis)
            width += step
    return values


def _beside(values: Blocks, places: Places, steps: int) -> dict[str, Blocks]:
    """The larger and the smaller of the values above and below; where the lung ends, that of the other side."""
    (up, has_up), (down, has_down) = (
        (values.ravel().take(index), places.inside.ravel().take(index))
        for index in (places.moved(steps), places.moved(-steps))
    )
    here = places.of(values)
    above = np.where(has_up, up, np.where(has_down, down, here))
    below = np.where(has_down, down, np.where(has_up, up, here))
    return {"beside_more": np.maximum(above, below), "beside_less": np.minimum(above, below)}
