"""Radiologists' labels of slices: slices with infection, and its lobes (the tables of COVID-CT-MD)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.csv_tables import Row, Table, number, read_table
from CovidSeverityLib.types import Lobe

LABELS_ENDING = "_labels.csv"
"""The labels of ``NAME`` are in ``NAME_labels.csv``."""

Z_WORD, INFECTED_WORD = "zmm", "infected"
"""Headers of the columns with the slice's LPS z in mm and its label, without punctuation."""

COLUMNS = (Z_WORD, INFECTED_WORD, *(lobe.name.lower() for lobe in Lobe))


@dataclass(frozen=True)
class SliceLabels:
    """Labels of a CT's slices: LPS z in mm, infected or not, and infected or not for each lobe in the order of Lobe."""

    z_mm: tuple[float, ...]
    infected: tuple[bool, ...]
    lobes: tuple[tuple[bool, ...], ...]


def read_slice_labels(path: Path) -> SliceLabels:
    """Read the labels of one CT.

    Parameters
    ----------
    path : Path
        A CSV file with the columns z_mm, infected, RUL, RML, RLL, LUL and LLL in any order; other columns are ignored.
        Labels are 0 or 1.

    Raises
    ------
    InputError
        If the file cannot be read, lacks a column, or contains other text than numbers and labels.
    """
    table = read_table(path, lambda words: Z_WORD in words)
    missing = [name for name in COLUMNS if table.words.count(name) != 1]
    if missing:
        raise table.error(f"one column each is needed of z_mm, infected, {', '.join(lobe.name for lobe in Lobe)}")
    columns = {name: table.words.index(name) for name in COLUMNS}
    return SliceLabels(
        z_mm=tuple(_z_mm(table, row, columns[Z_WORD]) for row in table.rows),
        infected=tuple(_label(table, row, columns[INFECTED_WORD]) for row in table.rows),
        lobes=tuple(tuple(_label(table, row, columns[lobe.name.lower()]) for lobe in Lobe) for row in table.rows),
    )


def no_infection(z_mm: Sequence[float]) -> SliceLabels:
    """The labels of a normal CT with slices at ``z_mm``."""
    return SliceLabels(tuple(z_mm), (False,) * len(z_mm), ((False,) * len(Lobe),) * len(z_mm))


def labels_at(labels: SliceLabels, z_mm: Sequence[float], slice_mm: float) -> SliceLabels:
    """The labels of a CT's slices, in their order.

    Parameters
    ----------
    labels : SliceLabels
        Labels in any order.
    z_mm : sequence of float
        LPS z of the slices, mm.
    slice_mm : float
        Distance of the slices, mm; a label belongs to the nearest slice, within half of this distance.

    Raises
    ------
    InputError
        If a slice has no label, a label has no slice, or a slice has contradictory labels.
    """
    where, wanted = np.asarray(labels.z_mm, dtype=float), np.asarray(z_mm, dtype=float)
    distance = np.abs(wanted[:, None] - where[None])
    half = 0.5 * slice_mm
    for values, axis, what, other in ((wanted, 1, "slice", "label"), (where, 0, "label", "slice")):
        alone = np.flatnonzero(distance.min(axis=axis) > half)
        if alone.size:
            raise InputError(
                f"{alone.size} of {values.size} {what}s have no {other} within {half:g} mm; "
                f"the first is at z = {values[alone[0]]:g} mm"
            )
    nearest = distance.argmin(axis=1)
    _require_agreement(labels, distance.argmin(axis=0), nearest)
    return SliceLabels(
        tuple(wanted.tolist()),
        tuple(labels.infected[n] for n in nearest),
        tuple(labels.lobes[n] for n in nearest),
    )


def _require_agreement(labels: SliceLabels, slices: np.ndarray, nearest: np.ndarray) -> None:
    """Check that every label is equal to the one of its slice."""
    for n, k in enumerate(slices):
        taken = nearest[k]
        if (labels.infected[n], labels.lobes[n]) != (labels.infected[taken], labels.lobes[taken]):
            raise InputError(f"the slice at z = {labels.z_mm[n]:g} mm has labels that contradict each other")


def _z_mm(table: Table, row: Row, column: int) -> float:
    value = number(row.cell(column))
    if value is None:
        raise table.error(f"z_mm is {row.cell(column)!r}; a number of mm is needed", row)
    return value


def _label(table: Table, row: Row, column: int) -> bool:
    value = number(row.cell(column))
    if value not in (0.0, 1.0):
        raise table.error(f"a label is {row.cell(column)!r}; 0 or 1 is needed", row)
    return value == 1.0
