"""Masks of lungs and lobes that do not belong to their CT, or are no masks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from .entry import BadInput, chest, hu, write_image


def _mask(array: Callable[[], np.ndarray], folder: Path, **geometry) -> Path:
    return write_image(folder / "mask.nii.gz", array(), **geometry)


def _missing(folder: Path) -> Path:
    return folder / "mask.nii.gz"


def _garbage(folder: Path) -> Path:
    (folder / "mask.nii.gz").write_bytes(b"hello" * 100)
    return folder / "mask.nii.gz"


def _of(role: str, name: str, what: str, array: Callable[[], np.ndarray], expected: str, **geometry) -> BadInput:
    return BadInput(name, what, partial(_mask, array, **geometry), expected, role)


ENTRIES = (
    _of("lungs", "lungs-cropped", "a mask with fewer slices", lambda: chest().lungs[:20], r"its size is"),
    _of(
        "lungs",
        "lungs-spacing",
        "a mask of another spacing",
        lambda: chest().lungs,
        r"its spacing is",
        spacing_mm=(8.0, 8.0, 10.0),
    ),
    _of("lungs", "lungs-empty", "a mask without lungs", lambda: chest().lungs * np.uint8(0), r"has the labels none"),
    _of("lungs", "lungs-of-lobes", "lobes as lungs", lambda: chest().lobes, r"has the labels 1, 2, 3, 4, 5"),
    _of(
        "lungs",
        "lungs-swapped",
        "right and left swapped",
        lambda: np.array([0, 2, 1], np.uint8)[chest().lungs],
        r"on the patient's left",
    ),
    _of("lungs", "lungs-probability", "probabilities", lambda: chest().lungs * np.float32(0.5), r"holds fractions"),
    _of(
        "lungs",
        "lungs-nan",
        "no numbers",
        lambda: np.full(chest().lungs.shape, np.nan, np.float32),
        r"numbers that are not finite",
    ),
    _of("lungs", "lungs-ct", "the CT as its own mask", hu, r"labels from 0 on are needed"),
    _of("lobes", "lobes-labels", "unknown labels", lambda: chest().lobes * np.uint8(20), r"expected 1-5"),
    _of("lobes", "lobes-cropped", "a mask with fewer slices", lambda: chest().lobes[:20], r"its size is"),
    _of(
        "lobes",
        "lobes-swapped",
        "right and left swapped",
        lambda: np.array([0, 4, 5, 5, 1, 3], np.uint8)[chest().lobes],
        r"lobe",
    ),
    BadInput("lungs-missing", "no such mask", _missing, r"^no such .*mask: ", "lungs"),
    BadInput("lungs-garbage", "a text as mask", _garbage, r"mask\.nii\.gz is not a NIfTI file", "lungs"),
)
