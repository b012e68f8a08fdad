"""The published vote of a patient's slices: the middle of the lungs counts most.

Weights are integers, in tenths, so that ties are exact.
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
"""Weight of a slice of the middle third, and of the first and last third, for its diagnosis; tenths."""

INFECTED_SHARE = (3, 4)
"""Infection wins if both kinds of infection together have at least this fraction of the weight of normal."""

VOTE_DEFINITION = (
    "A slice votes for its most probable diagnosis. It counts 1 in the middle third of the slices, elsewhere 0.7, or "
    "0.5 for normal. COVID-19 or CAP, the heavier of the two (COVID-19 on a tie), wins where both together weigh at "
    "least three quarters of normal; otherwise normal wins (as published)"
)
"""The rule in words, for reports."""


@dataclass(frozen=True)
class Vote:
    """The patient's diagnosis, and the weight of the slices of each :class:`Diagnosis`, in its order."""

    label: Diagnosis
    weights: tuple[float, float, float]

    @property
    def total(self) -> float:
        """Weight of all slices."""
        return sum(_tenths(self.weights)) / 10

    @property
    def smallest_change(self) -> float:
        """Smallest share of the weight, 0 to 1, that changes the label if it moves from one diagnosis to another.

        A slice is assumed to keep its weight, although a normal slice of the outer thirds would gain a little.
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
    """The weight of every slice for each diagnosis.

    Parameters
    ----------
    slices : int
        Number of slices. A third is this number divided by three and rounded down; the last third has the rest.

    Returns
    -------
    (slices, 3) ndarray of int64
        Tenths; columns in the order of :class:`Diagnosis`.
    """
    third = slices // 3
    tenths = np.tile([OUTER_TENTHS[d] for d in Diagnosis], (slices, 1))
    tenths[third : 2 * third] = [MIDDLE_TENTHS[d] for d in Diagnosis]
    return tenths


def weighted_vote(labels: Sequence[Diagnosis]) -> Vote:
    """The patient's diagnosis from those of the slices.

    As published: COVID-19 if its weight is at least that of each other; CAP if its weight is larger than both others;
    otherwise the heavier of the two (COVID-19 on a tie) if their sum is at least three quarters of normal; otherwise
    normal. The last two rules are sufficient: they give the same answer in the cases of the first two.

    Parameters
    ----------
    labels : sequence of Diagnosis
        One for each slice, in order along the body.

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
    """(N,) weight of every slice for its diagnosis."""
    tenths = slice_tenths(len(labels))
    return np.array([t[label] / 10 for t, label in zip(tenths, labels, strict=True)], dtype=np.float64)


def even_label(labels: Sequence[Diagnosis]) -> Diagnosis:
    """The heaviest diagnosis if all diagnoses had the weights of COVID-19: an unbiased vote (COVID-19 on a tie).

    Parameters
    ----------
    labels : sequence of Diagnosis
        One for each slice, in order along the body.
    """
    tenths = slice_tenths(len(labels))[:, Diagnosis.COVID19]
    weights = {d: sum(int(t) for t, label in zip(tenths, labels, strict=True) if label == d) for d in Diagnosis}
    return max(reversed(Diagnosis), key=lambda diagnosis: weights[diagnosis])


def _winner(normal: int, cap: int, covid: int) -> Diagnosis:
    numerator, denominator = INFECTED_SHARE
    if denominator * (covid + cap) < numerator * normal:
        return Diagnosis.NORMAL
    return Diagnosis.COVID19 if covid >= cap else Diagnosis.CAP
