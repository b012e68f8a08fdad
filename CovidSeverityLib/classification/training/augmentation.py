"""Changed images of slices for training: mirrored, moved, turned, and with other densities.

Left and right may be exchanged, because the diagnosis of a patient does not depend on the side. Front and back may not:
no scanner shows a patient that way, and opacities of COVID-19 are mostly at the back.

What is changed depends only on the seed, the epoch, the CT and the slice, not on threads or on the order of reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.checked import Checked, Count, Range, Share


@dataclass(frozen=True)
class AugmentationConfig(Checked):
    """How much images are changed. Every change is drawn evenly from its range.

    Parameters
    ----------
    mirror : float, share of images
        Left and right are exchanged in these.
    shift : float, share of the edge
        Largest shift along each axis. Patients are seldom further from the middle of the field of view.
    rotation_deg : float, degrees
        Largest rotation. Patients lie flat on the table within a few degrees.
    gain : float, share
        Largest change of the grey values, which are HU + 1024, stretched so that the brightest point of the slice is
        255. That point changes from slice to slice, and density with breath, scanner and contrast agent. Air outside
        the lungs is 0 and stays 0, so there is no offset.
    copies : int
        Versions of a training slice for a frozen backbone, the unchanged one included. They are made once, and the
        epochs take turns. Each copy costs a pass of all training slices through the backbone.

    Raises
    ------
    ConfigurationError
        If a value is of the wrong type or out of its range.
    """

    mirror: Share = 0.5
    shift: Annotated[float, Range(0, 0.5)] = 0.05
    rotation_deg: Annotated[float, Range(0, 180)] = 8.0
    gain: Annotated[float, Range(0, 1)] = 0.1
    copies: Count = 2


@dataclass(frozen=True)
class Augmentation:
    """The changes of one epoch, from 1 on."""

    config: AugmentationConfig
    seed: int
    epoch: int = 1

    def applied(self, images: NDArray[np.uint8], case: str, slices: Sequence[int]) -> NDArray[np.uint8]:
        """Changed images of a CT.

        Parameters
        ----------
        images : (n, size, size) ndarray of uint8
        case : str
            Name of the CT.
        slices : sequence of int
            Number of each slice in the CT.
        """
        name = crc32(case.encode())
        changed = [
            _changed(image, self.config, np.random.default_rng((self.seed, self.epoch, name, number)))
            for image, number in zip(images, slices, strict=True)
        ]
        return np.stack(changed)


def _changed(image: NDArray[np.uint8], config: AugmentationConfig, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One movement to the nearest pixel, which keeps lines as thin and as bright as they are, and the gain."""
    mirrored = -1 if rng.random() < config.mirror else 1
    angle = np.deg2rad(rng.uniform(-config.rotation_deg, config.rotation_deg))
    size = np.array(image.shape)
    shift = rng.uniform(-config.shift, config.shift, 2) * size
    gain = 1 + rng.uniform(-config.gain, config.gain)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * (1, mirrored)
    centre = (size - 1) / 2
    moved = ndimage.affine_transform(image, matrix, centre - matrix @ (centre + shift), order=0, mode="constant")
    return np.clip(np.rint(gain * moved), 0, 255).astype(np.uint8)
