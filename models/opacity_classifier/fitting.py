"""Fit a small network of features to the truth of blocks: weighted log-loss, by L-BFGS, from a fixed start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag
from scipy.optimize import minimize
from scipy.special import expit

from CovidSeverityLib.segmentation.opacity.volumetric.opacity_classifier import OpacityClassifier, compressed

from .cases import Sample

HIDDEN = (20, 10)
"""Units of the hidden layers."""

WEIGHT_DECAY = 2e-6
"""Of the squares of all weights but the offsets; the weights of all blocks sum to 1."""

LEAST_SHARE = 0.05
"""The opacities of a case count as much as if they covered this share of the lungs: a nodule of a millilitre is as
important as a field of ground glass, and would otherwise be lost among the vessels of its size."""

ITERATIONS = 220

CALIBRATION_EDGES = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)
"""Probabilities between which it is counted how often opacity is true."""

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class Quality:
    """Of blocks of cases that were not fitted.

    Parameters
    ----------
    log_loss : float
        Mean of minus the logarithm of the probability of what is true.
    auc : float
        Area under the ROC curve.
    calibration : tuple of (float, float, float)
        For each range of probabilities the share of blocks, the mean probability and the share that is true.
    """

    log_loss: float
    auc: float
    calibration: tuple[tuple[float, float, float], ...]


def fit_network(samples: Sequence[Sample], iterations: int = ITERATIONS, seed: int = 1) -> OpacityClassifier:
    """Fit a network; every case counts the same, and its opacities for :data:`LEAST_SHARE` of it at least.

    ``seed`` is that of the start.
    """
    x = compressed(np.concatenate([s.features for s in samples]).T).T
    truth = np.concatenate([s.truth for s in samples]).astype(np.float32)
    weight = np.concatenate([_raised(s) for s in samples]) / np.float32(len(samples))
    mean, sd = x.mean(axis=0), x.std(axis=0) + np.float32(1e-6)
    x = (x - mean) / sd
    sizes = (x.shape[1], *HIDDEN, 1)

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        return _loss(_layers(flat.astype(np.float32), sizes), x, truth, weight)

    options = {"maxiter": iterations, "maxcor": 20}
    found = minimize(loss, _start(sizes, seed), jac=True, method="L-BFGS-B", options=options).x.astype(np.float32)
    (first, offset), *others = _layers(found, sizes)
    layers = [(first / sd[:, None], offset - (mean / sd) @ first), *others]
    return OpacityClassifier(tuple(w for w, _ in layers), tuple(b for _, b in layers))


def committee(members: Sequence[OpacityClassifier]) -> OpacityClassifier:
    """One network whose log-odds are the mean of those of ``members``: they stand side by side in it."""
    weights = [np.hstack([m.weights[0] for m in members])]
    weights += [block_diag(*(m.weights[n] for m in members)) for n in range(1, len(HIDDEN))]
    weights.append(np.vstack([m.weights[-1] for m in members]) / len(members))
    offsets = [np.concatenate([m.offsets[n] for m in members]) for n in range(len(HIDDEN))]
    offsets.append(np.mean([m.offsets[-1] for m in members], axis=0))
    return OpacityClassifier(*(tuple(a.astype(np.float32) for a in arrays) for arrays in (weights, offsets)))


def _raised(sample: Sample) -> NDArray[np.float32]:
    """Weights of a case's blocks; those of few opacities raised."""
    share = float(sample.weight[sample.truth].sum())
    raise_by = max(1.0, LEAST_SHARE / share) if share else 1.0
    return np.where(sample.truth, np.float32(raise_by) * sample.weight, sample.weight)


def _start(sizes: Sequence[int], seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    parts = [(rng.standard_normal(a * b) / np.sqrt(a), np.zeros(b)) for a, b in pairwise(sizes)]
    return np.concatenate([np.concatenate(part) for part in parts])


def _layers(flat: NDArray, sizes: Sequence[int]) -> list[Layer]:
    """Weights and offsets of every layer."""
    layers, at = [], 0
    for a, b in pairwise(sizes):
        layers.append((flat[at : at + a * b].reshape(a, b), flat[at + a * b : at + a * b + b]))
        at += a * b + b
    return layers


def _loss(
    layers: Sequence[Layer], x: NDArray[np.float32], truth: NDArray[np.float32], weight: NDArray[np.float32]
) -> tuple[float, NDArray[np.float64]]:
    """Weighted log-loss with weight decay, and its gradient (back-propagation)."""
    outputs = [x]
    for w, b in layers[:-1]:
        outputs.append(np.tanh(outputs[-1] @ w + b))
    logit = (outputs[-1] @ layers[-1][0] + layers[-1][1])[:, 0]
    value = float(np.sum(weight * (np.logaddexp(0, logit) - truth * logit), dtype=np.float64))
    delta = (weight * (expit(logit) - truth))[:, None]
    gradients: list[NDArray] = []
    for n in range(len(layers) - 1, -1, -1):
        w, _ = layers[n]
        value += WEIGHT_DECAY * float((w * w).sum())
        own = outputs[n].T @ delta + 2 * WEIGHT_DECAY * w
        gradients.append(np.concatenate([own.ravel(), delta.sum(axis=0)]))
        if n:
            delta = (delta @ w.T) * (1 - outputs[n] ** 2)
    return value, np.concatenate(gradients[::-1]).astype(np.float64)


def quality_of(classifier: OpacityClassifier, samples: Sequence[Sample]) -> Quality:
    """Log-loss, area under the ROC curve, and how often what is told with a probability is true."""
    logit = np.concatenate([classifier.logits(s.features.T) for s in samples]).astype(np.float64)
    truth = np.concatenate([s.truth for s in samples])
    weight = np.concatenate([s.weight for s in samples]).astype(np.float64) / len(samples)
    loss = float(np.sum(weight * (np.logaddexp(0, logit) - truth * logit)))
    p, rows = expit(logit), []
    for low, high in pairwise(CALIBRATION_EDGES):
        part = np.where((p >= low) & (p < high), weight, 0.0)
        if part.any():
            rows.append((float(part.sum()), float(part @ p / part.sum()), float(part @ truth / part.sum())))
    return Quality(loss, _auc(logit, truth, weight), tuple(rows))


def _auc(logit: NDArray[np.float64], truth: NDArray[np.bool_], weight: NDArray[np.float64]) -> float:
    order = np.argsort(-logit, kind="stable")
    right, wrong = (np.cumsum(np.where(kind[order], weight[order], 0.0)) for kind in (truth, ~truth))
    return float(np.trapezoid(right, wrong) / (right[-1] * wrong[-1]))
