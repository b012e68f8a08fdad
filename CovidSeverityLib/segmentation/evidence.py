"""What a CT says about every place of the lungs, before any threshold is held against it: computed once per CT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.preprocessing.grid import WorkingGrid, bounding_box
from CovidSeverityLib.types import Geometry, frozen_array

from .calibre import grown_by, vessel_radius_mm
from .lesion_config import LesionConfig
from .parenchyma import ExcessDensity, excess_density, smoothed_inside

MARGIN_BLOCKS = 2
"""Blocks about the lungs that are kept with them."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Density, calibre and borders of the lungs, on blocks of 1 to 2 mm in the box around them.

    All arrays are (K, J, I) blocks.

    Parameters
    ----------
    shape : of the volume, (K, J, I) voxels.
    box : its part that the blocks cover.
    density : over aerated lung, HU.
    vessel_radius_mm : float32, the largest radius of vessels at every place, mm.
    cores : bool, what is as dense as the inside of a vessel.
    vessels : bool, these with their halo: nothing faint is looked for there.
    faint_hu : float32, excess density between the vessels, smoothed further, HU; 0 elsewhere.
    inner : bool, lung that is not at its border.
    """

    shape: tuple[int, int, int]
    box: tuple[slice, slice, slice]
    density: ExcessDensity
    vessel_radius_mm: NDArray[np.float32]
    cores: NDArray[np.bool_]
    vessels: NDArray[np.bool_]
    faint_hu: NDArray[np.float32]
    inner: NDArray[np.bool_]

    def __post_init__(self) -> None:
        for name in ("vessel_radius_mm", "cores", "vessels", "faint_hu", "inner"):
            object.__setattr__(self, name, frozen_array(getattr(self, name)))

    def expand(self, blocks: NDArray, lung: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(K, J, I) bool voxels of ``lung`` (of the whole volume) that lie in ``blocks``."""
        mask = np.zeros(self.shape, dtype=bool)
        np.logical_and(self.density.grid.expand(blocks), lung[self.box], out=mask[self.box])
        return mask


def gather_evidence(
    hu: NDArray[np.int16], lung: NDArray[np.bool_], geometry: Geometry, config: LesionConfig
) -> Evidence:
    """Everything that :func:`~.lesions.mark_lesions` holds thresholds against.

    Parameters
    ----------
    hu : (K, J, I) int16, Hounsfield units.
    lung : (K, J, I) bool, at least one voxel.
    geometry : of both.
    config : widths of filters and borders; its other thresholds are not used.
    """
    whole = WorkingGrid.of(geometry)
    box = _block_box(lung, whole.factors)
    grid = WorkingGrid(lung[box].shape, whole.factors, whole.spacing_mm)
    density = excess_density(hu[box], lung[box], grid, config.smoothing_mm)
    pixel_mm = density.grid.spacing_mm[1:]
    if config.remove_vessels:
        radius = vessel_radius_mm(density.lung, pixel_mm)
        cores = (density.hu > config.vessel_core_hu) & density.lung
    else:
        radius, cores = np.zeros(density.lung.shape, np.float32), np.zeros(density.lung.shape, bool)
    vessels, faint = between_vessels(density, cores, config)
    inner = _away_from_border(density.lung, config.border_mm, pixel_mm)
    return Evidence(hu.shape, box, density, radius, cores, vessels, faint, inner)


def between_vessels(
    density: ExcessDensity, cores: NDArray[np.bool_], config: LesionConfig
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Vessels with their halo (bool), and the excess density between them, smoothed further (float32, HU).

    Both are (K, J, I); every slice stands for itself.

    Parameters
    ----------
    density : of the lungs.
    cores : (K, J, I) bool, the insides of vessels.
    config : widths of halo and filter.
    """
    pixel_mm = density.grid.spacing_mm[1:]
    vessels = grown_by(cores, config.vessel_halo_mm, pixel_mm)
    between = density.lung & ~vessels
    return vessels, smoothed_inside(density.excess_hu, between, config.faint_smoothing_mm, pixel_mm, outside=0.0)


def _block_box(lung: NDArray[np.bool_], factors: tuple[int, int, int]) -> tuple[slice, slice, slice]:
    """The box around the lungs that begins with a block of the whole volume, so that blocks do not depend on it."""
    box = bounding_box(lung, margin=tuple(MARGIN_BLOCKS * f for f in factors))
    return tuple(slice(part.start // f * f, part.stop) for part, f in zip(box, factors, strict=True))


def _away_from_border(lung: NDArray[np.bool_], border_mm: float, pixel_mm: tuple[float, float]) -> NDArray[np.bool_]:
    """Lung with lung above and below it, and more than ``border_mm`` from its edge in the axial plane."""
    inner = lung.copy()
    inner[1:] &= lung[:-1]
    inner[:-1] &= lung[1:]
    for k in np.flatnonzero(inner.any(axis=(1, 2))):
        inner[k] &= ndimage.distance_transform_edt(np.pad(lung[k], 1), pixel_mm)[1:-1, 1:-1] > border_mm
    return inner
