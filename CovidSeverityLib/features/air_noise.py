"""The noise of a CT, measured in the air of the trachea and of the main bronchi.

Air has no structure: what varies there from pixel to pixel is noise. In the lungs themselves texture is taken for noise
(the quietest places of three scans varied by 27 to 30 HU, their air by 13 to 20).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.checked import Checked, Count, Hu, NotNegative
from CovidSeverityLib.morphology.grid import bounding_box
from CovidSeverityLib.preprocessing.config import LARGEST_LUMEN_HU
from CovidSeverityLib.types import Side

QUARTER_TO_SD = 1.4826
"""Standard deviation of a normal distribution in distances of its upper quartile from its median."""


@dataclass(frozen=True)
class AirNoiseConfig(Checked):
    """Which air the noise is measured in.

    Parameters
    ----------
    lumen_hu : float, HU
        A lumen is darker on average over 3 x 3 pixels. Walls are brighter than -600 HU even where they are thin, and
        air (-1000 to -960 HU) stays under it with a noise of 40 HU.
    margin_mm : float, mm
        Distance in the slice to what is not air (the point spread of a body kernel has a standard deviation of about
        0.75 mm). Along the axis it is one slice.
    fewest_pixels : int, pixels
        Of air in all slices. From so many the noise is known to about 8 per cent (neighbours are not independent).
    """

    lumen_hu: Hu = LARGEST_LUMEN_HU
    margin_mm: NotNegative = 2.0
    fewest_pixels: Count = 400


def airway_noise(
    hu: NDArray[np.int16],
    lungs: NDArray[np.uint8],
    spacing_mm: tuple[float, float, float],
    config: AirNoiseConfig = AirNoiseConfig(),
) -> float | None:
    """Standard deviation of the noise in the air between the lungs.

    Only what is brighter than the middle of the air counts: the darker half may be cut off at -1024 HU.

    Parameters
    ----------
    hu : (K, J, I) int16 ndarray
        Hounsfield units.
    lungs : (K, J, I) uint8 ndarray
        Labels of :class:`Side`.
    spacing_mm : tuple of float
        Of (K, J, I), mm.
    config : AirNoiseConfig
        Which air counts, and how much of it is needed.

    Returns
    -------
    float or None
        HU; None where too little air lies between the lungs.

    Examples
    --------
    >>> import numpy as np
    >>> lungs = np.zeros((4, 40, 60), dtype=np.uint8)
    >>> lungs[..., :15], lungs[..., 45:] = Side.RIGHT, Side.LEFT
    >>> air = np.rint(np.random.default_rng(0).normal(-980, 20, lungs.shape)).astype(np.int16)
    >>> bool(19 < airway_noise(air, lungs, (2.0, 0.7, 0.7)) < 21)
    True
    """
    box = bounding_box(lungs)
    dark = np.empty(lungs[box].shape, dtype=bool)
    for found, plane, sides in zip(dark, hu[box], lungs[box], strict=True):
        found[:] = _dark_between(plane, sides, config.lumen_hu)
    part = bounding_box(dark)
    size = (3, *(2 * int(np.ceil(config.margin_mm / mm)) + 1 for mm in spacing_mm[1:]))
    open_air = ndimage.minimum_filter(dark[part].view(np.uint8), size, mode="constant", cval=0) > 0
    values = hu[box][part][open_air]
    if values.size < config.fewest_pixels:
        return None
    middle, upper = (_quantile(values, q) for q in (0.5, 0.75))
    return QUARTER_TO_SD * (upper - middle)


def _quantile(values: NDArray[np.int16], q: float) -> float:
    """Of rounded values, which lie evenly half a unit around them."""
    whole, counts = np.unique(values, return_counts=True)
    edges = np.append(whole, whole[-1] + 1) - 0.5
    return float(np.interp(q * values.size, np.append(0, np.cumsum(counts)), edges))


def _dark_between(plane: NDArray[np.int16], lungs: NDArray[np.uint8], lumen_hu: float) -> NDArray[np.bool_]:
    """(J, I) air that has lung on both sides."""
    right, left = lungs == Side.RIGHT.value, lungs == Side.LEFT.value
    dark = np.zeros(plane.shape, dtype=bool)
    both = np.flatnonzero(right.any(axis=1) & left.any(axis=1))
    rows = slice(max(0, both[0] - 1), both[-1] + 2) if both.size else slice(0)
    right, left, width = right[rows], left[rows], plane.shape[1]
    first = np.where(right.any(axis=1), right.argmax(axis=1), width)
    last = np.where(left.any(axis=1), width - 1 - left[:, ::-1].argmax(axis=1), 0)
    across, (first, last) = np.arange(width, dtype=np.int16), np.array([first, last], dtype=np.int16)[..., None]
    between = (across > first) & (across < last) & (lungs[rows] == 0)
    columns = np.flatnonzero((between & (plane[rows] < lumen_hu)).any(axis=0))
    if columns.size:
        part = slice(columns[0], columns[-1] + 1)
        mean = ndimage.uniform_filter(plane[rows, part].astype(np.float32), 3)
        dark[rows, part] = between[:, part] & (mean < lumen_hu)
    return dark
