"""Agreement of scores with radiologists: correlation, intraclass correlation, error, limits, kappa.

The measures come from SciPy, statsmodels and pingouin (extra ``evaluate``).
"""

from __future__ import annotations

import warnings
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.ctss import SEVERITY_CUTOFFS
from CovidSeverityLib.evaluation.estimates import Estimate, Statistic, bootstrap, rowwise
from CovidSeverityLib.evaluation.extras import require

LIMITS_SDS = 1.96
"""Half-width of the limits of agreement, standard deviations (Bland 1986, doi 10.1016/S0140-6736(86)90837-8)."""

SEVERITY_CLASSES = tuple(word for _, word in SEVERITY_CUTOFFS[1:])
"""Mild (including none), moderate, severe."""

MEASURES = (
    "pearson",
    "spearman",
    "icc_2_1",
    "mae",
    "rmse",
    "bias",
    "limit_low",
    "limit_high",
    "kappa_linear",
    "kappa_quadratic",
)
"""Names of the measures, in the order of the table."""


FEWEST_CASES = dict.fromkeys(MEASURES, 2) | {"mae": 1, "rmse": 1, "bias": 1, "icc_2_1": 3}
"""Number of cases that a measure needs (a correlation of two points is always 1 or -1, but it is defined)."""


def agreement(truth: Sequence[float], scores: Sequence[float]) -> Mapping[str, Estimate]:
    """Every measure of :data:`MEASURES`, over cases.

    Parameters
    ----------
    truth : sequence of float
        The radiologists' scores (CTSS, 0-25).
    scores : sequence of float
        The scores to compare, in the same order. ``bias`` is their mean minus that of the truth.

    Raises
    ------
    InputError
        If a library of the extra ``evaluate`` is missing.
    """
    require("scipy", "statsmodels", "pingouin")
    pairs = [np.asarray(truth, dtype=np.float64), np.asarray(scores, dtype=np.float64)]
    return MappingProxyType({name: _estimate(name, pairs) for name in MEASURES})


def severity_class(score: float) -> int:
    """Index into :data:`SEVERITY_CLASSES` of a CTSS of 0-25."""
    return bisect_left([highest for highest, _ in SEVERITY_CUTOFFS[1:]], score)


def severity_table(truth: Sequence[float] | NDArray, scores: Sequence[float] | NDArray) -> NDArray[np.int64]:
    """(3, 3) number of cases by severity: rows are the truth, columns the scores."""
    table = np.zeros((len(SEVERITY_CLASSES),) * 2, dtype=np.int64)
    np.add.at(table, ([severity_class(v) for v in truth], [severity_class(v) for v in scores]), 1)
    return table


def _estimate(name: str, pairs: list[NDArray[np.float64]]) -> Estimate:
    if len(pairs[0]) < FEWEST_CASES[name]:
        return Estimate(None, None, None, len(pairs[0]))
    found = bootstrap(pairs, _STATISTICS[name])
    if name != "icc_2_1" or found.value is None:
        return found
    return Estimate(_icc_2_1(*pairs), found.low, found.high, found.n)


def _icc_2_1(truth: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Intraclass correlation, two-way random effects, absolute agreement, single rater (Shrout 1979: ICC(2,1))."""
    import pandas as pd
    import pingouin

    n = len(truth)
    long = pd.DataFrame(
        {
            "case": np.tile(np.arange(n), 2),
            "rater": np.repeat(["truth", "score"], n),
            "value": np.concatenate([truth, scores]),
        }
    )
    # pingouin uses pandas in a way that newer versions warn of, and divides by the error, which may be 0
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        table = pingouin.intraclass_corr(long, targets="case", raters="rater", ratings="value")
    return float(table.loc[table["Type"].isin(("ICC(A,1)", "ICC2")), "ICC"].iloc[0])


def _icc_of_resamples(truth: NDArray, scores: NDArray, axis: int = -1) -> NDArray[np.float64]:
    """ICC(2,1) of many resamples at once, from the mean squares of two raters (pingouin needs 20 ms for each).

    Mean squares of rows: twice the variance of the pairs' means. Error: half the variance of their differences.
    Columns: half of n times the squared mean difference.
    """
    n = truth.shape[axis]
    difference = scores - truth
    rows = 2.0 * np.var((truth + scores) / 2.0, axis=axis, ddof=1)
    error = np.var(difference, axis=axis, ddof=1) / 2.0
    columns = n * np.mean(difference, axis=axis) ** 2 / 2.0
    return (rows - error) / (rows + error + 2.0 * (columns - error) / n)


def _pearson(truth: NDArray, scores: NDArray, axis: int = -1) -> NDArray[np.float64]:
    from scipy import stats

    with warnings.catch_warnings():  # a constant has no correlation: the result is NaN
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        return stats.pearsonr(truth, scores, axis=axis).statistic


def _spearman(truth: NDArray, scores: NDArray, axis: int = -1) -> NDArray[np.float64]:
    """Pearson's correlation of the ranks (ties share their mean rank)."""
    from scipy import stats

    return _pearson(stats.rankdata(truth, axis=axis), stats.rankdata(scores, axis=axis), axis=axis)


def _bias(truth: NDArray, scores: NDArray, axis: int = -1) -> NDArray[np.float64]:
    return np.mean(scores - truth, axis=axis)


def _mae(truth: NDArray, scores: NDArray, axis: int = -1) -> NDArray[np.float64]:
    return np.mean(np.abs(scores - truth), axis=axis)


def _rmse(truth: NDArray, scores: NDArray, axis: int = -1) -> NDArray[np.float64]:
    return np.sqrt(np.mean((scores - truth) ** 2, axis=axis))


def _limit(truth: NDArray, scores: NDArray, axis: int = -1, *, sign: int) -> NDArray[np.float64]:
    difference = scores - truth
    return np.mean(difference, axis=axis) + sign * LIMITS_SDS * np.std(difference, axis=axis, ddof=1)


def _kappa(truth: NDArray, scores: NDArray, *, weights: str) -> float:
    """Cohen's weighted kappa over the severity classes."""
    from statsmodels.stats.inter_rater import cohens_kappa

    kappa: Any = cohens_kappa(severity_table(truth, scores), wt=weights, return_results=False)
    return float(kappa)


_STATISTICS: dict[str, Statistic] = {
    "pearson": _pearson,
    "spearman": _spearman,
    "icc_2_1": _icc_of_resamples,
    "mae": _mae,
    "rmse": _rmse,
    "bias": _bias,
    "limit_low": partial(_limit, sign=-1),
    "limit_high": partial(_limit, sign=1),
    "kappa_linear": rowwise(partial(_kappa, weights="linear")),
    "kappa_quadratic": rowwise(partial(_kappa, weights="quadratic")),
}
