"""Opacities of the default profile: found by density and thickness in millimetres, told from vessels and borders."""

from dataclasses import replace

import numpy as np
import pytest

from CovidSeverityLib.preprocessing.grid import WorkingGrid
from CovidSeverityLib.segmentation.airway_walls import AirwayWallConfig, without_airway_walls
from CovidSeverityLib.segmentation.calibre import grown_by, lasting, thicker_than, vessel_radius_mm
from CovidSeverityLib.segmentation.lesion_config import LesionConfig
from CovidSeverityLib.segmentation.lesions import segment_lesions
from CovidSeverityLib.segmentation.parenchyma import aerated_density, excess_density
from CovidSeverityLib.segmentation.tubes import TubeConfig, without_tubes
from CovidSeverityLib.types import Geometry

AERATED, GLASS, BLOOD, TISSUE = -850.0, -600.0, 40.0, 40.0
FIELD_MM = (120.0, 160.0, 240.0)
"""Height, depth and width of the made-up chest: two blocks of lung in tissue."""


class Chest:
    """Two lungs of 100 x 140 x 90 mm with a mediastinum of 40 mm between them, on voxels of a given size."""

    def __init__(self, spacing_kji=(2.0, 1.2, 1.2), noise_hu=0.0):
        self.spacing = spacing_kji
        shape = tuple(round(f / mm) for f, mm in zip(FIELD_MM, spacing_kji, strict=True))
        self.k, self.j, self.i = np.ogrid[tuple(slice(0.0, n) for n in shape)]
        self.k, self.j, self.i = (
            (axis + 0.5) * mm for axis, mm in zip((self.k, self.j, self.i), spacing_kji, strict=True)
        )
        inside = (np.abs(self.k - 60) < 50) & (np.abs(self.j - 80) < 70)
        self.lung = inside & ((np.abs(self.i - 55) < 45) | (np.abs(self.i - 185) < 45))
        self.hu = np.where(self.lung, AERATED, TISSUE)
        self.noise = np.random.default_rng(0).normal(0, noise_hu, shape) if noise_hu else 0.0
        self.geometry = Geometry(shape[::-1], spacing_kji[::-1], (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))

    def ball(self, centre, radius):
        return (self.k - centre[0]) ** 2 + (self.j - centre[1]) ** 2 + (self.i - centre[2]) ** 2 < radius**2

    def rod(self, centre, radius, axis):
        parts = [self.k - centre[0], self.j - centre[1], self.i - centre[2]]
        del parts[axis]
        return (parts[0] ** 2 + parts[1] ** 2 < radius**2) & self.lung

    def fill(self, mask, hu):
        self.hu = np.where(mask & self.lung, hu, self.hu)
        return mask & self.lung

    def found(self, config=LesionConfig(), progress=None):
        hu = np.clip(np.rint(self.hu + self.noise), -1024, 3000).astype(np.int16)
        return segment_lesions(hu, self.lung, self.geometry, config, progress)

    def ml(self, mask):
        return np.count_nonzero(mask) * self.geometry.voxel_ml


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


PERIPHERAL, CENTRAL = (60, 110, 40), (60, 80, 85)


@pytest.mark.parametrize("hu", [-700, GLASS, -300, BLOOD])
@pytest.mark.parametrize("centre", [PERIPHERAL, CENTRAL])
def test_ball_of_any_density_is_found_to_its_edge(hu, centre):
    chest = Chest(noise_hu=25)
    truth = chest.fill(chest.ball(centre, 14), hu)
    assert dice(chest.found(), truth) > 0.88


def test_healthy_lung_is_left_empty():
    assert not Chest(noise_hu=40).found().any()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("centre", "radius"), [((60, 80, 30), 2.0), ((60, 80, 60), 3.5), ((60, 80, 88), 5.0)])
def test_vessels_are_left_alone_as_thick_as_they_are_there(axis, centre, radius):
    chest = Chest(noise_hu=15)
    chest.fill(chest.rod(centre, radius, axis), BLOOD)
    assert chest.ml(chest.found()) < 0.02 * chest.ml(chest.rod(centre, radius, axis))


def test_vessel_inside_a_lesion_is_part_of_it():
    chest = Chest()
    truth = chest.fill(chest.ball(PERIPHERAL, 15), GLASS)
    chest.fill(chest.rod(PERIPHERAL, 1.5, 0) & truth, BLOOD)
    assert dice(chest.found(), truth) > 0.88


