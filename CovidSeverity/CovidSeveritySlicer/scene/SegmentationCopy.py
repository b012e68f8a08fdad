"""A segmentation on its way to a file. Slicer's own writer would hold the window for seconds."""

from __future__ import annotations

import re
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from slicer.i18n import tr as _
from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

from CovidSeverityLib.reporting.segmentation import COMPRESSION_LEVEL, GZIP
from CovidSeveritySlicer.nodes.Layers import BINARY_LABELMAP, Extent, isOnGrid, labelsIn

from .ResultFiles import SEGMENTATION_FILE


class SegmentationCopy:
    """A segmentation as it is now, which any thread may write to a file.

    Slicer writes it at once if its label maps have several grids, or if there are none.

    Parameters
    ----------
    segmentationNode : any
        VtkMRMLSegmentationNode.

    Raises
    ------
    OSError
        Slicer cannot write it.
    """

    def __init__(self, segmentationNode: Any) -> None:
        segmentation = segmentationNode.GetSegmentation()
        images = _layers(segmentation)
        self._extent = _commonExtent(images, segmentation)
        arrays = [vtk_to_numpy(image.GetPointData().GetScalars()) for image in images if not image.IsEmpty()]
        self._kind = np.result_type(np.uint8, *arrays)
        header = _header(segmentation, images, self._extent, self._kind) if self._extent else None
        self._content = _bySlicer(segmentationNode) if header is None else header
        self._boxes = [] if header is None else [labelsIn(image, self._extent) for image in images]
        self._written = {} if header is None else _otherLabels(segmentation, header, self._kind)

    def write(self, path: Path) -> None:
        """Write the ``.seg.nrrd`` file. Any thread may call this.

        Raises
        ------
        OSError
            It cannot be written.
        """
        with path.open("wb") as file:
            file.write(self._content)
            if self._boxes:
                stream = zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, GZIP)
                for plane in self._planes():
                    file.write(stream.compress(plane))
                file.write(stream.flush())

    def _planes(self) -> Iterator[NDArray[np.integer]]:
        """Slices of all layers, (J, I, layer): the layer is the fastest axis of the file."""
        left, right, top, bottom, first, last = self._extent
        for k in range(first, last + 1):
            plane = np.zeros((bottom - top + 1, right - left + 1, len(self._boxes)), dtype=self._kind)
            for layer, box in enumerate(self._boxes):
                if box is not None and box.extent[4] <= k <= box.extent[5]:
                    i0, i1, j0, j1, k0, _k1 = box.extent
                    labels = box.labels[k - k0]
                    if layer in self._written:
                        labels = self._written[layer][labels]
                    plane[j0 - top : j1 - top + 1, i0 - left : i1 - left + 1, layer] = labels
            yield plane


def _layers(segmentation: Any) -> list[Any]:
    if segmentation.GetSourceRepresentationName() != BINARY_LABELMAP:
        return []
    count = segmentation.GetNumberOfLayers(BINARY_LABELMAP)
    return [segmentation.GetLayerDataObject(n, BINARY_LABELMAP) for n in range(count)]


def _commonExtent(images: Sequence[Any], segmentation: Any) -> Extent | None:
    """The extent of all label maps and of the reference geometry; None if these have no common grid."""
    text = segmentation.GetConversionParameter(slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName())
    reference = slicer.vtkOrientedImageData()
    if text:
        slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, reference, False)
    filled = [image for image in (*images, reference) if not image.IsEmpty()]
    if all(image.IsEmpty() for image in images) or not all(isOnGrid(image, filled[0]) for image in filled):
        return None
    extents = [image.GetExtent() for image in filled]
    return tuple((max if n % 2 else min)(bounds) for n, bounds in enumerate(zip(*extents, strict=True)))


