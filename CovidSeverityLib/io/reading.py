"""Read a path, or an array with its geometry, into a chest CT in Hounsfield units on canonical axes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.preprocessing.hounsfield import settle_hounsfield
from CovidSeverityLib.preprocessing.numbers import to_int16
from CovidSeverityLib.types import AIR_HU, CtVolume, Geometry, HounsfieldChange, Progress, QualityNote, Triple, triple

from .cost import check_cost
from .dicom.decoding import STAGE
from .dicom.reader import read_dicom
from .dicom.series import Choice
from .extent import check_voxel_edges
from .image_header import volume_size
from .images import read_image
from .orientation import canonical_geometry, canonical_order
from .sources import Source, opened


def read_ct(
    path: str | os.PathLike[str],
    *,
    series_uid: str | None = None,
    volume: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> CtVolume:
    """Read a chest CT.

    Parameters
    ----------
    path : str or path-like
        A folder with DICOM files in it or in its subfolders (any file names), one DICOM file (for its volume), a
        DICOMDIR, a .zip of such a folder, or a .nii, .nii.gz, .hdr, .nrrd, .nhdr, .mha or .mhd file. Of several
        volumes the best one for the lungs is read (:mod:`.dicom.volumes`).
    series_uid : str or None
        SeriesInstanceUID of the series to read instead.
    volume : int or None
        Number of the volume to read instead, in the list of the note ``volume_chosen`` or of an error.
    force : bool
        Interpolate missing slices instead of refusing the series.
    progress : callable or None
        Called as ``progress("read", done, total)``; it may raise an error to stop.

    Returns
    -------
    CtVolume
        Hounsfield units, no value under -1024, (K, J, I) from inferior to superior, anterior to posterior, patient
        right to left. ``notes`` say what was repaired or left out. :mod:`.dicom.grid` and :mod:`.dicom.reader` explain
        how headers are used (series, padding, rescale), and :mod:`~CovidSeverityLib.preprocessing.hounsfield` how
        values are checked (offset, scale).

    Raises
    ------
    NoLungsError
        The volume contains only air.
    InputError
        Any other error of the input; the message names files without their folders.

    Examples
    --------
    >>> from CovidSeverityLib import read_ct
    >>> ct = read_ct("ct.nii.gz")
    >>> ct.hu.shape, ct.hu.dtype, ct.geometry.spacing_mm
    ((36, 64, 64), dtype('int16'), (6.0, 6.0, 8.8))
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
    """Return a volume on canonical axes from an array in the layout of SimpleITK or Slicer.

    Parameters
    ----------
    array : (K, J, I) ndarray of int or float
        Hounsfield units in stored axis order. It is copied.
    spacing_mm : sequence of three float
        Spacing along the stored (I, J, K), mm.
    origin_mm : sequence of three float
        LPS position of voxel (0, 0, 0), mm.
    direction : array_like of nine float
        Row-major; column n is the LPS unit vector of stored index axis n in (I, J, K) order.
    name : str
        Name of the CT.
    check : bool
        Whether to check that the values are Hounsfield units and to repair clear errors (as :func:`read_ct` does).

    Raises
    ------
    InputError
        The array is not 3-D or does not contain real numbers, its geometry is invalid, or ``check`` refuses its values.
    """
    array = np.asarray(array)
    if array.ndim != 3 or 0 in array.shape:
        raise InputError(f"an array of shape {array.shape} was given; a 3-D volume (K, J, I) is needed")
    k, j, i = array.shape
    stored = Geometry(
        size=(i, j, k),
        spacing_mm=_three(spacing_mm, "voxel spacing"),
        origin_mm=_three(origin_mm, "origin"),
        direction=tuple(np.asarray(direction, dtype=float).ravel().tolist()),
    )
    return _volume(array, stored, name=name, notes=(), check=check)


def _three(values: Sequence[float], what: str) -> Triple:
    if len(values) != 3:
        raise InputError(f"the {what} is {tuple(values)} mm; three numbers are needed")
    return triple(float(v) for v in values)


def checked_volume(
    hu: NDArray, spacing_mm: Sequence[float], origin_mm: Sequence[float], direction: ArrayLike, name: str
) -> CtVolume:
    """:meth:`CtVolume.from_array`: :func:`volume_from_array` with all checks of a file."""
    volume = volume_from_array(hu, spacing_mm, origin_mm, direction, name, check=True)
    check_voxel_edges(volume.geometry.spacing_mm, name or "the array")
    return _with_axial_slices(volume)


def volume_from_image(image: sitk.Image, name: str) -> CtVolume:
    """:meth:`CtVolume.from_image`: the same for a SimpleITK image."""
    is_complex = "complex" in image.GetPixelIDTypeAsString()
    volume_size(image.GetSize(), image.GetNumberOfComponentsPerPixel(), name or "the image", is_complex=is_complex)
    if image.GetDimension() != 3:
        raise InputError(f"{name or 'the image'} has {image.GetDimension()} dimensions; a 3-D image is needed")
    array = sitk.GetArrayViewFromImage(image)
    return checked_volume(array, image.GetSpacing(), image.GetOrigin(), image.GetDirection(), name)


def _read_dicom_ct(found: Source, name: str, choice: Choice, force: bool, progress: Progress | None) -> CtVolume:
    stack = read_dicom(found.files, name, choice, force, progress)
    notes = (*found.notes, *stack.notes)
    volume = _with_axial_slices(_volume(stack.values, stack.geometry, name=name, notes=notes, own=True))
    if volume.storage.axes[0] != 0:
        return replace(
            volume, kernel=stack.kernel
        )  # a sagittal or coronal series: no axial slice was measured or interpolated as a whole
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
    """Convert ``values`` (stored order, as decoded; modified in place if ``own``) to HU on canonical axes."""
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
    """The same; refuse a single slice in another plane."""
    if min(volume.geometry.size[:2]) < 2:
        shape = " x ".join(str(n) for n in volume.geometry.size)
        raise InputError(f"a single slice that is not axial was given ({shape}); a volume or an axial slice is needed")
    return volume
