"""The section "Batch" as the user sees and clicks it, on stand-ins for Slicer's Qt."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")

KEYS = ("CovidSeverity/BatchFolder", "CovidSeverity/BatchOutput")

PROGRESS = """
import json, shutil, sys, time
print(json.dumps({"stage": "cases", "done": 1, "total": 2, "failed": 1, "seconds_left": 170.0}), flush=True)
print("warning: 1 case failed (broken): failures.csv says why", file=sys.stderr, flush=True)
"""


@pytest.fixture
def a_panel(slicer_with_qt, module_file, monkeypatch, tmp_path):
    """The module's widget with the section unfolded, and a logic that installs nothing."""
    monkeypatch.setenv("COVID_SEVERITY_MODELS", str(tmp_path / "models"))
    settings = slicer_with_qt.app.userSettings()
    for key in KEYS:
        settings.remove(key)
    slicer_with_qt.app.moduleManager().load(module_file)
    widget = slicer_with_qt.util.getModuleWidget("CovidSeverity")
    widget.logic.batches._ensure = lambda **_wanted: None
    widget.enter()
    widget.ui.batchCollapsibleButton.collapsed = False
    yield widget
    for key in KEYS:
        settings.remove(key)


@pytest.fixture
def dialogs(slicer_with_qt, monkeypatch):
    """Text of every error dialog."""
    seen = []
    monkeypatch.setattr(slicer_with_qt.util, "errorDisplay", lambda text, **_details: seen.append(text))
    return seen


@pytest.fixture
def opened(slicer_with_qt, monkeypatch):
    """Files and folders that were shown in the desktop."""
    import qt

    seen = []
    monkeypatch.setattr(qt.QDesktopServices, "openUrl", staticmethod(lambda url: seen.append(url.toLocalFile())))
    return seen


@pytest.fixture
def ready(a_panel, chest_file, batch_folder):
    """The same with a source and the output folder of an earlier batch."""
    a_panel.ui.batchFolderEdit.currentPath = str(chest_file.parent)
    a_panel.ui.batchOutputEdit.currentPath = str(batch_folder)
    return a_panel


@pytest.fixture
def open_batch(slicer_with_qt, monkeypatch, wait_until):
    """``open_batch(panel, folder)``: click "Open a batch..." and choose a folder."""
    import qt

    def click(panel, folder):
        monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", staticmethod(lambda *_a: str(folder)))
        panel.ui.batchOpenButton.click()
        wait_until(lambda: "Reading" not in panel.ui.batchStatusLabel.text)
        wait_until(lambda: not panel.panel._batch._results.table._steps.running)

    return click


@pytest.fixture
def a_database(slicer_with_qt, dicom_database, monkeypatch):
    """Slicer's DICOM database has two patients."""
    monkeypatch.setattr(slicer_with_qt, "dicomDatabase", dicom_database, raising=False)
    return dicom_database


def shown(widget):
    """Whether a widget would be seen if the panel were."""
    return not widget.isHidden()


def cells(table):
    def text(row, column):
        item = table.item(row, column)
        return "" if item is None else item.text()

    return [[text(row, column) for column in range(table.columnCount)] for row in range(table.rowCount)]


def run(panel, wait_until):
    panel.ui.batchRunButton.click()
    wait_until(lambda: not panel.logic.batches.running)
    wait_until(lambda: not panel.logic.batches._opening.running)
    wait_until(lambda: not panel.panel._batch._results.table._steps.running)


def choose_database(panel, wait_until):
    panel.ui.batchSourceSelector.currentIndex = 1
    wait_until(lambda: "Reading" not in panel.ui.batchPatientsStatusLabel.text)


def double_click(table, row):
    from PyQt5 import QtCore
    from PyQt5.QtTest import QTest

    place = table.visualItemRect(table.item(row, 0)).center()
    QTest.mouseClick(table.viewport(), QtCore.Qt.LeftButton, pos=place)
    QTest.mouseDClick(table.viewport(), QtCore.Qt.LeftButton, pos=place)


