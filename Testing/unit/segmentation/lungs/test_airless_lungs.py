"""Lungs that disease hides: airless parts against heart, liver and chest wall, effusion, a lost lung, coarse scans."""

from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from CovidSeverityLib import parallel
from CovidSeverityLib.io.volume import volume_from_array
from CovidSeverityLib.morphology.grid import WorkingGrid, distance_to, rolling_ball_distance
from CovidSeverityLib.preprocessing.thorax import body_mask
from CovidSeverityLib.segmentation.lungs.airless_pieces import _depth, _surface_areas, airless_pieces
from CovidSeverityLib.segmentation.lungs.airways import airway_mask, main_bronchi
from CovidSeverityLib.segmentation.lungs.config import LungConfig
from CovidSeverityLib.segmentation.lungs.expected_shape import SurfaceObservations, fit_usual_lung, register_nonrigid
from CovidSeverityLib.segmentation.lungs.islands import resting_islands
from CovidSeverityLib.segmentation.lungs.lung_segmentation import segment_lungs
from CovidSeverityLib.segmentation.lungs.rib_cage import bridged_wall, rib_cage
from CovidSeverityLib.types import Side

CONFIG = LungConfig()
PIECES = CONFIG.airless_pieces
SPACING_MM = (2.4, 2.4, 3.0)
"""(I, J, K)"""

KJI_MM = SPACING_MM[::-1]
EDGE_MM = 1.5
NOISE_HU = 15.0


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.fixture(scope="module", params=[1, pytest.param(4, marks=pytest.mark.slow)])
def chest(request, phantom_of):
    """A healthy phantom."""
    return phantom_of(request.param, healthy=True, shape=(106, 160, 160), spacing_mm=SPACING_MM)


def opaque(chest, burden, diameters_mm, seed, near=None):
    """HU of ``chest`` with consolidations until they cover ``burden`` of the lungs; centres where ``near`` is true."""
    rng, noise = np.random.default_rng(seed), np.random.default_rng(seed + 100)
    whole, lungs = chest.volume.hu.astype(np.float32), chest.lungs > 0
    centres = np.argwhere(lungs if near is None else lungs & near)
    covered = np.zeros_like(lungs)
    while np.count_nonzero(covered) < burden * np.count_nonzero(lungs):
        centre = centres[rng.integers(len(centres))] * np.array(KJI_MM)
        radius, stretch = rng.uniform(*diameters_mm) / 2, rng.uniform(0.8, 1.25, 3)
        density = rng.uniform(-50, 50) + rng.normal(0, NOISE_HU)
        box = around(centre, (radius + EDGE_MM) * stretch)
        axes = (np.arange(part.start, part.stop) * mm for part, mm in zip(box, KJI_MM, strict=True))
        parts = np.ix_(*(((axis - c) / s) ** 2 for axis, c, s in zip(axes, centre, stretch, strict=True)))
        distance = np.sqrt(parts[0] + parts[1] + parts[2])
        hu, inside = whole[box], lungs[box]  # views
        weight = np.clip((radius - distance[tuple(map(slice, hu.shape))]) / EDGE_MM + 0.5, 0, 1) * inside
        np.maximum(hu, hu + weight * (density + noise.normal(0, NOISE_HU, hu.shape) - hu), out=hu)
        covered[box] |= weight >= 0.5
    return whole


def around(centre_mm, reach_mm):
    """The box of voxels that lie within a reach of a point; it may go beyond the volume's far ends."""
    low, high = (np.floor((centre_mm + sign * reach_mm) / KJI_MM).astype(int) for sign in (-1, 1))
    return tuple(slice(max(0, first), last + 1) for first, last in zip(low, high, strict=True))


def found_in(hu, chest, spacing_mm=SPACING_MM):
    hu = np.clip(np.rint(hu), -1024, 3000)
    return segment_lungs(volume_from_array(hu, spacing_mm, (0, 0, 0), np.eye(3), name="case.nii"))


def codes(found):
    return {note.code for note in found.notes}


def worst(found, truth):
    return min(dice(found.labels == side, truth == side) for side in Side)


