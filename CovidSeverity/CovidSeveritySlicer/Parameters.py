"""What the panel remembers, in the scene: selectors and options, bound to widgets by ``SlicerParameterName``."""

from __future__ import annotations

from enum import Enum

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode, vtkMRMLTableNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import parameterNodeWrapper


class Profile(Enum):
    """Profiles of the library by their names there."""

    DEFAULT = "default"
    REFERENCE = "reference"

    def label(self) -> str:
        """What the panel calls it."""
        if self is Profile.DEFAULT:
            return _("Default: our best score")
        return _("Reference: the published method, for comparison")


@parameterNodeWrapper
class CovidSeverityParameters:
    """The module's parameter node.

    Parameters
    ----------
    inputVolume : the CT.
    maskSegmentation : lungs or lobes to take instead of finding them.
    outputSegmentation, lobeTable, sliceTable, measurementTable : to be filled; without one a new one is made.
    profile : how the score is made.
    classifier : "" for what is installed, "none", a name or a file of weights.
    independentSlices : whether every slice is analysed by itself.
    force : whether a CT is analysed that lies upside down.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    maskSegmentation: vtkMRMLSegmentationNode
    outputSegmentation: vtkMRMLSegmentationNode
    lobeTable: vtkMRMLTableNode
    sliceTable: vtkMRMLTableNode
    measurementTable: vtkMRMLTableNode
    profile: Profile = Profile.DEFAULT
    classifier: str = ""
    independentSlices: bool = False
    force: bool = False
