"""Well-aerated lung of corrected lungs, counted in the CT of the scene as the library counts it."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

from CovidSeverityLib.correction.corrections import EditedMasks
from CovidSeverityLib.features.quantification import well_aerated_voxels
from CovidSeverityLib.preprocessing.hounsfield import CHANGES, IDENTITY, Change
from CovidSeverityLib.preprocessing.numbers import round_into
from CovidSeverityLib.reporting.tables import PERCENT_DECIMALS, rounded

from .AnalysisGrid import AnalysisGrid


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
        self._change = IDENTITY
        self._automatic: int | None = None

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
        if self._automatic is None and not self._findAutomatic(hu, masks):
            return None
        voxels, change = masks.lung_changes()
        added, taken = (self._count(hu[tuple(n[change == sign] for n in voxels)], self._change) for sign in (1, -1))
        return self._automatic + added - taken

    def _stored(self) -> NDArray | None:
        node = self._volumeNode
        if node is None or node.GetScene() is None or node.GetImageData() is None:
            return None
        stored = slicer.util.arrayFromVolume(node)
        return stored if stored.shape == self._grid.size[::-1] else None

    def _findAutomatic(self, hu: NDArray, masks: EditedMasks) -> bool:
        """Count the automatic lungs, undoing the change of values under which the automatic number comes out again."""
        slices, rows, columns = range(masks.box[0].start, masks.box[0].stop), *masks.box[1:]
        lung = {k: masks.automatic_lung(k) for k in slices}
        total = sum(int(np.count_nonzero(mask)) for mask in lung.values())
        for change in (IDENTITY, *CHANGES) if total else ():
            found = sum(self._count(hu[k, rows, columns][mask], change) for k, mask in lung.items())
            if rounded(100.0 * found / total, PERCENT_DECIMALS) == self._percent:
                self._change, self._automatic = change, found
                return True
        return False

    @staticmethod
    def _count(stored: NDArray, change: Change) -> int:
        """Well-aerated ones of (N,) values of the CT as the scene holds them."""
        values = np.empty(stored.shape, dtype=np.int16)
        round_into(values, stored, change.scale, change.offset)
        return well_aerated_voxels(values, np.ones(values.shape, dtype=bool))
