"""Connected components, holes, and the coarser grid."""

import numpy as np
import pytest
from scipy import ndimage

from CovidSeverityLib.morphology.components import (
    boxes_around,
    component_sizes,
    fill_holes,
    fill_holes_in_slices,
    largest_component,
)
from CovidSeverityLib.morphology.grid import (
    WORKING_SPACING_MM,
    WorkingGrid,
    bounding_box,
    close_by_ball,
    close_mm,
    dilate_mm,
    distance_to,
    erode_by_cuboid,
    erode_mm,
    inner_boundary,
    rolling_ball_distance,
)
from CovidSeverityLib.types import Geometry

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SPACING_KJI = (3.0, 1.0, 2.0)


def speckle(shape=(6, 9, 11), share=0.4, seed=0):
    return np.random.default_rng(seed).random(shape) < share


def grid_of(shape, spacing_mm):
    return WorkingGrid.of(Geometry(shape[::-1], spacing_mm, (0.0, 0.0, 0.0), IDENTITY))


def ball(radius_mm, spacing_kji=SPACING_KJI):
    half = [int(radius_mm / mm) for mm in spacing_kji]
    axes = np.meshgrid(*(np.arange(-n, n + 1) * mm for n, mm in zip(half, spacing_kji, strict=True)), indexing="ij")
    return sum(axis**2 for axis in axes) <= radius_mm**2


def test_sizes_of_components_leave_the_background_out():
    assert component_sizes(np.array([[0, 1, 1], [2, 0, 1]])).tolist() == [0, 3, 1]
    assert component_sizes(np.zeros((2, 2), dtype=int)).tolist() == [0]


def test_largest_component_is_the_one_with_most_voxels():
    mask = np.zeros((3, 5, 5), dtype=bool)
    mask[0, :2, :2] = True
    mask[2, 3:, 2:] = True
    kept = largest_component(mask)
    assert kept[2].sum() == kept.sum() == 6


def test_components_that_touch_at_an_edge_are_two():
    mask = np.zeros((2, 2, 2), dtype=bool)
    mask[0, 0, 0] = mask[0, 1, 1] = True
    assert largest_component(mask).sum() == 1


def test_boxes_hold_what_is_around_each_component():
    mask = np.zeros((40, 60, 90), dtype=bool)
    mask[1:3, 2, 3:6] = mask[30, 50, 88] = True
    boxes = boxes_around(mask, 4.0, (3.0, 1.0, 2.0))
    assert boxes == [(slice(0, 5), slice(0, 8), slice(0, 9)), (slice(28, 33), slice(45, 56), slice(85, 90))]
    assert boxes_around(np.zeros_like(mask), 4.0, SPACING_KJI) == []


def test_one_box_holds_components_whose_boxes_would_be_larger_together():
    mask = speckle((20, 30, 40), share=0.05)
    mask[:3] = mask[-3:] = mask[:, :8] = False
    assert boxes_around(mask, 3.0, (1.0, 1.0, 1.0)) == [bounding_box(mask, (4, 4, 4))]


def test_nothing_has_an_empty_largest_component():
    assert not largest_component(np.zeros((2, 3, 4), dtype=bool)).any()


@pytest.mark.parametrize("seed", range(3))
def test_holes_are_filled_as_scipy_fills_them(seed):
    mask = speckle(share=0.7, seed=seed)
    np.testing.assert_array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))
    by_slice = np.array([ndimage.binary_fill_holes(plane) for plane in mask])
    np.testing.assert_array_equal(fill_holes_in_slices(mask), by_slice)


def test_blocks_are_the_largest_within_the_working_spacing():
    grid = grid_of((100, 512, 512), (0.7, 0.7, 1.0))
    assert grid.factors == (2, 2, 2)
    assert grid.spacing_mm == pytest.approx((2.0, 1.4, 1.4))
    assert all(mm <= largest for mm, largest in zip(grid.spacing_mm, WORKING_SPACING_MM, strict=True))
    assert grid.voxel_ml == pytest.approx(2.0 * 1.4 * 1.4 / 1000)


