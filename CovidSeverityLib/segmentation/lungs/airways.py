"""Trachea and main bronchi, followed from slice to slice.

Above the carina the trachea is one round island of air in every axial slice, and below it the main bronchi are two,
until they reach the lungs. The walk goes down from the first such island and drops a branch as soon as it grows like
lung, so that it needs no threshold between a lumen that is -1000 HU in one scanner and -950 HU in another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import IN_PLANE_4, component_sizes
from CovidSeverityLib.morphology.grid import WorkingGrid, dilate_mm

LUMEN_HU = -800
"""Air of a large airway after averaging over a block; walls (above -600 HU even when thin) part it from the lung."""

TRACHEA_AREA_MM2 = (40.0, 700.0)
"""Cross-section of a trachea: 90-400 mm2 in adults (Breatnach 1984, doi 10.2214/ajr.142.5.903), less in narrowing,
more in tracheomegaly."""

TRACHEA_MAX_ASPECT = 3.0
"""Longer over shorter side of the trachea's bounding box; a sabre-sheath trachea reaches 2."""

TRACHEA_OFF_MIDLINE_MM = 45.0
"""The trachea lies within this distance of the middle of the body."""

SHORTEST_TRACHEA_MM = 24.0
"""An island that cannot be followed this far down is not the trachea (larynx, oesophageal gas, a lung apex)."""

GROWTH_LIMIT = 1.8
"""A branch that grows faster than this from one slice to the next has met the lung (the carina stays below 1.6)."""

GROWTH_PER_MM = 0.4
"""Added to that limit, in main bronchi, for every mm that slices are thicker than 2 mm: where one turns level, its
section grows about as fast as the slices are apart (by a factor of 2.3 in slices of 5 mm of a scan in which it was 1.1
in 2 mm)."""

BRANCH_SLOPE = 1.0
"""How far aside a main bronchus is looked for that ends, for every mm that slices are thicker than 2 mm: partial volume
leaves of a lumen what is open all through the slice, and two slices of an oblique one (45 degrees) do not overlap."""

MAIN_BRONCHUS_MM2 = 50.0
"""Section of a main bronchus (radius 5-8 mm) where partial volume has taken 1 mm off it."""

GROWTH_ALLOWANCE_MM2 = 40.0
"""Growth that is never held against a branch: small islands change by a few pixels."""

AIRWAY_WALL_MM = 2.0
"""Wall of trachea and main bronchi and the partial volume in front of it."""


@dataclass(frozen=True)
class _Islands:
    """2-D components of air: labels over the volume, area, centre column and aspect of each."""

    labels: NDArray[np.int32]
    area_mm2: NDArray[np.float64]
    column: NDArray[np.float64]
    aspect: NDArray[np.float64]


def airway_mask(hu: NDArray[np.float32], body: NDArray[np.bool_], grid: WorkingGrid) -> NDArray[np.bool_]:
    """Trachea and main bronchi with their walls; empty if no trachea is found.

    Parameters
    ----------
    hu : (K, J, I) float32, Hounsfield units on the working grid.
    body : (K, J, I) bool, the patient.
    """
    islands = _find_islands((hu < LUMEN_HU) & body, grid)
    midline = _midlines(body)
    slices_needed = max(2, round(SHORTEST_TRACHEA_MM / grid.spacing_mm[0]))
    for k in range(hu.shape[0] - 1, slices_needed - 1, -1):
        for island in _trachea_candidates(islands, k, midline[k], grid):
            chain = _follow_down(islands, k, island, grid)
            if len(chain) >= slices_needed:
                return _paint(islands, chain, grid)
    return np.zeros(hu.shape, dtype=bool)


