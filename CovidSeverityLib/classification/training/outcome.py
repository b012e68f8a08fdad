"""The accuracy of a trained network: CTs of patients not used for training, diagnosed by the vote of their slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import Diagnosis, triple

from .examples import CaseSlices, votes

CONFIDENCE = 0.95
INTERVAL_METHOD = f"{CONFIDENCE:.0%} Wilson score interval"
"""This interval is valid for few cases, and has a width even if all are right (Brown 2001,
doi 10.1214/ss/1009213286)."""


@dataclass(frozen=True)
class Proportion:
    """``right`` of ``total``."""

    right: int
    total: int

    @property
    def value(self) -> float | None:
        """The share; None if ``total`` is 0."""
        return self.right / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Ends of the interval of :data:`CONFIDENCE`."""
        from scipy import stats

        if not self.total:
            return None
        found = stats.binomtest(self.right, self.total).proportion_ci(CONFIDENCE, method="wilson")
        return float(found.low), float(found.high)

    @property
    def text(self) -> str:
        """``10 of 12, 0.83 (0.55 to 0.95)``."""
        if not self.total or self.interval is None:
            return "none"
        low, high = self.interval
        return f"{self.right} of {self.total}, {self.right / self.total:.2f} ({low:.2f} to {high:.2f})"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a summary."""
        low, high = self.interval or (None, None)
        return {"right": self.right, "of": self.total, "value": self.value, "low": low, "high": high}


@dataclass(frozen=True)
class CaseOutcome:
    """One CT: true and predicted diagnosis, and mean probabilities in the order of :class:`Diagnosis`."""

    name: str
    truth: Diagnosis
    found: Diagnosis
    probabilities: tuple[float, float, float]


@dataclass(frozen=True)
class Outcome:
    """CTs of one part of the patients."""

    cases: tuple[CaseOutcome, ...]
    patients: int

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(3, 3) number of CTs: rows are the truth, columns the prediction, in the order of :class:`Diagnosis`."""
        table = np.zeros((len(Diagnosis), len(Diagnosis)), dtype=np.int64)
        np.add.at(table, ([case.truth for case in self.cases], [case.found for case in self.cases]), 1)
        return table

    @property
    def accuracy(self) -> Proportion:
        """CTs with the right diagnosis."""
        return Proportion(int(np.trace(self.confusion)), len(self.cases))

    def sensitivity(self, diagnosis: Diagnosis) -> Proportion:
        """Of the CTs with a true diagnosis, those with the same prediction."""
        row = self.confusion[diagnosis]
        return Proportion(int(row[diagnosis]), int(row.sum()))

    def precision(self, diagnosis: Diagnosis) -> Proportion:
        """Of the CTs with a predicted diagnosis, those with the same truth."""
        column = self.confusion[:, diagnosis]
        return Proportion(int(column[diagnosis]), int(column.sum()))


def outcome_of(cases: Sequence[CaseSlices], probabilities: NDArray[np.float32], patients: int) -> Outcome:
    """Votes with the truth.

    Parameters
    ----------
    cases : sequence of CaseSlices
        CTs.
    probabilities : (N, 3) ndarray of float32
        A row for each of their slices.
    patients : int
        Number of patients of these CTs.
    """
    found = zip(cases, votes(cases, probabilities), strict=True)
    return Outcome(
        tuple(
            CaseOutcome(c.name, c.diagnosis, v.label, triple(float(s) for s in v.mean_probabilities)) for c, v in found
        ),
        patients,
    )