def medial(chest):
    """Lung near the mediastinum: within 25 mm of the other side's."""
    right, left = (distance_to(chest.lungs == side, KJI_MM) for side in Side)
    return np.maximum(right, left) < 45


def basal(chest):
    """The lowest 2 cm of every column of lung."""
    lungs = chest.lungs > 0
    height = (np.arange(lungs.shape[0])[:, None, None] - lungs.argmax(axis=0)) * KJI_MM[0]
    return lungs & (height < 20)


@pytest.fixture(scope="module")
def healthy(chest):
    """What is found in the chest as it is."""
    return segment_lungs(chest.volume)


@pytest.mark.slow
def test_healthy_lungs_stay_as_they_are(chest, healthy):
    found = healthy
    assert worst(found, chest.lungs) > 0.985
    assert found.notes == ()


@pytest.mark.slow
@pytest.mark.parametrize("where", [medial, basal], ids=["mediastinum", "diaphragm"])
def test_consolidation_against_the_mediastinum_or_the_diaphragm_stays_in(chest, where):
    hu = opaque(chest, 0.08, (35, 60), 3, where(chest))
    assert worst(found_in(hu, chest), chest.lungs) > 0.96


@pytest.mark.slow
@pytest.mark.parametrize("burden", [0.15, 0.3])
def test_consolidations_anywhere_stay_in(chest, burden):
    found = found_in(opaque(chest, burden, (10, 60), 5), chest)
    assert worst(found, chest.lungs) > 0.955
    assert codes(found) == {"lungs_airless"}
    assert "airless" in found.notes[0].message


@pytest.mark.slow
def test_layer_of_consolidation_at_the_chest_wall_stays_in(chest):
    """10 mm thick over 4 cm: thinner than anything that the shape of the chest alone would tell."""
    lungs = chest.lungs > 0
    k = int(np.count_nonzero(lungs, axis=(1, 2)).argmax())
    j, i = np.nonzero(chest.lungs[k] == Side.RIGHT)
    centre = np.array([k * KJI_MM[0], np.median(j) * KJI_MM[1], i.min() * KJI_MM[2]])
    offsets = (
        axis * mm - c for axis, mm, c in zip(np.ogrid[tuple(map(slice, lungs.shape))], KJI_MM, centre, strict=True)
    )
    near = sum(offset**2 for offset in offsets) < 20.0**2
    layer = lungs & near & (distance_to(~lungs, KJI_MM) < 10)
    assert layer.sum() * np.prod(KJI_MM) > 5000
    found = found_in(np.where(layer, 40.0, chest.volume.hu), chest)
    assert (found.labels[layer] > 0).mean() > 0.8


def on_the_dome(chest):
    """The underside of the right lung, within 2 cm of its middle."""
    right = chest.lungs == Side.RIGHT
    middle = np.argwhere(right).mean(axis=0)
    off = sum(
        ((axis - m) * mm) ** 2 for axis, m, mm in zip(np.indices(right.shape)[1:], middle[1:], KJI_MM[1:], strict=True)
    )
    return basal(chest) & (distance_to(~right, KJI_MM) < 4) & (off < 20.0**2)


def beside_the_heart(chest):
    """The right lung's surface beside the heart, in front of the hilum."""
    k, j, _ = np.indices(chest.lungs.shape)
    return medial(chest) & (distance_to(chest.lungs == 0, KJI_MM) < 4) & (k > 30) & (j < 70)


