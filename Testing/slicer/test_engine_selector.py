"""Choosing in the panel what finds lungs and lobes and what diagnoses: what is missing, consent, download, Cancel."""

from __future__ import annotations

import importlib.machinery
import sys
from dataclasses import replace

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")

from model_fixtures import CLASSIFIER, LOBES, LUNGS

HALF = 300_000
SECONDS = 120.0


class Dialogs:
    """Answers the questions of the panel, and remembers them."""

    def __init__(self):
        self.answer, self.asked, self.errors = True, [], []

    def confirm(self, text, windowTitle=None, **_):  # noqa: N803 (Slicer's name)
        self.asked.append(text)
        return self.answer


@pytest.fixture
def dialogs(slicer_with_qt, monkeypatch):
    dialogs = Dialogs()
    monkeypatch.setattr(slicer_with_qt.util, "confirmOkCancelDisplay", dialogs.confirm)
    monkeypatch.setattr(slicer_with_qt.util, "errorDisplay", lambda text, **_: dialogs.errors.append(text))
    return dialogs


@pytest.fixture
def packages(monkeypatch):
    """A function that says which of the optional packages are there, whatever this computer has."""

    def have(*names):
        for name in ("lungmask", "tensorflow", "totalsegmentator", "gdown"):
            if name in names:
                module = type(sys)(name)
                module.__spec__ = importlib.machinery.ModuleSpec(name, None)
                monkeypatch.setitem(sys.modules, name, module)
            else:
                monkeypatch.setitem(sys.modules, name, None)

    have("lungmask", "tensorflow")
    return have


@pytest.fixture
def a_panel(slicer_with_qt, module_file, model_job, packages, dialogs):
    """The module's widget with a logic that installs nothing; its downloads ask the server of this machine."""
    slicer_with_qt.app.moduleManager().load(module_file)
    widget = slicer_with_qt.util.getModuleWidget("CovidSeverity")
    widget.ensured = []
    widget.logic._logic._ensure = lambda **extras: widget.ensured.append(extras)
    widget.logic.downloads._makeJob = model_job
    widget.enter()
    return widget


def choose_lungs(panel, source):
    from CovidSeveritySlicer.analysis.Engines import LungSource

    panel.ui.lungSourceSelector.currentIndex = list(LungSource).index(LungSource(source))


def shown(widget):
    return not widget.isHidden()


def choose_classifier(panel, title):
    selector = panel.ui.classifierSelector
    selector.currentIndex = [selector.itemText(n) for n in range(selector.count)].index(title)


def test_built_in_method_needs_nothing(a_panel, model_site):
    assert a_panel.ui.lungSourceSelector.currentText == "Built-in"
    for widget in (a_panel.ui.lungSourceStatusLabel, a_panel.ui.lungSourceGetButton, a_panel.ui.lungSourceProgressBar):
        assert not shown(widget)
    assert model_site.asked == []


@pytest.mark.slow
def test_lungmask_says_what_is_missing_and_gets_it_with_consent(a_panel, model_site, dialogs, wait_until):
    choose_lungs(a_panel, "lungmask")
    ui = a_panel.ui
    assert f"Missing: the weights {LUNGS} (1 MB, CC0-1.0), {LOBES}" in ui.lungSourceStatusLabel.text
    assert shown(ui.lungSourceGetButton)
    assert model_site.asked == []
    ui.lungSourceGetButton.click()
    (question,) = dialogs.asked
    assert all(words in question for words in (LUNGS, LOBES, "1 MB", "Licence: CC0-1.0", "127.0.0.1"))
    assert ui.lungSourceGetButton.text == "Cancel"
    wait_until(lambda: not a_panel.logic.downloads.running, SECONDS)
    assert ui.lungSourceStatusLabel.text == "lungmask finds lungs (R231) and lobes (LTRCLobes)."
    assert not shown(ui.lungSourceGetButton)
    assert not shown(ui.lungSourceProgressBar)


def test_declined_consent_asks_no_server_and_installs_nothing(a_panel, model_site, dialogs, installed_models):
    choose_lungs(a_panel, "lungmask")
    dialogs.answer = False
    a_panel.ui.lungSourceGetButton.click()
    assert not a_panel.logic.downloads.running
    assert model_site.asked == []
    assert a_panel.ensured == []
    assert installed_models() == []
    assert "Missing" in a_panel.ui.lungSourceStatusLabel.text


@pytest.mark.slow
def test_cancel_in_the_middle_leaves_nothing_half_installed(a_panel, model_site, wait_until, installed_models):
    model_site.stalls_after = HALF
    choose_lungs(a_panel, "lungmask")
    ui = a_panel.ui
    ui.lungSourceGetButton.click()
    wait_until(lambda: "MB" in ui.lungSourceStatusLabel.text and ui.lungSourceProgressBar.value > 0, SECONDS)
    assert ui.lungSourceStatusLabel.text.startswith(f"Downloading {LUNGS}: 0.")
    assert not shown(ui.classifierProgressBar)
    ui.lungSourceGetButton.click()
    wait_until(lambda: not a_panel.logic.downloads.running, SECONDS)
    assert ui.lungSourceStatusLabel.text.startswith("Cancelled. Nothing was installed. Missing:")
    assert ui.lungSourceGetButton.text == "Get it..."
    assert ui.lungSourceGetButton.enabled
    assert installed_models() == []