def test_small_specks_go_and_a_lesion_of_a_centimetre_stays():
    chest = Chest()
    chest.fill(chest.ball((40, 60, 40), 2.5), BLOOD)
    assert not chest.found().any()
    truth = chest.fill(chest.ball(PERIPHERAL, 6), GLASS)
    assert dice(chest.found(), truth) > 0.7


def test_blurred_border_of_the_lung_is_no_opacity():
    chest = Chest()
    chest.hu = np.where(chest.lung & ~np.roll(chest.lung, 1, axis=0), -500, chest.hu)  # the dome, cut by a slice
    chest.hu = np.where(chest.lung & ~np.roll(chest.lung, -1, axis=1), -600, chest.hu)
    assert not chest.found().any()


def test_opacity_at_the_pleura_reaches_it():
    chest = Chest()
    truth = chest.fill(chest.ball((60, 148, 45), 14), GLASS)
    found = chest.found()
    assert dice(found, truth) > 0.85
    rear = int(np.flatnonzero(chest.lung.any(axis=(0, 2)))[-1])
    assert found[:, rear].any()


@pytest.mark.parametrize(
    "spacing", [(2.0, 0.7, 0.7), (2.0, 1.5, 1.5), (1.0, 1.2, 1.2), (5.0, 1.0, 1.0), (8.0, 1.2, 1.2)]
)
def test_volume_does_not_depend_on_the_voxels(spacing):
    volumes = []
    for mm in (spacing, (2.0, 1.2, 1.2)):
        chest = Chest(mm)
        truth = chest.fill(chest.ball(PERIPHERAL, 16), GLASS)
        volumes.append(chest.ml(chest.found()) / chest.ml(truth))
    assert volumes[0] == pytest.approx(volumes[1], rel=0.15)


def test_found_lies_inside_the_lung_and_the_same_bits_come_again():
    chest = Chest(noise_hu=30)
    chest.fill(chest.ball(PERIPHERAL, 14), GLASS)
    first = chest.found()
    assert not (first & ~chest.lung).any()
    np.testing.assert_array_equal(first, chest.found())


def test_progress_runs_to_its_end():
    calls = []
    Chest().found(progress=lambda *call: calls.append(call))
    assert calls[0] == ("infection", 0, 2)
    assert calls[-1] == ("infection", 2, 2)


@pytest.mark.parametrize("step", ["remove_vessels", "open_volume", "grow", "fill_holes"])
def test_every_step_can_be_left_out(step):
    chest = Chest()
    truth = chest.fill(chest.ball(PERIPHERAL, 15), -450)
    chest.fill(chest.rod((60, 80, 185), 3.0, 0), BLOOD)
    chest.fill(chest.ball((40, 50, 40), 3.2), -400)
    chest.fill(chest.ball(PERIPHERAL, 5) & truth, AERATED)
    assert (chest.found() != chest.found(replace(LesionConfig(), **{step: False}))).any()


def test_aerated_density_follows_gravity():
    j = np.arange(80)
    inside = np.ones((6, 80, 70), dtype=bool)
    hu = np.random.default_rng(1).normal(0, 15, inside.shape) + (-880 + 0.6 * j)[None, :, None]
    found = aerated_density(hu.astype(np.float32), inside)
    np.testing.assert_allclose(found[10:70], (-880 + 0.6 * j)[10:70], atol=10)


def test_aerated_density_is_that_of_what_is_left_where_most_is_ground_glass():
    random = np.random.default_rng(2)
    hu = random.normal(-860, 20, (6, 80, 70))
    hu[:, 30:] = random.normal(-640, 20, (6, 50, 70))
    assert np.abs(aerated_density(hu.astype(np.float32), np.ones(hu.shape, dtype=bool)) + 860).max() <= 70


def test_excess_is_zero_outside_the_lung_and_in_plain_lung():
    chest = Chest()
    density = excess_density(chest.hu.astype(np.int16), chest.lung, WorkingGrid.of(chest.geometry), 0.7)
    assert np.abs(density.excess_hu[density.lung]).max() < 12
    assert (density.excess_hu[~density.lung] == 0).all()


