"""Parameters of the panel. The scene keeps them; ``SlicerParameterName`` binds them to widgets."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode, vtkMRMLTableNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from .analysis.BatchLogic import BatchSource
from .analysis.Engines import LungSource


class Profile(Enum):
    """Profiles of the library by their names there."""

    DEFAULT = "default"
    REFERENCE = "reference"

    def label(self) -> str:
        """Its name in the panel."""
        if self is Profile.DEFAULT:
            return _("Default: our best score")
        return _("Reference: the published method, for comparison")


MOST_WORKERS = 256
"""Largest number of workers that the panel offers: the cores of the largest workstations."""


@parameterNodeWrapper
class CovidSeverityParameters:
    """The module's parameter node.

    Parameters
    ----------
    inputVolume : vtkMRMLScalarVolumeNode
        The CT.
    lungSource : LungSource
        What finds lungs and lobes.
    maskSegmentation : vtkMRMLSegmentationNode
        Its lungs or lobes are used if the source is a segmentation in the scene.
    outputSegmentation : vtkMRMLSegmentationNode
        Receives the result. None makes a new node; so do the tables.
    lobeTable, sliceTable, measurementTable : vtkMRMLTableNode
        Receive the numbers.
    profile : Profile
        How opacities are marked and scored.
    classifier : str
        "" for the installed model, "none", the name of a model, or a file of weights.
    independentSlices : bool
        Whether each slice is analysed by itself.
    force : bool
        Whether a CT is analysed although it is stored upside down.
    batchSource : BatchSource
        Where the CTs of a batch come from. Its folders are no parameters, because a scene keeps no path.
    batchWorkers : int
        Number of CTs of a batch that are analysed side by side. 0: as many as the memory allows.
    batchResume : bool
        Whether a batch that is in the output folder already is gone on with.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    maskSegmentation: vtkMRMLSegmentationNode
    outputSegmentation: vtkMRMLSegmentationNode
    lobeTable: vtkMRMLTableNode
    sliceTable: vtkMRMLTableNode
    measurementTable: vtkMRMLTableNode
    lungSource: LungSource = LungSource.BUILT_IN
    profile: Profile = Profile.DEFAULT
    classifier: str = ""
    independentSlices: bool = False
    force: bool = False
    batchSource: BatchSource = BatchSource.FOLDER
    batchWorkers: Annotated[int, WithinRange(0, MOST_WORKERS)] = 0
    batchResume: bool = True
