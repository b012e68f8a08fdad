"""The description in the configuration of a whole saved model, read as text and never executed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from CovidSeverityLib.classification.description import EFFICIENT_NETS
from CovidSeverityLib.errors import InputError

from .architecture import IMAGENET_SDS

NESTED = ("Functional", "Model", "Sequential")
"""Kinds of layers that contain layers."""

BACKBONE_LAYERS = {
    "InputLayer",
    "Rescaling",
    "Normalization",
    "ZeroPadding2D",
    "Conv2D",
    "DepthwiseConv2D",
    "BatchNormalization",
    "Activation",
    "Reshape",
    "Multiply",
    "Add",
    "Dropout",
    "MaxPooling2D",
    "GlobalAveragePooling2D",
    "Dense",
}
"""All kinds of layers in the backbones and the head."""

BACKBONE_ACTIVATIONS = {True: frozenset({"swish", "silu"}), False: frozenset({"relu"})}
"""Activations of an EfficientNet (True) and of a ResNet (False)."""

LOOSE = 1e-6
"""Relative tolerance for scales of the image: some are written with few digits."""


class _Layer(NamedTuple):
    kind: str
    config: Mapping[str, Any]


def saved_facts(config: Mapping[str, Any], backbone: str, name: str) -> dict[str, Any]:
    """Fields of the description that only a whole model contains.

    Parameters
    ----------
    config : mapping of str to any
        Configuration of the model, as ``model.save`` wrote it.
    backbone : str
        Backbone according to the weights.
    name : str
        Name of the file in messages.

    Returns
    -------
    dict of str to any
        ``imagenet_rescaling``, and ``size_px`` if the model has one.

    Raises
    ------
    InputError
        If the model differs from the published network.
    """
    try:
        layers = list(_layers(config))
        _check_kinds(layers, backbone, name)
        _check_head(layers, name)
        facts: dict[str, Any] = {"imagenet_rescaling": _rescaled(layers, backbone, name)}
        size = _size(layers, name)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, RecursionError) as error:
        raise InputError(f"{name} is damaged: its model_config is not what Keras writes") from error
    return facts if size is None else facts | {"size_px": size}


def _layers(config: Mapping[str, Any]) -> Iterator[_Layer]:
    """All layers in their order; a nested model is replaced by its layers."""
    if config["class_name"] not in NESTED:
        yield _Layer(config["class_name"], config["config"])
        return
    inner = config["config"]
    for layer in inner if isinstance(inner, list) else inner["layers"]:
        yield from _layers(layer)


def _check_kinds(layers: list[_Layer], backbone: str, name: str) -> None:
    strange = sorted({layer.kind for layer in layers} - BACKBONE_LAYERS)
    if strange:
        raise InputError(f"{name} holds a model with layers of another kind than the published: {', '.join(strange)}")
    wanted = BACKBONE_ACTIVATIONS[backbone in EFFICIENT_NETS]
    for layer in layers:
        if layer.kind == "Activation" and layer.config["activation"] not in wanted:
            raise InputError(f"{name} holds a model with activation {layer.config['activation']} in its {backbone}")


def _check_head(layers: list[_Layer], name: str) -> None:
    """Check the layers after the backbone, which ends with an activation: the mean, dense layers, dropout anywhere."""
    last = max(n for n, layer in enumerate(layers) if layer.kind == "Activation")
    head = [layer for layer in layers[last + 1 :] if layer.kind not in ("Dropout", "InputLayer")]
    if not head or head[0].kind != "GlobalAveragePooling2D" or any(layer.kind != "Dense" for layer in head[1:]):
        kinds = ", ".join(layer.kind for layer in head)
        raise InputError(f"{name} holds a model with {kinds} behind its backbone; the mean and dense layers are needed")
    activations = [layer.config["activation"] for layer in head[1:]]
    if activations != ["relu"] * (len(activations) - 1) + ["softmax"]:
        wanted = "relu, and softmax in the last, are needed"
        raise InputError(f"{name} holds a model with dense layers that end in {', '.join(activations)}; {wanted}")


def _rescaled(layers: list[_Layer], backbone: str, name: str) -> bool:
    """Whether the normalised image is divided once more; any other operation is refused."""
    scales = [layer.config["scale"] for layer in layers if layer.kind == "Rescaling"]
    plain = [1 / 255] if backbone in EFFICIENT_NETS else []
    for rescaled, wanted in ((False, plain), (True, [*plain, *(1 / np.sqrt(IMAGENET_SDS),) * bool(plain)])):
        if len(scales) == len(wanted) and all(_alike(s, w) for s, w in zip(scales, wanted, strict=True)):
            if any(np.any(layer.config.get("offset", 0)) for layer in layers if layer.kind == "Rescaling"):
                break
            return rescaled
    raise InputError(f"{name} holds a model that scales its image by {scales}, otherwise than {backbone} does")


def _alike(one: Any, other: Any) -> bool:  # noqa: ANN401 - one number or several
    one, other = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    return one.shape == other.shape and np.allclose(one, other, rtol=LOOSE, atol=0)


def _size(layers: list[_Layer], name: str) -> int | None:
    """Edge length of the image; None if the model accepts any."""
    image = next(layer.config for layer in layers if layer.kind == "InputLayer")
    shape = image.get("batch_input_shape") or image["batch_shape"]
    _, rows, columns, channels = shape
    if rows != columns or channels != 3:
        raise InputError(f"{name} holds a model of {rows} x {columns} x {channels} images; a square of 3 is needed")
    return rows
