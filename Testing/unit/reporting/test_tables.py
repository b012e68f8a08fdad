"""``lobes.csv``, ``slices.csv`` and ``histogram.csv``."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from CovidSeverityLib.analysis import ClassifiedCt
from CovidSeverityLib.classification.description import CLASS_NAMES
from CovidSeverityLib.features.agreement import LobeAgreement
from CovidSeverityLib.reporting.report import build_report
from CovidSeverityLib.reporting.tables import (
    rounded,
    write_classified_slices,
    write_histogram,
    write_lobes,
    write_slices,
)
from CovidSeverityLib.types import Lobe


def text_of(write, analysis) -> str:
    file = io.StringIO(newline="")
    write(analysis, file)
    return file.getvalue()


def rows_of(write, analysis) -> list[dict]:
    return list(csv.DictReader(io.StringIO(text_of(write, analysis))))


def test_lobes_have_one_row_each_in_fixed_columns(factory):
    rows = rows_of(write_lobes, factory.make_analysis())
    assert [row["lobe"] for row in rows] == ["RUL", "RML", "RLL", "LUL", "LLL"]
    assert list(rows[0]) == [
        "lobe",
        "name",
        "score",
        "score_low",
        "score_high",
        "total_severity_score",
        "involvement_percent",
        "volume_ml",
        "infection_ml",
        "confidence",
        "compared_dice",
        "low_attenuation_percent",
        "low_attenuation_measured_percent",
        "low_attenuation_noise_percent",
        "density_percentile_hu",
    ]
    assert rows[1]["name"] == "right middle lobe"
    assert {row["compared_dice"] for row in rows} == {""}


def test_lobes_tell_how_a_second_engine_agrees(factory):
    dice = {lobe: lobe / 7 for lobe in Lobe if lobe is not Lobe.RML}  # which neither engine has found
    rows = rows_of(write_lobes, replace(factory.make_analysis(), lobe_agreement=LobeAgreement("MOOSE", dice, 7)))
    assert [row["compared_dice"] for row in rows] == ["0.1429", "", "0.4286", "0.5714", "0.7143"]


def test_range_of_a_score_is_empty_where_it_is_not_known(factory):
    analysis = factory.make_analysis()
    ranged = tuple(replace(score, score_range=(0, 3)) for score in analysis.lobe_scores)
    known = rows_of(write_lobes, replace(analysis, lobe_scores=ranged))
    assert {(row["score_low"], row["score_high"]) for row in rows_of(write_lobes, analysis)} == {("", "")}
    assert {(row["score_low"], row["score_high"]) for row in known} == {("0", "3")}


def test_confidence_is_empty_where_it_is_not_known(factory):
    analysis = factory.make_analysis()
    sure = tuple(replace(score, confidence=0.9) for score in analysis.lobe_scores)
    assert {row["confidence"] for row in rows_of(write_lobes, analysis)} == {""}
    assert {row["confidence"] for row in rows_of(write_lobes, replace(analysis, lobe_scores=sure))} == {"0.90"}


def test_lobes_say_the_same_as_the_report(factory):
    analysis = factory.make_analysis()
    lobes = build_report(analysis)["ctss"]["lobes"]
    for row in rows_of(write_lobes, analysis):
        assert float(row["involvement_percent"]) == lobes[row["lobe"]]["involvement_percent"]
        assert float(row["infection_ml"]) == lobes[row["lobe"]]["infection_ml"]


def test_slices_run_from_inferior_to_superior(factory):
    analysis = factory.make_stored("flipped")
    rows = rows_of(write_slices, analysis)
    heights = [float(row["z_mm"]) for row in rows]
    assert list(rows[0])[:4] == ["index", "z_mm", "lung_ml", "infection_percent"]
    assert list(rows[0])[4:9] == [f"infection_percent_{lobe}" for lobe in ("RUL", "RML", "RLL", "LUL", "LLL")]
    assert heights == sorted(heights)
    assert [int(row["index"]) for row in rows] == list(range(len(analysis.slices)))
    assert sum(float(row["lung_ml"]) for row in rows) == pytest.approx(analysis.lung_ml, abs=0.1)


def test_interpolated_slices_have_no_row(factory):
    chest = factory.make_chest()
    acquired = (True, False) + (True,) * 18
    analysis = factory.make_analysis(chest, factory.make_volume(chest.hu, acquired=acquired))
    assert [int(row["index"]) for row in rows_of(write_slices, analysis)] == [0, *range(2, 20)]
    assert build_report(analysis)["input"]["interpolated_slices"] == 1


VOTE_COLUMNS = ["p_normal", "p_cap", "p_covid19", "label", "vote_weight"]


def test_votes_stand_beside_their_slices_and_are_empty_elsewhere(factory):
    analysis = factory.make_diagnosed()
    diagnosis, rows = analysis.classification, rows_of(write_slices, analysis)
    assert list(rows[0])[9:] == VOTE_COLUMNS
    for row in rows:
        values = [row[column] for column in VOTE_COLUMNS]
        if int(row["index"]) not in diagnosis.slices:
            assert values == [""] * 5
            continue
        n = diagnosis.slices.index(int(row["index"]))
        assert [float(value) for value in values[:3]] == pytest.approx(diagnosis.probabilities[n].tolist(), abs=1e-6)
        assert values[3:] == [CLASS_NAMES[diagnosis.slice_labels[n]], f"{diagnosis.slice_weights[n]:.1f}"]
    assert 0 < sum(bool(row["label"]) for row in rows) < len(rows)


def test_slices_without_a_diagnosis_differ_by_empty_columns_only(factory):
    without, with_votes = factory.make_analysis(), factory.make_diagnosed()
    assert {tuple(row[column] for column in VOTE_COLUMNS) for row in rows_of(write_slices, without)} == {("",) * 5}
    for before, after in zip(rows_of(write_slices, without), rows_of(write_slices, with_votes), strict=True):
        assert list(before.values())[:9] == list(after.values())[:9]


def test_slices_of_a_diagnosis_alone_tell_lung_and_votes(factory):
    analysis = factory.make_diagnosed()
    alone, all_of_it = rows_of(write_classified_slices, ClassifiedCt.of(analysis)), rows_of(write_slices, analysis)
    assert list(alone[0]) == ["index", "z_mm", "lung_ml", *VOTE_COLUMNS]
    assert alone == [{column: row[column] for column in alone[0]} for row in all_of_it]


COMPONENTS = [f"component_{n}_voxels" for n in (1, 2, 3)]


def test_histogram_counts_every_lung_voxel_by_whole_hounsfield_units(factory):
    analysis = factory.make_analysis()
    rows = rows_of(write_histogram, analysis)
    assert list(rows[0]) == ["hu", "voxels", *COMPONENTS]
    units = [int(row["hu"]) for row in rows]
    assert units == list(range(analysis.densitometry.first_hu, units[-1] + 1))
    assert [int(row["voxels"]) for row in rows] == analysis.densitometry.histogram.tolist()
    assert sum(int(row["voxels"]) for row in rows) == analysis.lung_voxels


def test_components_expect_their_weight_around_their_mean(factory):
    analysis = factory.make_analysis()
    fit, rows = analysis.densitometry.mixture, rows_of(write_histogram, analysis)
    for column, mean, sd, weight in zip(COMPONENTS, fit.means_hu, fit.sds_hu, fit.weights, strict=True):
        voxels = np.array([float(row[column]) for row in rows])
        units = np.array([int(row["hu"]) for row in rows])
        within = np.abs(units - mean) < sd + 0.5
        assert voxels.sum() == pytest.approx(weight * analysis.lung_voxels, rel=0.01)
        assert voxels[within].sum() == pytest.approx(0.683 * weight * analysis.lung_voxels, rel=0.02)
        assert np.average(units, weights=voxels) == pytest.approx(mean, abs=1.0)


def test_a_component_narrower_than_a_hounsfield_unit_expects_no_more_than_there_is(factory):
    analysis = factory.make_analysis()
    narrow = replace(analysis.densitometry.mixture, sds_hu=(0.05, 130.0, 110.0), weights=(1.0, 0.0, 0.0))
    rows = rows_of(write_histogram, replace(analysis, densitometry=replace(analysis.densitometry, mixture=narrow)))
    peak = {int(row["hu"]): float(row[COMPONENTS[0]]) for row in rows if float(row[COMPONENTS[0]]) > 0}
    assert peak == {-860: analysis.lung_voxels}


def test_components_are_empty_where_no_mixture_was_fitted(factory):
    analysis = factory.make_analysis()
    without = replace(analysis, densitometry=replace(analysis.densitometry, mixture=None))
    rows = rows_of(write_histogram, without)
    assert {tuple(row[column] for column in COMPONENTS) for row in rows} == {("", "", "")}
    assert sum(int(row["voxels"]) for row in rows) == analysis.lung_voxels


def test_decimals_are_fixed_and_lines_end_with_lf(factory):
    text = text_of(write_slices, factory.make_analysis())
    assert "\r" not in text
    first = text.splitlines()[1].split(",")
    assert first[:4] == ["0", "-120.000", "0.00", "0.000"]


def test_rounding_never_gives_minus_zero():
    assert str(rounded(-0.0001, 3)) == "0.0"
