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
    voxels : (N,) ndarray of int64
        Ascending flat indices into the CT's (K, J, I).
    parts : (N,) ndarray of uint16
        Bits of :class:`~.parts.Part`: the segments that the voxels lie in.
    automatic, codes : (N,) ndarray of uint8
        Codes of the automatic masks and of the corrected ones.
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
    codes : (K, J, I) ndarray of uint8
        Codes of a box of the CT. There is nothing outside it.
    table : (K, CODES) ndarray of int64
        Of :func:`~.rescoring.tally`, a row for every slice of the CT.
    lobes : frozenset of Lobe
        Lobes that were changed.
    opacity_outside_voxels : int
        Opacity outside the lungs that is not there automatically. It is not counted.
    lung_without_lobe_voxels : int
        Lung in no lobe that has one automatically. No lobe's score counts it.
    """

    codes: NDArray[np.uint8]
    table: NDArray[np.int64]
    lobes: frozenset[Lobe]
    opacity_outside_voxels: int
    lung_without_lobe_voxels: int
