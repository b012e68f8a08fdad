"""Segments as labels on the grid of a volume, against Slicer's own merging."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer")

from CovidSeveritySlicer.nodes import SegmentLabels as module
from CovidSeveritySlicer.nodes.Layers import BINARY_LABELMAP
from CovidSeveritySlicer.nodes.SegmentLabels import segmentLabels

pytestmark = pytest.mark.usefixtures("no_vtk_errors")

SHAPE = (9, 11, 13)
LABELS = {3: ["d", "a"], 1: ["b", "empty"], 2: ["c"]}
"""They come in the order d, a, b, c."""

OBLIQUE = np.array([[-0.8, 0.6, 0.0, 10.0], [-0.6, -0.8, 0.0, 20.0], [0.0, 0.0, 2.5, -30.0], [0.0, 0.0, 0.0, 1.0]])


@pytest.fixture
def volume(slicer):
    return slicer.util.addVolumeFromArray(np.zeros(SHAPE, np.int16), ijkToRAS=OBLIQUE)


@pytest.fixture
def segments(slicer, volume):
    """Four segments of three layers, which overlap; others share their layers. Each label map has its own extent."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    rng = np.random.default_rng(0)
    parts = {
        "a": np.s_[1:6, 2:9, 1:7],
        "b": np.s_[3:8, 4:10, 3:12],
        "other": np.s_[0:1, 0:2, 0:2],
        "c": np.s_[7:9, 0:11, 5:9],
        "d": np.s_[2:5, 3:8, 4:13],
    }
    for name, part in parts.items():
        mask = np.zeros(SHAPE, np.uint8)
        mask[part] = rng.random(mask[part].shape) < 0.7
        node.GetSegmentation().AddEmptySegment(name, name)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, name, volume)
    node.GetSegmentation().AddEmptySegment("empty", "empty")
    node.GetSegmentation().CollapseBinaryLabelmaps(False)
    assert 1 < node.GetSegmentation().GetNumberOfLayers(BINARY_LABELMAP) < len(parts)
    return node


def by_slicer(slicer, volume, segments, labels=LABELS):
    """Labels as Slicer merges them."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    names, values = vtk.vtkStringArray(), vtk.vtkIntArray()
    for label, named in labels.items():
        for name in named:
            names.InsertNextValue(name)
            values.InsertNextValue(label)
    merged = slicer.vtkOrientedImageData()
    slicer.vtkSlicerSegmentationsModuleLogic.GenerateMergedLabelmapInReferenceGeometry(
        segments, volume, names, slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY, merged, values
    )
    return vtk_to_numpy(merged.GetPointData().GetScalars()).reshape(merged.GetDimensions()[::-1])


def array_of(labels):
    array = np.stack(list(labels.planes()))
    assert array.shape == labels.shape
    assert array.dtype == np.uint8
    return array


def transformed(slicer, *nodes):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = OBLIQUE[:3, 0]  # by one voxel
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    for moved in nodes:
        moved.SetAndObserveTransformNodeID(node.GetID())


@pytest.fixture
def without_slicer(monkeypatch):
    """Slicer, which would hold the window, is not asked."""
    monkeypatch.setattr(module, "_resampled", lambda *_arguments: pytest.fail("Slicer has resampled"))


@pytest.mark.usefixtures("without_slicer")
@pytest.mark.parametrize("together", [False, True], ids=["as it is", "under one transform"])
def test_label_maps_on_the_grid_are_merged_as_by_slicer(slicer, volume, segments, together):
    if together:
        transformed(slicer, volume, segments)
    found = array_of(segmentLabels(volume, segments, LABELS))
    assert set(np.unique(found)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(found, by_slicer(slicer, volume, segments))


@pytest.mark.usefixtures("without_slicer")
@pytest.mark.parametrize("extent", [(0, 12, 0, 10, 4, 4), (0, 12, 5, 5, 0, 8), (6, 6, 0, 10, 0, 8), (2, 5, 3, 9, 1, 6)])
def test_a_part_is_cut_out(slicer, volume, segments, extent):
    i0, i1, j0, j1, k0, k1 = extent
    found = array_of(segmentLabels(volume, segments, LABELS, extent))
    whole = by_slicer(slicer, volume, segments)
    assert found.any()
    np.testing.assert_array_equal(found, whole[k0 : k1 + 1, j0 : j1 + 1, i0 : i1 + 1])


@pytest.mark.usefixtures("without_slicer")
def test_what_lies_beyond_the_volume_is_left_out(slicer, segments):
    inner = slicer.util.addVolumeFromArray(np.zeros((4, 5, 6), np.int16), ijkToRAS=OBLIQUE)
    found = array_of(segmentLabels(inner, segments, LABELS))
    assert found.any()
    np.testing.assert_array_equal(found, by_slicer(slicer, inner, segments))


@pytest.mark.parametrize("way", ["moved", "another grid"])
def test_slicer_resamples_what_is_elsewhere(slicer, volume, segments, way):
    if way == "moved":
        transformed(slicer, segments)
    else:
        finer = OBLIQUE @ np.diag([0.5, 0.5, 1.0, 1.0])
        volume = slicer.util.addVolumeFromArray(np.zeros((9, 22, 26), np.int16), ijkToRAS=finer)
    expected = by_slicer(slicer, volume, segments).copy()
    found = segmentLabels(volume, segments, LABELS)
    assert found.shape == volume.GetImageData().GetDimensions()[::-1]
    np.testing.assert_array_equal(array_of(found), expected)
    assert expected.any()
    part = array_of(segmentLabels(volume, segments, LABELS, (1, 9, 3, 7, 4, 4)))
    np.testing.assert_array_equal(part, expected[4:5, 3:8, 1:10])


def test_surfaces_alone_have_no_labels(volume, segments):
    segments.CreateClosedSurfaceRepresentation()
    segments.GetSegmentation().SetSourceRepresentationName("Closed surface")
    segments.GetSegmentation().RemoveRepresentation(BINARY_LABELMAP)
    assert segmentLabels(volume, segments, LABELS) is None


@pytest.mark.parametrize("moved", [False, True])
def test_no_segments_are_no_labels(slicer, volume, segments, moved):
    if moved:
        transformed(slicer, segments)
    assert not array_of(segmentLabels(volume, segments, {1: []})).any()


@pytest.mark.parametrize("way", ["edited", "emptied", "deleted"])
def test_a_copy_stays_as_it_was(slicer, volume, segments, way):
    expected = by_slicer(slicer, volume, segments).copy()
    labels = segmentLabels(volume, segments, LABELS)
    if way == "edited":
        for n in range(segments.GetSegmentation().GetNumberOfLayers(BINARY_LABELMAP)):
            image = segments.GetSegmentation().GetLayerDataObject(n, BINARY_LABELMAP)
            image.GetPointData().GetScalars().Fill(1)
        assert (by_slicer(slicer, volume, segments) != expected).any()
    elif way == "emptied":
        segments.GetSegmentation().RemoveAllSegments()
    else:
        slicer.mrmlScene.Clear(0)
    np.testing.assert_array_equal(array_of(labels), expected)
