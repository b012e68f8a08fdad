"""The positions of the slices of a stack, and their regular grid.

Slices are ordered along their common normal (row x column direction), by position only.

* Two slices closer than ``SAME_PLACE_MM`` are duplicates. The first by acquisition, instance number and UID is kept.
* A single slice has the thickness in its header.
* A step longer than 1.5 times the median is a gap. This is an error unless the caller requests interpolation.
* The spacing of the grid is the mean step. Slices keep their values if all are within half a step of their place in the
  grid; otherwise the stack is resampled linearly along the normal. Both are noted from ``EXACT_MM`` on.
* A stack whose positions shift sideways is sheared, because a tilted gantry moves along the table and not along the
  normal. Its slices are shifted within their planes by whole pixels in a larger matrix, which is filled with air. The
  grid becomes rectangular, no value changes, and each voxel is within half a pixel of its measured position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.checked import known
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import NoteSeverity, QualityNote

from .headers import SliceHeader

SAME_PLACE_MM = 0.01
"""Slices closer than this have the same position (the thinnest CT slices are 0.3 mm apart)."""

GAP_STEPS = 1.5
"""A step this many times the median contains a missing slice."""

CLOSE_STEPS = 0.5
"""A stack with a step this many times the median is not regular."""

EXACT_MM = 0.05
"""Slices this close to their place in the grid are regular: positions have at least one decimal."""

MAX_OFF_GRID_STEPS = 0.5
"""Slices further than this from their place in the grid are resampled."""

MAX_MISSING_SHARE = 0.5
"""Largest share of the grid that is interpolated, even with ``force``."""

MAX_SHIFT_SHARE = 0.5
"""Largest shift of a slice, as a share of its width or height."""

TILT_DEGREES = 0.1
"""The gantry counts as tilted from this angle between the normal and the line from slice to slice on."""

UNKNOWN_THICKNESS_MM = 1.0
"""Thickness of a single slice without thickness in its header: volumes in ml are then areas in cm2 / 10."""

MAX_LISTED = 6
"""Number of positions that a message lists."""


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices in the order of their position along the normal.

    ``axes`` : (3, 3), the LPS unit vectors of row, column and normal as columns. ``distance_mm`` : (N,) along the
    normal. ``duplicates`` : slices at the position of one of ``slices``, with the index of that slice.
    """

    slices: tuple[SliceHeader, ...]
    axes: NDArray[np.float64]
    distance_mm: NDArray[np.float64]
    duplicates: tuple[tuple[int, SliceHeader], ...]

    def places(self, distances_mm: Sequence[float] | NDArray) -> str:
        """Distances along the normal as text: ``z = -52.1, -50.1 mm`` (x or y for an upright stack)."""
        world = int(np.abs(self.axes[:, 2]).argmax())
        first = known(self.slices[0].position)[world]
        shown = [f"{first + (d - self.distance_mm[0]) * self.axes[world, 2]:.1f}" for d in distances_mm[:MAX_LISTED]]
        more = ", ..." if len(distances_mm) > MAX_LISTED else ""
        return f"{'xyz'[world]} = {', '.join(shown)}{more} mm"


@dataclass(frozen=True, eq=False)
class GridPlan:
    """A regular grid along the normal.

    Grid slice n is ``(1 - weight[n]) * slice[lower[n]] + weight[n] * slice[upper[n]]``; ``acquired[n]`` says whether
    a slice was measured there.
    """

    spacing_mm: float
    lower: NDArray[np.intp]
    upper: NDArray[np.intp]
    weight: NDArray[np.float64]
    acquired: tuple[bool, ...]
    notes: tuple[QualityNote, ...] = ()

    @property
    def is_identity(self) -> bool:
        """Whether the grid consists of the unchanged slices."""
        return len(self.acquired) == self.lower[-1] + 1 and not self.weight.any()


