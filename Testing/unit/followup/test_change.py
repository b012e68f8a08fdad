"""What counts as new, resolved and persistent."""

from __future__ import annotations

import numpy as np
import pytest

from CovidSeverityLib.followup.change import Margins, OpacityChange, denser_by, opacity_changes
from CovidSeverityLib.followup.config import ChangeConfig

SPACING = (2.0, 1.0, 1.0)
MARGINS = Margins(error_mm=3.5, border_mm=2.5, smallest_ml=0.2, density_hu=60.0)
LUNG = np.ones((40, 80, 80), dtype=bool)


def ball(radius_mm, centre_mm=(40.0, 40.0, 40.0)):
    axes = np.ogrid[tuple(slice(0, n) for n in LUNG.shape)]
    squares = sum((axis * mm - c) ** 2 for axis, mm, c in zip(axes, SPACING, centre_mm, strict=True))
    return squares <= radius_mm**2


def changes(before, after, **options):
    return opacity_changes(before, after, LUNG, SPACING, MARGINS, **options)


def voxels(labels):
    return [int(np.count_nonzero(labels == kind)) for kind in OpacityChange]


def test_unchanged_opacity_off_by_the_registration_error_is_persistent():
    after = ball(15, (42.0, 42.0, 40.0))
    assert voxels(changes(ball(15), after)) == [0, 0, int(after.sum())]


def test_opacity_off_by_more_than_the_error_is_new_and_resolved():
    new, resolved, _ = voxels(changes(ball(10), ball(10, (40.0, 40.0, 52.0))))
    assert new > 1000
    assert resolved > 1000


def test_growth_over_the_border_counts_as_a_whole():
    before, after = ball(14, (42.0, 40.0, 41.0)), ball(20)
    labels = changes(before, after)
    assert voxels(labels) == [int(after.sum() - before.sum()), 0, int(before.sum())]


def test_rim_within_the_border_is_no_change():
    before, after = ball(15), ball(17)
    assert voxels(changes(before, after)) == [0, 0, int(after.sum())]
    assert voxels(changes(after, before)) == [0, 0, int(before.sum())]


def test_shrinking_opacity_resolves_around_what_stays():
    before, after = ball(20), ball(14)
    labels = changes(before, after)
    assert voxels(labels) == [0, int(before.sum() - after.sum()), int(after.sum())]


def test_opacity_that_came_or_went_counts_as_a_whole():
    nothing, there = np.zeros_like(LUNG), ball(8)
    assert voxels(changes(nothing, there)) == [int(there.sum()), 0, 0]
    assert voxels(changes(there, nothing)) == [0, int(there.sum()), 0]
    assert voxels(changes(nothing, nothing)) == [0, 0, 0]


def test_part_under_the_smallest_volume_is_no_change():
    speck = ball(3.2)
    assert 0 < speck.sum() * 2.0 / 1000.0 < MARGINS.smallest_ml
    assert voxels(changes(np.zeros_like(LUNG), speck)) == [0, 0, int(speck.sum())]


def test_mark_without_change_of_density_is_no_change():
    there, nothing = ball(8), np.zeros_like(LUNG)
    denser = np.where(there, np.float32(40.0), np.float32(0.0))
    assert voxels(changes(nothing, there, denser_hu=denser)) == [0, 0, int(there.sum())]
    assert voxels(changes(nothing, there, denser_hu=2 * denser)) == [int(there.sum()), 0, 0]
    assert voxels(changes(there, nothing, denser_hu=2 * denser)) == [0, 0, 0]
    assert voxels(changes(there, nothing, denser_hu=-2 * denser)) == [0, int(there.sum()), 0]


def test_resolved_opacity_outside_the_later_lungs_is_left_out():
    lung = LUNG.copy()
    lung[:, :, :40] = False
    labels = opacity_changes(ball(12), np.zeros_like(LUNG), lung, SPACING, MARGINS)
    assert (labels[:, :, 40:] == OpacityChange.RESOLVED).any()
    assert not labels[:, :, :40].any()


def test_breath_alone_makes_no_lung_denser():
    before = np.array([-850, -600, 0, 50, -1000], dtype=np.int16)
    density = before / 1000.0 + 1
    after = np.round((density + 0.1 * density * np.clip(1 - density, 0, 1) - 1) * 1000).astype(np.int16)
    assert denser_by(before, after, 1.1)[[0, 1, 2, 4]] == pytest.approx(0.0, abs=1.0)
    assert denser_by(before, before, 1.0)[[0, 1, 2, 4]] == pytest.approx(0.0, abs=1e-3)


def test_margins_follow_slices_and_what_was_registered():
    config = ChangeConfig()
    with_ct, without = (Margins.of(config, 5.0, by_structure=known) for known in (True, False))
    assert with_ct.border_mm == without.border_mm == config.border_mm + 2.5
    assert with_ct.error_mm == config.error_mm < without.error_mm == config.error_without_ct_mm
