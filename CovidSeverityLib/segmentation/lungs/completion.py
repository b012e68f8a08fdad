"""From aerated lung to whole lungs, on the working grid: gaps are closed and airless parts put back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.morphology.components import fill_holes, largest_component
from CovidSeverityLib.morphology.grid import WorkingGrid, bounding_box, close_mm
from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.types import Side

from .airless_pieces import airless_pieces
from .airways import main_bronchi
from .hidden_lung import ExpectedLung, expected_lungs
from .islands import resting_islands

CLOSING_MM = 4.0
"""Radius of the closing that takes vessels, segmental bronchi and fissures into the lung; larger hilar vessels (8 mm
and more across) stay outside, as radiologists draw them."""

SMOOTHING_MM = 2.0
"""Radius of the closing that joins what was put back to the lung around it."""


@dataclass(frozen=True, eq=False)
class CompletedLungs:
    """Both lungs on the working grid.

    Parameters
    ----------
    lungs : (K, J, I) uint8 of :class:`Side`.
    restored : (K, J, I) bool, the airless parts among them that were put back.
    fluid : blocks beside them that were taken for an effusion.
    """

    lungs: NDArray[np.uint8]
    restored: NDArray[np.bool_]
    fluid: int


@dataclass(frozen=True, eq=False)
class _Lung:
    """One lung in a box of the working grid, what was put back, and how many blocks are fluid."""

    box: tuple[slice, slice, slice]
    mask: NDArray[np.bool_]
    restored: NDArray[np.bool_]
    fluid: int


def complete_lungs(
    hu: NDArray[np.float32],
    aerated: NDArray[np.uint8],
    body: NDArray[np.bool_],
    airway: NDArray[np.bool_],
    gas: NDArray[np.bool_],
    grid: WorkingGrid,
    *,
    whole_chest: bool = True,
) -> CompletedLungs:
    """Close and fill each lung and put its airless parts back. What both lungs reach for goes to the right one.

    Parameters
    ----------
    hu : (K, J, I) float32, density on the working grid, HU.
    aerated : (K, J, I) uint8 of :class:`Side`, aerated lung.
    body, airway, gas : (K, J, I) bool, the body, large airways, and other air that is no aerated lung.
    grid : of all of them.
    whole_chest : whether the shape of the chest is seen; otherwise airless lung is expected at its wall alone.
    """
    lungs = np.zeros_like(aerated)
    restored = np.zeros(aerated.shape, dtype=bool)
    expected = expected_lungs(hu, aerated, grid, whole_chest=whole_chest)
    bronchi = main_bronchi(airway)
    completed = map_in_order(
        lambda side: _complete_side(hu, aerated, body, airway, gas, bronchi, expected[side], side, grid, whole_chest),
        tuple(expected),
        "sides",
        None,
    )
    for side, lung in zip(expected, completed, strict=True):
        mask = lung.mask & (lungs[lung.box] == 0)
        lungs[lung.box][mask] = side
        restored[lung.box] |= lung.restored & mask
    return CompletedLungs(lungs, restored, sum(lung.fluid for lung in completed))


def _complete_side(
    hu: NDArray[np.float32],
    aerated: NDArray[np.uint8],
    body: NDArray[np.bool_],
    airway: NDArray[np.bool_],
    gas: NDArray[np.bool_],
    bronchi: NDArray[np.bool_],
    expected: ExpectedLung,
    side: Side,
    grid: WorkingGrid,
    whole_chest: bool,
) -> _Lung:
    """One lung, complete."""
    margin = tuple(2 + int(CLOSING_MM / mm) for mm in grid.spacing_mm)
    seen = aerated == side
    box = bounding_box(seen | expected.inside, margin)
    mask = aerated[box] == side
    free = body[box] & (mask | (aerated[box] == 0))
    possible = expected.possible[box] & free
    room = possible & ~(airway[box] | gas[box])
    lung = fill_holes(close_mm(mask, CLOSING_MM, grid.spacing_mm) & free)
    hidden = resting_islands(lung, free, grid)
    wall = expected.wall[box] & possible & ~lung
    tissue = (expected.inside[box] & room & ~lung) | wall
    dents = expected.dents[box] & room & ~lung
    pieces = airless_pieces(
        hu[box], tissue, dents, wall, lung | hidden, room, bronchi[box], grid, whole_chest=whole_chest
    )
    hidden = (hidden | pieces.lung) & ~pieces.fluid
    if hidden.any():
        closed = fill_holes(close_mm(lung | hidden, SMOOTHING_MM, grid.spacing_mm) & free)
        lung |= closed & possible & ~pieces.fluid
    return _Lung(box, largest_component(lung & free), hidden, int(np.count_nonzero(pieces.fluid)))
