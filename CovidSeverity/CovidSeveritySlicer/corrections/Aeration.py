"""Well-aerated lung of corrected lungs, counted in the CT of the scene."""

from __future__ import annotations

import numpy as np
import slicer
from numpy.typing import NDArray

from CovidSeverityLib.correction.edited_masks import Box
from CovidSeverityLib.correction.parts import sides_of
from CovidSeverityLib.features.quantification import well_aerated_voxels
from CovidSeverityLib.io.stored_numbers import round_into
from CovidSeverityLib.reporting.tables import PERCENT_DECIMALS, rounded
from CovidSeveritySlicer.scene.Result import AnalysisResult

from .AnalysisGrid import AnalysisGrid


def storedValues(result: AnalysisResult, grid: AnalysisGrid) -> NDArray | None:
    """The voxels of the CT as it is stored, not copied; None if it has left the scene or has another size now."""
    volumeNode = result.volumeNode
    if volumeNode is None or volumeNode.GetScene() is None or volumeNode.GetImageData() is None:
        return None
    stored = slicer.util.arrayFromVolume(volumeNode)
    return stored if stored.shape == grid.size[::-1] else None


def wellAeratedVoxels(
    stored: NDArray | None,
    result: AnalysisResult,
    grid: AnalysisGrid,
    box: Box,
    codes: NDArray[np.uint8],
    automaticCodes: NDArray[np.uint8],
) -> int | None:
    """Well-aerated voxels of corrected lungs. Any thread may call this.

    Parameters
    ----------
    stored : ndarray or None
        Of :func:`storedValues`.
    result : AnalysisResult
        Its report is read.
    grid : AnalysisGrid
        Grid of the analysis.
    box : Box
        Part of the CT that holds all masks.
    codes, automaticCodes : (K, J, I) ndarray of uint8
        Corrected and automatic masks in ``box``.

    Returns
    -------
    int or None
        None without voxels, or if the share in the automatic lungs is not that of the report.
    """
    if stored is None:
        return None
    values = grid.order.to_canonical(stored)[box]
    hu = np.empty(values.shape, dtype=np.int16)
    round_into(hu, values, **result.report["input"]["hounsfield_change"])
    automaticLungs = sides_of(automaticCodes) > 0
    automatic, total = well_aerated_voxels(hu, automaticLungs), int(np.count_nonzero(automaticLungs))
    if not total or rounded(100.0 * automatic / total, PERCENT_DECIMALS) != result.report["well_aerated_percent"]:
        return None
    return well_aerated_voxels(hu, sides_of(codes) > 0)
