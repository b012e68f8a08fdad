"""Two results compared: by the child, into the scene, from the panel."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")

from CovidSeveritySlicer.analysis.AnalysisLogic import AnalysisError
from CovidSeveritySlicer.analysis.ComparisonLogic import ComparisonLogic
from CovidSeveritySlicer.scene.Comparison import CHANGE_LAYERS, COMPARISON_TEXT, ComparisonImport
from CovidSeveritySlicer.scene.LargeText import textOf
from CovidSeveritySlicer.scene.ReportFiles import Report
from CovidSeveritySlicer.scene.SceneBridge import UnusableResult, importResult

pytestmark = pytest.mark.usefixtures("no_vtk_errors")


ROW = "RUL,right upper lobe,10.00,12.50,2.50,yes\nlungs,both lungs,,,,\n"
HEAD = "lobe,name,opacity_before_ml,opacity_after_ml,opacity_change_ml,opacity_ml_more_than_repeatability\n"


def idle_timer(*_arguments, **_options):
    """A timer that never ticks: those who wait look for themselves."""
    return SimpleNamespace(start=lambda: None, stop=lambda: None)


@pytest.fixture
def volume(factory):
    return factory.make_volume(factory.make_chest().hu, name="ct.nrrd")


def write_comparison(folder, volume, labels, segments=tuple(CHANGE_LAYERS)):
    """The files of a comparison, as the contract has them."""
    folder.mkdir()
    report = {
        "before": {"name": "Jane Doe 2020"},
        "after": {"name": "Jane Doe 2021"},
        "lungs": {"ctss": {"change": 3}},
    }
    (folder / "comparison.json").write_text(json.dumps(report), encoding="utf-8")
    (folder / "lobe_changes.csv").write_text(HEAD + ROW, encoding="utf-8")
    geometry = volume.stored_geometry
    axes = (np.reshape(geometry.direction, (3, 3)) * geometry.spacing_mm).T
    fields = [
        *("NRRD0004", "type: uint8", "dimension: 3", "space: left-posterior-superior"),
        f"sizes: {' '.join(map(str, geometry.size))}",
        "space directions: " + " ".join(f"({','.join(map(repr, axis))})" for axis in axes.tolist()),
        *("kinds: domain domain domain", "encoding: gzip"),
        f"space origin: ({','.join(map(repr, map(float, geometry.origin_mm)))})",
    ]
    for n, name in enumerate(segments):
        values = {"ID": name, "Name": name.replace("_", " "), "Color": "1 0 0", "LabelValue": n + 1, "Layer": 0}
        fields += [f"Segment{n}_{key}:={value}" for key, value in {**values, "Tags": ""}.items()]
    content = gzip.compress(np.ascontiguousarray(volume.storage.to_stored(labels)).tobytes())
    (folder / "changes.seg.nrrd").write_bytes("\n".join([*fields, "", ""]).encode() + content)
    return folder


@pytest.fixture
def labels(volume):
    found = np.zeros(volume.hu.shape, dtype=np.uint8)
    found[4:6, 5:9, 5:9], found[7, 5:9, 5:9], found[9, 2:4, 2:4] = 1, 2, 3
    return found


def test_changes_come_into_the_scene_as_segments_and_a_table(slicer, volume, labels, ct_node, tmp_path):
    ct = ct_node(volume)
    found = ComparisonImport(write_comparison(tmp_path / "out", volume, labels), ct)
    found.read()
    result = found.finish()
    for n, name in enumerate(CHANGE_LAYERS, start=1):
        array = slicer.util.arrayFromSegmentBinaryLabelmap(result.segmentationNode, name, ct)
        np.testing.assert_array_equal(array > 0, volume.storage.to_stored(labels) == n)
    table = result.table.GetTable()
    assert [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())] == HEAD.strip().split(",")
    assert table.GetColumnByName("opacity_change_ml").GetValue(0) == 2.5
    assert table.GetColumnByName("opacity_ml_more_than_repeatability").GetValue(0) == "yes"
    assert np.isnan(table.GetColumnByName("opacity_change_ml").GetValue(1))
    assert result.table.GetColumnUnitLabel("opacity_change_ml") == "ml"
    assert result.report["lungs"]["ctss"]["change"] == 3


def test_no_name_comes_into_the_scene(volume, labels, ct_node, tmp_path):
    found = ComparisonImport(write_comparison(tmp_path / "out", volume, labels), ct_node(volume))
    found.read()
    assert "Jane" not in textOf(found.finish().segmentationNode, COMPARISON_TEXT)


@pytest.mark.parametrize("file", ["comparison.json", "changes.seg.nrrd", "lobe_changes.csv"])
def test_damaged_files_leave_the_scene_as_it_is(slicer, volume, labels, ct_node, tmp_path, file):
    folder = write_comparison(tmp_path / "out", volume, labels)
    (folder / file).write_bytes((folder / file).read_bytes()[:40])
    found, before = ComparisonImport(folder, ct_node(volume)), slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(UnusableResult):
        found.read()
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def test_other_segments_or_another_grid_are_refused(factory, volume, labels, ct_node, tmp_path):
    other = ComparisonImport(write_comparison(tmp_path / "a", volume, labels, ("Lung",)), ct_node(volume))
    with pytest.raises(UnusableResult, match="other segments"):
        other.read()
    ct = ct_node(volume)
    found = ComparisonImport(write_comparison(tmp_path / "b", volume, labels), ct)
    found.read()
    ct.SetOrigin(100.0, 0.0, 0.0)
    with pytest.raises(UnusableResult, match="moved"):
        found.finish()


@pytest.fixture
def result(a_written_result, a_volume_node):
    """The small chest's result in the scene."""
    return importResult(a_written_result, a_volume_node)


