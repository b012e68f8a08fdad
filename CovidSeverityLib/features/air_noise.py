"""The noise of a CT, measured in the air of the trachea and of the main bronchi.

Air has no structure: what varies there from pixel to pixel is noise. In the lungs themselves texture is taken for noise
(the quietest places of three scans varied by 27 to 30 HU, their air by 13 to 20).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.preprocessing.grid import bounding_box
from CovidSeverityLib.types import Side

MEDIAN_TO_SD = 1.4826
"""Standard deviation of a normal distribution in median distances from its middle."""

FEWEST_PIXELS = 400
"""Of air in all slices. From so many the noise is known to about 8 per cent (neighbours are not independent)."""

FEWEST_IN_SLICE = 15
"""Pixels of air in one slice from which its middle is known to a third of the noise."""

AIR_HU = -900.0
"""Air of a large airway is darker on average over 3 x 3 pixels: -1000 HU in theory, up to about -960 where a scanner's
scatter correction leaves some."""

MARGIN_MM = 2.0
"""Distance to what is not air: the in-plane point spread of a body kernel has a standard deviation of about 0.75 mm."""


def airway_noise(
    hu: NDArray[np.int16], lungs: NDArray[np.uint8], spacing_mm: tuple[float, float, float]
) -> float | None:
    """Standard deviation of the noise in the air between the lungs.

    Only what is brighter than the middle of a slice's air counts: the darker half may be cut off at -1024 HU.

    Parameters
    ----------
    hu : (K, J, I) int16 ndarray
        Hounsfield units.
    lungs : (K, J, I) uint8 ndarray
        Labels of :class:`Side`.
    spacing_mm : tuple of float
        Of (K, J, I), mm.

    Returns
    -------
    float or None
        HU; None where under :data:`FEWEST_PIXELS` of air lie between the lungs.

    Examples
    --------
    >>> import numpy as np
    >>> lungs = np.zeros((4, 40, 60), dtype=np.uint8)
    >>> lungs[..., :15], lungs[..., 45:] = Side.RIGHT, Side.LEFT
    >>> air = np.rint(np.random.default_rng(0).normal(-980, 20, lungs.shape)).astype(np.int16)
    >>> bool(19 < airway_noise(air, lungs, (2.0, 0.7, 0.7)) < 21)
    True
    """
    _, rows, columns = bounding_box(lungs > 0)
    slices = np.flatnonzero(lungs.any(axis=(1, 2)))
    planes = ((hu[k, rows, columns], lungs[k, rows, columns]) for k in slices)
    air = [plane[_open_air(plane, labels, spacing_mm[1:])] for plane, labels in planes]
    air = [values for values in air if values.size >= FEWEST_IN_SLICE]
    if sum(values.size for values in air) < FEWEST_PIXELS:
        return None
    return MEDIAN_TO_SD * float(np.median(np.concatenate([_above_middle(values) for values in air])))


def _above_middle(values: NDArray[np.int16]) -> NDArray[np.float64]:
    return np.sort(values)[values.size // 2 :] - np.median(values)


def _open_air(plane: NDArray[np.int16], lungs: NDArray[np.uint8], pixel_mm: tuple[float, float]) -> NDArray[np.bool_]:
    """(J, I) air that has lung on both sides, away from walls."""
    right = np.logical_or.accumulate(lungs == Side.RIGHT, axis=1)
    left = np.logical_or.accumulate((lungs == Side.LEFT)[:, ::-1], axis=1)[:, ::-1]
    between = right & left & (lungs == 0)
    air = np.zeros(plane.shape, dtype=bool)
    columns = np.flatnonzero((between & (plane < AIR_HU)).any(axis=0))
    if not columns.size:
        return air
    part = np.s_[:, columns[0] : columns[-1] + 1]
    dark = between[part] & (ndimage.uniform_filter(plane[part].astype(np.float32), 3) < AIR_HU)
    size = tuple(2 * int(np.ceil(MARGIN_MM / mm)) + 1 for mm in pixel_mm)
    air[part] = ndimage.minimum_filter(dark.view(np.uint8), size, mode="constant", cval=0).view(bool)
    return air
