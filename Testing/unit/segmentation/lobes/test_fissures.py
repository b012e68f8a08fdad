"""A synthetic fissure, found again."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from CovidSeverityLib.segmentation.lobes import fissures
from CovidSeverityLib.segmentation.lobes.config import FissureConfig
from CovidSeverityLib.segmentation.lobes.fissure_evidence import _without_border, evidence_about
from CovidSeverityLib.segmentation.lobes.fissure_surface import FissureCells
from CovidSeverityLib.segmentation.lobes.fissures import find_fissures
from CovidSeverityLib.segmentation.lobes.lobe_atlas import Fissure, load_atlas, surface_on_grid
from CovidSeverityLib.segmentation.lobes.lung_frame import LungFrame
from CovidSeverityLib.segmentation.lobes.lung_image import LungImage
from CovidSeverityLib.segmentation.lobes.plateness import patch_plateness, plateness

STEP = (1.5, 1.5, 1.0)
SPACING = (2.0, 1.6, 1.6)
MODEL = load_atlas().fissures[Fissure.LEFT_OBLIQUE]
LOW = np.array([-320.0, -235.0, 5.0])
"""(K, J, I) corner of the block of lung that the tests cut out of the atlas's left lung, mm."""

LOW_RIGHT = (-330.0, -230.0, -115.0)
"""Of the block about the atlas's right lung."""


def noisy(shape, seed=0):
    return np.random.default_rng(seed).normal(-860.0, 15.0, shape).astype(np.float32)


def block_with(kind):
    hu = noisy((40, 40, 31))
    if kind == "sheet":
        hu[:, :, 15:17] += 90
    elif kind == "vessel":
        hu[19:21, :, 14:17] += 200
    elif kind == "upright sheet":
        hu[19:21] += 90
    return hu


def mean_evidence(kind):
    inside = np.ones((40, 40, 31), dtype=bool)
    evidence = plateness(block_with(kind), inside, STEP)
    cells = evidence.reshape(20, 2, 20, 2, 31).mean(axis=(1, 3))
    return evidence, patch_plateness(cells, np.ones(cells.shape, dtype=np.float32), 3.0, 1.0)


def test_sheet_gives_evidence_where_it_lies():
    evidence, patches = mean_evidence("sheet")
    assert set(patches[8:12, 8:12].argmax(axis=2).ravel().tolist()) <= {14, 15, 16, 17}
    assert patches[10, 10].max() > 0.5
    assert evidence.max() <= 1.0


@pytest.mark.parametrize(("kind", "most"), [("nothing", 0.2), ("upright sheet", 0.2), ("vessel", 0.4)])
def test_what_is_no_level_sheet_gives_little_evidence(kind, most):
    """A clear sheet gives 0.86."""
    assert mean_evidence(kind)[1][5:15, 5:15].max() < most


def test_outside_the_lung_there_is_no_evidence():
    inside = np.zeros((40, 40, 31), dtype=bool)
    assert not plateness(block_with("sheet"), inside, STEP).any()
    inside[:20] = True
    assert not plateness(block_with("sheet"), inside, STEP)[20:].any()


def test_constant_block_gives_no_evidence():
    hu = np.full((12, 12, 12), -850.0, dtype=np.float32)
    assert not plateness(hu, np.ones(hu.shape, dtype=bool), STEP).any()


def true_height(a, b, offset_mm):
    """The atlas, moved and bent."""
    mean = surface_on_grid(MODEL.mean, MODEL.plane, a, b)
    return mean + offset_mm + 5.0 * np.sin(a[:, None] / 35.0) * np.cos(b[None, :] / 45.0)


SHAPE = (116, 110, 72)


def off_truth(offset_mm):
    """Distance of every voxel of a block of the left lung to a curved surface, along the normal of its plane, mm."""
    k, j, i = (LOW[n] + SPACING[n] * np.arange(SHAPE[n]) for n in range(3))
    a, b, h = MODEL.plane.of_atlas(k[:, None, None], j[None, :, None], i[None, None, :])
    grid_a, grid_b = np.arange(-90.0, 90.0), np.arange(-170.0, 170.0)
    table = true_height(grid_a, grid_b, offset_mm)
    rows = np.clip(np.rint(a - grid_a[0]), 0, 179).astype(int), np.clip(np.rint(b - grid_b[0]), 0, 339).astype(int)
    return h - table[np.broadcast_arrays(*rows)[0], np.broadcast_arrays(*rows)[1]]


