"""``lobes.csv`` and ``slices.csv``."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from CovidSeverityLib.reporting.report import build_report
from CovidSeverityLib.reporting.tables import rounded, write_lobes, write_slices


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
    ]
    assert rows[1]["name"] == "right middle lobe"


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
    assert list(rows[0])[4:] == [f"infection_percent_{lobe}" for lobe in ("RUL", "RML", "RLL", "LUL", "LLL")]
    assert heights == sorted(heights)
    assert [int(row["index"]) for row in rows] == list(range(len(analysis.slices)))
    assert sum(float(row["lung_ml"]) for row in rows) == pytest.approx(analysis.lung_ml, abs=0.1)


def test_interpolated_slices_have_no_row(factory):
    chest = factory.make_chest()
    acquired = (True, False) + (True,) * 18
    analysis = factory.make_analysis(chest, factory.make_volume(chest.hu, acquired=acquired))
    assert [int(row["index"]) for row in rows_of(write_slices, analysis)] == [0, *range(2, 20)]
    assert build_report(analysis)["input"]["interpolated_slices"] == 1


def test_decimals_are_fixed_and_lines_end_with_lf(factory):
    text = text_of(write_slices, factory.make_analysis())
    assert "\r" not in text
    first = text.splitlines()[1].split(",")
    assert first[:4] == ["0", "-120.000", "0.00", "0.000"]


def test_rounding_never_gives_minus_zero():
    assert str(rounded(-0.0001, 3)) == "0.0"