# What can be done


def test_what_is_missing_is_in_the_tooltip(a_panel, tmp_path):
    ui = a_panel.ui
    assert not ui.batchRunButton.enabled
    assert ui.batchRunButton.toolTip == "Choose a folder with CTs above."
    ui.batchFolderEdit.currentPath = str(tmp_path)
    assert ui.batchRunButton.toolTip == "Choose an output folder above."
    ui.batchOutputEdit.currentPath = str(tmp_path / "out")
    assert ui.batchRunButton.enabled
    assert ui.batchRunButton.toolTip.startswith("Analyze all CTs")
    for button in (ui.batchLoadButton, ui.batchPageButton, ui.batchFolderButton):
        assert not button.enabled
        assert button.toolTip
    for widget in (ui.batchTable, ui.batchProgressBar, ui.batchStatusLabel, ui.batchSaidLabel):
        assert not shown(widget)


def test_an_earlier_batch_in_the_output_folder_is_noticed(a_panel, batch_folder, tmp_path):
    box = a_panel.ui.batchResumeCheckBox
    assert (box.enabled, box.checked) == (False, True)
    assert "has no batch yet" in box.toolTip
    a_panel.ui.batchOutputEdit.currentPath = str(batch_folder)
    assert box.enabled
    assert "the folder is refused" in box.toolTip


def test_options_of_the_panel_reach_the_command(ready, python_job, wait_until, dialogs, batch_folder):
    asked, make = [], python_job("pass")
    ready.logic.batches._makeJob = lambda arguments, **parts: asked.append(arguments) or make(arguments, **parts)
    ready.ui.profileSelector.currentIndex = 1
    ready.ui.classifierSelector.currentIndex = 1
    ready.ui.batchWorkersSpinBox.value = 2
    run(ready, wait_until)
    ready.ui.batchResumeCheckBox.checked = False
    run(ready, wait_until)
    (first, second), _none = asked, dialogs
    assert first[first.index("--profile") + 1] == "reference"
    assert first[first.index("--classifier") + 1] == "none"
    assert first[first.index("--workers") + 1] == "2"
    assert ("--resume" in first, "--resume" in second) == (True, False)


def test_choices_are_kept_and_no_path_comes_into_the_scene(
    slicer_with_qt, ready, python_job, wait_until, module_file, batch_folder
):
    ready.logic.batches._makeJob = python_job("pass")
    ready.ui.batchWorkersSpinBox.value = 3
    run(ready, wait_until)
    node = ready.logic.getParameterNode().parameterNode
    values = {name: node.GetParameter(name) for name in node.GetParameterNames()}
    assert values["batchWorkers"] == "3"
    assert not any(str(batch_folder) in value for value in values.values())
    slicer_with_qt.app.moduleManager().unload("CovidSeverity")
    slicer_with_qt.app.moduleManager().load(module_file)
    again = slicer_with_qt.util.getModuleWidget("CovidSeverity")
    assert again.ui.batchOutputEdit.currentPath == str(batch_folder)
    assert not again.ui.batchNamesCheckBox.checked


# Running


def test_progress_and_errors_are_shown_and_then_the_table(ready, python_job, wait_until, tmp_path):
    ui, go = ready.ui, tmp_path / "go"
    wait = f"import os\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"
    ready.logic.batches._makeJob = python_job(PROGRESS + wait)
    ui.batchRunButton.click()
    assert ui.batchRunButton.text == "Cancel"
    assert not ui.batchResumeCheckBox.enabled
    wait_until(lambda: shown(ui.batchSaidLabel))
    assert ui.batchStatusLabel.text == "1 of 2 cases, 1 failed, 3 min left"
    assert (ui.batchProgressBar.value, ui.batchProgressBar.maximum) == (1, 2)
    assert ui.batchSaidLabel.text == "warning: 1 case failed (broken): failures.csv says why"
    go.touch()
    wait_until(lambda: not ready.logic.batches.running)
    wait_until(lambda: cells(ui.batchTable)[-1][0])
    assert ui.batchRunButton.text == "Run batch"
    assert not shown(ui.batchProgressBar)
    assert not shown(ui.batchSaidLabel)
    assert ui.batchStatusLabel.text == "Finished. 2 cases, 1 failed."
    assert shown(ui.batchTable)


