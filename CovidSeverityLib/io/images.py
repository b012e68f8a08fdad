"""NIfTI, Analyze, NRRD and MetaImage files: their headers and their voxels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Geometry, QualityNote

from .dicom.files import is_dicom
from .image_header import ImageHeader
from .inner_paths import shown_name
from .metaimage import read_metaimage_header
from .nifti import begins_as_nifti, other_half, read_nifti_header
from .nrrd import read_nrrd_header
from .voxels import first_bytes, read_voxels

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
"""File endings, and the function that reads the header for each."""

FIRST_WORDS = {b"NRRD000": ".nrrd", b"ObjectType": ".mha"}
"""How NRRD files and those of MetaImage begin."""

HEAD_BYTES = 348
"""Bytes of a header by which NIfTI is recognised."""

Admit = Callable[[tuple[int, int, int], str], None]
"""``admit(size, name)``: called with the size (I, J, K) in the header before a voxel is read; it may raise an error to
stop."""

EXACT_BYTES = 2
"""Largest number type whose scaled values fit into float32 to within 0.01, if they are Hounsfield units."""


@dataclass(frozen=True, eq=False)
class StoredImage:
    """A 3-D image in its stored order, with notes about it.

    Parameters
    ----------
    values : (K, J, I) ndarray in stored axis order, any number type.
    geometry : Geometry
        Geometry of the values.
    """

    values: NDArray
    geometry: Geometry
    notes: tuple[QualityNote, ...] = ()


def is_image_name(path: Path) -> bool:
    """Whether the ending of ``path`` is one of :data:`FORMATS`. A single .img counts only if it is not DICOM."""
    if path.suffix.lower() == ".img" and path.is_file() and other_half(path) is None:
        return not is_dicom(path)
    return _ending(path) is not None


def is_second_half(path: Path) -> bool:
    """Whether ``path`` is the .img of a pair whose .hdr is in the same folder: one image, not two."""
    return path.suffix.lower() == ".img" and other_half(path) is not None


def has_image_content(path: Path) -> bool:
    """Whether ``path`` begins as NIfTI, NRRD or MetaImage, whatever its name is. A half of a pair does not count."""
    return _format_of_content(path) is not None


def read_image(path: Path, admit: Admit | None = None, within: Path | None = None) -> StoredImage:
    """Read one 3-D scalar image in its stored order, with the scaling of the header applied.

    ``within`` is a folder that a header of somebody else must not leave: that of an archive.

    Raises
    ------
    InputError
        Ending and content are unknown, the file is damaged, truncated or of another format, its header contradicts
        itself, or it is not a 3-D image with one number per voxel.
    """
    ending = _ending(path) or _format_of_content(path)
    if ending is None:
        raise InputError(f"{path.name} has an unknown ending; DICOM or one of {', '.join(FORMATS)} is needed")
    if path.stat().st_size == 0:
        raise InputError(f"{path.name} is empty")
    with np.errstate(all="ignore"):  # NaN and infinities in a header are refused by later checks
        header = FORMATS[ending](path)
    if admit is not None:
        admit(header.source.size, path.name)
    if within is not None:
        _check_within(within, header.source.files, path.name)
    values, notes = read_voxels(header.source, path.name)
    return StoredImage(_scaled(values, header), header.geometry, (*header.notes, *notes))


def _check_within(folder: Path, files: Sequence[Path], name: str) -> None:
    for file in files:
        if not file.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{name} names the data file {shown_name(file.name)} outside its archive; pack both anew")


def _ending(path: Path) -> str | None:
    name = path.name.lower()
    return next((e for e in sorted(FORMATS, key=len, reverse=True) if name.endswith(e)), None)


def _format_of_content(path: Path) -> str | None:
    """The ending that the first bytes of a file ask for."""
    try:
        head = first_bytes(path, HEAD_BYTES)
    except InputError:  # damaged gzip data
        return None
    if begins_as_nifti(head):
        return ".nii"
    return next((ending for words, ending in FIRST_WORDS.items() if head.startswith(words)), None)


def _scaled(values: NDArray, header: ImageHeader) -> NDArray:
    """Return ``values * slope + inter``: the same array if this changes nothing, otherwise one of a small type."""
    slope, inter = header.slope, header.inter
    if slope == 1 and inter == 0:
        return values
    small = values.dtype.itemsize <= EXACT_BYTES
    if slope == 1 and small and values.dtype.kind in "iu" and inter.is_integer() and abs(inter) < 2**30:
        scaled = values.astype(np.int32)
        scaled += int(inter)
        return scaled
    with np.errstate(over="ignore", invalid="ignore"):  # invalid numbers are counted later, when values are checked
        scaled = values.astype(np.float32 if small else np.float64)
        scaled *= slope
        scaled += inter
    return scaled
