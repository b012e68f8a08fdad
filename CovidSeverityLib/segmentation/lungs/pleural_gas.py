"""Gas in the pleural space (a pneumothorax): air without any tissue in it that lies at the chest wall.

Lung holds vessels, also with emphysema. A ball of air of a centimetre without any tissue is not lung, unless it is a
bulla, and bullae are surrounded by lung. Gas of a pneumothorax lies at the chest wall with much of its surface. Where
the lung is so collapsed that the gas was not taken for lung, gas that is no airway counts only in the upper half of the
chest, because stomach and bowel lie below. Blocks of about 3 mm average noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import component_sizes
from CovidSeverityLib.morphology.grid import Box, Mask, WorkingGrid, bounding_box, open_by_ball
from CovidSeverityLib.preprocessing.thorax import body_mask
from CovidSeverityLib.types import Geometry, Side

from .airways import airway_mask
from .config import LungConfig, PleuralGasConfig


def pleural_gas(
    hu: NDArray[np.int16], lungs: NDArray[np.uint8], geometry: Geometry, config: LungConfig = LungConfig()
) -> dict[Side, float]:
    """Volume of the gas on each side, as far as it is certain.

    Parameters
    ----------
    hu : (K, J, I) ndarray of int16
        Hounsfield units.
    lungs : (K, J, I) ndarray of uint8
        Lungs, by :class:`Side`, with or without the gas.
    geometry : Geometry
        Geometry of both.
    config : LungConfig
        How gas is recognised.

    Returns
    -------
    dict of float
        Volume by side, ml. Sides without gas are not in it.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis
    >>> result = Analysis.load("results")
    >>> pleural_gas(result.volume.hu, result.lungs, result.volume.geometry)
    {}
    """
    gas_config = config.pleural_gas
    grid = WorkingGrid.of(geometry, gas_config.block_mm, config.block_mm[0])
    blocks, lung = grid.reduce(hu), grid.reduce(lungs > 0) >= 0.5
    body = body_mask(blocks, grid, config.thorax)
    middle = float(np.average(np.arange(body.shape[2]), weights=body.sum(axis=(0, 1)) + 1e-9))
    box = _chest_box(lung, middle)
    empty = np.zeros_like(body)
    empty[box] = ((blocks < gas_config.empty_hu) & body)[box]
    if np.count_nonzero(empty) * grid.voxel_ml < gas_config.smallest_ml:
        return {}
    empty &= ~airway_mask(blocks, body, grid, config.airways)
    labels, _ = ndimage.label(open_by_ball(empty, gas_config.ball_radius_mm, grid.spacing_mm))
    upper = (box[0].start + box[0].stop) // 2
    found: dict[Side, float] = {}
    for index in np.flatnonzero(component_sizes(labels) * grid.voxel_ml >= gas_config.smallest_ml):
        gas = labels == index
        if _is_pleural(gas, lung, empty, upper, grid, gas_config):
            side = Side.RIGHT if np.flatnonzero(gas.any(axis=(0, 1))).mean() < middle else Side.LEFT
            found[side] = found.get(side, 0.0) + float(np.count_nonzero(gas) * grid.voxel_ml)
    return found


def _chest_box(lung: Mask, middle: float) -> Box:
    """The box around both lungs. A lung that was not found is assumed to reach as far aside as the other."""
    k, j, i = bounding_box(lung)
    reach = max(middle - i.start, i.stop - middle)
    return k, j, slice(max(0, int(middle - reach)), int(np.ceil(middle + reach)))


def _is_pleural(gas: Mask, lung: Mask, empty: Mask, upper: int, grid: WorkingGrid, config: PleuralGasConfig) -> bool:
    """Whether ``gas`` lies at the chest wall, and inside the chest."""
    if np.count_nonzero(gas & lung) < config.lung_share * np.count_nonzero(gas):
        return bool(np.count_nonzero(gas[upper:]) * grid.voxel_ml >= config.smallest_ml)
    surface = ndimage.binary_dilation(gas) & ~gas
    wall = surface & ~lung & ~empty
    return bool(np.count_nonzero(wall) >= config.wall_share * np.count_nonzero(surface))
