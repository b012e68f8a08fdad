"""Gas in the pleural space (a pneumothorax): air without any tissue in it that lies against the chest wall.

Lung holds vessels, emphysematous lung too: a ball of air of a centimetre without anything in it is none, unless it is a
bulla, and bullae have lung around them. Gas of a pneumothorax lies against the chest wall with much of its surface.
Where the lung has collapsed so far that the gas was not taken for lung, gas in the upper half of the chest that is no
airway tells it from stomach and bowel. It is looked for on blocks of about 3 mm, in which noise is averaged.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import component_sizes
from CovidSeverityLib.morphology.grid import WorkingGrid, bounding_box, distance_to
from CovidSeverityLib.preprocessing.thorax import body_mask
from CovidSeverityLib.types import Geometry, Side

from .airways import airway_mask

BLOCK_MM = (3.2, 3.2, 3.2)
"""Largest block edge (K, J, I), mm: a third of the ball that has to fit in; 60 HU of noise are 15 in it."""

EMPTY_HU = -955
"""Blocks below this hold no tissue. The middle of the trachea was -963, -970 and -982 HU in three scans (blur of its
wall), emphysema begins at -950."""

BALL_RADIUS_MM = 4.0
"""Gas holds a ball of this radius. The largest such region of lung was 2 ml in seven real scans and 1 to 85 ml in
simulated emphysema (17 to 37 % of the lung under -950 HU, holes of 3 to 20 mm); 108 to 1620 ml in pneumothoraces of 450
to 1800 ml, simulated in a normal scan. A layer under 8 mm thick is not found: 330 ml over a whole lung."""

LEAST_ML = 50.0
"""Smaller regions are no matter for the volume of a lung, and may be bullae: this one's radius would be 23 mm."""

WALL_SHARE = 0.15
"""Least part of the surface that is chest wall (neither lung nor gas): 0.05 at most in the simulated emphysema, 0.25
and more in the pneumothoraces."""


def pleural_gas(hu: NDArray[np.int16], lungs: NDArray[np.uint8], geometry: Geometry) -> dict[Side, float]:
    """Volume of the gas on each side, ml, as far as it is certain; sides without gas are left out.

    Parameters
    ----------
    hu : (K, J, I) int16, Hounsfield units.
    lungs : (K, J, I) uint8 labels of :class:`Side`; they may hold the gas or not.
    geometry : of both.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis
    >>> result = Analysis.load("results")
    >>> pleural_gas(result.volume.hu, result.lungs, result.volume.geometry)
    {}
    """
    grid = WorkingGrid.of(geometry, BLOCK_MM)
    blocks, lung = grid.reduce(hu), grid.reduce(lungs > 0) >= 0.5
    body = body_mask(blocks, grid)
    middle = float(np.average(np.arange(body.shape[2]), weights=body.sum(axis=(0, 1)) + 1e-9))
    box = _chest(lung, middle)
    empty = np.zeros_like(body)
    empty[box] = ((blocks < EMPTY_HU) & body)[box]
    if np.count_nonzero(empty) * grid.voxel_ml < LEAST_ML:
        return {}
    empty &= ~airway_mask(blocks, body, grid)
    labels, _ = ndimage.label(_opened(empty, grid))
    upper = (box[0].start + box[0].stop) // 2
    found: dict[Side, float] = {}
    for index in np.flatnonzero(component_sizes(labels) * grid.voxel_ml >= LEAST_ML):
        gas = labels == index
        if _is_pleural(gas, lung, empty, upper, grid):
            side = Side.RIGHT if np.flatnonzero(gas.any(axis=(0, 1))).mean() < middle else Side.LEFT
            found[side] = found.get(side, 0.0) + float(np.count_nonzero(gas) * grid.voxel_ml)
    return found


def _chest(lung: NDArray[np.bool_], middle: float) -> tuple[slice, slice, slice]:
    """The box around both lungs; a lung that was not found is taken to reach as far aside as the other."""
    k, j, i = bounding_box(lung)
    reach = max(middle - i.start, i.stop - middle)
    return k, j, slice(max(0, int(middle - reach)), int(np.ceil(middle + reach)))


def _opened(mask: NDArray[np.bool_], grid: WorkingGrid) -> NDArray[np.bool_]:
    """What balls of :data:`BALL_RADIUS_MM` inside ``mask`` cover."""
    box = bounding_box(mask, margin=(2, 2, 2))
    core = distance_to(~mask[box], grid.spacing_mm) > BALL_RADIUS_MM
    result = np.zeros_like(mask)
    result[box] = mask[box] & (distance_to(core, grid.spacing_mm) <= BALL_RADIUS_MM)
    return result


def _is_pleural(
    gas: NDArray[np.bool_], lung: NDArray[np.bool_], empty: NDArray[np.bool_], upper: int, grid: WorkingGrid
) -> bool:
    """Whether ``gas`` lies against the chest wall, and inside the chest."""
    if np.count_nonzero(gas & lung) < 0.5 * np.count_nonzero(gas):
        return np.count_nonzero(gas[upper:]) * grid.voxel_ml >= LEAST_ML
    surface = ndimage.binary_dilation(gas) & ~gas
    wall = surface & ~lung & ~empty
    return np.count_nonzero(wall) >= WALL_SHARE * np.count_nonzero(surface)
