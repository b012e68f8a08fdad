"""The network in a file of weights, from the file as far as possible, otherwise from the published network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from CovidSeverityLib.classification.description import BACKBONES, CLASS_NAMES, EFFICIENT_NETS, NetworkDescription
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Diagnosis

from .files import StoredNetwork, opened
from .saved_models import saved_facts

RESCALING_SINCE = (2, 9)
"""From this version on, Keras divides the normalised image once more by sqrt(sd) in an EfficientNet that is built with
``weights="imagenet"`` (and only then; TensorFlow issue 49930). Up to 2.8 it does not."""

EFFICIENT_NET_SIZES = {
    (16, 1280): "EfficientNetB0",
    (23, 1280): "EfficientNetB1",
    (23, 1408): "EfficientNetB2",
    (26, 1536): "EfficientNetB3",
    (32, 1792): "EfficientNetB4",
    (39, 2048): "EfficientNetB5",
    (45, 2304): "EfficientNetB6",
    (55, 2560): "EfficientNetB7",
}
"""Number of depthwise convolutions, and of features at the end (Tan and Le, 2019: depth and width of each)."""

RESNET_SIZES = {6: "ResNet50", 23: "ResNet101"}
"""Blocks of the fourth stage (He et al., 2016, table 1)."""

FIELD_WORDS = {
    "backbone": "backbone",
    "size_px": "size of the image",
    "head_units": "dense layers",
    "classes": "order of classes",
    "image": "classification image",
    "imagenet_rescaling": "second rescaling of the image",
    "input_scaling": "input scaling",
}
"""Fields of a description in words, for messages."""


def describe_weights(path: str | Path) -> NetworkDescription:
    """The network in a file of weights.

    A file of this library contains the whole description. In other files the backbone and the dense layers follow from
    the weights. A whole model also contains the size of its image and whether the image is rescaled a second time. The
    rest is assumed to be as published: 512 pixels; normal, CAP, COVID-19; images as published. A file of weights alone
    does not show the second rescaling. The network is then assumed to have started from ImageNet's weights, like the
    published one, and the version of Keras that wrote the file decides (:data:`RESCALING_SINCE`).

    Parameters
    ----------
    path : str or Path
        ``.hdf5`` or ``.h5``, written by ``model.save_weights`` or ``model.save`` of Keras 2.

    Raises
    ------
    InputError
        If the file is missing or damaged, or does not contain such a network.
    """
    with opened(path) as stored:
        return description_of(stored)


def description_of(stored: StoredNetwork) -> NetworkDescription:
    """The description of an open file; see :func:`describe_weights`."""
    known = _known(stored)
    if stored.own is not None:
        description = NetworkDescription.from_dict(stored.own, stored.name)
        check_description(stored, description)
        return description
    guessed = known["backbone"] in EFFICIENT_NETS and stored.keras >= RESCALING_SINCE
    fields: dict[str, Any] = {"imagenet_rescaling": guessed} | known
    return NetworkDescription(**fields)


def check_description(stored: StoredNetwork, description: NetworkDescription) -> None:
    """Refuse a description that contradicts the file.

    Raises
    ------
    InputError
        If they contradict each other; the message gives both.
    """
    known = _known(stored)
    if stored.own is not None:
        own = NetworkDescription.from_dict(stored.own, stored.name)
        known = {field: getattr(own, field) for field in FIELD_WORDS} | known
    told = {field: getattr(description, field) for field in known}
    for field, value in known.items():
        if told[field] != value:
            raise InputError(
                f"{stored.name} and its description contradict each other: {FIELD_WORDS[field]} "
                f"{_shown(value)} in the file, {_shown(told[field])} in the description"
            )


def _shown(value: Any) -> str:  # noqa: ANN401 - value of any field
    if isinstance(value, tuple):
        return f"({', '.join(map(_shown, value))})"
    return CLASS_NAMES[value] if isinstance(value, Diagnosis) else str(value)


def _known(stored: StoredNetwork) -> dict[str, Any]:
    """Fields of the description that follow from the weights and from the configuration of a whole model."""
    backbone = _backbone(stored)
    kernels = [layer["kernel"].shape for layer in stored.dense if "kernel" in layer]
    classes = kernels[-1][-1] if kernels else 0
    if classes != len(Diagnosis):
        raise InputError(f"{stored.name} tells {classes} classes apart; {len(Diagnosis)} are needed")
    known = {"backbone": backbone, "head_units": tuple(int(shape[-1]) for shape in kernels[:-1])}
    return known if stored.config is None else known | saved_facts(stored.config, backbone, stored.name)


def _backbone(stored: StoredNetwork) -> str:
    names = stored.backbone
    if "top_conv/kernel" in names:
        convolutions = sum(name.endswith("_dwconv/kernel") for name in names)
        found = EFFICIENT_NET_SIZES.get((convolutions, int(names["top_conv/kernel"].shape[-1])))
    else:
        found = RESNET_SIZES.get(sum(bool(re.match(r"conv4_block\d+_1_conv/kernel$", name)) for name in names))
    if found is None:
        raise InputError(f"{stored.name} holds no backbone that is known; there are {', '.join(BACKBONES)}")
    return found
