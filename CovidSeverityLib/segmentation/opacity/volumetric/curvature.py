"""How the density of a place curves: a vessel is a tube, an opacity is none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .levels import Blocks, Places

PLACES_AT_ONCE = 1 << 14
"""Places whose curvatures are taken together: few enough for a processor's cache."""

AXES = np.eye(3, dtype=int)
"""A step along each."""


def curved(mean: Blocks, unit: list[float]) -> tuple[Blocks, Blocks, Blocks]:
    """:func:`invariants` of every block; beyond the faces are the values at them."""
    padded = np.pad(mean, 1, mode="edge")

    def at(*steps: int) -> Blocks:
        return padded[tuple(slice(1 + step, 1 + step + n) for step, n in zip(steps, mean.shape, strict=True))]

    return invariants(at, unit)


def curved_at(mean: Blocks, unit: list[float], places: Places) -> NDArray[np.float32]:
    """(3, N) the same of the blocks of lung alone."""
    padded = np.pad(mean, 1, mode="edge")
    steps = [n // padded.itemsize for n in padded.strides]
    centre, flat = sum(steps), padded.ravel()
    corners = np.flatnonzero(np.pad(places.inside, 1)) - centre
    result = np.empty((3, len(corners)), dtype=np.float32)
    for n in range(0, len(corners), PLACES_AT_ONCE):
        corner = corners[n : n + PLACES_AT_ONCE]

        def at(k: int, j: int, i: int, corner: NDArray[np.intp] = corner) -> Blocks:
            return flat[centre + k * steps[0] + j * steps[1] + i :].take(corner)

        result[:, n : n + PLACES_AT_ONCE] = invariants(at, unit)
    return result


def invariants(at: Callable[[int, int, int], Blocks], unit: list[float]) -> tuple[Blocks, Blocks, Blocks]:
    """How a density curves: three invariants of its Hessian.

    The trace, the root of the sum of squares and the cube root of the product of the principal curvatures: a ball has
    all three, a tube only two, and a plate the second most (Koenderink 1992, doi 10.1016/0262-8856(92)90076-F).

    Parameters
    ----------
    at : callable
        Density that many blocks (K, J, I) beside the places in question.
    unit : list of float
        Scale along every axis, blocks.
    """
    half, weights = np.float32(0.5), np.outer(unit, unit).astype(np.float32)
    twice = 2 * at(0, 0, 0)

    def second(a: int) -> Blocks:
        return weights[a, a] * (at(*AXES[a]) - twice + at(*-AXES[a]))

    def mixed(a: int, b: int) -> Blocks:
        ahead, behind = (half * (at(*(side + AXES[a])) - at(*(side - AXES[a]))) for side in (AXES[b], -AXES[b]))
        return weights[a, b] * (half * (ahead - behind))

    kk, jj, ii = (second(axis) for axis in range(3))
    kj, ki, ji = mixed(0, 1), mixed(0, 2), mixed(1, 2)
    squares = kk * kk + jj * jj + ii * ii + 2 * (kj * kj + ki * ki + ji * ji)
    product = kk * (jj * ii - ji * ji) - kj * (kj * ii - ji * ki) + ki * (kj * ji - jj * ki)
    return -(kk + jj + ii), np.sqrt(squares), -np.cbrt(product)
