"""Plans of simulated lesions that cover burdens, kinds, places and numbers evenly."""

from __future__ import annotations

import numpy as np

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.evaluation.synthetic.phantom.model import LesionKind

from .places import Position
from .simulated_lesions import SimulatedLesionsSpec, SingleLesionSpec

PLANNED_BURDENS_PERCENT = (1.0, 60.0)
"""From the smallest reported lesion to lungs that are mostly diseased, as specified."""

PLANNED_POSITIONS = (Position.CENTRAL, Position.PLEURAL, Position.ANY)

SINGLE_VOLUMES_ML = (2.0, 25.0)
"""Volumes of single lesions, for diameters from 1.6 cm to 3.6 cm, as specified."""

SINGLE_POSITIONS = (
    *(Position.CENTRAL, Position.CHEST_WALL, Position.MEDIASTINUM, Position.DIAPHRAGM),
    *(Position.HILUM, Position.FISSURE, Position.APEX),
)
"""Places where opacities are missed: in the middle of the lung, and at structures of the same density."""

COUNTS = (1, 3, 8, 20)
"""Smallest number of lesions: one, a few, several, many."""

MOST_CASES = 1000


def plan_simulated_lesions(count: int, seed: int) -> tuple[SimulatedLesionsSpec, ...]:
    """Plan cases whose burdens are spread evenly over the logarithm of 1 to 60 per cent.

    Parameters
    ----------
    count : int
        Number of cases, 1 to :data:`MOST_CASES`. One burden is drawn from each of as many equal steps. Kinds, positions
        and numbers of lesions are equally frequent, each in a separate order.
    seed : int
        Seed, not negative.

    Returns
    -------
    tuple of SimulatedLesionsSpec
        Cases by ascending burden.

    Raises
    ------
    InputError
        If ``count`` or ``seed`` is out of range.
    """
    rng = _generator(count, seed)
    edges = np.geomspace(*PLANNED_BURDENS_PERCENT, count + 1)
    burdens = np.exp(rng.uniform(np.log(edges[:-1]), np.log(edges[1:])))
    kinds, positions, counts = (
        _spread(values, count, rng) for values in (tuple(LesionKind), PLANNED_POSITIONS, COUNTS)
    )
    seeds = rng.integers(0, 2**31, count)
    return tuple(
        SimulatedLesionsSpec(kind, position, lesions, round(float(burden), 3), int(own))
        for kind, position, lesions, burden, own in zip(kinds, positions, counts, burdens, seeds, strict=True)
    )


def plan_single_lesions(count: int, seed: int) -> tuple[SingleLesionSpec, ...]:
    """Plan single lesions whose volumes are spread evenly over the logarithm of 2 to 25 ml.

    Parameters
    ----------
    count : int
        Number of lesions, 1 to :data:`MOST_CASES`. Kinds and positions are equally frequent, each in a separate order.
    seed : int
        Seed, not negative.

    Returns
    -------
    tuple of SingleLesionSpec
        Lesions by ascending volume.

    Raises
    ------
    InputError
        If ``count`` or ``seed`` is out of range.
    """
    rng = _generator(count, seed)
    edges = np.geomspace(*SINGLE_VOLUMES_ML, count + 1)
    volumes = np.exp(rng.uniform(np.log(edges[:-1]), np.log(edges[1:])))
    kinds, positions = (_spread(values, count, rng) for values in (tuple(LesionKind), SINGLE_POSITIONS))
    seeds = rng.integers(0, 2**31, count)
    return tuple(
        SingleLesionSpec(kind, position, round(float(ml), 3), int(own))
        for kind, position, ml, own in zip(kinds, positions, volumes, seeds, strict=True)
    )


def _generator(count: int, seed: int) -> np.random.Generator:
    if not 1 <= count <= MOST_CASES:
        raise InputError(f"{count} simulated cases were asked for; 1 to {MOST_CASES} can be made")
    if seed < 0:
        raise InputError(f"seed {seed} is negative")
    return np.random.default_rng(seed)


def _spread(values: tuple, count: int, rng: np.random.Generator) -> list:
    """``count`` values in random order, equally frequent within every run of ``len(values)``."""
    blocks = [rng.permutation(len(values)) for _ in range(-(-count // len(values)))]
    return [values[n] for n in np.concatenate(blocks)[:count]]
