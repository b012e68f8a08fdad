"""Load weights from a file into a network, and save them to a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.errors import InputError

from .architecture import IMAGENET_SDS, assembled, backbone_of, dense_layers, import_keras, settle_normalization
from .files import StoredNetwork, plain_name, read_array, write_weights

STATISTICS = ("mean", "variance", "count", "moving_mean", "moving_variance")
"""Weights that Keras does not train; Keras 2 stores them after all trained weights of a backbone."""

VARIANCE = "normalization/variance"
"""Name of the variance of the image's channels, in an EfficientNet."""


def build_network(description: NetworkDescription, imagenet: str | Path | None = None) -> Any:  # noqa: ANN401
    """The network of a description, ready for training.

    Parameters
    ----------
    description : NetworkDescription
        Description of the network. With ``imagenet_rescaling`` the variance of the normalisation includes the division.
    imagenet : str, Path, optional
        Initial weights of the backbone: ``"keras"`` lets Keras find or download ImageNet's weights; a path is a file in
        Keras's own format (``efficientnetb5_notop.h5``); None means random weights. The dense layers have random
        weights (``keras.utils.set_random_seed``).

    Returns
    -------
    any
        ``keras.Model`` of (N, size, size, 3) images, 0-255, to (N, 3) probabilities in the order of the description's
        classes. Its layers follow Keras's policy for mixed precision, its output is float32.

    Raises
    ------
    InputError
        If TensorFlow is not installed, or ImageNet's weights are not available or belong to another backbone.
    """
    if imagenet is not None and imagenet != "keras" and not Path(imagenet).is_file():
        raise InputError(f"no file of ImageNet weights at {imagenet}")
    model = assembled(description)
    if imagenet == "keras":
        _copy_backbone(_keras_backbone(description), model)
    elif imagenet is not None:
        _load_backbone(model, Path(imagenet), description.backbone)
    settle_normalization(model, description.imagenet_rescaling)
    return model


def fill(model: Any, stored: StoredNetwork, description: NetworkDescription) -> None:  # noqa: ANN401
    """Load the weights of a file into a network of :func:`~.architecture.assembled`.

    Dense layers are matched by their order, other layers by name.

    (Numbers in names depend on what was built before; a frozen layer changes the order of weights.)

    Raises
    ------
    InputError
        If the file has other weights, or weights that are not finite numbers.
    """
    units = ", ".join(str(n) for n in (*description.head_units, len(description.classes)))
    refusal = f"{stored.name} does not hold the weights of {description.backbone} with dense layers of {units} units"
    layers = dense_layers(model)
    if len(stored.dense) != len(layers):
        raise InputError(f"{refusal}: it has {len(stored.dense)} dense layers, not {len(layers)}")
    _assign(_variables(backbone_of(model)), stored.backbone, stored.name, f"{refusal}: in the backbone")
    for n, (layer, arrays) in enumerate(zip(layers, stored.dense, strict=True), start=1):
        _assign({w.name: w for w in layer.weights}, arrays, stored.name, f"{refusal}: in dense layer {n}")
    variance = stored.backbone.get(VARIANCE)
    settle_normalization(
        model, description.imagenet_rescaling, None if variance is None else read_array(variance, stored.name)
    )


def save_weights(model: Any, description: NetworkDescription, path: str | Path) -> None:  # noqa: ANN401
    """Write the weights of a network of :func:`build_network` in the layout of Keras 2, with the description.

    The same weights give the same bytes. The file appears when it is complete.

    Parameters
    ----------
    model : any
        Model that :func:`build_network` built from ``description``.
    description : NetworkDescription
        Description, which is written to the file for :func:`~.recognition.describe_weights`.
    path : str or Path
        Path of the file, ``.hdf5``.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    backbone = {name: np.asarray(w) for name, w in _variables(backbone_of(model)).items()}
    if description.imagenet_rescaling and VARIANCE in backbone:
        # in double precision, so that reading gives the same value again
        backbone[VARIANCE] = backbone[VARIANCE] / np.array(IMAGENET_SDS)
    trained_first = sorted(backbone, key=lambda name: name.split("/")[-1] in STATISTICS)
    layers = [(description.backbone.lower(), {_keras_2_name(name): backbone[name] for name in trained_first})]
    for n, layer in enumerate(dense_layers(model)):
        name = f"dense_{n}" if n else "dense"
        layers.append((name, {f"{name}/{w.name}:0": np.asarray(w) for w in layer.weights}))
    write_weights(path, layers, description.as_dict(), import_keras().__version__)


def _variables(backbone: Any) -> dict[str, Any]:  # noqa: ANN401
    """Variables by plain name, in the order of the layers."""
    return {plain_name(f"{layer.name}/{w.name}"): w for layer in backbone.layers for w in layer.weights}


def _keras_2_name(name: str) -> str:
    layer, kind = name.split("/")
    return f"{layer}/{'depthwise_kernel' if layer.endswith('dwconv') and kind == 'kernel' else kind}:0"


def _assign(variables: Mapping[str, Any], arrays: Mapping[str, Any], file: str, refusal: str) -> None:
    """Set all variables; all shapes are compared before an array is read."""
    ours = {name: tuple(w.shape) for name, w in variables.items()}
    theirs = {name: tuple(array.shape) for name, array in arrays.items()}
    different = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    if different:
        name = different[0]
        raise InputError(f"{refusal}, {_shape(theirs, name)} for {name}, where {_shape(ours, name)} is needed")
    for name, variable in variables.items():
        variable.assign(read_array(arrays[name], file))


def _shape(shapes: Mapping[str, tuple[int, ...]], name: str) -> str:
    return f"an array {shapes[name]}" if name in shapes else "nothing"


def _keras_backbone(description: NetworkDescription) -> Any:  # noqa: ANN401
    """The backbone with ImageNet's weights from Keras, which downloads them if they are not in its cache."""
    keras = import_keras()
    shape = (description.size_px, description.size_px, 3)
    try:
        backbone = getattr(keras.applications, description.backbone)
        return backbone(include_top=False, weights="imagenet", input_shape=shape)
    except Exception as error:  # Keras raises a plain Exception for a failed download
        message = f"Keras has no ImageNet weights of {description.backbone} to give: {_one_line(error)}"
        raise InputError(message) from error


def _copy_backbone(source: Any, model: Any) -> None:  # noqa: ANN401
    values = _variables(source)
    for name, variable in _variables(backbone_of(model)).items():
        variable.assign(values[name])


def _load_backbone(model: Any, path: Path, backbone: str) -> None:  # noqa: ANN401
    """Load a file that Keras publishes into the backbone, with Keras, which knows the old names."""
    try:
        backbone_of(model).load_weights(path)
    except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        message = f"{path.name} holds no weights of {backbone} as Keras publishes them (efficientnetb5_notop.h5)"
        raise InputError(f"{message}: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
