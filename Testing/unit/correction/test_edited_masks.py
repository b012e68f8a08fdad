"""Segments followed from edit to edit: what is read, what is remembered, what comes back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from CovidSeverityLib.correction.edited_masks import EditedMasks
from CovidSeverityLib.correction.parts import (
    LOBE_PARTS,
    LUNG_PARTS,
    OPACITY_PARTS,
    Part,
    combine,
    lobes_of,
    opacities_of,
    parts_of,
    sides_of,
)
from CovidSeverityLib.correction.rescoring import tally
from CovidSeverityLib.morphology.grid import bounding_box
from CovidSeverityLib.types import Lobe, Opacity, Side

NOTHING = Part(0)
EVERY_PART = LUNG_PARTS | LOBE_PARTS | OPACITY_PARTS
LUNG_AND_LOBE = Part.RIGHT_LUNG | Part.RUL


class Segments:
    """Bits of a whole CT, and the masks that follow them."""

    def __init__(self, parts):
        self.parts = parts.astype(np.uint16)
        self.masks = EditedMasks(parts.shape)
        self.masks.begin(bounding_box(self.parts), self.plane)

    @classmethod
    def of(cls, analysis):
        return cls(parts_of(combine(analysis.lungs, analysis.lobes, analysis.infection)))

    def plane(self, k, rows, columns):
        return self.parts[k, rows, columns]

    def edit(self, where, *, add=NOTHING, take=NOTHING):
        self.parts[where] = self.parts[where] & ~np.uint16(take) | np.uint16(add)
        return self.follow()

    def overwrite(self, where, part):
        return self.edit(where, add=part, take=EVERY_PART & ~part)

    def follow(self):
        return self.masks.follow(bounding_box(self.parts), self.plane)

    def full(self):
        """(K, J, I) codes of the whole CT."""
        codes = np.zeros(self.parts.shape, np.uint8)
        codes[self.masks.box] = self.masks.masks().codes
        return codes


@pytest.fixture
def analysis(factory):
    return factory.make_analysis()


@pytest.fixture
def segments(analysis):
    return Segments.of(analysis)


@pytest.fixture
def spot(analysis):
    """A block inside the healthy RUL, as an index of the CT."""
    healthy = (analysis.lobes == Lobe.RUL) & (analysis.infection == 0)
    k, j, i = np.argwhere(healthy)[np.count_nonzero(healthy) // 2]
    block = np.zeros(healthy.shape, bool)
    block[k - 1 : k + 2, j - 2 : j + 3, i - 2 : i + 3] = True
    assert healthy[block].mean() > 0.5
    return block & healthy


def test_masks_begin_as_those_of_the_analysis_and_are_counted_in_their_slices(analysis, segments):
    codes = combine(analysis.lungs, analysis.lobes, analysis.infection)
    np.testing.assert_array_equal(segments.full(), codes)
    found = segments.masks.masks()
    np.testing.assert_array_equal(found.table[:, 1:], tally(codes)[:, 1:])
    assert not segments.masks.changed
    assert (found.lobes, found.opacity_outside_voxels, found.lung_without_lobe_voxels) == (frozenset(), 0, 0)


def test_nothing_edited_changes_nothing(segments):
    assert segments.follow() is False
    assert len(segments.masks.difference().voxels) == 0


@pytest.mark.parametrize("overwrite", [False, True])
def test_painted_opacity_is_counted_in_its_slices_and_its_lobe(analysis, segments, spot, overwrite):
    before = segments.masks.masks().table.copy()
    if overwrite:
        segments.overwrite(spot, Part.GROUND_GLASS)
    else:
        segments.edit(spot, add=Part.GROUND_GLASS)
    infection = np.where(spot, np.uint8(Opacity.GROUND_GLASS), analysis.infection)
    np.testing.assert_array_equal(segments.full(), combine(analysis.lungs, analysis.lobes, infection))
    found = segments.masks.masks()
    np.testing.assert_array_equal(found.table[:, 1:], tally(segments.full())[:, 1:])
    assert set(np.flatnonzero((found.table != before).any(axis=1))) == set(np.flatnonzero(spot.any(axis=(1, 2))))
    assert segments.masks.changed
    assert (found.lobes, found.opacity_outside_voxels) == (frozenset(), 0)


@pytest.mark.parametrize("taken", [EVERY_PART, LOBE_PARTS], ids=["all overwritten", "visible ones overwritten"])
def test_stroke_that_runs_over_old_opacity_leaves_lung_and_lobe_there(analysis, segments, taken):
    old = (analysis.lobes == Lobe.RLL) & (analysis.infection == Opacity.GROUND_GLASS)
    stroke = analysis.lobes == Lobe.RLL
    assert 0 < np.count_nonzero(old) < np.count_nonzero(stroke)
    segments.edit(stroke, add=Part.GROUND_GLASS, take=taken & ~Part.GROUND_GLASS)
    full = segments.full()
    assert (sides_of(full)[stroke] == Side.RIGHT).all()
    assert (lobes_of(full)[stroke] == Lobe.RLL).all()
    assert (opacities_of(full)[old] == Opacity.GROUND_GLASS).all()
    assert segments.masks.masks().opacity_outside_voxels == 0


@pytest.mark.parametrize("how", ["deleted", "emptied by hand"])
def test_lung_that_is_gone_is_gone_where_it_was_overwritten_too(analysis, segments, spot, how):
    """Otherwise the overwritten rest would be all of a lung, and all of it infected."""
    segments.overwrite(spot, Part.GROUND_GLASS)
    right = analysis.lungs == Side.RIGHT
    before = segments.parts.copy()
    segments.edit(right, take=Part.RIGHT_LUNG)
    if how == "emptied by hand":
        segments.edit(spot, take=Part.GROUND_GLASS)
        before[spot] = 0
    assert not (sides_of(segments.full()) == Side.RIGHT).any()
    assert segments.masks.lungs_changed
    np.testing.assert_array_equal(sides_of(segments.full()), np.where(right, np.uint8(0), analysis.lungs))
    found = segments.masks.masks()
    np.testing.assert_array_equal(found.table[:, 1:], tally(segments.full())[:, 1:])
    segments.parts[...] = before
    segments.follow()
    assert (sides_of(segments.full()) == analysis.lungs).all()


def test_opacity_painted_and_erased_leaves_the_automatic_masks(segments, spot):
    segments.overwrite(spot, Part.GROUND_GLASS)
    assert segments.edit(spot, take=Part.GROUND_GLASS)
    assert not segments.parts[spot].any()
    assert not segments.masks.changed


def test_lung_that_vanishes_where_several_segments_appear_at_once_was_erased(analysis, segments, spot):
    old = (analysis.lobes == Lobe.RLL) & (analysis.infection == Opacity.GROUND_GLASS)
    upper = np.arange(len(spot))[:, None, None] > np.flatnonzero(spot.any(axis=(1, 2)))[0]
    assert old.any()
    assert (spot & upper).any()
    segments.parts[spot & upper] |= np.uint16(Part.GROUND_GLASS)
    segments.parts[spot & ~upper] |= np.uint16(Part.CONSOLIDATION)
    segments.edit(old, take=Part.RIGHT_LUNG)
    assert not sides_of(segments.full())[old].any()


def test_erased_lung_with_opacity_in_it_is_told_as_opacity_outside(analysis, segments):
    sick = (analysis.infection > 0) & (analysis.lobes == Lobe.LLL)
    assert sick.any()
    segments.edit(sick, take=Part.LEFT_LUNG)
    assert segments.masks.masks().opacity_outside_voxels == np.count_nonzero(sick)
    assert not sides_of(segments.full())[sick].any()


def test_lungs_are_known_voxel_by_voxel(analysis, segments, spot):
    segments.overwrite(spot, Part.GROUND_GLASS)
    assert not segments.masks.lungs_changed
    np.testing.assert_array_equal(sides_of(segments.full()), analysis.lungs)
    base = (analysis.lobes == Lobe.LLL) & (analysis.infection > 0)
    beside = np.zeros_like(base)
    beside[5:7, :2, 3:9] = True
    assert not analysis.lungs[beside].any()
    segments.edit(base, take=Part.LEFT_LUNG)
    segments.edit(beside, add=Part.RIGHT_LUNG)
    assert segments.masks.lungs_changed
    lungs = np.where(base, np.uint8(0), np.where(beside, np.uint8(Side.RIGHT), analysis.lungs))
    np.testing.assert_array_equal(sides_of(segments.full()), lungs)


def test_erased_lobe_is_told_and_painted_lobe_is_known_as_changed(segments, spot):
    segments.edit(spot, take=Part.RUL)
    found = segments.masks.masks()
    assert (found.lobes, found.lung_without_lobe_voxels) == ({Lobe.RUL}, np.count_nonzero(spot))
    segments.edit(spot, take=Part.RIGHT_LUNG)
    assert segments.masks.masks().lung_without_lobe_voxels == 0
    segments.edit(spot, add=Part.RIGHT_LUNG | Part.RML)
    found = segments.masks.masks()
    assert (found.lobes, found.lung_without_lobe_voxels) == ({Lobe.RUL, Lobe.RML}, 0)
    assert (lobes_of(segments.full())[spot] == Lobe.RML).all()


def test_lung_painted_outside_the_box_makes_it_grow_and_belongs_to_a_lobe(analysis, segments):
    corner = np.zeros(analysis.lungs.shape, bool)
    corner[0, :3, :3] = True
    assert not analysis.lungs[corner].any()
    segments.edit(corner, add=Part.RIGHT_LUNG)
    assert [part.start for part in segments.masks.box] == [0, 0, 0]
    full = segments.full()
    assert (sides_of(full)[corner] == Side.RIGHT).all()
    assert (lobes_of(full)[corner] <= Lobe.RLL).all()
    assert (lobes_of(full)[corner] > 0).all()
    np.testing.assert_array_equal(segments.masks.masks().table[:, 1:], tally(full)[:, 1:])
    rest = ~corner
    np.testing.assert_array_equal(sides_of(full)[rest], analysis.lungs[rest])
    segments.edit(corner, take=Part.RIGHT_LUNG)
    assert not segments.masks.changed


def test_deleted_and_recreated_segment_changes_nothing_in_the_end(analysis, segments):
    lobe = analysis.lobes == Lobe.RML
    segments.edit(lobe, take=Part.RML)
    assert segments.masks.masks().lobes == {Lobe.RML}
    segments.edit(lobe, add=Part.RML)
    assert not segments.masks.changed


def test_no_segment_left_has_nothing_in_it(segments):
    segments.parts[...] = 0
    segments.follow()
    found = segments.masks.masks()
    assert not found.codes.any()
    assert found.table[:, 1:].sum() == 0


# Undo


def strokes(old):
    """What one stroke of a brush or an eraser can make of a voxel."""
    for part in Part:
        yield from (old & ~part, old | part, part)
    yield Part(0)


def test_undo_of_any_two_strokes_gives_back_what_every_state_meant():
    """Every voxel of a row has its own two strokes; they are undone one by one, redone and undone at once."""
    lungs = (Part(0), Part.LEFT_LUNG, Part.LEFT_LUNG | Part.LUL, LUNG_AND_LOBE)
    olds = [lung | opacity for lung in lungs for opacity in (Part(0), Part.GROUND_GLASS, Part.CONSOLIDATION)]
    rows = [(old, once, twice) for old in olds for once in strokes(old) for twice in strokes(once)]
    states = np.array(rows, dtype=np.uint16).T[:, None, None, :]
    segments = Segments(states[0])
    meant = [segments.full()]
    for state in states[1:]:
        segments.parts[...] = state
        segments.follow()
        meant.append(segments.full())
    assert not np.array_equal(meant[1], meant[2])
    for n in (1, 0, 1, 2, 0, 2, 0):
        segments.parts[...] = states[n]
        segments.follow()
        np.testing.assert_array_equal(segments.full(), meant[n])
    assert not segments.masks.changed


def test_undo_is_known_when_the_box_has_grown_below(analysis, segments, spot):
    segments.overwrite(spot, Part.GROUND_GLASS)
    meant = segments.full()[spot]
    below = np.zeros_like(spot)
    below[0] = analysis.lungs[segments.masks.box[0].start] > 0
    assert segments.masks.box[0].start > 0
    segments.edit(spot, add=Part.RIGHT_LUNG)
    segments.edit(below, add=Part.CONSOLIDATION)
    assert segments.masks.box[0].start == 0
    segments.edit(spot, take=Part.RIGHT_LUNG)
    np.testing.assert_array_equal(segments.full()[spot], meant)
    assert (sides_of(meant) == Side.RIGHT).all()


# What a scene keeps


def test_difference_restores_the_automatic_masks_and_what_was_overwritten(analysis, segments, spot):
    sick = (analysis.infection > 0) & (analysis.lobes == Lobe.LLL)
    segments.overwrite(spot, Part.GROUND_GLASS)
    segments.edit(sick, take=OPACITY_PARTS)
    loaded = Segments(segments.parts)
    assert not np.array_equal(loaded.full(), segments.full())
    loaded.masks.restore(segments.masks.difference())
    np.testing.assert_array_equal(loaded.full(), segments.full())
    np.testing.assert_array_equal(loaded.masks.masks().table, segments.masks.masks().table)
    assert loaded.masks.changed
    loaded.parts = Segments.of(analysis).parts
    loaded.follow()
    assert not loaded.masks.changed


def test_difference_outside_of_what_is_left_makes_the_box_grow(analysis, segments):
    segments.edit(analysis.lungs == Side.LEFT, take=LUNG_PARTS | LOBE_PARTS | OPACITY_PARTS)
    loaded = Segments(segments.parts)
    loaded.masks.restore(segments.masks.difference())
    assert loaded.masks.tally_automatic().sum() == loaded.masks.masks().table.sum()
    before = combine(analysis.lungs, analysis.lobes, analysis.infection)
    np.testing.assert_array_equal(loaded.masks.automatic, before[loaded.masks.box])


def test_differences_are_as_many_as_the_voxels_that_differ(segments, spot):
    for where, part in itertools.product((spot,), (Part.GROUND_GLASS, Part.CONSOLIDATION)):
        segments.edit(where, add=part)
    difference = segments.masks.difference()
    np.testing.assert_array_equal(difference.voxels, np.flatnonzero(spot))
    assert (opacities_of(difference.automatic) == 0).all()
    assert (opacities_of(difference.codes) == Opacity.CONSOLIDATION).all()


def test_difference_of_other_segments_is_refused_and_changes_nothing(analysis, segments, spot):
    segments.overwrite(spot, Part.GROUND_GLASS)
    other = Segments.of(analysis)
    with pytest.raises(ValueError, match="not those that the difference was made for"):
        other.masks.restore(segments.masks.difference())
    assert not other.masks.changed
    smaller = EditedMasks((2, 2, 2))
    with pytest.raises(ValueError, match=r"outside of \(2, 2, 2\)"):
        smaller.restore(segments.masks.difference())
