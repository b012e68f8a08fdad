"""Read a path, or an array with its geometry, into a chest CT in Hounsfield units on canonical axes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from CovidSeverityLib.errors import InputError, on_one_line
from CovidSeverityLib.types import READ_STAGE, Progress

from .cost import check_cost
from .dicom.choice import Choice
from .images import read_image
from .sources import Source, check_can_be_read_twice, opened
from .volume import CtVolume, volume_of, with_axial_slices

if TYPE_CHECKING:
    from .dicom.source import DicomSource


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
        DICOMDIR, a .nii, .nii.gz, .hdr, .nrrd, .nhdr, .mha or .mhd file, or a .zip of one of these
        (:mod:`.archives`). Of several volumes the best one for the lungs is read (:mod:`.dicom.volumes`).
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
        how headers are used (series, padding, rescale), and :mod:`~CovidSeverityLib.io.hounsfield.settling` how
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
    return _read(path, Choice(series_uid, volume), force, progress, keep_headers=False)[0]


def read_ct_and_source(
    path: str | os.PathLike[str],
    *,
    series_uid: str | None = None,
    volume: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
    keep_headers: bool = True,
) -> tuple[CtVolume, DicomSource | None]:
    """Read a chest CT like :func:`read_ct`, and keep the headers of its images.

    Parameters
    ----------
    path, series_uid, volume, force, progress
        As for :func:`read_ct`.
    keep_headers : bool
        False does not read the headers again (0.2 s for 150 files); then no object can refer to the images.

    Returns
    -------
    CtVolume
        The CT.
    DicomSource or None
        The images that it was read from, for DICOM objects that refer to them; None for other formats.

    Raises
    ------
    NoLungsError, InputError
        As :func:`read_ct`.
    """
    return _read(path, Choice(series_uid, volume), force, progress, keep_headers=keep_headers)


def _read(
    path: str | os.PathLike[str], choice: Choice, force: bool, progress: Progress | None, *, keep_headers: bool
) -> tuple[CtVolume, DicomSource | None]:
    source = Path(path)
    if source.name in ("", ".."):
        source = source.resolve()
    name = os.fsencode(source.name).decode(errors="backslashreplace")  # reports are UTF-8, names of files may be other
    try:
        if not source.exists():
            if source.is_symlink():
                raise InputError(f"{name} is a broken link")
            raise InputError(f"no such file or folder: {os.fspath(path)}")
        check_can_be_read_twice(source)
        with opened(source) as found:
            if found.image is None:
                return _read_dicom_ct(found, name, choice, force, progress, keep_headers)
            if choice != Choice():
                raise InputError(f"{name} has no series to choose from; a series is chosen in a DICOM folder only")
            return _read_image_ct(found, found.image, name, progress), None
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or type(error).__name__}") from error
    except InputError as error:
        if on_one_line(name) in str(error):
            raise
        raise type(error)(f"{name}: {error}") from error


def _read_dicom_ct(
    found: Source, name: str, choice: Choice, force: bool, progress: Progress | None, keep_headers: bool
) -> tuple[CtVolume, DicomSource | None]:
    from .dicom.reader import read_dicom  # not for images: pydicom takes 0.1 s to load

    stack = read_dicom(found.files, name, choice, force, progress, keep_headers)
    notes = (*found.notes, *stack.notes)
    volume = with_axial_slices(volume_of(stack.values, stack.geometry, name=name, notes=notes, own=True))
    if volume.storage.axes[0] != 0:  # a sagittal or coronal series: no axial slice was acquired or filled as a whole
        return replace(volume, kernel=stack.kernel), stack.source
    acquired = stack.acquired[::-1] if volume.storage.flipped[0] else stack.acquired
    return replace(volume, acquired=acquired, kernel=stack.kernel), stack.source


def _read_image_ct(found: Source, path: Path, name: str, progress: Progress | None) -> CtVolume:
    image = read_image(path, check_cost, within=found.archive)
    if progress is not None:
        progress(READ_STAGE, 1, 1)
    return with_axial_slices(volume_of(image.values, image.geometry, name=name, notes=image.notes))
