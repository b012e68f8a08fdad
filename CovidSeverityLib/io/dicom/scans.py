"""Which slices were scanned together: acquisitions, and passes of the table with one acquisition number.

Acquisitions that follow one another along the axis are one scan in steps; acquisitions that cover the same part of the
body are not. Additional words of vendors in the image type, from its fourth value on, count like an acquisition. If two
passes have the same acquisition number, the slice numbers distinguish them: they run along the axis twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.checked import known

from .headers import SliceHeader

Placed = tuple[float, SliceHeader]
"""A slice with its place along the normal, mm."""

OVERLAP_STEPS = 0.5
"""Scans that share more of the axis than this many steps cover the same part of the body."""

MOST_PASSES, FEWEST_SLICES = 4, 5
"""If the slices run along the axis more often, or in shorter runs, their numbers are random."""


def scans_of(group: Sequence[SliceHeader], normal: NDArray[np.float64]) -> list[list[Placed]]:
    """Return the scans of slices with one orientation and kind.

    Parameters
    ----------
    group : slices that differ only in their acquisition and numbers.
    normal : (3,) unit vector, LPS.
    """
    parts: dict[tuple[str, ...], list[Placed]] = {}
    for header in group:
        key = (header.acquisition_text, *header.image_type[3:])
        parts.setdefault(key, []).append((float(np.dot(known(header.position), normal)), header))
    passes = [sorted(run, key=_place_key) for part in parts.values() for run in _passes(part)]
    step = float(np.median([step_of(run) for run in passes if len(run) > 1] or [0.0]))
    scans: list[list[list[Placed]]] = []
    for run in sorted(passes, key=lambda run: _place_key(run[0])):
        free = next((s for s in scans if all(_overlap(run, other) <= OVERLAP_STEPS * step for other in s)), None)
        if free is None:
            scans.append([run])
        else:
            free.append(run)
    return [[entry for run in runs for entry in run] for runs in scans]


def step_of(run: Sequence[Placed]) -> float:
    """Median distance of slices, mm; 0 for a single slice."""
    places = np.unique([place for place, _ in run])
    return float(np.median(np.diff(places))) if len(places) > 1 else 0.0


def _passes(part: Sequence[Placed]) -> list[list[Placed]]:
    """The slices of an acquisition, split where their numbers turn back along the axis, if this happens rarely."""
    if len({header.instance for _, header in part}) < len(part):
        return [list(part)]
    ordered = sorted(part, key=lambda entry: entry[1].instance)
    steps = np.sign(np.diff([place for place, _ in ordered]))
    direction = np.sign(steps.sum()) or 1.0
    ends = np.flatnonzero(steps != direction) + 1
    runs = [ordered[a:b] for a, b in zip([0, *ends], [*ends, len(ordered)], strict=True)]
    if len(runs) > MOST_PASSES or min(len(run) for run in runs) < FEWEST_SLICES:
        return [list(part)]
    return runs


def _place_key(entry: Placed) -> tuple:
    return (entry[0], *entry[1].tie_key)


def _overlap(a: Sequence[Placed], b: Sequence[Placed]) -> float:
    """Length that two runs share, mm; the negative gap if they share none."""
    return min(a[-1][0], b[-1][0]) - max(a[0][0], b[0][0])
