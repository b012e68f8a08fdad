"""A second segmentation of the lobes: how both agree, and ranges that cover both."""

from __future__ import annotations

import argparse
import json

import jsonschema
import numpy as np
import pytest

from CovidSeverityLib.analysis import Analysis
from CovidSeverityLib.commands.batch import add_options
from CovidSeverityLib.commands.engines import engines_of
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.features.agreement import LobeAgreement
from CovidSeverityLib.pipeline import analyze
from CovidSeverityLib.reporting.report import build_report, report_schema
from CovidSeverityLib.segmentation.engines import Engines
from CovidSeverityLib.segmentation.lobes.values import LobeSegmentation, OwnLobes
from CovidSeverityLib.segmentation.lungs.lung_segmentation import LungSegmentation
from CovidSeverityLib.types import Lobe


@pytest.fixture(scope="module")
def chest(coarse_phantom):
    return coarse_phantom.volume, coarse_phantom.lungs, coarse_phantom.lobes


def moved(lobes):
    """The oblique and horizontal fissures of both lungs where they are not: every lobe's name goes one slab up."""
    wrong = lobes.copy()
    rows = np.arange(lobes.shape[0])[:, None, None] * np.ones(lobes.shape, int)
    wrong[np.isin(lobes, (Lobe.LUL, Lobe.LLL)) & (rows >= lobes.shape[0] // 3)] = Lobe.LUL
    wrong[np.isin(lobes, (Lobe.LUL, Lobe.LLL)) & (rows < lobes.shape[0] // 3)] = Lobe.LLL
    return wrong


@pytest.fixture(scope="module")
def results(chest):
    volume, _, lobes = chest
    first, second = LobeSegmentation(lobes, "truth", False), LobeSegmentation(moved(lobes), "moved", False)
    return (
        analyze(volume, lobes=first),
        analyze(volume, lobes=second),
        analyze(volume, lobes=first, compared_lobes=second),
    )


@pytest.mark.slow
def test_scores_are_the_first_ones_and_ranges_cover_both(results):
    first, second, both = results
    assert both.ctss == first.ctss
    assert [score.score for score in both.lobe_scores] == [score.score for score in first.lobe_scores]
    ends = [*first.ctss_range, *second.ctss_range]
    assert both.ctss_range == (min(ends), max(ends))
    for ours, theirs, found in zip(first.lobe_scores, second.lobe_scores, both.lobe_scores, strict=True):
        ends = [*ours.score_range, *theirs.score_range]
        assert found.score_range == (min(ends), max(ends))
        percents = [*ours.involvement_range_percent, *theirs.involvement_range_percent]
        assert found.involvement_range_percent == (min(percents), max(percents))
    assert both.lobe_agreement.ctss == second.ctss


@pytest.mark.slow
def test_agreement_is_told_in_the_report_and_in_a_note(results, chest, tmp_path):
    both = results[2]
    assert both.lobe_agreement.source == "moved"
    assert both.lobe_agreement.dice[Lobe.RUL] == 1.0
    assert 0 < both.lobe_agreement.dice[Lobe.LLL] < 1
    report = build_report(both)
    jsonschema.validate(json.loads(json.dumps(report)), report_schema())
    assert report["lobes"]["compared"]["dice"]["RUL"] == 1.0
    assert report["lobes"]["compared"]["ctss"] == both.lobe_agreement.ctss
    (note,) = (note.message for note in both.quality if note.code == "lobes_compared")
    assert note.startswith("Lobes compared with those of moved: Dice RUL 1.00, RML 1.00, RLL 1.00, LUL 0.")
    assert "compared" not in build_report(results[0])["lobes"]
    both.save(tmp_path / "saved")
    assert Analysis.load(tmp_path / "saved").lobe_agreement == both.lobe_agreement


@pytest.mark.slow
def test_lobes_of_the_library_can_be_the_second(chest):
    volume, _, lobes = chest
    both = analyze(volume, lobes=LobeSegmentation(lobes, "truth", False), compared_lobes=OwnLobes())
    assert isinstance(both.lobe_agreement, LobeAgreement)
    assert both.lobe_agreement.source.startswith("fissure atlas")
    assert both.lobe_agreement.dice[Lobe.LUL] > 0.7


@pytest.mark.slow
def test_slices_alone_have_no_lobes_to_compare(chest):
    volume, lungs, _ = chest
    found = analyze(volume, lungs=LungSegmentation(lungs, "truth"), compared_lobes=OwnLobes(), independent_slices=True)
    assert found.lobe_agreement is None
    assert "lobes_compared" not in {note.code for note in found.quality}


@pytest.mark.parametrize("command", ["analyze", "batch"])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--compare-lobes-with", "default"), "--compare-lobes-with default is the engine that finds the lobes"),
        (("--compare-lobes-with", "nnunet"), "no lobe engine 'nnunet'"),
        (("--compare-lobes-with", "moose", "--profile", "reference"), "--compare-lobes-with cannot be used with"),
    ],
)
def test_second_engine_that_does_not_fit_ends_with_status_2(
    program, chest_folder, tmp_path, command, options, sentence
):
    run = program(command, chest_folder / "ct.nii.gz", "-o", tmp_path / "out", *options)
    assert (run.status, run.err.count("\n")) == (2, 1)
    assert sentence in run.err
    assert not (tmp_path / "out").exists()


def test_lobes_of_the_library_are_compared_with_masks_only_where_every_case_has_one(tmp_path):
    parser = argparse.ArgumentParser()
    add_options(parser)
    arguments = parser.parse_args(["cases.csv", "-o", str(tmp_path), "--compare-lobes-with", "default"])
    assert engines_of(arguments, masked=True) == Engines(compared_lobes=OwnLobes())
    with pytest.raises(InputError, match="another one is needed"):
        engines_of(arguments, masked=False)


@pytest.mark.slow
def test_command_line_compares_a_mask_with_the_lobes_of_the_library(program, chest_folder, tmp_path):
    """Labels of TotalSegmentator, as a mask from elsewhere; the page shows the note."""
    import SimpleITK as sitk

    image = sitk.ReadImage(str(chest_folder / "lobes.nii.gz"))
    totals = sitk.GetImageFromArray(np.array([0, 12, 13, 14, 10, 11], np.uint8)[sitk.GetArrayFromImage(image)])
    totals.CopyInformation(image)
    sitk.WriteImage(totals, str(tmp_path / "lobes.nii.gz"))
    options = ("--lobes", tmp_path / "lobes.nii.gz", "--compare-lobes-with", "default", "-o", tmp_path / "out")
    run = program("analyze", chest_folder / "ct.nii.gz", *options)
    assert run.status == 0, run.err
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["lobes"]["compared"]["dice"]["LUL"] > 0.7
    assert "Lobes compared with those of" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