def ball(chest, where, radius_mm):
    """A ball in the right lung, and the voxels around it: its middle is the middle one of those in ``where``."""
    spots = np.argwhere((chest.lungs == Side.RIGHT) & where)
    centre = spots[len(spots) // 2] * np.array(KJI_MM)
    axes = np.ogrid[tuple(map(slice, chest.lungs.shape))]
    distance = np.sqrt(sum((axis * mm - c) ** 2 for axis, mm, c in zip(axes, KJI_MM, centre, strict=True)))
    return (chest.lungs > 0) & (distance < radius_mm), distance < radius_mm + 15


@pytest.mark.slow
@pytest.mark.parametrize("where", [beside_the_heart, on_the_dome])
def test_small_consolidation_stays_in_and_takes_no_organ_along(chest, healthy, where):
    """About 4 ml, half of its surface on heart or liver: it makes a dent in the lung, which they do not."""
    solid, near = ball(chest, where(chest), 11.0)
    hu = np.where(solid, 40.0, chest.volume.hu)
    found = found_in(hu, chest).labels > 0
    assert found[solid].mean() > 0.8
    assert np.count_nonzero(near & found & ~solid & (healthy.labels == 0)) * np.prod(SPACING_MM) / 1000 < 2.0


@pytest.mark.slow
def test_consolidation_beside_the_trachea_stays_in(chest):
    """About 5 ml, half sunk in the mediastinum: there is no hilum around the trachea."""
    blocks = WorkingGrid.of(chest.volume.geometry)
    hu = blocks.reduce(chest.volume.hu)
    airway = airway_mask(hu, body_mask(hu, blocks), blocks, CONFIG.airways)
    trachea = airway & ~main_bronchi(airway)
    above_carina = np.indices(airway.shape)[0] > np.argwhere(trachea)[:, 0].min() + 12
    surface = distance_to(chest.lungs == 0, KJI_MM) < 4
    solid, _ = ball(chest, surface & above_carina & (distance_to(trachea, KJI_MM) < 14), 14.0)
    found = found_in(np.where(solid, 40.0, chest.volume.hu), chest)
    assert (found.labels[solid] > 0).mean() > 0.8


@pytest.mark.parametrize(("radius_mm", "is_dent"), [(12.0, True), (60.0, False)])
def test_opacity_makes_a_dent_and_the_dome_of_an_organ_does_not(radius_mm, is_dent):
    """A ball that rises 10 mm from below into a slab of lung: half sunk, or the top of a dome."""
    k, j, i = (axis * 4.0 for axis in np.ogrid[:20, :60, :60])
    lung = (k > 40) & ((k - 52 + radius_mm) ** 2 + (j - 120) ** 2 + (i - 120) ** 2 > radius_mm**2)
    assert not lung[12, 30, 30]
    distance = rolling_ball_distance(lung, CONFIG.hidden.face_radius_mm, (4.0, 4.0, 4.0))
    assert (distance[12, 30, 30] < -CONFIG.hidden.dent_mm) == is_dent
    assert distance[9, 30, 30] > 0


@pytest.mark.slow
def test_consolidation_beside_the_gas_of_the_stomach_stays_in(chest):
    """A piece is at the hilum where it lies around large airways, not where it lies around any gas."""
    lungs = chest.lungs > 0
    hu = chest.volume.hu.astype(np.float32)
    spots = np.argwhere((chest.lungs == Side.LEFT) & basal(chest) & (distance_to(~lungs, KJI_MM) > 12))
    centre = spots[len(spots) // 2] * np.array(KJI_MM)
    axes = np.ogrid[tuple(map(slice, lungs.shape))]
    distance = np.sqrt(sum((axis * mm - c) ** 2 for axis, mm, c in zip(axes, KJI_MM, centre, strict=True)))
    solid = lungs & (distance < 20)
    below = ~lungs & (distance > 16) & (distance < 32) & (axes[0] * KJI_MM[0] < centre[0] - 10)
    hu[solid] = 40
    hu[ndimage.binary_erosion(below)] = -990
    found = found_in(hu, chest)
    assert (found.labels[solid] > 0).mean() > 0.8


def test_island_is_lung_where_it_rests_on_lung():
    """A column that ends above lung, one that goes on into the abdomen, and none of their gas taken for lung."""
    lung = np.ones((40, 30, 50), dtype=bool)
    lung[:4] = lung[:, [0, -1]] = lung[:, :, [0, -1]] = False
    free = np.ones_like(lung)
    lung[20:, 10:20, 8:18] = lung[:30, 10:20, 30:40] = False
    free[25, 15, 12] = False
    found = resting_islands(lung, free, WorkingGrid(lung.shape, (1, 1, 1), (2.0, 2.0, 2.0)), CONFIG.islands)
    assert found[20:, 10:20, 8:18].sum() == 20 * 10 * 10 - 1
    assert not found[:30, 10:20, 30:40].any()


@pytest.mark.slow
def test_lungs_that_are_mostly_solid_are_mostly_found_and_noted(chest):
    """Where opacities hide heart and liver over a broad front the image does not tell; the note does."""
    found = found_in(opaque(chest, 0.6, (20, 60), 7), chest)
    assert worst(found, chest.lungs) > 0.88
    assert "lungs_airless" in codes(found)


@pytest.mark.slow
@pytest.mark.parametrize(("ml", "least"), [(300, 0.97), (600, 0.93)])
def test_fluid_that_settles_at_the_back_is_left_out(chest, ml, least):
    """On either side; of very much fluid a part is kept."""
    hu, truth = chest.volume.hu.astype(np.float32), chest.lungs.copy()
    rng = np.random.default_rng(0)
    _, j, _ = np.indices(truth.shape)
    for side in Side:
        inside = np.flatnonzero(truth == side)
        count = int(ml * 1000 / np.prod(SPACING_MM))
        lowest = inside[np.argsort(-j.ravel()[inside], kind="stable")[:count]]
        hu.ravel()[lowest] = 10 + rng.normal(0, NOISE_HU, count)
        truth.ravel()[lowest] = 0
    found = found_in(hu, chest)
    fluid = (chest.lungs > 0) & (truth == 0)
    assert np.mean(found.labels[fluid] > 0) < 0.2
    assert worst(found, truth) > least


@pytest.mark.slow
@pytest.mark.parametrize("side", Side)
def test_lung_that_is_gone_leaves_the_other_alone(chest, side):
    hu = chest.volume.hu.astype(np.float32)
    gone = chest.lungs == side
    hu[gone] = 20 + np.random.default_rng(0).normal(0, NOISE_HU, np.count_nonzero(gone))
    found = found_in(hu, chest)
    other = Side.LEFT if side is Side.RIGHT else Side.RIGHT
    assert not (found.labels == side).any()
    assert dice(found.labels == other, chest.lungs == other) > 0.98
    assert "lung_missing" in codes(found)


@pytest.mark.slow
def test_emphysema_stays_in(chest):
    hu, rng = chest.volume.hu.astype(np.float32), np.random.default_rng(0)
    holes = (ndimage.gaussian_filter(rng.standard_normal(hu.shape), 3) > 0.02) & (hu < -800) & (chest.lungs > 0)
    hu[holes] = -980 + rng.normal(0, NOISE_HU, np.count_nonzero(holes))
    assert worst(found_in(hu, chest), chest.lungs) > 0.96


@pytest.mark.slow
@pytest.mark.parametrize("slices", [2, 3])
def test_thick_slices_keep_the_lungs(chest, slices):
    """6 and 9 mm."""
    count = chest.lungs.shape[0] // slices * slices
    hu = chest.volume.hu[:count].astype(np.float32).reshape(-1, slices, *chest.lungs.shape[1:]).mean(axis=1)
    truth = chest.lungs[slices // 2 : count : slices]
    assert worst(found_in(hu, chest, (*SPACING_MM[:2], SPACING_MM[2] * slices)), truth) > 0.96


@pytest.mark.slow
def test_low_dose_keeps_the_lungs(chest):
    noise = np.random.default_rng(0).normal(0, 40, chest.lungs.shape)
    assert worst(found_in(chest.volume.hu + noise, chest), chest.lungs) > 0.98


@pytest.mark.slow
def test_threads_change_no_bit(chest, monkeypatch):
    hu = opaque(chest, 0.2, (20, 60), 9)
    several = found_in(hu, chest)
    monkeypatch.setattr(parallel, "thread_count", lambda: 1)
    np.testing.assert_array_equal(found_in(hu, chest).labels, several.labels)


# The parts


RING_MM = 70.0


def ring():
    """A bone every 20 degrees on a ring of 70 mm, in 20 slices of 3 mm; and every column's distance from its middle."""
    y, x = np.mgrid[-40:41, -40:41] * 2.0
    distance, angle = np.hypot(y, x), np.degrees(np.arctan2(x, y))
    bones = (np.abs(distance - RING_MM) < 2) & (np.abs((angle % 20) - 10) < 3)
    return np.repeat(bones[None], 20, axis=0), distance


def test_wall_lies_inside_the_ribs_also_between_them():
    bone, distance = ring()
    lungs = np.repeat((distance < 50)[None], 20, axis=0)
    cage = rib_cage(bone, lungs, (3.0, 2.0, 2.0), CONFIG.rib_cage)
    assert cage.radius_mm.shape == (20, CONFIG.rib_cage.sectors)
    np.testing.assert_allclose(cage.radius_mm, RING_MM - CONFIG.rib_cage.pleura_mm, atol=2.5)
    assert not (cage.outside() & lungs).any()


def test_gap_between_lung_and_wall_is_bridged_unless_an_organ_fills_it():
    bone, distance = ring()
    lung = np.repeat((distance < 65)[None], 20, axis=0)
    lung[8:12, 30:50, 60:] = False
    cage = rib_cage(bone, lung, (3.0, 2.0, 2.0), CONFIG.rib_cage)
    gap = np.zeros_like(lung)
    gap[8:12, 36:44, 66:70] = True
    nothing = np.zeros_like(lung)
    assert bridged_wall(lung, nothing, cage, (3.0, 2.0, 2.0), CONFIG.rib_cage)[gap].all()
    assert not bridged_wall(lung, gap, cage, (3.0, 2.0, 2.0), CONFIG.rib_cage)[gap].any()


@pytest.mark.slow
@pytest.mark.parametrize("slice_mm", [2.0, 6.0])
def test_depth_of_thick_pieces_is_the_distance_to_what_lies_outside(slice_mm):
    grid = WorkingGrid((20, 50, 50), (1, 1, 1), (slice_mm, 1.6, 1.6))
    tissue = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=grid.shape), (6 / slice_mm, 4, 4)) > 0
    parts = round(slice_mm / grid.thin_slice_mm)
    fine = np.pad(np.repeat(tissue, parts, axis=0), 1)
    whole = ndimage.distance_transform_edt(fine, sampling=(slice_mm / parts, 1.6, 1.6))[1:-1, 1:-1, 1:-1]
    whole = whole.reshape(20, parts, 50, 50).max(axis=1)
    depth = _depth(tissue, 4.0, 7.0, grid)
    known = (whole >= 4) & (whole <= 7)
    assert known.sum() > 1000
    assert (whole > 7.5).sum() > 50
    np.testing.assert_allclose(depth[known], whole[known], atol=1e-4)
    assert (depth[whole < 4] < 4).all()
    assert (depth[whole > 7] > 7 - 1e-4).all()


@pytest.mark.slow
def test_expected_lung_is_the_seen_one_where_all_is_seen(chest):
    lung = chest.lungs[::2, ::2, ::2] == Side.RIGHT
    both = np.argwhere(chest.lungs[::2, ::2, ::2] > 0)
    spacing = tuple(2 * mm for mm in KJI_MM)
    surface = lung & ~ndimage.binary_erosion(lung)
    seen = SurfaceObservations(surface, np.ones(surface.sum(), dtype=np.float32), np.zeros_like(lung), spacing)
    box_mm = np.array([both.min(axis=0), both.max(axis=0) + 1]) * np.array(spacing)
    first = fit_usual_lung(Side.RIGHT, seen, box_mm, CONFIG.expected)
    assert dice(first < 0, lung) > 0.9
    assert dice(register_nonrigid(seen, first, CONFIG.expected) < 0, lung) > 0.95


def test_surface_areas_are_those_of_the_faces_on_what_lies_beside():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, (5, 6, 7)).astype(np.int32)
    lung, room = (random.random(labels.shape) < 0.4 for _ in range(2))
    grid = WorkingGrid(labels.shape, (1, 1, 1), (3.0, 2.0, 1.5))
    expected = np.zeros((3, 3))
    for at in np.argwhere(labels):
        for axis, way in product(range(3), (-1, 1)):
            beside = at.copy()
            beside[axis] += way
            within = ((beside >= 0) & (beside < labels.shape)).all()
            at_beside = tuple(beside)
            if within and labels[at_beside] == labels[tuple(at)]:
                continue
            kind = 0 if within and lung[at_beside] else 1 if within and room[at_beside] else 2
            expected[kind, labels[tuple(at)]] += grid.voxel_ml / grid.spacing_mm[axis]
    np.testing.assert_allclose(_surface_areas(labels, 2, lung, room, grid), expected)


