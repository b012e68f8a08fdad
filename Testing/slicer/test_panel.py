"""The panel as the user sees and clicks it, on stand-ins for Slicer's Qt."""

from __future__ import annotations

import json
import re
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")


@pytest.fixture
def a_panel(slicer_with_qt, module_file, monkeypatch, tmp_path):
    """The module's widget, loaded and entered as Slicer does, with a logic that installs nothing."""
    monkeypatch.setenv("COVID_SEVERITY_MODELS", str(tmp_path / "models"))
    slicer_with_qt.app.moduleManager().load(module_file)
    widget = slicer_with_qt.util.getModuleWidget("CovidSeverity")
    widget.logic._logic._ensure = lambda classifier=False: None
    widget.enter()
    return widget


@pytest.fixture
def a_quick_panel(a_panel, copying_job):
    """The same with results at hand."""
    a_panel.logic._logic._makeJob = copying_job
    return a_panel


@pytest.fixture
def dialogs(slicer_with_qt, monkeypatch):
    """Text and details of every error dialog."""
    seen = []
    monkeypatch.setattr(slicer_with_qt.util, "errorDisplay", lambda text, **details: seen.append((text, details)))
    return seen


def shown(widget):
    """Whether a widget would be seen if the panel were."""
    return not widget.isHidden()


def card(panel):
    return " ".join(re.sub(r"<[^>]*>", " ", panel.ui.cardLabel.text).replace("&nbsp;", " ").split())


def analyse(panel, wait_until):
    panel.ui.analyzeButton.click()
    wait_until(lambda: not panel.logic.running)


def test_opening_the_panel_installs_and_computes_nothing(slicer_with_qt, module_file, monkeypatch):
    monkeypatch.setattr("CovidSeveritySlicer.analysis.Install._requirements", lambda *_a, **_k: pytest.fail("asked"))
    slicer_with_qt.app.moduleManager().load(module_file)
    slicer_with_qt.util.getModuleWidget("CovidSeverity").enter()
    assert slicer_with_qt.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_start_up_loads_nothing_of_the_library(slicer_with_qt, module_file, monkeypatch):
    def loaded():
        return [name for name in sys.modules if name.split(".")[0] in ("CovidSeverityLib", "CovidSeveritySlicer")]

    for name in loaded():
        monkeypatch.delitem(sys.modules, name)
    slicer_with_qt.app.moduleManager().load(module_file)
    names = loaded()
    for name in names:
        del sys.modules[name]
    assert "CovidSeveritySlicer.SelfTest" in names
    assert not [name for name in names if name.startswith("CovidSeverityLib")]


def test_panel_opens_before_the_packages_are_installed(slicer_with_qt, module_file, monkeypatch):
    own = [name for name in sys.modules if name.split(".")[0] in ("CovidSeverityLib", "CovidSeveritySlicer")]
    for name in own:
        monkeypatch.delitem(sys.modules, name)
    for name in (
        "slicerio",
        "nibabel",
        "nrrd",
        "matplotlib",
        "rich",
        "platformdirs",
        "psutil",
        "skimage",
        "tensorflow",
        "dask",
        "distributed",
        "fsspec",
        "pyarrow",
    ):
        monkeypatch.setitem(sys.modules, name, None)
    slicer_with_qt.app.moduleManager().load(module_file)
    widget = slicer_with_qt.util.getModuleWidget("CovidSeverity")
    widget.enter()
    assert widget.ui.analyzeButton.text == "Analyze"
    slicer_with_qt.app.moduleManager().unload("CovidSeverity")
    for name in [name for name in sys.modules if name.split(".")[0] in ("CovidSeverityLib", "CovidSeveritySlicer")]:
        del sys.modules[name]


def test_without_a_ct_there_is_nothing_to_click(a_panel):
    assert not a_panel.ui.analyzeButton.enabled
    assert "Load a chest CT" in a_panel.ui.analyzeButton.toolTip
    assert not shown(a_panel.ui.resultCollapsibleButton)


def test_first_ct_is_chosen_and_can_be_analysed(a_panel, a_volume_node):
    assert a_panel.ui.inputVolumeSelector.currentNode() is a_volume_node
    assert a_panel.ui.analyzeButton.enabled
    assert a_panel.ui.analyzeButton.text == "Analyze"


