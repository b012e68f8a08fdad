"""Volumes that are no chest CT in Hounsfield units, or only nearly."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .entry import OK, BadInput, chest, hu, write_image

AIR, WATER = -1000, 0
SHAPE = (24, 48, 48)


def _image(array: Callable[[], np.ndarray], folder: Path, file: str = "ct.nii.gz", **geometry) -> Path:
    return write_image(folder / file, array(), **geometry)


def _noisy(value: float) -> np.ndarray:
    return np.rint(value + np.random.default_rng(1).normal(0, 15, SHAPE)).astype(np.int16)


def _float_with(value: float, share: float) -> np.ndarray:
    """The chest as float32, with ``value`` in a share of its voxels."""
    array = hu().astype(np.float32)
    array[np.random.default_rng(2).random(SHAPE) < share] = value
    return array


def _everywhere(value: float) -> np.ndarray:
    return np.full(SHAPE, value, np.float32)


def _head() -> np.ndarray:
    """Skull and brain, with air in the sinuses and the mouth."""
    k, j, i = np.ogrid[-1:1:24j, -1:1:48j, -1:1:48j]
    r = (k / 0.95) ** 2 + (j / 0.75) ** 2 + (i / 0.6) ** 2
    array = np.full(SHAPE, -1000.0)
    for edge, value in ((1, 40), (0.85, 900), (0.7, 35)):
        array[r < edge] = value
    array[(k + 0.4) ** 2 / 0.02 + (j + 0.4) ** 2 / 0.03 + i**2 / 0.02 < 1] = -1000
    return np.rint(array + np.random.default_rng(3).normal(0, 15, SHAPE)).astype(np.int16)


def _abdomen() -> np.ndarray:
    """Fat, muscle, liver and spine; bowel with gas."""
    k, j, i = np.ogrid[-1:1:24j, -1:1:48j, -1:1:48j]
    array = np.full(SHAPE, -1000.0)
    for edge, value in ((0.9, -100), (0.8, 45)):
        array[np.broadcast_to((j / (edge * 0.7)) ** 2 + (i / edge) ** 2 < 1, SHAPE)] = value
    array[np.broadcast_to((j - 0.35) ** 2 + i**2 < 0.01, SHAPE)] = 400
    for centre in ((-0.5, -0.2, 0.3), (0.1, -0.3, -0.2), (0.5, -0.1, 0.1)):
        array[sum((x - c) ** 2 for x, c in zip((k, j, i), centre, strict=True)) < 0.02] = -1000
    return np.rint(array + np.random.default_rng(4).normal(0, 15, SHAPE)).astype(np.int16)


def _plane(folder: Path) -> Path:
    return write_image(folder / "ct.nii.gz", hu()[12])


def _time_series(folder: Path) -> Path:
    volume = sitk.GetImageFromArray(hu())
    sitk.WriteImage(sitk.JoinSeries([volume, volume]), str(folder / "ct.nii.gz"))
    return folder / "ct.nii.gz"


def _colours() -> np.ndarray:
    return np.zeros((*SHAPE, 3), np.uint8)


def _complex(folder: Path) -> Path:
    image = sitk.Cast(sitk.GetImageFromArray(hu().astype(np.float32)), sitk.sitkComplexFloat32)
    sitk.WriteImage(image, str(folder / "ct.mha"))
    return folder / "ct.mha"


def _window() -> np.ndarray:
    return np.clip((hu().astype(float) + 1000) / 1400 * 255, 0, 255).astype(np.uint8)


def _entry(name: str, what: str, array: Callable[[], np.ndarray], expected: str, **options) -> BadInput:
    return BadInput(name, what, partial(_image, array, **options), expected)


NO_IMAGE = r"nothing but air"
PEAKS = r"with peaks at .*; a chest CT in Hounsfield units is needed"

ENTRIES = (
    _entry("nan-some", "1 % of the voxels no numbers", lambda: _float_with(np.nan, 0.01), OK),
    _entry("nan-all", "no number", lambda: _everywhere(np.nan), r"no voxel holds a finite number"),
    _entry("infinite-some", "1 % infinite", lambda: _float_with(np.inf, 0.01), OK),
    _entry("minus-infinite-some", "1 % minus infinite", lambda: _float_with(-np.inf, 0.01), OK),
    _entry("infinite-all", "all infinite", lambda: _everywhere(np.inf), r"no voxel holds a finite number"),
    _entry("float-huge", "1 % of 1e38, which counts as metal", lambda: _float_with(1e38, 0.01), OK),
    _entry("only-air", "only air", lambda: _noisy(AIR), NO_IMAGE),
    _entry("only-water", "only water", lambda: _noisy(WATER), PEAKS),
    _entry("constant", "one value", lambda: np.full(SHAPE, 40, np.int16), r"every voxel is 40"),
    _entry("padding", "only padding", lambda: np.full(SHAPE, -2000, np.int16), r"every voxel is -2000"),
    _entry("noise", "noise", lambda: np.random.default_rng(5).integers(-1024, 1024, SHAPE).astype(np.int16), PEAKS),
    _entry("offset", "HU + 1024", lambda: hu() + np.int16(1024), OK),
    _entry("overflow", "HU as unsigned numbers", lambda: hu().view(np.uint16), PEAKS),
    _entry("scaled", "HU times 1.37", lambda: np.rint(hu() * 1.37).astype(np.int16), PEAKS),
    _entry("window", "a picture of a CT", _window, PEAKS),
    _entry("unit", "0 to 1", lambda: ((hu() + 1024) / 4095).astype(np.float32), PEAKS),
    _entry("swapped-bytes", "bytes in the wrong order", lambda: hu().byteswap(), PEAKS),
    _entry("mask", "the mask of the lungs", lambda: chest().lungs, PEAKS),
    _entry("mask-lobes", "the mask of the lobes", lambda: chest().lobes, PEAKS),
    _entry("mask-binary", "a mask of 0 and 1", lambda: (chest().lungs > 0).astype(np.uint8), PEAKS),
    _entry("head", "a head", _head, r"no lungs found"),
    _entry("abdomen", "an abdomen", _abdomen, r"no lungs found"),
    _entry("upside-down", "feet first", lambda: hu()[::-1].copy(), r"is upside down by the patient's own anatomy"),
    _entry("back-to-front", "mirrored at the front", lambda: hu()[:, ::-1].copy(), OK),
    _entry("colours", "three numbers a voxel", _colours, r"holds 3 numbers a voxel", file="ct.mha"),
    BadInput("plane", "a 2-D image", _plane, r"holds a 2-D image"),
    BadInput("time-series", "a 4-D image", _time_series, r"holds a 4-D image"),
    BadInput("complex", "complex numbers", _complex, r"holds 2 numbers a voxel|holds complex numbers"),
    _entry("one-voxel", "a single voxel", lambda: hu()[:1, :1, :1], r"2-D image|single"),
    _entry("two-slices", "two slices", lambda: hu()[12:14], r"slices|lungs"),
    _entry("tiny", "4 x 4 x 4 voxels", lambda: hu()[10:14, 20:24, 20:24], r"lungs|body|Hounsfield|wide|narrow|voxels"),
    _entry("giant", "20 mm voxels of 1.9 m", hu, r"wide", spacing_mm=(20.0, 20.0, 13.0)),
    _entry("dwarf", "0.5 mm voxels of 24 mm", hu, r"wide|narrow|mm", spacing_mm=(0.5, 0.5, 0.8)),
)
