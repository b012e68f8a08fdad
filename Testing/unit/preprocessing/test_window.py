"""CTs whose values a display window has cut off."""

from dataclasses import replace

import numpy as np
import pytest

from CovidSeverityLib.preprocessing.config import WindowConfig
from CovidSeverityLib.preprocessing.window import window_top, with_bone
from CovidSeverityLib.segmentation.lungs.lung_segmentation import segment_lungs


@pytest.fixture(scope="module")
def chest(phantom_of):
    return phantom_of(3, shape=(72, 160, 160), spacing_mm=(2.4, 2.4, 4.4), healthy=True)


def clipped(volume, top, levels=None):
    hu = np.minimum(volume.hu, np.int16(top))
    if levels:
        step = (top + 1350) / (levels - 1)
        hu = np.rint(np.rint((np.maximum(hu, -1350) + 1350) / step) * step - 1350).astype(np.int16)
    return hu


@pytest.mark.parametrize("top", [150, 200, 300])
@pytest.mark.parametrize("levels", [None, 256])
def test_a_cut_off_window_is_recognised(chest, top, levels):
    assert window_top(clipped(chest.volume, top, levels)) == top


def test_a_window_is_recognised_though_noise_fills_the_levels_below_its_end():
    """A spike of 2 to 3 times the levels before it, as in a noisy CT of 256 levels."""
    hu = np.random.default_rng(0).normal(40, 60, (40, 80, 80))
    step = 1500 / 255
    hu = np.rint(150 - np.maximum(np.rint((150 - hu) / step), 0) * step).astype(np.int16)
    levels, counts = np.unique(hu, return_counts=True)
    assert 2 < counts[-1] / counts[:-1][levels[:-1] >= 100].mean() < 3
    assert window_top(hu) == 150


def test_a_whole_noisy_ct_is_not_called_cut_off(chest):
    noise = np.random.default_rng(0).normal(0, 90, chest.volume.hu.shape)
    assert window_top(np.rint(chest.volume.hu + noise).astype(np.int16)) is None


def test_a_whole_ct_is_not_called_cut_off(chest):
    assert window_top(chest.volume.hu) is None


def test_metal_that_saturates_the_scanner_is_no_window(chest):
    hu = chest.volume.hu.copy()
    hu[10, 20:23, 30:33] = 3071
    assert window_top(hu) is None


def test_only_what_was_cut_off_becomes_bone(chest):
    hu = clipped(chest.volume, 150)
    restored = with_bone(hu, 150)
    assert (restored[hu == 150] == WindowConfig().clipped_bone_hu).all()
    assert (restored[hu < 150] == hu[hu < 150]).all()
    assert with_bone(hu, None) is hu


@pytest.mark.slow
def test_lungs_of_a_cut_off_ct_are_told_so_and_hardly_change(chest):
    whole = segment_lungs(chest.volume)
    cut = segment_lungs(replace(chest.volume, hu=clipped(chest.volume, 150)))
    assert "window_clipped" in [note.code for note in cut.notes]
    assert "window_clipped" not in [note.code for note in whole.notes]
    same = np.count_nonzero(cut.labels & whole.labels)
    assert 2 * same / (np.count_nonzero(cut.labels) + np.count_nonzero(whole.labels)) > 0.99


@pytest.mark.slow
def test_consolidation_at_the_rear_wall_stays_in_the_lungs_of_a_cut_off_ct(chest):
    """A column along the wall, 12 cm high. Without ribs two thirds of it would be taken for chest wall."""
    j, i = np.ogrid[: chest.lungs.shape[1], : chest.lungs.shape[2]]
    middle = int(np.flatnonzero((chest.lungs == 1).any(axis=(1, 2))).mean())
    rows, columns = np.nonzero(chest.lungs[middle] == 1)
    centre = (rows.max(), int(np.median(columns)))
    lesion = np.zeros(chest.lungs.shape, dtype=bool)
    lesion[middle - 13 : middle + 14] = (j - centre[0]) ** 2 + (i - centre[1]) ** 2 < (25 / 2.4) ** 2
    lesion &= chest.lungs == 1
    sick = replace(chest.volume, hu=np.where(lesion, np.int16(45), chest.volume.hu))
    found = segment_lungs(replace(sick, hu=clipped(sick, 150))).labels
    assert np.count_nonzero(found[lesion]) > 0.9 * np.count_nonzero(lesion)
