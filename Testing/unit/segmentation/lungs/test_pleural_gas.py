"""A pneumothorax is warned of, with the side and the numbers that it spoils; emphysema is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from CovidSeverityLib import analyze
from CovidSeverityLib.morphology.grid import WorkingGrid, dilate_mm
from CovidSeverityLib.preprocessing.thorax import body_mask
from CovidSeverityLib.segmentation.lungs.airways import airway_mask
from CovidSeverityLib.segmentation.lungs.config import LungConfig
from CovidSeverityLib.segmentation.lungs.lung_segmentation import segment_lungs
from CovidSeverityLib.segmentation.lungs.pleural_gas import pleural_gas
from CovidSeverityLib.types import Side

LEAST_ML = LungConfig().pleural_gas.smallest_ml

CODE = "pneumothorax"


def collapsed(volume, lungs, side, scale):
    """The CT with one lung shrunk towards its hilum and denser for it, gas in its stead; and that gas, ml."""
    own = lungs == side
    places = np.argwhere(own)
    (k0, j0, i0), (k1, j1, i1) = places.min(axis=0), places.max(axis=0)
    hilum = np.array([(k0 + k1) / 2, j0 + 0.8 * (j1 - j0), i1 if side == Side.RIGHT else i0])
    source = hilum[:, None] + (places.T - hilum[:, None]) / scale
    is_lung = ndimage.map_coordinates(own.astype(np.float32), source, order=1) > 0.5
    hu = ndimage.map_coordinates(volume.hu.astype(np.float32), source, order=1, mode="nearest")
    dense = np.minimum((hu + 1000) / scale**3 - 1000, np.maximum(hu, 60))
    gas = np.random.default_rng(5).normal(-1000, 15, len(places))
    values = volume.hu.copy()
    values[own] = np.clip(np.rint(np.where(is_lung, dense, gas)), -1024, 3071)
    return replace(volume, hu=values), np.count_nonzero(~is_lung) * volume.geometry.voxel_ml


def emphysema(volume, lungs, share, hole_mm, thinned=0.6):
    """The CT with lungs of less density and holes in them, vessels left as they are."""
    field = np.random.default_rng(6).normal(size=volume.hu.shape).astype(np.float32)
    field = ndimage.gaussian_filter(field, [hole_mm / mm for mm in volume.geometry.spacing_kji])
    parenchyma = (lungs > 0) & (volume.hu < -700)
    hole = parenchyma & (field > np.quantile(field[lungs > 0], 1 - share))
    values = np.where(parenchyma, -1000 + (volume.hu + 1000.0) * thinned, volume.hu)
    noise = np.random.default_rng(7).normal(-985, 15, volume.hu.shape)
    return replace(volume, hu=np.clip(np.rint(np.where(hole, noise, values)), -1024, 3071).astype(np.int16))


@pytest.mark.slow
@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("scale", [0.85, 0.6])
def test_pneumothorax_is_warned_of_with_its_side_and_what_it_spoils(coarse_phantom, side, scale):
    volume, gas_ml = collapsed(coarse_phantom.volume, coarse_phantom.lungs, side, scale)
    notes = [note for note in analyze(volume).quality if note.code == CODE]
    assert len(notes) == 1
    assert f"{side.name.lower()} half of the chest" in notes[0].message
    assert f"volume, infected share and CTSS of the {side.name.lower()} lung are spoiled" in notes[0].message
    assert 0.5 * gas_ml < float(notes[0].message.split()[2]) < gas_ml


def test_noise_of_a_low_dose_hides_no_pneumothorax(coarse_phantom):
    volume, gas_ml = collapsed(coarse_phantom.volume, coarse_phantom.lungs, Side.LEFT, 0.8)
    size, spacing = volume.geometry.size, volume.geometry.spacing_mm
    halves = replace(
        volume.geometry,
        size=(2 * size[0], 2 * size[1], size[2]),
        spacing_mm=(spacing[0] / 2, spacing[1] / 2, spacing[2]),
    )
    hu, lungs = (a.repeat(2, axis=1).repeat(2, axis=2) for a in (volume.hu, coarse_phantom.lungs))
    noise = np.random.default_rng(8).normal(0, 40, hu.shape)
    found = pleural_gas(np.clip(np.rint(hu + noise), -1024, 3071).astype(np.int16), lungs, halves)
    assert set(found) == {Side.LEFT}
    assert 0.5 * gas_ml < found[Side.LEFT] < gas_ml


def test_gas_counts_whether_the_lungs_hold_it_or_not(coarse_phantom):
    volume, _ = collapsed(coarse_phantom.volume, coarse_phantom.lungs, Side.RIGHT, 0.7)
    whole = pleural_gas(volume.hu, coarse_phantom.lungs, volume.geometry)
    aerated = np.where(volume.hu > -950, coarse_phantom.lungs, np.uint8(0))
    without = pleural_gas(volume.hu, aerated, volume.geometry)
    only_left = np.where(coarse_phantom.lungs == Side.LEFT, coarse_phantom.lungs, np.uint8(0))
    lost = pleural_gas(volume.hu, only_left, volume.geometry)
    assert set(whole) == set(without) == set(lost) == {Side.RIGHT}
    assert without[Side.RIGHT] == pytest.approx(whole[Side.RIGHT], rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_no_synthetic_chest_has_a_pneumothorax(phantom_of, seed):
    phantom = phantom_of(seed, shape=(72, 128, 128), spacing_mm=(3.0, 3.0, 4.4))
    assert pleural_gas(phantom.volume.hu, phantom.lungs, phantom.volume.geometry) == {}


@pytest.mark.parametrize(("share", "hole_mm"), [(0.1, 3.0), (0.3, 3.0), (0.3, 6.0)])
def test_emphysema_is_no_pneumothorax(coarse_phantom, share, hole_mm):
    volume = emphysema(coarse_phantom.volume, coarse_phantom.lungs, share, hole_mm)
    assert (volume.hu[coarse_phantom.lungs > 0] < -950).mean() > 0.9 * share
    assert pleural_gas(volume.hu, coarse_phantom.lungs, volume.geometry) == {}


def test_bulla_in_the_middle_of_a_lung_is_no_pneumothorax(coarse_phantom):
    geometry, lungs = coarse_phantom.volume.geometry, coarse_phantom.lungs
    depth = ndimage.distance_transform_edt(lungs == Side.RIGHT, geometry.spacing_kji)
    centre = np.unravel_index(depth.argmax(), depth.shape)
    apart = (np.indices(depth.shape).T - centre) * geometry.spacing_kji
    bulla = (np.linalg.norm(apart, axis=-1) < min(30.0, depth.max() - 5)).T
    assert np.count_nonzero(bulla) * geometry.voxel_ml > LEAST_ML
    hu = np.where(bulla, np.int16(-1000), coarse_phantom.volume.hu)
    assert pleural_gas(hu, lungs, geometry) == {}


def test_small_bullae_under_the_pleura_are_no_pneumothorax(coarse_phantom):
    geometry, lungs = coarse_phantom.volume.geometry, coarse_phantom.lungs
    depth = ndimage.distance_transform_edt(lungs > 0, geometry.spacing_kji)
    field = np.random.default_rng(9).normal(size=lungs.shape).astype(np.float32)
    field = ndimage.gaussian_filter(field, [3.0 / mm for mm in geometry.spacing_kji])
    bullae = (depth > 0) & (depth < 12) & (field > np.quantile(field, 0.6))
    assert np.count_nonzero(bullae) * geometry.voxel_ml > 5 * LEAST_ML
    assert pleural_gas(np.where(bullae, np.int16(-1000), coarse_phantom.volume.hu), lungs, geometry) == {}


def test_wide_trachea_is_no_pneumothorax(coarse_phantom):
    geometry, lungs, hu = coarse_phantom.volume.geometry, coarse_phantom.lungs, coarse_phantom.volume.hu
    grid = WorkingGrid.of(geometry)
    airway = airway_mask(grid.reduce(hu), body_mask(grid.reduce(hu), grid), grid, LungConfig().airways)
    wide = dilate_mm(airway, 5.0, geometry.spacing_kji) & (lungs == 0)
    assert np.count_nonzero(wide) * geometry.voxel_ml > 1.5 * LEAST_ML
    assert pleural_gas(np.where(wide, np.int16(-1000), hu), lungs, geometry) == {}


@pytest.mark.slow
def test_pneumothorax_of_a_real_chest_is_found(real_ct):
    normal = real_ct("normal001")
    volume, gas_ml = collapsed(normal, segment_lungs(normal).labels, Side.RIGHT, 0.9)
    found = pleural_gas(volume.hu, segment_lungs(volume).labels, volume.geometry)
    assert set(found) == {Side.RIGHT}
    assert 0.4 * gas_ml < found[Side.RIGHT] < gas_ml
