"""Segmentations as the module writes them, against Slicer's own writer and reader."""

from __future__ import annotations

import re
import zlib

import numpy as np
import pytest

pytest.importorskip("slicer")

from CovidSeveritySlicer.nodes.Layers import BINARY_LABELMAP
from CovidSeveritySlicer.scene import SegmentationCopy as module
from CovidSeveritySlicer.scene.SceneBridge import importResult
from CovidSeveritySlicer.scene.SegmentationCopy import SegmentationCopy

pytestmark = pytest.mark.usefixtures("no_vtk_errors")

SHAPE = (9, 11, 13)
OBLIQUE = np.array([[-0.8, 0.6, 0.0, 10.0], [-0.6, -0.8, 0.0, 20.0], [0.0, 0.0, 2.5, -30.0], [0.0, 0.0, 0.0, 1.0]])
WHOLE, MIDDLE = np.s_[:, :, :], np.s_[3:7, 2:9, 4:12]


@pytest.fixture
def make_segments(slicer):
    """``make_segments(parts, kind)``: a segment of random voxels in each part of a CT, and one without voxels."""

    def make(parts, kind=np.uint8):
        volume = slicer.util.addVolumeFromArray(np.zeros(SHAPE, np.int16), ijkToRAS=OBLIQUE)
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        rng = np.random.default_rng(0)
        for n, part in enumerate(parts):
            mask = np.zeros(SHAPE, kind)
            mask[part] = rng.random(mask[part].shape) < 0.7
            node.GetSegmentation().AddEmptySegment(f"s{n}", f"segment {n}")
            slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, f"s{n}", volume)
            node.GetSegmentation().GetSegment(f"s{n}").SetTag("mine", f"tag {n}")
        node.GetSegmentation().AddEmptySegment("empty", "no voxels")
        return node

    return make


@pytest.fixture
def crop(slicer):
    """A function that cuts the label map of each segment to its voxels."""

    def crop_all(node):
        for n in range(node.GetSegmentation().GetNumberOfLayers(BINARY_LABELMAP)):
            image = node.GetSegmentation().GetLayerDataObject(n, BINARY_LABELMAP)
            extent = [0] * 6
            cut = slicer.vtkOrientedImageData()
            if slicer.vtkOrientedImageDataResample.CalculateEffectiveExtent(image, extent):
                slicer.vtkOrientedImageDataResample.CopyImage(image, cut, extent)
                image.DeepCopy(cut)

    return crop_all


def voxels_of(slicer, node, name):
    volume = slicer.util.getNode("Volume*")
    return slicer.util.arrayFromSegmentBinaryLabelmap(node, name, volume).copy()


def written(node, path):
    SegmentationCopy(node).write(path)
    return parts_of(path.read_bytes())


def parts_of(content):
    """Header without the extents of single segments, and voxels."""
    header, _, voxels = content.partition(b"\n\n")
    return re.sub(r"(?m)^Segment\d+_Extent:=.*$", "", header.decode()), zlib.decompress(voxels, zlib.MAX_WBITS | 16)


CASES = {
    "one layer": ([WHOLE], np.uint8),
    "several layers": ([WHOLE, MIDDLE, np.s_[0:2, 0:3, 0:2], np.s_[1:5, 1:8, 2:10]], np.uint8),
    "not from the first voxel on": ([MIDDLE, np.s_[4:8, 3:10, 5:13]], np.uint8),
    "one slice": ([np.s_[4:5, 2:9, 4:12]], np.uint8),
    "larger numbers": ([WHOLE, MIDDLE], np.int32),
}


