"""From the pixels of DICOM files to rescaled values.

Uncompressed pixels are read directly. Other pixels are decoded by SimpleITK (GDCM), which applies the rescale of the
file. If GDCM would interpret a header differently from this reader, it gets the pixels with a clean header.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, CTImageStorage
from scipy import ndimage

from CovidSeverityLib.checked import known
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.quiet import quiet_itk
from CovidSeverityLib.io.stored_numbers import PADDING
from CovidSeverityLib.types import READ_STAGE, Progress

from .stored_pixels import StoredPixels

if TYPE_CHECKING:
    from .grid import Stack
    from .headers import SliceHeader

MAX_THREADS = 4
"""Number of threads; with more, decoding is limited by memory."""

KEPT_BYTES = 31 << 20
"""After a block of this size glibc keeps freed memory of twice the size for later; before, it gives the buffers of
every file back to the system, and fresh pages take a third of the time of decoding."""

FIRST_DECODE = threading.Lock()
"""Lock for decoding the first file of a series. GDCM sets up its tables on first use. Two threads that do this at the
same time crash the process (2 in 1000 starts with SimpleITK 2.5.7; none in 6000 if one file is decoded first)."""

TISSUE_HU = (-900.0, 3000.0)
"""A padding value in this range is also an ordinary value. Only voxels connected to the edge of the slice are then
padding."""

SATURATED_SHARE = 1e-3
"""If a larger share of a slice is beyond int16, it is not metal: the values have an offset and are kept in 32 bits."""


class _SaturatedError(Exception):
    """Range of int16."""


def decode(stack: Stack, progress: Progress | None) -> tuple[NDArray[np.integer], int]:
    """Return (N, rows, columns) values of the slices, and the number of duplicates with an image unlike the kept one.

    The type is int16, or int32 if int16 is too small. Padding is :data:`PADDING`.

    Raises
    ------
    InputError
        A file is damaged, or its compression is unknown.
    """
    try:
        return _decode_as(np.int16, stack, progress)
    except _SaturatedError:
        return _decode_as(np.int32, stack, progress)


def _decode_as(dtype: type, stack: Stack, progress: Progress | None) -> tuple[NDArray[np.integer], int]:
    first = stack.slices[0]
    values = np.empty((len(stack.slices), first.rows, first.columns), dtype=dtype)
    wanted: dict[Path, list[tuple[int, SliceHeader, bool]]] = defaultdict(list)
    for n, header in enumerate(stack.slices):
        wanted[header.path].append((n, header, True))
    for n, header in stack.duplicates:
        wanted[header.path].append((n, header, False))
    shared = {n for n, _ in stack.duplicates}
    digests: dict[int, list[bytes]] = {n: [] for n in shared}

    def work(path: Path) -> None:
        frames, rescale = _frames_of(wanted[path][0][1])
        for n, header, kept in wanted[path]:
            target = values[n] if kept else np.empty_like(values[n])
            _decode_frame(frames, rescale, header, target)
            if n in shared:
                digests[n].insert(0 if kept else len(digests[n]), hashlib.sha256(target).digest())

    with quiet_itk():
        _run(work, list(wanted), progress)
    return values, sum(digest != group[0] for group in digests.values() for digest in group[1:])


def _run(work: Callable[[Path], None], files: Sequence[Path], progress: Progress | None) -> None:
    """Call ``work`` for every file in a few threads; the first error (or a cancel by ``progress``) ends all of them."""

    def report(done: int) -> None:
        if progress is not None:
            progress(READ_STAGE, done, len(files))

    np.empty(KEPT_BYTES, np.uint8)  # given back at once, see there
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


def _frames_of(header: SliceHeader) -> tuple[NDArray, tuple[float, float]]:
    """Return (frames, rows, columns) values of the file of ``header``, and the rescale that was applied to them."""
    shape = (header.rows, header.columns)
    if header.stored.offset is not None and header.stored.dtype is not None:
        return _native(header.path, header.stored, shape), (1.0, 0.0)
    if header.stored.needs_clean_header:
        with tempfile.TemporaryDirectory() as folder:
            clean = Path(folder, "clean.dcm")
            _write_clean(header, clean)
            return _decoded(clean, header.path.name, shape), (1.0, 0.0)
    if not _is_utf8(header.path):  # SimpleITK ends the whole process for such a name
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(shutil.copy(header.path, Path(folder, "copy.dcm")))
            return _decoded(copy, header.path.name, shape), header.decoder_rescale
    return _decoded(header.path, header.path.name, shape), header.decoder_rescale


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _native(path: Path, stored: StoredPixels, shape: tuple[int, int]) -> NDArray:
    pixels = np.fromfile(path, dtype=known(stored.dtype), offset=known(stored.offset))
    size = shape[0] * shape[1]
    values = pixels[: len(pixels) // size * size].reshape(-1, *shape)
    unused = stored.bits_allocated - stored.bits_stored
    if not 0 < unused < stored.bits_allocated:
        return values
    left = stored.bits_allocated - 1 - stored.high_bit  # bits above the image belong to overlays, or have no meaning
    return np.right_shift(np.left_shift(values, max(left, 0)), unused)


def _write_clean(header: SliceHeader, path: Path) -> None:
    """Write the image of ``header`` with an unambiguous header."""
    source = dcmread(header.path, force=True)
    clean = Dataset()
    clean.file_meta = FileMetaDataset()
    clean.file_meta.TransferSyntaxUID = source.file_meta.TransferSyntaxUID
    clean.file_meta.MediaStorageSOPClassUID = clean.SOPClassUID = CTImageStorage
    clean.file_meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID = UID("2.25.1")
    clean.Rows, clean.Columns, clean.SamplesPerPixel = header.rows, header.columns, 1
    clean.PhotometricInterpretation = "MONOCHROME2"
    stored = header.stored
    clean.BitsAllocated, clean.BitsStored, clean.HighBit = stored.bits_allocated, stored.bits_stored, stored.high_bit
    clean.PixelRepresentation = int(stored.signed)
    if "NumberOfFrames" in source:
        clean.NumberOfFrames = source.NumberOfFrames
    clean.PixelData = source.PixelData
    clean["PixelData"].is_undefined_length = True
    clean.save_as(path, enforce_file_format=True)


def _decoded(path: Path, name: str, shape: tuple[int, int]) -> NDArray:
    """Return (frames, rows, columns) rescaled values, in the type that GDCM chooses."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("GDCMImageIO")
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise InputError(
            f"{name} cannot be decoded: it is damaged or cut short, or compressed in a way that is not supported"
        ) from error
    values = sitk.GetArrayFromImage(image)
    if values.ndim not in (2, 3) or values.shape[-2:] != shape:
        raise InputError(f"{name} holds an image of shape {values.shape} where rows and columns of {shape} are needed")
    return values.reshape(-1, *shape)


