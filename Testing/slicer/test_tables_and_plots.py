"""Tables of a result: typed columns, automatic values beside corrected ones; and the charts over them."""

from __future__ import annotations

import copy
import csv
import io
import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from CovidSeverityLib.features.agreement import LobeAgreement
from CovidSeverityLib.reporting.palette import LOBE_COLOURS
from CovidSeverityLib.reporting.report import build_report
from CovidSeverityLib.reporting.tables import (
    COMPONENT_COLUMNS,
    LOW_ATTENUATION_COLUMNS,
    histogram_rows,
    slice_row,
    write_lobes,
)
from CovidSeverityLib.segmentation.opacity.values import UncountedDensity
from CovidSeverityLib.types import Lobe

pytest.importorskip("slicer")

from CovidSeveritySlicer.scene.Plots import seriesOf, showHistogram, showInvolvement
from CovidSeveritySlicer.scene.SceneTransaction import SceneTransaction
from CovidSeveritySlicer.scene.Tables import (
    automaticSliceRows,
    fillHistogramTable,
    fillLobeTable,
    fillMeasurementTable,
    fillSliceTable,
    histogramRows,
    lobeRows,
    sliceRows,
)

pytestmark = pytest.mark.usefixtures("no_vtk_errors")

LOBE_COLUMNS = [
    *("lobe", "name", "score", "total_severity_score", "involvement_percent", "volume_ml", "infection_ml"),
    *LOW_ATTENUATION_COLUMNS,
]


@pytest.fixture
def table(slicer):
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "table")


def names_of(node):
    return [node.GetColumnName(n) for n in range(node.GetNumberOfColumns())]


def column(node, name):
    array = node.GetTable().GetColumnByName(name)
    return [array.GetValue(n) for n in range(node.GetNumberOfRows())]


def by_key(node, name="value"):
    return dict(zip(column(node, "measurement"), column(node, name), strict=True))


def slice_rows(analysis):
    return [slice_row(row) for row in analysis.slices]


def test_lobe_table_says_what_the_report_says(table, factory):
    analysis = factory.make_analysis()
    report = build_report(analysis)
    fillLobeTable(table, report)
    assert names_of(table) == LOBE_COLUMNS
    assert column(table, "lobe") == [lobe.name for lobe in Lobe]
    assert column(table, "score") == [report["ctss"]["lobes"][lobe.name]["score"] for lobe in Lobe]
    assert column(table, "volume_ml") == [report["ctss"]["lobes"][lobe.name]["volume_ml"] for lobe in Lobe]
    assert table.GetColumnUnitLabel("volume_ml") == "ml"
    assert table.GetColumnTitle("involvement_percent") == "Opacity"


def test_numbers_are_numbers(table, factory):
    fillLobeTable(table, build_report(factory.make_analysis()))
    assert {type(value) for name in ("score", "total_severity_score") for value in column(table, name)} == {int}
    assert {type(value) for name in LOBE_COLUMNS[4:] for value in column(table, name)} == {float}


def test_ranges_and_confidence_have_columns_where_they_are_known(table, factory):
    analysis = factory.make_analysis()
    scores = tuple(
        replace(score, score_range=(0, 3), involvement_range_percent=(0.0, 9.0), confidence=0.9)
        for score in analysis.lobe_scores
    )
    fillLobeTable(table, build_report(replace(analysis, lobe_scores=scores)))
    assert column(table, "score_low") == [0] * 5
    assert column(table, "score_high") == [3] * 5
    assert column(table, "confidence") == [0.9] * 5


def test_rows_of_lobes_are_those_of_the_file(factory):
    analysis = factory.make_analysis()
    file = io.StringIO()
    write_lobes(analysis, file)
    written = list(csv.DictReader(io.StringIO(file.getvalue())))
    for row, known in zip(written, lobeRows(build_report(analysis)), strict=True):
        assert set(row) == set(known)
        assert {name: known[name] for name in ("lobe", "name")} == {name: row[name] for name in ("lobe", "name")}
        for name in LOBE_COLUMNS[2:]:
            assert float(row[name]) == known[name]


def test_rows_of_lobes_tell_how_a_second_engine_agrees(factory):
    agreement = LobeAgreement("MOOSE", {Lobe.RUL: 0.5}, 7)
    rows = lobeRows(build_report(replace(factory.make_analysis(), lobe_agreement=agreement)))
    assert [row["compared_dice"] for row in rows] == [0.5, None, None, None, None]


def corrected_report(report):
    """What the live score passes: the keys that corrections change, without ranges."""
    keys = ("ctss", "total_severity_score", "severity", "lungs", "infection", "well_aerated_percent")
    corrected = copy.deepcopy({key: report[key] for key in keys})
    corrected["ctss"].update(total=13, range=None)
    corrected["ctss"]["lobes"]["RLL"].update(score=5, involvement_percent=91.5)
    corrected["severity"]["label"] = "moderate"
    corrected["well_aerated_percent"] = None
    corrected["low_attenuation"] = None
    return corrected