def test_voxels_larger_than_the_working_spacing_stay():
    assert grid_of((30, 128, 128), (3.0, 3.0, 5.0)).factors == (1, 1, 1)


@pytest.mark.parametrize(("slice_mm", "expected"), [(1.0, 0.0), (2.0, 0.0), (5.0, 3.0)])
def test_slices_are_too_thick_by_what_they_have_more_than_a_block(slice_mm, expected):
    assert WorkingGrid((9, 9, 9), (1, 1, 1), (slice_mm, 1.0, 1.0)).excess_slice_mm == expected


def test_block_is_the_mean_of_its_voxels():
    array = np.random.default_rng(0).integers(-1000, 1000, (4, 6, 9)).astype(np.int16)
    reduced = WorkingGrid(array.shape, (2, 3, 3), (2.0, 1.5, 1.5)).reduce(array)
    assert reduced.shape == (2, 2, 3)
    assert reduced.dtype == np.float32
    assert reduced[1, 0, 2] == pytest.approx(array[2:, :3, 6:].mean(), abs=1e-3)


def test_incomplete_blocks_are_completed_by_their_edge():
    array = np.array([[[0, 10, 20]]], dtype=np.int16)
    assert WorkingGrid((1, 1, 3), (1, 1, 2), (2.0, 1.0, 1.4)).reduce(array).tolist() == [[[5.0, 20.0]]]


