"""The published network as a classifier of slices, from a file of weights.

Its parts are in the other modules of this package. Users of networks need only this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.checksums import sha256_of
from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.types import Diagnosis

from .architecture import assembled, backbone_of, dense_layers, feature_network, full_precision
from .files import opened
from .folding import fold_normalization
from .recognition import check_description, describe_weights, description_of
from .weights import build_network, fill, save_weights

__all__ = ["KerasClassifier", "build_network", "describe_weights", "load_classifier", "save_weights"]

BATCH, GPU_BATCH = 4, 16
"""Slices per batch of the network, on a processor and on a GPU: 1.5 GB for EfficientNetB5 at 512 pixels. More slices
are not faster on a processor. A single slice would be summed in an order that depends on the number of threads."""


def load_classifier(
    path: str | Path,
    description: NetworkDescription | None = None,
    name: str | None = None,
    batch: int | None = None,
) -> KerasClassifier:
    """Build the network of a file and load the file's weights. Nothing is downloaded.

    Batch normalisation becomes part of the convolutions (:func:`~.folding.fold_normalization`).

    Parameters
    ----------
    path : str or Path
        ``.hdf5`` or ``.h5`` in the layout of Keras 2: weights, a whole model, or a file of :func:`save_weights`.
    description : NetworkDescription, optional
        Description of the network; None reads it from the file (:func:`describe_weights`).
    name : str, optional
        Name for the user; None for the name of the file.
    batch : int, optional
        Slices per batch, at least 2; None for :data:`BATCH`, or more on a GPU. The answer does not depend on the number
        of slices in a call.

    Raises
    ------
    InputError
        If the file is missing, damaged or of another layout, does not contain the weights of the described network, or
        TensorFlow is not installed.
    """
    if batch is not None and batch < 2:
        raise ValueError(f"a batch of {batch} slices; at least 2 are needed")
    path = Path(path)
    with opened(path) as stored:
        if description is None:
            description = description_of(stored)
        else:
            check_description(stored, description)
        with full_precision():
            model = assembled(description)
        fill(model, stored, description)
        fold_normalization(model)
    return KerasClassifier(model, description, name or path.name, sha256_of(path), batch or _batch())


@dataclass(frozen=True, eq=False)
class KerasClassifier:
    """A Keras network as :class:`~.diagnosis.ExplainingClassifier`.

    Images are repeated to three channels. The network always gets ``batch`` images; the last batch is filled up with
    black images. The answer for an image therefore depends neither on the number of images in a call nor on the number
    of threads.

    Parameters
    ----------
    model : any
        ``keras.Model`` of (N, size, size, 3) images to probabilities, in the order of ``description.classes``.
    description : NetworkDescription
        Description of ``model``.
    name, sha256 : str
        Name and checksum of the file of weights.
    batch : int
        Images per batch, at least 2.
    """

    model: Any
    description: NetworkDescription
    name: str
    sha256: str
    batch: int = BATCH

    def __call__(self, images: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """(N, size, size) uint8 images to (N, 3) float32 probabilities, columns in the order of :class:`Diagnosis`.

        Raises
        ------
        ValueError
            If the images have another size or type.
        """
        self._check(images)
        answers = [np.zeros((0, len(Diagnosis)), dtype=np.float32)]
        with full_precision():
            answers += [np.asarray(self._probabilities(part))[:n] for part, n in self._parts(images)]
        return np.concatenate(answers)[:, np.argsort(self.description.classes)]

    def explain(self, images: NDArray[np.uint8], diagnoses: Sequence[Diagnosis], /) -> NDArray[np.float32]:
        """Where the network looked for one diagnosis of each image: Grad-CAM (Selvaraju et al., ICCV 2017).

        The map is the sum of the last features of the backbone, each weighted by the mean gradient of the diagnosis's
        output before the softmax. Negative values become 0, and the maximum of an image becomes 1.

        Parameters
        ----------
        images : (N, size, size) ndarray of uint8
        diagnoses : sequence of Diagnosis
            One for each image.

        Returns
        -------
        (N, rows, columns) ndarray of float32
            A 32nd of the image's edge; 0 everywhere if nothing supports the diagnosis.

        Raises
        ------
        ValueError
            If the images have another size or type, or there is not one diagnosis for each.

        References
        ----------
        doi:10.1109/ICCV.2017.74
        """
        self._check(images)
        if len(diagnoses) != len(images):
            raise ValueError(f"{len(diagnoses)} diagnoses for {len(images)} images")
        outputs = np.array([self.description.classes.index(d) for d in diagnoses], dtype=np.int32)
        rows, columns = backbone_of(self.model).output.shape[1:3]
        maps = [np.zeros((0, rows, columns), dtype=np.float32)]
        with full_precision():
            for (part, n), (chosen, _) in zip(self._parts(images), self._parts(outputs), strict=True):
                maps.append(np.asarray(self._evidence(part, chosen))[:n])
        evidence = np.concatenate(maps)
        largest = evidence.max(axis=(1, 2), keepdims=True, initial=0)
        return np.divide(evidence, largest, out=np.zeros_like(evidence), where=largest > 0)

    def _check(self, images: NDArray[np.uint8]) -> None:
        size = self.description.size_px
        if images.dtype != np.uint8 or images.shape[1:] != (size, size):
            wanted = f"(N, {size}, {size}) uint8"
            raise ValueError(f"images {images.shape} {images.dtype}; the network takes {wanted}")

    def _parts(self, values: NDArray) -> Iterator[tuple[NDArray, int]]:
        """``batch`` values at a time, filled up with zeros, and the number of values of the caller."""
        for first in range(0, len(values), self.batch):
            part = values[first : first + self.batch]
            padding = [(0, self.batch - len(part))] + [(0, 0)] * (values.ndim - 1)
            yield np.pad(part, padding), len(part)

    @cached_property
    def _probabilities(self) -> Callable[[NDArray], Any]:
        def probabilities(images: Any) -> Any:  # noqa: ANN401 - tensors
            return self.model(_channels(images), training=False)

        return _traced(probabilities, self._images_spec)

    @cached_property
    def _evidence(self) -> Callable[[NDArray, NDArray], Any]:
        import tensorflow as tf

        *hidden, last = dense_layers(self.model)
        see = feature_network(self.model)

        def evidence(images: Any, outputs: Any) -> Any:  # noqa: ANN401
            features = see(_channels(images), training=False)
            with tf.GradientTape() as tape:
                tape.watch(features)
                answer = tf.reduce_mean(features, axis=(1, 2))
                for layer in hidden:
                    answer = layer(answer)
                logits = tf.matmul(answer, last.kernel) + last.bias
                chosen = tf.gather(logits, outputs, axis=1, batch_dims=1)
            importance = tf.reduce_mean(tape.gradient(chosen, features), axis=(1, 2), keepdims=True)
            return tf.nn.relu(tf.reduce_sum(importance * features, axis=-1))

        return _traced(evidence, self._images_spec, tf.TensorSpec((self.batch,), tf.int32))

    @property
    def _images_spec(self) -> Any:  # noqa: ANN401
        import tensorflow as tf

        return tf.TensorSpec((self.batch, self.description.size_px, self.description.size_px), tf.uint8)


def _traced(function: Callable[..., Any], *specs: Any) -> Callable[..., Any]:  # noqa: ANN401 - TensorSpec
    """``function`` of arrays as one graph."""
    import tensorflow as tf

    graph = tf.function(function, input_signature=specs, autograph=False).get_concrete_function()
    return lambda *arrays: graph(*(tf.constant(array) for array in arrays))


def _channels(images: Any) -> Any:  # noqa: ANN401 - a tensor
    import tensorflow as tf

    return tf.repeat(tf.cast(images, tf.float32)[..., None], 3, axis=-1)


def _batch() -> int:
    import tensorflow as tf

    return GPU_BATCH if tf.config.list_physical_devices("GPU") else BATCH
