"""The slices on the overview page, cropped to the lungs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.findings import ClassifiedFindings, Findings
from CovidSeverityLib.types import Box, triple

LUNG_WINDOW_HU = (-1350.0, 150.0)
"""The usual lung window: level -600, width 1500."""

AXIAL_COUNT = 8
MARGIN_MM = 12.0
EDGE_FRACTION = 0.06
"""Share of the lungs' height at each end in which no slices are shown, because almost nothing is visible there."""
MAX_PIXELS = 640
"""Largest number of pixels along a side of a view; finer images are thinned, because the page cannot show more."""


@dataclass(frozen=True)
class View:
    """One image of the page, in mm within its own plane.

    Parameters
    ----------
    hu, lungs, lobes, infection
        (rows, columns) arrays; columns run from the patient's right to left. Opacities outside the lungs, which the
        published mask has, are not shown, because no number includes them.
    extent_mm : (float, float, float, float)
        Outer edges of the first column, the last column, the last row and the first row (which is at the top).
    """

    hu: NDArray[np.int16]
    lungs: NDArray[np.uint8]
    lobes: NDArray[np.uint8]
    infection: NDArray[np.uint8]
    extent_mm: tuple[float, float, float, float]

    def columns_mm(self) -> NDArray[np.float64]:
        """Centres of the columns."""
        return _centres(self.extent_mm[0], self.extent_mm[1], self.hu.shape[1])

    def rows_mm(self) -> NDArray[np.float64]:
        """Centres of the rows."""
        return _centres(self.extent_mm[3], self.extent_mm[2], self.hu.shape[0])