def test_automatic_scores_stand_beside_corrected_ones(table, factory):
    report = build_report(factory.make_analysis())
    fillLobeTable(table, corrected_report(report), report)
    automatic = [report["ctss"]["lobes"][lobe.name]["score"] for lobe in Lobe]
    assert names_of(table)[7:] == [f"automatic_{name}" for name in LOBE_COLUMNS[2:]]
    assert column(table, "automatic_score") == automatic
    assert column(table, "score") == [
        5 if lobe is Lobe.RLL else score for lobe, score in zip(Lobe, automatic, strict=True)
    ]
    assert table.GetColumnTitle("automatic_score") == "Score (0-5), automatic"
    fillLobeTable(table, report)
    assert names_of(table) == LOBE_COLUMNS


def test_measurements_are_those_of_the_report(table, factory):
    density = UncountedDensity(1.0, 2.0, 3.0, 4.0, None)
    report = build_report(factory.make_analysis(ctss_range=(3, 9), uncounted=density))
    fillMeasurementTable(table, report)
    found = by_key(table)
    assert (found["ctss"], found["ctss_low"], found["ctss_high"]) == (report["ctss"]["total"], 3, 9)
    assert found["infection_percent"] == report["infection"]["percent_of_lung"]
    assert found["ground_glass_ml"] == report["infection"]["ggo_ml"]
    assert found["left_lung_ml"] == report["lungs"]["left_ml"]
    assert found["uncounted_vessels_ml"] == 2.0
    assert {"uncounted_dependent_opacity_ml", "p_cap", "ctss_max_variant"}.isdisjoint(found)
    assert by_key(table, "unit")["left_lung_ml"] == "ml"
    assert by_key(table, "note")["ctss"] == report["severity"]["label"]


def test_low_attenuation_stands_in_both_tables(table, factory):
    report = build_report(factory.make_analysis())
    low = report["low_attenuation"]
    fillMeasurementTable(table, report)
    found = by_key(table)
    assert found["low_attenuation_percent"] == low["total"]["percent"]
    assert found["low_attenuation_percent_left"] == low["left"]["percent"]
    assert found["density_percentile_hu"] == low["total"]["density_percentile_hu"]
    assert "noise_sd_hu" not in found  # this chest has no trachea
    assert by_key(table, "note")["low_attenuation_percent"] == "under -910 HU"
    fillLobeTable(table, report)
    told = [low["lobes"][lobe.name]["density_percentile_hu"] for lobe in Lobe]
    assert column(table, "density_percentile_hu") == told


def test_tables_of_a_report_without_low_attenuation_leave_it_out(table, factory):
    report = build_report(factory.make_analysis())
    del report["low_attenuation"]
    fillLobeTable(table, report)
    assert not any("low_attenuation" in name for name in names_of(table))
    fillMeasurementTable(table, report)
    assert not any("low_attenuation" in key for key in by_key(table))


def test_probabilities_are_measurements_and_the_label_is_noted(table, factory):
    report = build_report(factory.make_diagnosed())
    fillMeasurementTable(table, report)
    probabilities = report["classification"]["probabilities"]
    found = by_key(table)
    assert [found[key] for key in ("p_normal", "p_cap", "p_covid19")] == list(probabilities.values())
    assert [key for key, note in by_key(table, "note").items() if note == "diagnosis by vote"] == ["p_covid19"]


def test_what_is_not_known_after_corrections_is_not_a_number(table, factory):
    density = UncountedDensity(1.0, 2.0, 3.0, 4.0, None)
    report = build_report(factory.make_analysis(ctss_range=(3, 9), uncounted=density))
    fillMeasurementTable(table, corrected_report(report), report)
    now, before = by_key(table), by_key(table, "automatic_value")
    assert (now["ctss"], before["ctss"]) == (13, report["ctss"]["total"])
    assert by_key(table, "note")["ctss"] == "moderate"
    for key, value in (("ctss_low", 3), ("uncounted_small_ml", 4), ("well_aerated_percent", None)):
        assert math.isnan(now[key])
        assert before[key] == (report["well_aerated_percent"] if value is None else value)


def test_slice_rows_come_back_as_they_were(table, factory):
    rows = slice_rows(factory.make_analysis())
    fillSliceTable(table, rows)
    assert list(sliceRows(SimpleNamespace(sliceTable=table))) == rows


