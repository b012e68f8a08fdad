"""The outline of the lungs as the published method draws it: edges by Prewitt's and by Roberts' operator.

Both follow MATLAB's documented ``edge(mask, method)`` with its default threshold and thinning. A mask holds integers,
so do its gradients, and every comparison here is exact: no tie is decided by rounding.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

PREWITT_CUTOFF = 4
"""Squared gradient from which a pixel can be an edge, as a multiple of the slice's mean (MATLAB's default)."""

ROBERTS_CUTOFF = 6
"""The same for Roberts' operator."""

Step = tuple[int, int]
"""Rows and columns from a pixel to its neighbour."""

RIGHTWARDS, DOWN, DOWN_RIGHT, DOWN_LEFT = (0, 1), (1, 0), (1, 1), (1, -1)


def lung_outline(lung: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Outline of one slice's lungs, one or two pixels wide: the union of both edge maps.

    Parameters
    ----------
    lung : (J, I) ndarray of bool
        Lungs of a slice.

    Returns
    -------
    (J, I) ndarray of bool
        Empty where the slice is all lung or none.
    """
    return prewitt_edges(lung) | roberts_edges(lung)


def prewitt_edges(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Edges by Prewitt's operator: differences over two pixels, each summed over three.

    Parameters
    ----------
    mask : (J, I) ndarray of bool
        Of a slice.
    """
    around = _Neighbours(mask.astype(np.int64), beyond="edge")
    across = np.sum([around[row, 1] - around[row, -1] for row in (-1, 0, 1)], axis=0)
    down = np.sum([around[1, column] - around[-1, column] for column in (-1, 0, 1)], axis=0)
    return _thin_edges((across, RIGHTWARDS), (down, DOWN), PREWITT_CUTOFF)


def roberts_edges(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Edges by Roberts' operator: differences along both diagonals of a pixel and its neighbours right and below.

    Parameters
    ----------
    mask : (J, I) ndarray of bool
        Of a slice.
    """
    around = _Neighbours(mask.astype(np.int64), beyond="edge")
    return _thin_edges(
        (around[0, 0] - around[1, 1], DOWN_RIGHT), (around[0, 1] - around[1, 0], DOWN_LEFT), ROBERTS_CUTOFF
    )


class _Neighbours:
    """``neighbours[row, column]`` is the image moved so that every pixel holds its neighbour so far away (up to 1)."""

    def __init__(self, image: NDArray[np.int64], beyond: Literal["edge", "constant"]) -> None:
        self._shape = image.shape
        self._padded = np.pad(image, 1, mode=beyond)

    def __getitem__(self, step: Step) -> NDArray[np.int64]:
        return self._padded[tuple(slice(1 + s, 1 + s + n) for s, n in zip(step, self._shape, strict=True))]


def _thin_edges(
    first: tuple[NDArray[np.int64], Step], second: tuple[NDArray[np.int64], Step], cutoff: int
) -> NDArray[np.bool_]:
    """Pixels above the cutoff whose gradient is the largest along its dominant direction.

    ``first`` and ``second`` are a component of the gradient and the step along it. Of equal neighbours the later stays.
    Divisors of the operators cancel out of every comparison and are left out.
    """
    squared = first[0] ** 2 + second[0] ** 2
    around = _Neighbours(squared, beyond="constant")
    ridge = np.zeros(squared.shape, dtype=bool)
    for (along, step), (other, _) in ((first, second), (second, first)):
        before = around[-step[0], -step[1]]
        ridge |= (np.abs(along) >= np.abs(other)) & (before <= squared) & (squared > around[step])
    return ridge & (squared * squared.size > cutoff * squared.sum())