def test_a_folder_without_a_result_is_refused_before_anything_starts(result, tmp_path):
    logic = ComparisonLogic(idle_timer)
    with pytest.raises(AnalysisError, match="has no result of CovidSeverity"):
        logic.start(tmp_path, Report(result), result.volumeNode)
    assert not logic.running


def test_a_crash_is_called_one_of_the_comparison(result, a_written_result, python_job):
    logic = ComparisonLogic(idle_timer, python_job("import sys; sys.exit(3)"))
    logic.start(a_written_result, Report(result), result.volumeNode)
    with pytest.raises(AnalysisError, match="The comparison ended unexpectedly"):
        logic.wait()


COPYING = """
import json, shutil, sys
from pathlib import Path
command, before, after, _o, output = sys.argv[1:6]
assert command == "compare"
assert all((Path(folder) / "report.json").is_file() for folder in (before, after))
shutil.copytree({made!r}, output)
print(json.dumps({{"stage": "registration", "done": 1, "total": 1}}))
"""
"""A child that has a comparison at hand; the panel's test runs the real one."""


def test_what_the_child_has_made_comes_into_the_scene(
    slicer, result, a_written_result, a_small_chest, python_job, tmp_path
):
    volume, stages = a_small_chest.volume, set()
    made = write_comparison(tmp_path / "made", volume, (a_small_chest.lungs > 0).astype(np.uint8))
    logic = ComparisonLogic(idle_timer, python_job(COPYING.format(made=str(made))))
    logic.progressed.connect(lambda stage, _done, _total: stages.add(stage))
    logic.start(a_written_result, Report(result), result.volumeNode)
    found = logic.wait()
    assert found.report["lungs"]["ctss"]["change"] == 3
    assert stages == {"registration"}
    new = slicer.util.arrayFromSegmentBinaryLabelmap(found.segmentationNode, "New_opacity", result.volumeNode)
    np.testing.assert_array_equal(new > 0, volume.storage.to_stored(a_small_chest.lungs) > 0)
    names = found.table.GetTable().GetColumnByName("lobe")
    assert [names.GetValue(n) for n in range(names.GetNumberOfValues())] == ["RUL", "lungs"]
    assert list(Path(slicer.app.temporaryPath).glob("CovidSeverity-*/after")) == []


@pytest.mark.slow
def test_a_cancelled_comparison_says_so_and_leaves_nothing(slicer, result, a_written_result):
    logic, seen = ComparisonLogic(idle_timer), []
    logic.cancelled.connect(lambda: seen.append("cancelled"))
    logic.failed.connect(lambda *_a: seen.append("failed"))
    before = slicer.mrmlScene.GetNumberOfNodes()
    logic.start(a_written_result, Report(result), result.volumeNode)
    logic.cancel()
    with pytest.raises(AnalysisError, match="cancelled"):
        logic.wait()
    assert (seen, slicer.mrmlScene.GetNumberOfNodes(), logic.running) == (["cancelled"], before, False)


def test_an_interrupt_ends_the_comparison_at_once(slicer, result, a_written_result, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    logic, seen = ComparisonLogic(idle_timer), []
    logic.cancelled.connect(lambda: seen.append("cancelled"))
    logic.start(a_written_result, Report(result), result.volumeNode)
    monkeypatch.setattr(slicer.app, "processEvents", interrupt)
    with pytest.raises(KeyboardInterrupt):
        logic.wait()
    assert (seen, logic.running) == (["cancelled"], False)
    assert list(Path(slicer.app.temporaryPath).glob("CovidSeverity-*/after")) == []