def block_of_tissue(hu_inside, around):
    """A cube of 6 cm in ``around`` (lung, room): HU, tissue, none of it in a dent or at the wall, lung, room, and no
    bronchus."""
    tissue = np.zeros((40, 40, 40), dtype=bool)
    tissue[5:35, 5:35, 5:35] = True
    lung, room = (np.full(tissue.shape, kind == around) & ~tissue for kind in ("lung", "tissue"))
    hu = np.random.default_rng(0).normal(hu_inside, NOISE_HU, tissue.shape).astype(np.float32)
    return hu, tissue, np.zeros_like(tissue), np.zeros_like(tissue), lung, room | tissue, np.zeros_like(tissue)


@pytest.mark.parametrize(
    ("hu_inside", "around", "expected"),
    [
        (45.0, "lung", (1, 0)),
        (10.0, "lung", (1, 0)),
        (10.0, "wall", (0, 1)),
        (45.0, "wall", (1, 0)),
    ],
)
def test_large_piece_is_fluid_if_it_has_its_density_and_no_lung_around(hu_inside, around, expected):
    pieces = airless_pieces(*block_of_tissue(hu_inside, around), BLOCKS, PIECES)
    assert (pieces.lung.any(), pieces.fluid.any()) == expected


BLOCKS = WorkingGrid((40, 40, 40), (1, 1, 1), (2.0, 2.0, 2.0))