def test_analyze_shows_progress_and_then_the_result(a_quick_panel, a_volume_node, wait_until):
    ui = a_quick_panel.ui
    ui.analyzeButton.click()
    assert ui.analyzeButton.text == "Cancel"
    assert shown(ui.progressBar)
    wait_until(lambda: not a_quick_panel.logic.running)
    assert ui.analyzeButton.text == "Analyze"
    assert not shown(ui.progressBar)
    assert not shown(ui.statusLabel)
    assert shown(ui.resultCollapsibleButton)
    result = a_quick_panel.panel.result
    assert f"CTSS {result.ctss}" in card(a_quick_panel)
    assert ui.outputSegmentationSelector.currentNode() is result.segmentationNode
    assert ui.lobeTableSelector.currentNode() is result.lobeTable


def test_stage_is_told_while_it_runs(a_panel, a_volume_node, python_job, wait_until):
    line = '{"stage": "infection", "done": 2, "total": 4}'
    a_panel.logic._logic._makeJob = python_job(f"print({line!r}, flush=True); import time; time.sleep(60)")
    a_panel.ui.analyzeButton.click()
    wait_until(lambda: "opacities" in a_panel.ui.statusLabel.text)
    assert 0 < a_panel.ui.progressBar.value < 100
    a_panel.ui.analyzeButton.click()
    wait_until(lambda: not a_panel.logic.running)


def test_cancel_says_that_nothing_has_changed(a_panel, a_volume_node, python_job, wait_until):
    a_panel.logic._logic._makeJob = python_job("import time; time.sleep(60)")
    a_panel.ui.analyzeButton.click()
    assert a_panel.ui.analyzeButton.text == "Cancel"
    a_panel.ui.analyzeButton.click()
    wait_until(lambda: not a_panel.logic.running)
    assert "Cancelled" in a_panel.ui.statusLabel.text
    assert a_panel.ui.analyzeButton.enabled
    assert not shown(a_panel.ui.resultCollapsibleButton)


def test_crash_is_told_in_panel_and_dialog_with_the_log(
    slicer_with_qt, a_panel, a_volume_node, python_job, wait_until, dialogs
):
    a_panel.logic._logic._makeJob = python_job("import sys; sys.exit('the end of it')")
    analyse(a_panel, wait_until)
    assert a_panel.ui.statusLabel.text
    ((text, details),) = dialogs
    assert text == a_panel.ui.statusLabel.text
    assert "the end of it" in details["detailedText"]


def test_declined_installation_is_told_without_a_dialog(a_panel, a_volume_node, dialogs):
    from CovidSeveritySlicer.analysis.Install import InstallDeclined

    def decline(classifier=False):
        raise InstallDeclined("The packages were not installed.")

    a_panel.logic._logic._ensure = decline
    a_panel.ui.analyzeButton.click()
    assert a_panel.ui.statusLabel.text == "The packages were not installed."
    assert dialogs == []
    assert a_panel.ui.analyzeButton.enabled


def test_another_ct_has_outputs_of_its_own(slicer_with_qt, a_quick_panel, a_volume_node, wait_until):
    analyse(a_quick_panel, wait_until)
    first = a_quick_panel.panel.result
    other = slicer_with_qt.util.addVolumeFromArray(np.zeros((4, 5, 6), np.int16), name="other")
    a_quick_panel.ui.inputVolumeSelector.setCurrentNode(other)
    assert a_quick_panel.panel.result is None
    assert a_quick_panel.ui.outputSegmentationSelector.currentNode() is None
    assert not shown(a_quick_panel.ui.resultCollapsibleButton)
    a_quick_panel.ui.inputVolumeSelector.setCurrentNode(a_volume_node)
    assert a_quick_panel.panel.result.segmentationNode is first.segmentationNode
    assert shown(a_quick_panel.ui.resultCollapsibleButton)


def test_corrected_segmentation_changes_the_card_within_a_second(
    slicer_with_qt, a_quick_panel, a_volume_node, wait_until
):
    analyse(a_quick_panel, wait_until)
    node = a_quick_panel.panel.result.segmentationNode
    paint_lobe(slicer_with_qt, node, a_volume_node, "RML")
    wait_until(lambda: "edited; automatic" in card(a_quick_panel), seconds=3.0)
    assert "RML 5 100.0 %" in card(a_quick_panel)


def paint_lobe(slicer, node, volume, lobe):
    """Mark a whole lobe as ground glass, as Segment Editor writes it."""
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, "ground_glass_opacity", volume)
    whole = slicer.util.arrayFromSegmentBinaryLabelmap(node, lobe, volume)
    slicer.util.updateSegmentBinaryLabelmapFromArray(np.maximum(array, whole), node, "ground_glass_opacity", volume)


def erase(slicer, node, volume, *segments):
    nothing = np.zeros(slicer.util.arrayFromVolume(volume).shape, np.uint8)
    for segment in segments:
        slicer.util.updateSegmentBinaryLabelmapFromArray(nothing, node, segment, volume)


