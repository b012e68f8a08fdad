"""A CT that the library has read, as a volume of the scene on the grid of its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

from CovidSeveritySlicer.nodes.VolumeGeometry import RAS_FROM_LPS

LUNG_WINDOW_HU, LUNG_LEVEL_HU = 1400.0, -500.0
"""Window and level of Slicer's preset "CT-Lung"."""


@dataclass(frozen=True, eq=False)
class StoredCt:
    """Voxels and grid, in the stored order of axes.

    Parameters
    ----------
    hu : ndarray of int16
        Hounsfield units as the library corrects them, in the shape that Slicer has for the file.
    ijkToRas : (4, 4) ndarray of float64
        From voxel indices to RAS mm.
    """

    hu: NDArray[np.int16]
    ijkToRas: NDArray[np.float64]

    @classmethod
    def read(cls, path: Path, seriesUid: str | None = None) -> StoredCt:
        """Read a CT as an analysis does. Any thread may call this.

        Raises
        ------
        InputError
            There is no such file, or it is no CT.
        """
        from CovidSeverityLib.io.reading import read_ct

        volume = read_ct(path, series_uid=seriesUid, force=True)  # a result says that it could be analysed
        stored = np.ascontiguousarray(volume.storage.to_stored(volume.hu))
        return cls(stored, RAS_FROM_LPS @ volume.stored_geometry.ijk_to_lps)


def ctNode(ct: StoredCt, name: str) -> Any:
    """A new vtkMRMLScalarVolumeNode, shown with the window of the lungs."""
    node = slicer.util.addVolumeFromArray(ct.hu, ijkToRAS=ct.ijkToRas, name=name)
    display = node.GetDisplayNode()
    if display is not None:
        display.AutoWindowLevelOff()
        display.SetWindowLevel(LUNG_WINDOW_HU, LUNG_LEVEL_HU)
    return node
