"""The published vote of a patient's slices: the middle of the lungs counts most.

Weights are held in tenths, as integers, so that a tie is a tie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import Diagnosis

MIDDLE_TENTHS = {Diagnosis.NORMAL: 10, Diagnosis.CAP: 10, Diagnosis.COVID19: 10}
OUTER_TENTHS = {Diagnosis.NORMAL: 5, Diagnosis.CAP: 7, Diagnosis.COVID19: 7}
"""What a slice of the middle third, or of the first and last third, counts for the diagnosis it is given; tenths."""

INFECTED_SHARE = (3, 4)
"""Infection wins over more normal slices where both kinds together weigh at least this fraction of them."""

VOTE_DEFINITION = (
    "A slice votes for its most probable diagnosis. It counts 1 in the middle third of the slices, elsewhere 0.7, or "
    "0.5 for normal. COVID-19 or CAP, the heavier of the two (COVID-19 on a tie), wins where both together weigh at "
    "least three quarters of normal; otherwise normal wins (as published)"
)
"""The rule in words, for reports."""


@dataclass(frozen=True)
class Vote:
    """The patient's diagnosis and what the slices of each :class:`Diagnosis` weigh, in its order."""

    label: Diagnosis
    weights: tuple[float, float, float]

    @property
    def total(self) -> float:
        """What all slices weigh together."""
        return sum(_tenths(self.weights)) / 10

    @property
    def smallest_change(self) -> float:
        """Smallest part of all the weight, 0 to 1, that has to go from one diagnosis to another for another label.

        A slice is taken to keep its weight; normal slices of the outer thirds would count a little more.
        """
        tenths = _tenths(self.weights)
        total = sum(tenths)
        return next(moved for moved in range(1, total + 1) if self._moved_by(moved, tenths)) / total

    def _moved_by(self, moved: int, tenths: list[int]) -> bool:
        for source, target in permutations(Diagnosis, 2):
            changed = list(tenths)
            changed[source] -= moved
            changed[target] += moved
            if changed[source] >= 0 and _winner(*changed) != self.label:
                return True
        return False


def _tenths(weights: Sequence[float]) -> list[int]:
    return [round(10 * weight) for weight in weights]


def slice_tenths(slices: int) -> NDArray[np.int64]:
    """What every slice counts for each diagnosis.

    Parameters
    ----------
    slices : how many there are. A third is that number divided by three and rounded down; the last takes the rest.

    Returns
    -------
    (slices, 3) int64, tenths; columns in the order of :class:`Diagnosis`.
    """
    third = slices // 3
    tenths = np.tile([OUTER_TENTHS[d] for d in Diagnosis], (slices, 1))
    tenths[third : 2 * third] = [MIDDLE_TENTHS[d] for d in Diagnosis]
    return tenths


def weighted_vote(labels: Sequence[Diagnosis]) -> Vote:
    """The patient's diagnosis from those of the slices.

    As published: COVID-19 if it weighs at least as much as either other; CAP if it weighs more than both; otherwise the
    heavier of the two (COVID-19 on a tie) if together they weigh at least three quarters of normal; otherwise normal.
    The last two sentences say it all: they give the same answer in the cases of the first two.

    Parameters
    ----------
    labels : one for each slice, in order along the body.

    Raises
    ------
    ValueError
        If there are no labels.
    """
    if not labels:
        raise ValueError("no slices to vote")
    tenths = slice_tenths(len(labels))
    normal, cap, covid = (
        sum(int(t[d]) for t, label in zip(tenths, labels, strict=True) if label == d) for d in Diagnosis
    )
    return Vote(_winner(normal, cap, covid), (normal / 10, cap / 10, covid / 10))


def slice_weights(labels: Sequence[Diagnosis]) -> NDArray[np.float64]:
    """(N,) what every slice counted for the diagnosis it was given."""
    tenths = slice_tenths(len(labels))
    return np.array([t[label] / 10 for t, label in zip(tenths, labels, strict=True)], dtype=np.float64)


def even_label(labels: Sequence[Diagnosis]) -> Diagnosis:
    """The heaviest diagnosis if every one counted like COVID-19: a vote that leans to none (but COVID-19 on a tie).

    Parameters
    ----------
    labels : one for each slice, in order along the body.
    """
    tenths = slice_tenths(len(labels))[:, Diagnosis.COVID19]
    weights = {d: sum(int(t) for t, label in zip(tenths, labels, strict=True) if label == d) for d in Diagnosis}
    return max(reversed(Diagnosis), key=lambda diagnosis: weights[diagnosis])


def _winner(normal: int, cap: int, covid: int) -> Diagnosis:
    numerator, denominator = INFECTED_SHARE
    if denominator * (covid + cap) < numerator * normal:
        return Diagnosis.NORMAL
    return Diagnosis.COVID19 if covid >= cap else Diagnosis.CAP
