"""From aerated lung to whole lungs, on the working grid: gaps are closed and airless parts are added."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.morphology.components import fill_holes, largest_component
from CovidSeverityLib.morphology.grid import Box, FloatImage, Mask, WorkingGrid, bounding_box, close_mm
from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.types import Side, triple

from .airless_pieces import airless_pieces
from .airways import main_bronchi
from .config import LungConfig
from .hidden_lung import ExpectedLung, expected_lungs
from .islands import resting_islands


@dataclass(frozen=True, eq=False)
class CompletedLungs:
    """Both lungs on the working grid.

    Parameters
    ----------
    lungs : (K, J, I) ndarray of uint8
        Values of :class:`Side`.
    restored : (K, J, I) ndarray of bool
        The airless parts among them that were added.
    fluid : int
        Blocks beside them that were taken for an effusion.
    """

    lungs: NDArray[np.uint8]
    restored: Mask
    fluid: int


@dataclass(frozen=True, eq=False)
class _Lung:
    """One lung in a box of the working grid, the airless parts that were added, and the number of blocks of fluid."""

    box: Box
    mask: Mask
    restored: Mask
    fluid: int


@dataclass(frozen=True, eq=False)
class AeratedChest:
    """What is found before the lungs are complete, on the working grid.

    Parameters
    ----------
    hu : (K, J, I) ndarray of float32
        Hounsfield units.
    aerated : (K, J, I) ndarray of uint8
        Aerated lung, by :class:`Side`.
    body, airway, gas : (K, J, I) ndarrays of bool
        The body, large airways, and other air that is no aerated lung.
    grid : WorkingGrid
        Grid of all of them.
    """

    hu: FloatImage
    aerated: NDArray[np.uint8]
    body: Mask
    airway: Mask
    gas: Mask
    grid: WorkingGrid


def complete_lungs(chest: AeratedChest, config: LungConfig, *, whole_chest: bool = True) -> CompletedLungs:
    """Close and fill each lung and add its airless parts. Voxels of both lungs belong to the right one.

    Parameters
    ----------
    chest : AeratedChest
        What is found so far.
    config : LungConfig
        How the lungs are found.
    whole_chest : bool
        Whether the shape of the chest is seen. Otherwise airless lung is expected only at its wall.

    Returns
    -------
    CompletedLungs
    """
    lungs = np.zeros_like(chest.aerated)
    restored = np.zeros(lungs.shape, dtype=bool)
    expected = expected_lungs(chest.hu, chest.aerated, chest.grid, config, whole_chest=whole_chest)
    bronchi = main_bronchi(chest.airway)

    def complete(side: Side) -> _Lung:
        return _complete_side(chest, bronchi, side, expected[side], config, whole_chest)

    completed = map_in_order(complete, tuple(expected), "sides", None)
    for side, lung in zip(expected, completed, strict=True):
        mask = lung.mask & (lungs[lung.box] == 0)
        lungs[lung.box][mask] = side
        restored[lung.box] |= lung.restored & mask
    return CompletedLungs(lungs, restored, sum(lung.fluid for lung in completed))


def _complete_side(
    chest: AeratedChest, bronchi: Mask, side: Side, expected: ExpectedLung, config: LungConfig, whole_chest: bool
) -> _Lung:
    grid, radii = chest.grid, config.completion
    margin = triple(2 + int(radii.closing_mm / mm) for mm in grid.spacing_mm)
    box = bounding_box((chest.aerated == side) | expected.inside, margin)
    mask = chest.aerated[box] == side
    free = chest.body[box] & (mask | (chest.aerated[box] == 0))
    possible = expected.possible[box] & free
    room = possible & ~(chest.airway[box] | chest.gas[box])
    lung = fill_holes(close_mm(mask, radii.closing_mm, grid.spacing_mm) & free)
    hidden = resting_islands(lung, free, grid, config.islands)
    wall = expected.wall[box] & possible & ~lung
    tissue = (expected.inside[box] & room & ~lung) | wall
    dents = expected.dents[box] & room & ~lung
    pieces = airless_pieces(
        chest.hu[box],
        tissue,
        dents,
        wall,
        lung | hidden,
        room,
        bronchi[box],
        grid,
        config.airless_pieces,
        whole_chest=whole_chest,
    )
    hidden = (hidden | pieces.lung) & ~pieces.fluid
    if hidden.any():
        closed = fill_holes(close_mm(lung | hidden, radii.smoothing_mm, grid.spacing_mm) & free)
        lung |= closed & possible & ~pieces.fluid
    return _Lung(box, largest_component(lung & free), hidden, int(np.count_nonzero(pieces.fluid)))
