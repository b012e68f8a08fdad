"""Lesions laid into a healthy chest: known extent, known density, nothing outside the lungs, the same every time."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.evaluation.synthetic.lesions.painting import Canvas, SimulatedLesion
from CovidSeverityLib.evaluation.synthetic.lesions.places import Places
from CovidSeverityLib.evaluation.synthetic.lesions.plan import (
    COUNTS,
    PLANNED_POSITIONS,
    SINGLE_POSITIONS,
    plan_simulated_lesions,
    plan_single_lesions,
)
from CovidSeverityLib.evaluation.synthetic.lesions.scan_noise import TYPICAL, ScanNoise, estimate_noise, noise_plane
from CovidSeverityLib.evaluation.synthetic.lesions.simulated_lesions import (
    Position,
    SimulatedLesionsSpec,
    SingleLesionSpec,
    simulate_lesions,
)
from CovidSeverityLib.evaluation.synthetic.phantom import LesionKind
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.types import Geometry, Opacity, Side

GLASS, SOLID, MIXED = LesionKind.GROUND_GLASS, LesionKind.CONSOLIDATION, LesionKind.MIXED
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture(scope="module")
def healthy(phantom_of):
    """A healthy synthetic chest of coarse voxels."""
    return phantom_of(1, shape=(72, 128, 128), spacing_mm=(3.0, 3.0, 4.4), healthy=True)


@pytest.fixture(scope="module")
def block():
    """Two lungs of -850 HU side by side in soft tissue of 40 HU, voxels of 1 mm, with noise and one vessel through."""
    hu = np.full((56, 96, 120), 40.0)
    lungs = np.zeros(hu.shape, dtype=np.uint8)
    lungs[6:50, 20:76, 4:60], lungs[6:50, 20:76, 60:116] = Side.RIGHT, Side.LEFT
    hu[lungs > 0] = -850.0
    hu[:, 46:50, :] = np.where(lungs[:, 46:50, :] > 0, 120.0, hu[:, 46:50, :])
    rng = np.random.default_rng(0)
    for plane in hu:
        plane += noise_plane(ScanNoise(20.0, 0.7), plane.shape, rng)
    geometry = Geometry(hu.shape[::-1], (1.0, 1.0, 1.0), (-60.0, -40.0, -500.0), IDENTITY)
    return CtVolume(np.rint(hu).astype(np.int16), geometry, geometry, name="block"), lungs


def core(mask, steps=3):
    return ndimage.binary_erosion(mask, iterations=steps)


def test_same_specification_gives_the_same_bits_and_another_seed_others(healthy):
    spec = SimulatedLesionsSpec(MIXED, Position.ANY, 3, 5.0, seed=7)
    first, second = (simulate_lesions(healthy.volume, healthy.lungs, spec) for _ in range(2))
    other = simulate_lesions(healthy.volume, healthy.lungs, replace(spec, seed=8))
    assert np.array_equal(first.volume.hu, second.volume.hu)
    assert first.lesions == second.lesions
    assert not np.array_equal(first.truth, other.truth)


@pytest.mark.parametrize("kind", LesionKind)
@pytest.mark.parametrize("burden", [1.0, 12.0, 60.0])
def test_truth_lies_in_the_lungs_and_covers_what_was_asked_for(healthy, kind, burden):
    spec = SimulatedLesionsSpec(kind, Position.ANY, 3, burden, seed=1)
    laid_in = simulate_lesions(healthy.volume, healthy.lungs, spec)
    percent = 100 * np.count_nonzero(laid_in.truth) / np.count_nonzero(healthy.lungs)
    assert percent == pytest.approx(burden, rel=0.2)
    assert not laid_in.truth[healthy.lungs == 0].any()
    assert sum(lesion.voxels for lesion in laid_in.lesions) == np.count_nonzero(laid_in.truth)
    assert laid_in.truth_ml == pytest.approx(np.count_nonzero(laid_in.truth) * healthy.volume.geometry.voxel_ml)


def test_nothing_changes_farther_than_the_seam_from_the_lungs(block):
    volume, lungs = block
    laid_in = simulate_lesions(volume, lungs, SimulatedLesionsSpec(SOLID, Position.PLEURAL, 6, 25.0, seed=3))
    near = ndimage.distance_transform_edt(lungs == 0) <= 2.0
    changed = laid_in.volume.hu != volume.hu
    assert changed[lungs > 0].any()
    assert not changed[(lungs == 0) & ~near].any()


@pytest.mark.slow
def test_number_of_lesions_is_kept_where_they_can_hold_the_burden(healthy):
    for count in (1, 8):
        laid_in = simulate_lesions(
            healthy.volume, healthy.lungs, SimulatedLesionsSpec(GLASS, Position.ANY, count, 1.0, seed=5)
        )
        assert len(laid_in.lesions) == count
    laid_in = simulate_lesions(
        healthy.volume, healthy.lungs, SimulatedLesionsSpec(GLASS, Position.ANY, 1, 30.0, seed=5)
    )
    assert len(laid_in.lesions) > 5
    assert all(4.99 <= lesion.diameter_mm <= 60.01 for lesion in laid_in.lesions)


@pytest.mark.parametrize(("kind", "low", "high"), [(GLASS, -700, -400), (SOLID, -50, 50)])
def test_inside_of_a_lesion_is_as_dense_as_it_says(block, kind, low, high):
    volume, lungs = block
    laid_in = simulate_lesions(volume, lungs, SimulatedLesionsSpec(kind, Position.CENTRAL, 1, 10.0, seed=4))
    (lesion,) = laid_in.lesions
    aim = lesion.ground_glass_hu if kind is GLASS else lesion.consolidation_hu
    inside = core(laid_in.truth, 5) & (volume.hu < -700)
    assert low <= aim <= high
    assert laid_in.volume.hu[inside].mean() == pytest.approx(aim, abs=45)


def test_mixed_lesion_has_a_dense_core_in_ground_glass(block):
    volume, lungs = block
    laid_in = simulate_lesions(volume, lungs, SimulatedLesionsSpec(MIXED, Position.CENTRAL, 1, 15.0, seed=2))
    changed = laid_in.volume.hu[laid_in.truth & (volume.hu < -700)]
    assert (changed > -150).mean() > 0.1
    assert ((changed > -750) & (changed < -350)).mean() > 0.3
    depth = ndimage.distance_transform_edt(laid_in.truth)
    dense = laid_in.truth & (laid_in.volume.hu > -150) & (volume.hu < -700)
    assert depth[dense].mean() > depth[laid_in.truth].mean()


def test_vessels_stay_visible_in_ground_glass(block):
    volume, lungs = block
    laid_in = simulate_lesions(volume, lungs, SimulatedLesionsSpec(GLASS, Position.ANY, 6, 30.0, seed=6))
    vessel = laid_in.truth & (volume.hu > 50)
    assert vessel.sum() > 100
    assert np.array_equal(laid_in.volume.hu[vessel], volume.hu[vessel])


def test_edge_of_a_lesion_is_not_hard(block):
    volume, lungs = block
    laid_in = simulate_lesions(volume, lungs, SimulatedLesionsSpec(SOLID, Position.CENTRAL, 1, 8.0, seed=9))
    added = ndimage.gaussian_filter1d(laid_in.volume.hu - volume.hu.astype(float), 0.6, axis=0)
    inside = added[core(laid_in.truth, 4)].mean()
    border = laid_in.truth & ~core(laid_in.truth, 1) & (volume.hu < -700) & core(lungs > 0, 4)
    assert 0.4 * inside < added[border].mean() < 0.9 * inside
    outside = ndimage.binary_dilation(laid_in.truth) & ~laid_in.truth & (volume.hu < -700)
    assert 0.05 * inside < added[outside].mean() < 0.5 * inside


def test_consolidation_has_the_noise_of_the_scan(block):
    volume, lungs = block
    laid_in = simulate_lesions(volume, lungs, SimulatedLesionsSpec(SOLID, Position.CENTRAL, 1, 12.0, seed=4))
    inside = core(laid_in.truth, 5) & ~ndimage.binary_dilation(volume.hu > 50, iterations=7)
    rest = laid_in.volume.hu - ndimage.gaussian_filter(laid_in.volume.hu.astype(float), (0, 2, 2))
    tissue = volume.hu - ndimage.gaussian_filter(volume.hu.astype(float), (0, 2, 2))
    expected = tissue[:, 80:94, 5:-5].std()
    assert inside.sum() > 1000
    assert rest[inside].std() == pytest.approx(expected, rel=0.15)


def test_lesions_lie_where_they_are_asked_for(healthy):
    geometry = healthy.volume.geometry
    depth = ndimage.distance_transform_edt(np.pad(healthy.lungs > 0, 1), sampling=geometry.spacing_kji)[
        1:-1, 1:-1, 1:-1
    ]

    def depths_and_radii(position):
        laid_in = simulate_lesions(healthy.volume, healthy.lungs, SimulatedLesionsSpec(GLASS, position, 8, 2.0, seed=3))
        to_ijk = np.linalg.inv(geometry.ijk_to_lps)
        for lesion in laid_in.lesions:
            i, j, k, _ = np.rint(to_ijk @ [*lesion.centre_mm, 1]).astype(int)
            yield depth[k, j, i], lesion.diameter_mm / 2

    assert all(mm >= radius for mm, radius in depths_and_radii(Position.CENTRAL))
    assert all(mm <= max(0.6 * radius, 3) + 3 for mm, radius in depths_and_radii(Position.PLEURAL))


@pytest.mark.slow
def test_lesion_does_not_reach_into_the_other_lung(block):
    volume, lungs = block
    for seed in range(8):
        laid_in = simulate_lesions(volume, lungs, SimulatedLesionsSpec(SOLID, Position.ANY, 1, 8.0, seed=seed))
        if len(laid_in.lesions) == 1:
            assert len(np.unique(lungs[laid_in.truth])) == 1


def test_centre_is_told_in_world_coordinates(block):
    volume, lungs = block
    laid_in = simulate_lesions(volume, lungs, SimulatedLesionsSpec(SOLID, Position.CENTRAL, 1, 6.0, seed=1))
    middle = np.argwhere(laid_in.truth).mean(axis=0)[::-1] + volume.geometry.origin_mm
    assert laid_in.lesions[0].centre_mm == pytest.approx(middle, abs=4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"burden_percent": 90.0}, "90 % is not between"),
        ({"burden_percent": float("nan")}, "is not between"),
        ({"count": 0}, "0 lesions"),
        ({"seed": -1}, "seed -1 is negative"),
    ],
)
def test_specification_that_cannot_be_laid_in_is_refused(change, message):
    fields = {"kind": GLASS, "position": Position.ANY, "count": 1, "burden_percent": 5.0, "seed": 0} | change
    with pytest.raises(InputError, match=message):
        SimulatedLesionsSpec(**fields)


def test_lungs_that_do_not_fit_are_refused(block):
    volume, lungs = block
    spec = SimulatedLesionsSpec(GLASS, Position.ANY, 1, 5.0, 0)
    with pytest.raises(InputError, match="do not match"):
        simulate_lesions(volume, lungs[1:], spec)
    with pytest.raises(InputError, match="empty"):
        simulate_lesions(volume, np.zeros_like(lungs), spec)


def test_plan_spreads_burdens_kinds_positions_and_numbers():
    specs = plan_simulated_lesions(36, seed=4)
    burdens = np.array([spec.burden_percent for spec in specs])
    edges = np.geomspace(1, 60, 37)
    assert ((burdens >= edges[:-1] - 1e-3) & (burdens <= edges[1:] + 1e-3)).all()
    for values, of in ((LesionKind, "kind"), (PLANNED_POSITIONS, "position"), (COUNTS, "count")):
        found = [getattr(spec, of) for spec in specs]
        assert {value: found.count(value) for value in found} == dict.fromkeys(values, 36 // len(tuple(values)))
    assert plan_simulated_lesions(36, seed=4) == specs
    assert plan_simulated_lesions(36, seed=5) != specs
    assert len({spec.seed for spec in specs}) == 36


def test_plan_of_single_lesions_spreads_volumes_kinds_and_positions():
    specs = plan_single_lesions(42, seed=4)
    edges = np.geomspace(2, 25, 43)
    volumes = np.array([spec.volume_ml for spec in specs])
    assert ((volumes >= edges[:-1] - 1e-3) & (volumes <= edges[1:] + 1e-3)).all()
    for values, of in ((LesionKind, "kind"), (SINGLE_POSITIONS, "position")):
        found = [getattr(spec, of) for spec in specs]
        assert {value: found.count(value) for value in found} == dict.fromkeys(values, 42 // len(tuple(values)))
    assert plan_single_lesions(42, seed=4) == specs != plan_single_lesions(42, seed=5)


@pytest.mark.parametrize("plan", [plan_simulated_lesions, plan_single_lesions])
@pytest.mark.parametrize(("count", "seed"), [(0, 0), (1001, 0), (3, -1)])
def test_plan_that_makes_no_sense_is_refused(plan, count, seed):
    with pytest.raises(InputError):
        plan(count, seed)


def test_truth_tells_consolidation_from_ground_glass(block):
    volume, lungs = block
    for kind, opacities in ((GLASS, {1}), (SOLID, {2}), (MIXED, {1, 2})):
        laid_in = simulate_lesions(volume, lungs, SimulatedLesionsSpec(kind, Position.CENTRAL, 1, 15.0, seed=2))
        assert set(np.unique(laid_in.labels[laid_in.truth]).tolist()) == opacities
        air = volume.hu < -700
        for opacity, (low, high) in ((Opacity.GROUND_GLASS, (-720, -300)), (Opacity.CONSOLIDATION, (-200, 80))):
            voxels = core(laid_in.labels == opacity, 2) & air
            assert not voxels.any() or low < laid_in.volume.hu[voxels].mean() < high
        assert sum(laid_in.opacity_ml(o) for o in Opacity) == pytest.approx(laid_in.truth_ml)


def test_consolidation_hides_the_ground_glass_of_an_earlier_lesion(block):
    volume, lungs = block
    canvas = Canvas(volume, lungs)
    centre = np.array([28, 35, 30])
    rng = np.random.default_rng(0)
    for kind, glass, solid in ((GLASS, -600.0, None), (SOLID, None, 0.0)):
        lesion = SimulatedLesion(kind, (0.0, 0.0, 0.0), (9.0, 9.0, 9.0), glass, solid)
        added = canvas.paint(lesion, centre, rng)
    assert canvas.labels[tuple(centre)] == Opacity.CONSOLIDATION
    assert added < np.count_nonzero(canvas.labels == Opacity.CONSOLIDATION)


@pytest.mark.slow
@pytest.mark.parametrize("position", SINGLE_POSITIONS)
def test_single_lesion_has_its_size_wherever_it_lies(healthy, position):
    found = []
    for seed in range(3):
        laid_in = simulate_lesions(
            healthy.volume, healthy.lungs, SingleLesionSpec(SOLID, position, 12.0, seed), healthy.lobes
        )
        assert len(laid_in.lesions) == 1
        found.append(laid_in.truth_ml)
    assert np.mean(found) == pytest.approx(12.0, rel=0.25)


@pytest.mark.slow
def test_single_lesions_lie_against_what_they_are_asked_to(healthy):
    lungs, (k, _, i) = healthy.lungs, np.indices(healthy.lungs.shape)
    right = lungs == Side.RIGHT
    heights = np.flatnonzero(right.any(axis=(1, 2)))
    level = (k - heights[0]) / np.ptp(heights)

    def places(position):
        chosen = Places(lungs, healthy.volume.geometry, healthy.lobes)
        own = chosen.voxels[chosen.at(position, 10.0)]
        own = own[right[tuple(own.T)]]
        assert len(own) > 5
        return tuple(own.T)

    def steps_out(voxels, axis, step):
        """Voxels until the lung ends along an axis."""
        steps, inside = np.zeros(len(voxels[0]), int), np.ones(len(voxels[0]), bool)
        at = [*voxels]
        while inside.any():
            at[axis] = np.clip(at[axis] + step, 0, lungs.shape[axis] - 1)
            inside &= lungs[tuple(at)] > 0
            steps += inside
        return steps

    assert level[places(Position.APEX)].min() > 0.85
    assert level[places(Position.DIAPHRAGM)].max() < 0.55
    down, up = (steps_out(places(Position.DIAPHRAGM), 0, step) for step in (-1, 1))
    assert np.median(down) < np.median(up)
    medial = steps_out(places(Position.MEDIASTINUM), 2, 1)
    assert np.median(medial * 3.0) < 9
    assert i[places(Position.MEDIASTINUM)].mean() > i[places(Position.CHEST_WALL)].mean()
    hilum = places(Position.HILUM)
    assert 0.2 < level[hilum].min() < level[hilum].max() < 0.85
    assert i[hilum].mean() > i[right].mean()
    parted = ndimage.maximum_filter(healthy.lobes, 5) != ndimage.minimum_filter(
        np.where(healthy.lobes > 0, healthy.lobes, 9), 5
    )
    assert parted[places(Position.FISSURE)].all()


def test_place_that_these_lungs_do_not_have_is_refused(healthy, block):
    spec = SingleLesionSpec(GLASS, Position.FISSURE, 5.0, 0)
    with pytest.raises(InputError, match="no lobes were given"):
        simulate_lesions(healthy.volume, healthy.lungs, spec)
    with pytest.raises(InputError, match="have no place for a lesion at: fissure"):
        simulate_lesions(healthy.volume, healthy.lungs, spec, np.zeros_like(healthy.lungs))
    with pytest.raises(InputError, match="lobes"):
        simulate_lesions(healthy.volume, healthy.lungs, spec, healthy.lobes[1:])


@pytest.mark.parametrize(
    ("change", "message"), [({"volume_ml": 0.1}, "0.1 ml is not between"), ({"seed": -1}, "seed -1 is negative")]
)
def test_single_lesion_that_makes_no_sense_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        SingleLesionSpec(**({"kind": GLASS, "position": Position.APEX, "volume_ml": 5.0, "seed": 0} | change))


@pytest.mark.parametrize("noise", [ScanNoise(12.0, 0.0), ScanNoise(30.0, 0.7), ScanNoise(20.0, 1.2)])
def test_noise_and_its_grain_are_measured_in_soft_tissue(noise):
    rng = np.random.default_rng(1)
    hu = np.full((16, 128, 128), 45.0)
    hu[:, :40] = -850.0
    for plane in hu:
        plane += noise_plane(noise, plane.shape, rng)
    geometry = Geometry(hu.shape[::-1], (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), IDENTITY)
    found = estimate_noise(CtVolume(np.rint(hu).astype(np.int16), geometry, geometry))
    assert found.sd_hu == pytest.approx(noise.sd_hu, rel=0.1)
    assert found.grain_px == pytest.approx(noise.grain_px, abs=0.25)


def test_without_soft_tissue_the_noise_counts_as_typical():
    geometry = Geometry((40, 40, 20), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), IDENTITY)
    assert estimate_noise(CtVolume(np.full((20, 40, 40), -850, np.int16), geometry, geometry)) == TYPICAL
