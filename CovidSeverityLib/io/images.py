"""NIfTI, Analyze, NRRD and MetaImage files: what their headers say, and the voxels that they promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Geometry, QualityNote

from .dicom.files import is_dicom
from .image_header import ImageHeader
from .metaimage import read_metaimage_header
from .nifti import other_half, read_nifti_header
from .nrrd import read_nrrd_header
from .voxels import read_voxels

FORMATS: dict[str, Callable[[Path], ImageHeader]] = {
    ".nii": read_nifti_header,
    ".nii.gz": read_nifti_header,
    ".nrrd": read_nrrd_header,
    ".nhdr": read_nrrd_header,
    ".mha": read_metaimage_header,
    ".mhd": read_metaimage_header,
    ".hdr": read_nifti_header,
    ".img": read_nifti_header,
}
"""File endings, and what reads the header behind each."""

Admit = Callable[[tuple[int, int, int], str], None]
"""``admit(size, name)``: called with the size (I, J, K) in the header before a voxel is read; what it raises, ends the
reading."""

EXACT_BYTES = 2
"""Largest number type whose scaled values float32 holds to 0.01, as long as they are Hounsfield units."""


@dataclass(frozen=True, eq=False)
class StoredImage:
    """A 3-D image as it is stored, and what was noticed about it.

    Parameters
    ----------
    values : (K, J, I) ndarray in stored axis order, any number type.
    geometry : where they lie.
    """

    values: NDArray
    geometry: Geometry
    notes: tuple[QualityNote, ...] = ()


def is_image_name(path: Path) -> bool:
    """Whether the ending of ``path`` is one of :data:`FORMATS`. A lone .img is one of them only if it is no DICOM."""
    if path.suffix.lower() == ".img" and path.is_file() and other_half(path) is None:
        return not is_dicom(path)
    return _ending(path) is not None


def is_second_half(path: Path) -> bool:
    """Whether ``path`` is the .img of a pair whose .hdr lies beside it: one image, not two."""
    return path.suffix.lower() == ".img" and other_half(path) is not None


def read_image(path: Path, admit: Admit | None = None) -> StoredImage:
    """Read one 3-D scalar image in its stored order; numbers that the header scales are scaled.

    Raises
    ------
    InputError
        The ending is unknown, the file is damaged, cut short or not what its ending says, its header contradicts
        itself, or it holds no 3-D image of one number a voxel.
    """
    ending = _ending(path)
    if ending is None:
        raise InputError(f"{path.name} has an unknown ending; DICOM or one of {', '.join(FORMATS)} is needed")
    if path.stat().st_size == 0:
        raise InputError(f"{path.name} is empty")
    with np.errstate(all="ignore"):  # NaN and infinities in a header are refused where they matter
        header = FORMATS[ending](path)
    if admit is not None:
        admit(header.source.size, path.name)
    values, notes = read_voxels(header.source, path.name)
    return StoredImage(_scaled(values, header), header.geometry, (*header.notes, *notes))


def _ending(path: Path) -> str | None:
    name = path.name.lower()
    return next((e for e in sorted(FORMATS, key=len, reverse=True) if name.endswith(e)), None)


def _scaled(values: NDArray, header: ImageHeader) -> NDArray:
    """Return ``values * slope + inter``: the same array where that changes nothing, else one of a small type."""
    slope, inter = header.slope, header.inter
    if slope == 1 and inter == 0:
        return values
    small = values.dtype.itemsize <= EXACT_BYTES
    if slope == 1 and small and values.dtype.kind in "iu" and inter.is_integer() and abs(inter) < 2**30:
        scaled = values.astype(np.int32)
        scaled += int(inter)
        return scaled
    with np.errstate(over="ignore", invalid="ignore"):  # what is no number then is counted where values are judged
        scaled = values.astype(np.float32 if small else np.float64)
        scaled *= slope
        scaled += inter
    return scaled
