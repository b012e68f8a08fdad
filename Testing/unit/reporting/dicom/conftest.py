"""An analysis of a made-up chest that was read from DICOM, and its DICOM objects."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from CovidSeverityLib.analysis import Analysis
from CovidSeverityLib.io.dicom.source import DicomSource
from CovidSeverityLib.io.reading import read_ct_and_source
from CovidSeverityLib.reporting.dicom import dicom_objects, dicom_writers

STUDY = {
    "StudyInstanceUID": "2.25.71",
    "FrameOfReferenceUID": "2.25.72",
    "StudyDate": "20200305",
    "StudyTime": "101500",
    "StudyID": "S1",
    "AccessionNumber": "A77",
    "PatientID": "4711",
    "PatientBirthDate": "19700102",
    "PatientSex": "F",
    "ReferringPhysicianName": "",
    "SpecificCharacterSet": "ISO_IR 192",
    "PatientName": "Müller^Änne",
    "SliceThickness": 2.0,
}


class FromDicom(NamedTuple):
    """An analysis, and the images that it was read from."""

    analysis: Analysis
    source: DicomSource


@pytest.fixture(scope="session")
def from_dicom(factory, write_series, tmp_path_factory):
    """A function that writes a made-up chest as DICOM in planes of orientation ``iop`` and analyses what is read."""

    def make(iop=(1, 0, 0, 0, 1, 0), change=lambda k: {}, shape=(14, 24, 32), infected=True, part=slice(None)):
        folder = tmp_path_factory.mktemp("dicom") / "scan"
        whole = factory.make_chest(shape, infected=infected)
        chest = type(whole)(*(array[part] for array in (whole.hu, whole.lungs, whole.lobes, whole.infection)))
        write_series(folder, planes_of(chest.hu, iop), lambda k: {**STUDY, **change(k)}, iop=iop)
        volume, source = read_ct_and_source(folder)
        np.testing.assert_array_equal(volume.hu, chest.hu)
        return FromDicom(factory.make_analysis(chest, volume), source)

    return make


def planes_of(hu, iop):
    """The planes that a scanner writes of the (K, J, I) chest in orientation ``iop``."""
    directions = np.cross(iop[:3], iop[3:]), np.array(iop[3:]), np.array(iop[:3])  # of slices, rows, columns
    axes = [int(np.abs(direction).argmax()) for direction in directions]  # 0, 1, 2 for x, y, z
    planes = np.transpose(hu, [2 - axis for axis in axes])
    return planes[
        tuple(slice(None, None, int(d[axis] / abs(d[axis]))) for d, axis in zip(directions, axes, strict=True))
    ]


@pytest.fixture(scope="session")
def axial(from_dicom) -> FromDicom:
    """A chest in axial slices."""
    return from_dicom()


@pytest.fixture(scope="session")
def objects(axial):
    """The DICOM objects of ``axial`` by the name of their file."""
    pytest.importorskip("highdicom", reason="highdicom is not installed")
    return dicom_objects(*axial)


@pytest.fixture(scope="session")
def written(axial, objects, tmp_path_factory) -> Path:
    """The folder with the files of ``objects``."""
    return write(objects, tmp_path_factory.mktemp("written"))


def write(objects, folder: Path) -> Path:
    (folder / "dicom").mkdir()
    for name, writer in dicom_writers(objects).items():
        writer(folder / name)
    return folder / "dicom"


@pytest.fixture(scope="session")
def tool():
    """``tool(name, *arguments)``: run a program that may be absent (the test is skipped) and return what it says."""

    def run(name, *arguments):
        beside = Path(sys.executable).parent / name
        found = str(beside) if beside.exists() else shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not installed")
        done = subprocess.run([found, *map(str, arguments)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run
