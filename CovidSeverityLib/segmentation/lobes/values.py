"""What divides the lungs, and the published method's regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.immutable import Value
from CovidSeverityLib.types import Lobe


@dataclass(frozen=True)
class FissureFinding:
    """How a fissure between two lobes was found.

    Parameters
    ----------
    name : str
        "right oblique", "right horizontal" or "left oblique".
    seen_percent : float
        Part of its area that the image shows, per cent; the rest is an atlas's.
    expected_mm : float
        Expected mean distance to the true fissure, mm.
    """

    name: str
    seen_percent: float
    expected_mm: float


@dataclass(frozen=True)
class OwnLobes:
    """Stands for the lobes that the library finds itself."""


@dataclass(frozen=True, eq=False, repr=False)
class LobeSegmentation(Value):
    """Lobes and how they were made.

    Parameters
    ----------
    labels : (K, J, I) ndarray of uint8
        Labels of :class:`Lobe`.
    source : str
        The method or the file.
    approximate : bool
        Whether single scores may be off for that reason.
    confidence : mapping of Lobe to float, or None
        Of every lobe, its expected Dice coefficient with the true one, 0 to 1; None where it is not known.
    fissures : tuple of FissureFinding
        How they were found, where lobes were made from them.

    Examples
    --------
    >>> from CovidSeverityLib import LobeSegmentation, read_ct, read_mask
    >>> mask = read_mask("lobes.nii.gz", read_ct("ct.nii.gz"))
    >>> LobeSegmentation(mask, "drawn by hand", approximate=False).labels.max()
    np.uint8(5)
    """

    labels: NDArray[np.uint8]
    source: str
    approximate: bool
    confidence: Mapping[Lobe, float] | None = None
    fissures: tuple[FissureFinding, ...] = ()
