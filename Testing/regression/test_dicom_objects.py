"""DICOM objects of a real CT, read back with dcmqi."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from CovidSeverityLib.io.reading import read_ct_and_source
from CovidSeverityLib.reporting.dicom import dicom_objects, dicom_writers
from CovidSeverityLib.types import Lobe, Opacity, Side

pytestmark = pytest.mark.skipif(find_spec("highdicom") is None, reason="highdicom is not installed")

LARGEST_BYTES = 1_000_000
"""Of a Segmentation of about 150 slices; uncompressed it has 30 MB."""


@pytest.fixture(scope="module", params=["P001", "normal001"])
def real(request, real_ct_root, analysed, tmp_path_factory):
    """The analysis of a real CT, and the folder with its DICOM objects."""
    analysis = analysed(request.param)
    _, source = read_ct_and_source(real_ct_root / request.param)
    folder = tmp_path_factory.mktemp("objects")
    (folder / "dicom").mkdir()
    for name, write in dicom_writers(dicom_objects(analysis, source)).items():
        write(folder / name)
    return analysis, folder / "dicom"


def run(name, *arguments):
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run([found, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_dcmqi_finds_every_voxel_of_every_mask(real, tmp_path):
    analysis, folder = real
    run(
        *("segimage2itkimage", "--inputDICOM", folder / "segmentation.dcm"),
        *("--outputDirectory", tmp_path, "--outputType", "nrrd"),
    )
    masks = [analysis.lungs == side for side in Side] + [analysis.lobes == lobe for lobe in Lobe]
    masks += [analysis.infection == kind for kind in Opacity]
    masks = [mask for mask in masks if mask.any()]
    assert len(list(tmp_path.glob("*.nrrd"))) == len(masks)
    for number, mask in enumerate(masks, start=1):
        expected = analysis.volume.to_image(mask.astype(np.uint8))
        found = sitk.ReadImage(str(tmp_path / f"{number}.nrrd")) > 0
        found = sitk.Resample(found, expected, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
        assert not (sitk.GetArrayViewFromImage(found) != sitk.GetArrayViewFromImage(expected)).any()
    assert (folder / "segmentation.dcm").stat().st_size < LARGEST_BYTES


def test_dcmqi_reads_the_scores(real, tmp_path):
    analysis, folder = real
    run("tid1500reader", "--inputDICOM", folder / "measurements.dcm", "--outputMetadata", tmp_path / "sr.json")
    lungs, *others = json.loads((tmp_path / "sr.json").read_text())["Measurements"]
    values = {item["quantity"]["CodeValue"]: float(item["value"]) for item in lungs["measurementItems"]}
    assert values["CTSS"] == analysis.ctss
    assert values["118565006"] == pytest.approx(analysis.lung_ml, abs=0.005)
    scores = [i for group in others for i in group["measurementItems"] if i["quantity"]["CodeValue"] == "CTSS-LOBE"]
    assert sum(float(item["value"]) for item in scores) == analysis.ctss
