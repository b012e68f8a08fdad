"""What an entry of the catalogue is, and the small chest that most entries spoil."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk

from CovidSeverityLib.evaluation.synthetic.phantom import Phantom, make_phantom
from Testing.dicom_series import write_dicom_series

OK = ""
"""What is expected of an input that is strange but right: it is analysed."""

SPACING_MM = (8.0, 8.0, 13.0)
SHAPE = (24, 48, 48)

PIXELS = {"PixelSpacing": [8, 8], "SliceThickness": 13, "AcquisitionNumber": 1}
"""Tags of the chest's slices, for ``series``."""


class UnavailableError(Exception):
    """This system cannot make the input; the message says why."""


@dataclass(frozen=True)
class BadInput:
    """One kind of bad or strange input.

    Parameters
    ----------
    name : str
        Unique; a word that may stand in a table.
    what : str
        What is wrong, for people.
    make : callable
        Writes the input into an empty folder and returns its path. It raises UnavailableError where it cannot.
    expected : str
        Pattern for the whole sentence that refuses it; OK if it must be analysed.
    role : str
        What the made file is: the CT, or a mask of the good CT.
    failure : str
        What a batch calls it: an input that is wrong, or one that is over a limit.
    """

    name: str
    what: str
    make: Callable[[Path], Path]
    expected: str
    role: Literal["ct", "lungs", "lobes"] = "ct"
    failure: Literal["input", "limit"] = "input"


@cache
def chest() -> Phantom:
    """A chest in voxels of 8 x 8 x 13 mm."""
    return make_phantom(1, shape=SHAPE, spacing_mm=SPACING_MM, healthy=True)


def hu() -> np.ndarray:
    """(K, J, I) int16 Hounsfield units of the chest, which may be changed."""
    return chest().volume.hu.copy()


def image_of(array: np.ndarray, *, spacing_mm: tuple[float, ...] = SPACING_MM) -> sitk.Image:
    """An image on the grid of the chest; a fourth axis of the array holds the numbers of a voxel."""
    image = sitk.GetImageFromArray(array, isVector=array.ndim == 4)
    if image.GetDimension() == 3:
        image.SetSpacing(spacing_mm)
        image.SetOrigin(chest().volume.geometry.origin_mm)
    return image


def write_image(path: Path, array: np.ndarray | None = None, *, compress: bool = False, **geometry) -> Path:
    """Write an array, or the chest, in the format of the path's ending."""
    sitk.WriteImage(image_of(hu() if array is None else array, **geometry), str(path), compress)
    return path


def series(folder: Path, array: np.ndarray | None = None, change=lambda k: {}, **options) -> list[Path]:
    """Write the chest, or an array on its grid, as one DICOM file a slice."""
    options.setdefault("step_mm", SPACING_MM[2])
    return write_dicom_series(folder, hu() if array is None else array, lambda k: PIXELS | change(k), **options)
