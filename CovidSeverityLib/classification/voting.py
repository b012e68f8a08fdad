"""The published vote of a patient's slices: the middle of the lungs counts most.

Weights are held in tenths, as integers, so that a tie is a tie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import Diagnosis

MIDDLE_TENTHS = {Diagnosis.NORMAL: 10, Diagnosis.CAP: 10, Diagnosis.COVID19: 10}
OUTER_TENTHS = {Diagnosis.NORMAL: 5, Diagnosis.CAP: 7, Diagnosis.COVID19: 7}
"""What a slice of the middle third, or of the first and last third, counts for the diagnosis it is given; tenths."""

INFECTED_SHARE = (3, 4)
"""Infection wins over more normal slices where both kinds together weigh at least this fraction of them."""


@dataclass(frozen=True)
class Vote:
    """The patient's diagnosis and what the slices of each :class:`Diagnosis` weigh, in its order."""

    label: Diagnosis
    weights: tuple[float, float, float]


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


def _winner(normal: int, cap: int, covid: int) -> Diagnosis:
    numerator, denominator = INFECTED_SHARE
    if denominator * (covid + cap) < numerator * normal:
        return Diagnosis.NORMAL
    return Diagnosis.COVID19 if covid >= cap else Diagnosis.CAP
