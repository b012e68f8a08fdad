"""A path, or an array with its geometry, to a chest CT in Hounsfield units on canonical axes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.preprocessing.hounsfield import settle_hounsfield
from CovidSeverityLib.preprocessing.numbers import to_int16
from CovidSeverityLib.types import AIR_HU, CtVolume, Geometry, HounsfieldChange, Progress, QualityNote

from .cost import check_cost
from .dicom.decoding import STAGE
from .dicom.reader import read_dicom
from .dicom.series import Choice
from .images import read_image
from .orientation import canonical_geometry, canonical_order
from .sources import Source, opened


def read_ct(
    path: str | os.PathLike,
    *,
    series_uid: str | None = None,
    volume: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> CtVolume:
    """Read a chest CT.

    Parameters
    ----------
    path : a folder with DICOM files in it or below it (any file names), one DICOM file (the volume that it belongs to),
        a DICOMDIR, a .zip of such a folder, or a .nii, .nii.gz, .hdr, .nrrd, .nhdr, .mha or .mhd file. Of several
        volumes the best for an analysis of the lungs is taken (``io.dicom_volumes``).
    series_uid : SeriesInstanceUID of the series to read instead.
    volume : number of the volume to read instead, in the list that the note ``volume_chosen`` or an error gives.
    force : interpolate missing slices instead of refusing the series.
    progress : called as ``progress("read", done, total)``; what it raises ends the reading.

    Returns
    -------
    CtVolume
        Hounsfield units, no value under -1024, (K, J, I) from inferior to superior, anterior to posterior, patient
        right to left. ``notes`` say what was repaired or left out. What the reader takes from the headers (which
        series, padding, rescale) and from the values (another offset or scale) is explained in ``io.dicom_grid``,
        ``io.dicom`` and ``preprocessing.hounsfield``.

    Raises
    ------
    NoLungsError
        The volume holds nothing but air.
    InputError
        Anything else that is wrong with the input; the message names files without their folders.
    """
    source = Path(path)
    if source.name in ("", ".."):
        source = source.resolve()
    name = source.name
    try:
        if not source.exists():
            raise InputError(f"no such file or folder: {os.fspath(path)}")
        choice = Choice(series_uid, volume)
        with opened(source) as found:
            if found.image is None:
                return _read_dicom_ct(found, name, choice, force, progress)
            return _read_image_ct(found.image, name, choice, progress)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or type(error).__name__}") from error
    except InputError as error:
        if name in str(error):
            raise
        raise type(error)(f"{name}: {error}") from error


def volume_from_array(
    array: NDArray,
    spacing_mm: Sequence[float],
    origin_mm: Sequence[float],
    direction: ArrayLike,
    name: str = "",
    *,
    check: bool = False,
) -> CtVolume:
    """Return a volume on canonical axes from an array as SimpleITK, or Slicer, holds it.

    Parameters
    ----------
    array : (K, J, I) ndarray in stored axis order, Hounsfield units of any number type. It is copied.
    spacing_mm : along the stored (I, J, K), mm.
    origin_mm : LPS position of voxel (0, 0, 0), mm.
    direction : 9 numbers or (3, 3), row-major; column n is the LPS unit vector of stored index axis n in (I, J, K)
        order.
    check : see first whether the values are Hounsfield units and repair what is clear (as :func:`read_ct` does).

    Raises
    ------
    InputError
        The array is not 3-D, holds no real numbers, its geometry is none, or ``check`` refuses its values.
    """
    array = np.asarray(array)
    if array.ndim != 3 or 0 in array.shape:
        raise InputError(f"an array of shape {array.shape} was given; a 3-D volume (K, J, I) is needed")
    stored = Geometry(
        size=array.shape[::-1],
        spacing_mm=tuple(float(v) for v in spacing_mm),
        origin_mm=tuple(float(v) for v in origin_mm),
        direction=tuple(np.asarray(direction, dtype=float).ravel().tolist()),
    )
    return _volume(array, stored, name=name, notes=(), check=check)


def _read_dicom_ct(found: Source, name: str, choice: Choice, force: bool, progress: Progress | None) -> CtVolume:
    stack = read_dicom(found.files, name, choice, force, progress)
    notes = (*found.notes, *stack.notes)
    volume = _with_axial_slices(_volume(stack.values, stack.geometry, name=name, notes=notes, own=True))
    if volume.storage.axes[0] != 0:
        return replace(
            volume, kernel=stack.kernel
        )  # a sagittal or coronal series: no axial slice was measured, or interpolated, as a whole
    acquired = stack.acquired[::-1] if volume.storage.flipped[0] else stack.acquired
    return replace(volume, acquired=acquired, kernel=stack.kernel)


def _read_image_ct(source: Path, name: str, choice: Choice, progress: Progress | None) -> CtVolume:
    if choice != Choice():
        raise InputError(f"{name} has no series to choose from; a series is chosen in a DICOM folder only")
    image = read_image(source, check_cost)
    if progress is not None:
        progress(STAGE, 1, 1)
    return _with_axial_slices(_volume(image.values, image.geometry, name=name, notes=image.notes))


def _volume(
    values: NDArray,
    stored: Geometry,
    *,
    name: str,
    notes: tuple[QualityNote, ...],
    check: bool = True,
    own: bool = False,
) -> CtVolume:
    """Bring ``values`` (stored order, as decoded; changed and kept if ``own``) to HU and to canonical axes."""
    order = canonical_order(stored.direction)
    geometry = canonical_geometry(stored, order)
    if check:
        hu, found, change = settle_hounsfield(values, own=own)
    else:
        (hu, found), change = to_int16(values), HounsfieldChange()
        np.maximum(hu, np.int16(AIR_HU), out=hu)
    hu, notes = order.to_canonical(hu), (*notes, *found)
    return CtVolume(hu, geometry, stored, order, name=name, notes=notes, hounsfield_change=change)


def _with_axial_slices(volume: CtVolume) -> CtVolume:
    """The same; refuses what holds a single slice in another plane."""
    if min(volume.geometry.size[:2]) < 2:
        shape = " x ".join(str(n) for n in volume.geometry.size)
        raise InputError(f"a single slice that is not axial was given ({shape}); a volume or an axial slice is needed")
    return volume