def grey(hu: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Hounsfield units in the lung window, black to white."""
    low, high = LUNG_WINDOW_HU
    return ((np.clip(hu, low, high).astype(np.float32) - low) * (255.0 / (high - low))).astype(np.uint8)


def axial_indices(analysis: Findings, count: int = AXIAL_COUNT) -> tuple[int, ...]:
    """K of acquired slices, spread evenly over the lungs, superior first, including the slice with the most opacity."""
    lung = np.array([row.index for row in analysis.slices if row.lung_voxels], dtype=np.intp)
    if not lung.size:
        return ()
    edge = int(EDGE_FRACTION * lung.size)
    inner = lung[edge : lung.size - edge]
    chosen = set(inner[np.linspace(0, inner.size - 1, min(count, inner.size)).round().astype(int)].tolist())
    worst = most_infected_index(analysis)
    if worst is not None and worst not in chosen:
        nearest = min(chosen, key=lambda index: abs(index - worst))
        chosen = chosen - {nearest} | {worst}
    return tuple(sorted(chosen, reverse=True))


def most_infected_index(analysis: Findings) -> int | None:
    """K of the acquired slice with the largest area of opacity; None without opacities."""
    worst = max(analysis.slices, key=lambda row: row.infected_voxels, default=None)
    return worst.index if worst is not None and worst.infected_voxels else None


def coronal_index(analysis: Findings, box: Box) -> int:
    """The coronal plane with the largest area of opacity, or with the largest lung area if there is no opacity.

    ``box`` is that of :func:`lung_box`.
    """
    infected = any(row.infected_voxels for row in analysis.slices)
    lungs, infection = analysis.lungs[box], analysis.infection[box]
    depth = np.zeros(lungs.shape[1:], dtype=np.int32)
    for lung, opacity in zip(lungs, infection, strict=True):
        depth += (lung > 0) & (opacity > 0) if infected else lung > 0
    return (box[1].start or 0) + int(np.argmax(depth.sum(axis=1)))


def lung_box(analysis: Findings | ClassifiedFindings) -> Box:
    """(K, J, I) slices of the box around the lungs, with a margin; the whole volume without lungs."""
    lung = analysis.lungs > 0
    in_plane = np.any(lung, axis=0)
    hits = (lung.any(axis=(1, 2)), in_plane.any(axis=1), in_plane.any(axis=0))
    if not in_plane.any():
        return triple(slice(0, size) for size in lung.shape)
    box = []
    for hit, spacing in zip(hits, analysis.volume.geometry.spacing_kji, strict=True):
        inside = np.flatnonzero(hit)
        margin = int(np.ceil(MARGIN_MM / spacing))
        box.append(slice(max(0, int(inside[0]) - margin), min(hit.size, int(inside[-1]) + margin + 1)))
    return tuple(box)


def axial_view(analysis: Findings, index: int, box: Box) -> View:
    """One axial slice: anterior at the top, the patient's right on the left."""
    _, dj, di = analysis.volume.geometry.spacing_kji
    return _view(_arrays(analysis), (index, box[1], box[2]), dj, di)


def classified_view(found: ClassifiedFindings, index: int, box: Box) -> View:
    """One axial slice as :func:`axial_view`, without lobes, and without opacities if none were marked."""
    nothing = np.broadcast_to(np.uint8(0), found.lungs.shape)
    infection = nothing if found.infection is None else found.infection
    _, dj, di = found.volume.geometry.spacing_kji
    return _view((found.volume.hu, found.lungs, nothing, infection), (index, box[1], box[2]), dj, di)


def attention_on(view: View, attention: NDArray[np.float32], found: ClassifiedFindings) -> NDArray[np.float64]:
    """A network's map of the whole slice on the (rows, columns) of ``view``, interpolated linearly between its cells.

    Parameters
    ----------
    view : View
        Part of an axial slice.
    attention : (rows, columns) ndarray of float32
        Map of the whole slice, coarser.
    found : ClassifiedFindings
        The CT of both.
    """
    _, dj, di = found.volume.geometry.spacing_kji
    _, rows, columns = found.volume.hu.shape
    cell_of_row = (view.rows_mm() / dj + 0.5) / rows * attention.shape[0] - 0.5
    cell_of_column = (view.columns_mm() / di + 0.5) / columns * attention.shape[1] - 0.5
    cells = np.meshgrid(cell_of_row, cell_of_column, indexing="ij")
    return ndimage.map_coordinates(attention.astype(np.float64), cells, order=1, mode="nearest")


def coronal_view(analysis: Findings, index: int, box: Box) -> View:
    """One coronal slice: superior at the top, the patient's right on the left. Rows are in mm from slice 0 upwards."""
    dk, _, di = analysis.volume.geometry.spacing_kji
    view = _view(_arrays(analysis), (box[0], index, box[2]), dk, di)
    left, right, bottom, top = view.extent_mm
    extent = (left, right, top, bottom)
    return View(view.hu[::-1], view.lungs[::-1], view.lobes[::-1], view.infection[::-1], extent)


def _arrays(analysis: Findings) -> tuple[NDArray, ...]:
    return analysis.volume.hu, analysis.lungs, analysis.lobes, analysis.infection


def _view(arrays: tuple[NDArray, ...], cut: tuple, row_mm: float, column_mm: float) -> View:
    rows, columns = (part for part in cut if isinstance(part, slice))
    extent = (
        (columns.start - 0.5) * column_mm,
        (columns.stop - 0.5) * column_mm,
        (rows.stop - 0.5) * row_mm,
        (rows.start - 0.5) * row_mm,
    )
    steps = [max(1, -(-(part.stop - part.start) // MAX_PIXELS)) for part in (rows, columns)]
    hu, lungs, lobes, infection = (array[cut][:: steps[0], :: steps[1]] for array in arrays)
    return View(hu, lungs, lobes, np.where(lungs > 0, infection, np.uint8(0)), extent)


def _centres(first_edge: float, last_edge: float, count: int) -> NDArray[np.float64]:
    step = (last_edge - first_edge) / count
    return first_edge + step * (np.arange(count, dtype=np.float64) + 0.5)
