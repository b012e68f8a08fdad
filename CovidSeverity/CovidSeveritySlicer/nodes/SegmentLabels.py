"""Segments as an array of labels on the grid of a volume. Their own grid and transform may differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import vtk_to_numpy


def labelsOnGridOf(
    volumeNode: Any, segmentationNode: Any, segmentIDs: Mapping[int, Iterable[str]]
) -> NDArray[np.integer] | None:
    """One array of labels from segments. Where they overlap, the later one counts.

    Parameters
    ----------
    volumeNode : any
        VtkMRMLScalarVolumeNode Has image data.
    segmentationNode : any
        VtkMRMLSegmentationNode.
    segmentIDs : Mapping
        Segment identifiers by label.

    Returns
    -------
    (K, J, I) ndarray of integers or None
        In the stored order of the volume. None if Slicer cannot resample the segments to its grid.
    """
    identifiers, labels = vtk.vtkStringArray(), vtk.vtkIntArray()
    for label, names in segmentIDs.items():
        for name in names:
            identifiers.InsertNextValue(name)
            labels.InsertNextValue(label)
    shape = volumeNode.GetImageData().GetDimensions()[::-1]
    if identifiers.GetNumberOfValues() == 0:
        return np.zeros(shape, dtype=np.uint8)  # Slicer takes an empty list for every segment
    merged = slicer.vtkOrientedImageData()
    slicer.vtkSlicerSegmentationsModuleLogic.GenerateMergedLabelmapInReferenceGeometry(
        segmentationNode, volumeNode, identifiers, slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY, merged, labels
    )
    scalars = merged.GetPointData().GetScalars()
    if scalars is None or merged.GetDimensions()[::-1] != shape:
        return None
    return vtk_to_numpy(scalars).reshape(shape).copy()