def lung_with_fissure(offset_mm, contrast=110.0):
    """A block of lung in atlas coordinates with a curved sheet, blurred over 2 mm."""
    sheet = contrast * np.exp(-0.5 * (off_truth(offset_mm) / 1.0) ** 2)
    return left_block(np.rint(noisy(SHAPE) + sheet.astype(np.float32)).astype(np.int16))


def lung_with_vessels(offset_mm, layer_mm, seed=1):
    """No sheet but vessels, a twelfth of the lung, none of them in a layer of this width about the curved surface."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 1.2)
    vessels = (noise > np.quantile(noise, 11 / 12)) & (np.abs(off_truth(offset_mm)) > layer_mm / 2)
    return left_block(np.rint(noisy(SHAPE) + 400.0 * vessels).astype(np.int16))


def left_block(hu):
    mask = np.zeros(hu.shape, dtype=bool)
    mask[3:-3, 3:-3, 3:-3] = True
    return LungImage(hu, mask, SPACING, LungFrame((1.0, 1.0, 1.0), tuple(LOW.tolist())))


def found_in(image):
    return find_fissures(image, {Fissure.LEFT_OBLIQUE: MODEL})[Fissure.LEFT_OBLIQUE]


@pytest.mark.parametrize(
    "offset_mm", [pytest.param(0.0, marks=pytest.mark.slow), 14.0, pytest.param(-18.0, marks=pytest.mark.slow)]
)
def test_curved_sheet_is_found_within_two_millimetres(offset_mm):
    surface = found_in(lung_with_fissure(offset_mm))
    off = np.abs(surface.height - true_height(surface.grid.a, surface.grid.b, offset_mm))
    well_inside = surface.inside & (surface.seen > 0.5)
    assert well_inside.sum() > 0.6 * surface.inside.sum()
    assert off[surface.inside].mean() < 2.0
    assert off[well_inside].mean() < 1.5


@pytest.mark.slow
def test_where_no_sheet_is_seen_the_atlas_hardly_moves():
    """Noise looks like a sheet here and there; it moves the surface by less than the atlas's own error."""
    surface = found_in(lung_with_fissure(10.0, contrast=0.0))
    mean = surface_on_grid(MODEL.mean, MODEL.plane, surface.grid.a, surface.grid.b)
    assert surface.seen[surface.inside].mean() < 0.1
    assert np.abs(surface.height - mean)[surface.inside].mean() < 0.7 * MODEL.distance_mm
    assert surface.expected_mm[surface.inside].mean() > 0.4 * MODEL.distance_mm


@pytest.mark.slow
def test_seen_fissure_is_expected_nearer_than_a_guessed_one():
    seen = found_in(lung_with_fissure(5.0))
    guessed = found_in(lung_with_fissure(5.0, contrast=0.0))
    assert seen.expected_mm[seen.inside].mean() < 0.5 * guessed.expected_mm[guessed.inside].mean()


@pytest.mark.slow
def test_same_lung_gives_the_same_bits():
    first, second = (found_in(lung_with_fissure(5.0)) for _ in range(2))
    np.testing.assert_array_equal(first.height, second.height)
    np.testing.assert_array_equal(first.expected_mm, second.expected_mm)


@pytest.mark.slow
def test_height_above_is_measured_from_the_surface():
    surface = found_in(lung_with_fissure(0.0))
    p, q = 30, 50
    k, j, i = surface.grid.plane.to_atlas(
        surface.grid.a[p : p + 1], surface.grid.b[q : q + 1], surface.height[p, q] + 7.0
    )
    np.testing.assert_allclose(surface.above(k, j, i), 7.0, atol=1e-6)


def test_positions_take_the_nearest_voxel_of_the_lung_and_interpolate_its_density():
    """As SciPy does, beyond the array too."""
    shape, random = (6, 7, 8), np.random.default_rng(0)
    hu, mask = random.integers(-1000, 0, shape).astype(np.int16), random.random(shape) < 0.5
    image = LungImage(hu, mask, (2.0, 0.5, 1.0), LungFrame((1.25, 0.5, 2.0), (3.0, -1.0, 0.0)))
    voxels = random.uniform(-2.0, 10.0, (3, 500))
    positions = [image.frame.to_atlas(n, x * mm) for n, (x, mm) in enumerate(zip(voxels, (2.0, 0.5, 1.0), strict=True))]
    nearest = ndimage.map_coordinates(mask.view(np.uint8), voxels, order=0, mode="nearest")
    np.testing.assert_array_equal(image.covers(*positions), nearest > 0)
    between = ndimage.map_coordinates(hu.astype(np.float32), voxels, order=1, mode="nearest")
    np.testing.assert_allclose(image.hu_at(*positions), between, atol=0.01)


