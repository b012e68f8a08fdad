"""Longest time that Slicer's window is held around an analysis of a CT of 512 x 512 x SLICES voxels.

Run as ``python Testing/benchmarks/slicer_window.py [SLICES]`` from the repository, with slicer-core and PyQt5
installed; SLICES is even, by default 400. It takes two cores. A timer of Qt ticks every millisecond; printed is the
longest time between two ticks. The panel's own Analyze button is pressed; the child has its result at hand. A
benchmark, not a test: nothing is asserted.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.argv[1:] = sys.argv[1:] or ["400"]

import live_score
import numpy as np
import pytest
import slicer
import slicer.util
from qt_fixtures import with_qt

from CovidSeverityLib.reporting import write_results

RUNS = 5

CHILD = """import json, shutil, sys, time
print(json.dumps({"stage": "read", "done": 1, "total": 1}), flush=True)
time.sleep(0.3)
shutil.copytree(FOLDER, sys.argv[sys.argv.index("-o") + 1])"""
"""Tells that it has begun, and then has the result."""

WRITTEN, IMPORTED, LOOKED = "CT written for the child", "result brought in", "first look of the live score"
MASKS_WRITTEN, MOVED_WRITTEN = "CT, lungs and lobes written for the child", "the same, of a moved segmentation"


def main() -> None:
    analysis = live_score.fine_chest()
    live_score.begin_slicer()
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        parts = with_qt(slicer, patch)
        next(parts)
        write_results(analysis, Path(folder))
        print(f"{analysis.volume.hu.shape} voxels (K, J, I), longest hold in s, median (and least) of {RUNS} runs")
        runs = [one_run(analysis, folder) for _ in range(RUNS)]
        for name in runs[0]:
            held = [run[name] for run in runs]
            print(f"  {name:<46} {statistics.median(held):5.3f} ({min(held):5.3f})")
        next(parts, None)


def one_run(analysis: Any, folder: str) -> dict[str, float]:
    """Longest holds by what was done."""
    slicer.mrmlScene.Clear(0)
    window, volume = Window(), live_score.ct_node(analysis)
    logic, panel = panel_with_child(folder)
    held, results, begun = {}, [], []
    logic.progressed.connect(lambda *_progress: begun.append(True))
    logic.finished.disconnect(logic.liveScores.follow)
    logic.finished.connect(results.append)
    panel.ui.inputVolumeSelector.setCurrentNode(volume)
    held[WRITTEN] = window.held(panel.ui.analyzeButton.click, lambda: bool(begun))
    held[IMPORTED] = window.held(lambda: None, lambda: not logic.running)
    (result,) = results
    held[LOOKED] = window.held(lambda: logic.liveScores.follow(result), lambda: not logic.liveScores.counting)
    user, told = live_score.User(analysis, result), []
    logic.liveScores.changed.connect(told.append)
    for name in user.edits():
        told.clear()
        key = f"edit: {name.strip()}"
        held[key] = max(held.get(key, 0.0), window.held(lambda: None, lambda: bool(told)))
    held |= other_holds(window, logic, panel, volume)
    parameters = logic.getParameterNode()
    parameters.lungSource = type(parameters.lungSource).SCENE
    panel.ui.maskSegmentationSelector.setCurrentNode(result.segmentationNode)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    for name, moved in ((MASKS_WRITTEN, None), (MOVED_WRITTEN, transform.GetID())):
        begun.clear()
        result.segmentationNode.SetAndObserveTransformNodeID(moved)
        held[name] = window.held(panel.ui.analyzeButton.click, lambda: bool(begun))
        window.held(logic.cancel, lambda: not logic.running)
    slicer.app.moduleManager().unloadModules()
    return held


def other_holds(window: Window, logic: Any, panel: Any, volume: Any) -> dict[str, float]:
    """Longest holds of the other buttons, of another result, and after a scene is loaded."""
    import qt

    scene, other = slicer.mrmlScene, slicer.util.addVolumeFromArray(np.zeros((2, 3, 4), np.int16))
    choose = panel.ui.inputVolumeSelector.setCurrentNode

    def follow_again() -> None:
        logic.liveScores._forgetAll()
        scene.InvokeEvent(scene.EndImportEvent)

    with tempfile.TemporaryDirectory() as folder:
        qt.QFileDialog.getExistingDirectory = staticmethod(lambda *_arguments: folder)
        actions = {
            "worst slice": panel.ui.worstSliceButton.click,
            "3-D shown": panel.ui.show3dButton.click,
            "3-D hidden": panel.ui.show3dButton.click,
            "report saved": panel.ui.saveReportButton.click,
            "another CT without result": lambda: choose(other),
            "the CT with its result again": lambda: choose(volume),
            "after a scene was loaded": follow_again,
        }

        def done() -> bool:
            return panel.ui.saveReportButton.enabled and not logic.liveScores.counting

        return {name: window.held(action, done) for name, action in actions.items()}


def panel_with_child(folder: str) -> tuple[Any, Any]:
    """Logic and panel of the module, with a child that has the result at hand."""
    from CovidSeveritySlicer.analysis.Job import Job

    code = CHILD.replace("FOLDER", repr(folder))
    slicer.app.moduleManager().load(live_score.ROOT / "CovidSeverity" / "CovidSeverity.py")
    widget = slicer.util.getModuleWidget("CovidSeverity")
    widget.logic._logic._ensure = lambda classifier=False: None
    widget.logic._logic._makeJob = lambda arguments, **parts: Job([sys.executable, "-c", code, *arguments], **parts)
    widget.enter()
    return widget.logic, widget


class Window:
    """Knows for how long it was held."""

    def __init__(self) -> None:
        from stand_ins.pythonqt import qt

        self._timer = qt.QTimer()
        self._timer.setInterval(1)
        self._timer.connect("timeout()", self._tick)
        self._timer.start()

    def held(self, begin: Callable[[], object], done: Callable[[], bool]) -> float:
        """Longest time between two ticks from ``begin`` until ``done``, s."""
        self._longest, self._last = 0.0, time.perf_counter()
        begin()
        while not done():
            slicer.app.processEvents()
            time.sleep(0.0005)
        self._tick()
        return self._longest

    def _tick(self) -> None:
        now = time.perf_counter()
        self._longest, self._last = max(self._longest, now - self._last), now


if __name__ == "__main__":
    main()
