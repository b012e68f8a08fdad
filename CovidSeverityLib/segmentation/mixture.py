"""A Gaussian mixture of Hounsfield units, fitted to their histogram.

Hounsfield units are integers: 60 000 lung voxels of a slice take at most 1400 values, and expectation maximisation over
(value, count) pairs is the same mathematics as over the voxels at a fiftieth of the work.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.results import MixtureFit

SQRT_TWO_PI = float(np.sqrt(2.0 * np.pi))
TINY, EPSILON = float(np.finfo(np.float64).tiny), float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class MixtureConfig:
    """How the mixture is fitted.

    Parameters
    ----------
    start_means_hu : initial means: aerated lung, ground glass, soft tissue. From this start EM reached the best known
        optimum on every slice that was compared with random starts.
    variance_floor_hu2 : added to every variance in every step, HU^2 (0.1 in the published method's segmentation).
    tolerance : EM ends at this relative change of the log-likelihood. The published 1e-6 stops early: means then depend
        on the start by hundreds of HU.
    max_iterations : EM ends here in any case.
    """

    start_means_hu: tuple[float, ...] = (-850.0, -500.0, 0.0)
    variance_floor_hu2: float = 0.1
    tolerance: float = 1e-10
    max_iterations: int = 5000


def fit_mixture(
    values_hu: NDArray[np.integer], counts: NDArray[np.integer], config: MixtureConfig = MixtureConfig()
) -> MixtureFit | None:
    """Fit a Gaussian mixture by expectation maximisation (Dempster 1977).

    Parameters
    ----------
    values_hu : (N,) distinct values, HU.
    counts : (N,) how many voxels have each value.
    config : start, regularisation and end of the iteration.

    Returns
    -------
    MixtureFit, components by ascending mean; None if there are fewer distinct values than components.
    """
    seen = counts > 0
    values, voxels = values_hu[seen].astype(np.float64), counts[seen].astype(np.float64)
    components = len(config.start_means_hu)
    if values.size < components:
        return None
    total = voxels.sum()
    mean = (voxels * values).sum() / total
    variance = (voxels * (values - mean) ** 2).sum() / max(total - 1.0, 1.0)
    means = np.array(config.start_means_hu, dtype=np.float64)
    variances = np.full(components, variance + config.variance_floor_hu2)
    mixing = np.full(components, 1.0 / components)
    previous, converged, iteration = -np.inf, False, 0
    while not converged and iteration < config.max_iterations:
        iteration += 1
        responsibility, log_likelihood = _expectation(values, voxels, means, variances, mixing)
        means, variances, mixing = _maximisation(values, responsibility, total, config.variance_floor_hu2)
        converged = abs(log_likelihood - previous) <= config.tolerance * abs(log_likelihood)
        previous = log_likelihood
    order = np.argsort(means, kind="stable")
    return MixtureFit(
        means_hu=tuple(means[order].tolist()),
        sds_hu=tuple(np.sqrt(variances[order]).tolist()),
        weights=tuple(mixing[order].tolist()),
        log_likelihood=float(log_likelihood),
        iterations=iteration,
        converged=bool(converged),
    )


def _expectation(
    values: NDArray, counts: NDArray, means: NDArray, variances: NDArray, mixing: NDArray
) -> tuple[NDArray, float]:
    """(components, N) expected counts of every component, and the log-likelihood.

    The largest exponent is taken out of every sum, so that a value far from all components does not underflow.
    """
    log_scale = np.log(np.maximum(mixing, TINY) / (SQRT_TWO_PI * np.sqrt(variances)))
    log_joint = values - means[:, None]
    log_joint *= log_joint
    log_joint *= (-0.5 / variances)[:, None]
    log_joint += log_scale[:, None]
    largest = np.maximum.reduce(log_joint)
    log_joint -= largest
    joint = np.exp(log_joint, out=log_joint)
    density = np.add.reduce(joint)
    log_likelihood = float(np.add.reduce(counts * (largest + np.log(density))))
    joint *= counts / density
    return joint, log_likelihood


def _maximisation(
    values: NDArray, responsibility: NDArray, total: float, variance_floor: float
) -> tuple[NDArray, NDArray, NDArray]:
    mass = np.maximum(np.add.reduce(responsibility, axis=1), TINY)
    means = np.add.reduce(responsibility * values, axis=1) / mass
    deviation = values - means[:, None]
    deviation *= deviation
    deviation *= responsibility
    variances = np.add.reduce(deviation, axis=1) / mass + variance_floor
    return means, np.maximum(variances, EPSILON), mass / total
