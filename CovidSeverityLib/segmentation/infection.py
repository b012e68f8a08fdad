"""Infection mask by the published method: mixture, windows, vessels, morphology, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from CovidSeverityLib.morphology import dilate_square, erode_square
from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.results import MixtureFit
from CovidSeverityLib.types import AIR_HU, Opacity, Progress, frozen_array

from .infection_config import InfectionConfig
from .vesselness import largest_curvatures, vessel_mask
from .windows import masked_slice, slice_mixtures, window_mask

CONSOLIDATION_HU = -200
"""Infected lung above this is consolidation, below it ground glass (Chaganti 2020, doi 10.1148/ryai.2020200048; the
same limit defines the percentage of high opacity)."""

CURVATURE_SAMPLES = 32
"""Slices from which the volume's usual largest curvature is taken, spread evenly over the lungs."""

GROWTH_SIGMA_PX = 1.0
"""Smoothing before a lesion's faint edge is looked for: pixel noise (15-40 HU) falls to under 10 HU."""

EIGHT_CONNECTED = np.ones((3, 3), dtype=bool)
IN_PLANE_8 = np.zeros((3, 3, 3), dtype=bool)
IN_PLANE_8[1] = True


@dataclass(frozen=True, eq=False)
class InfectionSegmentation:
    """``mask`` is (K, J, I) bool; ``mixtures`` holds every slice's fit, None where there is too little lung."""

    mask: NDArray[np.bool_]
    mixtures: tuple[MixtureFit | None, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "mask", frozen_array(self.mask))


def segment_infection(
    hu: NDArray[np.int16],
    lung: NDArray[np.bool_],
    pixel_mm2: float,
    config: InfectionConfig = InfectionConfig(),
    progress: Progress | None = None,
) -> InfectionSegmentation:
    """Mark the infection in every axial slice.

    Parameters
    ----------
    hu : (K, J, I) int16, Hounsfield units.
    lung : (K, J, I) bool.
    pixel_mm2 : area of a pixel.
    config : the method's constants.
    progress : called with stage "infection" as slices are done.
    """
    if progress is not None:
        progress("infection", 0, len(hu))
    mask = np.zeros(hu.shape, dtype=bool)
    box = (slice(None), *_in_plane_box(lung, config.vesselness.reach_px))
    inner = np.array([masked_slice(h, m, config) for h, m in zip(hu[box], lung[box], strict=True)])
    floor = usual_largest_curvature(inner, config)
    mixtures = slice_mixtures(inner, config)
    candidates = np.zeros(inner.shape, dtype=bool)

    def mark(k: int) -> None:
        if mixtures[k] is not None:
            part = (k, *_in_plane_box(inner[k : k + 1] != 0, config.vesselness.reach_px))
            candidates[part] = candidate_mask(inner[part], mixtures[k], floor, config)

    map_in_order(mark, range(len(inner)), "infection", progress)
    if config.open_area:
        candidates = open_area(candidates, config.smallest_object_px(pixel_mm2), config.faint_share)
    reach = 4 * config.grow_px + config.closing_px
    for k in np.flatnonzero(candidates.any(axis=(1, 2))):
        part = (k, *_in_plane_box(candidates[k : k + 1], reach))
        candidates[part] = _finish(candidates[part], inner[part], lung[box][part], config)
    mask[box] = candidates & lung[box] if config.inside_lung else candidates
    return InfectionSegmentation(mask, tuple(mixtures))


