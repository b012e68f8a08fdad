"""The samples: registered once with their checksum, and a synthetic chest that lies where the library says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")

from CovidSeveritySlicer.SampleDataSources import makeSyntheticChest, registerSampleData

from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom
from CovidSeverityLib.types import Side

ROOT = Path(__file__).parents[2]
COARSE_MM = (6.0, 6.0, 10.0)
SHAPE = (32, 64, 64)


@pytest.fixture
def registered(slicer_with_qt):
    registerSampleData()
    import SampleData

    return SampleData.SampleDataLogic.sampleDataSourcesByCategory("CovidSeverity")


def ras(slicer, node, kji):
    """RAS position of the centre of voxel (k, j, i)."""
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return (slicer.util.arrayFromVTKMatrix(matrix) @ [*kji[::-1], 1])[:3]


def test_public_ct_comes_with_its_checksum(registered):
    public = registered[0]
    assert public.uris[0].startswith("https://")
    assert re.fullmatch(r"SHA256:[0-9a-f]{64}", public.checksums[0])
    assert public.nodeNames[0] in public.fileNames[0]


def test_a_second_registration_changes_nothing(registered):
    registerSampleData()
    assert [source.sampleName for source in registered] == ["COVID19ChestCT", "SyntheticChestCT"]


def test_every_sample_has_a_picture(registered):
    assert all(Path(source.thumbnailFileName).is_file() for source in registered)


def test_a_click_makes_the_synthetic_chest_and_shows_it(registered, slicer_with_qt, monkeypatch):
    from stand_ins import sample_data

    monkeypatch.setattr("CovidSeverityLib.commands.phantom.PIXEL_MM", COARSE_MM[0])
    monkeypatch.setattr("CovidSeverityLib.commands.phantom.SLICE_MM", COARSE_MM[2])
    view = slicer_with_qt.mrmlScene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    (first,), (second,) = sample_data.click("SyntheticChestCT"), sample_data.click("SyntheticChestCT")
    assert first.GetName() == "SyntheticChestCT"
    assert second.GetName() != first.GetName()
    assert view.GetBackgroundVolumeID() == second.GetID()


def test_right_is_right_in_the_synthetic_chest(slicer):
    node = makeSyntheticChest(3, COARSE_MM)
    phantom = make_phantom(3, shape=SHAPE, spacing_mm=COARSE_MM)
    assert np.array_equal(slicer.util.arrayFromVolume(node), phantom.volume.hu)
    centre = np.argwhere(phantom.lungs == Side.RIGHT).mean(axis=0)
    assert ras(slicer, node, centre)[0] > 30
    lps = phantom.volume.geometry.ijk_to_lps @ [*centre[::-1], 1]
    assert ras(slicer, node, centre) == pytest.approx([-lps[0], -lps[1], lps[2]])


def test_the_synthetic_chest_needs_nothing_that_slicer_lacks():
    module = "CovidSeverityLib.evaluation.synthetic.phantom"
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    lacking = {
        "matplotlib",
        "rich",
        "platformdirs",
        "psutil",
        "slicerio",
        "nrrd",
        "nibabel",
        "skimage",
        "pandas",
        "tensorflow",
        "statsmodels",
    }
    assert not lacking & set(run.stdout.split())
