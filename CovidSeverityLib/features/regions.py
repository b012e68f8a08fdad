"""What divides the lungs, and the published method's regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.results import FissureFinding
from CovidSeverityLib.types import Lobe, Side, frozen_array


@dataclass(frozen=True, eq=False)
class LobeSegmentation:
    """Lobes and how they were made.

    Parameters
    ----------
    labels : (K, J, I) uint8 of :class:`Lobe`.
    source : the method or the file.
    approximate : whether single scores may be off for that reason.
    confidence : of every lobe, its expected Dice coefficient with the true one, 0 to 1; None where it is not known.
    fissures : how they were found, where lobes were made from them.
    """

    labels: NDArray[np.uint8]
    source: str
    approximate: bool
    confidence: Mapping[Lobe, float] | None = None
    fissures: tuple[FissureFinding, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", frozen_array(self.labels))
        if self.confidence is not None:
            object.__setattr__(self, "confidence", MappingProxyType(dict(self.confidence)))


def published_regions(lungs: NDArray[np.uint8]) -> LobeSegmentation:
    """The published method's five regions: rows of the axial slice.

    Rows between the first and the last lung row of the whole volume are cut, on the left into halves ("LUL" in front,
    "LLL" behind), on the right into thirds ("RUL", "RML", "RLL" from the front).

    Parameters
    ----------
    lungs : (K, J, I) uint8 of :class:`Side`.
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
