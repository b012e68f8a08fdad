"""The files that the library reads: a CT from the scene, and masks on its grid."""

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
"""Neutral, as the CT's: a report tells the names of its masks."""

LOBE_LABELS = {lobe.name: label for label, lobe in LOBE_SCHEMES["lungmask"].items()}


class UnusableInput(ValueError):  # noqa: N818 (it says what the input is)
    """A node that cannot be analysed as it is, with what would be right. For the user."""


def writeInputs(volumeNode: Any, folder: Path, segmentationNode: Any = None) -> list[str]:
    """Write a CT, and the lungs and lobes of a segmentation, to files.

    They lie where the scene shows them: a transform of the CT is in its file, so that right and left are those that the
    user sees. File names tell nothing of the patient.

    Parameters
    ----------
    volumeNode : vtkMRMLScalarVolumeNode.
    folder : for the files; it is there.
    segmentationNode : vtkMRMLSegmentationNode with both lungs or all lobes; None to have them found.

    Returns
    -------
    Arguments for the command line: the CT, then ``--lungs`` and ``--lobes`` with their files.

    Raises
    ------
    UnusableInput
        If the CT holds no image of one number a voxel or is under a transform that bends or scales it, or the
        segmentation holds neither both lungs nor all lobes.
    OSError
        If a file cannot be written.
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
    """In world coordinates, after every check."""
    image = volumeNode.GetImageData() if volumeNode is not None else None
    if image is None or image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None:
        raise UnusableInput(_("The selected volume holds no image data; a chest CT is needed."))
    if image.GetNumberOfScalarComponents() != 1:
        text = _("The selected volume holds {count} numbers a voxel; a chest CT with one is needed.")
        raise UnusableInput(text.format(count=image.GetNumberOfScalarComponents()))
    if min(image.GetDimensions()) < 2:
        text = _("The selected volume has {size} voxels; a chest CT of several slices is needed.")
        raise UnusableInput(text.format(size=" x ".join(str(n) for n in image.GetDimensions())))
    toWorld = rasToWorld(volumeNode)
    if toWorld is None or not isRigid(toWorld):
        raise UnusableInput(
            _("The CT is under a transform that bends or scales it; harden it and resample the volume first.")
        )
    geometry = geometryOf(volumeNode, toWorld)
    try:
        check_geometry(geometry)
    except InputError as error:
        text = _("The CT cannot be analysed: {reason}. Resample it to a regular grid first.")
        raise UnusableInput(text.format(reason=error)) from error
    return geometry


def _masks(volumeNode: Any, segmentationNode: Any) -> list[tuple[str, str, NDArray[np.integer]]]:
    """Option, name of the file and (K, J, I) labels of every mask."""
    found = findMasks(segmentationNode)
    wanted = []
    if found.completeLungs:
        wanted.append(("--lungs", LUNGS_NAME, _lungLabels(found)))
    if found.completeLobes:
        wanted.append(("--lobes", LOBES_NAME, {LOBE_LABELS[name]: ids for name, ids in found.lobes.items()}))
    if not wanted:
        raise UnusableInput(
            _("The selected segmentation holds neither both lungs nor all five lobes; choose another, or none.")
        )
    return [(option, name, _labels(volumeNode, segmentationNode, ids)) for option, name, ids in wanted]


def _lungLabels(found: FoundMasks) -> dict[int, list[str]]:
    """A mask of both lungs only where they are not there one by one: the library would have to tell the sides apart."""
    if all(found.lungs.values()):
        return {int(side): found.lungs[side.name.lower()] for side in Side}
    return {1: [*found.bothLungs, *(name for names in found.lungs.values() for name in names)]}


def _labels(volumeNode: Any, segmentationNode: Any, segmentIDs: dict[int, list[str]]) -> NDArray[np.integer]:
    labels = labelsOnGridOf(volumeNode, segmentationNode, segmentIDs)
    if labels is None:
        raise UnusableInput(_("The selected segmentation cannot be brought to the grid of the CT; choose another."))
    if not labels.any():
        raise UnusableInput(_("The selected segmentation is empty where the CT is; choose another, or none."))
    return labels


def _write(array: NDArray, geometry: Geometry, path: Path) -> None:
    """Uncompressed: it is read once, on this machine."""
    image = sitk.GetImageFromArray(array.astype(np.int16) if array.dtype in (np.bool_, np.int8) else array)
    image.SetSpacing(geometry.spacing_mm)
    image.SetOrigin(geometry.origin_mm)
    image.SetDirection(geometry.direction)
    try:
        sitk.WriteImage(image, str(path), useCompression=False)
    except RuntimeError as error:
        raise OSError(_("{file} cannot be written to the temporary folder.").format(file=path.name)) from error