def _decode_frame(
    frames: NDArray, rescale: tuple[float, float], header: SliceHeader, target: NDArray[np.integer]
) -> None:
    if header.frame >= len(frames):
        raise InputError(f"{header.path.name} holds {len(frames)} frames; its header promises more")
    frame = frames[header.frame]
    if header.rescale != rescale:
        frame = _rescaled(frame, rescale, header.rescale)
    if not np.can_cast(frame.dtype, target.dtype) and target.dtype == np.int16:
        beyond = np.count_nonzero(frame > np.iinfo(np.int16).max)
        if beyond > SATURATED_SHARE * frame.size:
            raise _SaturatedError
    _store(target, frame)
    if header.padding_hu is not None:
        _mark_padding(target, header.padding_hu, abs(header.rescale[0]) / 2)


def _rescaled(frame: NDArray, had: tuple[float, float], wanted: tuple[float, float]) -> NDArray:
    """``frame`` with another rescale than the applied one; integers remain integers."""
    if had == (1.0, 0.0) and wanted[0] == 1.0 and float(wanted[1]).is_integer():
        return frame.astype(np.int32) + np.int32(wanted[1])
    return (frame.astype(np.float64) - had[1]) / had[0] * wanted[0] + wanted[1]


def _store(target: NDArray[np.integer], frame: NDArray) -> None:
    """Write ``frame``, rounded and clipped, into ``target``."""
    info = np.iinfo(target.dtype)
    whole = np.rint(frame) if frame.dtype.kind == "f" else frame
    target[...] = whole if np.can_cast(whole.dtype, target.dtype) else np.clip(whole, info.min, info.max)


def _mark_padding(values: NDArray[np.integer], padding_hu: tuple[float, float], margin: float) -> None:
    """Write :data:`PADDING` over the padding of one slice, in place.

    Some scanners and anonymisers use a padding value that tissue has too (0 without intercept is water). Such a value
    is padding only if it is connected to the edge of the slice, like the area outside a round field of view.
    """
    padding = (values >= padding_hu[0] - margin) & (values <= padding_hu[1] + margin)
    if padding_hu[0] < TISSUE_HU[1] and padding_hu[1] > TISSUE_HU[0] and padding.any():
        labels, _ = ndimage.label(padding)
        edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
        padding = np.isin(labels, edge[edge > 0])
    values[padding] = PADDING
