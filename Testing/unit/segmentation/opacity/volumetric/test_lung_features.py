"""Features of the lungs: each against what it is by its definition, computed plainly."""

import numpy as np
import pytest
from scipy import ndimage

from CovidSeverityLib.morphology.grid import WorkingGrid
from CovidSeverityLib.segmentation.opacity.volumetric import levels
from CovidSeverityLib.segmentation.opacity.volumetric.config import FeatureConfig
from CovidSeverityLib.segmentation.opacity.volumetric.curvature import curved, curved_at
from CovidSeverityLib.segmentation.opacity.volumetric.levels import Level, Places, doubled, gaussian
from CovidSeverityLib.segmentation.opacity.volumetric.lung_features import gather_features, height_mm
from CovidSeverityLib.segmentation.opacity.volumetric.openings import openings, over_squares
from CovidSeverityLib.segmentation.opacity.volumetric.parenchyma import ExcessDensity
from CovidSeverityLib.types import Geometry

SHAPE = (9, 13, 15)
SPACING_MM = (2.0, 1.5, 1.5)


def field(shape=SHAPE, seed=0):
    return np.random.default_rng(seed).normal(0, 100, shape).astype(np.float32)


@pytest.fixture(scope="module")
def inside():
    """Lung that touches some faces of the array and has holes."""
    return ndimage.gaussian_filter(np.random.default_rng(1).normal(size=SHAPE), 1.5) > 0


@pytest.fixture(scope="module")
def places(inside):
    return Places(inside)


def test_places_are_in_the_order_of_the_array(places, inside):
    values = field()
    np.testing.assert_array_equal(places.of(values), values[inside])


