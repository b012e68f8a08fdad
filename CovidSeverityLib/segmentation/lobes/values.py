"""What divides the lungs, and the published method's regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import Lobe, frozen_array


@dataclass(frozen=True)
class FissureFinding:
    """How a fissure between two lobes was found.

    Parameters
    ----------
    name : "right oblique", "right horizontal" or "left oblique".
    seen_percent : part of its area that the image shows; the rest is an atlas's.
    expected_mm : expected mean distance to the true fissure, mm.
    """

    name: str
    seen_percent: float
    expected_mm: float


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
