"""Whether a chest lies as its header says: every flip of synthetic chests, and of real ones where they are there."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from CovidSeverityLib import analyze, read_ct
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.preprocessing.orientation import (
    BACK_TO_FRONT,
    MIRRORED,
    PRONE,
    TURNS,
    UPSIDE_DOWN,
    Axis,
    Cue,
    OrientationConfig,
    check_orientation,
    judge_orientation,
)
from CovidSeverityLib.preprocessing.orientation_cues import ChestView, spine_behind
from CovidSeverityLib.types import NoteSeverity

FLIPS = [axes for count in range(4) for axes in combinations(Axis, count)]
REAL = ("P001", "cap001", "normal001")
WINDOWED = ("1", "2", "4", "6")


def flipped(volume: CtVolume, axes) -> CtVolume:
    """The values reversed along ``axes`` under the same header."""
    return replace(volume, hu=np.flip(volume.hu, tuple(map(int, axes)))) if axes else volume


@pytest.fixture(scope="module")
def chests(phantom_of):
    """Three synthetic chests in voxels of 3 x 3 x 4.4 mm."""
    return [phantom_of(seed, shape=(72, 128, 128), spacing_mm=(3.0, 3.0, 4.4)).volume for seed in (0, 4, 7)]


@pytest.mark.parametrize("axes", FLIPS, ids=lambda axes: "+".join(a.name for a in axes) or "as it is")
def test_every_set_of_reversed_axes_is_told(chests, axes):
    for chest in chests:
        assert judge_orientation(flipped(chest, axes)).reversed_axes == frozenset(axes)


@pytest.mark.slow
def test_values_clipped_at_150_hu_are_enough(chests):
    windowed = replace(chests[0], hu=np.clip(chests[0].hu, -1024, 150))
    for axes in FLIPS:
        assert judge_orientation(flipped(windowed, axes)).reversed_axes == frozenset(axes)


def with_surroundings(volume: CtVolume, change) -> CtVolume:
    """The patient with ``change(hu of everything else)`` around; blocks are voxels here."""
    body = ChestView.of(volume.hu, volume.geometry).body
    assert body.shape == volume.hu.shape
    return replace(volume, hu=np.where(body, volume.hu, change(np.where(body, -1000, volume.hu))))


@pytest.mark.slow
def test_a_chest_without_table_is_judged_as_well(chests):
    bare = with_surroundings(chests[0], lambda hu: np.full_like(hu, -1000))
    for axes in FLIPS:
        assert judge_orientation(flipped(bare, axes)).reversed_axes == frozenset(axes)


def test_prone_patient_is_noted_and_not_warned_of(chests):
    prone = with_surroundings(chests[0], lambda hu: hu[:, ::-1])
    (note,) = check_orientation(prone)
    assert (note.code, note.severity) == (PRONE, NoteSeverity.INFO)


@pytest.mark.slow
def test_upside_down_is_refused_with_what_to_turn(chests):
    for axes in (a for a in FLIPS if Axis.HEAD_FOOT in a):
        with pytest.raises(InputError, match="upside down") as refusal:
            check_orientation(flipped(chests[0], axes))
        assert TURNS[frozenset(axes)] in str(refusal.value)
        assert "--force" in str(refusal.value)


def test_upside_down_is_warned_of_by_force(chests):
    (note,) = check_orientation(flipped(chests[0], [Axis.HEAD_FOOT]), force=True)
    assert (note.code, note.severity) == (UPSIDE_DOWN, NoteSeverity.WARNING)


@pytest.mark.parametrize(
    ("axes", "code"),
    [
        ((Axis.FRONT_BACK,), BACK_TO_FRONT),
        ((Axis.RIGHT_LEFT,), MIRRORED),
        ((Axis.FRONT_BACK, Axis.RIGHT_LEFT), BACK_TO_FRONT),
    ],
)
def test_other_contradictions_warn_of_left_and_right_and_say_what_to_turn(chests, axes, code):
    (note,) = check_orientation(flipped(chests[0], axes))
    assert (note.code, note.severity) == (code, NoteSeverity.WARNING)
    assert "left and right" in note.message
    assert TURNS[frozenset(axes)] in note.message
    assert ("situs inversus" in note.message) == (code == MIRRORED)


def test_chest_whose_left_lung_is_solid_is_left_alone(phantom_of):
    """A solid left lung draws the organs aside: no word of a mirrored header."""
    phantom = phantom_of(0, shape=(72, 128, 128), spacing_mm=(3.0, 3.0, 4.4))
    hu = np.where((phantom.lungs == 2) & (phantom.volume.hu < 0), 30, phantom.volume.hu)
    assert check_orientation(replace(phantom.volume, hu=hu)) == ()


def test_volume_without_chest_tells_nothing(chests):
    for hu in (np.full_like(chests[0].hu, -1000), np.full_like(chests[0].hu, 40)):
        found = judge_orientation(replace(chests[0], hu=hu))
        assert found.evidence == (0.0, 0.0, 0.0)
        assert not found.reversed_axes


@pytest.mark.slow
def test_analysis_carries_the_warning_and_refuses_what_is_upside_down(coarse_phantom):
    codes = [note.code for note in analyze(flipped(coarse_phantom.volume, [Axis.RIGHT_LEFT])).quality]
    assert codes.count(MIRRORED) == 1
    with pytest.raises(InputError, match="upside down"):
        analyze(flipped(coarse_phantom.volume, [Axis.HEAD_FOOT]))


@pytest.fixture
def upside_down(coarse_phantom, tmp_path):
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(coarse_phantom.volume.hu[::-1])
    image.SetSpacing(coarse_phantom.volume.geometry.spacing_mm)
    sitk.WriteImage(image, str(tmp_path / "ct.nii.gz"))
    return tmp_path / "ct.nii.gz"


def test_program_refuses_an_upside_down_file(program, upside_down, tmp_path):
    status, _, err = program("analyze", upside_down, "-o", tmp_path / "out")
    assert status == 2
    assert "ct.nii.gz is upside down" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_program_analyses_an_upside_down_file_by_force(program, upside_down, tmp_path):
    status, _, err = program("analyze", upside_down, "-o", tmp_path / "out", "--force")
    assert status == 0, err
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert UPSIDE_DOWN in [note["code"] for note in report["quality"]]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"cues": (Cue(Axis.HEAD_FOOT, spine_behind, 1.0, 0.1),)}, "the orientation needs a cue of every axis"),
        ({"decisive_odds": 1.0}, "decisive_odds is 1.0; expected a number above 1"),
        ({"table_cm2": 0.0}, "table_cm2 is 0.0; expected a number above 0"),
    ],
)
def test_configuration_checks_itself(wrong, said):
    with pytest.raises(ValueError, match=said):
        OrientationConfig(**wrong)


@pytest.mark.parametrize(("usual", "exceptions"), [(0.0, 0.1), (1.0, 0.0), (1.0, 0.5), (float("nan"), 0.1)])
def test_cue_checks_itself(usual, exceptions):
    said = (
        "usual is .*; expected a number above 0" if usual != 1 else "exceptions is .*; expected a number between 0 and"
    )
    with pytest.raises(ValueError, match=said):
        Cue(Axis.HEAD_FOOT, spine_behind, usual, exceptions)


def test_cue_is_bounded_by_its_exceptions_and_silent_without_measure():
    cue = Cue(Axis.HEAD_FOOT, spine_behind, usual=1.0, exceptions=0.1)
    assert cue.strength(100.0) == pytest.approx(np.log(9))
    assert cue.strength(-100.0) == pytest.approx(-np.log(9))
    assert cue.strength(0.1) == pytest.approx(0.8)
    assert cue.strength(float("nan")) == 0.0


def _judged(volume: CtVolume) -> None:
    """No false alarm in any reversal; head-foot and front-back are always told."""
    for axes in FLIPS:
        told = judge_orientation(flipped(volume, axes)).reversed_axes
        assert told <= frozenset(axes)
        assert frozenset(axes) - told <= {Axis.RIGHT_LEFT}
    assert judge_orientation(flipped(volume, [Axis.RIGHT_LEFT])).reversed_axes == {Axis.RIGHT_LEFT}


@pytest.mark.parametrize("patient", REAL)
def test_real_scans_are_told_in_every_reversal(real_ct, patient):
    _judged(real_ct(patient))


@pytest.mark.slow
@pytest.mark.parametrize("number", WINDOWED)
def test_windowed_scans_are_told_in_every_reversal(real_data, number):
    _judged(read_ct(real_data("data/medseg") / f"{number}_ct.nii.gz"))