def test_what_holds_a_disc_stays_and_the_rest_goes():
    j, i = np.ogrid[:60, :80]
    mask = ((j - 30) ** 2 + (i - 25) ** 2 < 10**2) | ((np.abs(j - 30) < 3) & (i > 20))
    (thick,) = thicker_than(mask[None], 6.0, (1.0, 1.0))
    assert not thick[:, 40:].any()
    assert dice(thick, (j - 30) ** 2 + (i - 25) ** 2 < 10**2) > 0.95
    assert not thicker_than(mask[None], 11.0, (1.0, 1.0)).any()
    np.testing.assert_array_equal(thicker_than(thick[None], 6.0, (1.0, 1.0))[0], thick)


def test_disc_is_measured_in_millimetres():
    j, i = np.ogrid[:40, :120]
    mask = ((j * 2.0 - 40) ** 2 + (i * 0.7 - 42) ** 2 < 12**2)[None]
    assert thicker_than(mask, 10.5, (2.0, 0.7)).any()
    assert not thicker_than(mask, 13.5, (2.0, 0.7)).any()


def test_vessels_may_be_thick_at_the_mediastinum_and_thin_at_the_chest_wall():
    chest = Chest()
    radius = vessel_radius_mm(chest.lung, chest.spacing[1:])
    k, j = 30, 66
    across = radius[k, j, chest.lung[k, j] & (np.arange(chest.lung.shape[2]) * 1.2 < 110)]
    assert across[0] == pytest.approx(2.0, abs=0.3)
    assert across[-1] > 4.5
    assert (np.diff(across[:20]) >= 0).all()


def test_growing_is_measured_in_millimetres():
    mask = np.zeros((1, 41, 41), dtype=bool)
    mask[0, 20, 20] = True
    grown = grown_by(mask, 6.0, (2.0, 1.0))[0]
    assert (grown[:, 20].sum(), grown[20].sum()) == (7, 13)


@pytest.mark.parametrize(
    ("shape", "hu", "stays"),
    [("rod", BLOOD, False), ("ball", BLOOD, True), ("rod", -500.0, True), ("thick rod", BLOOD, True)],
)
def test_tubes_of_blood_go_and_everything_else_stays(shape, hu, stays):
    chest = Chest((2.0, 1.5, 1.5))
    centre = (60, 80, 55)
    mask = {"rod": chest.rod(centre, 5, 0), "ball": chest.ball(centre, 6.5), "thick rod": chest.rod(centre, 9, 0)}[
        shape
    ]
    mask = mask & (np.abs(chest.k - 60) < 30)
    values = np.where(mask, hu, AERATED).astype(np.float32)
    kept = without_tubes(mask, values, values - np.float32(AERATED), chest.spacing)
    np.testing.assert_array_equal(kept, mask if stays else np.zeros_like(mask))


def test_wall_around_a_lumen_goes_and_opacities_with_air_bronchograms_stay():
    chest = Chest((2.0, 1.0, 1.0), noise_hu=15)
    truth = chest.fill(chest.ball((60, 90, 185), 20), BLOOD)
    chest.fill(chest.rod((60, 90, 185), 2.0, 0) & truth, -980)
    near_chest_wall = (60, 90, 18)
    bundle = chest.fill(chest.rod(near_chest_wall, 7.0, 0), BLOOD)
    chest.fill(chest.rod(near_chest_wall, 3.0, 0), -980)
    config = LesionConfig(tubes=TubeConfig(blob_ratio=0.0))  # a straight one is a tube, too
    found, with_walls = chest.found(config), chest.found(replace(config, remove_airway_walls=False))
    assert dice(found & ~bundle, truth) > 0.9
    assert chest.ml(with_walls & bundle) > 0.2 * chest.ml(bundle)
    assert chest.ml(found & bundle) < 0.02 * chest.ml(bundle)


def test_dark_pocket_wider_than_a_bronchus_is_no_lumen():
    j, i = np.ogrid[:80, :80]
    distance = np.hypot(j - 40, i - 40)
    for lumen_mm, stays in ((4, False), (12, True)):
        wall = ((distance >= lumen_mm) & (distance < lumen_mm + 6))[None]
        hu = np.where(wall, 0, -950).astype(np.float32)
        kept = without_airway_walls(wall, hu, np.full(hu.shape, np.float32(2.8)), (2.0, 1.0, 1.0))
        assert kept.any() == stays


