"""Weights and images that any version of Python and numpy makes alike, bit by bit; needs numpy alone.

ImageNet's weights are not at hand where tests run, and networks of random initial weights hardly look at the image:
batch norms that have seen none pass on what they get, and 0-255 goes in as it is.
"""

import re
import zlib

import numpy as np

NORMALIZATION = {"mean": (0.485, 0.456, 0.406), "variance": (0.229, 0.224, 0.225)}
"""What an EfficientNet's normalisation holds after ``weights="imagenet"``."""

CLASSES, LAST_GAIN = 3, 8.0
"""The last layer's kernel is so much larger, so that probabilities differ by more than 0.1."""


def weight(name, shape, scales):
    """The weight of this name, such as ``stem_conv/kernel:0``; numbers of unnamed layers do not matter.

    ``scales``: by name of a batch norm, the mean square of what it is given, to keep the size of what passes.
    """
    layer, kind = re.sub(r":\d+$", "", name).split("/")[-2:]
    layer = re.sub(r"^(normalization|dense)_\d+$", r"\1", layer)
    if layer == "normalization":
        return np.array(NORMALIZATION.get(kind, 0), dtype=np.float32 if kind in NORMALIZATION else np.int64)
    kind = kind.replace("depthwise_kernel", "kernel")
    seed = zlib.crc32(f"{layer}/{kind} {tuple(shape)}".encode())
    values = np.random.RandomState(seed).uniform(-1, 1, shape)
    middle = {"gamma": 1.0, "moving_variance": scales.get(layer, 1.0)}.get(kind, 0.0)
    return (values * _reach(layer, kind, shape, scales) + middle).astype(np.float32)


def images(number, size):
    """(number, size, size) uint8: a disc of its own size, place and brightness in each, and noise."""
    rows, columns = np.mgrid[:size, :size] / (size - 1.0)
    noise = np.random.RandomState(7).randint(0, 30, (number, size, size))
    pictures = []
    for n in range(number):
        away = (rows - 0.2 - 0.6 * (n % 3) / 2) ** 2 + (columns - 0.25 - 0.5 * (n % 2)) ** 2
        light, dark = (220 - 30 * n, 20 * n) if n % 2 else (60 + 30 * n, 150 - 30 * n)
        pictures.append(np.where(away < (0.15 + 0.06 * n) ** 2, light, dark))
    return (np.stack(pictures) + noise).clip(0, 255).astype(np.uint8)


def channels(pictures):
    """(N, size, size, 3) float32: the three channels of a grey image."""
    return np.repeat(pictures[..., None], 3, axis=-1).astype(np.float32)


def _reach(layer, kind, shape, scales):
    """Half the range of uniform values; that of kernels keeps the size of what they are given."""
    if kind == "kernel":
        inputs = int(np.prod(shape[:2] if "dwconv" in layer else shape[:-1]))
        return np.sqrt(3.0 / inputs) * (LAST_GAIN if shape[-1] == CLASSES else 1)
    scale = scales.get(layer, 1.0)
    return {"gamma": 0.2, "moving_variance": 0.3 * scale, "moving_mean": 0.1 * scale**0.5}.get(kind, 0.1)
