"""Where the slice views go when a result has come in."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from CovidSeverityLib.types import Side

pytest.importorskip("slicer")

from CovidSeveritySlicer.scene.FirstLook import LOOKED_AT_VOXELS, look
from CovidSeveritySlicer.scene.SceneBridge import importResult, resultOf
from CovidSeveritySlicer.scene.WorstSlice import centreOfLargest

pytestmark = pytest.mark.usefixtures("no_vtk_errors")

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
WAYS = ["as it is", "oblique and flipped", "permuted"]


@pytest.fixture
def views(slicer):
    """``views(volume)``: slice nodes by their orientation, which show it, and one that shows nothing."""

    def make(volume):
        found = {}
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(slicer.mrmlScene)
        for name, orientation in (("Red", "Axial"), ("Green", "Coronal"), ("Yellow", "Sagittal"), ("Other", "Axial")):
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceNode")
            node.SetLayoutName(name)
            getattr(node, f"SetOrientationTo{orientation}")()
            composite = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
            composite.SetLayoutName(name)
            composite.SetBackgroundVolumeID(None if name == "Other" else volume.GetID())
            found[name if name == "Other" else orientation] = node
        return found

    return make


def shown(view):
    """World coordinate of a view along its normal."""
    matrix = view.GetSliceToRAS()
    axis = max(range(3), key=lambda row: abs(matrix.GetElement(row, 2)))
    return matrix.GetElement(axis, 3)


def world_of(analysis, kji):
    k, j, i = kji
    return (RAS_FROM_LPS @ analysis.volume.geometry.ijk_to_lps @ [i, j, k, 1.0])[:3]


def is_in_largest(mask, kji):
    """Whether no object is larger than that of a voxel; two of one size may both be met."""
    labels, _count = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel())
    return labels[kji] > 0 and sizes[labels[kji]] == sizes[1:].max()


@pytest.mark.parametrize("way", WAYS)
def test_views_go_to_the_worst_slice_and_through_the_largest_opacity(
    slicer, factory, ct_node, result_folder, views, way
):
    analysis = factory.make_stored(way)
    result = importResult(result_folder(analysis), ct_node(analysis.volume))
    found = views(result.volumeNode)
    look(result)
    i, j, k = (int(n) for n in np.round(_index(analysis, result, result.firstLook.others)))
    assert is_in_largest(analysis.infection > 0, (k, j, i))
    right, anterior, _superior = world_of(analysis, (k, j, i))
    assert shown(found["Sagittal"]) == pytest.approx(right, abs=1e-3)
    assert shown(found["Coronal"]) == pytest.approx(anterior, abs=1e-3)
    i, j, k = (int(n) for n in np.round(_index(analysis, result, result.firstLook.axial)))
    assert (analysis.infection[k] > 0).sum() == (analysis.infection > 0).sum(axis=(1, 2)).max()
    assert analysis.infection[k, j, i] > 0
    assert shown(found["Axial"]) == pytest.approx(world_of(analysis, (k, j, i))[2], abs=1e-3)
    assert shown(found["Other"]) == 0.0


def _index(analysis, result, voxel):
    """(i, j, k) in the library's arrays of a stored voxel."""
    from CovidSeveritySlicer.scene.WorstSlice import toWorld

    position = [*toWorld(result.volumeNode, voxel), 1.0]
    return (np.linalg.inv(analysis.volume.geometry.ijk_to_lps) @ RAS_FROM_LPS @ position)[:3]


@pytest.mark.parametrize("way", WAYS)
def test_without_opacity_views_go_through_the_right_lung(slicer, factory, ct_node, result_folder, views, way):
    direction, storage = factory.WAYS_TO_STORE[way]
    chest = factory.make_chest((10, 24, 32), infected=False)
    analysis = factory.make_analysis(chest, factory.make_volume(chest.hu, direction=direction, storage=storage))
    result = importResult(result_folder(analysis), ct_node(analysis.volume))
    found = views(result.volumeNode)
    look(result)
    i, j, k = (int(n) for n in np.round(_index(analysis, result, result.firstLook.others)))
    assert analysis.lungs[k, j, i] == Side.RIGHT
    assert [shown(found[name]) for name in ("Sagittal", "Coronal", "Axial")] == pytest.approx(
        list(world_of(analysis, (k, j, i))), abs=1e-3
    )


def test_a_moved_ct_is_met_where_it_is(slicer, factory, ct_node, result_folder, views):
    analysis = factory.make_stored("as it is")
    node = ct_node(analysis.volume)
    result = importResult(result_folder(analysis), node)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    moved = np.eye(4)
    moved[:3, 3] = 30.0, -20.0, 10.0
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(moved))
    found = views(node)
    look(result)
    before = shown(found["Sagittal"])
    node.SetAndObserveTransformNodeID(transform.GetID())
    look(result)
    assert shown(found["Sagittal"]) == pytest.approx(before + 30.0, abs=1e-3)


def test_a_result_that_was_in_the_scene_moves_no_view(slicer, factory, ct_node, result_folder, views):
    analysis = factory.make_stored("as it is")
    result = resultOf(importResult(result_folder(analysis), ct_node(analysis.volume)).segmentationNode)
    found = views(result.volumeNode)
    look(result)
    assert [shown(view) for view in found.values()] == [0.0] * 4


def test_a_hair_that_coarse_steps_miss_is_found(monkeypatch, factory):
    from types import SimpleNamespace

    from CovidSeveritySlicer.scene import FirstLook

    monkeypatch.setattr(FirstLook, "LOOKED_AT_VOXELS", 1000)
    layer = np.zeros((32, 32, 32), np.uint8)
    layer[3:9, 5, 7] = 2
    segments = (SimpleNamespace(identifier="consolidation", layer=0, label=2),)
    files = SimpleNamespace(segmentation=SimpleNamespace(segments=segments), sliceRows=())
    found = FirstLook.firstLook(files, [layer])
    assert found.others == found.axial
    assert layer[found.others[::-1]] == 2
    assert LOOKED_AT_VOXELS > 1000


def test_the_centre_of_a_ring_lies_on_the_ring():
    mask = np.zeros((1, 9, 9), bool)
    mask[0, 1:8, 1:8] = True
    mask[0, 2:7, 2:7] = False
    assert mask[centreOfLargest(mask)]
