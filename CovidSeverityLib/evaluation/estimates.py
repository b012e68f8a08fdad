"""Estimates with bootstrap intervals: the uncertainty of a mean, or of any measure, of a few cases."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
"""Number of bootstrap samples; an interval needs at least 1000 (Efron 1993, chapter 13)."""

CONFIDENCE = 0.95
SEED = 20210606
"""Seed: with it the same data give the same interval."""

INTERVAL_METHOD = f"{CONFIDENCE:.0%} percentile bootstrap, {RESAMPLES} resamples"

Statistic = Callable[..., NDArray[np.float64]]
"""``statistic(*samples, axis=-1)``: reduces every sample along ``axis``."""


@dataclass(frozen=True)
class Estimate:
    """A value over ``n`` units with the ends of its interval; None if it is not defined."""

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
    samples : sequence of NDArray
        Arrays of one length; their elements are resampled together.
    statistic : Statistic
        Function that is vectorised over every axis except the one that it reduces.
    resamples : int
        Number of samples with replacement for the interval.

    Returns
    -------
    Estimate
        Without an interval for fewer than two elements, and if the statistic is undefined in one resample of twenty or
        more (the data then have too little variation).
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

    with warnings.catch_warnings():  # if all resamples agree, as with perfect scores, the interval is one value
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
    """A statistic for :func:`bootstrap` from a measure of one-dimensional samples, computed for each resample."""

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
    """The mean over the values of all groups, with an interval from resampling whole groups.

    Slices of one patient are similar, so resampling single slices gives an interval that is too narrow. With only one
    group, its values are resampled. This is right for a file of single slices of many patients, and too narrow for one
    patient. Text with such an interval must say so.

    Parameters
    ----------
    groups : sequence of sequence of float
        The values of each group; NaN is left out. ``n`` of the result is the number of values.
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
    """The sum of ``parts`` divided by that of ``wholes`` (undefined for 0), with an interval from resampling cases.

    Parameters
    ----------
    parts, wholes : sequence of float
        Values of each case. A case with a whole of 0 has no information and is not counted in ``n``.
    """
    kept = np.array([(p, w) for p, w in zip(parts, wholes, strict=True) if w > 0], dtype=np.float64).reshape(-1, 2)
    return bootstrap([kept[:, 0], kept[:, 1]], _ratio_of_sums)


def _ratio_of_sums(sums: NDArray, sizes: NDArray, axis: int = -1) -> NDArray[np.float64]:
    return np.sum(sums, axis=axis) / np.sum(sizes, axis=axis)
