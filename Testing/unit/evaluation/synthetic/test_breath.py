"""A chest in another breath: less volume, the same mass, and a known way back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from CovidSeverityLib import InputError
from CovidSeverityLib.evaluation.synthetic.breath import BreathSpec, breathe

SPEC = BreathSpec(less_percent=10.0, random_mm=0.0, noise_hu=0.0, seed=1)


@pytest.fixture(scope="module")
def lungs(tiny_chest):
    return tiny_chest.lungs


@pytest.fixture(scope="module")
def breathed(tiny_chest, lungs):
    return breathe(tiny_chest.volume, lungs, SPEC)


def test_lungs_hold_a_tenth_less(breathed, tiny_chest, lungs):
    carried = breathed[1].carried((lungs > 0).astype(np.float32), tiny_chest.volume.geometry, sitk.sitkLinear)
    assert carried.sum() / np.count_nonzero(lungs) == pytest.approx(0.9, abs=0.02)


def test_mass_of_the_lungs_stays(breathed, tiny_chest, lungs):
    deep = ndimage.binary_erosion(lungs > 0).astype(np.float32)  # away from walls, which large voxels mix in
    carried = breathed[1].carried(deep, tiny_chest.volume.geometry, sitk.sitkLinear)
    before = (deep * (tiny_chest.volume.hu / 1000.0 + 1)).sum()
    after = (carried * (breathed[0].hu / 1000.0 + 1)).sum()
    assert carried.sum() < 0.92 * deep.sum()
    assert after == pytest.approx(before, rel=0.04)


def test_slices_under_the_old_scan_are_left_out(breathed, tiny_chest):
    volume, breath = breathed
    assert volume.hu.shape[0] == tiny_chest.volume.hu.shape[0] - breath.first
    assert breath.first > 0
    assert volume.geometry.slice_z_mm()[0] == pytest.approx(tiny_chest.volume.geometry.slice_z_mm()[breath.first])


def test_same_specification_gives_the_same_bits(breathed, tiny_chest, lungs):
    noisy = replace(SPEC, noise_hu=8.0, random_mm=2.0)
    first, again = (breathe(tiny_chest.volume, lungs, noisy)[0].hu for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, breathed[0].hu)


@pytest.mark.parametrize("wrong", [{"less_percent": 50.0}, {"less_percent": -1.0}, {"noise_hu": -1.0}, {"seed": -1}])
def test_impossible_breath_is_refused(wrong):
    with pytest.raises(InputError, match=r"is not between 0 and 40|cannot be negative"):
        replace(SPEC, **wrong)
