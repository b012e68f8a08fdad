"""The devices of TensorFlow, and settings for reproducible bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

FULL_PRECISION, MIXED_PRECISION = "float32", "mixed_float16"

TENSOR_CORES_SINCE = (7, 0)
"""NVIDIA GPUs with this compute capability or a higher one are faster with 16 bits."""


def make_deterministic(seed: int) -> None:
    """From now on, make random numbers and sums of TensorFlow in this process depend only on ``seed``."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def strategy_for(devices: Sequence[str] | None = None) -> Any:  # noqa: ANN401 - tf.distribute.Strategy
    """The distribution of a network over devices: a copy on each of several GPUs, or on the only device.

    Parameters
    ----------
    devices : sequence of str, optional
        Names in TensorFlow ("GPU:0"); None for all GPUs.
    """
    import tensorflow as tf

    names = [device.name for device in tf.config.list_logical_devices("GPU")] if devices is None else list(devices)
    return tf.distribute.MirroredStrategy(names) if len(names) > 1 else tf.distribute.get_strategy()


def precision_for_machine() -> str:
    """:data:`MIXED_PRECISION` if it is faster on every GPU, otherwise :data:`FULL_PRECISION`."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    found = [tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus]
    return MIXED_PRECISION if found and min(found) >= TENSOR_CORES_SINCE else FULL_PRECISION


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Layers built in the ``with`` block compute with ``policy``; their weights always have 32 bits."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