def test_cancel_shows_what_is_finished(ready, python_job, wait_until, dialogs):
    ready.logic.batches._makeJob = python_job("import time; time.sleep(60)")
    ready.ui.batchRunButton.click()
    ready.ui.batchRunButton.click()
    assert ready.ui.batchStatusLabel.text.startswith("Cancelling")
    assert not ready.ui.batchRunButton.enabled
    wait_until(lambda: shown(ready.ui.batchTable))
    assert ready.ui.batchStatusLabel.text == "Cancelled. Run it again to go on. 2 cases, 1 failed."
    assert ready.ui.batchRunButton.enabled
    assert dialogs == []


def test_a_failure_is_told_in_panel_and_dialog(ready, python_job, wait_until, dialogs, batch_folder):
    code = "import sys; sys.exit(print('covid-severity: none of 2 cases could be analysed', file=sys.stderr) or 2)"
    ready.logic.batches._makeJob = python_job(code)
    run(ready, wait_until)
    assert dialogs == ["none of 2 cases could be analysed"]
    assert ready.ui.batchStatusLabel.text == "none of 2 cases could be analysed 2 cases, 1 failed."
    (batch_folder / "cases.csv").unlink()
    run(ready, wait_until)
    assert ready.ui.batchStatusLabel.text == "none of 2 cases could be analysed"
    assert not shown(ready.ui.batchTable)


def test_what_cannot_be_started_is_told(ready, dialogs):
    from CovidSeveritySlicer.analysis.Install import InstallDeclined

    def decline(**_wanted):
        raise InstallDeclined("dask was not installed.")

    ready.logic.batches._ensure = decline
    ready.ui.batchRunButton.click()
    assert (ready.ui.batchStatusLabel.text, dialogs) == ("dask was not installed.", [])
    ready.ui.batchFolderEdit.currentPath = "/nowhere/at/all"
    ready.ui.batchRunButton.click()
    (text,) = dialogs
    assert text.startswith("There is no folder /nowhere/at/all")
    assert ready.ui.batchRunButton.text == "Run batch"


def test_a_batch_goes_on_when_the_scene_is_closed(slicer_with_qt, ready, python_job, wait_until, tmp_path):
    go = tmp_path / "go"
    ready.logic.batches._makeJob = python_job(
        f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"
    )
    ready.ui.batchRunButton.click()
    slicer_with_qt.mrmlScene.Clear(0)
    assert ready.logic.batches.running
    go.touch()
    wait_until(lambda: "Finished" in ready.ui.batchStatusLabel.text)


def test_unloading_the_module_ends_the_batch(slicer_with_qt, ready, python_job):
    ready.logic.batches._makeJob = python_job("import time; time.sleep(60)")
    ready.ui.batchRunButton.click()
    slicer_with_qt.app.moduleManager().unload("CovidSeverity")
    assert not ready.logic.batches.running


# The DICOM database


def test_without_a_database_a_sentence_is_in_the_panel(a_panel, wait_until):
    ui = a_panel.ui
    choose_database(a_panel, wait_until)
    assert "DICOM database is not open" in ui.batchPatientsStatusLabel.text
    assert ui.batchRunButton.toolTip == ui.batchPatientsStatusLabel.text
    assert not shown(ui.batchPatientsList)
    assert not shown(ui.batchFolderEdit)


