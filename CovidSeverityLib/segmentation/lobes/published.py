"""The published method's five regions: rows of the axial slice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import Lobe, Side

from .values import LobeSegmentation


def published_regions(lungs: NDArray[np.uint8]) -> LobeSegmentation:
    """The published method's five regions: rows of the axial slice.

    Rows between the first and the last lung row of the whole volume are cut, on the left into halves ("LUL" in front,
    "LLL" behind), on the right into thirds ("RUL", "RML", "RLL" from the front).

    Parameters
    ----------
    lungs : (K, J, I) ndarray of uint8
        Labels of :class:`Side`.
    """
    rows = np.flatnonzero(lungs.any(axis=(0, 2)))
    labels = np.zeros(lungs.shape, dtype=np.uint8)
    for side, lobes in ((Side.LEFT, (Lobe.LUL, Lobe.LLL)), (Side.RIGHT, (Lobe.RUL, Lobe.RML, Lobe.RLL))):
        edges = _published_cuts(int(rows[0]), int(rows[-1]), len(lobes))
        for lobe, start, stop in zip(lobes, edges[:-1], edges[1:], strict=True):
            part = labels[:, start:stop]
            part[lungs[:, start:stop] == side] = lobe
    return LobeSegmentation(labels, "published method (rows of the axial slice)", approximate=True)


def _published_cuts(first: int, last: int, parts: int) -> list[int]:
    """First rows of equal parts and the row after the last."""
    return [first + (last - first + 1) * n // parts for n in range(parts + 1)]
