"""Measures of agreement between two masks, from the four counts of their confusion."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class MaskAgreement:
    """How many pixels (or voxels) a found and a true mask have in common.

    A measure whose denominator is 0 is not a number, except that two empty masks agree: their Dice and Jaccard
    coefficients are 1. The Matthews coefficient is 1 for any two equal masks and 0 where only one of them is empty
    (Chicco 2020, doi 10.1186/s12864-019-6413-7).
    """

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @classmethod
    def of(cls, found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> MaskAgreement:
        """Compare two masks.

        Parameters
        ----------
        found, truth : ndarray of bool
            Arrays of one shape.

        Raises
        ------
        ValueError
            If their shapes differ.
        """
        if found.shape != truth.shape:
            raise ValueError(f"found mask {found.shape} does not match true mask {truth.shape}")
        both, marked, infected = (int(np.count_nonzero(mask)) for mask in (found & truth, found, truth))
        return cls(both, marked - both, infected - both, found.size - marked - infected + both)

    @classmethod
    def pooled(cls, parts: Iterable[MaskAgreement]) -> MaskAgreement:
        """The agreement over several slices taken together."""
        totals = np.array([part.counts for part in parts], dtype=np.int64).reshape(-1, 4).sum(axis=0)
        return cls(*totals.tolist())

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """True positive, false positive, false negative, true negative."""
        return self.true_positive, self.false_positive, self.false_negative, self.true_negative

    @property
    def marked(self) -> int:
        """Size of the found mask."""
        return self.true_positive + self.false_positive

    @property
    def infected(self) -> int:
        """Size of the true mask."""
        return self.true_positive + self.false_negative

    @property
    def dice(self) -> float:
        """2 TP / (2 TP + FP + FN); 1 if there was nothing to find and nothing was found."""
        return _ratio(2 * self.true_positive, self.marked + self.infected, if_empty=1.0)

    @property
    def jaccard(self) -> float:
        """TP / (TP + FP + FN); 1 if there was nothing to find and nothing was found."""
        return _ratio(self.true_positive, self.marked + self.false_negative, if_empty=1.0)

    @property
    def sensitivity(self) -> float:
        """TP / (TP + FN): share of the truth that was found."""
        return _ratio(self.true_positive, self.infected)

    @property
    def specificity(self) -> float:
        """TN / (TN + FP): share of the rest that was left alone."""
        return _ratio(self.true_negative, self.true_negative + self.false_positive)

    @property
    def precision(self) -> float:
        """TP / (TP + FP): share of what was found that is true."""
        return _ratio(self.true_positive, self.marked)

    @property
    def accuracy(self) -> float:
        """(TP + TN) / all."""
        return _ratio(self.true_positive + self.true_negative, sum(self.counts))

    @property
    def mae(self) -> float:
        """Mean absolute error of the mask as an image of 0 and 1: (FP + FN) / all."""
        return _ratio(self.false_positive + self.false_negative, sum(self.counts))

    @property
    def mcc(self) -> float:
        """Matthews correlation coefficient, -1 to 1."""
        tp, fp, fn, tn = self.counts
        if not (fp or fn):
            return 1.0
        roots = sqrt(self.marked) * sqrt(self.infected) * sqrt(tn + fp) * sqrt(tn + fn)
        return (tp * tn - fp * fn) / roots if roots else 0.0


def _ratio(part: int, whole: int, if_empty: float = nan) -> float:
    return part / whole if whole else if_empty