@pytest.mark.parametrize("at_the_wall", [True, False])
def test_thin_piece_is_lung_at_the_wall_alone(at_the_wall):
    hu, tissue, dents, wall, lung, room, bronchi = block_of_tissue(45.0, "lung")
    tissue[10:] = False
    wall[:] = tissue & at_the_wall
    found = airless_pieces(hu, tissue, dents, wall, lung, room, bronchi, BLOCKS, PIECES).lung
    assert (found[tissue].mean(), found[~tissue].any()) == (at_the_wall, False)


@pytest.mark.parametrize("whole_chest", [True, False])
def test_thin_piece_at_the_wall_of_a_slice_needs_less_lung_beside_it(whole_chest):
    """Of its two faces five sixths of one are on lung, nothing of the other: a cut of 0.6."""
    hu, tissue, dents, _, lung, _, bronchi = block_of_tissue(45.0, "tissue")
    tissue[:] = False
    tissue[16:19, 5:35, 5:35] = True
    lung[19:, 10:, :] = True
    lung &= ~tissue
    found = airless_pieces(
        hu, tissue, dents, tissue, lung, ~lung, bronchi, BLOCKS, PIECES, whole_chest=whole_chest
    ).lung
    assert found.any() != whole_chest


def test_thin_piece_at_the_wall_that_is_cut_out_of_tissue_is_no_lung():
    hu, tissue, dents, wall, _, room, bronchi = block_of_tissue(45.0, "tissue")
    tissue[10:] = False
    assert not airless_pieces(hu, tissue, dents, tissue, wall, room, bronchi, BLOCKS, PIECES).lung.any()


