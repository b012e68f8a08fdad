"""Ground glass and consolidation, told apart by density."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import Opacity

CONSOLIDATION_HU = -200
"""Infected lung above this is consolidation, below it ground glass (Chaganti 2020, doi 10.1148/ryai.2020200048; the
same limit defines the percentage of high opacity)."""


def opacity_labels(hu: NDArray[np.int16], infected: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """uint8 of :class:`Opacity`: infected voxels by density, 0 elsewhere."""
    kinds = np.where(hu > CONSOLIDATION_HU, np.uint8(Opacity.CONSOLIDATION), np.uint8(Opacity.GROUND_GLASS))
    return np.where(infected, kinds, np.uint8(0))