def test_opacity_in_an_erased_lung_is_told(slicer_with_qt, a_quick_panel, a_volume_node, wait_until):
    analyse(a_quick_panel, wait_until)
    erase(slicer_with_qt, a_quick_panel.panel.result.segmentationNode, a_volume_node, "right_lung")
    wait_until(lambda: "are outside the lungs after the corrections" in card(a_quick_panel), seconds=3.0)
    assert "RUL absent" in card(a_quick_panel)


def test_segmentation_that_cannot_be_scored_is_told(slicer_with_qt, a_quick_panel, a_volume_node, wait_until):
    analyse(a_quick_panel, wait_until)
    automatic = card(a_quick_panel)
    erase(slicer_with_qt, a_quick_panel.panel.result.segmentationNode, a_volume_node, "right_lung", "left_lung")
    wait_until(lambda: "not those of the present segmentation" in card(a_quick_panel), seconds=3.0)
    assert card(a_quick_panel).startswith(automatic[:20])


def test_result_of_another_ct_waits_until_that_is_chosen(slicer_with_qt, a_quick_panel, a_volume_node, wait_until):
    other = slicer_with_qt.util.addVolumeFromArray(np.zeros((4, 5, 6), np.int16), name="other")
    a_quick_panel.ui.analyzeButton.click()
    a_quick_panel.ui.inputVolumeSelector.setCurrentNode(other)
    wait_until(lambda: not a_quick_panel.logic.running)
    assert a_quick_panel.panel.result is None
    assert a_quick_panel.ui.outputSegmentationSelector.currentNode() is None
    a_quick_panel.ui.inputVolumeSelector.setCurrentNode(a_volume_node)
    assert a_quick_panel.panel.result.volumeNode is a_volume_node


def test_ct_comes_under_its_result_where_no_slice_view_shows_it(
    slicer_with_qt, a_quick_panel, a_volume_node, wait_until
):
    other = slicer_with_qt.util.addVolumeFromArray(np.zeros((4, 5, 6), np.int16), name="other")
    views = [slicer_with_qt.mrmlScene.AddNewNodeByClass("vtkMRMLSliceCompositeNode", name) for name in ("Red", "Green")]
    views[0].SetBackgroundVolumeID(other.GetID())
    analyse(a_quick_panel, wait_until)
    assert {view.GetBackgroundVolumeID() for view in views} == {a_volume_node.GetID()}
    views[0].SetBackgroundVolumeID(other.GetID())
    analyse(a_quick_panel, wait_until)
    assert views[0].GetBackgroundVolumeID() == other.GetID()


def test_corrections_are_replaced_only_with_consent(
    slicer_with_qt, a_quick_panel, a_volume_node, wait_until, monkeypatch
):
    analyse(a_quick_panel, wait_until)
    paint_lobe(slicer_with_qt, a_quick_panel.panel.result.segmentationNode, a_volume_node, "RML")
    wait_until(lambda: "edited" in card(a_quick_panel), seconds=3.0)
    monkeypatch.setattr(slicer_with_qt.util, "confirmOkCancelDisplay", lambda *_a, **_k: False)
    a_quick_panel.ui.analyzeButton.click()
    assert not a_quick_panel.logic.running
    assert "edited" in card(a_quick_panel)
    monkeypatch.setattr(slicer_with_qt.util, "confirmOkCancelDisplay", lambda *_a, **_k: True)
    analyse(a_quick_panel, wait_until)
    assert "edited" not in card(a_quick_panel)


def test_options_reach_the_command_line(a_panel, a_volume_node, python_job, wait_until):
    asked = []
    make = python_job("raise SystemExit(1)")
    a_panel.logic._logic._makeJob = lambda arguments, **parts: asked.append(arguments) or make(arguments, **parts)
    a_panel.ui.profileSelector.currentIndex = 1
    a_panel.ui.classifierSelector.currentIndex = 1
    a_panel.ui.forceCheckBox.checked = True
    analyse(a_panel, wait_until)
    a_panel.ui.forceCheckBox.checked = False
    a_panel.ui.independentSlicesCheckBox.checked = True
    analyse(a_panel, wait_until)
    arguments, others = asked
    assert [("--force" in given, "--independent-slices" in given) for given in asked] == [(True, False), (False, True)]
    assert others[others.index("--profile") + 1] == "reference"
    assert arguments[arguments.index("--profile") + 1] == "reference"
    assert arguments[arguments.index("--classifier") + 1] == "none"


