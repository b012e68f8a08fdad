"""A result on disk: what was found, what was corrected, and the segmentation as it is; all of it or nothing."""

from __future__ import annotations

import copy
import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from CovidSeverityLib.errors import OutputError

pytest.importorskip("slicer")

from CovidSeveritySlicer.corrections.Corrected import Corrected
from CovidSeveritySlicer.scene.ReportFiles import Report, saveReport
from CovidSeveritySlicer.scene.SceneBridge import importResult, resultOf
from CovidSeveritySlicer.scene.SegmentationCopy import SegmentationCopy
from CovidSeveritySlicer.scene.Tables import fillSliceTable, sliceRows

from Testing.data_files import assert_described

pytestmark = pytest.mark.usefixtures("no_vtk_errors")

TEXTS = {"report.json", "lobes.csv", "slices.csv", "histogram.csv"}
NAMES = TEXTS | {"segmentation.seg.nrrd"}


@pytest.fixture
def analysis(factory):
    return factory.make_diagnosed(volume=factory.make_volume(factory.make_chest().hu, name="ct.nrrd"))


@pytest.fixture
def folder(analysis, result_folder):
    return result_folder(analysis)


@pytest.fixture
def result(analysis, folder, ct_node):
    return importResult(folder, ct_node(analysis.volume))


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def corrected_of(result):
    """What the live score hands over, with another score."""
    keys = ("ctss", "total_severity_score", "severity", "lungs", "infection", "well_aerated_percent")
    fields = copy.deepcopy({key: result.report[key] for key in keys})
    fields["ctss"]["total"] = 21
    fields["ctss"]["lobes"]["LLL"]["score"] = 4
    rows = tuple({**row, "infection_percent": 12.5} for row in sliceRows(result))
    return Corrected(fields, rows, 3.0, 0.0, result.report["low_attenuation"])