def test_votes_come_back_and_are_none_where_a_slice_did_not_vote(slicer, factory, result_folder, ct_node):
    from CovidSeveritySlicer.scene.SceneBridge import importResult

    analysis = factory.make_diagnosed()
    folder = result_folder(analysis)
    result = importResult(folder, ct_node(analysis.volume))
    with (folder / "slices.csv").open(encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert {row["label"] for row in sliceRows(result)} == {None, "CAP", "COVID-19"}
    for row, text in zip(sliceRows(result), written, strict=True):
        assert {name: text[name] for name in row if text[name] == ""} == {
            name: "" for name, value in row.items() if value is None
        }
        assert row["p_cap"] == (float(text["p_cap"]) if text["p_cap"] else None)


def test_automatic_slices_stand_beside_corrected_ones(table, factory):
    automatic = slice_rows(factory.make_analysis())
    rows = [{**row, "infection_percent": 50.0, "lung_ml": row["lung_ml"] + 1} for row in automatic]
    fillSliceTable(table, rows, automatic)
    result = SimpleNamespace(sliceTable=table)
    assert list(sliceRows(result)) == rows
    assert list(automaticSliceRows(result)) == automatic
    assert "automatic_infection_percent_LLL" in names_of(table)
    fillSliceTable(table, automatic)
    assert list(automaticSliceRows(result)) == automatic


def test_automatic_slices_are_matched_by_their_index(table, factory):
    automatic = slice_rows(factory.make_analysis())
    fillSliceTable(table, automatic[3:], automatic)
    assert column(table, "automatic_lung_ml") == [row["lung_ml"] for row in automatic[3:]]


def test_histogram_rows_come_back_with_the_sum_of_the_mixture_beside(table, factory):
    rows = histogram_rows(factory.make_analysis().densitometry)
    fillHistogramTable(table, rows)
    assert list(histogramRows(SimpleNamespace(histogramTable=table))) == rows
    parts = [column(table, f"component_{n}_voxels") for n in (1, 2, 3)]
    assert column(table, "mixture_voxels") == pytest.approx([sum(values) for values in zip(*parts, strict=True)])


def test_a_histogram_without_mixture_has_no_components(table, factory):
    densitometry = replace(factory.make_analysis().densitometry, mixture=None)
    fillHistogramTable(table, histogram_rows(densitometry))
    assert names_of(table) == ["hu", "voxels"]


def test_involvement_is_drawn_over_z_in_the_colours_of_the_lobes(table, factory):
    fillSliceTable(table, slice_rows(factory.make_analysis()))
    with SceneTransaction() as change:
        chart = showInvolvement(change, table)
    lines = seriesOf(chart)
    assert [line.GetName() for line in lines][:2] == ["both lungs", "right upper lobe"]
    assert {line.GetXColumnName() for line in lines} == {"z_mm"}
    assert [line.GetYColumnName() for line in lines] == ["infection_percent"] + [
        f"infection_percent_{lobe.name}" for lobe in Lobe
    ]
    assert lines[5].GetColor() == pytest.approx(LOBE_COLOURS[Lobe.LLL])
    assert {line.GetPlotTypeAsString(line.GetPlotType()) for line in lines} == {"Scatter"}
    assert chart.GetXAxisTitle() == "z (mm), inferior to superior"


def test_histogram_is_drawn_with_the_parts_of_its_mixture_and_without_them(slicer, table, factory):
    densitometry = factory.make_analysis().densitometry
    fillHistogramTable(table, histogram_rows(densitometry))
    with SceneTransaction() as change:
        chart = showHistogram(change, table)
    assert [line.GetYColumnName() for line in seriesOf(chart)] == names_of(table)[1:]
    fillHistogramTable(table, histogram_rows(replace(densitometry, mixture=None)))
    with SceneTransaction() as change:
        assert showHistogram(change, table) is chart
    assert [line.GetYColumnName() for line in seriesOf(chart)] == ["voxels"]
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == 1


def test_lines_that_a_user_added_stay_in_the_scene(slicer, table, factory):
    fillSliceTable(table, slice_rows(factory.make_analysis()))
    with SceneTransaction() as change:
        chart = showInvolvement(change, table)
    mine = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", "mine")
    chart.AddAndObservePlotSeriesNodeID(mine.GetID())
    with SceneTransaction() as change:
        showInvolvement(change, table)
    assert slicer.mrmlScene.IsNodePresent(mine)


def test_no_title_tells_a_unit_because_slicer_appends_it(slicer, factory):
    report = build_report(factory.make_analysis())
    rows = slice_rows(factory.make_analysis())
    filled = {
        fillLobeTable: (report, report),
        fillSliceTable: (rows, rows),
        fillMeasurementTable: (report, report),
        fillHistogramTable: ([dict.fromkeys(("hu", "voxels", *COMPONENT_COLUMNS), 1)],),
    }
    for fill, content in filled.items():
        table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode")
        fill(table, *content)
        shown = [f"{table.GetColumnTitle(name)} [{table.GetColumnUnitLabel(name)}]" for name in names_of(table)]
        assert len(set(shown)) == len(shown)
        assert not [text for text in shown if any(unit in text for unit in ("(%)", "(ml)", "(HU)", "(mm)"))]


def test_columns_keep_their_types_when_the_table_is_saved(slicer, table, factory, tmp_path):
    fillLobeTable(table, build_report(factory.make_analysis()))
    values = {name: column(table, name) for name in names_of(table)}
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    loaded = slicer.util.getNode("table")
    assert {name: column(loaded, name) for name in names_of(loaded)} == values
    assert loaded.GetColumnTitle("score") == "Score (0-5)"


def test_report_of_the_schema_is_json_that_the_tables_take(table, factory):
    report = json.loads(json.dumps(build_report(factory.make_diagnosed())))
    fillLobeTable(table, report)
    fillMeasurementTable(table, report)
    assert table.GetNumberOfRows() > 10