def test_file_of_weights_can_be_chosen(slicer_with_qt, a_panel, a_volume_node, monkeypatch):
    import qt

    monkeypatch.setattr(qt.QFileDialog, "getOpenFileName", staticmethod(lambda *_a: "/weights/own.hdf5"))
    a_panel.ui.classifierFileButton.click()
    assert a_panel.logic.getParameterNode().classifier == "/weights/own.hdf5"
    assert a_panel.ui.classifierSelector.currentText == "own.hdf5"


def test_lungs_of_the_scene_are_recognised_by_terminology(slicer_with_qt, a_quick_panel, a_volume_node, wait_until):
    analyse(a_quick_panel, wait_until)
    from CovidSeveritySlicer.analysis.Engines import LungSource

    selector, label = a_quick_panel.ui.maskSegmentationSelector, a_quick_panel.ui.maskStatusLabel
    assert not shown(selector)
    a_quick_panel.logic.getParameterNode().lungSource = LungSource.SCENE
    assert shown(selector)
    selector.setCurrentNode(a_quick_panel.panel.result.segmentationNode)
    assert "Its five lobes are used" in label.text
    empty = slicer_with_qt.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "bones")
    selector.setCurrentNode(empty)
    assert "neither both lungs nor all five lobes" in label.text
    selector.setCurrentNode(None)
    assert "Choose a segmentation" in label.text
    a_quick_panel.logic.getParameterNode().lungSource = LungSource.BUILT_IN
    assert not shown(label)


def test_closed_scene_leaves_an_empty_panel(slicer_with_qt, a_quick_panel, a_volume_node, wait_until):
    analyse(a_quick_panel, wait_until)
    node = a_quick_panel.panel.result.segmentationNode
    paint_lobe(slicer_with_qt, node, a_volume_node, "RML")
    wait_until(lambda: a_quick_panel.logic.liveScores.corrected(node) is not None, seconds=3.0)
    slicer_with_qt.mrmlScene.Clear(0)
    assert a_quick_panel.logic.liveScores.corrected(node) is None
    assert a_quick_panel.panel.result is None
    assert not a_quick_panel.ui.analyzeButton.enabled
    assert not shown(a_quick_panel.ui.resultCollapsibleButton)


def test_saved_scene_brings_the_result_back(slicer_with_qt, a_quick_panel, a_volume_node, wait_until, tmp_path):
    analyse(a_quick_panel, wait_until)
    before = card(a_quick_panel)
    assert slicer_with_qt.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer_with_qt.mrmlScene.Clear(0)
    slicer_with_qt.util.loadScene(str(tmp_path / "scene.mrb"))
    assert card(a_quick_panel) == before
    result = a_quick_panel.panel.result
    paint_lobe(slicer_with_qt, result.segmentationNode, result.volumeNode, "RML")
    wait_until(lambda: "edited; automatic" in card(a_quick_panel), seconds=3.0)


def test_surfaces_are_made_when_they_are_asked_for(slicer_with_qt, a_quick_panel, a_volume_node, wait_until):
    analyse(a_quick_panel, wait_until)
    segmentation = a_quick_panel.panel.result.segmentationNode.GetSegmentation()
    assert not segmentation.ContainsRepresentation("Closed surface")
    a_quick_panel.ui.show3dButton.click()
    assert segmentation.ContainsRepresentation("Closed surface")
    assert a_quick_panel.panel.result.segmentationNode.GetDisplayNode().GetVisibility3D()
    other = slicer_with_qt.util.addVolumeFromArray(np.zeros((4, 5, 6), np.int16), name="other")
    a_quick_panel.ui.inputVolumeSelector.setCurrentNode(other)
    a_quick_panel.ui.show3dButton.blockSignals(True)
    a_quick_panel.ui.show3dButton.checked = False
    a_quick_panel.ui.show3dButton.blockSignals(False)
    a_quick_panel.ui.inputVolumeSelector.setCurrentNode(a_volume_node)
    assert a_quick_panel.ui.show3dButton.checked
    a_quick_panel.ui.show3dButton.click()
    assert not a_quick_panel.panel.result.segmentationNode.GetDisplayNode().GetVisibility3D()


def save_report(widget, wait_until):
    widget.ui.saveReportButton.click()
    wait_until(lambda: widget.ui.saveReportButton.enabled)


def test_report_is_saved_to_the_chosen_folder(
    slicer_with_qt, a_quick_panel, a_volume_node, wait_until, monkeypatch, tmp_path
):
    import qt

    analyse(a_quick_panel, wait_until)
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", staticmethod(lambda *_a: str(tmp_path)))
    save_report(a_quick_panel, wait_until)
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert {"report.json", "lobes.csv", "slices.csv", "overview.png", "segmentation.seg.nrrd"} <= names


