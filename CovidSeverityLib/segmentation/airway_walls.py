"""Thick walls of bronchi among what is dense and thicker than a vessel: what lies around a lumen.

A bronchus in chronic disease has a wall, and an artery beside it, that together are thicker than any vessel at their
place. What gives them away is the lumen: a dark pocket that is closed on all sides in the axial plane, found by a
closing (the black top-hat; Serra 1982). Opacities with air bronchograms keep what lies between the bronchi, and grow
back over these.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.preprocessing.grid import bounding_box

from .calibre import grown_by, thicker_than


@dataclass(frozen=True)
class AirwayWallConfig:
    """What counts as a bronchus.

    Parameters
    ----------
    lumen_radius_mm : of the widest lumen looked for: segmental bronchi have 4-6 mm of diameter, and dilated ones, wider
        than their artery, up to about 10. Cavities and bullae are wider.
    contrast_hu : how much darker a lumen is than the darkest gap in its wall. A wall of 1 mm on blocks of 1.5 mm is
        some 300 to 400 HU denser than the lumen: about half of it. Results hardly depend on it from 150 to 250.
    lumen_hu : a lumen is darker, after the blur of scanner and blocks. Ground glass with vessels is mostly denser.
    wall_mm : from the lumen's edge outwards: 1-1.5 mm of wall, and as much again in chronic disease.
    oblique_mm : thickest slice that is dark all through in the lumen of a bronchus at 45 degrees: a segmental one's
        diameter. Thicker ones mix it with its wall.
    wall_excess_hu : how much denser than ``lumen_hu`` the wall is that is mixed in.
    """

    lumen_radius_mm: float = 5.0
    contrast_hu: float = 200.0
    lumen_hu: float = -700.0
    wall_mm: float = 2.5
    oblique_mm: float = 5.0
    wall_excess_hu: float = 300.0

    def __post_init__(self) -> None:
        for name in ("lumen_radius_mm", "contrast_hu", "wall_mm", "oblique_mm"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected more than 0")

    def for_slices(self, slice_mm: float) -> AirwayWallConfig:
        """The same lumens as slices of ``slice_mm`` show them."""
        share = min(1.0, self.oblique_mm / slice_mm)
        lumen_hu = self.lumen_hu + (1.0 - share) * self.wall_excess_hu
        return replace(self, contrast_hu=share * self.contrast_hu, lumen_hu=lumen_hu)


def without_airway_walls(
    mask: NDArray[np.bool_],
    hu: NDArray[np.float32],
    radius_mm: NDArray[np.float32],
    spacing_mm: tuple[float, float, float],
    config: AirwayWallConfig = AirwayWallConfig(),
) -> NDArray[np.bool_]:
    """The parts of ``mask`` that are thick also without the walls of bronchi.

    Parameters
    ----------
    mask : (K, J, I) bool, dense places.
    hu : (K, J, I) float32, density, HU; outside the lungs that of air, so that no chest wall closes a pocket.
    radius_mm : (K, J, I) float32, radius of the thickest vessel expected at every place, mm.
    spacing_mm : (K, J, I), mm.
    config : what counts as a bronchus.

    Returns
    -------
    (K, J, I) bool, inside ``mask``.
    """
    pixel_mm = spacing_mm[1:]
    config = config.for_slices(spacing_mm[0])
    reach_mm = 2 * config.lumen_radius_mm + config.wall_mm
    margin = tuple(int(np.ceil(reach_mm / mm)) for mm in pixel_mm)
    kept = mask.copy()
    for k in np.flatnonzero(mask.any(axis=(1, 2))):
        box = (slice(k, k + 1), *bounding_box(mask[k : k + 1], (0, *margin))[1:])
        kept[box] &= ~grown_by(_lumens(hu[box], pixel_mm, config), config.wall_mm, pixel_mm)
    return thicker_than(kept, radius_mm, pixel_mm)


def _lumens(hu: NDArray[np.float32], pixel_mm: tuple[float, float], config: AirwayWallConfig) -> NDArray[np.bool_]:
    """(K, J, I) dark pockets that a disc of the widest lumen does not enter."""
    closed = ndimage.grey_closing(hu, footprint=_disc(config.lumen_radius_mm, pixel_mm)[None])
    return (closed - hu > config.contrast_hu) & (hu < config.lumen_hu)


def _disc(radius_mm: float, pixel_mm: tuple[float, float]) -> NDArray[np.bool_]:
    """(J, I) pixels whose centres lie within ``radius_mm`` of the middle one's."""
    rows, columns = (np.arange(-int(radius_mm / mm), int(radius_mm / mm) + 1) * mm for mm in pixel_mm)
    return rows[:, None] ** 2 + columns[None, :] ** 2 <= radius_mm**2
