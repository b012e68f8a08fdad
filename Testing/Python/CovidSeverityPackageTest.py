"""What only Slicer can tell: the packaged module is loaded, has installed nothing, and finds the files beside it."""

import sys
import unittest
from pathlib import Path

import slicer

NOT_IN_SLICER = (
    *("matplotlib", "rich", "platformdirs", "psutil", "slicerio", "nrrd", "nibabel", "tensorflow", "skimage"),
    *("dask", "distributed", "fsspec", "pyarrow"),
)
"""Packages that must not be asked for before the first analysis."""


class CovidSeverityPackageTest(unittest.TestCase):
    def test_panel_is_made_without_packages_that_slicer_lacks(self):
        before = set(sys.modules)
        widget = slicer.util.getModuleWidget("CovidSeverity")
        self.assertEqual(widget.ui.analyzeButton.text, "Analyze")
        self.assertFalse(set(NOT_IN_SLICER) & (set(sys.modules) - before))

    def test_library_lies_beside_the_module(self):
        import CovidSeverityLib

        folder = Path(slicer.util.modulePath("CovidSeverity")).parent
        self.assertIn(Path(CovidSeverityLib.__file__).parents[1], (folder, folder.parent))

    def test_list_of_models_comes_with_the_library(self):
        from CovidSeverityLib.classification.store.catalogue import known_models

        self.assertIn("published-b5", [model.name for model in known_models()])

    def test_samples_are_registered_at_start_up(self):
        import SampleData

        sources = SampleData.SampleDataLogic.sampleDataSourcesByCategory("CovidSeverity")
        self.assertEqual([source.sampleName for source in sources], ["COVID19ChestCT", "SyntheticChestCT"])
