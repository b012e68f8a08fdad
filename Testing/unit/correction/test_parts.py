"""Edited segments become masks again: what overlaps, what a brush took away, what was erased."""

import itertools

import numpy as np
import pytest

from CovidSeverityLib.correction.parts import (
    CODES,
    LOBE_PARTS,
    LUNG_PARTS,
    OPACITY_PARTS,
    Part,
    codes_of,
    combine,
    follow_edit,
    lobes_of,
    opacities_of,
    sides_of,
)
from CovidSeverityLib.types import Lobe, Opacity, Side

LUNG_AND_LOBE = Part.RIGHT_LUNG | Part.RUL
EVERY_LABEL = tuple(itertools.product((0, *Side), (0, *Lobe), (0, *Opacity)))


def code(side=0, lobe=0, opacity=0):
    return int(combine(*(np.array(label, dtype=np.uint8) for label in (side, lobe, opacity))))


def after(*states):
    """Side, lobe and opacity of a voxel that lay in the parts of ``states``, one after the other."""
    bits = [np.array([state], dtype=np.uint16) for state in states]
    codes = codes_of(bits[0])
    for before, now in itertools.pairwise(bits):
        codes = follow_edit(codes, before, now)
    return tuple(int(labels[0]) for labels in (sides_of(codes), lobes_of(codes), opacities_of(codes)))


def test_code_holds_every_combination_of_labels():
    codes = {code(*labels) for labels in EVERY_LABEL}
    assert len(codes) == len(EVERY_LABEL)
    assert max(codes) < CODES
    for labels in EVERY_LABEL:
        value = np.array([code(*labels)], dtype=np.uint8)
        assert (sides_of(value)[0], lobes_of(value)[0], opacities_of(value)[0]) == labels


def test_every_part_is_one_label():
    groups = (LUNG_PARTS, LOBE_PARTS, OPACITY_PARTS)
    assert [sum(bool(part & group) for group in groups) for part in Part] == [1] * 9
    assert [after(Part.RIGHT_LUNG)[0], after(Part.LEFT_LUNG)[0]] == list(Side)
    assert [after(Part[lobe.name])[1] for lobe in Lobe] == list(Lobe)
    assert [after(Part.GROUND_GLASS)[2], after(Part.CONSOLIDATION)[2]] == list(Opacity)
    assert after(Part(0)) == (0, 0, 0)


def test_overlap_without_history_is_the_first_lung_and_lobe_and_the_denser_opacity():
    assert after(LUNG_PARTS | Part.RLL | Part.LUL | OPACITY_PARTS) == (Side.RIGHT, Lobe.RLL, Opacity.CONSOLIDATION)


@pytest.mark.parametrize("taken", [Part(0), LUNG_AND_LOBE], ids=["overlap allowed", "all overwritten"])
def test_opacity_painted_on_lung_lies_in_that_lung_and_lobe(taken):
    painted = LUNG_AND_LOBE & ~taken | Part.GROUND_GLASS
    assert after(LUNG_AND_LOBE, painted) == (Side.RIGHT, Lobe.RUL, Opacity.GROUND_GLASS)


def test_opacity_painted_over_another_kind_replaces_it():
    old = LUNG_AND_LOBE | Part.CONSOLIDATION
    assert after(old, old | Part.GROUND_GLASS) == (Side.RIGHT, Lobe.RUL, Opacity.GROUND_GLASS)
    assert after(old, Part.GROUND_GLASS) == (Side.RIGHT, Lobe.RUL, Opacity.GROUND_GLASS)


def test_opacity_painted_and_erased_again_leaves_the_lung_that_it_had_overwritten():
    assert after(LUNG_AND_LOBE, Part.GROUND_GLASS, Part(0)) == (Side.RIGHT, Lobe.RUL, 0)


def test_opacity_painted_outside_the_lungs_lies_outside():
    assert after(Part(0), Part.GROUND_GLASS) == (0, 0, Opacity.GROUND_GLASS)


def test_erased_lung_is_no_lung_with_or_without_old_opacity():
    for opacity in (Part(0), Part.GROUND_GLASS):
        sick = LUNG_AND_LOBE | opacity
        assert after(sick, sick & ~Part.RIGHT_LUNG)[0] == 0


