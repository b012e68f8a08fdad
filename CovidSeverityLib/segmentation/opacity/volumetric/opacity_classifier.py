"""A small network that tells how likely a place of the lungs is opacity, by its features.

``opacity_classifier.json`` beside this file is written by ``models/opacity_classifier``, which says what it was fitted
to: simulated opacities.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.checked import known
from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.types import frozen_array

from .config import FeatureConfig
from .lung_features import FEATURES

CLASSIFIER_FILE = "opacity_classifier.json"

SHARES = frozenset({"inside_fine", "inside_wide", "medial", "raised", "slice", "alone"})
"""Features that are no densities; they are taken as they are."""

CHUNK = 1 << 14
"""Places that are decided together: they stay in a processor's cache."""


def compressed(features: NDArray[np.float32], half_hu: float = FeatureConfig.half_hu) -> NDArray[np.float32]:
    """(F, N) features with densities compressed to -1 to 1: ``x / (|x| + half_hu)``."""
    rows = [
        row if name in SHARES else row / (np.abs(row) + np.float32(half_hu))
        for name, row in zip(FEATURES, features, strict=True)
    ]
    return np.stack(rows)


@dataclass(frozen=True, eq=False)
class OpacityClassifier:
    """Layers of a network: hyperbolic tangents, and the logit of the probability at the end.

    Parameters
    ----------
    weights : tuple of (inputs, outputs) ndarray of float32
        Of every layer.
    offsets : tuple of (outputs,) ndarray of float32
        Of every layer.
    """

    weights: tuple[NDArray[np.float32], ...]
    offsets: tuple[NDArray[np.float32], ...]

    def __post_init__(self) -> None:
        inputs = len(FEATURES)
        for w, b in zip(self.weights, self.offsets, strict=True):
            if w.shape != (inputs, len(b)):
                raise ValueError(f"a layer has weights {w.shape}; expected ({inputs}, {len(b)})")
            inputs = len(b)
        if inputs != 1:
            raise ValueError(f"the last layer has {inputs} outputs; expected 1")
        for name in ("weights", "offsets"):
            object.__setattr__(self, name, tuple(frozen_array(part) for part in getattr(self, name)))

    def logits(self, features: NDArray[np.float32], half_hu: float = FeatureConfig.half_hu) -> NDArray[np.float32]:
        """Log-odds of opacity.

        Sums run feature by feature, so that the bits depend neither on the number of threads nor on a matrix library.

        Parameters
        ----------
        features : (F, N) ndarray of float32
            Of every place.
        half_hu : float
            A density of this size becomes one half.

        Returns
        -------
        (N,) ndarray of float32
        """
        result = np.empty(features.shape[1], dtype=np.float32)

        def decide(start: int) -> None:
            values = compressed(features[:, start : start + CHUNK], half_hu)
            for n, (w, b) in enumerate(zip(self.weights, self.offsets, strict=True)):
                values = _layer(values, w, b)
                if n + 1 < len(self.weights):
                    np.tanh(values, out=values)
            result[start : start + CHUNK] = values[0]

        map_in_order(decide, range(0, len(result), CHUNK), "opacity", None)
        return result


def _layer(values: NDArray[np.float32], weights: NDArray[np.float32], offsets: NDArray[np.float32]) -> NDArray:
    """(outputs, N): offset and weighted inputs, summed in the order of the inputs: einsum calls no matrix library."""
    with_one = np.concatenate([np.ones_like(values[:1]), values])
    return np.einsum("fo,fn->on", np.concatenate([offsets[None], weights]), with_one)


def classifier_from(content: Mapping[str, Any]) -> OpacityClassifier:
    """The classifier that a file's content describes.

    Raises
    ------
    ValueError
        If its features are not those of this version.
    """
    if tuple(content["features"]) != FEATURES:
        raise ValueError(f"the classifier was fitted to other features: {content['features']}; expected {FEATURES}")
    layers = content["layers"]
    return OpacityClassifier(
        tuple(np.array(layer["weights"], dtype=np.float32) for layer in layers),
        tuple(np.array(layer["offsets"], dtype=np.float32) for layer in layers),
    )


@cache
def load_classifier() -> OpacityClassifier:
    """The classifier that ships with the library."""
    text = files(known(__package__)).joinpath(CLASSIFIER_FILE).read_text(encoding="utf-8")
    return classifier_from(json.loads(text))
