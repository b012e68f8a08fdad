"""Opacities of the default profile: what is denser than aerated lung and thicker than a vessel can be at its place.

Three questions are asked of every place, in millimetres and Hounsfield units and not in pixels:

* Is it *dense*, and thicker than vessels are there, also without the walls of bronchi? Then it is an opacity, whatever
  its shape.
* Is it *faint*, away from any vessel, and of some thickness? A vessel of that thickness would not be faint: its middle
  is free of partial volume. So it is ground glass, also near the hilum.
* Is it the *border* of the lung, where a voxel is lung and tissue in parts? Then it says nothing by itself.

What is found grows to where the density has fallen to half of the lesion's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.types import Geometry, Progress

from .airway_walls import AirwayWallConfig, without_airway_walls
from .calibre import grown_by, lasting, thicker_than, vessel_radius_mm
from .parenchyma import ExcessDensity, excess_density, smoothed_inside
from .tubes import TubeConfig, without_tubes

STAGE = "infection"
"""Name of this stage in progress calls."""

STEPS = 3

EIGHT_CONNECTED = np.ones((3, 3), dtype=bool)
TOUCHING = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class LesionConfig:
    """Constants of the default profile's infection mask.

    Parameters
    ----------
    smoothing_mm : of the density, in the axial plane.
    dense_hu : excess over aerated lung of what is held against the calibre of vessels.
    faint_hu, faint_radius_mm : excess of what is faint, and the radius that it has to have: the fainter, the larger.
    faint_smoothing_mm : further smoothing, in the axial plane and away from vessels, of what is held against
        ``faint_hu``: ground glass is grainy.
    faint_depth_mm : how far along the axis what is faint goes on: a dome or a fissure that lies in the slice is mixed
        with lung in one block.
    vessel_core_hu : density of a vessel's inside, half-way between blood and aerated lung.
    vessel_halo_mm : how far the blur of the scanner and of the blocks carries a vessel's density.
    border_mm : width of the border of partial volume in the axial plane; along the axis it is one block.
    smallest_ml : volume of the smallest opacity: a ball of 8 mm.
    grow_hu : excess below which nothing grows.
    grow_mm : how far an opacity grows at most.
    closing_mm : gaps in an opacity up to twice this, vessels and bronchi, are filled.
    tubes : what of the dense is a vessel all the same.
    airway_walls : what of the dense is the wall of a bronchus.
    remove_vessels, remove_airway_walls, open_volume, grow, fill_holes : False leaves the step out (for ablation).
    """

    smoothing_mm: float = 0.7
    dense_hu: float = 230.0
    faint_hu: tuple[float, ...] = (180.0, 95.0)
    faint_radius_mm: tuple[float, ...] = (3.2, 6.5)
    faint_smoothing_mm: float = 1.5
    faint_depth_mm: float = 4.0
    vessel_core_hu: float = -400.0
    vessel_halo_mm: float = 2.0
    border_mm: float = 1.5
    smallest_ml: float = 0.3
    grow_hu: float = 110.0
    grow_mm: float = 3.0
    closing_mm: float = 1.3
    tubes: TubeConfig = TubeConfig()
    airway_walls: AirwayWallConfig = AirwayWallConfig()
    remove_vessels: bool = True
    remove_airway_walls: bool = True
    open_volume: bool = True
    grow: bool = True
    fill_holes: bool = True


def segment_lesions(
    hu: NDArray[np.int16],
    lung: NDArray[np.bool_],
    geometry: Geometry,
    config: LesionConfig = LesionConfig(),
    progress: Progress | None = None,
) -> NDArray[np.bool_]:
    """Mark the opacities of both lungs.

    Parameters
    ----------
    hu : (K, J, I) int16, Hounsfield units.
    lung : (K, J, I) bool, at least one voxel.
    geometry : of both.
    config : the method's constants.
    progress : called with stage "infection" as steps are done.

    Returns
    -------
    (K, J, I) bool, inside ``lung``.
    """
    report = partial(progress, STAGE) if progress is not None else _silent
    report(0, STEPS)
    density = excess_density(hu, lung, geometry, config.smoothing_mm)
    report(1, STEPS)
    seeds = _seeds(density, config)
    report(2, STEPS)
    mask = density.grid.expand(_extended(seeds, density, config)) & lung
    report(STEPS, STEPS)
    return mask


def _silent(_done: int, _total: int) -> None:
    """Where nobody asked for progress."""


def _seeds(density: ExcessDensity, config: LesionConfig) -> NDArray[np.bool_]:
    """Blocks that are opacity for sure."""
    pixel_mm = density.grid.spacing_mm[1:]
    found = (density.excess_hu > config.dense_hu) & density.lung
    if config.remove_vessels:
        calibre_mm = vessel_radius_mm(density.lung, pixel_mm)
        found = thicker_than(found, calibre_mm, pixel_mm)
        found = without_tubes(
            found & _away_from_border(density.lung, config.border_mm, pixel_mm),
            density.hu,
            density.excess_hu,
            density.grid.spacing_mm,
            config.tubes,
        )
        if config.remove_airway_walls:
            found = without_airway_walls(found, density.hu, calibre_mm, density.grid.spacing_mm, config.airway_walls)
        vessels = grown_by((density.hu > config.vessel_core_hu) & density.lung, config.vessel_halo_mm, pixel_mm)
    else:
        vessels = np.zeros(found.shape, dtype=bool)
    between = density.lung & ~vessels
    smooth = smoothed_inside(density.excess_hu, between, config.faint_smoothing_mm, pixel_mm, outside=0.0)
    for excess_hu, radius_mm in zip(config.faint_hu, config.faint_radius_mm, strict=True):
        thick = thicker_than(between & (smooth > excess_hu), radius_mm, pixel_mm)
        found |= lasting(thick, config.faint_depth_mm, density.grid.spacing_mm[0])
    found &= _away_from_border(density.lung, config.border_mm, pixel_mm)
    return _large(found, config.smallest_ml / density.grid.voxel_ml) if config.open_volume else found


def _away_from_border(lung: NDArray[np.bool_], border_mm: float, pixel_mm: tuple[float, float]) -> NDArray[np.bool_]:
    """Lung with lung above and below it, and more than ``border_mm`` from its edge in the axial plane."""
    inner = lung.copy()
    inner[1:] &= lung[:-1]
    inner[:-1] &= lung[1:]
    for k in np.flatnonzero(inner.any(axis=(1, 2))):
        inner[k] &= ndimage.distance_transform_edt(np.pad(lung[k], 1), pixel_mm)[1:-1, 1:-1] > border_mm
    return inner


def _large(mask: NDArray[np.bool_], smallest: float) -> NDArray[np.bool_]:
    """Connected parts of at least ``smallest`` voxels."""
    labels, count = ndimage.label(mask, TOUCHING)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    return (sizes >= smallest)[labels]


def _extended(seeds: NDArray[np.bool_], density: ExcessDensity, config: LesionConfig) -> NDArray[np.bool_]:
    """Opacities to their edges, closed, their holes filled."""
    slice_mm, *pixel_mm = density.grid.spacing_mm
    mask = seeds
    if config.grow:
        inside = density.lung & (density.excess_hu > np.maximum(config.grow_hu, _level(seeds, density, config) / 2))
        mask = _grown(seeds & inside, inside, ceil(config.grow_mm / min(pixel_mm)), slice_mm <= config.grow_mm)
    steps = round(config.closing_mm / min(pixel_mm))
    for k in np.flatnonzero(mask.any(axis=(1, 2))) if config.fill_holes else ():
        padded = np.pad(mask[k], steps + 1)
        closed = ndimage.binary_closing(padded, EIGHT_CONNECTED, iterations=steps) if steps else padded
        mask[k] |= ndimage.binary_fill_holes(closed)[(slice(steps + 1, -steps - 1),) * 2]
    return mask & density.lung


def _grown(seeds: NDArray[np.bool_], inside: NDArray[np.bool_], steps: int, along_axis: bool) -> NDArray[np.bool_]:
    """``seeds`` grown by ``steps`` pixels within ``inside``, and by one block along the axis."""
    in_plane = np.zeros((3, 3, 3), dtype=bool)
    in_plane[1] = True
    mask = ndimage.binary_dilation(seeds, in_plane, iterations=steps, mask=inside)
    if along_axis:
        mask[1:] |= mask[:-1] & inside[1:]
        mask[:-1] |= mask[1:] & inside[:-1]
    return mask


def _level(seeds: NDArray[np.bool_], density: ExcessDensity, config: LesionConfig) -> NDArray[np.float32]:
    """Excess of the lesion around every block (0 far from any): of its seeds, the denser the more, so that the blurred
    rim does not lower it."""
    sigma = tuple(config.grow_mm / mm for mm in density.grid.spacing_mm)
    excess = np.where(seeds, np.maximum(density.excess_hu, np.float32(0)), np.float32(0))
    weight = ndimage.gaussian_filter(excess, sigma)
    total = ndimage.gaussian_filter(excess * excess, sigma)
    return np.where(weight > 0.1, total / np.maximum(weight, np.float32(0.1)), np.float32(0))
