"""From aerated lung to whole lungs, on the working grid: gaps are closed and airless parts put back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.types import Side

from .airless_pieces import airless_pieces
from .components import fill_holes, largest_component, parts_inside
from .grid import WorkingGrid, bounding_box, close_mm
from .hidden_lung import ExpectedLung, expected_lungs
from .pleura import enclosed_opacities, hidden_opacities

CLOSING_MM = 4.0
"""Radius of the closing that takes vessels, segmental bronchi and fissures into the lung; larger hilar vessels (8 mm
and more across) stay outside, as radiologists draw them."""

SMOOTHING_MM = 2.0
"""Radius of the closing that joins what was put back to the lung around it."""

INSIDE_SHARE = 1 / 3
"""An opacity of which less lies where lung can be is an organ that it touches: livers 0.16 to 0.30 (implanted cases),
consolidation that merges with the mediastinum over 0.4 (one scan)."""


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
    """One lung in a box of the working grid (empty where there is none)."""

    box: tuple[slice, slice, slice]
    mask: NDArray[np.bool_]
    restored: NDArray[np.bool_]
    fluid: int = 0


def complete_lungs(
    hu: NDArray[np.float32],
    aerated: NDArray[np.uint8],
    body: NDArray[np.bool_],
    outside: NDArray[np.bool_],
    grid: WorkingGrid,
    *,
    whole_chest: bool = True,
) -> CompletedLungs:
    """Close and fill each lung and put its airless parts back. What both lungs reach for goes to the right one.

    Parameters
    ----------
    hu : (K, J, I) float32, density on the working grid, HU.
    aerated : (K, J, I) uint8 of :class:`Side`, aerated lung.
    body, outside : (K, J, I) bool, the body, and air in it that is no lung.
    grid : of all of them.
    whole_chest : whether the shape of the chest is seen; otherwise no lung is expected where none is seen.
    """
    lungs = np.zeros_like(aerated)
    restored = np.zeros(aerated.shape, dtype=bool)
    expected = expected_lungs(hu, aerated, outside | ~body, grid) if whole_chest else {}
    completed = map_in_order(
        lambda side: _complete_side(hu, aerated, body, outside, expected.get(side), side, grid),
        tuple(Side),
        "sides",
        None,
    )
    for side, lung in zip(Side, completed, strict=True):
        mask = lung.mask & (lungs[lung.box] == 0)
        lungs[lung.box][mask] = side
        restored[lung.box] |= lung.restored & mask
    return CompletedLungs(lungs, restored, sum(lung.fluid for lung in completed))


def _complete_side(
    hu: NDArray[np.float32],
    aerated: NDArray[np.uint8],
    body: NDArray[np.bool_],
    outside: NDArray[np.bool_],
    expected: ExpectedLung | None,
    side: Side,
    grid: WorkingGrid,
) -> _Lung:
    """One lung, complete (empty without aerated lung); without an expected one only what aerated lung surrounds."""
    margin = tuple(2 + int(CLOSING_MM / mm) for mm in grid.spacing_mm)
    seen = aerated == side
    box = bounding_box(seen if expected is None else seen | expected.inside, margin)
    mask = aerated[box] == side
    if not mask.size:
        return _Lung(box, mask, mask)
    free = body[box] & (mask | (aerated[box] == 0))
    possible = free if expected is None else expected.possible[box] & free
    lung = fill_holes(close_mm(mask, CLOSING_MM, grid.spacing_mm) & free)
    hidden = enclosed_opacities(lung, free, grid)
    hidden = parts_inside(hidden | hidden_opacities(hu[box], lung | hidden, side, free, grid), possible, INSIDE_SHARE)
    fluid = np.zeros_like(lung)
    if expected is not None:
        room = possible & ~outside[box]
        tissue, airway = expected.inside[box] & room & ~lung, outside[box] & body[box]
        pieces = airless_pieces(hu[box], tissue, lung | hidden, room, airway, grid)
        hidden, fluid = (hidden | pieces.lung) & ~pieces.fluid, pieces.fluid
    if hidden.any():
        closed = fill_holes(close_mm(lung | hidden, SMOOTHING_MM, grid.spacing_mm) & free)
        lung |= closed & possible & ~fluid
    return _Lung(box, largest_component(lung & free), hidden, int(np.count_nonzero(fluid)))
