"""Input files of an analysis: a CT of the scene, and masks on its grid."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray
from slicer.i18n import tr as _

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.orientation import check_geometry
from CovidSeverityLib.segmentation.lobes.external_lobes import LOBE_SCHEMES
from CovidSeverityLib.types import Geometry, Side
from CovidSeveritySlicer.nodes.Masks import FoundMasks, findMasks
from CovidSeveritySlicer.nodes.SegmentLabels import SegmentLabels, segmentLabels
from CovidSeveritySlicer.nodes.VolumeGeometry import geometryOf, isRigid, rasToWorld
from CovidSeveritySlicer.scene.ResultFiles import NEUTRAL_NAME

LUNGS_NAME, LOBES_NAME = "lungs.nrrd", "lobes.nrrd"
"""Names that say nothing of the patient: the report contains them."""

LOBE_LABELS = {lobe.name: label for label, lobe in LOBE_SCHEMES["lungmask"].items()}


class UnusableInput(ValueError):  # noqa: N818 (it says what the input is)
    """A node that cannot be analysed. The message, for the user, says what is needed."""


@dataclass(frozen=True, eq=False)
class _File:
    """A file for a (K, J, I) array, which is written slice by slice."""

    path: Path
    shape: tuple[int, int, int]
    kind: np.dtype
    planes: Callable[[], Iterable[NDArray]]


class Inputs:
    """A CT, and the lungs and lobes of a segmentation, for files.

    The files are in world coordinates: a transform of the CT is applied, so that right and left are as the user sees
    them. File names say nothing of the patient.

    Attributes
    ----------
    arguments : list of str
        Arguments for the command line: the CT, then ``--lungs`` and ``--lobes`` with their files.

    Parameters
    ----------
    volumeNode : any
        VtkMRMLScalarVolumeNode Its voxels are not copied, but stay in memory whatever becomes of the node.
    folder : Path
        Existing folder for the files.
    segmentationNode : any
        VtkMRMLSegmentationNode Has both lungs or all lobes. None: the analysis finds them.

    Raises
    ------
    UnusableInput
        The CT has no image data with one component, or a transform bends or scales it, or the segmentation has
        neither both lungs nor all lobes.
    """

    def __init__(self, volumeNode: Any, folder: Path, segmentationNode: Any = None) -> None:
        self._geometry = _geometry(volumeNode)
        self._scalars = volumeNode.GetImageData().GetPointData().GetScalars()
        self._files: list[_File] = []
        self.arguments = [str(folder / NEUTRAL_NAME)]
        for option, name, labels in [] if segmentationNode is None else _masks(volumeNode, segmentationNode):
            self._files.append(_File(folder / name, labels.shape, np.dtype(np.uint8), partial(_notEmpty, labels)))
            self.arguments += [option, str(folder / name)]
        ct = slicer.util.arrayFromVolume(volumeNode)
        kind = np.dtype(np.int16) if ct.dtype == np.int8 else ct.dtype
        self._files.append(_File(folder / NEUTRAL_NAME, ct.shape, kind, lambda: ct))
        self.expectNoChange()

    def expectNoChange(self) -> None:
        """Regard the CT as unchanged from now on."""
        self._modified = self._scalars.GetMTime()

    @property
    def changed(self) -> bool:
        """Whether voxels of the CT were changed, so that what is written may be of both states."""
        return self._scalars.GetMTime() != self._modified

    def write(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Write the files. Any thread may call this.

        Parameters
        ----------
        stopped : callable
            Asked again and again whether to stop.

        Raises
        ------
        UnusableInput
            The segmentation is empty inside the CT.
        OSError
            A file cannot be written.
        """
        for file in self._files:
            try:
                _write(file, self._geometry, stopped)
            except OSError as error:
                text = _("{file} cannot be written to the temporary folder: {reason}.")
                raise OSError(text.format(file=file.path.name, reason=error.strerror or error)) from error

    def remove(self) -> None:
        """Delete the files: the program has read them. Any thread may call this.

        A file that another program holds goes at the end of the session.
        """
        for file in self._files:
            with contextlib.suppress(OSError):
                file.path.unlink()


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


def _masks(volumeNode: Any, segmentationNode: Any) -> list[tuple[str, str, SegmentLabels]]:
    """Option, file name and labels of each mask."""
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


def _labels(volumeNode: Any, segmentationNode: Any, segmentIDs: dict[int, list[str]]) -> SegmentLabels:
    labels = segmentLabels(volumeNode, segmentationNode, segmentIDs)
    if labels is None:
        raise UnusableInput(
            _("The selected segmentation cannot be resampled to the grid of the CT. Choose another one.")
        )
    return labels


def _notEmpty(labels: SegmentLabels) -> Iterator[NDArray[np.uint8]]:
    """The slices. After the last one it is an error if there was no label."""
    found = False
    for plane in labels.planes():
        found = found or bool(plane.any())
        yield plane
    if not found:
        raise UnusableInput(_("The selected segmentation is empty inside the CT. Choose another one, or none."))


def _write(file: _File, geometry: Geometry, stopped: Callable[[], bool]) -> None:
    """Write slice by slice, and uncompressed: the file is read once, on this machine."""
    with file.path.open("wb") as stream:
        stream.write(_header(file.shape, file.kind, geometry))
        for plane in file.planes():
            if stopped():
                return
            stream.write(np.ascontiguousarray(plane, dtype=file.kind))


def _header(shape: tuple[int, ...], kind: np.dtype, geometry: Geometry) -> bytes:
    """Header of an NRRD file (https://teem.sourceforge.net/nrrd/format.html)."""
    axes = np.reshape(geometry.direction, (3, 3)).T * np.reshape(geometry.spacing_mm, (3, 1))
    fields = {
        "type": {"float32": "float", "float64": "double"}.get(kind.name, kind.name),
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": " ".join(str(n) for n in reversed(shape)),
        "space directions": " ".join(_vector(axis) for axis in axes.tolist()),
        "kinds": "domain domain domain",
        "endian": sys.byteorder,
        "encoding": "raw",
        "space origin": _vector(geometry.origin_mm),
    }
    return "\n".join(["NRRD0004", *(f"{name}: {value}" for name, value in fields.items()), "", ""]).encode()


def _vector(values: Iterable[float]) -> str:
    return f"({','.join(repr(float(value)) for value in values)})"
