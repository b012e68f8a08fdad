"""The written segmentation in Slicer's own reader: names, colours, codes, layers, and every voxel in its place."""

from __future__ import annotations

import numpy as np
import pytest

from CovidSeverityLib.reporting.palette import LOBE_COLOURS
from CovidSeverityLib.reporting.segmentation import write_segmentation
from CovidSeverityLib.types import LOBE_NAMES, Lobe, Side

WAYS = ("as it is", "superior first", "flipped", "permuted", "oblique", "oblique and flipped")
RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def load(slicer, analysis, folder):
    path = folder / "segmentation.seg.nrrd"
    with path.open("wb") as file:
        write_segmentation(analysis, file)
    return slicer.util.loadSegmentation(str(path))


def segment_points_mm(slicer, factory, node, segment_id):
    """LPS positions of every voxel of a segment, as Slicer places them."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    image = slicer.vtkOrientedImageData()
    assert node.GetBinaryLabelmapRepresentation(segment_id, image)
    if image.IsEmpty() or image.GetPointData().GetScalars() is None:
        return np.empty((0, 3))
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    ijk_to_ras = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    ijk = np.argwhere(voxels > 0)[:, ::-1] + np.array(image.GetExtent()[::2])
    return factory.points_mm(ijk, RAS_FROM_LPS @ ijk_to_ras)


@pytest.mark.parametrize("way", WAYS)
def test_every_voxel_of_every_segment_is_in_its_place(slicer, factory, tmp_path, way):
    analysis = factory.make_stored(way)
    node = load(slicer, analysis, tmp_path)
    for segment_id, mask in factory.segment_masks(analysis).items():
        seen = segment_points_mm(slicer, factory, node, segment_id)
        assert mask.any()
        np.testing.assert_allclose(seen, factory.mask_points_mm(mask, analysis.volume.geometry), atol=0.02)


def test_names_colours_and_layers(slicer, factory, tmp_path):
    analysis = factory.make_analysis()
    segmentation = load(slicer, analysis, tmp_path).GetSegmentation()
    ids = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
    names = [segmentation.GetSegment(segment_id).GetName() for segment_id in ids]
    assert ids == list(factory.segment_masks(analysis))
    assert names == ["right lung", "left lung", *LOBE_NAMES.values(), "ground-glass opacity", "consolidation"]
    assert segmentation.GetSegment("RML").GetColor() == pytest.approx(LOBE_COLOURS[Lobe.RML])
    layers = [segmentation.GetLayerIndex(segment_id, "Binary labelmap") for segment_id in ids]
    assert layers == [0] * 2 + [1] * 5 + [2] * 2


def test_terminology_is_read_by_the_terminologies_logic(slicer, factory, tmp_path):
    segmentation = load(slicer, factory.make_analysis(), tmp_path).GetSegmentation()
    logic = slicer.modules.terminologies.logic()

    def entry(segment_id):
        entry = slicer.vtkSlicerTerminologyEntry()
        assert logic.DeserializeTerminologyEntry(segmentation.GetSegment(segment_id).GetTerminology(), entry)
        return entry

    left_upper, glass = entry("LUL"), entry("ground_glass_opacity")
    assert left_upper.GetTypeObject().GetCodeValue() == "45653009"
    assert left_upper.GetTypeModifierObject().GetCodeMeaning() == "Left"
    assert glass.GetCategoryObject().GetCodeValue() == "49755003"
    assert glass.GetTypeObject().GetCodeMeaning() == "Ground glass lung opacity"
    assert glass.GetRegionObject().GetCodeValue() == "39607008"


def test_reference_geometry_is_that_of_the_input(slicer, factory, tmp_path):
    analysis = factory.make_stored("oblique and flipped")
    stored = analysis.volume.stored_geometry
    segmentation = load(slicer, analysis, tmp_path).GetSegmentation()
    text = segmentation.GetConversionParameter("Reference image geometry")
    numbers = np.array([float(number) for number in text.split(";") if number])
    np.testing.assert_allclose(RAS_FROM_LPS @ numbers[:16].reshape(4, 4), stored.ijk_to_lps, atol=1e-6)
    assert list(numbers[17::2] + 1) == list(stored.size)


def test_no_infection_loads_as_empty_segments(slicer, factory, tmp_path):
    analysis = factory.make_analysis(factory.make_chest((10, 24, 32), infected=False))
    node = load(slicer, analysis, tmp_path)
    assert node.GetSegmentation().GetNumberOfSegments() == 9
    assert len(segment_points_mm(slicer, factory, node, "consolidation")) == 0
    assert len(segment_points_mm(slicer, factory, node, "left_lung")) == (analysis.lungs == Side.LEFT).sum()
