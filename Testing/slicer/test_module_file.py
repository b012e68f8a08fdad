"""What Slicer's generic tests and a reader look for in the module's file: its classes, and what making them does."""

from __future__ import annotations

import sys
import tempfile
import threading
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")

MODULE_FILE = Path(__file__).parents[2] / "CovidSeverity" / "CovidSeverity.py"

CLASSES = {
    "CovidSeverity": "ScriptedLoadableModule",
    "CovidSeverityWidget": "ScriptedLoadableModuleWidget",
    "CovidSeverityLogic": "ScriptedLoadableModuleLogic",
    "CovidSeverityTest": "ScriptedLoadableModuleTest",
}


@pytest.fixture
def module(slicer_with_qt):
    """The module's file, loaded without a main window."""
    assert slicer_with_qt.app.commandOptions().noMainWindow
    slicer_with_qt.app.moduleManager().load(MODULE_FILE)
    return sys.modules["CovidSeverity"]


def observers_ever(node):
    """How many observers the node was given until now: VTK numbers them."""
    tag = node.AddObserver("AnyEvent", lambda *_caller: None)
    node.RemoveObserver(tag)
    return tag


def test_the_four_classes_are_those_of_the_modules_file(module):
    import slicer.ScriptedLoadableModule as bases

    for name, base in CLASSES.items():
        assert issubclass(getattr(module, name), getattr(bases, base))
        assert getattr(module, name).__module__ == "CovidSeverity"


def test_making_a_logic_leaves_everything_as_it_was(module, slicer_with_qt, monkeypatch):
    import qt

    timers, scene = [], slicer_with_qt.mrmlScene
    monkeypatch.setattr(qt, "QTimer", lambda: timers.append("made"))
    folders = [Path(slicer_with_qt.app.temporaryPath), Path(tempfile.gettempdir())]
    before = {path for folder in folders for path in folder.glob("CovidSeverity*")}
    seen, nodes, threads = observers_ever(scene), scene.GetNumberOfNodes(), threading.active_count()
    logic = module.CovidSeverityLogic()
    assert observers_ever(scene) == seen + 1  # that of the count itself
    assert (scene.GetNumberOfNodes(), threading.active_count(), timers) == (nodes, threads, [])
    assert {path for folder in folders for path in folder.glob("CovidSeverity*")} == before
    assert not logic.running


def test_the_panel_keeps_the_scores_of_the_scene(module, slicer_with_qt):
    """What the logic's constructor does not do, the panel does."""
    scene = slicer_with_qt.mrmlScene
    widget = slicer_with_qt.util.getModuleWidget("CovidSeverity")
    assert slicer_with_qt.util.getModuleLogic("CovidSeverity") is widget.logic
    assert isinstance(widget.logic, module.CovidSeverityLogic)
    assert {observed for observed, _tag in widget.logic.liveScores._observations} == {scene}
    widget.cleanup()
    assert widget.logic.liveScores._observations == []


def test_a_logic_lacks_what_no_logic_has(module):
    logic = module.CovidSeverityLogic()
    for name in ("analyse", "_nothing"):
        with pytest.raises(AttributeError, match=name):
            getattr(logic, name)


def test_a_parameter_node_has_one_object(module):
    logic = module.CovidSeverityLogic()
    assert logic.getParameterNode() is logic.getParameterNode()