def test_an_empty_database_is_told(slicer_with_qt, a_panel, wait_until, monkeypatch):
    from stand_ins.dicom_database import ctkDICOMDatabase

    monkeypatch.setattr(slicer_with_qt, "dicomDatabase", ctkDICOMDatabase(), raising=False)
    choose_database(a_panel, wait_until)
    assert "has no patients" in a_panel.ui.batchPatientsStatusLabel.text


def test_patients_are_listed_and_chosen(ready, a_database, python_job, wait_until, tmp_path):
    ui, seen = ready.ui, tmp_path / "seen.csv"
    ready.logic.batches._makeJob = python_job(f"import shutil, sys; shutil.copyfile(sys.argv[2], {str(seen)!r})")
    choose_database(ready, wait_until)
    assert [ui.batchPatientsList.item(n).text() for n in range(2)] == ["Doe Jane 4711", "Roe John 4712"]
    assert ui.batchPatientsStatusLabel.text == "All 2 patients"
    assert ui.batchFolderLabel.text == "Patients:"
    ui.batchPatientsList.item(1).setSelected(True)
    assert ui.batchPatientsStatusLabel.text == "1 of 2 patients"
    run(ready, wait_until)
    with seen.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["series"], row["id"][:3]) == ("2.25.102", "ct-")


def test_new_patients_are_listed_and_the_choice_stays(ready, a_database, wait_until, dicom_folder, tmp_path):
    from batch_fixtures import write_slice

    ui = ready.ui
    choose_database(ready, wait_until)
    ui.batchPatientsList.item(1).setSelected(True)
    other = np.full((8, 8), 1024, np.uint16)
    write_slice(tmp_path / "new" / "1.dcm", other, "2.25.7", 1, PatientName="Poe^Anna", PatientID="4713")
    a_database.addFolder(tmp_path / "new")
    ready.enter()
    wait_until(lambda: "of 3" in ui.batchPatientsStatusLabel.text)
    assert ui.batchPatientsStatusLabel.text == "1 of 3 patients"
    assert ui.batchPatientsList.item(2).text() == "Roe John 4712"
    assert ui.batchPatientsList.item(2).isSelected()


# The table


def test_an_earlier_batch_is_opened(a_panel, open_batch, batch_folder, opened, a_written_result):
    from CovidSeveritySlicer.analysis.BatchTables import readBatch

    ui, row = a_panel.ui, readBatch(batch_folder).rows[0]
    open_batch(a_panel, batch_folder)
    assert ui.batchStatusLabel.text == "2 cases, 1 failed."
    chest, broken = cells(ui.batchTable)
    low, high = row.ctssRange
    assert chest[:3] == ["chest", f"{row.ctss:2} ({low}\N{EN DASH}{high})", row.severity]
    assert chest[3].startswith(f"{row.warnings:2}: ")
    assert broken == ["broken", "", "failed", "broken.nii.gz is empty"]
    ui.batchPageButton.click()
    ui.batchFolderButton.click()
    assert opened == [str(batch_folder / "index.html"), str(batch_folder)]


def test_a_folder_without_a_batch_is_told(a_panel, open_batch, tmp_path):
    open_batch(a_panel, tmp_path)
    assert a_panel.ui.batchStatusLabel.text.startswith("The folder has no batch of CovidSeverity")
    assert not shown(a_panel.ui.batchTable)


def many_cases(folder, scores):
    """Rewrite the table with a case for every score."""
    path = folder / "cases.csv"
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        (row,) = reader
        columns = reader.fieldnames
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows({**row, "case": f"case {n}", "ctss": score} for n, score in enumerate(scores))


