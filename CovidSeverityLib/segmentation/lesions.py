"""Opacities of the default profile: what is denser than aerated lung and thicker than a vessel can be at its place.

Three questions are asked of every place, in millimetres and Hounsfield units and not in pixels:

* Is it *dense*, and thicker than vessels are there, also without the walls of bronchi? Then it is an opacity, whatever
  its shape.
* Is it *faint*, away from any vessel, and of some thickness? A vessel of that thickness would not be faint: its middle
  is free of partial volume. So it is ground glass, also near the hilum.
* Is it the *border* of the lung, where a voxel is lung and tissue in parts? Then it says nothing by itself.

What is found grows to where the density has fallen to about half of the lesion's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.preprocessing.grid import bounding_box
from CovidSeverityLib.results import UncountedDensity
from CovidSeverityLib.types import Geometry, Progress, frozen_array

from .airway_walls import without_airway_walls
from .calibre import grown_by, lasting, thicker_than
from .evidence import Evidence, between_vessels, gather_evidence
from .lesion_config import LesionConfig
from .parenchyma import ExcessDensity
from .tubes import without_tubes
from .uncounted import uncounted_density

STAGE = "infection"
"""Name of this stage in progress calls."""

FILTER_REACH = 4.0
"""A Gaussian filter sees this many standard deviations far."""

EIGHT_CONNECTED = np.ones((3, 3), dtype=bool)
TOUCHING = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True, eq=False)
class MarkedLesions:
    """Opacities, and how sure their extent is.

    Parameters
    ----------
    mask : (K, J, I) bool, inside the lungs.
    stricter, more_lenient : the same with all thresholds moved by their tolerance, a part of it and more than it.
    uncounted : what is dense and no opacity.
    """

    mask: NDArray[np.bool_]
    stricter: NDArray[np.bool_]
    more_lenient: NDArray[np.bool_]
    uncounted: UncountedDensity

    def __post_init__(self) -> None:
        for name in ("mask", "stricter", "more_lenient"):
            object.__setattr__(self, name, frozen_array(getattr(self, name)))


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
    report(0, 2)
    evidence = gather_evidence(hu, lung, geometry, config)
    report(1, 2)
    mask = evidence.expand(mark_lesions(evidence, config), lung)
    report(2, 2)
    return mask


def segment_lesions_with_range(
    hu: NDArray[np.int16],
    lung: NDArray[np.bool_],
    geometry: Geometry,
    config: LesionConfig = LesionConfig(),
    progress: Progress | None = None,
) -> MarkedLesions:
    """Mark the opacities of both lungs, and again with stricter and with more lenient thresholds.

    Parameters are those of :func:`segment_lesions`.
    """
    report = partial(progress, STAGE) if progress is not None else _silent
    configs = (config, config.varied(1), config.varied(-1))
    report(0, 1 + len(configs))
    evidence = gather_evidence(hu, lung, geometry, config)
    report(1, 1 + len(configs))
    marks = map_in_order(partial(mark_lesions, evidence), configs, STAGE, lambda _, done, of: report(1 + done, 1 + of))
    marked, strict, lenient = marks
    mask, stricter, more_lenient = (evidence.expand(m, lung) for m in (marked, strict & marked, lenient | marked))
    return MarkedLesions(mask, stricter, more_lenient, uncounted_density(evidence, marked, config))


def _silent(_done: int, _total: int) -> None:
    """Where nobody asked for progress."""


def mark_lesions(evidence: Evidence, config: LesionConfig) -> NDArray[np.bool_]:
    """(K, J, I) bool: the blocks of ``evidence`` that are opacity by the thresholds of ``config``."""
    seeds = _seeds(evidence, config)
    reach_mm = config.grow_mm + FILTER_REACH * config.level_mm
    box = bounding_box(seeds, margin=tuple(ceil(reach_mm / mm) for mm in evidence.density.grid.spacing_mm))
    mask = np.zeros(seeds.shape, dtype=bool)
    if seeds[box].size:
        mask[box] = _extended(seeds[box], evidence.density.part(box), config)
    return mask


def _seeds(evidence: Evidence, config: LesionConfig) -> NDArray[np.bool_]:
    """Blocks that are opacity for sure."""
    density = evidence.density
    pixel_mm = density.grid.spacing_mm[1:]
    found = (density.excess_hu > config.dense_hu) & density.lung
    if config.remove_vessels:
        radius_mm = evidence.vessel_radius_mm + np.float32(config.extra_radius_mm)
        thick = thicker_than(found, radius_mm, pixel_mm) & evidence.inner
        found = without_tubes(thick, density.hu, density.excess_hu, density.grid.spacing_mm, config.tubes)
        if config.remove_airway_walls:
            found = without_airway_walls(found, density.hu, radius_mm, density.grid.spacing_mm, config.airway_walls)
    vessels, faint_hu = _between_vessels(evidence, found, config)
    dense = found.copy()
    for excess_hu, radius_mm in zip(config.faint_hu, config.faint_radius_mm, strict=True):
        faint = density.lung & ~vessels & (faint_hu > excess_hu)
        if radius_mm > config.core_radius_mm:  # wider than any vessel: a halo counts together with its core
            faint |= dense
        thick = thicker_than(faint, radius_mm, pixel_mm)
        found |= lasting(thick, config.faint_depth_mm, density.grid.spacing_mm[0])
    found &= evidence.inner
    return _large(found, config.smallest_ml / density.grid.voxel_ml) if config.open_volume else found


def _between_vessels(
    evidence: Evidence, dense: NDArray[np.bool_], config: LesionConfig
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Vessels and what is faint between them; the thick core of an opacity is none, so that its halo of ground glass is
    seen."""
    thick = thicker_than(dense & evidence.cores, config.core_radius_mm, evidence.density.grid.spacing_mm[1:])
    slices = np.flatnonzero(thick.any(axis=(1, 2)))
    if not slices.size:
        return evidence.vessels, evidence.faint_hu
    part = (slice(slices[0], slices[-1] + 1), slice(None), slice(None))
    density = evidence.density.part(part)
    own = grown_by(thick[part], config.border_mm, density.grid.spacing_mm[1:])
    vessels, faint_hu = evidence.vessels.copy(), evidence.faint_hu.copy()
    vessels[part], faint_hu[part] = between_vessels(density, evidence.cores[part] & ~own, config)
    return vessels, faint_hu