@pytest.mark.parametrize("shape", [(4, 6, 8), (5, 7, 9)])
def test_expanding_gives_every_voxel_its_block(shape):
    grid = WorkingGrid(shape, (2, 2, 2), (2.0, 1.5, 1.5))
    blocks = np.arange(np.prod([-(-n // 2) for n in shape])).reshape([-(-n // 2) for n in shape])
    full = grid.expand(blocks)
    assert full.shape == shape
    k, j, i = np.indices(shape)
    np.testing.assert_array_equal(full, blocks[k // 2, j // 2, i // 2])
    np.testing.assert_array_equal(grid.reduce(full), blocks)


@pytest.mark.parametrize("factors", [(2, 3, 3), (1, 2, 2), (3, 1, 4)])
def test_interpolation_between_blocks_is_the_linear_zoom_of_scipy(factors):
    blocks = np.random.default_rng(1).normal(0, 10, (4, 5, 6)).astype(np.float32)
    full = tuple(n * f for n, f in zip(blocks.shape, factors, strict=True))
    grid = WorkingGrid(tuple(n - f + 1 for n, f in zip(full, factors, strict=True)), factors, (2.0, 1.5, 1.5))
    near = (slice(1, 4), slice(0, 3), slice(2, 6))
    zoomed = ndimage.zoom(blocks[near], factors, order=1, mode="nearest", grid_mode=True)
    fine = grid.interpolate(blocks, near)
    assert fine.dtype == np.float32
    assert fine.shape == np.empty(grid.shape, dtype=bool)[grid.voxels_of(near)].shape
    k, j, i = fine.shape
    np.testing.assert_allclose(fine, zoomed[:k, :j, :i], rtol=1e-6, atol=1e-6)


def test_bounding_box_holds_the_mask_and_its_margin_within_the_array():
    mask = np.zeros((5, 6, 7), dtype=bool)
    mask[1:3, 2, 6] = True
    assert bounding_box(mask) == (slice(1, 3), slice(2, 3), slice(6, 7))
    assert bounding_box(mask, (2, 1, 3)) == (slice(0, 5), slice(1, 4), slice(3, 7))
    assert mask[bounding_box(np.zeros_like(mask))].size == 0


@pytest.mark.parametrize("shape", [(6, 9, 11), (50, 50, 50)])
def test_distance_is_the_euclidean_one_in_millimetres(shape):
    mask = speckle(shape, share=0.05, seed=3)
    expected = ndimage.distance_transform_edt(~mask, sampling=SPACING_KJI)
    np.testing.assert_allclose(distance_to(mask, SPACING_KJI), expected, atol=1e-4)


def test_nothing_is_infinitely_far():
    assert np.isinf(distance_to(np.zeros((2, 3, 4), dtype=bool), SPACING_KJI)).all()


@pytest.mark.parametrize("radius_mm", [0.5, 2.0, 4.1])
def test_dilation_is_by_a_ball_in_millimetres(radius_mm):
    mask = speckle((9, 15, 12), share=0.01, seed=5)
    expected = ndimage.binary_dilation(mask, ball(radius_mm))
    np.testing.assert_array_equal(dilate_mm(mask, radius_mm, SPACING_KJI), expected)


def test_erosion_takes_the_faces_of_the_array_as_inside():
    mask = np.ones((5, 9, 9), dtype=bool)
    mask[2, 4, 4] = False
    np.testing.assert_array_equal(
        erode_mm(mask, 2.0, SPACING_KJI), ndimage.binary_erosion(mask, ball(2.0), border_value=1)
    )
    assert erode_mm(np.ones((2, 2, 2), dtype=bool), 5.0, SPACING_KJI).all()


@pytest.mark.parametrize("half_widths", [(0, 0, 0), (1, 2, 0), (2, 1, 3), (9, 1, 1)])
def test_erosion_by_a_cuboid_leaves_the_middles_of_those_that_fit(half_widths):
    mask = speckle((9, 12, 14), share=0.97, seed=7)
    expected = ndimage.binary_erosion(mask, np.ones([2 * n + 1 for n in half_widths]))
    np.testing.assert_array_equal(erode_by_cuboid(mask, half_widths), expected)


def test_inner_boundary_is_what_an_erosion_takes_away():
    mask = speckle((9, 12, 14), share=0.9, seed=7)
    np.testing.assert_array_equal(inner_boundary(mask), mask & ~ndimage.binary_erosion(mask))


def test_ball_rolls_over_the_mask_as_in_a_larger_array():
    mask = np.zeros((30, 40, 40), dtype=bool)
    mask[10:14, 12:20, 3:9] = mask[12:20, 12:16, 3:20] = True
    whole = np.pad(mask, 20)
    distance = rolling_ball_distance(mask, 6.0, SPACING_KJI)
    expected = 6.0 - ndimage.distance_transform_edt(
        ndimage.distance_transform_edt(~whole, sampling=SPACING_KJI) <= 6.0, sampling=SPACING_KJI
    )
    np.testing.assert_allclose(distance, expected[20:-20, 20:-20, 20:-20], atol=1e-4)
    assert np.count_nonzero((distance < 0) & ~mask) > 10


def test_closing_fills_a_narrow_gap_and_leaves_a_wide_one():
    mask = np.ones((1, 5, 40), dtype=bool)
    mask[:, :, 10:12] = False
    mask[:, :, 25:35] = False
    closed = close_mm(mask, 2.0, (1.0, 1.0, 1.0))
    assert closed[:, :, 10:12].all()
    assert not closed[:, :, 28:32].any()
    assert closed[mask].all()


def test_closing_by_a_ball_sees_nothing_outside_the_array():
    mask = speckle((9, 24, 15), share=0.06, seed=4)
    wide = np.pad(mask, 12)
    expected = ndimage.binary_closing(wide, ball(7.0))[12:-12, 12:-12, 12:-12]
    np.testing.assert_array_equal(close_by_ball(mask, 7.0, SPACING_KJI), expected)
    assert np.count_nonzero(mask) < np.count_nonzero(expected) < mask.size


def test_least_size_of_a_part_is_that_of_a_ball_or_of_its_section_in_a_single_slice():
    ml = 4 / 3 * np.pi * 6.0**3 / 1000
    volume, one = (WorkingGrid((slices, 90, 90), (1, 1, 1), (3.0, 1.5, 1.5)) for slices in (40, 1))
    assert volume.blocks_of(ml) == pytest.approx(ml * 1000 / (3.0 * 1.5 * 1.5))
    assert one.blocks_of(ml) == pytest.approx(np.pi * 6.0**2 / 1.5**2)


def test_thin_single_slice_is_one_block_thick():
    grid = WorkingGrid.of(Geometry((90, 90, 1), (0.8, 0.8, 0.5), (0, 0, 0), IDENTITY))
    assert grid.factors == (1, 2, 2)
    assert grid.spacing_mm == (0.5, 1.6, 1.6)
