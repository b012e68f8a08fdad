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

from .mixture import MixtureConfig, fit_mixtures
from .vesselness import VesselnessConfig, largest_curvatures, vessel_mask

CONSOLIDATION_HU = -200
"""Infected lung above this is consolidation, below it ground glass (Chaganti 2020, doi 10.1148/ryai.2020200048; the
same limit defines the percentage of high opacity)."""

CURVATURE_SAMPLES = 32
"""Slices from which the volume's usual largest curvature is taken, spread evenly over the lungs."""

MIXTURE_BATCH = 16
"""Slices whose mixtures are fitted side by side: enough to keep out of Python, few enough for a processor's cache."""

GROWTH_SIGMA_PX = 1.0
"""Smoothing before a lesion's faint edge is looked for: pixel noise (15-40 HU) falls to under 10 HU."""

EIGHT_CONNECTED = np.ones((3, 3), dtype=bool)
IN_PLANE_8 = np.zeros((3, 3, 3), dtype=bool)
IN_PLANE_8[1] = True


@dataclass(frozen=True)
class InfectionConfig:
    """The published method's constants; where its two programs differ, the defaults are those of the segmentation.

    Parameters
    ----------
    clip_hu : range the slice is clipped to before anything else; None leaves it.
    window_sds : half-width of a component's window, standard deviations.
    window_floor_hu : no window begins below this.
    window_ceiling_hu : a window that ends above this is capped.
    window_caps_hu : where the capped windows of the 2nd and the 3rd component end.
    one_window : True joins the two into one, from the lower begin up: what lies between or above them is denser than
        what they mark, and the vessel filter is there for the vessels. False keeps the gaps, as published.
    background_hu : what the vessel filter sees outside the lung.
    smallest_px : 8-connected objects under this many pixels are dropped; None takes ``smallest_mm2``.
    smallest_mm2 : the same as an area, so that a lesion's fate does not depend on the field of view: 70 px, as
        published, are 35 mm^2 at the 0.7 mm pixels of a 360 mm field of view.
    faint_share : an object of at least this share of the smallest area stays if it continues, slice by slice, into one
        that is large enough: the end of a lesion, where its slice cuts it thin. 1 leaves every slice to itself.
    fill_holes, open_area : False leaves the step out (for ablation).
    grow_px : the vessel filter answers to the rim of a lesion as well, about as far as its largest scale (2.5 px); the
        mask grows back so many pixels into what is denser than ``grow_above_hu``, and as far to the lung's border (to
        which the filter answers as well). 0 dilates blindly, as published.
    grow_above_hu : half-way between aerated lung (-850 HU) and the windows' floor: the edge of a faint lesion, where
        the scanner blurs it into the lung. Taken from the slice smoothed with ``GROWTH_SIGMA_PX``.
    closing_px : edge of the square that closes the mask (or that dilates it where nothing grows).
    inside_lung : True keeps the mask inside the lung.
    smallest_lung_px : slices with fewer lung pixels hold too few values for a mixture; nothing is marked there.
    """

    clip_hu: tuple[int, int] | None = (-1024, 300)
    window_sds: float = 1.5
    window_floor_hu: float = -650.0
    window_ceiling_hu: float = 50.0
    window_caps_hu: tuple[float, float] = (50.0, 50.0)
    one_window: bool = True
    background_hu: int = AIR_HU
    smallest_px: int | None = None
    smallest_mm2: float = 35.0
    faint_share: float = 0.5
    fill_holes: bool = True
    open_area: bool = True
    grow_px: int = 3
    grow_above_hu: float = -750.0
    closing_px: int = 5
    inside_lung: bool = True
    smallest_lung_px: int = 500
    mixture: MixtureConfig = MixtureConfig()
    vesselness: VesselnessConfig = VesselnessConfig()

    def smallest_object_px(self, pixel_mm2: float) -> float:
        """Area under which an object is dropped, pixels of ``pixel_mm2``."""
        return self.smallest_mm2 / pixel_mm2 if self.smallest_px is None else self.smallest_px


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
    inner = np.array([_masked_slice(h, m, config) for h, m in zip(hu[box], lung[box], strict=True)])
    floor = _usual_largest_curvature(inner, config)
    mixtures = _slice_mixtures(inner, config)
    candidates = np.zeros(inner.shape, dtype=bool)

    def mark(k: int) -> None:
        if mixtures[k] is not None:
            part = (k, *_in_plane_box(inner[k : k + 1] != 0, config.vesselness.reach_px))
            candidates[part] = _candidates(inner[part], mixtures[k], floor, config)

    map_in_order(mark, range(len(inner)), "infection", progress)
    if config.open_area:
        candidates = _open_area(candidates, config.smallest_object_px(pixel_mm2), config.faint_share)
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