def _large(mask: NDArray[np.bool_], smallest: float) -> NDArray[np.bool_]:
    """Connected parts of at least ``smallest`` voxels."""
    labels, count = ndimage.label(mask, TOUCHING)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    return (sizes >= smallest)[labels]


def _extended(seeds: NDArray[np.bool_], density: ExcessDensity, config: LesionConfig) -> NDArray[np.bool_]:
    """Opacities to their edges, closed, their holes filled.

    What the edge of a dense core leaves over of the seeds is its blurred rim, or, where it is thick, a halo of ground
    glass with an edge of its own.
    """
    pixel_mm = density.grid.spacing_mm[1:]
    mask = seeds
    if config.grow:
        mask = _grown(seeds, density, config)
        halo = thicker_than(seeds & ~mask, config.rim_mm, pixel_mm)
        if halo.any():
            mask |= _grown(halo, density, config)
    steps = round(config.closing_mm / min(pixel_mm))
    for k in np.flatnonzero(mask.any(axis=(1, 2))) if config.fill_holes else ():
        box = (k, *ndimage.find_objects(mask[k].view(np.uint8))[0])
        padded = np.pad(mask[box], steps + 1)
        closed = ndimage.binary_closing(padded, EIGHT_CONNECTED, iterations=steps) if steps else padded
        mask[box] |= ndimage.binary_fill_holes(closed)[(slice(steps + 1, -steps - 1),) * 2]
    return mask & density.lung


def _grown(seeds: NDArray[np.bool_], density: ExcessDensity, config: LesionConfig) -> NDArray[np.bool_]:
    """``seeds`` brought to where the density has fallen to its share of their own."""
    slice_mm, *pixel_mm = density.grid.spacing_mm
    edge_hu = np.maximum(config.grow_hu, config.edge_share * _level(seeds, density, config))
    inside = density.lung & (density.excess_hu > edge_hu)
    in_plane = np.zeros((3, 3, 3), dtype=bool)
    in_plane[1] = True
    steps = ceil(config.grow_mm / min(pixel_mm))
    mask = ndimage.binary_dilation(seeds & inside, in_plane, iterations=steps, mask=inside)
    if slice_mm <= config.grow_mm:
        mask[1:] |= mask[:-1] & inside[1:]
        mask[:-1] |= mask[1:] & inside[:-1]
    return mask


def _level(seeds: NDArray[np.bool_], density: ExcessDensity, config: LesionConfig) -> NDArray[np.float32]:
    """Excess of the lesion around every block (0 far from any): of its seeds, the denser the more, so that the blurred
    rim does not lower it."""
    sigma = tuple(config.level_mm / mm for mm in density.grid.spacing_mm)
    gaussian = partial(ndimage.gaussian_filter, sigma=sigma, truncate=FILTER_REACH)
    excess = np.where(seeds, np.maximum(density.excess_hu, np.float32(0)), np.float32(0))
    weight = gaussian(excess)
    total = gaussian(excess * excess)
    return np.where(weight > 0.1, total / np.maximum(weight, np.float32(0.1)), np.float32(0))