@pytest.mark.parametrize("slices", [-20, -2, 1, 3])
def test_moved_places_end_at_the_last_slice(places, inside, slices):
    values = field()
    farther = values[np.clip(np.arange(SHAPE[0]) + slices, 0, SHAPE[0] - 1)]
    np.testing.assert_array_equal(values.ravel()[places.moved(slices)], farther[inside])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_doubled_values_are_interpolated_linearly(axis):
    values = field()
    count = SHAPE[axis]
    plain = np.apply_along_axis(
        lambda line: np.interp((np.arange(2 * count) - 0.5) / 2, np.arange(count), line), axis, values
    )
    np.testing.assert_allclose(doubled(values, axis), plain, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("shape", [SHAPE, (1, 13, 14), (8, 5, 1), (4, 3, 2)])
def test_joined_blocks_are_interpolated_as_if_everywhere(shape):
    inside = np.random.default_rng(2).random(shape) > 0.5
    level = Level(field(shape), field(shape, 1), inside.astype(np.float32), SPACING_MM)
    for times in range(3):
        everywhere = level.total
        for axis, size in enumerate(shape):
            while everywhere.shape[axis] < size:
                everywhere = doubled(everywhere, axis)
            everywhere = np.take(everywhere, np.arange(size), axis)
        found = dict(Places(inside).interpolated({"a": level.total, "b": level.squares}))
        np.testing.assert_array_equal(found["a"], everywhere[inside], err_msg=f"joined {times} times")
        assert found["b"].shape == found["a"].shape
        level = level.joined(coarsest_slice_mm=4.5)


@pytest.mark.parametrize("sigma", [[0.75, 1.0, 1.2], [0.0, 2.0, 2.0], [0.0, 0.0, 0.0], [9.0, 0.5, 0.3]])
def test_gaussian_is_that_of_the_plain_filter(sigma, monkeypatch):
    monkeypatch.setattr(levels, "BLOCKS_AT_ONCE", 700)  # four rows
    values = field((11, 19, 15))
    np.testing.assert_array_equal(
        gaussian(values, sigma), ndimage.gaussian_filter(values, sigma, truncate=3.0, mode="nearest")
    )


def test_mean_is_over_lung_alone_and_unknown_far_from_it():
    lung = np.zeros((6, 40, 40), dtype=np.float32)
    lung[:, 5:15, 5:15] = 1
    level = Level(70 * lung, 4900 * lung, lung, SPACING_MM)
    share = level.smoothed(level.weight, 3.0)
    mean = level.mean(level.total, share, 3.0)
    np.testing.assert_allclose(mean[share > 0.001], 70, rtol=1e-4)
    assert (mean[:, 30:, 30:] == 0).all()


def plain_hessian(values, unit):
    """Central differences, block by block; beyond the faces are the values at them."""
    padded = np.pad(values.astype(np.float64), 2, mode="edge")
    gradient = [np.gradient(padded, axis=axis) for axis in range(3)]
    hessian = np.empty((*values.shape, 3, 3))
    core = (slice(2, -2),) * 3
    for a in range(3):
        for b in range(3):
            if a == b:
                second = np.roll(padded, 1, a) + np.roll(padded, -1, a) - 2 * padded
            else:
                second = np.gradient(gradient[a], axis=b)
            hessian[..., a, b] = unit[a] * unit[b] * second[core]
    return hessian


def test_curvatures_are_the_invariants_of_the_hessian(places):
    values, unit = ndimage.gaussian_filter(field(), 1.0), [0.75, 1.0, 1.2]
    principal = np.linalg.eigvalsh(plain_hessian(values, unit))
    trace, root, cube_root = curved(values, unit)
    np.testing.assert_allclose(trace, -principal.sum(axis=-1), atol=1e-2)
    np.testing.assert_allclose(root, np.sqrt((principal**2).sum(axis=-1)), rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(cube_root.astype(np.float64) ** 3, -principal.prod(axis=-1), rtol=1e-3, atol=5)
    for everywhere, there in zip((trace, root, cube_root), curved_at(values, unit, places), strict=True):
        np.testing.assert_array_equal(there, places.of(everywhere))


@pytest.mark.parametrize("sizes", [[3, 3], [5, 1], [7, 11], [21, 31]])
@pytest.mark.parametrize(
    ("of", "plain"), [(np.minimum, ndimage.minimum_filter), (np.maximum, ndimage.maximum_filter)], ids=["min", "max"]
)
def test_extremes_over_squares_are_those_of_the_plain_filter(of, plain, sizes):
    values = field()
    np.testing.assert_array_equal(over_squares(of, values, sizes), plain(values, (1, *sizes), mode="nearest"))


def test_opening_keeps_what_is_thick_and_removes_what_is_thin():
    config = FeatureConfig()
    excess = np.zeros((20, 60, 60), dtype=np.float32)
    excess[:, 10:13, :] = 300  # 4.5 mm
    excess[:, 30:45, 20:40] = 200
    everywhere = np.ones(excess.shape, dtype=bool)
    found = {k: v.reshape(excess.shape) for k, v in openings(excess, Places(everywhere), SPACING_MM, config)}
    assert (found["opening_small"][:, 11, 20:40] == 300).all()
    assert (found["opening_middle"][:, 11, 20:40] == 0).all()
    assert (found["opening_large"][:, 37, 30] == 200).all()
    assert (found["darkest"][:, 30, 20:40] == 0).all()
    np.testing.assert_array_equal(found["beside_more"], found["opening_middle"])
    np.testing.assert_array_equal(found["beside_less"], found["opening_middle"])


@pytest.mark.parametrize("way", [1, -1], ids=["above", "below"])
def test_beside_is_the_other_side_where_the_lung_ends(way):
    config = FeatureConfig(beside_mm=2.0)
    inside = np.ones((4, 30, 30), dtype=bool)
    inside[3] = False
    excess = np.broadcast_to(np.array([10, 20, 40, 0], np.float32)[:, None, None], inside.shape)
    inside, excess = (np.ascontiguousarray(array[::way]) for array in (inside, excess))
    found = dict(openings(excess, Places(inside), SPACING_MM, config))
    middle = {name: found[name].reshape(3, 30, 30)[::way, 15, 15].tolist() for name in ("beside_more", "beside_less")}
    assert middle == {"beside_more": [20, 40, 20], "beside_less": [10, 10, 20]}


@pytest.mark.parametrize("over_front", [False, True])
def test_height_is_over_the_last_block_of_the_column(inside, places, over_front):
    grid = WorkingGrid(SHAPE, (1, 1, 1), SPACING_MM)
    none = np.zeros(SHAPE, np.float32)
    density = ExcessDensity(grid, inside, none, none[0, :, 0], none)
    heights = []
    for k, j, i in np.argwhere(inside):
        rows = np.flatnonzero(inside[k, :, i])
        heights.append(SPACING_MM[1] * (j - rows[0] if over_front else rows[-1] - j))
    np.testing.assert_allclose(height_mm(density, places, over_front), heights)


def test_blocks_are_expanded_to_their_voxels_of_lung():
    random = np.random.default_rng(4)
    lung = np.zeros((11, 23, 27), dtype=bool)
    lung[1:, 5:, 3:] = random.random((10, 18, 24)) > 0.3
    geometry = Geometry((27, 23, 11), (0.7, 0.6, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    features = gather_features(np.full(lung.shape, -850, np.int16), lung, geometry)
    grid = features.density.grid
    for share in (0.0, 0.02, 0.6):
        blocks = random.random(features.density.lung.shape) < share
        voxels = np.zeros(lung.shape, dtype=bool)
        voxels[features.box] = blocks.repeat(2, 0).repeat(2, 1).repeat(2, 2)[tuple(slice(0, n) for n in grid.shape)]
        np.testing.assert_array_equal(features.expand(blocks, lung), voxels & lung)