def stack_slices(headers: Sequence[SliceHeader]) -> Stack:
    """Return ``headers`` in the order of their position, one for every position.

    Raises
    ------
    InputError
        All slices have the same position.
    """
    axes = _common_axes(headers)
    placed = ((float(np.dot(known(h.position), axes[:, 2])), h) for h in headers)
    groups: list[list[tuple[float, SliceHeader]]] = []
    for entry in sorted(placed, key=lambda entry: (entry[0], entry[1].tie_key)):
        if groups and entry[0] - groups[-1][0][0] <= SAME_PLACE_MM:
            groups[-1].append(entry)
        else:
            groups.append([entry])
    groups = [sorted(group, key=lambda entry: entry[1].tie_key) for group in groups]
    if len(groups) == 1 and len(headers) > 1:
        raise InputError(f"all {len(headers)} slices of the CT series lie at one position; a 3-D volume is needed")
    return Stack(
        slices=tuple(group[0][1] for group in groups),
        axes=axes,
        distance_mm=np.array([group[0][0] for group in groups]),
        duplicates=tuple((n, entry[1]) for n, group in enumerate(groups) for entry in group[1:]),
    )


def plan_grid(stack: Stack, force: bool) -> GridPlan:
    """Return the regular grid of ``stack``.

    Parameters
    ----------
    force : interpolate missing slices.

    Raises
    ------
    InputError
        Slices are missing and ``force`` is False, too many slices are missing, or the steps are not regular.
    """
    distance = stack.distance_mm
    if len(distance) == 1:
        return _single_slice(stack.slices[0])
    steps = np.diff(distance)
    median = float(np.median(steps))
    if steps.min() < CLOSE_STEPS * median:
        raise InputError(
            f"the distance between slices varies from {steps.min():.2f} to {steps.max():.2f} mm; "
            "a series of evenly spaced slices is needed"
        )
    per_step = np.where(steps > GAP_STEPS * median, np.rint(steps / median), 1).astype(np.intp)
    index = np.concatenate([[0], np.cumsum(per_step)])
    spacing = float((distance[-1] - distance[0]) / index[-1])
    notes = _missing_notes(stack, per_step, spacing, force)
    off_grid = float(np.abs(distance - distance[0] - spacing * index).max())
    resampled = off_grid > MAX_OFF_GRID_STEPS * spacing
    if off_grid > EXACT_MM:
        notes = (*notes, _irregular_note(steps[per_step == 1], off_grid, spacing, resampled))
    acquired = np.zeros(index[-1] + 1, dtype=bool)
    acquired[index] = True
    places = (distance - distance[0]) / spacing if resampled else index.astype(float)
    lower, upper, weight = _neighbours(places, len(acquired))
    return GridPlan(spacing, lower, upper, weight, tuple(acquired.tolist()), notes)


def _single_slice(header: SliceHeader) -> GridPlan:
    """A grid of one slice, with the thickness in its header."""
    told = header.thickness_mm is not None and header.thickness_mm > 0
    thickness_mm = known(header.thickness_mm) if told else UNKNOWN_THICKNESS_MM
    message = f"the header does not tell how thick the slice is; volumes are those of {UNKNOWN_THICKNESS_MM:g} mm"
    notes = () if told else (QualityNote("slice_thickness_unknown", NoteSeverity.WARNING, message),)
    first = np.zeros(1, dtype=np.intp)
    return GridPlan(thickness_mm, first, first, np.zeros(1), (True,), notes)


def inplane_shifts(stack: Stack) -> tuple[NDArray[np.intp], tuple[QualityNote, ...]]:
    """Return the (N, 2) shift of each slice relative to the first one along (rows, columns), in whole pixels.

    Raises
    ------
    InputError
        A slice is shifted so far that the stack is not a volume.
    """
    first = stack.slices[0]
    sideways = (np.array([h.position for h in stack.slices]) - first.position) @ stack.axes[:, :2]
    # A header's spacing is (between rows, between columns): the axes of an array, the reverse of (row, column) vectors.
    pixels = np.rint(sideways[:, ::-1] / known(first.pixel_spacing)).astype(np.intp)
    if not pixels.any():
        return pixels, ()
    if (np.abs(pixels).max(axis=0) > MAX_SHIFT_SHARE * np.array([first.rows, first.columns])).any():
        raise InputError("the slices of the CT series do not lie above one another; one continuous volume is needed")
    along = stack.distance_mm - stack.distance_mm[0]
    degrees = float(np.degrees(np.arctan(np.linalg.norm(sideways.T @ along / (along @ along)))))
    largest = float(np.linalg.norm(sideways, axis=1).max())
    cause = f"the gantry was tilted by {degrees:.1f} degrees" if degrees >= TILT_DEGREES else "slices lie askew"
    message = f"{cause}: slices were moved within their planes by up to {largest:.1f} mm to stand above one another"
    return pixels, (QualityNote("gantry_tilt", NoteSeverity.WARNING, message),)


