"""The published network: EfficientNet with three dense layers, from a file of weights that Keras 2 wrote.

TensorFlow is imported when a classifier is loaded and not before. The first import writes lines of TensorFlow's own
about the processor to standard error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Diagnosis

from .description import HEAD_UNITS, NETWORK_SIZE_PX
from .diagnosis import SliceClassifier

BACKBONES = tuple(f"EfficientNetB{n}" for n in range(8))
"""Networks of ``keras.applications`` that take 0-255 and normalise it themselves."""

RESCALING_SINCE = (2, 9)
"""Keras from this version on divides the normalised image by sqrt(sd) once more in an EfficientNet that is built with
``weights="imagenet"`` (and only then; TensorFlow issue 49930). Up to 2.8 it did not."""

IMAGENET_SDS = (0.229, 0.224, 0.225)
"""Standard deviations of ImageNet's channels, of the range 0-1, that this division is by the root of."""

KERAS_2_NAMES = (
    (re.compile(r":\d+$"), ""),
    (re.compile(r"(^|/)normalization_\d+/"), r"\1normalization/"),
    (re.compile(r"/depthwise_kernel$"), "/kernel"),
)
"""What differs in the name of a weight: Keras 2 ends it in ``:0``, Keras numbers layers without a name of their own,
and depthwise kernels are plain kernels in Keras 3."""

Weights = dict[str, NDArray]


def load_classifier(
    path: str | Path,
    backbone: str = "EfficientNetB5",
    size_px: int = NETWORK_SIZE_PX,
    imagenet_rescaling: bool | None = None,
) -> SliceClassifier:
    """Build the published network and fill it with the weights of a file. Nothing is downloaded.

    Parameters
    ----------
    path : ``.hdf5`` or ``.h5`` as Keras 2's ``model.save_weights`` writes it.
    backbone : one of :data:`BACKBONES`.
    size_px : edge of the square image that the network was trained on.
    imagenet_rescaling : whether the network was trained with the division of :data:`RESCALING_SINCE`, which has no
        weights and leaves no trace in the file. None goes by the version of Keras that the file says wrote it, and
        takes the network to have begun with ImageNet's weights, as the published one did: the published files are from
        Keras 2.4, before that division; today's ``weights="imagenet"`` would predict with a contrast twice too strong.

    Returns
    -------
    Classifier of (N, size_px, size_px) uint8 images, which are repeated to three channels.

    Raises
    ------
    InputError
        If there is no such backbone, the file is missing or does not hold this network's weights, or TensorFlow is not
        installed.
    """
    path = Path(path)
    if backbone not in BACKBONES:
        raise InputError(f"no backbone {backbone!r}; there are {', '.join(BACKBONES)}")
    if not path.is_file():
        raise InputError(f"no file of classifier weights at {path}")
    keras = _import_keras()
    groups, version = _read(path)
    model = _build(keras, backbone, size_px)
    dense = ", ".join(str(units) for units in (*HEAD_UNITS, len(Diagnosis)))
    _fill(model, groups, f"{path.name} does not hold the weights of {backbone} with dense layers of {dense} units")
    rescaled = version >= RESCALING_SINCE if imagenet_rescaling is None else imagenet_rescaling
    _settle_normalization(keras, model, rescaled)
    return _KerasClassifier(model, size_px)


@dataclass(frozen=True, eq=False)
class _KerasClassifier:
    """A Keras model as :class:`~.diagnosis.SliceClassifier`."""

    model: Any
    size_px: int

    def __call__(self, images: NDArray[np.uint8], /) -> NDArray[np.float32]:
        if images.dtype != np.uint8 or images.shape[1:] != (self.size_px, self.size_px):
            wanted = f"(N, {self.size_px}, {self.size_px}) uint8"
            raise ValueError(f"images {images.shape} {images.dtype}; the network takes {wanted}")
        if len(images) == 0:
            return np.zeros((0, len(Diagnosis)), dtype=np.float32)
        channels = np.repeat(images[..., None].astype(np.float32), 3, axis=-1)
        return np.asarray(self.model.predict_on_batch(channels), dtype=np.float32)


def _import_keras() -> Any:  # noqa: ANN401 - a module that need not be there
    try:
        import keras
    except ImportError as error:
        message = 'classification needs TensorFlow, which is not installed: pip install "covid-severity[classify]"'
        raise InputError(message) from error
    return keras


