"""Convex hull of a mask, row by row: its mask and its edges with their outward normals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ConvexHull:
    """Hull of a (J, I) mask.

    ``mask`` is (J, I) bool; ``starts``, ``ends`` (N, 2) are the edges' (row, column) and ``normals`` (N, 2) their
    outward unit vectors.
    """

    mask: NDArray[np.bool_]
    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    normals: NDArray[np.float64]


def convex_hull(mask: NDArray[np.bool_]) -> ConvexHull:
    """Hull of the pixel centres of ``mask`` (at least one of them set).

    The first and the last pixel of every row are all that matters: their lower and upper convex chains bound the hull.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    left, right = _chain(rows, first, 1), _chain(rows, last, -1)
    span = np.arange(rows[0], rows[-1] + 1)
    lower = np.interp(span, left[:, 0], left[:, 1])[:, None]
    upper = np.interp(span, right[:, 0], right[:, 1])[:, None]
    columns = np.arange(mask.shape[1])
    inside = np.zeros(mask.shape, dtype=bool)
    inside[span] = (columns >= lower - 1e-9) & (columns <= upper + 1e-9)
    loop = np.concatenate([left, right[::-1], left[:1]])
    starts, ends = loop[:-1], loop[1:]
    steps = ends - starts
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    real = lengths > 0
    # the loop runs down the left chain and up the right one, so that the outside lies on its right hand
    normals = np.stack([steps[:, 1], -steps[:, 0]], axis=1)[real] / lengths[real, None]
    return ConvexHull(inside, starts[real], ends[real], normals)


def _chain(rows: NDArray[np.intp], columns: NDArray[np.intp], sign: int) -> NDArray[np.float64]:
    """(N, 2) vertices of the convex chain under (``sign`` 1) or over (-1) the points (Andrew's monotone chain)."""
    chain: list[tuple[int, int]] = []
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        while len(chain) > 1:
            (r0, c0), (r1, c1) = chain[-2:]
            if sign * ((r1 - r0) * (column - c0) - (c1 - c0) * (row - r0)) > 0:
                break
            chain.pop()
        chain.append((row, column))
    return np.array(chain, dtype=np.float64)