def test_a_click_on_a_headline_sorts_scores_as_numbers(a_panel, open_batch, batch_folder):
    from PyQt5 import QtCore

    many_cases(batch_folder, [12, 9, 25, 0, 10])
    (batch_folder / "failures.csv").unlink()
    open_batch(a_panel, batch_folder)
    table = a_panel.ui.batchTable
    assert [row[0] for row in cells(table)] == [f"case {n}" for n in range(5)]  # in the order of the source
    table.sortItems(1, QtCore.Qt.AscendingOrder)
    assert [int(row[1].split()[0]) for row in cells(table)] == [0, 9, 10, 12, 25]
    table.sortItems(1, QtCore.Qt.DescendingOrder)
    assert [row[0] for row in cells(table)] == ["case 2", "case 0", "case 4", "case 1", "case 3"]
    table.selectRow(0)
    assert a_panel.panel._batch._results.table.chosen().case == "case 2"


def test_thousands_of_rows_come_in_portions(a_panel, batch_folder):
    from CovidSeveritySlicer.analysis.BatchTables import readBatch

    many_cases(batch_folder, [5] * 2000)
    table, made = a_panel.ui.batchTable, a_panel.panel._batch._results.table
    made.show(readBatch(batch_folder))
    assert table.item(0, 0) is None  # the window was given back first
    portions = 0
    while made._steps.running:
        made._steps.poll()
        portions += 1
    assert portions > 1
    assert (table.rowCount, table.item(2000, 0).text()) == (2001, "broken")


# A case into the scene


def test_a_double_click_brings_ct_and_result(slicer_with_qt, ready, open_batch, wait_until, batch_folder):
    ui = ready.ui
    open_batch(ready, batch_folder)
    double_click(ui.batchTable, 0)
    assert ui.batchStatusLabel.text == "Loading chest..."
    assert not ui.batchLoadButton.enabled
    wait_until(lambda: not ready.logic.cases.running)
    assert ui.batchStatusLabel.text == "chest is loaded."
    assert ui.batchLoadButton.enabled
    assert ui.inputVolumeSelector.currentNode().GetName() == "chest"
    assert ready.panel.result.folder == batch_folder / "cases" / "chest"
    assert shown(ui.resultCollapsibleButton)
    assert f"CTSS {ready.panel.result.ctss}" in ui.cardLabel.text.replace("&nbsp;", " ")


def test_enter_and_the_button_load_as_well(slicer_with_qt, ready, open_batch, wait_until, batch_folder):
    from PyQt5 import QtCore
    from PyQt5.QtTest import QTest

    open_batch(ready, batch_folder)
    table = ready.ui.batchTable
    table.setCurrentCell(0, 0)
    QTest.keyClick(table, QtCore.Qt.Key_Return)
    assert ready.logic.cases.running
    wait_until(lambda: not ready.logic.cases.running)
    nodes = slicer_with_qt.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    ready.ui.batchLoadButton.click()  # it is there already
    assert slicer_with_qt.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == nodes == 1


def test_a_case_that_failed_says_why(ready, open_batch, batch_folder):
    open_batch(ready, batch_folder)
    double_click(ready.ui.batchTable, 1)
    assert ready.ui.batchStatusLabel.text == "broken: broken.nii.gz is empty"
    assert not ready.ui.batchLoadButton.enabled
    assert ready.ui.batchLoadButton.toolTip == "Choose a case with a result in the table."


def test_without_its_ct_the_report_of_a_case_is_shown(
    slicer_with_qt, ready, open_batch, wait_until, batch_folder, opened, tmp_path
):
    open_batch(ready, batch_folder)
    ready.ui.batchFolderEdit.currentPath = str(tmp_path / "gone")
    double_click(ready.ui.batchTable, 0)
    wait_until(lambda: not ready.logic.cases.running)
    text = ready.ui.batchStatusLabel.text
    assert text.startswith("chest: The CT of this case cannot be read: no such file or folder")
    assert text.endswith("Its report is shown in the browser.")
    assert opened == [str(batch_folder / "cases" / "chest" / "report.html")]
    choose_database(ready, wait_until)
    double_click(ready.ui.batchTable, 0)
    assert "DICOM database is not open" in ready.ui.batchStatusLabel.text
    assert Path(opened[1]).name == "report.html"
