"""Consolidation as regions of smoothed density, not as single voxels."""

import numpy as np
import pytest

from CovidSeverityLib.segmentation.opacity.volumetric.config import OpacityConfig
from CovidSeverityLib.segmentation.opacity.volumetric.consolidation import opacity_regions
from CovidSeverityLib.segmentation.opacity.volumetric.single_slices import slice_opacity_regions
from CovidSeverityLib.types import Geometry, Opacity

SPACING = (2.0, 1.0, 1.0)
SHAPE = (30, 70, 70)
GEOMETRY = Geometry(SHAPE[::-1], SPACING[::-1], (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
SLICES, ROWS, COLUMNS = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]


def ball(radius_mm, centre=(15, 35, 35)):
    parts = ((axis - c) * mm for axis, c, mm in zip((SLICES, ROWS, COLUMNS), centre, SPACING, strict=True))
    return sum(part**2 for part in parts) < radius_mm**2


def labelled(hu, infected=None, regions=opacity_regions):
    infected = ball(28) if infected is None else infected
    return regions(np.rint(hu).astype(np.int16), infected, GEOMETRY), infected


def test_noise_in_ground_glass_is_no_mosaic():
    hu = np.random.default_rng(0).normal(-400, 120, SHAPE)
    labels, infected = labelled(hu)
    assert (hu[infected] > -200).mean() > 0.03
    np.testing.assert_array_equal(labels, infected * np.uint8(Opacity.GROUND_GLASS))


def test_solid_core_is_one_region_in_noise():
    core = ball(12)
    hu = np.random.default_rng(0).normal(np.where(core, 20, -550), 120)
    labels, _ = labelled(hu)
    solid = labels == Opacity.CONSOLIDATION
    assert np.count_nonzero(solid & core) > 0.8 * np.count_nonzero(core)
    assert np.count_nonzero(solid) == pytest.approx(np.count_nonzero(core), rel=0.2)


def test_vessels_in_ground_glass_are_part_of_it():
    hu = np.where((ROWS - 35) ** 2 + (COLUMNS - 35) ** 2 < 2**2, 40, np.full(SHAPE, -600))
    assert not (labelled(hu)[0] == Opacity.CONSOLIDATION).any()


def test_air_around_an_opacity_does_not_thin_it():
    infected = ball(8)
    labels, _ = labelled(np.where(infected, 0, -900), infected)
    assert (labels[infected] == Opacity.CONSOLIDATION).all()


def test_specks_are_not_told_apart():
    radius = 0.8 * (750 * OpacityConfig().smallest_ml / np.pi) ** (1 / 3)
    assert not (labelled(np.where(ball(radius), 600, -600))[0] == Opacity.CONSOLIDATION).any()


def test_every_slice_by_itself_where_slices_are_no_stack():
    hu = np.where(SLICES == 15, 0, np.full(SHAPE, -600))
    together, infected = labelled(hu)
    alone, _ = labelled(hu, regions=slice_opacity_regions)
    assert not (together == Opacity.CONSOLIDATION).any()
    np.testing.assert_array_equal(alone == Opacity.CONSOLIDATION, infected & (SLICES == 15))


def test_nothing_infected_gives_nothing():
    assert not labelled(np.zeros(SHAPE), np.zeros(SHAPE, bool))[0].any()
