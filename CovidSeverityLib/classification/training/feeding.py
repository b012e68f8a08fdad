"""Examples for TensorFlow in batches; a batch is read while the previous one is used."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import Diagnosis

from .examples import Examples, labels_of

READERS = 2
"""Number of batches that are read at the same time: fast enough for any network, with few batches in memory."""


def training_batches(
    examples: Examples, order: NDArray[np.int64], batch_size: int, weights: NDArray[np.float64]
) -> Any:  # noqa: ANN401 - tf.data.Dataset
    """Batches of inputs, (n, 3) targets and (n,) weights, in the given order.

    Parameters
    ----------
    examples : Examples
        Examples for the training.
    order : ndarray of int64
        Numbers of examples.
    batch_size : int
        Examples per batch; the last batch may be smaller.
    weights : (3,) ndarray of float64
        Weights of the classes.
    """
    import tensorflow as tf

    labels = labels_of(examples.cases)[order]
    targets = np.eye(len(Diagnosis), dtype=np.float32)[labels]
    beside = tf.data.Dataset.from_tensor_slices((targets, weights[labels].astype(np.float32))).batch(batch_size)
    joined = tf.data.Dataset.zip((input_batches(examples, order, batch_size), beside))
    return joined.map(lambda inputs, rest: (inputs, rest[0], rest[1])).prefetch(1)


def input_batches(examples: Examples, order: NDArray[np.int64], batch_size: int) -> Any:  # noqa: ANN401
    """Batches of inputs in the given order: vectors, or images as float32 with three equal channels."""
    import tensorflow as tf

    example = examples.read(order[:1])

    def read(which: Any) -> Any:  # noqa: ANN401 - tensors
        found = tf.numpy_function(examples.read, [which], example.dtype, stateful=False)
        found.set_shape((None, *example.shape[1:]))
        return tf.repeat(tf.cast(found[..., None], tf.float32), 3, axis=-1) if example.ndim == 3 else found

    batches = tf.data.Dataset.from_tensor_slices(order).batch(batch_size)
    return batches.map(read, num_parallel_calls=READERS, deterministic=True).prefetch(1)


def predict(model: Any, examples: Examples, batch_size: int) -> NDArray[np.float32]:  # noqa: ANN401
    """(N, outputs) float32, the answer of the network for every example."""
    order = np.arange(sum(case.count for case in examples.cases))
    return np.asarray(model.predict(input_batches(examples, order, batch_size), verbose=0), dtype=np.float32)