def test_failed_download_is_told_in_a_dialog(a_panel, python_job, dialogs, wait_until, installed_models):
    choose_lungs(a_panel, "lungmask")
    a_panel.logic.downloads._makeJob = python_job("import sys; sys.exit('covid-severity: it cannot be reached')")
    a_panel.ui.lungSourceGetButton.click()
    wait_until(lambda: not a_panel.logic.downloads.running, SECONDS)
    assert dialogs.errors == ["it cannot be reached"]
    assert "Missing" in a_panel.ui.lungSourceStatusLabel.text
    assert installed_models() == []


def test_missing_package_is_got_before_the_weights(a_panel, packages, python_job):
    def make(*arguments, **parts):
        assert a_panel.ensured == [{"lungmask": True}]
        made.append(arguments)
        return python_job("")(*arguments, **parts)

    made = []
    packages("tensorflow")
    a_panel.logic.downloads._makeJob = make
    choose_lungs(a_panel, "lungmask")
    assert "lungmask (a Python package" in a_panel.ui.lungSourceStatusLabel.text
    a_panel.ui.lungSourceGetButton.click()
    assert made == [(["models", "download", LUNGS, "--yes", "--progress", "json"],)]


def test_declined_packages_end_it_before_any_download(a_panel, packages, model_site):
    from CovidSeveritySlicer.analysis.Install import InstallDeclined

    def decline(**_extras):
        raise InstallDeclined("lungmask was not installed.")

    packages("tensorflow")
    choose_lungs(a_panel, "lungmask")
    a_panel.logic._logic._ensure = decline
    a_panel.ui.lungSourceGetButton.click()
    assert a_panel.ui.lungSourceStatusLabel.text == "lungmask was not installed."
    assert model_site.asked == []


@pytest.mark.slow
def test_downloaded_classifier_is_chosen_and_listed(a_panel, wait_until, installed_models):
    choose_classifier(a_panel, f"{CLASSIFIER} (not installed)")
    assert a_panel.logic.getParameterNode().classifier == CLASSIFIER
    assert "Missing: the weights ours" in a_panel.ui.classifierStatusLabel.text
    a_panel.ui.classifierGetButton.click()
    wait_until(lambda: not a_panel.logic.downloads.running, SECONDS)
    assert installed_models() == [CLASSIFIER]
    assert a_panel.ui.classifierSelector.currentText == CLASSIFIER
    assert not shown(a_panel.ui.classifierStatusLabel)


FOLDER = """
import json, os, sys
from pathlib import Path
action, name = sys.argv[2:4]
assert "--yes" in sys.argv
if action == "files":
    print(json.dumps({"name": name, "files": [{"path": "b1.hdf5"}, {"path": "b5/b5.hdf5"}]}, indent=2))
else:
    folder = Path(os.environ["COVID_SEVERITY_MODELS"], name)
    folder.mkdir(parents=True)
    (folder / "weights.hdf5").write_text(sys.argv[sys.argv.index("--file") + 1])
"""
"""A child that answers as ``models files`` and ``models download`` do for a folder of Google Drive."""


@pytest.mark.parametrize("chosen", ["b5/b5.hdf5", ""])
def test_file_of_the_authors_folder_is_chosen_after_consent(
    a_panel, model_site, python_job, dialogs, wait_until, monkeypatch, tmp_path, chosen
):
    from CovidSeverityLib.classification.store.catalogue import write_manifest

    offered = []
    monkeypatch.setattr(
        "CovidSeveritySlicer.panel.ReadinessRow._chosenOf", lambda name, paths: offered.append((name, paths)) or chosen
    )
    folder = "https://drive.example/folders/weights"
    entry = replace(model_site.entries()[0], url=None, sha256=None, size_bytes=None, licence=None, folder=folder)
    write_manifest([entry], model_site.manifest)
    a_panel.logic.downloads._makeJob = python_job(FOLDER)
    choose_classifier(a_panel, f"{CLASSIFIER} (not installed)")
    assert "(size not known, no licence is stated)" in a_panel.ui.classifierStatusLabel.text
    a_panel.ui.classifierGetButton.click()
    assert a_panel.ensured == [{"download": True}]
    (question,) = dialogs.asked
    assert "neither a licence nor a checksum is stated" in question
    assert folder in question
    wait_until(lambda: not a_panel.logic.downloads.running and offered, SECONDS)
    wait_until(lambda: not a_panel.logic.downloads.running, SECONDS)
    assert offered == [(CLASSIFIER, ("b1.hdf5", "b5/b5.hdf5"))]
    weights = tmp_path / "models" / CLASSIFIER / "weights.hdf5"
    assert (weights.read_text() if weights.exists() else "") == chosen
    assert a_panel.ui.classifierStatusLabel.text.startswith("" if chosen else "Cancelled. Nothing was installed.")
    assert a_panel.ui.classifierGetButton.text == "Get it..."


