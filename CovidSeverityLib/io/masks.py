"""External label masks on the grid of a CT."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Geometry

from .affine import SAME_GRID_MM, corners_apart_mm
from .dicom.files import is_dicom
from .images import FORMATS, StoredImage, is_image_name, read_image
from .orientation import canonical_geometry, order_onto
from .sources import check_can_be_read_twice
from .volume import CtVolume

SPACING_TOLERANCE = 1e-3
DIRECTION_TOLERANCE = 1e-3
"""Differences that a message mentions: relative spacing, and direction cosines."""


def read_mask(path: str | os.PathLike[str], volume: CtVolume) -> NDArray[np.integer]:
    """Read a label mask and bring it to the axes of ``volume``.

    The axis order and the flips of the stored mask may differ from those of the CT, if the voxels have the same places.

    Parameters
    ----------
    path : str or path-like
        A .nii, .nii.gz, .nrrd, .nhdr, .mha or .mhd file with one label per voxel.
    volume : CtVolume
        The CT of the mask.

    Returns
    -------
    (K, J, I) ndarray of uint8 or int32
        Labels on the grid of ``volume.hu``, read-only; int32 if uint8 is too small.

    Raises
    ------
    InputError
        The file is missing or damaged, contains layers or numbers that are not labels, or has another geometry.

    Examples
    --------
    >>> import numpy as np
    >>> from CovidSeverityLib import read_ct, read_mask
    >>> mask = read_mask("lungs.nii.gz", read_ct("ct.nii.gz"))
    >>> mask.shape, np.unique(mask).tolist()
    ((36, 64, 64), [0, 1, 2])
    """
    source = Path(path)
    if not source.exists():
        raise InputError(f"no such mask: {os.fspath(path)}")
    check_can_be_read_twice(source, "mask")
    try:
        if source.is_dir() or (not is_image_name(source) and is_dicom(source)):
            raise InputError(f"the mask {source.name} is DICOM; export it as one of {', '.join(FORMATS)}")
        image = _read(source)
    except OSError as error:
        raise InputError(f"{source.name} cannot be read: {error.strerror or type(error).__name__}") from error
    order = order_onto(image.geometry.direction, volume.geometry.direction)
    _check_grid(source.name, canonical_geometry(image.geometry, order), volume.geometry)
    labels = _labels(source.name, image.values)
    labels = np.ascontiguousarray(order.to_canonical(labels))
    labels.flags.writeable = False
    return labels


def _read(source: Path) -> StoredImage:
    try:
        return read_image(source)
    except InputError as error:
        if "numbers a voxel" not in str(error) and "4-D" not in str(error):
            raise
        raise InputError(
            f"{error} (a segmentation with overlapping layers has to be exported as one label map)"
        ) from error


def _check_grid(name: str, got: Geometry, expected: Geometry) -> None:
    """Raise InputError with the differences unless both grids have the same voxels in the same places."""
    if got.size != expected.size:
        raise _other_grid(name, "size", got.size, expected.size, "voxels")
    if corners_apart_mm(got, expected) <= SAME_GRID_MM:
        return
    if not np.allclose(got.spacing_mm, expected.spacing_mm, rtol=SPACING_TOLERANCE, atol=0):
        raise _other_grid(name, "spacing", got.spacing_mm, expected.spacing_mm, "mm")
    if not np.allclose(got.direction, expected.direction, rtol=0, atol=DIRECTION_TOLERANCE):
        raise _other_grid(name, "direction", got.direction, expected.direction, "")
    raise _other_grid(name, "position", got.origin_mm, expected.origin_mm, "mm")


def _other_grid(name: str, what: str, got: tuple, expected: tuple, unit: str) -> InputError:
    texts = ["(" + ", ".join(f"{v:.7g}" for v in values) + ")" for values in (got, expected)]
    return InputError(
        f"the mask {name} does not match the CT: its {what} is {texts[0]} {unit}".rstrip()
        + f", {texts[1]} {unit}".rstrip()
        + " is needed"
    )


def _labels(name: str, values: NDArray) -> NDArray[np.integer]:
    """Return a copy of ``values`` (which belong to the image that was read) as labels."""
    if values.dtype == np.uint8:
        return values.copy()
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"the mask {name} holds numbers that are not finite; whole numbers from 0 on are needed")
    if low < 0 or high > np.iinfo(np.int32).max:
        raise InputError(f"the mask {name} runs from {low:g} to {high:g}; labels from 0 on are needed")
    labels = values.astype(np.uint8 if high <= np.iinfo(np.uint8).max else np.int32)
    if values.dtype.kind == "f" and not np.array_equal(labels, values):
        raise InputError(f"the mask {name} holds fractions (a probability map?); whole numbers from 0 on are needed")
    return labels
