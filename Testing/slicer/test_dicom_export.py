"""Export as DICOM: Slicer's dialog, the library's own objects, and sentences where Slicer lacks its module."""

from __future__ import annotations

import sys
import types

import pytest

pytest.importorskip("slicer")

SAID = "has no DICOM module"


@pytest.fixture
def exporting(slicer_with_qt, module_file, a_volume_node, a_written_result, monkeypatch, tmp_path):
    """The buttons of a result with the library's DICOM objects, their result, and every dialog."""
    import shutil

    from CovidSeveritySlicer.scene.SceneBridge import importResult

    folder = tmp_path / "result"
    shutil.copytree(a_written_result, folder)
    slicer_with_qt.app.moduleManager().load(module_file)
    widget = slicer_with_qt.util.getModuleWidget("CovidSeverity")
    result = importResult(folder, a_volume_node)
    widget.panel._buttons.setResult(result)
    told = []
    monkeypatch.setattr(slicer_with_qt.util, "errorDisplay", lambda text, **_: told.append(text))
    return types.SimpleNamespace(slicer=slicer_with_qt, widget=widget, result=result, told=told)


def write_object(result):
    folder = result.folder / "dicom"
    folder.mkdir()
    (folder / "segmentation.dcm").write_bytes(b"")
    return folder


def answer(exporting, monkeypatch, reply):
    asked = []
    monkeypatch.setattr(
        exporting.slicer.util, "confirmYesNoDisplay", lambda text, **_: asked.append(text) or reply, raising=False
    )
    return asked


@pytest.fixture
def opened(exporting, monkeypatch):
    """Items that Slicer's dialog was opened for."""
    items = []

    class Dialog:
        def __init__(self, parent):
            assert parent is None

        def setMRMLScene(self, scene):  # noqa: N802 (Slicer's names)
            self.scene = scene

        def execDialog(self, item):  # noqa: N802
            items.append(item)
            return True

    monkeypatch.setattr(exporting.slicer, "qSlicerDICOMExportDialog", Dialog, raising=False)
    return items


def test_without_slicers_module_the_user_gets_a_sentence(exporting):
    exporting.widget.ui.exportDicomButton.click()
    assert len(exporting.told) == 1
    assert SAID in exporting.told[0]


def test_slicers_dialog_opens_for_the_study_of_the_ct(exporting, opened):
    exporting.widget.ui.exportDicomButton.click()
    hierarchy = exporting.slicer.mrmlScene.GetSubjectHierarchyNode()
    (item,) = opened
    assert hierarchy.GetItemAncestorAtLevel(hierarchy.GetItemByDataNode(exporting.result.volumeNode), "Study") == item
    assert exporting.told == []


def test_objects_of_the_library_are_offered_first(exporting, opened, monkeypatch):
    folder, asked, taken = write_object(exporting.result), answer(exporting, monkeypatch, True), []

    def import_dicom(path, database=None, copyFiles=False):  # noqa: N803 (Slicer's name)
        taken.append((path, copyFiles))
        return True

    module = types.ModuleType("DICOMLib")
    module.DICOMUtils = types.SimpleNamespace(importDicom=import_dicom)
    monkeypatch.setitem(sys.modules, "DICOMLib", module)
    database = types.SimpleNamespace(isOpen=True)
    monkeypatch.setattr(exporting.slicer, "dicomDatabase", database, raising=False)
    exporting.widget.ui.exportDicomButton.click()
    assert taken == [(str(folder), True)]
    assert "segmentation.dcm" in asked[0]
    assert opened == []
    database.isOpen = False
    exporting.widget.ui.exportDicomButton.click()
    assert "is not open" in exporting.told[0]


def test_who_declines_the_objects_gets_slicers_dialog(exporting, opened, monkeypatch):
    write_object(exporting.result)
    answer(exporting, monkeypatch, False)
    exporting.widget.ui.exportDicomButton.click()
    assert len(opened) == 1
    assert exporting.told == []


def test_objects_of_the_automatic_result_are_not_offered_for_a_corrected_one(exporting, opened, monkeypatch):
    write_object(exporting.result)
    asked = answer(exporting, monkeypatch, True)
    monkeypatch.setattr(exporting.widget.logic.liveScores, "corrected", lambda node: object())
    exporting.widget.ui.exportDicomButton.click()
    assert asked == []
    assert len(opened) == 1
