"""A folder of DICOM files, or one of its files, to a stack of values.

pydicom reads the headers, SimpleITK (GDCM) decodes the pixels and applies each slice's own rescale. The stack is
sorted by position, so neither the names of the files nor their instance numbers matter.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.preprocessing.hounsfield import PADDING
from CovidSeverityLib.types import Geometry, NoteSeverity, Progress, QualityNote

from .dicom_grid import GridPlan, Stack, duplicate_note, inplane_shifts, plan_grid, stack_slices
from .dicom_headers import CT, SliceHeader, dicom_headers, files_under
from .dicom_series import choose_series
from .images import quiet_itk
from .pixels import round_into

STAGE = "read"
MAX_THREADS = 4
"""Decoding is memory-bound beyond this."""

FIRST_DECODE = threading.Lock()
"""Held while the first file of a series is decoded. GDCM sets up its tables when it is first used, and two threads that
do so at once crash the process (2 in 1000 starts with SimpleITK 2.5.7; none in 6000 when one file goes first)."""

TISSUE_HU = (-900.0, 3000.0)
"""A padding value in this range is also an ordinary value: only what touches the edge of the slice is padding then."""


@dataclass(frozen=True, eq=False)
class DicomStack:
    """What a series holds, before the check of Hounsfield units.

    ``values`` : (K, J, I) int16, rescaled, padding marked; K along the normal, J along a column, I along a row of the
    slices. ``acquired`` : (K,) False for interpolated slices. ``kernel`` : that of the slices, empty where they differ.
    """

    values: NDArray[np.int16]
    geometry: Geometry
    acquired: tuple[bool, ...]
    notes: tuple[QualityNote, ...]
    kernel: str


def read_dicom(path: Path, series_uid: str | None, force: bool, progress: Progress | None) -> DicomStack:
    """Read the chosen series of a folder, or the series that a single file belongs to.

    Raises
    ------
    InputError
        There is no usable CT series, slices are missing and ``force`` is False, or a file is damaged.
    """
    headers, series_uid, file_notes = _gather(path, series_uid)
    slices, series_notes = choose_series(headers, series_uid)
    stack = stack_slices(slices)
    plan = plan_grid(stack, force)
    shifts, shift_notes = inplane_shifts(stack)
    values, differing = _decode(stack, progress)
    if shifts.any():
        values = _moved(values, shifts)
    if not plan.is_identity:
        values = _on_grid(values, plan)
    notes = (*file_notes, *series_notes, *duplicate_note(stack, differing), *plan.notes, *shift_notes)
    return DicomStack(values, _geometry(stack, plan, shifts, values.shape), plan.acquired, notes, _kernel(stack))


def _kernel(stack: Stack) -> str:
    kernels = {header.kernel for header in stack.slices}
    return kernels.pop() if len(kernels) == 1 else ""


def _gather(path: Path, series_uid: str | None) -> tuple[list[SliceHeader], str | None, tuple[QualityNote, ...]]:
    """Return headers to choose from: those of a folder and below or, for a file, of the series it belongs to."""
    if path.is_dir():
        files = files_under(path)
        if not files:
            raise InputError(f"the folder {path.name} is empty; DICOM files of a chest CT are needed")
        headers = dicom_headers(files)
        if not headers:
            raise InputError(f"the folder {path.name} holds no DICOM images; those of a chest CT are needed")
        return headers, series_uid, ()
    own = dicom_headers([path])
    if not any(header.kind == CT for header in own) or len(own) > 1:
        return own, series_uid, ()
    beside = sorted(p for p in path.parent.iterdir() if p.is_file() and not p.name.startswith("."))
    headers = [header for header in dicom_headers(beside) if header.series_uid == own[0].series_uid]
    if len(headers) == 1:
        return headers, series_uid, ()
    message = f"the input is one file of a CT series; all {len(headers)} files of it in the same folder were read"
    return headers, series_uid or own[0].series_uid, (QualityNote("series_of_file", NoteSeverity.INFO, message),)


def _decode(stack: Stack, progress: Progress | None) -> tuple[NDArray[np.int16], int]:
    """Return (N, rows, columns) values of the slices, and how many duplicates hold another image than the kept one."""
    first = stack.slices[0]
    values = np.empty((len(stack.slices), first.rows, first.columns), dtype=np.int16)
    wanted: dict[Path, list[tuple[int, SliceHeader, bool]]] = defaultdict(list)
    for n, header in enumerate(stack.slices):
        wanted[header.path].append((n, header, True))
    for n, header in stack.duplicates:
        wanted[header.path].append((n, header, False))
    shared = {n for n, _ in stack.duplicates}
    digests: dict[int, list[bytes]] = {n: [] for n in shared}

    def work(path: Path) -> None:
        image = _read_file(path)
        frames = _frames_of(image, path.name, (first.rows, first.columns))
        for n, header, kept in wanted[path]:
            target = values[n] if kept else np.empty_like(values[n])
            _decode_frame(frames, header, target)
            if n in shared:
                digests[n].insert(0 if kept else len(digests[n]), hashlib.sha256(target).digest())

    with quiet_itk():
        _run(work, list(wanted), progress)
    return values, sum(digest != group[0] for group in digests.values() for digest in group[1:])


def _run(work: Callable[[Path], None], files: Sequence[Path], progress: Progress | None) -> None:
    """Call ``work`` for every file in a few threads; the first failure (or a cancel by ``progress``) ends it all."""

    def report(done: int) -> None:
        if progress is not None:
            progress(STAGE, done, len(files))

    with FIRST_DECODE:
        work(files[0])
    report(1)
    with ThreadPoolExecutor(max_workers=min(MAX_THREADS, os.cpu_count() or 1)) as pool:
        try:
            for done, _ in enumerate(pool.map(work, files[1:]), start=2):
                report(done)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _read_file(path: Path) -> sitk.Image:
    try:
        str(path).encode()
    except UnicodeEncodeError as error:  # SimpleITK ends the whole process on such a name
        name = path.name.encode(errors="replace").decode()
        raise InputError(f"the file name {name} is not UTF-8 (nor are all folders above it); rename it") from error
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("GDCMImageIO")
    try:
        return reader.Execute()
    except RuntimeError as error:
        raise InputError(
            f"{path.name} cannot be decoded: it is damaged or cut short, or compressed in a way that is not supported"
        ) from error


def _frames_of(image: sitk.Image, name: str, shape: tuple[int, int]) -> NDArray:
    """Return a (frames, rows, columns) view of the rescaled values, in the type that GDCM chose; ``image`` owns it."""
    values = sitk.GetArrayViewFromImage(image)
    if values.ndim not in (2, 3) or values.shape[-2:] != shape:
        raise InputError(f"{name} holds an image of shape {values.shape} where rows and columns of {shape} are needed")
    return values.reshape(-1, *shape)


def _decode_frame(frames: NDArray, header: SliceHeader, target: NDArray[np.int16]) -> None:
    if header.frame >= len(frames):
        raise InputError(f"{header.path.name} holds {len(frames)} frames; its header promises more")
    frame = frames[header.frame]
    if header.rescale != header.decoder_rescale:
        (slope, intercept), (decoder_slope, decoder_intercept) = header.rescale, header.decoder_rescale
        frame = (frame.astype(np.float64) - decoder_intercept) / decoder_slope * slope + intercept
    round_into(target, frame)
    if header.padding_hu is not None:
        _mark_padding(target, header.padding_hu, abs(header.rescale[0]) / 2)


def _mark_padding(values: NDArray[np.int16], padding_hu: tuple[float, float], margin: float) -> None:
    """Write :data:`PADDING` over the padding of one slice, in place.

    Some scanners and anonymisers name a padding value that tissue has too (0 with no intercept is water). Such a value
    is padding only where it is connected to the edge of the slice, outside the circle that was reconstructed.
    """
    padding = (values >= padding_hu[0] - margin) & (values <= padding_hu[1] + margin)
    if padding_hu[0] < TISSUE_HU[1] and padding_hu[1] > TISSUE_HU[0] and padding.any():
        labels, _ = ndimage.label(padding)
        edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
        padding = np.isin(labels, edge[edge > 0])
    values[padding] = PADDING


def _moved(values: NDArray[np.int16], shifts: NDArray[np.intp]) -> NDArray[np.int16]:
    """Return the slices on a matrix large enough for all, each moved by its shift in (rows, columns)."""
    rows, columns = values.shape[1:]
    corner = shifts - shifts.min(axis=0)
    result = np.full((len(values), *(np.array([rows, columns]) + corner.max(axis=0))), PADDING, dtype=np.int16)
    for n, (j, i) in enumerate(corner):
        result[n, j : j + rows, i : i + columns] = values[n]
    return result


def _on_grid(values: NDArray[np.int16], plan: GridPlan) -> NDArray[np.int16]:
    """Return the slices of the grid; padding does not take part in an interpolation."""
    result = np.empty((len(plan.acquired), *values.shape[1:]), dtype=np.int16)
    for n, (lower, upper, weight) in enumerate(zip(plan.lower, plan.upper, plan.weight, strict=True)):
        below, above = values[lower], values[upper]
        if weight == 0:
            result[n] = below
            continue
        mixed = np.rint(below + weight * (above.astype(np.float32) - below))
        result[n] = np.where(below == PADDING, above, np.where(above == PADDING, below, mixed))
    return result


def _geometry(stack: Stack, plan: GridPlan, shifts: NDArray[np.intp], shape: tuple[int, ...]) -> Geometry:
    first = stack.slices[0]
    between_rows, between_columns = first.pixel_spacing
    down, right = shifts.min(axis=0)
    origin = np.asarray(first.position) + stack.axes[:, :2] @ (right * between_columns, down * between_rows)
    return Geometry(
        size=(shape[2], shape[1], shape[0]),
        spacing_mm=(between_columns, between_rows, plan.spacing_mm),
        origin_mm=tuple(origin.tolist()),
        direction=tuple(stack.axes.ravel().tolist()),
    )
