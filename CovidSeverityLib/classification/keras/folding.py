"""Batch normalisation as part of the convolutions before it, for networks that are only used and not trained.

With fixed statistics a normalisation multiplies each channel of a convolution by a number and adds another one. The
factors can be part of the convolution's kernel; what is left is one addition, which TensorFlow joins with the
convolution.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .architecture import backbone_of, import_keras


def fold_normalization(model: Any) -> None:  # noqa: ANN401
    """Change a network in place: the same answers except for rounding, in less time. It can no longer be trained.

    ``gamma (k x + b - mean) / sd + beta = (k gamma / sd) x + (b - mean) gamma / sd + beta``

    Parameters
    ----------
    model : any
        Network of :func:`~.architecture.assembled` with its weights. Every batch normalisation of its backbone follows
        a convolution whose result nothing else uses.
    """
    layers = import_keras().layers

    class Shift(layers.BatchNormalization):
        """What is left of a normalisation: it adds ``beta``."""

        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:  # noqa: ANN401
            import tensorflow as tf

            return tf.nn.bias_add(inputs, tf.cast(self.beta, inputs.dtype))

    for norm in backbone_of(model).layers:
        if isinstance(norm, layers.BatchNormalization):
            convolution = norm.input._keras_history.operation
            gamma, beta, mean, variance = (weight.astype(np.float64) for weight in norm.get_weights())
            factor = gamma / np.sqrt(variance + norm.epsilon)
            kernel, *bias = convolution.get_weights()
            channels = (-1, 1) if isinstance(convolution, layers.DepthwiseConv2D) else (-1,)
            convolution.set_weights([kernel * factor.reshape(channels), *(0 * b for b in bias)])
            norm.beta.assign((sum(bias) - mean) * factor + beta)
            norm.__class__ = Shift