@pytest.mark.parametrize(("slice_mm", "slices", "is_lung"), [(8.0, 1, False), (8.0, 3, True), (5.0, 2, False)])
def test_piece_as_thin_as_a_slice_is_no_lung_however_thick_slices_are(slice_mm, slices, is_lung):
    hu, tissue, dents, wall, _, _, bronchi = block_of_tissue(45.0, "lung")
    tissue[5 + slices :] = False
    grid = WorkingGrid(tissue.shape, (1, 1, 1), (slice_mm, 2.0, 2.0))
    for in_dent in (dents, tissue):
        assert airless_pieces(hu, tissue, in_dent, wall, ~tissue, tissue, bronchi, grid, PIECES).lung.any() == is_lung


def in_healthy_lung(*arrays):
    """The arrays below 80 cm of healthy lung, and their grid."""
    above = [np.full((400, 40, 40), value) for value in (-850.0, False, False, False, True, False, False)]
    return [np.concatenate(pair) for pair in zip(above, arrays, strict=True)] + [
        WorkingGrid((440, 40, 40), (1, 1, 1), (2.0, 2.0, 2.0))
    ]


@pytest.mark.parametrize("in_a_dent", [True, False])
def test_lens_that_is_cut_out_of_an_organ_is_no_lung(in_a_dent):
    """Of the aorta, say, in a lung that is otherwise healthy: lung is on one of its faces alone."""
    hu, tissue, _, wall, _, _, bronchi = block_of_tissue(45.0, "tissue")
    tissue[15:] = False
    dents = tissue & in_a_dent
    above = np.broadcast_to(np.arange(40)[:, None, None] < 5, tissue.shape)
    assert not airless_pieces(*in_healthy_lung(hu, tissue, dents, wall, above, ~above, bronchi), PIECES).lung.any()