def rows_of(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_files_of_the_analysis_are_written_to_the_byte(result, folder, tmp_path):
    paths = saveReport(result, tmp_path / "saved")
    assert names_in(tmp_path / "saved") == NAMES == {path.name for path in paths}
    for name in TEXTS:
        assert (tmp_path / "saved" / name).read_bytes() == (folder / name).read_bytes(), name


def test_pages_are_copied_where_the_analysis_drew_them(result, folder, tmp_path):
    (folder / "overview.png").write_bytes(b"a page")
    (folder / "classification.png").write_bytes(b"another")
    (folder / "report.html").write_text("a report")
    saveReport(result, tmp_path / "saved")
    assert (tmp_path / "saved" / "overview.png").read_bytes() == b"a page"
    assert (tmp_path / "saved" / "classification.png").read_bytes() == b"another"
    assert (tmp_path / "saved" / "report.html").read_text() == "a report"


def test_a_loaded_scene_saves_the_same_numbers(slicer, result, folder, tmp_path):
    expected = {name: (folder / name).read_bytes() for name in TEXTS}
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    loaded = resultOf(slicer.util.getNode("CovidSeverity segmentation"))
    saveReport(replace(loaded, folder=None), tmp_path / "saved")
    assert {name: (tmp_path / "saved" / name).read_bytes() for name in TEXTS} == expected


def test_corrected_numbers_have_files_of_their_own(result, folder, tmp_path):
    corrected, automatic = corrected_of(result), sliceRows(result)
    fillSliceTable(result.sliceTable, corrected.rows, automatic)
    saved = tmp_path / "saved"
    saveReport(result, saved, corrected)
    assert names_in(saved) == NAMES | {"corrected_report.json", "corrected_lobes.csv", "corrected_slices.csv"}
    for name in TEXTS:
        assert (saved / name).read_bytes() == (folder / name).read_bytes(), name
    assert_described(saved, "Slicer")
    report = json.loads((saved / "corrected_report.json").read_text(encoding="utf-8"))
    assert report["ctss"]["total"] == 21
    assert report["opacity_outside_lungs_ml"] == 3
    assert "by hand" in report["corrected"]
    rows = {row["lobe"]: row for row in rows_of(saved / "corrected_lobes.csv")}
    assert rows["LLL"]["score"] == "4"
    low = result.report["low_attenuation"]["lobes"]["LLL"]
    assert float(rows["LLL"]["density_percentile_hu"]) == low["density_percentile_hu"]
    assert {row["infection_percent"] for row in rows_of(saved / "corrected_slices.csv")} == {"12.500"}


def test_corrected_files_of_an_earlier_report_go_when_there_is_no_correction(result, tmp_path):
    saveReport(result, tmp_path / "saved", corrected_of(result))
    saveReport(result, tmp_path / "saved")
    assert names_in(tmp_path / "saved") == NAMES


def test_the_segmentation_is_that_of_the_scene_now(slicer, result, tmp_path):
    node = result.segmentationNode
    painted = slicer.util.arrayFromSegmentBinaryLabelmap(node, "consolidation", result.volumeNode)
    painted[2, 3:6, 4:8] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(painted, node, "consolidation", result.volumeNode)
    storage = node.GetStorageNodeID()
    saveReport(result, tmp_path / "saved")
    assert node.GetStorageNodeID() == storage
    loaded = slicer.util.loadSegmentation(str(tmp_path / "saved" / "segmentation.seg.nrrd"))
    again = slicer.util.arrayFromSegmentBinaryLabelmap(loaded, "consolidation", result.volumeNode)
    np.testing.assert_array_equal(again > 0, painted > 0)
    assert loaded.GetSegmentation().GetSegment("RUL").GetName() == "right upper lobe"


@pytest.mark.parametrize("way", ["edited", "closed"])
def test_a_report_is_of_the_moment_when_it_was_made(slicer, result, tmp_path, way):
    saveReport(result, tmp_path / "at once")
    report = Report(result)
    if way == "closed":
        slicer.mrmlScene.Clear(0)
    else:
        fillSliceTable(result.sliceTable, ())
        result.segmentationNode.GetSegmentation().RemoveSegment("consolidation")
        nothing = np.zeros(slicer.util.arrayFromVolume(result.volumeNode).shape, np.uint8)
        slicer.util.updateSegmentBinaryLabelmapFromArray(nothing, result.segmentationNode, "RUL", result.volumeNode)
    report.save(tmp_path / "later")
    assert names_in(tmp_path / "later") == NAMES
    for name in NAMES:
        assert (tmp_path / "later" / name).read_bytes() == (tmp_path / "at once" / name).read_bytes(), name


def test_a_table_that_has_left_the_scene_is_taken_from_the_analysis(slicer, result, folder, tmp_path):
    slicer.mrmlScene.RemoveNode(result.sliceTable)
    slicer.mrmlScene.RemoveNode(result.histogramTable)
    lonely = resultOf(result.segmentationNode)
    saveReport(lonely, tmp_path / "saved")
    assert (tmp_path / "saved" / "slices.csv").read_bytes() == (folder / "slices.csv").read_bytes()
    saveReport(replace(lonely, folder=None), tmp_path / "without")
    assert names_in(tmp_path / "without") == NAMES - {"slices.csv", "histogram.csv"}


def test_an_error_on_the_way_leaves_the_earlier_report_as_it_was(result, tmp_path, monkeypatch):
    saved = tmp_path / "saved"
    saveReport(result, saved)
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    def fail(*_arguments):
        raise OSError("no space")

    monkeypatch.setattr(SegmentationCopy, "write", fail)
    with pytest.raises(OutputError, match="no space"):
        saveReport(result, saved, corrected_of(result))
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


def test_a_folder_that_was_made_for_nothing_goes(result, tmp_path, monkeypatch):
    monkeypatch.setattr(SegmentationCopy, "write", lambda *_arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        saveReport(result, tmp_path / "a" / "b")
    assert names_in(tmp_path) == {"result"}


def test_a_file_in_the_way_is_named(result, tmp_path):
    (tmp_path / "saved").write_text("mine")
    with pytest.raises(OutputError, match="it is a file, not a folder"):
        saveReport(result, tmp_path / "saved")
