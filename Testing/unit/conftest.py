"""Fixtures of the unit tests: a made-up chest of a few voxels, and DICOM files of it."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from Testing.dicom_series import write_dicom_series

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


@pytest.fixture(scope="session")
def write_series() -> Callable[..., list[Path]]:
    """A function that writes (K, J, I) HU as one DICOM file a slice and returns the files."""
    return write_dicom_series


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