@pytest.fixture
def held_report(monkeypatch):
    """A report that is being saved waits until the event is set."""
    from CovidSeveritySlicer.scene.ReportFiles import Report

    event, save = threading.Event(), Report.save

    def wait_and_save(report, folder):
        assert event.wait(60.0)
        return save(report, folder)

    monkeypatch.setattr(Report, "save", wait_and_save)
    yield event
    event.set()


@pytest.mark.parametrize("meanwhile", ["close the scene", "close the module"])
def test_report_is_saved_in_a_thread_whatever_happens_to_the_scene(
    slicer_with_qt, a_quick_panel, a_volume_node, wait_until, monkeypatch, tmp_path, held_report, meanwhile
):
    import qt

    analyse(a_quick_panel, wait_until)
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", staticmethod(lambda *_a: str(tmp_path)))
    a_quick_panel.ui.saveReportButton.click()
    assert not a_quick_panel.ui.saveReportButton.enabled
    assert list(tmp_path.glob("*.json")) == []
    if meanwhile == "close the scene":
        slicer_with_qt.mrmlScene.Clear(0)
        held_report.set()
        wait_until(lambda: not a_quick_panel.panel._buttons.saving)
    else:
        threading.Timer(0.1, held_report.set).start()
        slicer_with_qt.app.moduleManager().unload("CovidSeverity")
    assert {"report.json", "lobes.csv", "segmentation.seg.nrrd"} <= {path.name for path in tmp_path.iterdir()}


def test_report_that_cannot_be_saved_is_told(
    slicer_with_qt, a_quick_panel, a_volume_node, wait_until, monkeypatch, tmp_path
):
    import qt

    analyse(a_quick_panel, wait_until)
    told, folder = [], tmp_path / "chosen"
    monkeypatch.setattr(slicer_with_qt.util, "errorDisplay", lambda text, *_a, **_k: told.append(text))
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", staticmethod(lambda *_a: str(folder)))
    folder.write_text("a file is in the way", encoding="utf-8")
    monkeypatch.setattr(slicer_with_qt.app, "testingEnabled", lambda: False)  # in which Slicer shows no dialog
    save_report(a_quick_panel, wait_until)
    wait_until(lambda: told)
    assert [text.splitlines()[0] for text in told] == ["The report could not be saved."]
    assert "it is a file, not a folder" in str(slicer_with_qt.app.errors.pop())
    folder.unlink()
    save_report(a_quick_panel, wait_until)
    assert (folder / "report.json").is_file()


def test_report_in_the_folder_is_replaced_only_with_consent(
    slicer_with_qt, a_quick_panel, a_volume_node, wait_until, monkeypatch, tmp_path
):
    import qt

    analyse(a_quick_panel, wait_until)
    (tmp_path / "report.json").write_text("of another patient", encoding="utf-8")
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", staticmethod(lambda *_a: str(tmp_path)))
    monkeypatch.setattr(slicer_with_qt.util, "confirmOkCancelDisplay", lambda *_a, **_k: False)
    save_report(a_quick_panel, wait_until)
    assert (tmp_path / "report.json").read_text(encoding="utf-8") == "of another patient"
    monkeypatch.setattr(slicer_with_qt.util, "confirmOkCancelDisplay", lambda *_a, **_k: True)
    save_report(a_quick_panel, wait_until)
    assert '"ctss"' in (tmp_path / "report.json").read_text(encoding="utf-8")


@pytest.mark.slow
def test_saved_report_tells_corrected_numbers_beside_the_automatic_ones(
    slicer_with_qt, a_quick_panel, a_volume_node, wait_until, monkeypatch, tmp_path
):
    import qt

    analyse(a_quick_panel, wait_until)
    automatic = a_quick_panel.panel.result.ctss
    paint_lobe(slicer_with_qt, a_quick_panel.panel.result.segmentationNode, a_volume_node, "RML")
    wait_until(lambda: "edited" in card(a_quick_panel), seconds=3.0)
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", staticmethod(lambda *_a: str(tmp_path)))
    save_report(a_quick_panel, wait_until)
    told = [
        json.loads((tmp_path / name).read_text(encoding="utf-8")) for name in ("report.json", "corrected_report.json")
    ]
    assert [report["ctss"]["total"] for report in told] == [automatic, automatic + 3]
    page = (tmp_path / "corrected_report.html").read_text(encoding="utf-8")
    assert "Corrected by a person." in page
    assert f'<span class="total">{automatic + 3}</span>' in page
    assert f"CTSS {automatic} (" in page
    assert "Jane" not in page
    assert list(Path(slicer_with_qt.app.temporaryPath).glob("CovidSeverity-*/masks.npz")) == []


