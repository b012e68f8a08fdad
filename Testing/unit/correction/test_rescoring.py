"""Scores of corrected masks: the automatic numbers where nothing was changed, and what a correction changes."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from CovidSeverityLib.correction.parts import combine
from CovidSeverityLib.correction.rescoring import (
    NEAREST_VOXELS,
    ScoringRules,
    nearest_lobes,
    rescore,
    rescore_tally,
    tally,
)
from CovidSeverityLib.features.quantification import well_aerated_voxels
from CovidSeverityLib.reporting.corrected import CORRECTED_KEYS, corrected_fields, corrected_rows, same_numbers
from CovidSeverityLib.reporting.report import build_report
from CovidSeverityLib.reporting.tables import SLICE_COLUMNS, write_slices
from CovidSeverityLib.segmentation.lobes.external_lobes import fit_to_lungs
from CovidSeverityLib.segmentation.lobes.values import LobeSegmentation
from CovidSeverityLib.types import Lobe, Opacity, Side

RANGES = ("score_range", "involvement_range_percent", "near_edge")


def rows_of(analysis):
    file = io.StringIO()
    write_slices(analysis, file)
    file.seek(0)
    return [{column: _number(text) for column, text in row.items()} for row in csv.DictReader(file)]


def _number(text):
    try:
        return float(text)
    except ValueError:
        return text or None


def rules_of(analysis):
    return ScoringRules.of_report(build_report(analysis), rows_of(analysis))


def rescored(analysis, **masks):
    """Scores of the masks of ``analysis``, some replaced, by what its files say."""
    masks = {name: masks.get(name, getattr(analysis, name)) for name in ("lungs", "lobes", "infection")}
    aerated = well_aerated_voxels(analysis.volume.hu, masks["lungs"] > 0)
    return rescore(**masks, rules=rules_of(analysis), well_aerated=aerated)


def automatic_fields(analysis):
    """The part of the report that corrections change, without ranges."""
    report = build_report(analysis)
    fields = {key: report[key] for key in CORRECTED_KEYS}
    for lobe in fields["ctss"]["lobes"].values():
        for name in RANGES:
            lobe.pop(name, None)
    fields["ctss"]["range"] = None
    return fields


@pytest.fixture(params=["default", "reference"])
def analysis(request, coarse_analysis):
    return coarse_analysis if request.param == "default" else request.getfixturevalue("reference_analysis")


def test_masks_as_they_were_have_the_automatic_numbers(analysis):
    fields = corrected_fields(rescored(analysis))
    assert fields == automatic_fields(analysis)
    assert list(fields) == list(CORRECTED_KEYS)
    assert same_numbers(fields, build_report(analysis))


def test_masks_as_they_were_have_the_rows_of_the_analysis(analysis):
    found = corrected_rows(rescored(analysis), rows_of(analysis))
    assert [{c: row[c] for c in SLICE_COLUMNS} for row in found] == [
        {c: row[c] for c in SLICE_COLUMNS} for row in rows_of(analysis)
    ]


def test_interpolated_slices_and_votes_are_those_of_the_analysis(factory):
    chest = factory.make_chest()
    acquired = tuple(k != 7 for k in range(len(chest.hu)))
    analysis = factory.make_diagnosed(chest, factory.make_volume(chest.hu, acquired=acquired))
    rows = rows_of(analysis)
    found = corrected_rows(rescored(analysis), rows)
    assert [row["index"] for row in found] == [k for k in range(len(chest.hu)) if k != 7]
    assert [(row["label"], row["p_cap"]) for row in found] == [(row["label"], row["p_cap"]) for row in rows]
    assert {row["label"] for row in found} >= {"COVID-19", "CAP"}


def test_lobe_without_infection_scores_nothing(coarse_analysis):
    infection = np.where(coarse_analysis.lobes == Lobe.RLL, np.uint8(0), coarse_analysis.infection)
    before, after = automatic_fields(coarse_analysis), corrected_fields(rescored(coarse_analysis, infection=infection))
    assert before["ctss"]["lobes"]["RLL"]["score"] > 0
    assert after["ctss"]["lobes"]["RLL"]["score"] == after["ctss"]["lobes"]["RLL"]["infection_ml"] == 0
    assert after["ctss"]["total"] == before["ctss"]["total"] - before["ctss"]["lobes"]["RLL"]["score"]
    assert after["lungs"] == before["lungs"]
    assert {name: after["ctss"]["lobes"][name] for name in ("RUL", "RML", "LUL", "LLL")} == {
        name: before["ctss"]["lobes"][name] for name in ("RUL", "RML", "LUL", "LLL")
    }


def test_whole_lungs_infected_score_25(coarse_analysis):
    infection = np.where(coarse_analysis.lungs > 0, np.uint8(Opacity.CONSOLIDATION), np.uint8(0))
    fields = corrected_fields(rescored(coarse_analysis, infection=infection))
    assert (fields["ctss"]["total"], fields["total_severity_score"]["total"]) == (25, 20)
    assert fields["infection"]["consolidation_ml"] == fields["lungs"]["total_ml"]
    assert fields["infection"]["high_opacity_percent"] == 100
    assert fields["severity"]["label"] == "severe"


def test_infection_of_the_reference_profile_is_scored_slice_by_slice(reference_analysis):
    """Six slices in seven of the RLL half infected: 3 in each, and 3 by their rounded mean."""
    rows = np.arange(reference_analysis.lungs.shape[1])[:, None]
    half = (reference_analysis.lobes == Lobe.RLL) & (rows % 2 == 0)
    infection = np.where(half, np.uint8(Opacity.GROUND_GLASS), np.uint8(0))
    found = rescored(reference_analysis, infection=infection)
    scores = {score.lobe: score.score for score in found.lobe_scores}
    assert scores == {Lobe.RUL: 0, Lobe.RML: 0, Lobe.RLL: 3, Lobe.LUL: 0, Lobe.LLL: 0}
    assert found.ctss_max_variant >= 3


def test_infection_outside_the_lungs_is_not_counted(coarse_analysis):
    lungs = np.where(coarse_analysis.lungs == Side.LEFT, np.uint8(0), coarse_analysis.lungs)
    fields = corrected_fields(rescored(coarse_analysis, lungs=lungs))
    assert fields["lungs"]["left_ml"] == 0
    assert (
        fields["lungs"]["total_ml"]
        == fields["lungs"]["right_ml"]
        == automatic_fields(coarse_analysis)["lungs"]["right_ml"]
    )
    assert [fields["ctss"]["lobes"][lobe]["volume_ml"] for lobe in ("LUL", "LLL")] == [0, 0]
    right = (coarse_analysis.lungs == Side.RIGHT) & (coarse_analysis.infection > 0)
    sick_ml = fields["infection"]["ggo_ml"] + fields["infection"]["consolidation_ml"]
    assert sick_ml == pytest.approx(np.count_nonzero(right) * coarse_analysis.volume.geometry.voxel_ml, abs=0.02)


def test_aeration_follows_the_lungs_and_is_unknown_without_the_ct(coarse_analysis):
    aerated = (coarse_analysis.volume.hu >= -950) & (coarse_analysis.volume.hu <= -700)
    lungs = np.where(aerated, coarse_analysis.lungs, np.uint8(0))
    assert corrected_fields(rescored(coarse_analysis, lungs=lungs))["well_aerated_percent"] == 100
    masks = (coarse_analysis.lungs, coarse_analysis.lobes, coarse_analysis.infection)
    fields = corrected_fields(rescore(*masks, rules_of(coarse_analysis)))
    assert fields["well_aerated_percent"] is None
    assert same_numbers(fields, build_report(coarse_analysis))


def test_no_lung_left_has_no_infection(coarse_analysis):
    fields = corrected_fields(rescored(coarse_analysis, lungs=np.zeros_like(coarse_analysis.lungs)))
    assert (fields["ctss"]["total"], fields["infection"]["percent_of_lung"]) == (None, 0)
    assert fields["severity"]["label"] == "not scored"
    assert fields["well_aerated_percent"] == 0


def test_spilled_opacity_is_not_scored_and_one_of_its_own_is(factory):
    """0.2 % of the RML is reached by an opacity of the RLL; a spot inside it is as small."""
    shape = (30, 40, 40)
    chest = factory.make_chest(shape, infected=False)
    lobes = np.where(np.arange(shape[2]) < 20, np.uint8(Lobe.RLL), np.uint8(Lobe.RML)) * np.ones(shape, np.uint8)
    infection = np.zeros(shape, np.uint8)
    infection[10:15, 10:15, 10:21] = Opacity.GROUND_GLASS
    rules = rules_of(factory.make_analysis(chest))
    lungs = np.ones(shape, np.uint8)

    def scores(infection):
        found = rescore(lungs, lobes, infection, rules)
        return {score.lobe: score.score for score in found.lobe_scores}

    assert (scores(infection)[Lobe.RLL], scores(infection)[Lobe.RML]) == (1, 0)
    infection[18:22, 18:23, 28:32] = Opacity.GROUND_GLASS  # 0.3 % of the lobe: a reader would see it
    assert (scores(infection)[Lobe.RLL], scores(infection)[Lobe.RML]) == (1, 1)


def test_confidence_is_of_lobes_that_were_not_changed(coarse_analysis):
    codes = combine(coarse_analysis.lungs, coarse_analysis.lobes, coarse_analysis.infection)
    found = rescore_tally(tally(codes), codes, rules_of(coarse_analysis), changed={Lobe.RML})
    known = {score.lobe: score.confidence for score in found.lobe_scores}
    assert known.pop(Lobe.RML) is None
    assert all(known.values())


def test_masks_of_another_shape_are_refused(coarse_analysis):
    masks = (coarse_analysis.lungs, coarse_analysis.lobes[1:], coarse_analysis.infection)
    with pytest.raises(ValueError, match=r"lobes \(71, 128, 128\) do not match the analysed CT \(72, 128, 128\)"):
        rescore(*masks, rules_of(coarse_analysis))


def test_numbers_of_other_masks_are_not_the_same(coarse_analysis):
    infection = coarse_analysis.infection.copy()
    infection[tuple(np.argwhere(coarse_analysis.lobes == Lobe.LUL)[0])] = Opacity.CONSOLIDATION
    assert not same_numbers(
        corrected_fields(rescored(coarse_analysis, infection=infection)), build_report(coarse_analysis)
    )


def test_numbers_are_the_same_in_other_words(coarse_analysis):
    report = build_report(coarse_analysis)
    report["severity"]["source"] = report["ctss"]["definition"] = "in other words"
    assert same_numbers(corrected_fields(rescored(coarse_analysis)), report)
    report["total_severity_score"]["lobes"]["RUL"] += 1
    assert not same_numbers(corrected_fields(rescored(coarse_analysis)), report)


# The nearest lobe


def nearest(analysis, cut):
    """Lobes of the lung voxels of ``cut`` by those of the rest, and their indices."""
    lobes = np.where(cut, np.uint8(0), analysis.lobes)
    voxels = np.nonzero(cut & (analysis.lungs > 0))
    codes = combine(analysis.lungs, lobes, analysis.infection)
    return nearest_lobes(codes, voxels, analysis.lungs[voxels]), voxels


def test_nearest_lobe_is_that_of_given_masks(factory):
    analysis = factory.make_analysis()
    cut = np.zeros(analysis.lungs.shape, bool)
    cut[:4] = True
    found, voxels = nearest(analysis, cut)
    lobes = LobeSegmentation(np.where(cut, np.uint8(0), analysis.lobes), "cut", approximate=False)
    fitted = fit_to_lungs(lobes, analysis.lungs).labels[voxels]
    assert set(found.tolist()) == {Lobe.RLL, Lobe.LLL}
    assert np.mean(found == fitted) > 0.98  # of equally near ones either may be taken


def test_nearest_lobe_of_a_large_ct_is_searched_on_a_coarser_grid(coarse_analysis):
    fine = type("Masks", (), {})()
    for name in ("lungs", "lobes", "infection"):
        setattr(fine, name, np.repeat(getattr(coarse_analysis, name), 3, axis=0))
    assert fine.lungs.size > NEAREST_VOXELS
    cut = np.zeros(fine.lungs.shape, bool)
    cut[: int(np.flatnonzero(fine.lungs.any(axis=(1, 2)))[0]) + 6] = True
    found, voxels = nearest(fine, cut)
    assert set(found[fine.lungs[voxels] == Side.LEFT]) == {Lobe.LLL}
    assert set(found[fine.lungs[voxels] == Side.RIGHT]) == {Lobe.RLL}


def test_nearest_lobe_of_a_side_without_lobes_is_none(factory):
    analysis = factory.make_analysis()
    found, _ = nearest(analysis, analysis.lungs == Side.LEFT)
    assert len(found) > 0
    assert not found.any()