@pytest.mark.parametrize("samples", [(1, 1, 3), (0, 2, 0)])
def test_border_of_the_lung_and_of_the_block_is_left_out(samples):
    inside = np.random.default_rng(0).random((12, 13, 14)) < 0.95
    expected = ndimage.minimum_filter(inside, [2 * n + 1 for n in samples], mode="constant")
    np.testing.assert_array_equal(_without_border(inside, samples), expected)


def gaps_of(hu):
    """The gaps about the atlas's surface in a block of lung, and the share of the lung in the cells."""
    config, image = FissureConfig(), left_block(hu)
    cells, offsets = FissureCells.of(MODEL, config.cell_mm), np.arange(-48.0, 49.0)
    found = evidence_about(image, cells, cells.mean, offsets, None, config)
    at = cells.grid.plane.to_atlas(
        cells.grid.a[:, None, None], cells.grid.b[None, :, None], cells.mean[..., None] + offsets
    )
    return found.gaps, image.covers(*at)


def test_gaps_pull_no_surface_out_of_the_lung_or_to_its_border():
    """Outside there is nothing, and inside as much gap as vessel, beside the border too."""
    gaps, inside = gaps_of(lung_with_vessels(0.0, 0.0).hu)
    assert not gaps[~ndimage.binary_dilation(inside, iterations=2)].any()
    depth = np.minimum(np.cumsum(inside, axis=2), np.cumsum(inside[..., ::-1], axis=2)[..., ::-1])
    for part in (inside & (depth > 8), inside & (depth > 3) & (depth <= 8)):
        assert abs(gaps[part].mean()) < 0.05
    assert 0.5 < gaps.max() <= 1.0


def test_lung_without_vessels_has_no_gaps():
    assert np.abs(gaps_of(np.full(SHAPE, -860, dtype=np.int16))[0]).max() == 0.0
    noise = np.random.default_rng(0).normal(-860.0, 40.0, SHAPE)
    assert gaps_of(np.rint(noise).astype(np.int16))[0].max() < 0.2


@pytest.mark.slow
def test_gap_between_vessels_moves_the_surface_to_it_but_is_no_fissure_that_is_seen():
    surface = found_in(lung_with_vessels(10.0, 8.0))
    off = np.abs(surface.height - true_height(surface.grid.a, surface.grid.b, 10.0))
    assert off[surface.inside].mean() < 2.0
    assert not surface.seen.any()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_vessels_without_a_gap_hardly_move_the_surface(seed):
    surface = found_in(lung_with_vessels(0.0, 0.0, seed))
    mean = surface_on_grid(MODEL.mean, MODEL.plane, surface.grid.a, surface.grid.b)
    assert np.abs(surface.height - mean)[surface.inside].mean() < 0.7 * MODEL.distance_mm


def limits_of(hu, config):
    return fissures._limits_of_seen(left_block(hu), FissureCells.of(MODEL, config.cell_mm), config)


def test_more_chance_raises_what_counts_as_seen():
    """Sheets along the mirrored plane are no fissures, as many as they may be."""
    config, plain = FissureConfig(), np.full(SHAPE, -860, dtype=np.int16)
    k, j = (LOW[n] + SPACING[n] * np.arange(SHAPE[n]) for n in range(2))
    mirrored = replace(MODEL.plane, tilt_deg=-MODEL.plane.tilt_deg)
    *_, h = mirrored.of_atlas(k[:, None, None], j[None, :, None], np.zeros((1, 1, 1)))
    sheets = plain + np.where(h % 12.0 < 3.0, 110, 0).astype(np.int16)
    assert limits_of(plain, config) == config.seen
    low, high = limits_of(sheets, config)
    assert low > config.seen[0] + 0.1
    assert high - low == pytest.approx(config.seen[1] - config.seen[0])


@pytest.mark.slow
def test_surface_moved_without_being_seen_is_expected_farther_off():
    """By half of the way, in squares: such evidence is right as often as wrong."""
    config = FissureConfig(seen=(5.0, 6.0))
    image = left_block(np.rint(noisy(SHAPE)).astype(np.int16))
    surface = find_fissures(image, {Fissure.LEFT_OBLIQUE: MODEL}, config)[Fissure.LEFT_OBLIQUE]
    moved = surface.height - surface_on_grid(MODEL.mean, MODEL.plane, surface.grid.a, surface.grid.b)
    assert np.abs(moved).max() > 3.0
    assert not surface.seen.any()
    np.testing.assert_allclose(surface.expected_mm, np.hypot(MODEL.distance_mm, 0.5 * moved), rtol=1e-6)


