"""Is the body as wide as one? Voxel spacings in other units than millimetres come out as giants and dwarfs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from CovidSeverityLib.checked import Checked, Positive, Share, WholeHu
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.volume import CtVolume


@dataclass(frozen=True)
class BodyWidthConfig(Checked):
    """How wide a body is.

    Parameters
    ----------
    least_m, largest_m : float, m
        Of a body: the chest of a newborn is about 0.1 m wide, the bore of a wide scanner 0.8 m.
    body_hu : int, HU
        What is denser is no air around the patient; lung is part of the body.
    occupied_share : float, share
        The body fills at least this share of a sagittal plane. Lines of the table and of noise fill less.
    """

    least_m: Positive = 0.1
    largest_m: Positive = 0.7
    body_hu: WholeHu = -900
    occupied_share: Share = 0.02


STEP = 4
"""One row and slice in so many is looked at."""


def check_body_width(volume: CtVolume, config: BodyWidthConfig = BodyWidthConfig()) -> None:
    """Refuse a body that is wider or narrower than any.

    Parameters
    ----------
    volume : CtVolume
        Chest CT in Hounsfield units.
    config : BodyWidthConfig
        How wide a body is.

    Raises
    ------
    InputError
        The body is wider or narrower than any.
    """
    filled = (volume.hu[::STEP, ::STEP] > config.body_hu).mean(axis=(0, 1)) > config.occupied_share
    columns = np.flatnonzero(filled)
    if not columns.size:
        return  # nothing but air: refused for that
    width_m = (columns[-1] - columns[0] + 1) * volume.geometry.spacing_mm[0] / 1000
    if config.least_m <= width_m <= config.largest_m:
        return
    spacing = " x ".join(f"{mm:.3g}" for mm in volume.geometry.spacing_mm)
    too, limit = ("wider", config.largest_m) if width_m > config.largest_m else ("narrower", config.least_m)
    raise InputError(
        f"the body is {width_m:.2g} m wide with voxels of {spacing} mm, {too} than {limit:g} m; a voxel spacing in "
        "millimetres is needed"
    )