def main_bronchi(airway: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The part of the airways from the carina down; all of them where no slice shows two branches.

    Parameters
    ----------
    airway : (K, J, I) bool, as :func:`airway_mask` finds them.
    """
    branched = [k for k, plane in enumerate(airway) if ndimage.label(plane)[1] > 1]
    bronchi = airway.copy()
    if branched:
        bronchi[branched[-1] + 1 :] = False
    return bronchi


def _find_islands(air: NDArray[np.bool_], grid: WorkingGrid) -> _Islands:
    labels, count = ndimage.label(air, IN_PLANE_4)
    sizes = component_sizes(labels)
    _, row_mm, column_mm = grid.spacing_mm
    columns, aspect = np.zeros(count + 1), np.full(count + 1, np.inf)
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        height = (box[1].stop - box[1].start) * row_mm
        width = (box[2].stop - box[2].start) * column_mm
        columns[index] = (box[2].start + box[2].stop - 1) / 2
        aspect[index] = max(height, width) / min(height, width)
    return _Islands(labels, sizes * row_mm * column_mm, columns, aspect)


def _midlines(body: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(K,) middle column between the body's left and right ends, per slice."""
    present = body.any(axis=1)
    first = present.argmax(axis=1)
    last = present.shape[1] - 1 - present[:, ::-1].argmax(axis=1)
    return (first + last) / 2


def _trachea_candidates(islands: _Islands, k: int, midline: float, grid: WorkingGrid) -> list[int]:
    found = np.unique(islands.labels[k])
    found = found[found > 0]
    smallest, largest = TRACHEA_AREA_MM2
    fits = (
        (islands.area_mm2[found] >= smallest)
        & (islands.area_mm2[found] <= largest)
        & (islands.aspect[found] <= TRACHEA_MAX_ASPECT)
        & (np.abs(islands.column[found] - midline) * grid.spacing_mm[2] <= TRACHEA_OFF_MIDLINE_MM)
    )
    found = found[fits]
    return found[np.argsort(-islands.area_mm2[found], kind="stable")].tolist()


def _follow_down(islands: _Islands, k: int, island: int, grid: WorkingGrid) -> list[tuple[int, list[int]]]:
    """(slice, islands) from ``k`` down, as far as branches stay airways."""
    chain = [(k, [island])]
    while k > 0:
        k -= 1
        branches: set[int] = set()
        for parent in chain[-1][1]:
            branches.update(_children(islands, k, parent, grid))
        if not branches:
            break
        chain.append((k, sorted(branches)))
    return chain


def _children(islands: _Islands, k: int, parent: int, grid: WorkingGrid) -> list[int]:
    """Islands of slice ``k`` in which ``parent``, in the one above, goes on; none where it has met the lung."""
    excess_mm = grid.excess_slice_mm if islands.area_mm2[parent] >= MAIN_BRONCHUS_MM2 else 0.0
    growth = GROWTH_LIMIT + GROWTH_PER_MM * excess_mm
    limit = min(islands.area_mm2[parent] * growth + GROWTH_ALLOWANCE_MM2, 2 * TRACHEA_AREA_MM2[1])
    above, below = islands.labels[k + 1] == parent, islands.labels[k]
    children = _within(islands, below[above], limit)
    if not children and excess_mm > 0:
        near = dilate_mm(above[None], BRANCH_SLOPE * excess_mm, grid.spacing_mm)[0]
        children = _within(islands, below[near], limit)
    return children


def _within(islands: _Islands, labels: NDArray[np.int32], limit_mm2: float) -> list[int]:
    """The islands among ``labels`` that are no larger than ``limit_mm2``."""
    return [c for c in np.unique(labels).tolist() if c and islands.area_mm2[c] <= limit_mm2]


def _paint(islands: _Islands, chain: list[tuple[int, list[int]]], grid: WorkingGrid) -> NDArray[np.bool_]:
    lumen = np.zeros(islands.labels.shape, dtype=bool)
    for k, branches in chain:
        lumen[k] = np.isin(islands.labels[k], branches)
    return dilate_mm(lumen, AIRWAY_WALL_MM, grid.spacing_mm)