def _build(keras: Any, backbone: str, size_px: int) -> Any:  # noqa: ANN401
    """The network, untrained; the backbone is one layer of it, as in the authors' files."""
    shape = (size_px, size_px, 3)
    image = keras.Input(shape)
    features = getattr(keras.applications, backbone)(include_top=False, weights=None, input_shape=shape)(image)
    features = keras.layers.GlobalAveragePooling2D()(features)
    for units in HEAD_UNITS:
        features = keras.layers.Dense(units, activation="relu")(features)
    return keras.Model(image, keras.layers.Dense(len(Diagnosis), activation="softmax")(features))


def _read(path: Path) -> tuple[list[Weights], tuple[int, int]]:
    """Weights of every layer that has any, by name and in the file's order, and the Keras that wrote them."""
    import h5py

    if not h5py.is_hdf5(path):
        raise InputError(f"{path.name} is not an HDF5 file; weights as Keras 2 saves them (.hdf5) are needed")
    try:
        with h5py.File(path) as file:
            if "model_config" in file.attrs:
                raise InputError(f"{path.name} is a whole saved model; save its weights alone with model.save_weights")
            layers = _names(file, "layer_names")
            groups = [{_plain(n): file[layer][n][()] for n in _names(file[layer], "weight_names")} for layer in layers]
            version = _version(file.attrs.get("keras_version", ""))
    except (KeyError, OSError) as error:
        raise InputError(f"{path.name} is damaged: not all the weights that it names can be read") from error
    if not layers:
        raise InputError(f"{path.name} holds no weights in the layout of Keras 2 (model.save_weights to .hdf5)")
    return [group for group in groups if group], version


def _names(group: Any, attribute: str) -> list[str]:  # noqa: ANN401
    """A list of names, which Keras 2 cuts into ``attribute0``, ``attribute1``... where it is too long for HDF5."""

    def parts() -> Iterator[Any]:
        if attribute in group.attrs:
            yield group.attrs[attribute]
        n = 0
        while f"{attribute}{n}" in group.attrs:
            yield group.attrs[f"{attribute}{n}"]
            n += 1

    return [_text(name) for part in parts() for name in part]


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _version(stored: str | bytes) -> tuple[int, int]:
    """Major and minor; (0, 0) where the file does not say, as before Keras 2."""
    found = re.match(r"(\d+)\.(\d+)", _text(stored))
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _plain(name: str) -> str:
    """The last two parts of a weight's name, layer and weight, as Keras 3 calls them."""
    for pattern, replacement in KERAS_2_NAMES:
        name = pattern.sub(replacement, name)
    return "/".join(name.split("/")[-2:])


def _fill(model: Any, groups: list[Weights], refusal: str) -> None:  # noqa: ANN401
    """Give every layer its weights: backbone by name (a frozen layer changes their order), dense layers in turn."""
    layers = [layer for layer in model.layers if layer.weights]
    if len(groups) != len(layers):
        raise InputError(f"{refusal}: it has {len(groups)} layers with weights, not {len(layers)}")
    classes = next((w.shape[-1] for name, w in groups[-1].items() if name.endswith("/kernel") and w.ndim), None)
    if classes != len(Diagnosis):
        raise InputError(f"{refusal}: it tells {classes} classes apart")
    for layer, group in zip(layers, groups, strict=True):
        nested = hasattr(layer, "layers")
        ours = {_plain(w.path) if nested else w.name: w for w in layer.weights}
        theirs = group if nested else {name.split("/")[-1]: w for name, w in group.items()}
        if {n: tuple(w.shape) for n, w in ours.items()} != {n: w.shape for n, w in theirs.items()}:
            raise InputError(f"{refusal}: the weights for {layer.name} differ in name or shape")
        for name, variable in ours.items():
            variable.assign(theirs[name])


def _settle_normalization(keras: Any, model: Any, rescaled: bool) -> None:  # noqa: ANN401
    """Make the backbone use its stored mean and variance, the division by sqrt(sd) put into the variance.

    Without ``finalize_state`` Keras 3 goes on with those of the untrained layer.
    """
    (backbone,) = (layer for layer in model.layers if hasattr(layer, "layers"))
    (normalization,) = (layer for layer in backbone.layers if isinstance(layer, keras.layers.Normalization))
    if rescaled:
        mean, variance, count = normalization.get_weights()
        normalization.set_weights([mean, variance * np.array(IMAGENET_SDS, dtype=variance.dtype), count])
    normalization.finalize_state()
