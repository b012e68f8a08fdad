"""Fixtures of the unit tests: a made-up chest of a few voxels, and DICOM files of it."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
PATIENT = "Doe^Jane"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def keras():
    """Keras on TensorFlow; a test that asks for it is marked ``tensorflow``."""
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    return pytest.importorskip("keras", reason="TensorFlow is not installed")


@pytest.fixture(scope="session")
def h5py(keras):
    """The package that comes with TensorFlow."""
    return pytest.importorskip("h5py", reason="TensorFlow is not installed")


@pytest.fixture(scope="session")
def keras24(repository, h5py):
    """The module ``keras24/layouts.py``: files of TensorFlow 2.4.3, and weights by a formula."""
    spec = importlib.util.spec_from_file_location("layouts", repository / "Testing" / "keras24" / "layouts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def chest_hu():
    """(K, J, I) int16 HU of a chest that is unlike itself under every flip: air, body wall, two lungs, spine."""
    k, j, i = np.ogrid[-1:1:12j, -1:1:30j, -1:1:36j]
    hu = np.full((12, 30, 36), -1000.0)
    hu[np.broadcast_to((j / 0.8) ** 2 + (i / 0.9) ** 2 < 1, hu.shape)] = 40
    hu[((j + 0.1) / 0.5) ** 2 + ((i + 0.45) / 0.3) ** 2 + (k / 1.1) ** 2 < 1] = -850
    hu[((j + 0.1) / 0.5) ** 2 + ((i - 0.45) / 0.2) ** 2 + ((k - 0.3) / 0.9) ** 2 < 1] = -800
    hu[np.broadcast_to((j - 0.55) ** 2 + i**2 < 0.02, hu.shape)] = 500
    hu += np.random.default_rng(1).normal(0, 15, hu.shape)
    return np.clip(np.rint(hu), -1024, 3071).astype(np.int16)


@pytest.fixture
def files(tmp_path) -> Callable[..., Path]:
    """A function that makes empty files below a folder of the test and returns the folder."""

    def make(*names: str, folder: str = "data") -> Path:
        root = tmp_path / folder
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"")
        return root

    return make


@pytest.fixture
def dicom_files(tmp_path) -> Callable[..., Path]:
    """A function that makes files that begin as DICOM does."""

    def make(*names: str, folder: str = "data") -> Path:
        root = tmp_path / folder
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(bytes(128) + b"DICM")
        return root

    return make


def ct_slice(stored, position, orientation, spacing, **tags) -> Dataset:
    """A CT data set; ``tags`` are set on it, a value of None takes the element away."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.Modality, dataset.PatientName = CT_CLASS, "CT", PATIENT
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesInstanceUID, dataset.SeriesDescription = "2.25.1", "Chest 2.0"
    dataset.ImagePositionPatient = [round(float(v), 6) for v in position]
    dataset.ImageOrientationPatient = [round(float(v), 9) for v in orientation]
    dataset.PixelSpacing = list(spacing)
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, int(stored.dtype.kind == "i")
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset.PixelData = stored.tobytes()
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", CT_CLASS)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


@pytest.fixture(scope="session")
def write_series() -> Callable[..., list[Path]]:
    """A function that writes (K, J, I) HU as one DICOM file a slice and returns the files.

    ``change(k)`` gives the tags that make slice k special. Slices lie ``step_mm`` apart along the normal.
    """

    def write(folder, hu, change=lambda k: {}, *, step_mm=2.0, positions=None, iop=(1, 0, 0, 0, 1, 0), uid="2.25.1"):
        folder.mkdir(parents=True, exist_ok=True)
        normal = np.cross(iop[:3], iop[3:])
        files = []
        for k, plane in enumerate(hu):
            position = np.array([-12.5, -20.25, -52.1]) + k * step_mm * normal if positions is None else positions[k]
            tags = {"SeriesInstanceUID": uid, "SOPInstanceUID": f"{uid}.{k + 1}", "InstanceNumber": k + 1, **change(k)}
            stored = tags.pop("stored", None)
            stored = (plane.astype(np.int32) + 1024).astype(np.uint16) if stored is None else stored
            files.append(folder / f"{k:03d}.dcm")
            dataset = ct_slice(stored, position, iop, (0.8, 0.7), **tags)
            dataset.save_as(files[-1], enforce_file_format=True)
        return files

    return write


@pytest.fixture(scope="module")
def browser():
    """Chromium; of a module, for while it lives no other event loop can run."""
    api = pytest.importorskip(
        "playwright.sync_api", reason='Playwright is not installed (pip install ".[browser-test]")'
    )
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with api.sync_playwright() as playwright:
        try:
            found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except api.Error as error:
            pytest.skip(f"no browser: install Debian's chromium ({str(error).splitlines()[0]})")
        yield found
        found.close()


@pytest.fixture(scope="module")
def axe():
    """The source of axe-core, which finds barriers of a page."""
    module = pytest.importorskip(
        "axe_playwright_python", reason="axe-core is absent (pip install axe-playwright-python)"
    )
    return (Path(module.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