def test_erased_lobe_is_no_lobe():
    assert after(LUNG_AND_LOBE, Part.RIGHT_LUNG) == (Side.RIGHT, 0, 0)


def test_lobe_painted_over_another_replaces_it_whether_or_not_they_overlap():
    assert after(LUNG_AND_LOBE, LUNG_AND_LOBE | Part.RLL) == (Side.RIGHT, Lobe.RLL, 0)
    assert after(LUNG_AND_LOBE, Part.RIGHT_LUNG | Part.RLL) == (Side.RIGHT, Lobe.RLL, 0)
    assert after(Part.RIGHT_LUNG | Part.RLL, Part.RIGHT_LUNG | Part.RLL | Part.RUL) == (Side.RIGHT, Lobe.RUL, 0)


def test_lobe_painted_over_all_keeps_the_lung_and_loses_the_opacity_that_vanished():
    assert after(LUNG_AND_LOBE | Part.GROUND_GLASS, Part.RLL) == (Side.RIGHT, Lobe.RLL, 0)


def test_overlapping_lobe_that_is_erased_gives_way_to_the_other():
    both = LUNG_AND_LOBE | Part.RLL
    assert after(LUNG_AND_LOBE, both, LUNG_AND_LOBE) == (Side.RIGHT, Lobe.RUL, 0)
    assert after(LUNG_AND_LOBE, both, both & ~Part.RUL) == (Side.RIGHT, Lobe.RLL, 0)


def test_last_painted_lobe_stays_when_another_segment_of_the_voxel_is_edited():
    both = LUNG_AND_LOBE | Part.RLL
    assert after(LUNG_AND_LOBE, both, both | Part.GROUND_GLASS)[1] == Lobe.RLL
    assert after(LUNG_AND_LOBE, both, both & ~Part.RIGHT_LUNG) == (0, Lobe.RLL, 0)


def test_opacity_painted_over_itself_leaves_the_lung_and_lobe_that_it_takes_away():
    """All other segments vanish at once: no eraser does that."""
    assert after(LUNG_AND_LOBE | Part.GROUND_GLASS, Part.GROUND_GLASS) == (Side.RIGHT, Lobe.RUL, Opacity.GROUND_GLASS)


def test_brush_known_from_elsewhere_leaves_what_it_takes_away_under_itself():
    """Only one kind of segment is overwritten here (visible ones): alone that would be an eraser."""
    before, now = LUNG_AND_LOBE | Part.GROUND_GLASS, Part.RIGHT_LUNG | Part.GROUND_GLASS
    bits = [np.array([state], dtype=np.uint16) for state in (before, now)]
    assert lobes_of(follow_edit(codes_of(bits[0]), *bits))[0] == 0
    assert lobes_of(follow_edit(codes_of(bits[0]), *bits, Part.GROUND_GLASS))[0] == Lobe.RUL
    assert lobes_of(follow_edit(codes_of(bits[0]), *bits, Part.CONSOLIDATION))[0] == 0


def test_lung_that_comes_back_takes_the_lobe_away_that_had_overwritten_it():
    assert after(Part.LEFT_LUNG, Part.LUL) == (Side.LEFT, Lobe.LUL, 0)
    assert after(Part.LEFT_LUNG, Part.LUL, Part.LEFT_LUNG) == (Side.LEFT, 0, 0)


def test_last_painted_lobe_stays_when_another_that_overlaps_is_erased():
    three = LUNG_AND_LOBE | Part.RML | Part.RLL
    assert after(LUNG_AND_LOBE | Part.RML, three, three & ~Part.RML) == (Side.RIGHT, Lobe.RLL, 0)


def test_several_segments_that_appear_at_once_are_no_brush():
    """What an undo brings back: the opacity and the lobe that a stroke of the lung had overwritten."""
    assert after(Part.RUL | Part.GROUND_GLASS, Part.RIGHT_LUNG, Part.RUL | Part.GROUND_GLASS)[0] == 0


def test_lung_painted_over_the_other_loses_the_lobe_of_the_other():
    assert after(LUNG_AND_LOBE, Part.LEFT_LUNG) == (Side.LEFT, 0, 0)
    assert after(Part.RIGHT_LUNG | Part.RML, Part.RIGHT_LUNG | Part.RML) == (Side.RIGHT, Lobe.RML, 0)
