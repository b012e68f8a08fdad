"""Lungs cut out of their surroundings are refused for that reason, and analysed with a mask of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from CovidSeverityLib import analyze
from CovidSeverityLib.errors import InputError, NoLungsError
from CovidSeverityLib.evaluation.synthetic.phantom import write_phantom
from CovidSeverityLib.morphology.grid import bounding_box
from CovidSeverityLib.preprocessing.cut_out import cut_out_value
from CovidSeverityLib.segmentation.lungs.external_lungs import lungs_from_labels


def cut_out(phantom, value=-1000):
    return replace(phantom.volume, hu=np.where(phantom.lungs > 0, phantom.volume.hu, np.int16(value)))


@pytest.mark.parametrize("value", [-1000, -1024])
def test_lungs_without_surroundings_are_refused_for_that_reason(coarse_phantom, value):
    said = rf"everything outside the lungs was cut away \(set to {value}\); the whole CT is needed to find the lungs"
    with pytest.raises(NoLungsError, match=said):
        analyze(cut_out(coarse_phantom, value))


@pytest.fixture(scope="module")
def whole(coarse_phantom):
    """The analysis of the CT as it is, with the mask."""
    return analyze(coarse_phantom.volume, lungs=lungs_from_labels(coarse_phantom.lungs, coarse_phantom.volume, "m"))


@pytest.mark.slow
@pytest.mark.parametrize("labels", ["both sides", "one label"])
def test_a_mask_of_the_lungs_lets_them_be_analysed(coarse_phantom, whole, labels):
    volume = cut_out(coarse_phantom)
    mask = coarse_phantom.lungs if labels == "both sides" else coarse_phantom.lungs > 0
    alone = analyze(volume, lungs=lungs_from_labels(mask.astype(np.uint8), volume, "m"))
    assert "surroundings_cut_away" in {note.code for note in alone.quality}
    assert "surroundings_cut_away" not in {note.code for note in whole.quality}
    assert alone.infection_percent == pytest.approx(whole.infection_percent, rel=0.05)
    assert alone.ctss_range[0] <= whole.ctss <= alone.ctss_range[1]
    for side, count in whole.side_voxels.items():
        assert alone.side_voxels[side] == pytest.approx(count, rel=0.002)


@pytest.mark.slow
def test_command_line_names_the_reason_and_takes_a_mask(coarse_phantom, program, tmp_path):
    write_phantom(replace(coarse_phantom, volume=cut_out(coarse_phantom)), tmp_path)
    status, _, err = program("analyze", tmp_path / "ct.nii.gz", "-o", tmp_path / "out")
    assert status == 2
    assert "everything outside the lungs was cut away" in err
    assert "--lungs" in err
    assert "0 ml" not in err
    status, _, err = program(
        "analyze", tmp_path / "ct.nii.gz", "--lungs", tmp_path / "lungs.nii.gz", "-o", tmp_path / "o"
    )
    assert status == 0, err


def test_a_mask_that_lies_elsewhere_is_still_refused(coarse_phantom):
    volume = cut_out(coarse_phantom)
    with pytest.raises(InputError, match="does not lie on the lungs"):
        lungs_from_labels(np.roll(coarse_phantom.lungs, 15, axis=1), volume, "m")


def test_whole_chests_were_not_cut_out(coarse_phantom, tiny_chest):
    box = bounding_box(coarse_phantom.lungs > 0)
    assert cut_out_value(coarse_phantom.volume.hu) is None
    assert cut_out_value(coarse_phantom.volume.hu[box]) is None
    assert cut_out_value(tiny_chest.volume.hu) is None
    assert cut_out_value(cut_out(coarse_phantom).hu[box]) == -1000


def test_even_air_around_a_chest_is_no_cut_and_a_piece_of_lung_neither(coarse_phantom):
    hu, lungs = coarse_phantom.volume.hu, coarse_phantom.lungs
    even = np.where((hu < -940) & (lungs == 0), np.int16(-1000), hu)
    assert (even == -1000).mean() > 0.4
    assert cut_out_value(even) is None
    k, j, i = np.argwhere(lungs == 1).mean(axis=0).astype(int)
    assert cut_out_value(hu[k - 2 : k + 2, j - 6 : j + 6, i - 6 : i + 6]) is None