@pytest.mark.parametrize("slice_mm", [2.0, 8.0])
def test_wall_of_an_oblique_bronchus_goes_also_in_thick_slices(slice_mm):
    chest = Chest((1.0, 1.0, 1.0))
    near_chest_wall = (60, 90, 35)
    distance = np.hypot(chest.j - near_chest_wall[1], (chest.i - near_chest_wall[2] - 0.7 * (chest.k - 60)) / 1.22)
    bundle = chest.fill((distance < 7.5) & (np.abs(chest.k - 60) < 30), -100)
    chest.fill(distance < 2.5, -980)
    slices = int(slice_mm)
    hu, mask = (np.add.reduceat(a, range(0, 120, slices)) / slices for a in (chest.hu, bundle))
    excess, radius = (hu - AERATED).astype(np.float32), np.full(hu.shape, np.float32(2.5))
    dense = thicker_than((mask > 0.5) & (excess > 230), radius, (1.0, 1.0))
    kept = without_airway_walls(dense, hu.astype(np.float32), radius, (slice_mm, 1.0, 1.0))
    assert dense.any()
    assert kept.sum() < 0.1 * dense.sum()


def test_usual_slices_leave_the_lumens_as_they_are_and_thick_ones_make_them_paler():
    config = AirwayWallConfig()
    assert config.for_slices(2.0) == config.for_slices(5.0) == config
    assert config.for_slices(8.0).contrast_hu == pytest.approx(125)
    assert config.for_slices(8.0).lumen_hu == pytest.approx(-587.5)


def test_airway_wall_needs_a_width():
    with pytest.raises(ValueError, match=r"wall_mm is 0; expected more than 0"):
        AirwayWallConfig(wall_mm=0)


@pytest.mark.parametrize(("slice_mm", "shortest"), [(0.8, 5), (1.0, 4), (2.0, 2), (5.0, 2)])
def test_what_does_not_go_on_along_the_axis_goes(slice_mm, shortest):
    mask = np.zeros((16, 4, 4), dtype=bool)
    mask[1 : 1 + shortest, :, 1], mask[10 : 9 + shortest, :, 2] = True, True
    kept = lasting(mask, 4.0, slice_mm)
    np.testing.assert_array_equal(kept[:, :, 1], mask[:, :, 1])
    assert not kept[:, :, 2].any()


def test_haze_of_one_slice_is_a_surface_and_that_of_three_an_opacity():
    chest = Chest()
    level = (chest.k > 58) & (chest.k < 60)
    chest.fill(chest.rod(PERIPHERAL, 15, 0) & level, -680)
    assert not chest.found().any()
    chest.fill(chest.rod(PERIPHERAL, 15, 0) & (np.abs(chest.k - 59) < 4), -680)
    assert chest.found().any()


@pytest.mark.parametrize("step", [None, "rim_mm", "core_radius_mm"])
def test_halo_of_ground_glass_around_a_dense_core_is_found_and_a_blurred_edge_is_not(step):
    chest = Chest(noise_hu=15)
    whole = chest.fill(chest.ball(PERIPHERAL, 19), -710)
    core = chest.fill(chest.ball(PERIPHERAL, 11), TISSUE)
    config = replace(LesionConfig(), **{step: 100.0}) if step else LesionConfig()  # 100 mm: the step finds nothing
    found = chest.found(config)
    halo = whole & ~core
    assert core[found].sum() > 0.9 * core.sum()
    share = (found & halo).sum() / halo.sum()
    assert share < 0.5 if step else share > 0.9
    assert chest.ml(found & ~whole) < 0.05 * chest.ml(whole)


@pytest.mark.parametrize(("core_counts", "least", "most"), [(True, 0.4, 1.0), (False, 0.0, 0.1)])
def test_narrow_crescent_of_ground_glass_counts_together_with_what_it_surrounds(core_counts, least, most):
    """A nodule of 7 mm, which may be a vessel to what is faint around it, in denser and in faint ground glass."""
    chest, off_centre = Chest(noise_hu=15), (60, 106, 40)
    whole = chest.fill(chest.ball(PERIPHERAL, 9), -720)
    inner = chest.fill(chest.ball(off_centre, 6), -500)
    chest.fill(chest.ball(off_centre, 3), TISSUE)
    config = LesionConfig() if core_counts else replace(LesionConfig(), core_radius_mm=7.0)
    crescent = whole & ~inner
    assert least <= (chest.found(config) & crescent).sum() / crescent.sum() <= most
