"""Trachea and main bronchi, followed from slice to slice.

Above the carina the trachea is one round island of air in every axial slice. Below it there are two, the main bronchi,
until they reach the lungs. The search goes down from the first such island and leaves a branch as soon as it grows like
lung. No threshold has to separate lumen from lung: a lumen has -1000 HU in one scanner and -950 HU in another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import IN_PLANE_4, boxes_of, component_sizes
from CovidSeverityLib.morphology.grid import FloatImage, Mask, WorkingGrid, dilate_mm

from .config import AirwayConfig


@dataclass(frozen=True)
class _Islands:
    """Components of air within axial slices: labels over the volume, and what is known of each label."""

    labels: NDArray[np.integer]
    area_mm2: NDArray[np.float64]
    column: NDArray[np.float64]
    aspect: NDArray[np.float64]


def airway_mask(hu: FloatImage, body: Mask, grid: WorkingGrid, config: AirwayConfig) -> Mask:
    """Trachea and main bronchi with their walls.

    Parameters
    ----------
    hu : (K, J, I) ndarray of float32
        Hounsfield units on the working grid.
    body : (K, J, I) ndarray of bool
        The patient.
    grid : WorkingGrid
        Grid of both.
    config : AirwayConfig
        How airways are followed.

    Returns
    -------
    (K, J, I) ndarray of bool
        Empty where no trachea is found.
    """
    islands = _find_islands((hu < config.lumen_hu) & body, grid)
    midline = _midlines(body)
    slices_needed = max(2, round(config.shortest_trachea_mm / grid.spacing_mm[0]))
    for k in range(hu.shape[0] - 1, slices_needed - 1, -1):
        for island in _trachea_candidates(islands, k, midline[k], grid, config):
            chain = _follow_down(islands, k, island, grid, config)
            if len(chain) >= slices_needed:
                return dilate_mm(_lumen(islands, chain), config.wall_mm, grid.spacing_mm)
    return np.zeros(hu.shape, dtype=bool)


def main_bronchi(airway: Mask) -> Mask:
    """The airways from the carina down; all of them where no slice shows two branches.

    Parameters
    ----------
    airway : (K, J, I) ndarray of bool
        From :func:`airway_mask`.

    Returns
    -------
    (K, J, I) ndarray of bool
    """
    branched = [k for k, plane in enumerate(airway) if ndimage.label(plane)[1] > 1]
    bronchi = airway.copy()
    if branched:
        bronchi[branched[-1] + 1 :] = False
    return bronchi


def _find_islands(air: Mask, grid: WorkingGrid) -> _Islands:
    labels, count = ndimage.label(air, IN_PLANE_4)
    sizes = component_sizes(labels)
    _, row_mm, column_mm = grid.spacing_mm
    columns, aspect = np.zeros(count + 1), np.full(count + 1, np.inf)
    for index, box in enumerate(boxes_of(labels), start=1):
        height = (box[1].stop - box[1].start) * row_mm
        width = (box[2].stop - box[2].start) * column_mm
        columns[index] = (box[2].start + box[2].stop - 1) / 2
        aspect[index] = max(height, width) / min(height, width)
    return _Islands(labels, np.asarray(sizes * row_mm * column_mm, dtype=np.float64), columns, aspect)


def _midlines(body: Mask) -> NDArray[np.float64]:
    """(K,) middle column between the body's left and right ends, per slice."""
    present = np.any(body, axis=1)
    first = present.argmax(axis=1)
    last = present.shape[1] - 1 - present[:, ::-1].argmax(axis=1)
    return (first + last) / 2


def _trachea_candidates(
    islands: _Islands, k: int, midline: float, grid: WorkingGrid, config: AirwayConfig
) -> list[int]:
    """Islands of slice ``k`` that may be the trachea, the largest first."""
    found = np.unique(islands.labels[k])
    found = found[found > 0]
    smallest, largest = config.trachea_area_mm2
    fits = (
        (islands.area_mm2[found] >= smallest)
        & (islands.area_mm2[found] <= largest)
        & (islands.aspect[found] <= config.largest_aspect)
        & (np.abs(islands.column[found] - midline) * grid.spacing_mm[2] <= config.off_midline_mm)
    )
    found = found[fits]
    return found[np.argsort(-islands.area_mm2[found], kind="stable")].tolist()


def _follow_down(
    islands: _Islands, k: int, island: int, grid: WorkingGrid, config: AirwayConfig
) -> list[tuple[int, list[int]]]:
    """(slice, islands) from ``k`` down, as far as branches stay airways."""
    chain = [(k, [island])]
    while k > 0:
        k -= 1
        branches: set[int] = set()
        for parent in chain[-1][1]:
            branches.update(_continuations(islands, k, parent, grid, config))
        if not branches:
            break
        chain.append((k, sorted(branches)))
    return chain


def _continuations(islands: _Islands, k: int, parent: int, grid: WorkingGrid, config: AirwayConfig) -> list[int]:
    """Islands of slice ``k`` that continue ``parent``, of the slice above; none where ``parent`` has met the lung."""
    area_mm2 = islands.area_mm2[parent]
    excess_mm = grid.excess_slice_mm if area_mm2 >= config.main_bronchus_mm2 else 0.0
    growth = config.growth_limit + config.growth_per_mm * excess_mm
    widest_mm2 = config.widest_branch * config.trachea_area_mm2[1]
    limit_mm2 = min(area_mm2 * growth + config.growth_allowance_mm2, widest_mm2)
    above, below = islands.labels[k + 1] == parent, islands.labels[k]
    found = _up_to(islands, below[above], limit_mm2)
    if not found and excess_mm > 0:
        near = dilate_mm(above[None], config.branch_slope * excess_mm, grid.spacing_mm)[0]
        found = _up_to(islands, below[near], limit_mm2)
    return found


def _up_to(islands: _Islands, labels: NDArray[np.integer], limit_mm2: float) -> list[int]:
    """The islands among ``labels`` that are no larger than ``limit_mm2``."""
    return [label for label in np.unique(labels).tolist() if label and islands.area_mm2[label] <= limit_mm2]


def _lumen(islands: _Islands, chain: list[tuple[int, list[int]]]) -> Mask:
    lumen = np.zeros(islands.labels.shape, dtype=bool)
    for k, branches in chain:
        lumen[k] = np.isin(islands.labels[k], branches)
    return lumen
