"""The fixture of the unit tests that writes DICOM files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from Testing.dicom_series import write_dicom_series


@pytest.fixture(scope="session")
def write_series() -> Callable[..., list[Path]]:
    """A function that writes (K, J, I) HU as one DICOM file a slice and returns the files."""
    return write_dicom_series
