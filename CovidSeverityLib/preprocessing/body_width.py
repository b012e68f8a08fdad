"""Is the body as wide as one? Voxel spacings in other units than millimetres come out as giants and dwarfs."""

from __future__ import annotations

import numpy as np

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import CtVolume

LEAST_WIDTH_M, LARGEST_WIDTH_M = 0.1, 0.7
"""Of a body: a newborn's chest is about 0.1 m wide, the bore of a wide scanner 0.8 m."""

BODY_HU = -900
"""What is denser is no air around the patient, lung counts."""

OCCUPIED_SHARE = 0.02
"""Least share of a sagittal plane that is filled by the body; lines of the table and of noise fill less."""

STEP = 4
"""One row and slice in so many is looked at."""


def check_body_width(volume: CtVolume) -> None:
    """Refuse a body that is wider or narrower than any.

    Parameters
    ----------
    volume : chest CT in Hounsfield units.

    Raises
    ------
    InputError
        The body is wider than 0.7 m or narrower than 0.1 m.
    """
    filled = (volume.hu[::STEP, ::STEP] > BODY_HU).mean(axis=(0, 1)) > OCCUPIED_SHARE
    columns = np.flatnonzero(filled)
    if not columns.size:
        return  # nothing but air: refused for that
    width_m = (columns[-1] - columns[0] + 1) * volume.geometry.spacing_mm[0] / 1000
    if LEAST_WIDTH_M <= width_m <= LARGEST_WIDTH_M:
        return
    spacing = " x ".join(f"{mm:.3g}" for mm in volume.geometry.spacing_mm)
    too = "wider" if width_m > LARGEST_WIDTH_M else "narrower"
    limit = LARGEST_WIDTH_M if width_m > LARGEST_WIDTH_M else LEAST_WIDTH_M
    raise InputError(
        f"the body is {width_m:.2g} m wide with voxels of {spacing} mm, {too} than {limit:g} m; a voxel spacing in "
        "millimetres is needed"
    )
