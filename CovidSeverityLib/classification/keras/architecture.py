"""The Keras network of a description, untrained: a backbone as one layer, its mean, and dense layers.

TensorFlow is imported when a network is built. The first import writes messages of TensorFlow about the processor to
standard error, unless the environment has :data:`HUSHED`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.errors import InputError

from .files import MISSING_TENSORFLOW

IMAGENET_SDS = (0.229, 0.224, 0.225)
"""Standard deviations of ImageNet's channels, in the range 0-1. Keras divides the normalised image once more by their
roots in an EfficientNet that is built with ``weights="imagenet"`` (TensorFlow issue 49930)."""

STANDARD_ERROR = 2
"""File descriptor of standard error."""

HUSHED = ("TF_CPP_MIN_LOG_LEVEL", "3")
"""Environment variable and value that suppress TensorFlow's messages; the command line sets them. TensorFlow uses them
only after its start; earlier messages are dropped here. With another value all messages are shown."""

ONE_KERNEL = ("TF_ENABLE_ONEDNN_OPTS", "1")
"""Environment variable and value for oneDNN's convolutions. TensorFlow uses them on its own only on newer processors.
Its other convolutions sum in an order that depends on the number of images, which changes the last bits of an
answer."""

CAFFE_MEANS = (103.939, 116.779, 123.68)
"""ImageNet's means of blue, green and red, in the range 0-255 (``keras.applications.resnet.preprocess_input``)."""


def import_keras() -> Any:  # noqa: ANN401 - an optional module
    """Keras on TensorFlow.

    Raises
    ------
    InputError
        If TensorFlow is not installed, or Keras is configured for another backend.
    """
    os.environ.setdefault(*ONE_KERNEL)
    try:
        with _start_hushed():
            import keras
            import tensorflow  # noqa: F401 - Keras may be installed without it
    except ImportError as error:
        raise InputError(MISSING_TENSORFLOW) from error
    if keras.backend.backend() != "tensorflow":
        running = keras.backend.backend()
        raise InputError(f"Keras runs on {running} here; classification needs KERAS_BACKEND=tensorflow")
    return keras


@contextmanager
def _start_hushed() -> Iterator[None]:
    """Drop messages on standard error while TensorFlow starts, if the environment suppresses messages."""
    name, silent = HUSHED
    if "tensorflow" in sys.modules or os.environ.get(name) != silent:
        yield
        return
    try:
        shown = os.dup(STANDARD_ERROR)
    except OSError:  # a program without a terminal may have no standard error
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), STANDARD_ERROR)
        yield
    finally:
        os.dup2(shown, STANDARD_ERROR)
        os.close(shown)


@contextmanager
def full_precision() -> Iterator[None]:
    """Build layers and run networks in full float32: neither in half precision nor in a GPU's TF32."""
    keras = import_keras()
    import tensorflow as tf

    policy, short = keras.config.dtype_policy(), tf.config.experimental.tensor_float_32_execution_enabled()
    keras.config.set_dtype_policy("float32")
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        tf.config.experimental.enable_tensor_float_32_execution(short)


def assembled(description: NetworkDescription) -> Any:  # noqa: ANN401
    """The network with random initial weights, without :func:`settle_normalization`.

    Returns
    -------
    any
        ``keras.Model`` of (N, size, size, 3) images, 0-255, to (N, classes) float32 probabilities.

    Raises
    ------
    InputError
        If TensorFlow is not installed.
    """
    keras = import_keras()
    shape = (description.size_px, description.size_px, 3)
    image = features = keras.Input(shape)
    if description.input_scaling == "caffe":
        features = keras.ops.flip(features, axis=-1)
        features = keras.layers.Normalization(mean=CAFFE_MEANS, variance=(1.0, 1.0, 1.0))(features)
    backbone = getattr(keras.applications, description.backbone)
    features = backbone(include_top=False, weights=None, input_shape=shape)(features)
    features = keras.layers.GlobalAveragePooling2D()(features)
    for units in description.head_units:
        features = keras.layers.Dense(units, activation="relu")(features)
    answer = keras.layers.Dense(len(description.classes), activation="softmax", dtype="float32")
    return keras.Model(image, answer(features))


def backbone_of(model: Any) -> Any:  # noqa: ANN401
    """The backbone of a network that :func:`assembled` built, as a separate model."""
    (backbone,) = (layer for layer in model.layers if hasattr(layer, "layers"))
    return backbone


def feature_network(model: Any) -> Any:  # noqa: ANN401
    """The network of :func:`assembled` up to the backbone's last features, with the same weights.

    Returns
    -------
    any
        ``keras.Model`` of (N, size, size, 3) images, 0-255, to (N, rows, columns, features).
    """
    keras = import_keras()
    (mean,) = (layer for layer in model.layers if isinstance(layer, keras.layers.GlobalAveragePooling2D))
    return keras.Model(model.input, mean.input)


def dense_layers(model: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """The dense layers of a network that :func:`assembled` built, in their order."""
    keras = import_keras()
    return tuple(layer for layer in model.layers if isinstance(layer, keras.layers.Dense))


def settle_normalization(model: Any, rescaled: bool, variance: NDArray | None = None) -> None:  # noqa: ANN401
    """Make the backbone use its loaded mean and variance.

    Without ``finalize_state`` Keras 3 continues to use those of the untrained layer.

    Parameters
    ----------
    model : any
        Model of :func:`assembled`.
    rescaled : bool
        Whether the variance includes the division by :data:`IMAGENET_SDS`.
    variance : NDArray, optional
        (3,) variance before that division, more precise than the network's own; None for the network's own.
    """
    keras = import_keras()
    for layer in backbone_of(model).layers:
        if isinstance(layer, keras.layers.Normalization):
            if rescaled:
                mean, own, count = layer.get_weights()
                divided = (own if variance is None else variance) * np.array(IMAGENET_SDS)
                layer.set_weights([mean, divided.astype(np.float32), count])
            layer.finalize_state()
