"""Storage order: the same voxels in the same places give the same volume."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.orientation import canonical_geometry, canonical_order
from CovidSeverityLib.io.volume import volume_from_array
from CovidSeverityLib.types import Geometry

SPACING = (0.748046875, 0.7, 2.4)
ORIGIN = (-149.53125, -300.3, -52.1)
ALL_48 = list(product(permutations(range(3)), product((False, True), repeat=3)))


def rotation(degrees, axis=(0.3, -0.5, 0.8)):
    x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def stored_otherwise(array, spacing, origin, direction, axes, flips):
    """The same physical volume with its index axes permuted and flipped, and a matrix to match."""
    spacing, direction, origin = np.asarray(spacing), np.asarray(direction), np.asarray(origin)
    size = np.array(array.shape[::-1])
    moved = np.transpose(array, [2 - axes[2 - a] for a in range(3)])
    columns = direction[:, axes].copy()
    for n, flip in enumerate(flips):
        if flip:
            moved = np.flip(moved, 2 - n)
            origin = origin + (size[axes[n]] - 1) * spacing[axes[n]] * direction[:, axes[n]]
            columns[:, n] = -columns[:, n]
    return moved, spacing[list(axes)], origin, columns


@pytest.fixture
def array():
    return np.random.default_rng(0).integers(-1000, 1000, (4, 5, 6)).astype(np.int16)


@pytest.mark.parametrize("degrees", [0, 12, 45, 60])
def test_every_storage_order_of_a_volume_gives_identical_array_and_geometry(array, degrees):
    expected = volume_from_array(array, SPACING, ORIGIN, rotation(degrees))
    for axes, flips in ALL_48:
        volume = volume_from_array(*stored_otherwise(array, SPACING, ORIGIN, rotation(degrees), axes, flips))
        np.testing.assert_array_equal(volume.hu, expected.hu)
        assert volume.geometry == expected.geometry, (axes, flips)


def test_axes_at_45_degrees_are_assigned_alike_in_every_storage_order(array):
    direction = rotation(45, (0, 0, 1))
    expected = volume_from_array(array, SPACING, ORIGIN, direction)
    for axes, flips in ALL_48:
        volume = volume_from_array(*stored_otherwise(array, SPACING, ORIGIN, direction, axes, flips))
        np.testing.assert_array_equal(volume.hu, expected.hu)
        assert volume.geometry == expected.geometry


def test_noise_of_a_flip_never_decides_how_a_position_is_rounded(array):
    for n in range(64):
        origin = np.array([-149.53125, -300.30005, -52.10005]) + n * 0.0001 + n / 32
        expected = volume_from_array(array, (0.7, 0.748046875, 2.4), origin, np.eye(3))
        flips = (True, True, True)
        stored = stored_otherwise(array, (0.7, 0.748046875, 2.4), origin, np.eye(3), (0, 1, 2), flips)
        assert volume_from_array(*stored).geometry == expected.geometry


def test_canonical_axes_run_to_left_back_and_head(array):
    for axes, flips in ALL_48:
        volume = volume_from_array(*stored_otherwise(array, SPACING, ORIGIN, rotation(12), axes, flips))
        assert (np.diag(np.reshape(volume.geometry.direction, (3, 3))) > 0.9).all()


def test_every_voxel_stays_where_it_was(array):
    stored = stored_otherwise(array, SPACING, ORIGIN, rotation(12), (1, 2, 0), (True, False, True))
    volume = volume_from_array(*stored)
    k, j, i = np.argwhere(volume.hu == array[3, 1, 2])[0]
    expected = np.asarray(ORIGIN) + rotation(12) @ (np.array([2, 1, 3]) * SPACING)
    np.testing.assert_allclose((volume.geometry.ijk_to_lps @ [i, j, k, 1])[:3], expected, atol=1e-4)


def test_to_stored_undoes_to_canonical_for_every_order(array):
    for axes, flips in ALL_48:
        stored, *rest = stored_otherwise(array, SPACING, ORIGIN, np.eye(3), axes, flips)
        volume = volume_from_array(stored, *rest)
        np.testing.assert_array_equal(volume.storage.to_stored(volume.hu), stored)
        assert volume.stored_geometry.shape == stored.shape


def test_identity_is_left_as_it_is(array):
    volume = volume_from_array(array, SPACING, ORIGIN, np.eye(3))
    assert volume.storage == canonical_order(np.eye(3))
    assert volume.storage.axes == (0, 1, 2)
    assert volume.storage.flipped == (False, False, False)
    np.testing.assert_array_equal(volume.hu, array)


def test_left_handed_storage_becomes_right_handed(array):
    volume = volume_from_array(array, SPACING, ORIGIN, np.diag([1, 1, -1]))
    assert np.linalg.det(np.reshape(volume.geometry.direction, (3, 3))) == pytest.approx(1)
    np.testing.assert_array_equal(volume.hu, array[::-1])


def test_float32_noise_of_a_header_does_not_reach_the_geometry(array):
    noisy = volume_from_array(array, np.float32(SPACING), np.float32(ORIGIN), np.float32(np.eye(3)) + 3e-8)
    exact = volume_from_array(array, SPACING, ORIGIN, np.eye(3))
    assert noisy.geometry == exact.geometry
    np.testing.assert_allclose(exact.geometry.slice_z_mm(), -52.1 + 2.4 * np.arange(4), atol=1e-4)


@pytest.mark.parametrize(
    "direction",
    [
        np.zeros((3, 3)),
        np.diag([1, 1, np.nan]),
        np.diag([1, 1, 2]),
        [[1, 0, 0.3], [0, 1, 0], [0, 0, 0.954]],
        [[1, 1, 0], [0, 0, 0], [0, 0, 1]],
        np.eye(2),
    ],
)
def test_matrix_that_is_no_direction_is_refused(direction):
    with pytest.raises(InputError, match="direction matrix"):
        canonical_order(direction)


@pytest.mark.parametrize(
    ("spacing", "origin"),
    [((1, 1, 0), (0, 0, 0)), ((1, -1, 1), (0, 0, 0)), ((1, 1, np.inf), (0, 0, 0)), ((1, 1, 1), (0, np.nan, 0))],
)
def test_spacing_or_origin_that_is_none_is_refused(spacing, origin):
    stored = Geometry((2, 2, 2), spacing, origin, tuple(np.eye(3).ravel()))
    with pytest.raises(InputError, match=r"needed"):
        canonical_geometry(stored, canonical_order(np.eye(3)))


@pytest.mark.parametrize("shape", [(5, 6), (2, 3, 4, 5), (0, 3, 4)])
def test_array_that_is_no_volume_is_refused(shape):
    with pytest.raises(InputError, match="3-D volume"):
        volume_from_array(np.zeros(shape, np.int16), SPACING, ORIGIN, np.eye(3))


def test_given_array_is_neither_changed_nor_kept():
    array = np.full((3, 4, 5), -3024, dtype=np.int16)
    volume = volume_from_array(array, SPACING, ORIGIN, np.eye(3))
    assert (array == -3024).all()
    array[:] = 7
    assert (volume.hu == -1024).all()


def test_floats_are_rounded_and_large_values_clipped():
    array = np.array([[[-0.6, 40.4, 1e9, -1e9, 12.5]]])
    volume = volume_from_array(array, SPACING, ORIGIN, np.eye(3))
    assert volume.hu.ravel().tolist() == [-1, 40, 32767, -1024, 12]


def test_unsigned_values_beyond_int16_are_clipped_and_not_wrapped():
    volume = volume_from_array(np.array([[[65535, 100]]], dtype=np.uint16), SPACING, ORIGIN, np.eye(3))
    assert volume.hu.ravel().tolist() == [32767, 100]
