"""Well-aerated lung of corrected lungs, counted in the CT of the scene as the library counts it."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

from CovidSeverityLib.features.corrections import EditedMasks
from CovidSeverityLib.features.quantification import well_aerated_voxels
from CovidSeverityLib.io.pixels import round_into
from CovidSeverityLib.preprocessing.hounsfield import INTERCEPT_HU
from CovidSeverityLib.reporting.tables import PERCENT_DECIMALS, rounded

from .AnalysisGrid import AnalysisGrid

SHIFTS_HU = (0, -INTERCEPT_HU, INTERCEPT_HU)
"""What the library may have added to the values of the CT: that under which the automatic number comes out again."""


class Aeration:
    """Counts well-aerated lung; the CT is read only when the lungs were changed.

    Parameters
    ----------
    volumeNode : vtkMRMLScalarVolumeNode of the CT, or None.
    grid : of the analysis.
    percent : automatic well-aerated part of the lungs, as the report tells it.
    """

    def __init__(self, volumeNode: Any, grid: AnalysisGrid, percent: float) -> None:
        self._volumeNode = volumeNode
        self._grid = grid
        self._percent = percent
        self._shift: int | None = None
        self._automatic: dict[int, int] = {}

    def voxels(self, masks: EditedMasks) -> int | None:
        """Of the lungs as they are now; None where the CT is not there or not the one that was analysed.

        Parameters
        ----------
        masks : followed from the automatic ones.
        """
        stored = self._stored()
        if stored is None:
            return None
        hu = self._grid.order.to_canonical(stored)
        if self._shift is None and not self._findShift(hu, masks):
            return None
        total = sum(self._automatic.values())
        for k in masks.slices_of_changed_lungs:
            total += self._count(hu, masks.lung(k), k, masks, self._shift) - self._automatic.get(k, 0)
        return total

    def _stored(self) -> NDArray | None:
        node = self._volumeNode
        if node is None or node.GetScene() is None or node.GetImageData() is None:
            return None
        stored = slicer.util.arrayFromVolume(node)
        return stored if stored.shape == self._grid.size[::-1] else None

    def _findShift(self, hu: NDArray, masks: EditedMasks) -> bool:
        slices = range(masks.box[0].start, masks.box[0].stop)
        voxels = sum(int(np.count_nonzero(masks.lung(k, automatic=True))) for k in slices)
        for shift in SHIFTS_HU:
            counts = {k: self._count(hu, masks.lung(k, automatic=True), k, masks, shift) for k in slices}
            if voxels and rounded(100.0 * sum(counts.values()) / voxels, PERCENT_DECIMALS) == self._percent:
                self._shift, self._automatic = shift, counts
                return True
        return False

    @staticmethod
    def _count(hu: NDArray, lung: NDArray[np.bool_], k: int, masks: EditedMasks, shift: int) -> int:
        if not lung.any():
            return 0
        values = np.empty(lung.shape, dtype=np.int16)
        round_into(values, hu[k][masks.box[1:]])
        return well_aerated_voxels(values.astype(np.int32) + shift if shift else values, lung)