def test_a_corrected_page_that_cannot_be_drawn_is_told_and_the_rest_is_saved(
    slicer_with_qt, a_quick_panel, a_volume_node, wait_until, monkeypatch, tmp_path, dialogs, python_job
):
    import qt

    analyse(a_quick_panel, wait_until)
    paint_lobe(slicer_with_qt, a_quick_panel.panel.result.segmentationNode, a_volume_node, "RML")
    wait_until(lambda: "edited" in card(a_quick_panel), seconds=3.0)
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", staticmethod(lambda *_a: str(tmp_path)))
    code = "import sys; sys.stderr.write('covid-severity: not enough memory for this volume\\n'); sys.exit(2)"
    a_quick_panel.panel._buttons._page._makeJob = python_job(code)
    save_report(a_quick_panel, wait_until)
    assert (tmp_path / "corrected_report.json").is_file()
    assert not (tmp_path / "corrected_report.html").exists()
    ((text, _details),) = dialogs
    assert "not enough memory for this volume" in text


def test_a_corrected_page_is_not_drawn_without_its_files_or_its_ct(
    slicer_with_qt, a_quick_panel, a_volume_node, wait_until, python_job, tmp_path
):
    from CovidSeveritySlicer.analysis.CorrectedPage import CorrectedPage

    analyse(a_quick_panel, wait_until)
    result, told = a_quick_panel.panel.result, []

    def draw(write, code=f"open({str(tmp_path / 'started')!r}, 'w')"):
        told.clear()
        drawer = CorrectedPage(makeJob=python_job(code))
        drawer.draw(result, write, lambda page, problem: told.append((page, problem)))
        wait_until(lambda: told, seconds=20.0)
        return told[0]

    def fail(path):
        raise OSError("the disk is full")

    assert draw(fail) == (None, "the disk is full")
    assert not (tmp_path / "started").exists()
    page, _problem = draw(lambda path: path.write_bytes(b""))  # the child ends well, and has drawn nothing
    assert (page, (tmp_path / "started").exists()) == (None, True)
    _page, problem = draw(lambda path: path.write_bytes(b""), "import sys; sys.exit(3)")
    assert problem.startswith("The drawing of the corrected report ended unexpectedly")
    slicer_with_qt.mrmlScene.RemoveNode(a_volume_node)
    assert draw(fail) == (None, "The CT is no longer in the scene.")
    assert list(Path(slicer_with_qt.app.temporaryPath).glob("CovidSeverity-*/masks.npz")) == []


def test_last_edit_counts_in_a_report_that_is_saved_at_once_and_in_what_an_analysis_would_replace(
    slicer_with_qt, a_quick_panel, a_volume_node, wait_until, monkeypatch, tmp_path
):
    import qt

    asked = []
    analyse(a_quick_panel, wait_until)
    wait_until(lambda: not a_quick_panel.logic.liveScores.counting)
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", staticmethod(lambda *_a: str(tmp_path)))
    monkeypatch.setattr(slicer_with_qt.util, "confirmOkCancelDisplay", lambda *_a, **_k: asked.append(True))
    node = a_quick_panel.panel.result.segmentationNode
    paint_lobe(slicer_with_qt, node, a_volume_node, "RML")
    assert a_quick_panel.logic.liveScores.counting
    a_quick_panel.ui.analyzeButton.click()
    assert asked == [True]
    assert not a_quick_panel.logic.running
    paint_lobe(slicer_with_qt, node, a_volume_node, "LUL")
    save_report(a_quick_panel, wait_until)
    saved = json.loads((tmp_path / "corrected_report.json").read_text(encoding="utf-8"))
    assert [saved["ctss"]["lobes"][lobe]["score"] for lobe in ("RML", "LUL")] == [5, 5]


def test_every_other_button_of_a_result_works_without_a_main_window(
    slicer_with_qt, a_quick_panel, a_volume_node, wait_until
):
    analyse(a_quick_panel, wait_until)
    selection = slicer_with_qt.app.applicationLogic().GetSelectionNode()
    a_quick_panel.ui.tablesButton.click()
    assert selection.GetActiveTableID() == a_quick_panel.panel.result.lobeTable.GetID()
    for button in ("worstSliceButton", "involvementChartButton", "histogramChartButton"):
        getattr(a_quick_panel.ui, button).click()


