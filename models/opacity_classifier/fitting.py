"""Fit a small network of features to the truth of blocks: weighted log-loss, by L-BFGS, from a fixed start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from CovidSeverityLib.segmentation.opacity_classifier import OpacityClassifier, compressed

from .cases import Sample

HIDDEN = (20, 10)
"""Units of the hidden layers."""

WEIGHT_DECAY = 2e-6
"""Of the squares of all weights but the offsets, per unit of sample weight."""

ITERATIONS = 600
SEED = 1


@dataclass(frozen=True)
class Quality:
    """Of blocks of cases that were not fitted."""

    log_loss: float
    auc: float
    calibration: tuple[tuple[float, float, float], ...]


def fit_network(samples: Sequence[Sample], iterations: int = ITERATIONS, log=None) -> OpacityClassifier:
    """Fit the network; every case counts the same."""
    x = compressed(np.concatenate([s.features for s in samples]).T).T
    truth = np.concatenate([s.truth for s in samples]).astype(np.float32)
    weight = np.concatenate([s.weight for s in samples]) / len(samples)
    mean, sd = x.mean(axis=0), x.std(axis=0) + 1e-6
    x = ((x - mean) / sd).astype(np.float32)
    sizes = (x.shape[1], *HIDDEN, 1)
    rng = np.random.default_rng(SEED)
    start = np.concatenate([
        np.concatenate([rng.standard_normal(a * b) / np.sqrt(a), np.zeros(b)]) for a, b in zip(sizes, sizes[1:])
    ])

    def loss(flat):
        layers = unpack(flat.astype(np.float32), sizes)
        outs = [x]
        for w, b in layers[:-1]:
            outs.append(np.tanh(outs[-1] @ w + b))
        logit = (outs[-1] @ layers[-1][0] + layers[-1][1])[:, 0]
        value = float(np.sum(weight * (np.logaddexp(0, logit) - truth * logit), dtype=np.float64))
        delta = (weight * (1 / (1 + np.exp(-logit)) - truth))[:, None]
        grads = []
        for n in range(len(layers) - 1, -1, -1):
            w, _ = layers[n]
            value += WEIGHT_DECAY * float((w * w).sum())
            grads.append(np.concatenate([(outs[n].T @ delta + 2 * WEIGHT_DECAY * w).ravel(), delta.sum(0)]))
            if n:
                delta = (delta @ w.T) * (1 - outs[n] ** 2)
        return value, np.concatenate(grads[::-1]).astype(np.float64)

    result = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": iterations, "maxcor": 20})
    layers = unpack(result.x, sizes)
    w0, b0 = layers[0]
    layers[0] = (w0 / sd[:, None], b0 - (mean / sd) @ w0)
    return OpacityClassifier(tuple(w.astype(np.float32) for w, _ in layers), tuple(b.astype(np.float32) for _, b in layers))


def unpack(flat, sizes):
    """Weights and offsets of every layer."""
    layers, at = [], 0
    for a, b in zip(sizes, sizes[1:]):
        layers.append((flat[at : at + a * b].reshape(a, b), flat[at + a * b : at + a * b + b]))
        at += a * b + b
    return layers


def quality_of(classifier: OpacityClassifier, samples: Sequence[Sample]) -> Quality:
    """Log-loss, area under the ROC curve, and how often what is told with a probability is true."""
    logit = np.concatenate([classifier.logits(s.features.T) for s in samples])
    truth = np.concatenate([s.truth for s in samples])
    weight = np.concatenate([s.weight for s in samples]).astype(np.float64)
    weight /= weight.sum()
    loss = float(np.sum(weight * (np.logaddexp(0, logit) - truth * logit)))
    p = 1 / (1 + np.exp(-logit.astype(np.float64)))
    edges = np.array([0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0])
    rows = []
    for low, high in zip(edges, edges[1:]):
        inside = (p >= low) & (p < high + (high == 1))
        w = weight[inside].sum()
        rows.append((float(w), float((weight * p)[inside].sum() / w), float((weight * truth)[inside].sum() / w)))
    return Quality(loss, _auc(logit, truth, weight), tuple(rows))


def _auc(logit, truth, weight) -> float:
    order = np.argsort(-logit, kind="stable")
    w, t = weight[order], truth[order]
    tp, fp = np.cumsum(w * t), np.cumsum(w * ~t)
    return float(np.trapezoid(tp, fp) / (tp[-1] * fp[-1]))
