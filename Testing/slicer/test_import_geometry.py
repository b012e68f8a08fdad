"""From a CT in the scene through the command line and back: every voxel in its place, left is left."""

from __future__ import annotations

import numpy as np
import pytest

from CovidSeverityLib.types import Side

pytest.importorskip("slicer")

from CovidSeveritySlicer.analysis.InputFiles import Inputs
from CovidSeveritySlicer.scene.SceneBridge import UnusableResult, importResult, worstSlice
from CovidSeveritySlicer.scene.Tables import sliceRows

pytestmark = pytest.mark.usefixtures("no_vtk_errors")

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
ANGLE = np.deg2rad(14.0)
TURN = np.array(
    [[np.cos(ANGLE), 0, np.sin(ANGLE), 8], [0, 1, 0, -5], [-np.sin(ANGLE), 0, np.cos(ANGLE), 40], [0, 0, 0, 1.0]]
)
UPSIDE_DOWN = np.diag([-1.0, 1.0, -1.0, 1.0])

WAYS = {
    "as it is": ((0, 1, 2), (), np.eye(4)),
    "flipped along j": ((0, 1, 2), (1,), np.eye(4)),  # under a transform, in a test of its own
    "oblique, permuted and flipped": ((1, 2, 0), (0, 2), TURN),
}
"""Stored order of the (K, J, I) axes, axes that are then reversed, and the world matrix that turns the patient."""


@pytest.fixture
def phantom(a_small_chest):
    return a_small_chest


def write_inputs(*nodes_and_folder):
    """Write the files at once, and return their arguments."""
    inputs = Inputs(*nodes_and_folder)
    inputs.write()
    return inputs.arguments


def stored(array, way):
    axes, flips, _turn = WAYS[way]
    return np.flip(np.transpose(array, axes), flips).copy()


def ijk_to_ras(geometry, way):
    """Of the stored array: which voxel lies where does not change with the order."""
    axes, flips, turn = WAYS[way]
    matrix = turn @ RAS_FROM_LPS @ geometry.ijk_to_lps
    columns, corner = np.empty((4, 4)), np.zeros(4)
    columns[:, 3] = corner[3] = 1.0
    for axis, source in enumerate(axes):  # stored array axis, and the (K, J, I) axis that it was
        sign = -1.0 if axis in flips else 1.0
        columns[:, 2 - axis] = sign * matrix[:, 2 - source]
        corner[2 - source] = geometry.shape[source] - 1 if axis in flips else 0
    columns[:, 3] = matrix @ corner
    return columns


def add_ct(slicer, phantom, way):
    return slicer.util.addVolumeFromArray(
        stored(phantom.volume.hu, way), ijkToRAS=ijk_to_ras(phantom.volume.geometry, way), name="CT"
    )


def analysed(program, node, folder):
    """The result of the command line on a node's files."""
    run = program("analyze", *write_inputs(node, folder), "-o", folder / "out", "--quiet", "--no-html")
    assert run.status == 0, run.err
    return importResult(folder / "out", node)


def label_array(slicer, segmentation_node, identifier, shape):
    """(K, J, I) bool of a segment in the stored order of the CT, straight from its label map."""
    segment = segmentation_node.GetSegmentation().GetSegment(identifier)
    image = segment.GetRepresentation("Binary labelmap")
    values = slicer.util.arrayFromSegmentInternalBinaryLabelmap(segmentation_node, identifier)
    i, _, j, _, k, _ = image.GetExtent()
    whole = np.zeros(shape, dtype=bool)
    part = values == segment.GetLabelValue()
    whole[k : k + part.shape[0], j : j + part.shape[1], i : i + part.shape[2]] = part
    return whole


def matrix_of(slicer, image):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def masks(slicer, result):
    shape = slicer.util.arrayFromVolume(result.volumeNode).shape
    names = result.segmentationNode.GetSegmentation().GetSegmentIDs()
    return {name: label_array(slicer, result.segmentationNode, name, shape) for name in names}


def dice(first, second):
    return 2.0 * (first & second).sum() / (first.sum() + second.sum())


@pytest.fixture
def reference(slicer, phantom, a_written_result):
    """Masks and report of the CT as it is."""
    result = importResult(a_written_result, add_ct(slicer, phantom, "as it is"))
    found = masks(slicer, result)
    slicer.mrmlScene.Clear(0)
    return found, result.report


def test_the_result_lies_on_the_lungs_of_its_side(reference, phantom):
    found, _report = reference
    assert dice(found["right_lung"], phantom.lungs == Side.RIGHT) > 0.9
    assert dice(found["left_lung"], phantom.lungs == Side.LEFT) > 0.9
    assert dice(found["ground_glass_opacity"] | found["consolidation"], phantom.infection > 0) > 0.4


def test_every_voxel_comes_back_in_its_place(slicer, program, phantom, reference, tmp_path):
    way = "oblique, permuted and flipped"
    node = add_ct(slicer, phantom, way)
    result = analysed(program, node, tmp_path)
    expected, report = reference
    for name, found in masks(slicer, result).items():
        np.testing.assert_array_equal(found, stored(expected[name], way), err_msg=name)
        image = result.segmentationNode.GetSegmentation().GetSegment(name).GetRepresentation("Binary labelmap")
        np.testing.assert_allclose(matrix_of(slicer, image), ijk_to_ras(phantom.volume.geometry, way), atol=1e-9)
    assert result.report["ctss"] == report["ctss"]


def right_and_left(slicer, result):
    """World R of the centres of both lungs."""
    return [result.segmentationNode.GetSegmentCenterRAS(name)[0] for name in ("right_lung", "left_lung")]


