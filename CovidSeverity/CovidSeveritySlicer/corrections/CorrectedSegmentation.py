"""The masks of a corrected result as a file of the library.

They are what the corrected numbers count. The segments themselves may lack what an editor took away under its brush:
lung and lobe under a painted opacity, for example.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import slicer
import vtk

from CovidSeverityLib.correction.parts import lobes_of, opacities_of, sides_of
from CovidSeverityLib.reporting.segmentation import segmentation_header, write_segmentation
from CovidSeverityLib.types import Geometry
from CovidSeveritySlicer.nodes.VolumeGeometry import LPS_FROM_RAS
from CovidSeveritySlicer.scene.Result import AnalysisResult

from .AnalysisGrid import AnalysisGrid, gridOf
from .ResultScorer import ResultScorer


def correctedSegmentationWriter(result: AnalysisResult) -> Callable[[Path], None]:
    """A function that writes the masks of a result, as they are now, to a ``.seg.nrrd`` file. Any thread may call it.

    Parameters
    ----------
    result : AnalysisResult
        Its segmentation was corrected.

    Raises
    ------
    UnusableSegmentation
        There are no label maps to read.
    """
    scorer, grid = ResultScorer(result), gridOf(result)
    now, geometry = scorer.snapshot(), _geometry(grid)
    header = segmentation_header(geometry)  # not in a thread, see there

    def write(path: Path) -> None:
        """Write the masks that the corrected numbers count."""
        codes = scorer.corrections(now).codes()
        volume = SimpleNamespace(stored_geometry=geometry, storage=grid.order)
        masks = SimpleNamespace(
            volume=volume, lungs=sides_of(codes), lobes=lobes_of(codes), infection=opacities_of(codes)
        )
        with path.open("wb") as file:
            write_segmentation(masks, file, header)

    return write


def _geometry(grid: AnalysisGrid) -> Geometry:
    """The stored grid in LPS mm, in the coordinates of the CT itself."""
    matrix = vtk.vtkMatrix4x4()
    grid.image.GetImageToWorldMatrix(matrix)
    ijkToLps = LPS_FROM_RAS @ slicer.util.arrayFromVTKMatrix(matrix)
    spacing = np.linalg.norm(ijkToLps[:3, :3], axis=0)
    return Geometry(
        size=tuple(grid.size),
        spacing_mm=tuple(spacing.tolist()),
        origin_mm=tuple(ijkToLps[:3, 3].tolist()),
        direction=tuple((ijkToLps[:3, :3] / spacing).ravel().tolist()),
    )
