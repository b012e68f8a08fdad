"""Estimates with bootstrap intervals: what a mean, or any measure, of a few cases is worth."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
"""Bootstrap samples; 1000 and more are asked for where an interval is wanted (Efron 1993, chapter 13)."""

CONFIDENCE = 0.95
SEED = 20210606
"""Any number: it makes the same data give the same interval."""

INTERVAL_METHOD = f"{CONFIDENCE:.0%} percentile bootstrap, {RESAMPLES} resamples"

Statistic = Callable[..., NDArray[np.float64]]
"""``statistic(*samples, axis=-1)``: reduces every sample along ``axis``."""


@dataclass(frozen=True)
class Estimate:
    """A value over ``n`` units with the ends of its interval; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a summary."""
        return asdict(self)

    def text(self, decimals: int = 3) -> str:
        """``0.812 (0.790-0.833)``, or a dash."""
        if self.value is None:
            return "-"
        text = f"{self.value:.{decimals}f}"
        if self.low is None or self.high is None:
            return text
        low, high = (f"{end:.{decimals}f}".replace("-", "−") for end in (self.low, self.high))
        return f"{text.replace('-', '−')} ({low} to {high})"


def bootstrap(samples: Sequence[NDArray], statistic: Statistic, resamples: int = RESAMPLES) -> Estimate:
    """Estimate a statistic of paired samples.

    Parameters
    ----------
    samples : arrays of one length; their elements are resampled together.
    statistic : vectorised over every axis but the one that it reduces.
    resamples : how many samples with replacement the interval comes from.

    Returns
    -------
    Estimate
        Without an interval for fewer than two elements, and where a resample in twenty or more leaves the statistic
        undefined (then the data hold too little variety for one).
    """
    n = len(samples[0])
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(statistic(*samples, axis=-1)) if n else nan
        if n < 2 or not isfinite(value):
            return Estimate(value if isfinite(value) else None, None, None, n)
        spread = _resampled(samples, statistic, resamples)
    defined = spread[np.isfinite(spread)]
    if defined.size <= CONFIDENCE * spread.size:
        return Estimate(value, None, None, n)
    low, high = np.quantile(defined, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return Estimate(value, float(low), float(high), n)


def _resampled(samples: Sequence[NDArray], statistic: Statistic, resamples: int) -> NDArray[np.float64]:
    """(resamples,) the statistic of every resample."""
    from scipy import stats

    with warnings.catch_warnings():  # where all resamples agree, as with perfect scores, the interval is one value
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        return stats.bootstrap(
            tuple(samples),
            statistic,
            n_resamples=resamples,
            vectorized=True,
            paired=True,
            method="percentile",
            rng=np.random.default_rng(SEED),
        ).bootstrap_distribution


def rowwise(measure: Callable[..., float]) -> Statistic:
    """A statistic for :func:`bootstrap` from a measure of one-dimensional samples: every resample for itself."""

    def statistic(*samples: NDArray, axis: int = -1) -> NDArray[np.float64]:
        moved = [np.moveaxis(np.asarray(sample), axis, -1) for sample in samples]
        rows = zip(*(sample.reshape(-1, sample.shape[-1]) for sample in moved), strict=True)
        return np.reshape([measure(*row) for row in rows], moved[0].shape[:-1])

    return statistic


def mean_estimate(values: Sequence[float]) -> Estimate:
    """The mean of the values that are numbers."""
    kept = np.asarray([v for v in values if isfinite(v)], dtype=np.float64)
    return bootstrap([kept], np.mean)


def clustered_mean(groups: Sequence[Sequence[float]]) -> Estimate:
    """The mean over the values of all groups, its interval by resampling whole groups.

    Slices of one patient resemble each other: resampling them one by one would give an interval that is too narrow.
    Within a single group there is nothing else to resample, and that is done: right for a file of single slices of many
    patients, too narrow for one patient. Whoever shows the interval has to say so.

    Parameters
    ----------
    groups : the values of each group; what is not a number is left out. ``n`` of the result counts values.
    """
    kept = [[v for v in group if isfinite(v)] for group in groups]
    if len(groups) == 1:
        return mean_estimate(kept[0])
    kept = [group for group in kept if group]
    sums = np.array([sum(group) for group in kept], dtype=np.float64)
    sizes = np.array([len(group) for group in kept], dtype=np.float64)
    estimate = bootstrap([sums, sizes], _ratio_of_sums)
    return Estimate(estimate.value, estimate.low, estimate.high, int(sizes.sum()))


def ratio_estimate(parts: Sequence[float], wholes: Sequence[float]) -> Estimate:
    """The sum of ``parts`` over that of ``wholes``, its interval by resampling cases; not defined where that is 0.

    Parameters
    ----------
    parts, wholes : of each case. A case with a whole of 0 says nothing and is left out of ``n``.
    """
    kept = np.array([(p, w) for p, w in zip(parts, wholes, strict=True) if w > 0], dtype=np.float64).reshape(-1, 2)
    return bootstrap([kept[:, 0], kept[:, 1]], _ratio_of_sums)


def _ratio_of_sums(sums: NDArray, sizes: NDArray, axis: int = -1) -> NDArray[np.float64]:
    return np.sum(sums, axis=axis) / np.sum(sizes, axis=axis)
