"""A Gaussian mixture of Hounsfield units, fitted to their histogram.

Hounsfield units are integers: 60 000 lung voxels of a slice take at most 1400 values, and expectation maximisation over
(value, count) pairs is the same mathematics as over the voxels on a fortieth of the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.checked import HOUNSFIELD, Checked, Range

SQRT_TWO_PI = float(np.sqrt(2.0 * np.pi))
TINY, EPSILON = float(np.finfo(np.float64).tiny), float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class MixtureFit:
    """A three-component Gaussian mixture of Hounsfield units, components by ascending mean."""

    means_hu: tuple[float, ...]
    sds_hu: tuple[float, ...]
    weights: tuple[float, ...]
    log_likelihood: float
    iterations: int
    converged: bool


@dataclass(frozen=True)
class MixtureConfig(Checked):
    """How the mixture is fitted.

    Parameters
    ----------
    start_means_hu : tuple of float, HU
        First means: aerated lung, ground glass, soft tissue. From this start, expectation maximisation reached the best
        known optimum on every slice that was compared with random starts.
    variance_floor_hu2 : float, HU^2
        Added to every variance in every step (0.1 in the segmentation of the published method).
    tolerance : float, relative
        The iteration ends at this relative change of the log-likelihood. The published 1e-6 ends it early: means then
        depend on the start by hundreds of HU.
    max_iterations : int, iterations
        The iteration ends here in any case.

    Raises
    ------
    ConfigurationError
        If a value is of the wrong type or out of its range.
    """

    start_means_hu: tuple[Annotated[float, HOUNSFIELD], ...] = (-850.0, -500.0, 0.0)
    variance_floor_hu2: Annotated[float, Range(0)] = 0.1
    tolerance: Annotated[float, Range(0, 1)] = 1e-10
    max_iterations: Annotated[int, Range(1)] = 5000


def fit_mixture(
    values_hu: NDArray[np.integer], counts: NDArray[np.integer], config: MixtureConfig = MixtureConfig()
) -> MixtureFit | None:
    """Fit a Gaussian mixture to one histogram; see :func:`fit_mixtures`."""
    return fit_mixtures(values_hu, counts[None], config)[0]


def fit_mixtures(
    values_hu: NDArray[np.integer], counts: NDArray[np.integer], config: MixtureConfig = MixtureConfig()
) -> list[MixtureFit | None]:
    """Fit a Gaussian mixture to each of several histograms by expectation maximisation (Dempster 1977).

    The histograms share their values and are fitted side by side; each gives the same bits as it would alone.

    Parameters
    ----------
    values_hu : (N,) ndarray of int
        Distinct values, HU.
    counts : (S, N) ndarray of int
        How many voxels of each histogram have each value.
    config : MixtureConfig
        Start, regularisation and end of the iteration.

    Returns
    -------
    list of MixtureFit or None
        S fits, components by ascending mean; None for a histogram of fewer distinct values than components.
    """
    components = len(config.start_means_hu)
    fits: list[MixtureFit | None] = [None] * len(counts)
    rows = np.flatnonzero((counts > 0).sum(axis=1) >= components)
    values, voxels = values_hu.astype(np.float64), counts[rows].astype(np.float64)
    state = _start(values, voxels, config)
    previous = np.full(rows.size, -np.inf)
    for iteration in range(1, config.max_iterations + 1):
        if rows.size == 0:
            break
        log_likelihood = _step(values, voxels, state, config.variance_floor_hu2)
        converged = np.abs(log_likelihood - previous) <= config.tolerance * np.abs(log_likelihood)
        done = converged if iteration < config.max_iterations else np.ones_like(converged)
        for n in np.flatnonzero(done).tolist():
            fits[rows[n]] = _fit(state, n, float(log_likelihood[n]), iteration, bool(converged[n]))
        if done.any():
            rows, voxels, previous = rows[~done], voxels[~done], log_likelihood[~done]
            state = _State(state.means[~done], state.variances[~done], state.mixing[~done])
        else:
            previous = log_likelihood
    return fits


@dataclass
class _State:
    """Parameters of S mixtures, each (S, components)."""

    means: NDArray[np.float64]
    variances: NDArray[np.float64]
    mixing: NDArray[np.float64]


def _start(values: NDArray[np.float64], voxels: NDArray[np.float64], config: MixtureConfig) -> _State:
    """The configured means, the whole histogram's variance for every component, equal weights."""
    components = len(config.start_means_hu)
    total = voxels.sum(axis=1)
    mean = (voxels * values).sum(axis=1) / total
    variance = (voxels * (values - mean[:, None]) ** 2).sum(axis=1) / np.maximum(total - 1.0, 1.0)
    return _State(
        means=np.tile(np.array(config.start_means_hu, dtype=np.float64), (len(voxels), 1)),
        variances=np.repeat(variance[:, None] + config.variance_floor_hu2, components, axis=1),
        mixing=np.full((len(voxels), components), 1.0 / components),
    )


def _step(
    values: NDArray[np.float64], voxels: NDArray[np.float64], state: _State, variance_floor: float
) -> NDArray[np.float64]:
    """One expectation and one maximisation, in place; returns (S,) log-likelihoods of the parameters before.

    The largest exponent is taken out of every sum, so that a value far from all components does not underflow.
    """
    log_scale = np.log(np.maximum(state.mixing, TINY) / (SQRT_TWO_PI * np.sqrt(state.variances)))
    share = values - state.means[..., None]
    share *= share
    share *= (-0.5 / state.variances)[..., None]
    share += log_scale[..., None]
    largest = share.max(axis=1)
    share -= largest[:, None]
    np.exp(share, out=share)
    density = share.sum(axis=1)
    log_likelihood = (voxels * (largest + np.log(density))).sum(axis=1)
    share *= (voxels / density)[:, None]  # now the expected voxels of each component
    mass = np.maximum(share.sum(axis=2), TINY)
    state.mixing = mass / voxels.sum(axis=1)[:, None]
    state.means = (share * values).sum(axis=2) / mass
    deviation = values - state.means[..., None]
    deviation *= deviation
    deviation *= share
    state.variances = np.maximum(deviation.sum(axis=2) / mass + variance_floor, EPSILON)
    return log_likelihood


def _fit(state: _State, n: int, log_likelihood: float, iterations: int, converged: bool) -> MixtureFit:
    order = np.argsort(state.means[n], kind="stable")
    return MixtureFit(
        means_hu=tuple(state.means[n, order].tolist()),
        sds_hu=tuple(np.sqrt(state.variances[n, order]).tolist()),
        weights=tuple(state.mixing[n, order].tolist()),
        log_likelihood=log_likelihood,
        iterations=iterations,
        converged=converged,
    )
