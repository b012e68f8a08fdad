"""The module's tests inside Slicer, without a window: a synthetic chest is analysed, saved, corrected and cancelled."""

from __future__ import annotations

import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from .analysis.Install import missingPackages
from .SampleDataSources import makeSyntheticChest

MODULE = "CovidSeverity"

COARSE_MM = (3.0, 3.0, 5.0)
"""Voxel size (I, J, K), mm: an analysis takes about ten seconds, two thirds of them the start of a Python."""

SEED = 5
"""A chest whose lobes are all far from an edge of the score: opacities fill 0, 0, 0, 8.7 and 18.6 % of them."""

LOBE_SCORES = {"RUL": 0, "RML": 0, "RLL": 0, "LUL": 2, "LLL": 2}

SEGMENTS = 9
"""Two lungs, five lobes, ground glass and consolidation."""

PATIENCE_S = 60.0
"""Longest time that one step may take on a slow machine, s."""


class SelfTest(ScriptedLoadableModuleTest):
    """Run by CTest, by "Reload and Test", and by the tests without Slicer."""

    def setUp(self) -> None:
        """Begin with an empty scene; Slicer's testing mode installs no packages, so that they must be there."""
        missing = missingPackages()
        if missing and slicer.app.testingEnabled():
            self.skipTest(f"Python packages are missing: {', '.join(missing)}; PythonSlicer -m pip install them")
        slicer.mrmlScene.Clear(0)
        self.logic = slicer.util.getModuleLogic(MODULE)

    def runTest(self) -> None:
        """Run every test; what "Reload and Test" asks for."""
        for name in unittest.defaultTestLoader.getTestCaseNames(type(self)):
            self.setUp()
            self.delayDisplay(name)
            getattr(self, name)()
            self.tearDown()

    def test_syntheticChestIsScoredSavedAndCorrected(self) -> None:
        """Scores and nodes; the same in the scene that was saved and opened again; then corrections by hand.

        Columns and rows are stored the other way round: the lobes of the left lung keep their opacities.
        """
        result = self._analyze(_mirrored(makeSyntheticChest(SEED, COARSE_MM)))
        self.assertEqual(_lobeScores(result.report), LOBE_SCORES)
        self.assertEqual(result.ctss, sum(LOBE_SCORES.values()))
        self.assertEqual(result.segmentationNode.GetSegmentation().GetNumberOfSegments(), SEGMENTS)
        self.assertGreaterEqual(result.lobeTable.GetNumberOfRows(), len(LOBE_SCORES))
        reopened = self._saveAndOpen()
        self.assertEqual(reopened.report, result.report)
        self.assertIsNone(self.logic.liveScores.corrected(reopened.segmentationNode))
        self._eraseOpacities(reopened)
        self._waitFor(lambda: self.logic.liveScores.corrected(reopened.segmentationNode) is not None)
        corrected = self.logic.liveScores.corrected(reopened.segmentationNode)
        self.assertEqual(corrected.ctss, 0)
        self.assertEqual(reopened.ctss, sum(LOBE_SCORES.values()))

    def test_cancelledAnalysisLeavesTheSceneAsItWas(self) -> None:
        """Cancel answers at once, and nothing new is in the scene."""
        volumeNode = makeSyntheticChest(SEED, COARSE_MM)
        nodes = slicer.mrmlScene.GetNumberOfNodes()
        ends: list[str] = []
        answers = {"cancelled": self.logic.cancelled, "finished": self.logic.finished, "failed": self.logic.failed}
        slots = {name: (lambda *_values, name=name: ends.append(name)) for name in answers}
        for name, signal in answers.items():
            signal.connect(slots[name])
        self.logic.start(volumeNode, self._settings())
        self.logic.cancel()
        self._waitFor(lambda: bool(ends))
        for name, signal in answers.items():
            signal.disconnect(slots[name])
        self.assertEqual(ends, ["cancelled"])
        self.assertFalse(self.logic.running)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), nodes)

    def test_volumeWithoutVoxelsIsRefusedInOneSentence(self) -> None:
        """Input that cannot be used is refused before anything runs."""
        from .analysis.AnalysisLogic import AnalysisError

        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
        with self.assertRaises(AnalysisError) as raised:
            self.logic.analyze(empty)
        self.assertNotIn("\n", raised.exception.message)

    def test_batchOfAFolderIsTabulatedAndACaseIsLoaded(self) -> None:
        """A folder with one chest and one broken file: a row, a reason, and the case in the scene as it was."""
        from .analysis.AnalysisLogic import AnalysisError

        missing = missingPackages(batch=True)
        if missing and slicer.app.testingEnabled():
            self.skipTest(f"Python packages are missing: {', '.join(missing)}; PythonSlicer -m pip install them")
        with tempfile.TemporaryDirectory() as folder:
            source, output = Path(folder) / "cts", Path(folder) / "results"
            source.mkdir()
            self.assertTrue(slicer.util.saveNode(makeSyntheticChest(SEED, COARSE_MM), str(source / "chest.nrrd")))
            (source / "broken.nrrd").write_bytes(b"")
            slicer.mrmlScene.Clear(0)
            chest, broken = self.logic.batches.run(str(source), output, self._settings(), workers=1).rows
            self.assertEqual((chest.case, chest.ctss), ("chest", sum(LOBE_SCORES.values())))
            self.assertTrue(broken.failure)
            loaded: list[Any] = []
            self.logic.cases.loaded.connect(loaded.append)
            self.logic.cases.load(chest, str(source))
            self._waitFor(lambda: not self.logic.cases.running)
            self.logic.cases.loaded.disconnect(loaded.append)
            self.assertEqual([_lobeScores(result.report) for result in loaded], [LOBE_SCORES])
            with self.assertRaises(AnalysisError) as raised:
                self.logic.batches.run(str(source / "nothing"), output)
            self.assertNotIn("\n", raised.exception.message)

    def _analyze(self, volumeNode: Any) -> Any:
        return self.logic.analyze(volumeNode, self._settings())

    @staticmethod
    def _settings() -> Any:
        from .analysis.AnalysisSettings import AnalysisSettings

        return AnalysisSettings(classifier="none")

    def _saveAndOpen(self) -> Any:
        from .scene.SceneBridge import resultOf

        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "scene.mrb")
            self.assertTrue(slicer.util.saveScene(path))
            slicer.mrmlScene.Clear(0)
            slicer.util.loadScene(path)
        (node,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        return resultOf(node)

    @staticmethod
    def _eraseOpacities(result: Any) -> None:
        volumeNode, segmentationNode = result.volumeNode, result.segmentationNode
        nothing = np.zeros(slicer.util.arrayFromVolume(volumeNode).shape, np.uint8)
        for segmentID in ("ground_glass_opacity", "consolidation"):
            slicer.util.updateSegmentBinaryLabelmapFromArray(nothing, segmentationNode, segmentID, volumeNode)

    def _waitFor(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not condition():
            self.assertLess(time.monotonic(), end, f"nothing came within {PATIENCE_S:g} s")
            slicer.app.processEvents()
            time.sleep(0.01)


def _lobeScores(report: Any) -> dict[str, int]:
    return {name: lobe["score"] for name, lobe in report["ctss"]["lobes"].items()}


def _mirrored(volumeNode: Any) -> Any:
    """The same chest in the same place, with its columns and rows stored in the other order, in its stead."""
    voxels = slicer.util.arrayFromVolume(volumeNode)
    columns, rows = voxels.shape[2], voxels.shape[1]
    turn = np.array([[-1, 0, 0, columns - 1], [0, -1, 0, rows - 1], [0, 0, 1, 0], [0, 0, 0, 1]], float)
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    ijkToRas = slicer.util.arrayFromVTKMatrix(matrix) @ turn
    mirrored = np.ascontiguousarray(voxels[:, ::-1, ::-1])
    slicer.mrmlScene.RemoveNode(volumeNode)
    return slicer.util.addVolumeFromArray(mirrored, ijkToRas, "mirrored")