def test_analysis_with_a_missing_engine_tells_what_is_missing(a_panel, a_volume_node, dialogs):
    ways = (
        lambda: choose_lungs(a_panel, "lungmask"),
        lambda: choose_classifier(a_panel, "ours (not installed)"),
        lambda: choose_lungs(a_panel, "totalsegmentator"),
    )
    for way in ways:
        way()
        a_panel.ui.analyzeButton.click()
        assert not a_panel.logic.running
        choose_lungs(a_panel, "built-in")
    lungmask, classifier, extension = dialogs.errors
    assert f"Missing: the weights {LUNGS}" in lungmask
    assert f"Missing: the weights {CLASSIFIER}" in classifier
    assert "Install the extension TotalSegmentator" in extension


def test_total_segmentator_that_is_not_installed_opens_the_extensions_manager(slicer_with_qt, a_panel, monkeypatch):
    opened = []
    monkeypatch.setattr(slicer_with_qt.app, "openExtensionsManagerDialog", lambda: opened.append(True), raising=False)
    choose_lungs(a_panel, "totalsegmentator")
    assert "Install the extension TotalSegmentator" in a_panel.ui.lungSourceStatusLabel.text
    assert a_panel.ui.lungSourceGetButton.text == "Open Extensions Manager..."
    a_panel.ui.lungSourceGetButton.click()
    assert opened == [True]


def test_total_segmentator_with_its_package_is_ready_and_says_that_it_downloads(a_panel, packages):
    packages("totalsegmentator")
    choose_lungs(a_panel, "totalsegmentator")
    assert "downloads its own weights" in a_panel.ui.lungSourceStatusLabel.text
    assert not shown(a_panel.ui.lungSourceGetButton)


def test_total_segmentator_without_its_package_opens_its_module(slicer_with_qt, a_panel, monkeypatch):
    opened = []
    slicer_with_qt.modules.totalsegmentator = object()  # taken away again with what the module itself has left there
    monkeypatch.setattr(slicer_with_qt.util, "selectModule", opened.append)
    choose_lungs(a_panel, "totalsegmentator")
    assert "Its module installs it at the first run" in a_panel.ui.lungSourceStatusLabel.text
    a_panel.ui.lungSourceGetButton.click()
    assert opened == ["TotalSegmentator"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("built-in", []),
        ("lungmask", ["--lung-engine", "lungmask", "--lobe-engine", "lungmask"]),
        ("totalsegmentator", ["--lobe-engine", "totalsegmentator"]),
        ("scene", []),
    ],
)
def test_source_reaches_the_command_line(source, expected):
    from CovidSeveritySlicer.analysis.AnalysisSettings import AnalysisSettings
    from CovidSeveritySlicer.analysis.Engines import LungSource

    assert AnalysisSettings(lungs=LungSource(source)).arguments() == ["--profile", "default", *expected]


def test_segmentation_of_the_scene_has_to_be_chosen(a_panel, a_volume_node, dialogs):
    choose_lungs(a_panel, "scene")
    assert "Choose a segmentation" in a_panel.ui.maskStatusLabel.text
    a_panel.ui.analyzeButton.click()
    assert "No segmentation is chosen" in dialogs.errors[0]
    assert not a_panel.logic.running


def test_choices_stay_in_the_scene(slicer_with_qt, a_panel, tmp_path):
    choose_lungs(a_panel, "totalsegmentator")
    choose_classifier(a_panel, f"{CLASSIFIER} (not installed)")
    assert slicer_with_qt.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer_with_qt.mrmlScene.Clear(0)
    assert a_panel.ui.lungSourceSelector.currentText == "Built-in"
    slicer_with_qt.util.loadScene(str(tmp_path / "scene.mrb"))
    assert a_panel.ui.lungSourceSelector.currentText == "TotalSegmentator"
    assert a_panel.ui.classifierSelector.currentText == f"{CLASSIFIER} (not installed)"


@pytest.mark.slow
def test_closed_panel_ends_a_download(slicer_with_qt, a_panel, model_site, wait_until, installed_models):
    model_site.stalls_after = HALF
    choose_lungs(a_panel, "lungmask")
    a_panel.ui.lungSourceGetButton.click()
    wait_until(lambda: model_site.asked, SECONDS)
    downloads = a_panel.logic.downloads
    slicer_with_qt.app.moduleManager().unload("CovidSeverity")
    assert not downloads.running
    assert installed_models() == []
