"""The slices of ``comparison.png``: the later examination, and the earlier one registered to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.grid import bounding_box
from CovidSeverityLib.reporting.overview_views import EDGE_FRACTION, MARGIN_MM, MAX_PIXELS, View
from CovidSeverityLib.types import AIR_HU, Box, Geometry, triple

from .change import OpacityChange
from .compared import Compared
from .examination import Examination

PAIRS = 5
"""Axial slices."""

LUNG_HU, BODY_HU = -850, 40
"""What is drawn for a lung and its surroundings where no CT is at hand."""


@dataclass(frozen=True)
class ComparedView:
    """One slice with the changes to be drawn on it.

    ``labels`` are those of :class:`OpacityChange` (rows, columns); the earlier slice has what became of its opacity.
    """

    view: View
    labels: NDArray[np.uint8]
    z_mm: float = 0.0


def axial_pairs(comparison: Compared) -> list[tuple[ComparedView, ComparedView]]:
    """The earlier and the later view of each slice that is shown, superior first."""
    box = _box(comparison.after)
    z_mm = comparison.after.geometry.slice_z_mm()
    return [_pair(comparison, (slice(k, k + 1), box[1], box[2]), 0, float(z_mm[k])) for k in _slices(comparison)]


def coronal_pair(comparison: Compared) -> tuple[ComparedView, ComparedView]:
    """The same of the coronal plane with the largest change, or else with the most opacity or lung."""
    box = _box(comparison.after)
    j = (box[1].start or 0) + _largest(comparison, box, (0, 2))
    return _pair(comparison, (box[0], slice(j, j + 1), box[2]), 1, 0.0)


def _slices(comparison: Compared) -> tuple[int, ...]:
    """K of the slices: the largest change, and others spread over the lungs; superior first."""
    box = _box(comparison.after)
    hits = np.flatnonzero(comparison.after.lungs.any(axis=(1, 2)))
    edge = int(EDGE_FRACTION * hits.size)
    inner = hits[edge : hits.size - edge]
    chosen = inner[np.linspace(0, inner.size - 1, min(PAIRS, inner.size)).round().astype(int)].tolist()
    worst = (box[0].start or 0) + _largest(comparison, box, (1, 2))
    if worst not in chosen:
        nearest = min(range(len(chosen)), key=lambda n: abs(chosen[n] - worst))
        chosen[nearest] = worst
    return tuple(sorted(set(chosen), reverse=True))


def _largest(comparison: Compared, box: Box, axes: tuple[int, int]) -> int:
    """Index in ``box`` of the slice with the most change, or opacity, or lung."""
    labels = comparison.labels[box]
    changed = (labels == OpacityChange.NEW) | (labels == OpacityChange.RESOLVED)
    for mask in (changed, labels > 0, comparison.after.lungs[box] > 0):
        counts = np.count_nonzero(mask, axis=axes)
        if counts.any():
            return int(np.argmax(counts))
    return 0


def _box(examination: Examination) -> Box:
    margin = triple(int(np.ceil(MARGIN_MM / mm)) for mm in examination.geometry.spacing_kji)
    return bounding_box(examination.lungs > 0, margin)


def _pair(comparison: Compared, cut: Box, axis: int, z_mm: float) -> tuple[ComparedView, ComparedView]:
    after, before, geometry = comparison.after, comparison.before, comparison.after.geometry
    grid = _part(geometry, cut)
    labels = comparison.labels[cut]
    hu = _drawn(after)[cut] if after.hu is None else after.hu[cut]
    earlier = _carried(comparison, _drawn(before), grid, sitk.sitkLinear, AIR_HU)
    lungs = _carried(comparison, before.lungs, grid, sitk.sitkNearestNeighbor, 0)
    opacity = _carried(comparison, (before.opacity).view(np.uint8), grid, sitk.sitkNearestNeighbor, 0)
    return (
        _view(earlier, lungs, _earlier_labels(opacity > 0, labels), grid, axis, z_mm),
        _view(hu, after.lungs[cut], labels, grid, axis, z_mm),
    )


def _earlier_labels(opacity: NDArray[np.bool_], labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The earlier opacity where it was, each pixel with the nearest label of what became of it."""
    known = np.isin(labels, (OpacityChange.RESOLVED, OpacityChange.PERSISTENT))
    if not known.any():
        return np.where(opacity, np.uint8(OpacityChange.PERSISTENT), np.uint8(0))
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return np.where(opacity, labels[tuple(nearest)], np.uint8(0))


def _view(
    hu: NDArray, lungs: NDArray[np.uint8], labels: NDArray[np.uint8], grid: Geometry, axis: int, z_mm: float
) -> ComparedView:
    rows_mm, columns_mm = (mm for n, mm in enumerate(grid.spacing_kji) if n != axis)
    hu, lungs, labels = (np.take(array, 0, axis=axis) for array in (hu, lungs, labels))
    height, width = hu.shape[0] * rows_mm, hu.shape[1] * columns_mm
    steps = tuple(slice(None, None, max(1, -(-n // MAX_PIXELS))) for n in hu.shape)
    extent = (0.0, width, height, 0.0)
    if axis == 1:  # slices run upwards
        hu, lungs, labels = hu[::-1], lungs[::-1], labels[::-1]
    nothing = np.zeros_like(lungs[steps])
    return ComparedView(View(hu[steps], lungs[steps], nothing, nothing, extent), labels[steps], z_mm)


def _part(geometry: Geometry, cut: Box) -> Geometry:
    corner = np.array([*(part.start or 0 for part in cut[::-1]), 1.0])
    return Geometry(
        size=triple(part.stop - (part.start or 0) for part in cut[::-1]),
        spacing_mm=geometry.spacing_mm,
        origin_mm=triple((geometry.ijk_to_lps * corner).sum(axis=1)[:3].tolist()),
        direction=geometry.direction,
    )


def _carried(comparison: Compared, array: NDArray, grid: Geometry, interpolator: int, outside: float) -> NDArray:
    """An array of the earlier examination on a part of the later grid."""
    earlier = comparison.before.geometry
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(earlier.spacing_mm)
    image.SetOrigin(earlier.origin_mm)
    image.SetDirection(earlier.direction)
    placed = (grid.size, comparison.registration.transform(), interpolator)
    where: Iterable = (grid.origin_mm, grid.spacing_mm, grid.direction, float(outside))
    return sitk.GetArrayFromImage(sitk.Resample(image, *placed, *where))


def _drawn(examination: Examination) -> NDArray[np.int16]:
    """The CT, or a drawing of the lungs where it is not at hand."""
    if examination.hu is not None:
        return examination.hu
    return np.where(examination.lungs > 0, np.int16(LUNG_HU), np.int16(BODY_HU))