@pytest.mark.parametrize("surfaces", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_the_file_is_the_one_that_slicer_writes(make_segments, crop, tmp_path, monkeypatch, name, surfaces):
    node = make_segments(*CASES[name])
    if name != "several layers":
        crop(node)
    if surfaces:
        node.CreateClosedSurfaceRepresentation()
    by_slicer = parts_of(module._bySlicer(node))  # this also puts segments together where they do not overlap
    small, write = [], module._bySlicer
    monkeypatch.setattr(module, "_bySlicer", lambda node: small.append(write(node)) or small[-1])
    assert written(node, tmp_path / "a.seg.nrrd") == by_slicer
    assert len(zlib.decompress(small[0].partition(b"\n\n")[2], zlib.MAX_WBITS | 16)) <= len(by_slicer[1])
    assert ("Closed surface" in by_slicer[0]) == surfaces


def test_a_result_is_read_back_as_it_is(slicer, factory, ct_node, result_folder, tmp_path):
    analysis = factory.make_stored("oblique and flipped")
    result = importResult(result_folder(analysis), ct_node(analysis.volume))
    SegmentationCopy(result.segmentationNode).write(tmp_path / "a.seg.nrrd")
    loaded = slicer.util.loadSegmentation(str(tmp_path / "a.seg.nrrd"))
    mine, theirs = result.segmentationNode.GetSegmentation(), loaded.GetSegmentation()
    assert theirs.GetSegmentIDs() == mine.GetSegmentIDs()
    for name in mine.GetSegmentIDs():
        voxels = [
            slicer.util.arrayFromSegmentBinaryLabelmap(node, name, result.volumeNode)
            for node in (result.segmentationNode, loaded)
        ]
        np.testing.assert_array_equal(*voxels)
        assert theirs.GetSegment(name).GetColor() == pytest.approx(mine.GetSegment(name).GetColor(), abs=1e-5)
        assert theirs.GetSegment(name).GetName() == mine.GetSegment(name).GetName()


def test_label_maps_of_several_grids_are_written_by_slicer(slicer, make_segments, tmp_path):
    node = make_segments([WHOLE])
    finer = slicer.util.addVolumeFromArray(np.zeros((9, 22, 26)), ijkToRAS=OBLIQUE @ np.diag([0.5, 0.5, 1.0, 1.0]))
    mask = np.zeros((9, 22, 26), np.uint8)
    mask[2:5, 3:9, 4:11] = 1
    segment, image = slicer.vtkSegment(), slicer.vtkOrientedImageData()
    image.DeepCopy(slicer.vtkSlicerSegmentationsModuleLogic.CreateOrientedImageDataFromVolumeNode(finer))
    segment.SetName("finer")
    segment.AddRepresentation(BINARY_LABELMAP, image)
    node.GetSegmentation().AddSegment(segment, "finer")
    assert written(node, tmp_path / "a.seg.nrrd") == parts_of(module._bySlicer(node))


@pytest.mark.parametrize("way", ["nothing", "elsewhere"])
def test_geometry_that_was_specified_for_the_segmentation_may_be_any(slicer, make_segments, crop, tmp_path, way):
    node = make_segments([MIDDLE])
    crop(node)
    parameter = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    other = slicer.vtkOrientedImageData()
    other.SetExtent(0, 5, 0, 5, 0, 5)
    text = slicer.vtkSegmentationConverter.SerializeImageGeometry(other) if way == "elsewhere" else ""
    node.GetSegmentation().SetConversionParameter(parameter, text)
    assert written(node, tmp_path / "a.seg.nrrd") == parts_of(module._bySlicer(node))
    loaded = slicer.util.loadSegmentation(str(tmp_path / "a.seg.nrrd"))
    np.testing.assert_array_equal(voxels_of(slicer, loaded, "s0"), voxels_of(slicer, node, "s0"))


def test_more_segments_than_voxels_are_written_by_slicer(slicer, tmp_path):
    volume = slicer.util.addVolumeFromArray(np.zeros((3, 1, 2), np.int16))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for n, voxel in enumerate(np.ndindex(3, 1, 2)):
        mask = np.zeros((3, 1, 2), np.uint8)
        mask[voxel] = mask[0] = 1
        node.GetSegmentation().AddEmptySegment(f"s{n}", f"s{n}")
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, f"s{n}", volume)
    for n in range(4):
        node.GetSegmentation().AddEmptySegment(f"empty {n}", "empty")
    assert written(node, tmp_path / "a.seg.nrrd") == parts_of(module._bySlicer(node))


@pytest.mark.parametrize("way", ["no segments", "no voxels"])
def test_a_segmentation_without_voxels_is_written_by_slicer(slicer, make_segments, tmp_path, way):
    node = make_segments([])
    if way == "no segments":
        node.GetSegmentation().RemoveAllSegments()
    assert written(node, tmp_path / "a.seg.nrrd") == parts_of(module._bySlicer(node))


@pytest.mark.usefixtures("no_vtk_errors")
def test_layers_stay_as_they_are_in_the_scene(slicer, make_segments, tmp_path):
    node = make_segments(CASES["several layers"][0])
    layers = [node.GetSegmentation().GetSegmentIDsForLayer(n, BINARY_LABELMAP) for n in range(4)]
    assert all(layers)
    before = {name: voxels_of(slicer, node, name) for name in node.GetSegmentation().GetSegmentIDs()}
    SegmentationCopy(node).write(tmp_path / "a.seg.nrrd")
    assert [node.GetSegmentation().GetSegmentIDsForLayer(n, BINARY_LABELMAP) for n in range(4)] == layers
    loaded = slicer.util.loadSegmentation(str(tmp_path / "a.seg.nrrd"))
    assert list(before) == list(loaded.GetSegmentation().GetSegmentIDs())
    for name, voxels in before.items():
        np.testing.assert_array_equal(voxels_of(slicer, loaded, name), voxels)


def test_a_file_that_slicer_cannot_write_is_an_error(slicer, make_segments, monkeypatch):
    monkeypatch.setattr(slicer.app, "temporaryPath", slicer.app.temporaryPath + "/gone")
    with pytest.raises(OSError, match="No such file"):
        SegmentationCopy(make_segments([WHOLE]))


def test_a_segment_that_is_left_alone_in_its_layer_keeps_its_voxels(slicer, make_segments, tmp_path, monkeypatch):
    """Painting over a neighbour moves the painted segment to another layer. Slicer writes the other one as label 1."""
    node = make_segments([np.s_[0:4], np.s_[5:9]])
    segmentation, volume = node.GetSegmentation(), slicer.util.getNode("Volume*")
    segmentation.CollapseBinaryLabelmaps(False)
    grown = voxels_of(slicer, node, "s0")
    grown[3:7] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(grown, node, "s0", volume)
    assert segmentation.GetLayerIndex("s0", BINARY_LABELMAP) != segmentation.GetLayerIndex("s1", BINARY_LABELMAP)
    assert segmentation.GetSegment("s1").GetLabelValue() > 1
    _header, voxels = written(node, tmp_path / "ours.seg.nrrd")
    with monkeypatch.context() as patch:
        patch.setattr(module, "_header", lambda *_arguments: None)
        assert voxels == written(node, tmp_path / "slicer.seg.nrrd")[1]
    expected = voxels_of(slicer, node, "s1")
    loaded = slicer.util.loadSegmentation(str(tmp_path / "ours.seg.nrrd"))
    np.testing.assert_array_equal(voxels_of(slicer, loaded, "s1"), expected)
