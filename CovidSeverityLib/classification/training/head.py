"""The dense layers after a frozen backbone: trained on standardised means, then inserted into the whole network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.classification.keras.architecture import dense_layers

from .examples import VectorExamples

SMALLEST_SPREAD = 1e-3
"""Smallest standard deviation of a feature, as a share of its largest value; smaller variation is rounding."""


@dataclass(frozen=True, eq=False)
class Standardisation:
    """``(features - means) / spreads``; both are (features,) float64."""

    means: NDArray[np.float64]
    spreads: NDArray[np.float64]

    @classmethod
    def of(cls, examples: VectorExamples) -> Standardisation:
        """Mean 0 and standard deviation 1 over ``examples``; a constant feature becomes 0."""
        vectors = examples.vectors.astype(np.float64)
        least = SMALLEST_SPREAD * np.abs(vectors).max(axis=0)
        spreads = np.maximum(vectors.std(axis=0), least)
        return cls(vectors.mean(axis=0), np.where(spreads > 0, spreads, 1.0))

    def applied(self, examples: VectorExamples) -> VectorExamples:
        """``examples`` with standardised vectors."""
        vectors = (examples.vectors - self.means) / self.spreads
        return VectorExamples(examples.cases, vectors.astype(np.float32))


def features_of(model: Any) -> Any:  # noqa: ANN401
    """The part of a whole network from the image to the backbone's mean, with shared layers."""
    import keras

    return keras.Model(model.input, dense_layers(model)[0].input)


def head_of(model: Any) -> Any:  # noqa: ANN401
    """A separate network of the dense layers of a whole network, with their current weights."""
    import keras

    dense = dense_layers(model)
    copies = [keras.layers.Dense.from_config(layer.get_config()) for layer in dense]
    head = keras.Sequential([keras.Input(dense[0].input.shape[1:]), *copies])
    head.set_weights([weight for layer in dense for weight in layer.get_weights()])
    return head


def put_head_back(head: Any, model: Any, standardisation: Standardisation) -> None:  # noqa: ANN401
    """Insert the dense layers of ``head`` into a whole network, with the standardisation in the first layer.

    ``((x - m) / s) W + b = x (W / s) + (b - (m / s) W)``: within rounding, the whole network gives the same answer as
    ``head`` for standardised means.
    """
    first, *others = head.layers
    kernel, bias = (weight.astype(np.float64) for weight in first.get_weights())
    scaled = kernel / standardisation.spreads[:, None]
    moved = bias - standardisation.means @ scaled
    layers = dense_layers(model)
    layers[0].set_weights([scaled.astype(np.float32), moved.astype(np.float32)])
    for layer, trained in zip(layers[1:], others, strict=True):
        layer.set_weights(trained.get_weights())