def test_buttons_survive_nodes_that_were_deleted(slicer_with_qt, a_quick_panel, a_volume_node, wait_until, monkeypatch):
    analyse(a_quick_panel, wait_until)
    result, said = a_quick_panel.panel.result, []
    monkeypatch.setattr(slicer_with_qt.util, "showStatusMessage", lambda text, *_: said.append(text))
    for node in (result.involvementChart, result.histogramChart, result.lobeTable):
        slicer_with_qt.mrmlScene.RemoveNode(node)
    buttons = a_quick_panel.panel._buttons
    for name, slot in (
        ("tablesButton", buttons.onTables),
        ("involvementChartButton", buttons.onInvolvementChart),
        ("histogramChartButton", buttons.onHistogramChart),
    ):
        assert not getattr(a_quick_panel.ui, name).enabled
        assert "deleted" in getattr(a_quick_panel.ui, name).toolTip
        slot()
    assert ["deleted" in text for text in said] == [True] * 3
    assert a_quick_panel.ui.editButton.enabled


def test_without_its_ct_a_result_can_be_corrected_and_saved_but_not_exported(
    slicer_with_qt, a_quick_panel, a_volume_node, wait_until
):
    ui = a_quick_panel.ui
    analyse(a_quick_panel, wait_until)
    buttons, shown_result = a_quick_panel.panel._buttons, a_quick_panel.panel.result
    buttons.setResult(shown_result)
    slicer_with_qt.mrmlScene.RemoveNode(a_volume_node)
    buttons.setResult(shown_result)
    assert [ui.editButton.enabled, ui.saveReportButton.enabled, ui.exportDicomButton.enabled] == [True, True, False]
    assert "CT of this result is no longer in the scene" in ui.exportDicomButton.toolTip


@pytest.mark.parametrize("when", ["before any", "after it was deleted"])
def test_without_a_result_every_button_says_why_and_a_script_gets_a_sentence(
    slicer_with_qt, a_quick_panel, a_volume_node, wait_until, monkeypatch, dialogs, when
):
    from CovidSeveritySlicer.panel.ResultNodes import NEEDED

    ui, said = a_quick_panel.ui, []
    if when != "before any":
        analyse(a_quick_panel, wait_until)
        assert all(getattr(ui, name).enabled for name in NEEDED)
        assert "Show or hide surfaces" in ui.show3dButton.toolTip
        slicer_with_qt.mrmlScene.RemoveNode(a_quick_panel.panel.result.segmentationNode)
        assert slicer_with_qt.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTextNode") == 0
    assert not any(getattr(ui, name).enabled for name in NEEDED)
    assert {getattr(ui, name).toolTip for name in NEEDED} == {
        "There is no result: choose a chest CT and click Analyze."
    }
    monkeypatch.setattr(slicer_with_qt.util, "showStatusMessage", lambda text, *_: said.append(text))
    monkeypatch.setattr(slicer_with_qt.app, "testingEnabled", lambda: False)
    ui.show3dButton.checked = True
    buttons = a_quick_panel.panel._buttons
    for slot in (
        *(buttons.onWorstSlice, buttons.onEdit, buttons.onTables, buttons.onInvolvementChart),
        *(buttons.onHistogramChart, buttons.onSaveReport, buttons.onExportDicom),
        a_quick_panel.panel._comparison.onCompare,
    ):
        slot()
    assert said == ["There is no result: choose a chest CT and click Analyze."] * len(NEEDED)
    assert dialogs == []
    assert not ui.show3dButton.checked


def test_columns_of_a_shown_table_are_fitted_after_an_edit(
    slicer_with_qt, a_quick_panel, a_volume_node, wait_until, monkeypatch
):
    fitted = []

    class View:
        def __init__(self, table):
            self.table = table

        def tableView(self):  # noqa: N802 (Slicer's names)
            return self

        def mrmlTableNode(self):  # noqa: N802
            return self.table

        def resizeColumnsToContents(self):  # noqa: N802
            fitted.append((self.table, self.table.GetNumberOfColumns()))

    analyse(a_quick_panel, wait_until)
    result = a_quick_panel.panel.result
    other = slicer_with_qt.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode")
    views = [View(result.lobeTable), View(other)]
    manager = type("Manager", (), {"tableViewCount": 2, "tableWidget": lambda _self, n: views[n]})()
    monkeypatch.setattr(slicer_with_qt.app, "layoutManager", lambda: manager)
    before = result.lobeTable.GetNumberOfColumns()
    paint_lobe(slicer_with_qt, result.segmentationNode, a_volume_node, "RML")
    wait_until(lambda: "edited" in card(a_quick_panel), seconds=3.0)
    assert {table for table, _columns in fitted} == {result.lobeTable}
    assert all(columns > before for _table, columns in fitted)  # the automatic columns are there already


def test_console_finds_the_logic_of_the_panel(slicer_with_qt, a_quick_panel, a_volume_node):
    logic = slicer_with_qt.util.getModuleLogic("CovidSeverity")
    assert logic is a_quick_panel.logic
    result = logic.analyze(a_volume_node)
    assert result.ctss == a_quick_panel.panel.result.ctss