def right_frame():
    return LungFrame((1.0, 1.0, 1.0), LOW_RIGHT)


def flat_right_lung(over_mm):
    """The right fissures of a block of lung without contrast, the horizontal one ``over_mm`` over the oblique one."""
    models = {f: load_atlas().fissures[f] for f in (Fissure.RIGHT_OBLIQUE, Fissure.RIGHT_HORIZONTAL)}
    shape = (136, 110, 72)
    mask = np.zeros(shape, dtype=bool)
    mask[3:-3, 3:-3, 3:-3] = True
    image = LungImage(np.full(shape, -860, dtype=np.int16), mask, SPACING, right_frame())
    moved = models[Fissure.RIGHT_HORIZONTAL]
    models[Fissure.RIGHT_HORIZONTAL] = replace(moved, mean=moved.mean + over_mm)
    return image, find_fissures(image, models)


def test_behind_the_end_of_the_horizontal_fissure_there_is_no_evidence():
    """Sheets and gaps at every height; what lies behind belongs to the oblique fissure."""
    config, shape = FissureConfig(), (136, 110, 72)
    noise = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=shape), 1.2)
    mask = np.ones(shape, dtype=bool)
    image = LungImage(
        np.where(noise > np.quantile(noise, 0.9), -500, -860).astype(np.int16), mask, SPACING, right_frame()
    )
    oblique, horizontal = (
        FissureCells.of(load_atlas().fissures[f], config.cell_mm)
        for f in (Fissure.RIGHT_OBLIQUE, Fissure.RIGHT_HORIZONTAL)
    )
    over = oblique.grid.above(oblique.mean)
    found = evidence_about(image, horizontal, horizontal.mean, np.arange(-12.0, 13.0), over, config)
    behind = horizontal.grid.b >= horizontal.end(image, horizontal.mean, over)[:, None]
    assert behind.any()
    for evidence in (found.sheets, found.gaps):
        assert not evidence[behind].any()
        assert evidence[~behind].any()


@pytest.mark.parametrize("over_mm", [-15.0, 0.0, 15.0, 60.0])
def test_horizontal_fissure_ends_on_the_oblique_one_and_before_the_rear(over_mm):
    """As high as it may lie: there is no middle lobe behind its end."""
    image, surfaces = flat_right_lung(over_mm)
    horizontal, oblique = surfaces[Fissure.RIGHT_HORIZONTAL], surfaces[Fissure.RIGHT_OBLIQUE]
    k, j, i = (LOW_RIGHT[n] + SPACING[n] * np.arange(size) for n, size in enumerate(image.mask.shape))
    at = k[:, None, None], j[None, :, None], i[None, None, :]
    middle = (oblique.above(*at) > 0) & (horizontal.above(*at) <= 0) & image.mask
    assert middle.any()
    assert middle[:, j >= image.row_at(load_atlas().fissures[Fissure.RIGHT_HORIZONTAL].rearmost)].sum() == 0
    a, b, _ = horizontal.grid.plane.of_atlas(*at)
    assert not middle[np.broadcast_to(b >= horizontal.end_at(a), middle.shape)].any()
    rows = middle.any(axis=0)
    assert (np.diff(rows.astype(int), axis=0) > 0).sum(axis=0).max() <= 1, "the middle lobe begins anew behind its end"


def test_horizontal_fissure_is_looked_for_above_the_oblique_one_each_time(monkeypatch):
    looked = []

    def follow(_image, cells, expected, _reach_mm, over, _config):
        looked.append((cells, expected, over))
        nothing = np.zeros(expected.shape)
        return fissures._Path(expected, nothing, nothing)

    monkeypatch.setattr(fissures, "_follow", follow)
    models = {f: load_atlas().fissures[f] for f in (Fissure.RIGHT_OBLIQUE, Fissure.RIGHT_HORIZONTAL)}
    mask = np.ones((4, 4, 4), dtype=bool)
    image = LungImage(np.zeros((4, 4, 4), dtype=np.int16), mask, SPACING, LungFrame((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))
    find_fissures(image, models)
    oblique, horizontal = ([at for at in looked if at[0].grid.plane is models[f].plane] for f in models)
    assert [over for *_, over in oblique] == [None, None]
    assert len(horizontal) == 2
    cells, surface, _ = oblique[-1]
    for *_, over in horizontal:
        for off_mm in (-5.0, 0.0, 5.0):
            at = cells.grid.plane.to_atlas(cells.grid.a[:, None], cells.grid.b[None, :], surface + off_mm)
            np.testing.assert_allclose(over(*at), off_mm, atol=1e-6)
