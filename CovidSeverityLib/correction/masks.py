"""What corrections by hand amount to: masks that were counted, and where they differ from the automatic ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import Lobe


@dataclass(frozen=True, eq=False)
class MaskDifference:
    """Where corrected masks, or what their segments say without their history, are not the automatic masks.

    Parameters
    ----------
    voxels : (N,) int64, ascending flat indices into the CT's (K, J, I).
    parts : (N,) uint16, bits of :class:`~.parts.Part`: the segments that they lie in.
    automatic, codes : (N,) uint8 codes of the automatic masks and of the corrected ones.
    """

    voxels: NDArray[np.int64]
    parts: NDArray[np.uint16]
    automatic: NDArray[np.uint8]
    codes: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class CorrectedMasks:
    """Corrected masks, counted.

    Parameters
    ----------
    codes : (K, J, I) codes of a box of the CT outside which there is nothing.
    table : of :func:`~.rescoring.tally`, a row for every slice of the CT.
    lobes : that were changed.
    opacity_outside_voxels : opacity outside the lungs that is not there automatically: it is not counted.
    lung_without_lobe_voxels : lung in no lobe that has one automatically: it is in no lobe's score.
    """

    codes: NDArray[np.uint8]
    table: NDArray[np.int64]
    lobes: frozenset[Lobe]
    opacity_outside_voxels: int
    lung_without_lobe_voxels: int