def _masked_slice(hu: NDArray[np.int16], lung: NDArray[np.bool_], config: InfectionConfig) -> NDArray[np.int16]:
    """Hounsfield units inside the lung, 0 outside (and, as published, what is exactly 0 HU is lost to it)."""
    return np.where(lung, hu if config.clip_hu is None else np.clip(hu, *config.clip_hu), np.int16(0))


def _vessel_image(masked: NDArray[np.int16], config: InfectionConfig) -> NDArray[np.float32]:
    return np.where(masked == 0, config.background_hu, masked).astype(np.float32)


def _usual_largest_curvature(masked: NDArray[np.int16], config: InfectionConfig) -> NDArray[np.float32] | None:
    """(scales,) median over sampled slices of the largest curvature; None where every slice stands for itself."""
    with_lung = np.flatnonzero(masked.any(axis=(1, 2)))
    if not (config.vesselness.enabled and config.vesselness.volume_floor) or with_lung.size == 0:
        return None
    picks = with_lung[np.unique(np.linspace(0, with_lung.size - 1, CURVATURE_SAMPLES).astype(int))]
    largest = map_in_order(
        lambda k: largest_curvatures(_vessel_image(masked[k], config), config.vesselness), picks, "vessels", None
    )
    return np.median(largest, axis=0).astype(np.float32)


def _slice_mixtures(masked: NDArray[np.int16], config: InfectionConfig) -> list[MixtureFit | None]:
    """Every slice's mixture; None where it holds too little lung."""
    first, last = min(int(masked.min()), 0), max(int(masked.max()), 0)
    values = np.arange(first, last + 1)
    counts = np.stack([np.bincount(s.ravel().astype(np.int64) - first, minlength=values.size) for s in masked])
    counts[:, -first] = 0  # 0 HU is what lies outside the lung
    counts[counts.sum(axis=1) < config.smallest_lung_px] = 0
    batches = [counts[n : n + MIXTURE_BATCH] for n in range(0, len(counts), MIXTURE_BATCH)]
    fits = map_in_order(lambda batch: fit_mixtures(values, batch, config.mixture), batches, "mixtures", None)
    return [fit for batch in fits for fit in batch]


def _candidates(
    masked: NDArray[np.int16], fit: MixtureFit, floor: NDArray[np.float32] | None, config: InfectionConfig
) -> NDArray[np.bool_]:
    """One slice's pixels inside the windows that are no vessels."""
    mask = _window_mask(masked, fit, config)
    if config.vesselness.enabled and mask.any():
        mask &= ~vessel_mask(_vessel_image(masked, config), config.vesselness, floor)
    return mask


def _window_mask(masked: NDArray[np.int16], fit: MixtureFit, config: InfectionConfig) -> NDArray[np.bool_]:
    """What lies inside the windows; a voxel without a value (0) never does."""
    (low_2, high_2), (low_3, high_3) = windows(fit, config)
    if config.one_window:
        return (masked > min(low_2, low_3)) & (masked != 0)
    return (((masked > low_2) & (masked < high_2)) | ((masked > low_3) & (masked < high_3))) & (masked != 0)


def histogram(hu: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every value from the smallest to the largest in ``hu``, and how often it occurs."""
    if hu.size == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    first = int(hu.min())
    counts = np.bincount(hu.ravel().astype(np.int64) - first)
    return np.arange(first, first + counts.size), counts


def windows(fit: MixtureFit, config: InfectionConfig) -> tuple[tuple[float, float], tuple[float, float]]:
    """(lower, upper) HU of the 2nd and of the 3rd component; both bounds are outside the window."""
    result = []
    for mean, sd, cap in zip(fit.means_hu[1:], fit.sds_hu[1:], config.window_caps_hu, strict=True):
        lower, upper = mean - config.window_sds * sd, mean + config.window_sds * sd
        result.append((max(lower, config.window_floor_hu), upper if upper <= config.window_ceiling_hu else cap))
    return result[0], result[1]


def _open_area(mask: NDArray[np.bool_], smallest_px: float, faint_share: float) -> NDArray[np.bool_]:
    """Drop small objects of every slice, but for the thin ends of larger ones in the slices beside."""
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
