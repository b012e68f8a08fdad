"""The histogram of the lungs in bins that are wide enough to be drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.features.quantification import Densitometry

HISTOGRAM_RANGE_HU = (-1024, 200)
HISTOGRAM_BIN_HU = 8
HISTOGRAM_FLOOR_PERCENT = 2e-3
"""Lower end of the logarithmic scale, per cent of all lung voxels in a bin."""


def binned_histogram(densitometry: Densitometry) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bin centres in HU and the per cent of all lung voxels in each bin."""
    low, high = HISTOGRAM_RANGE_HU
    hu = densitometry.first_hu + np.arange(len(densitometry.histogram))
    edges = np.arange(low, high + HISTOGRAM_BIN_HU, HISTOGRAM_BIN_HU)
    counts, _ = np.histogram(hu, edges, weights=densitometry.histogram)
    centres = (edges[:-1] + (HISTOGRAM_BIN_HU - 1) / 2).astype(np.float64)
    return centres, 100.0 * counts / max(1, int(np.sum(densitometry.histogram)))