def _in_plane_box(lung: NDArray[np.bool_], margin: int) -> tuple[slice, slice]:
    """Rows and columns that hold lung, widened so that no filter sees the cut."""
    rows, columns = (np.flatnonzero(lung.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    if rows.size == 0:
        return slice(0, 1), slice(0, 1)
    return tuple(slice(max(0, int(n[0]) - margin), int(n[-1]) + 1 + margin) for n in (rows, columns))


def vessel_image(masked: NDArray[np.int16], config: InfectionConfig) -> NDArray[np.float32]:
    """float32 of the same shape: a masked slice as the vessel filter sees it, its 0 HU replaced by the background."""
    return np.where(masked == 0, config.background_hu, masked).astype(np.float32)


def usual_largest_curvature(masked: NDArray[np.int16], config: InfectionConfig) -> NDArray[np.float32] | None:
    """(scales,) median over sampled slices of the largest curvature; None where every slice stands for itself.

    Parameters
    ----------
    masked : (K, J, I) int16, slices of :func:`~.windows.masked_slice`.
    config : its vessel filter.
    """
    with_lung = np.flatnonzero(masked.any(axis=(1, 2)))
    if not (config.vesselness.enabled and config.vesselness.volume_floor) or with_lung.size == 0:
        return None
    picks = with_lung[np.unique(np.linspace(0, with_lung.size - 1, CURVATURE_SAMPLES).astype(int))]
    largest = map_in_order(
        lambda k: largest_curvatures(vessel_image(masked[k], config), config.vesselness), picks, "vessels", None
    )
    return np.median(largest, axis=0).astype(np.float32)


def candidate_mask(
    masked: NDArray[np.int16], fit: MixtureFit, floor: NDArray[np.float32] | None, config: InfectionConfig
) -> NDArray[np.bool_]:
    """One slice's pixels inside the windows that are no vessels.

    Parameters
    ----------
    masked : (J, I) int16 of :func:`~.windows.masked_slice`.
    fit : the slice's mixture.
    floor : of :func:`usual_largest_curvature`.
    config : windows and vessel filter.
    """
    mask = window_mask(masked, fit, config)
    if config.vesselness.enabled and mask.any():
        mask &= ~vessel_mask(vessel_image(masked, config), config.vesselness, floor)
    return mask


def open_area(mask: NDArray[np.bool_], smallest_px: float, faint_share: float) -> NDArray[np.bool_]:
    """Drop small objects of every slice, but for the thin ends of larger ones in the slices beside.

    Parameters
    ----------
    mask : (K, J, I) bool, neighbouring slices beside each other.
    smallest_px : objects (8-connected in their slice) of fewer pixels go.
    faint_share : see :class:`InfectionConfig`; 1 leaves every slice to itself.
    """
    labels, _ = ndimage.label(mask, IN_PLANE_8)
    areas = np.bincount(labels[mask], minlength=1)
    areas[0] = 0
    if faint_share >= 1:
        return (areas >= smallest_px)[labels]
    kept = areas >= faint_share * smallest_px
    both = mask[:-1] & mask[1:]
    below, above = labels[:-1][both], labels[1:][both]
    touching = kept[below] & kept[above]
    links = coo_array((np.ones(touching.sum()), (below[touching], above[touching])), shape=(areas.size,) * 2)
    count, bodies = connected_components(links, directed=False)
    with_large = np.zeros(count, dtype=bool)
    with_large[bodies[areas >= smallest_px]] = True
    return (kept & with_large[bodies])[labels]


def _finish(
    mask: NDArray[np.bool_], masked: NDArray[np.int16], lung: NDArray[np.bool_], config: InfectionConfig
) -> NDArray[np.bool_]:
    """Grow back to the lesion's edge and close, or dilate as published; fill holes (4-connected background)."""
    if config.grow_px:
        dense = _smooth_inside(masked) > config.grow_above_hu
        mask = ndimage.binary_dilation(mask, EIGHT_CONNECTED, iterations=config.grow_px, mask=mask | dense)
        mask = mask | erode_square(dilate_square(mask, config.closing_px), config.closing_px)
        mask = ndimage.binary_fill_holes(mask) if config.fill_holes else mask
        return mask | (_gap_to_border(mask, lung, config.grow_px) & dense)
    if config.fill_holes:
        mask = ndimage.binary_fill_holes(mask)
    return dilate_square(mask & (masked != 0), config.closing_px)


def _gap_to_border(mask: NDArray[np.bool_], lung: NDArray[np.bool_], reach_px: int) -> NDArray[np.bool_]:
    """Lung between ``mask`` and the lung's border, where they are no more than twice ``reach_px`` apart.

    The vessel filter answers to the border of the lung too, and parts a lesion at the pleura from it.
    """
    size = 2 * reach_px + 1
    padded = np.pad(mask | ~lung, reach_px, constant_values=True)
    closed = erode_square(dilate_square(padded, size), size)[(slice(reach_px, -reach_px),) * 2]
    return closed & lung & dilate_square(mask, size)


def _smooth_inside(masked: NDArray[np.int16]) -> NDArray[np.float32]:
    """(J, I) float32: the slice smoothed over lung alone; air outside it."""
    inside = (masked != 0).astype(np.float32)
    weight = ndimage.gaussian_filter(inside, GROWTH_SIGMA_PX)
    smooth = ndimage.gaussian_filter(masked.astype(np.float32), GROWTH_SIGMA_PX)
    return np.where(inside > 0, smooth / np.maximum(weight, np.float32(1e-6)), np.float32(AIR_HU))


def opacity_labels(hu: NDArray[np.int16], infected: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """uint8 of :class:`Opacity`: infected voxels by density, 0 elsewhere."""
    kinds = np.where(hu > CONSOLIDATION_HU, np.uint8(Opacity.CONSOLIDATION), np.uint8(Opacity.GROUND_GLASS))
    return np.where(infected, kinds, np.uint8(0))
