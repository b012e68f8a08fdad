"""The walk down the trachea on tubes in a block of tissue."""

import numpy as np
import pytest

from CovidSeverityLib.morphology.grid import WorkingGrid
from CovidSeverityLib.segmentation.lungs.airways import airway_mask, main_bronchi
from CovidSeverityLib.segmentation.lungs.config import AirwayConfig

CONFIG = AirwayConfig()
SHAPE = (60, 90, 120)
GRID = WorkingGrid(SHAPE, (1, 1, 1), (2.0, 1.5, 1.5))
K, J, I = np.indices(SHAPE)  # noqa: E741 - the axes of the library
BODY = ((J - 45) / 40) ** 2 + ((I - 60) / 55) ** 2 < 1
TUBE_RADIUS_MM = 8.0


def tube(column, rows=45, slices=slice(None), radius_mm=TUBE_RADIUS_MM):
    mask = ((J - rows) ** 2 + (I - column) ** 2) * 1.5**2 < radius_mm**2
    part = np.zeros(SHAPE, dtype=bool)
    part[slices] = mask[slices]
    return part


def chest(*air):
    hu = np.where(BODY, 40.0, -1000.0)
    for mask in air:
        hu[mask] = -990
    return hu.astype(np.float32)


def lungs(slices=slice(0, 45)):
    mask = np.zeros(SHAPE, dtype=bool)
    for column in (25, 95):
        mask |= ((J - 45) / 28) ** 2 + ((I - column) / 15) ** 2 < 1
    mask[slices.stop :] = False
    return mask


TRACHEA = tube(60, slices=slice(30, 60))
SLANT = np.clip((30 - K) * 1.2, 0, None)
BRONCHI = [
    (np.abs(I - (60 + sign * SLANT)) * 1.5 < 6) & (np.abs(J - 45) * 1.5 < 6) & (K < 30) & (K >= 18) for sign in (-1, 1)
]


def test_trachea_and_its_wall_are_found():
    mask = airway_mask(chest(TRACHEA), BODY, GRID, CONFIG)
    assert mask[TRACHEA].all()
    assert not mask[:28].any()
    assert mask[40].sum() * 1.5**2 == pytest.approx(np.pi * (TUBE_RADIUS_MM + 2) ** 2, rel=0.15)


def test_walk_goes_on_into_both_bronchi():
    mask = airway_mask(chest(TRACHEA, *BRONCHI), BODY, GRID, CONFIG)
    for bronchus in BRONCHI:
        assert mask[bronchus].mean() > 0.9


def test_walk_ends_where_it_meets_the_lung():
    aerated = lungs()
    into_lung = (np.abs(J - 45) < 4) & (K == 25) & (np.abs(I - 60) < 40)
    mask = airway_mask(chest(TRACHEA, *BRONCHI, aerated, into_lung), BODY, GRID, CONFIG)
    assert mask[TRACHEA].all()
    assert np.count_nonzero(mask & aerated) < 0.02 * np.count_nonzero(aerated)


def thick(array, slices=4):
    """Slices of 8 mm, as a scanner's are: means over what they cover."""
    return array.reshape(-1, slices, *array.shape[1:]).mean(axis=1, dtype=np.float32)


@pytest.mark.parametrize("shift", range(4))
def test_walk_follows_oblique_bronchi_through_thick_slices(shift):
    level = (np.abs(K - 17) <= 1) & (np.abs(J - 45) * 1.5 < 6) & (I >= 78) & (I < 102)
    hu = thick(np.roll(chest(TRACHEA, *BRONCHI, level), shift, axis=0))
    mask = airway_mask(hu, thick(BODY) > 0.5, WorkingGrid(hu.shape, (1, 1, 1), (8.0, 1.5, 1.5)), CONFIG)
    lumen = thick(np.roll(BRONCHI[0] | BRONCHI[1], shift, axis=0)) > 0.9
    assert lumen.any(axis=(1, 2)).sum() >= 2
    assert mask[lumen].mean() > 0.9


@pytest.mark.parametrize(("slice_mm", "followed"), [(2.0, False), (8.0, True)])
def test_bronchus_that_turns_level_may_grow_in_thick_slices(slice_mm, followed):
    """From 110 to 320 mm2 from one slice to the next."""
    level = (np.abs(J - 45) * 1.5 < 6) & (np.abs(I - 63) * 1.5 < 18) & (K == 28)
    bronchus = (np.abs(J - 45) * 1.5 < 6) & (np.abs(I - 60) * 1.5 < 6) & (K == 29)
    mask = airway_mask(
        chest(TRACHEA, bronchus, level), BODY, WorkingGrid(SHAPE, (1, 1, 1), (slice_mm, 1.5, 1.5)), CONFIG
    )
    assert mask[bronchus].all()
    assert mask[level & (I > 66)].any() == followed


@pytest.mark.parametrize(
    "air",
    [
        tube(60, slices=slice(52, 60)),
        tube(60, slices=slice(30, 60), radius_mm=20),
        tube(60, slices=slice(30, 60), radius_mm=2),
        tube(100, slices=slice(30, 60)),
    ],
    ids=["too short", "too wide", "too narrow", "off the midline"],
)
def test_other_air_is_no_trachea(air):
    assert not airway_mask(chest(air), BODY, GRID, CONFIG).any()


def test_air_outside_the_body_is_no_trachea():
    assert not airway_mask(chest(TRACHEA), BODY & False, GRID, CONFIG).any()


def test_main_bronchi_begin_where_two_branches_are_seen():
    airway = np.zeros((6, 5, 9), dtype=bool)
    airway[3:, 2, 3:6] = True
    airway[:3, 2, 1:3] = airway[:3, 2, 6:8] = True
    bronchi = main_bronchi(airway)
    assert not bronchi[3:].any()
    np.testing.assert_array_equal(bronchi[:3], airway[:3])
    np.testing.assert_array_equal(main_bronchi(airway[3:]), airway[3:])