def _header(segmentation: Any, images: Sequence[Any], extent: Extent, kind: np.dtype) -> bytes | None:
    """The header that Slicer writes: Slicer writes one slice, and the numbers of the whole are put in.

    None if Slicer writes it in another way than expected.
    """
    grid = next(image for image in images if not image.IsEmpty())
    layers = [segmentation.GetSegmentIDsForLayer(n, BINARY_LABELMAP) for n in range(len(images))]
    content = _bySlicer(_oneSlice(segmentation, layers, grid, (*extent[:4], extent[4], extent[4]), kind))
    header, end, _voxels = content.partition(b"\n\n")
    contained: list[str] = []
    segmentation.GetContainedRepresentationNames(contained)
    i, j, k = (extent[n + 1] - extent[n] for n in (0, 2, 4))
    sizes = " ".join(str(n) for n in (*([len(images)] if len(images) > 1 else []), i + 1, j + 1))
    values = {
        f"(sizes: {sizes} )1": str(k + 1),
        r"(Segment\d+_Extent:=).*": f"0 {i} 0 {j} 0 {k}",
        "(Segmentation_ContainedRepresentationNames:=).*": "|".join((*contained, "")),
        "(Segmentation_ConversionParameters:=).*": segmentation.SerializeAllConversionParameters(),
    }
    found = [int(layer) for layer in re.findall(rb"(?m)^Segment\d+_Layer:=(\d+)$", header)]
    expected = [segmentation.GetLayerIndex(name, BINARY_LABELMAP) for name in segmentation.GetSegmentIDs()]
    if found != expected:
        return None
    for pattern, value in values.items():
        header, count = re.subn(f"(?m)^{pattern}$".encode(), partial(_withValue, value.encode()), header)
        if not count:
            return None
    return header + end


def _otherLabels(segmentation: Any, header: bytes, kind: np.dtype) -> dict[int, NDArray[np.integer]]:
    """Tables from labels to those of the header, by layer: Slicer writes a segment that is alone in its layer as 1."""
    written = [int(label) for label in re.findall(rb"(?m)^Segment\d+_LabelValue:=(\d+)$", header)]
    labels: dict[int, dict[int, int]] = {}
    for name, label in zip(segmentation.GetSegmentIDs(), written, strict=True):
        layer = labels.setdefault(segmentation.GetLayerIndex(name, BINARY_LABELMAP), {})
        layer[segmentation.GetSegment(name).GetLabelValue()] = label
    tables = {}
    for layer, pairs in labels.items():
        if any(label != other for label, other in pairs.items()):
            tables[layer] = np.zeros(np.iinfo(kind).max + 1 if kind.itemsize < 4 else max(pairs) + 1, dtype=kind)
            tables[layer][list(pairs)] = list(pairs.values())
    return tables


def _withValue(value: bytes, match: re.Match[bytes]) -> bytes:
    return match[1] + value


def _oneSlice(segmentation: Any, layers: Sequence[Sequence[str]], grid: Any, extent: Extent, kind: np.dtype) -> Any:
    """A node with the same segments in the same layers, which all have one slice."""
    copied, node = slicer.vtkSegmentation(), slicer.vtkMRMLSegmentationNode()
    copied.SetSourceRepresentationName(BINARY_LABELMAP)
    images = [
        _slice(grid, extent, [segmentation.GetSegment(name).GetLabelValue() for name in names], kind)
        for names in layers
    ]
    for name in segmentation.GetSegmentIDs():
        segment = slicer.vtkSegment()
        segment.DeepCopyMetadata(segmentation.GetSegment(name))
        segment.AddRepresentation(BINARY_LABELMAP, images[segmentation.GetLayerIndex(name, BINARY_LABELMAP)])
        copied.AddSegment(segment, name)
    node.SetAndObserveSegmentation(copied)
    return node


def _slice(grid: Any, extent: Extent, labels: Sequence[int], kind: np.dtype) -> Any:
    """A slice full of all labels: what overlaps, Slicer leaves in its layer."""
    image, matrix = slicer.vtkOrientedImageData(), vtk.vtkMatrix4x4()
    grid.GetImageToWorldMatrix(matrix)
    image.SetExtent(extent)
    image.SetImageToWorldMatrix(matrix)
    image.AllocateScalars(get_vtk_array_type(kind), 1)
    vtk_to_numpy(image.GetPointData().GetScalars())[...] = np.resize(labels, image.GetNumberOfPoints())
    return image


def _bySlicer(segmentationNode: Any) -> bytes:
    """What Slicer writes. Its storage node is in a separate scene, so that that of the segmentation stays unchanged."""
    scene = slicer.vtkMRMLScene()
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    with tempfile.TemporaryDirectory(dir=slicer.app.temporaryPath) as folder:
        path = Path(folder) / SEGMENTATION_FILE
        storage.SetFileName(str(path))
        if not storage.WriteData(segmentationNode):
            raise OSError(_("the segmentation cannot be written"))
        return path.read_bytes()
