"""Fixtures of tests that load the module, click its panel and look at it: Slicer's scene with stand-ins for its Qt."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from functools import cache

import pytest

QT_MODULES = {"qt": "pythonqt", "ctk": "ctk_widgets"}

TRY_QT = "from PyQt5 import QtWidgets; QtWidgets.QApplication([])"
NO_QT = "PyQt5 does not work here ({reason}); see .ci/run for what it needs"


@cache
def _reason_without_qt():
    """Why PyQt5 does not work, None where it does; tried in a process of its own, which Qt aborts where it cannot."""
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    tried = subprocess.run([sys.executable, "-c", TRY_QT], env=environment, capture_output=True, text=True)
    return None if tried.returncode == 0 else (tried.stderr.strip().splitlines() or ["no reason told"])[-1]


def _modules():
    """Names that a scripted module imports, and the stand-ins behind them."""
    stand_in = {
        "slicer.ScriptedLoadableModule": "scripted_loadable_module",
        "slicer.parameterNodeWrapper": "parameter_node_wrapper",
        "SampleData": "sample_data",
    }
    found = {name: importlib.import_module(f"stand_ins.{file}") for name, file in stand_in.items()}
    return found | {name: getattr(sys.modules[f"stand_ins.{file}"], name) for name, file in QT_MODULES.items()}


def _application_parts(slicer):
    from stand_ins import module_manager as parts
    from stand_ins.pythonqt import application, qt

    manager, signals = parts.ModuleManager(), parts.ApplicationSignals()
    settings = qt.QSettings("CovidSeverity tests", "none")
    return {
        "errors": [],
        "signals": signals,
        "connect": signals.connect,
        "disconnect": signals.disconnect,
        "moduleManager": lambda: manager,
        "topLevelWidgets": lambda: [],
        "settings": lambda: settings,
        "userSettings": lambda: settings,
        "processEvents": application.processEvents,
        "setOverrideCursor": application.setOverrideCursor,
        "restoreOverrideCursor": application.restoreOverrideCursor,
    }


def _forget_parameters(slicer):
    """Singleton nodes outlive their scene, and their next change would call a module that is gone."""
    for node in slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode"):
        node.RemoveAllObservers()
        slicer.mrmlScene.RemoveNode(node)


@pytest.fixture
def slicer_with_qt(slicer, monkeypatch):
    """The ``slicer`` namespace with an empty scene and, for as long as the test runs, ``qt``, ``ctk`` and their like.

    ``slicer.app.moduleManager().load(path)`` loads a module file. An exception in a function that Qt has called, which
    PythonQt only prints, comes into ``slicer.app.errors`` and fails the test that leaves it there.
    """
    reason = _reason_without_qt()
    if reason is not None:
        pytest.skip(NO_QT.format(reason=reason))
    yield from with_qt(slicer, monkeypatch)


def with_qt(slicer, monkeypatch):
    """What the fixture does, for a benchmark too."""
    importlib.import_module("stand_ins.ui_files")
    from stand_ins import module_manager, qmrml_widgets

    for name, module in _modules().items():
        monkeypatch.setitem(sys.modules, name, module)
        parent, _, child = name.rpartition(".")
        if parent:
            monkeypatch.setattr(sys.modules[parent], child, module, raising=False)
    for cls in (*qmrml_widgets.CLASSES, module_manager.qSlicerScriptedLoadableModuleWidget):
        monkeypatch.setattr(slicer, cls.__name__, cls, raising=False)
    module_class = module_manager.qSlicerScriptedLoadableModule
    monkeypatch.setattr(slicer, module_class.__name__, module_class, raising=False)
    for name, part in _application_parts(slicer).items():
        monkeypatch.setattr(slicer.app, name, part, raising=False)
    errors = slicer.app.errors
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: errors.append(error))
    before = set(vars(slicer.modules))
    yield slicer
    slicer.app.moduleManager().unloadModules()
    _forget_parameters(slicer)
    qmrml_widgets.forget_scenes()
    for name in [name for name in vars(slicer.modules) if name not in before]:
        delattr(slicer.modules, name)
    if errors:
        raise errors[0]


@pytest.fixture
def wait_until(slicer_with_qt):
    """``wait_until(condition, seconds)``: lets Qt's timers run until the condition holds; fails if it does not."""

    def wait(condition, seconds=30.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited {seconds} s in vain"
            slicer_with_qt.app.processEvents()
            time.sleep(0.005)

    return wait
