"""Read a folder of DICOM files, or one of its files, into a stack of values.

pydicom reads the headers, :mod:`.volumes` decides which slices form a volume, and :mod:`.decoding` reads the pixels.
The stack is sorted by position, so neither the names of the files nor their instance numbers matter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.checked import known
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.cost import check_cost
from CovidSeverityLib.io.extent import check_voxel_edges
from CovidSeverityLib.io.stored_numbers import PADDING
from CovidSeverityLib.types import Geometry, NoteSeverity, Progress, QualityNote

from .choice import Choice
from .decoding import decode
from .grid import GridPlan, Stack, duplicate_note, inplane_shifts, plan_grid, stack_slices
from .headers import CT, SliceHeader, Unreadable, dicom_headers
from .series import choose_volume, left_out_text
from .source import NOT_KEPT, DicomSource, dicom_source

MAX_DIFFERING_SHARE = 0.1
"""If more positions have several different images, these are not duplicate slices but scans with equal headers."""


MAX_REPEATED_SHARE = 0.4
"""If more slices share their number with another one, there is a second scan: of two equal scans, half of them do."""


@dataclass(frozen=True, eq=False)
class DicomStack:
    """The values of a series, before the check of Hounsfield units.

    ``values`` : (K, J, I) int16, or int32 if int16 is too small, rescaled, with marked padding; K along the normal, J
    along a column, I along a row of the slices. ``acquired`` : (K,) False for interpolated slices. ``kernel`` : kernel
    of the slices, empty if they differ. ``source`` : the images, with their headers where they were asked for.
    """

    values: NDArray[np.integer]
    geometry: Geometry
    acquired: tuple[bool, ...]
    notes: tuple[QualityNote, ...]
    kernel: str
    source: DicomSource = NOT_KEPT


def read_dicom(
    files: Sequence[Path],
    name: str,
    choice: Choice,
    force: bool,
    progress: Progress | None,
    keep_headers: bool = False,
) -> DicomStack:
    """Read the chosen volume of ``files``.

    Parameters
    ----------
    files : sequence of Path
        Files of a folder and its subfolders, or one file, which then stands for its series.
    name : str
        Name of the input in messages.
    choice : Choice
        Which volume the caller wants.
    force : bool
        Interpolate missing slices.
    keep_headers : bool
        Keep the headers of the images.

    Raises
    ------
    InputError
        There is no usable CT volume, slices are missing and ``force`` is False, or a file is damaged.
    """
    headers, unreadable, choice = _gather(files, name, choice)
    chosen = choose_volume(headers, unreadable, choice)
    _refuse_repeated_numbers(chosen.slices)
    stack = stack_slices(chosen.slices)
    try:
        plan = plan_grid(stack, force)
    except InputError as error:
        raise InputError(f"{error}{left_out_text(chosen.left_out)}") from error
    shifts, shift_notes = inplane_shifts(stack)
    shape = _shape(stack, plan, shifts)
    geometry = _geometry(stack, plan, shifts, shape)
    check_voxel_edges(geometry.spacing_mm, name)
    check_cost(geometry.size, name)
    values, differing = decode(stack, progress)
    _refuse_mixture(stack, differing)
    if shifts.any():
        values = _moved(values, shifts)
    if not plan.is_identity:
        values = _on_grid(values, plan)
    file_notes = _one_file_note(files, chosen.slices)
    notes = (*file_notes, *chosen.notes, *duplicate_note(stack, differing), *plan.notes, *shift_notes)
    source = dicom_source(stack, plan, shifts) if keep_headers else NOT_KEPT
    return DicomStack(values, geometry, plan.acquired, notes, _kernel(stack), source)


def _kernel(stack: Stack) -> str:
    kernels = {header.kernel for header in stack.slices}
    return kernels.pop() if len(kernels) == 1 else ""


def _gather(files: Sequence[Path], name: str, choice: Choice) -> tuple[list[SliceHeader], list[Unreadable], Choice]:
    """Headers to choose from: those of all files; for a single file, those of all files in its folder."""
    headers, unreadable = dicom_headers(files)
    if not headers and not unreadable:
        raise InputError(f"{name} holds no DICOM images; those of a chest CT are needed")
    if len(files) > 1 or not any(header.kind == CT for header in headers) or len(headers) > 1:
        return headers, unreadable, choice
    beside = sorted(p for p in files[0].parent.iterdir() if p.is_file() and not p.name.startswith("."))
    headers, unreadable = dicom_headers(beside)
    return headers, unreadable, Choice(choice.series_uid, choice.number, files[0])


def _one_file_note(files: Sequence[Path], slices: Sequence[SliceHeader]) -> tuple[QualityNote, ...]:
    if len(files) > 1 or len({header.path for header in slices}) < 2:
        return ()
    message = f"the input is one file of a CT series; all {len(slices)} files of it in the same folder were read"
    return (QualityNote("series_of_file", NoteSeverity.INFO, message),)


def _refuse_repeated_numbers(slices: Sequence[SliceHeader]) -> None:
    """Refuse two scans at different places that use the same slice numbers."""
    placed = {(h.acquisition_text, h.instance, h.position) for h in slices if h.frame == 0}
    numbers = Counter((acquisition, instance) for acquisition, instance, _ in placed)
    repeated = sum(count - 1 for count in numbers.values())
    if len(numbers) > 1 and repeated > MAX_REPEATED_SHARE * len(placed):
        raise InputError(
            f"{repeated} of {len(placed)} slices have the InstanceNumber of another slice that lies elsewhere: two "
            "scans are mixed, and nothing in their headers tells which slices belong together; one scan is needed"
        )


def _refuse_mixture(stack: Stack, differing: int) -> None:
    if differing <= MAX_DIFFERING_SHARE * len(stack.slices):
        return
    places = sorted({n for n, _ in stack.duplicates})
    raise InputError(
        f"{differing} slices show something else than another slice at the same place "
        f"({stack.places(stack.distance_mm[places])}): two scans are mixed, and nothing in their headers tells which "
        "slices belong together; one scan is needed"
    )


def _shape(stack: Stack, plan: GridPlan, shifts: NDArray[np.intp]) -> tuple[int, int, int]:
    first = stack.slices[0]
    rows, columns = np.array([first.rows, first.columns]) + np.ptp(shifts, axis=0)
    return len(plan.acquired), int(rows), int(columns)


def _moved(values: NDArray[np.integer], shifts: NDArray[np.intp]) -> NDArray[np.integer]:
    """Return the slices in a matrix large enough for all of them, each shifted by its shift in (rows, columns)."""
    rows, columns = values.shape[1:]
    corner = shifts - shifts.min(axis=0)
    result = np.full((len(values), *(np.array([rows, columns]) + corner.max(axis=0))), PADDING, dtype=values.dtype)
    for n, (j, i) in enumerate(corner):
        result[n, j : j + rows, i : i + columns] = values[n]
    return result


def _on_grid(values: NDArray[np.integer], plan: GridPlan) -> NDArray[np.integer]:
    """Return the slices of the grid; padding is not interpolated."""
    result = np.empty((len(plan.acquired), *values.shape[1:]), dtype=values.dtype)
    for n, (lower, upper, weight) in enumerate(zip(plan.lower, plan.upper, plan.weight, strict=True)):
        below, above = values[lower], values[upper]
        if weight == 0:
            result[n] = below
            continue
        mixed = np.rint(below + weight * (above.astype(np.float32) - below))
        result[n] = np.where(below == PADDING, above, np.where(above == PADDING, below, mixed))
    return result


def _geometry(stack: Stack, plan: GridPlan, shifts: NDArray[np.intp], shape: tuple[int, int, int]) -> Geometry:
    first = stack.slices[0]
    between_rows, between_columns = known(first.pixel_spacing)
    down, right = shifts.min(axis=0)
    origin = np.asarray(first.position) + stack.axes[:, :2] @ (right * between_columns, down * between_rows)
    return Geometry(
        size=(shape[2], shape[1], shape[0]),
        spacing_mm=(between_columns, between_rows, plan.spacing_mm),
        origin_mm=tuple(origin.tolist()),
        direction=tuple(stack.axes.ravel().tolist()),
    )