def segment(slicer, result, name):
    return slicer.util.arrayFromSegmentBinaryLabelmap(result.segmentationNode, name, result.volumeNode) > 0


@pytest.mark.slow
def test_an_earlier_result_is_compared_with_the_corrected_one(
    slicer_with_qt, a_quick_panel, a_volume_node, wait_until, monkeypatch, a_written_result
):
    """By default the Segment Editor removes lung and lobe where it paints an opacity; the numbers keep both."""
    import qt

    ui, slicer = a_quick_panel.ui, slicer_with_qt
    analyse(a_quick_panel, wait_until)
    result = a_quick_panel.panel.result
    lobe = segment(slicer, result, "RML")
    paint_lobe(slicer, result.segmentationNode, a_volume_node, "RML")
    half = lobe & (np.arange(lobe.shape[2]) < np.argwhere(lobe)[:, 2].mean())
    for name in ("RML", "right_lung"):
        mask = segment(slicer, result, name) & ~half
        slicer.util.updateSegmentBinaryLabelmapFromArray(
            mask.astype(np.uint8), result.segmentationNode, name, a_volume_node
        )
    wait_until(lambda: "edited" in card(a_quick_panel) and not a_quick_panel.logic.liveScores.counting, seconds=3.0)
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", staticmethod(lambda *_a: str(a_written_result)))
    reports, stages = [], set()
    a_quick_panel.logic.comparisons.finished.connect(lambda found: reports.append(found.report))
    a_quick_panel.logic.comparisons.progressed.connect(lambda stage, _done, _total: stages.add(stage))
    ui.compareButton.click()
    assert ui.compareButton.text == "Cancel"
    wait_until(lambda: not a_quick_panel.logic.comparisons.running)
    assert ui.compareButton.text == "Compare..."
    score, opacity, *warnings = ui.comparisonLabel.text.splitlines()
    assert score == "CTSS since then: +3 (more than repeatability)."
    now = a_quick_panel.logic.liveScores.corrected(result.segmentationNode).fields
    more = now["infection"]["percent_of_lung"] - result.report["infection"]["percent_of_lung"]
    assert more > 5
    assert opacity == f"Opacity since then: {more:+.1f} % of the lungs (more than repeatability)."
    assert all(line.startswith("Warning: ") for line in warnings)
    (report,) = reports
    assert "registration" in stages
    unchanged = [report["lobes"][name]["opacity_percent"] for name in ("RUL", "RLL", "LUL", "LLL")]
    assert all(share["before"] == share["after"] for share in unchanged)
    assert report["lobes"]["RML"]["opacity_percent"]["after"] == 100.0
    changes = slicer.util.getNode("CovidSeverity changes")
    new = slicer.util.arrayFromSegmentBinaryLabelmap(changes, "New_opacity", a_volume_node)
    assert new[lobe].mean() > 0.5
    assert not new[~lobe].any()


def test_a_change_within_repeatability_is_called_so_and_warnings_are_told(slicer_with_qt, a_quick_panel):
    from CovidSeveritySlicer.panel.ComparisonButton import changeSentences

    report = {
        "lungs": {
            "ctss": {"change": None, "more_than_repeatability": None},
            "opacity_percent": {"change": -0.21, "more_than_repeatability": False},
        },
        "quality": [{"severity": "info", "message": "A."}, {"severity": "warning", "message": "B."}],
    }
    assert [*changeSentences(report)] == [
        "Opacity since then: -0.2 % of the lungs (within repeatability).",
        "Warning: B.",
    ]


def test_what_cannot_be_compared_is_told(
    slicer_with_qt, a_quick_panel, a_volume_node, wait_until, monkeypatch, tmp_path, dialogs
):
    import qt

    ui = a_quick_panel.ui
    analyse(a_quick_panel, wait_until)
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", staticmethod(lambda *_a: ""))
    ui.compareButton.click()
    assert dialogs == []
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", staticmethod(lambda *_a: str(tmp_path)))
    ui.compareButton.click()
    ui.earlierResultSelector.setCurrentNode(a_quick_panel.panel.result.segmentationNode)
    ui.compareButton.click()
    (folder, _details), (chosen, _details) = dialogs
    assert folder.startswith("The folder has no result of CovidSeverity")
    assert chosen.startswith("The chosen segmentation is not an earlier result")
    with pytest.raises(RuntimeError, match="has no result of CovidSeverity"):
        a_quick_panel.logic.compare(str(tmp_path), a_quick_panel.panel.result)
    assert (ui.compareButton.text, ui.compareButton.enabled) == ("Compare...", True)