@pytest.mark.parametrize("hilum", [True, False])
def test_small_piece_around_a_main_bronchus_is_no_lung(hilum):
    hu, tissue, _, wall, _, _, bronchi = block_of_tissue(45.0, "lung")
    tissue[:] = False
    tissue[12:24, 12:24, 12:24] = True
    bronchi[:, 12:24, 9:12] = hilum
    assert (
        airless_pieces(*in_healthy_lung(hu, tissue, tissue, wall, ~tissue, tissue, bronchi), PIECES).lung.any() != hilum
    )


@pytest.mark.parametrize(
    ("radius_mm", "before_mm", "dent", "hilum", "expected"),
    [
        (6.0, 2.0, False, False, True),
        (6.0, 0.0, True, False, True),
        (6.0, 0.0, False, False, False),
        (6.0, -2.0, True, False, False),
        (6.0, 2.0, True, True, False),
        (4.0, 2.0, True, False, False),
    ],
    ids=["opacity", "half sunk, in a dent", "half sunk", "deep in tissue", "at the hilum", "vessel"],
)
def test_small_piece_needs_lung_around_it_or_half_of_it_and_a_dent(radius_mm, before_mm, dent, hilum, expected):
    """A ball that lies against the mediastinum: its middle ``before_mm`` in front of it or, if negative, behind."""
    axes = np.meshgrid(*(np.arange(40) * 2.0,) * 3, indexing="ij", sparse=True)
    tissue = sum((axis - 40.0) ** 2 for axis in axes) <= radius_mm**2
    mediastinum = np.broadcast_to(axes[2] < 40.0 - before_mm, tissue.shape)
    hu = np.where(tissue | mediastinum, 45.0, -850.0).astype(np.float32)
    wall, bronchi = np.zeros((2, *tissue.shape), dtype=bool)
    bronchi[:, 18:22, 12:14] = hilum
    lung = ~tissue & ~mediastinum
    arrays = in_healthy_lung(hu, tissue, tissue & dent, wall, lung, tissue | mediastinum, bronchi)
    found = airless_pieces(*arrays, PIECES).lung[400:]
    assert found.any() == expected
    assert not (found & ~tissue).any()


@pytest.mark.parametrize(("slices_away", "is_lung"), [(3, False), (4, True)])
def test_hilum_reaches_farther_in_thick_slices(slices_away, is_lung):
    hu, tissue, _, wall, _, _, bronchi = block_of_tissue(45.0, "lung")
    tissue[:] = False
    tissue[10:12, 12:24, 12:24] = True
    tissue[[5, 16], 1, 1] = True  # as between any lung and the expected one
    bronchi[[10 - slices_away, 11 + slices_away], 12:24, 12:24] = True
    arrays = in_healthy_lung(hu, tissue, tissue, wall, ~tissue, tissue, bronchi)[:-1]
    assert airless_pieces(*arrays, WorkingGrid((440, 40, 40), (1, 1, 1), (8.0, 2.0, 2.0)), PIECES).lung.any() == is_lung
