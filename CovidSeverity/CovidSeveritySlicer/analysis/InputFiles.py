"""Input files of an analysis: a CT of the scene, and masks on its grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
from numpy.typing import NDArray
from slicer.i18n import tr as _

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.orientation import check_geometry
from CovidSeverityLib.segmentation.lobes.external_lobes import LOBE_SCHEMES
from CovidSeverityLib.types import Geometry, Side
from CovidSeveritySlicer.nodes.Masks import FoundMasks, findMasks
from CovidSeveritySlicer.nodes.SegmentLabels import labelsOnGridOf
from CovidSeveritySlicer.nodes.VolumeGeometry import geometryOf, isRigid, rasToWorld
from CovidSeveritySlicer.scene.ResultFiles import NEUTRAL_NAME

LUNGS_NAME, LOBES_NAME = "lungs.nrrd", "lobes.nrrd"
"""Names that say nothing of the patient: the report contains them."""

LOBE_LABELS = {lobe.name: label for label, lobe in LOBE_SCHEMES["lungmask"].items()}


class UnusableInput(ValueError):  # noqa: N818 (it says what the input is)
    """A node that cannot be analysed. The message, for the user, says what is needed."""


def writeInputs(volumeNode: Any, folder: Path, segmentationNode: Any = None) -> list[str]:
    """Write a CT, and the lungs and lobes of a segmentation, to files.

    The files are in world coordinates: a transform of the CT is applied, so that right and left are as the user sees
    them. File names say nothing of the patient.

    Parameters
    ----------
    volumeNode : any
        VtkMRMLScalarVolumeNode.
    folder : Path
        Existing folder for the files.
    segmentationNode : any
        VtkMRMLSegmentationNode Has both lungs or all lobes. None: the analysis finds them.

    Returns
    -------
    list of str
        Arguments for the command line: the CT, then ``--lungs`` and ``--lobes`` with their files.

    Raises
    ------
    UnusableInput
        The CT has no image data with one component, or a transform bends or scales it, or the segmentation has
        neither both lungs nor all lobes.
    OSError
        A file cannot be written.
    """
    geometry = _geometry(volumeNode)
    masks = [] if segmentationNode is None else _masks(volumeNode, segmentationNode)
    arguments = [str(folder / NEUTRAL_NAME)]
    _write(slicer.util.arrayFromVolume(volumeNode), geometry, folder / NEUTRAL_NAME)
    for option, name, labels in masks:
        _write(labels.astype(np.uint8), geometry, folder / name)
        arguments += [option, str(folder / name)]
    return arguments


def _geometry(volumeNode: Any) -> Geometry:
    """The checked grid of the CT in world coordinates."""
    image = volumeNode.GetImageData() if volumeNode is not None else None
    if image is None or image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None:
        raise UnusableInput(_("The selected volume has no image data; a chest CT is needed."))
    if image.GetNumberOfScalarComponents() != 1:
        text = _("The selected volume has {count} components per voxel; a chest CT with one is needed.")
        raise UnusableInput(text.format(count=image.GetNumberOfScalarComponents()))
    if min(image.GetDimensions()) < 2:
        text = _("The selected volume has {size} voxels; a chest CT of several slices is needed.")
        raise UnusableInput(text.format(size=" x ".join(str(n) for n in image.GetDimensions())))
    toWorld = rasToWorld(volumeNode)
    if toWorld is None or not isRigid(toWorld):
        raise UnusableInput(
            _("The transform of the CT bends or scales it. Harden the transform and resample the volume first.")
        )
    geometry = geometryOf(volumeNode, toWorld)
    try:
        check_geometry(geometry)
    except InputError as error:
        text = _("The CT cannot be analysed: {reason}. Resample it to a regular grid first.")
        raise UnusableInput(text.format(reason=error)) from error
    return geometry


def _masks(volumeNode: Any, segmentationNode: Any) -> list[tuple[str, str, NDArray[np.integer]]]:
    """Option, file name and (K, J, I) labels of each mask."""
    found = findMasks(segmentationNode)
    wanted = []
    if found.completeLungs:
        wanted.append(("--lungs", LUNGS_NAME, _lungLabels(found)))
    if found.completeLobes:
        wanted.append(("--lobes", LOBES_NAME, {LOBE_LABELS[name]: ids for name, ids in found.lobes.items()}))
    if not wanted:
        raise UnusableInput(
            _("The selected segmentation has neither both lungs nor all five lobes; choose another one, or none.")
        )
    return [(option, name, _labels(volumeNode, segmentationNode, ids)) for option, name, ids in wanted]


def _lungLabels(found: FoundMasks) -> dict[int, list[str]]:
    """Each lung has its label if the segmentation separates them. Otherwise the library separates them."""
    if all(found.lungs.values()):
        return {int(side): found.lungs[side.name.lower()] for side in Side}
    return {1: [*found.bothLungs, *(name for names in found.lungs.values() for name in names)]}


def _labels(volumeNode: Any, segmentationNode: Any, segmentIDs: dict[int, list[str]]) -> NDArray[np.integer]:
    labels = labelsOnGridOf(volumeNode, segmentationNode, segmentIDs)
    if labels is None:
        raise UnusableInput(
            _("The selected segmentation cannot be resampled to the grid of the CT. Choose another one.")
        )
    if not labels.any():
        raise UnusableInput(_("The selected segmentation is empty inside the CT. Choose another one, or none."))
    return labels


def _write(array: NDArray, geometry: Geometry, path: Path) -> None:
    """Write uncompressed: the file is read once, on this machine."""
    image = sitk.GetImageFromArray(array.astype(np.int16) if array.dtype in (np.bool_, np.int8) else array)
    image.SetSpacing(geometry.spacing_mm)
    image.SetOrigin(geometry.origin_mm)
    image.SetDirection(geometry.direction)
    try:
        sitk.WriteImage(image, str(path), useCompression=False)
    except RuntimeError as error:
        raise OSError(_("{file} cannot be written to the temporary folder.").format(file=path.name)) from error