def duplicate_note(stack: Stack, differing: int) -> tuple[QualityNote, ...]:
    """Say which positions occur more than once; ``differing`` is the number of duplicates with a different image."""
    if not stack.duplicates:
        return ()
    places = sorted({n for n, _ in stack.duplicates})
    contents = "with the same content" if not differing else f"{differing} of them with another content"
    message = (
        f"Left out for lying where another slice does: {len(stack.duplicates)} ({contents}), at "
        f"{stack.places(stack.distance_mm[places])}"
    )
    return (QualityNote("duplicate_slices", NoteSeverity.WARNING, message),)


def _common_axes(headers: Sequence[SliceHeader]) -> NDArray[np.float64]:
    """(3, 3) orthonormal row, column and normal directions, as columns; the median over the slices."""
    row, column = np.median([known(h.orientation) for h in headers], axis=0).reshape(2, 3)
    row = row / np.linalg.norm(row)
    column = column - row * (row @ column)
    column = column / np.linalg.norm(column)
    return np.stack([row, column, np.cross(row, column)], axis=1)


def _neighbours(known: NDArray[np.float64], count: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray]:
    """Return lower slice, upper slice and weight of the upper one for grid places 0 .. ``count - 1``.

    ``known`` : (N,) ascending places of the slices on the grid, in steps. A slice exactly at a grid place is the lower
    one.
    """
    places = np.arange(float(count))
    upper = np.clip(np.searchsorted(known, places - 1e-9), 0, len(known) - 1)
    lower = np.maximum(upper - 1, 0)
    reach = known[upper] - known[lower]
    weight = np.clip(np.divide(places - known[lower], reach, out=np.ones(count), where=reach > 0), 0, 1)
    exact = weight == 1
    return np.where(exact, upper, lower), upper, np.where(exact, 0.0, weight)


def _missing_notes(stack: Stack, per_step: NDArray, spacing: float, force: bool) -> tuple[QualityNote, ...]:
    gaps = np.flatnonzero(per_step > 1)
    if not gaps.size:
        return ()
    count, total = int((per_step - 1).sum()), int(per_step.sum()) + 1
    if count > MAX_MISSING_SHARE * total:
        raise InputError(f"{count} of {total} slices are missing; at most half of them can be interpolated")
    if force:
        missing = [stack.distance_mm[g] + n * spacing for g in gaps for n in range(1, per_step[g])]
        message = f"{count} missing slices were interpolated at {stack.places(missing)}"
        return (QualityNote("missing_slices", NoteSeverity.WARNING, message),)
    listed = "; ".join(
        f"{per_step[g] - 1} between {stack.places(stack.distance_mm[g : g + 1])[:-3]} and "
        f"{stack.places(stack.distance_mm[g + 1 : g + 2])}"
        for g in gaps[:MAX_LISTED]
    )
    more = "; ..." if gaps.size > MAX_LISTED else ""
    noun = "slice is" if count == 1 else "slices are"
    raise InputError(f"{count} {noun} missing: {listed}{more}; --force interpolates what is missing")


def _irregular_note(steps: NDArray, off_grid: float, spacing: float, resampled: bool) -> QualityNote:
    done = "were resampled to" if resampled else "were taken as a grid of"
    message = (
        f"the distance between slices varies from {steps.min():.2f} to {steps.max():.2f} mm; they {done} "
        f"{spacing:.3f} mm, from which a slice lies up to {off_grid:.2f} mm off"
    )
    return QualityNote("irregular_spacing", NoteSeverity.WARNING, message)