def put_under(slicer, node, matrix):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def test_a_transform_of_the_ct_says_which_side_is_right(slicer, program, phantom, reference, tmp_path):
    node = add_ct(slicer, phantom, "flipped along j")
    upright = slicer.util.arrayFromVTKMatrix(ijk_matrix(slicer, node)).copy()
    turned = UPSIDE_DOWN @ upright  # as a scanner told it that was given the wrong position of the patient
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(turned))
    transform = put_under(slicer, node, np.linalg.inv(UPSIDE_DOWN))
    result = analysed(program, node, tmp_path)
    assert result.segmentationNode.GetTransformNodeID() == transform.GetID()
    for name, found in masks(slicer, result).items():
        np.testing.assert_array_equal(found, stored(reference[0][name], "flipped along j"), err_msg=name)
        image = result.segmentationNode.GetSegmentation().GetSegment(name).GetRepresentation("Binary labelmap")
        np.testing.assert_allclose(matrix_of(slicer, image), turned, atol=1e-9)
    right, left = right_and_left(slicer, result)
    assert right > left
    world = worstSlice(result)
    rows = sliceRows(result)
    worst = max(rows, key=lambda row: row["lung_ml"] * row["infection_percent"])
    assert world[2] == pytest.approx(worst["z_mm"], abs=0.01)


def ijk_matrix(slicer, node):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


@pytest.mark.parametrize("way", ["as it is", "oblique and flipped", "permuted"])
def test_the_worst_slice_is_met_in_an_opacity(slicer, factory, ct_node, result_folder, way):
    analysis = factory.make_stored(way)
    result = importResult(result_folder(analysis), ct_node(analysis.volume))
    position = np.array([*worstSlice(result), 1.0])
    index = np.linalg.inv(analysis.volume.geometry.ijk_to_lps) @ RAS_FROM_LPS @ position
    i, j, k = np.round(index[:3]).astype(int)
    np.testing.assert_allclose(index[:3], (i, j, k), atol=1e-3)
    assert analysis.infection[k, j, i] > 0
    assert (analysis.infection[k] > 0).sum() == (analysis.infection > 0).sum(axis=(1, 2)).max()


def test_the_worst_slice_is_that_of_the_analysis_when_the_ct_was_turned_since(slicer, factory, ct_node, result_folder):
    analysis = factory.make_stored("as it is")
    node = ct_node(analysis.volume)
    result = importResult(result_folder(analysis), node)
    before = worstSlice(result)
    quarter = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], float)
    transform = put_under(slicer, node, quarter)
    result.segmentationNode.SetAndObserveTransformNodeID(transform.GetID())
    np.testing.assert_allclose(worstSlice(result), (quarter @ [*before, 1.0])[:3], atol=1e-3)


def test_the_worst_slice_follows_rows_that_were_corrected(slicer, factory, ct_node, result_folder):
    analysis = factory.make_stored("oblique and flipped")
    result = importResult(result_folder(analysis), ct_node(analysis.volume))
    infected = np.flatnonzero((analysis.infection > 0).any(axis=(1, 2)))
    rows = [{**row, "infection_percent": 80.0 if row["index"] == infected[0] else 0.0} for row in sliceRows(result)]
    index = np.linalg.inv(analysis.volume.geometry.ijk_to_lps) @ RAS_FROM_LPS @ [*worstSlice(result, rows), 1.0]
    assert index[2] == pytest.approx(infected[0], abs=1e-3)


def test_the_worst_slice_has_the_largest_area_and_not_the_largest_share(slicer, factory, ct_node, result_folder):
    analysis = factory.make_stored("as it is")
    result = importResult(result_folder(analysis), ct_node(analysis.volume))
    first, second, *_others = np.flatnonzero((analysis.infection > 0).any(axis=(1, 2)))
    found = {first: (3.0, 100.0), second: (100.0, 20.0)}
    rows = [
        {
            **row,
            "lung_ml": found.get(row["index"], (0.0, 0.0))[0],
            "infection_percent": found.get(row["index"], (0, 0.0))[1],
        }
        for row in sliceRows(result)
    ]
    index = np.linalg.inv(analysis.volume.geometry.ijk_to_lps) @ RAS_FROM_LPS @ [*worstSlice(result, rows), 1.0]
    assert index[2] == pytest.approx(second, abs=1e-3)


def test_there_is_no_worst_slice_when_the_opacities_were_deleted(slicer, factory, ct_node, result_folder):
    analysis = factory.make_stored("as it is")
    result = importResult(result_folder(analysis), ct_node(analysis.volume))
    for name in ("ground_glass_opacity", "consolidation"):
        result.segmentationNode.GetSegmentation().RemoveSegment(name)
    assert worstSlice(result) is None


def test_there_is_no_worst_slice_without_opacity(slicer, factory, ct_node, result_folder):
    analysis = factory.make_analysis(factory.make_chest((10, 24, 32), infected=False))
    result = importResult(result_folder(analysis), ct_node(analysis.volume))
    assert worstSlice(result) is None


def test_the_result_of_another_ct_is_refused(slicer, factory, ct_node, result_folder):
    analysis = factory.make_stored("as it is")
    other = ct_node(factory.make_analysis(factory.make_chest((11, 24, 32))).volume)
    folder = result_folder(analysis)
    with pytest.raises(UnusableResult, match="does not lie where the CT is now"):
        importResult(folder, other)


def test_the_result_of_a_ct_that_was_moved_is_refused(slicer, factory, ct_node, result_folder):
    analysis = factory.make_stored("as it is")
    node = ct_node(analysis.volume)
    node.SetOrigin(node.GetOrigin()[0] + 0.5, *node.GetOrigin()[1:])
    before = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(UnusableResult, match="the CT was moved"):
        importResult(result_folder(analysis), node)
    assert slicer.mrmlScene.GetNumberOfNodes() == before
