"""Opacities by the published method: mixture, windows, vessels, morphology, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import large_components
from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.types import Progress, frozen_array

from .config import PublishedOpacityConfig
from .mixture import MixtureFit
from .vesselness import vessel_mask
from .windows import masked_slice, slice_mixtures, window_mask

IN_PLANE_8 = np.zeros((3, 3, 3), dtype=bool)
IN_PLANE_8[1] = True


@dataclass(frozen=True, eq=False)
class PublishedOpacities:
    """Opacities by the published method.

    Parameters
    ----------
    mask : (K, J, I) ndarray of bool
        The opacities.
    mixtures : tuple of MixtureFit or None
        Fit of every slice; None where a slice holds too few values.
    """

    mask: NDArray[np.bool_]
    mixtures: tuple[MixtureFit | None, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "mask", frozen_array(self.mask))


def segment_published_opacities(
    hu: NDArray[np.int16],
    lung: NDArray[np.bool_],
    config: PublishedOpacityConfig = PublishedOpacityConfig(),
    progress: Progress | None = None,
) -> PublishedOpacities:
    """Mark the opacities in every axial slice.

    Parameters
    ----------
    hu : (K, J, I) ndarray of int16
        Hounsfield units.
    lung : (K, J, I) ndarray of bool
        Both lungs.
    config : PublishedOpacityConfig
        Windows, vessel filter and morphology.
    progress : callable, optional
        Called with stage "infection" as slices are done.
    """
    if progress is not None:
        progress("infection", 0, len(hu))
    mask = np.zeros(hu.shape, dtype=bool)
    box = (slice(None), *_in_plane_box(lung, config.vesselness.reach_px))
    inner = np.array([masked_slice(h, m, config) for h, m in zip(hu[box], lung[box], strict=True)])
    mixtures = slice_mixtures(inner, config)
    candidates = np.zeros(inner.shape, dtype=bool)

    def mark(k: int) -> None:
        mixture = mixtures[k]
        if mixture is not None:
            part = (k, *_in_plane_box(inner[k : k + 1] != 0, config.vesselness.reach_px))
            candidates[part] = candidate_mask(inner[part], mixture, config)

    map_in_order(mark, range(len(inner)), "infection", progress)
    if config.open_area:
        candidates = open_area(candidates, config.smallest_px)
    for k in np.flatnonzero(candidates.any(axis=(1, 2))):
        part = (k, *_in_plane_box(candidates[k : k + 1], config.dilation_px))
        candidates[part] = _finish(candidates[part], inner[part], config)
    mask[box] = candidates
    return PublishedOpacities(mask, tuple(mixtures))


def _in_plane_box(lung: NDArray[np.bool_], margin: int) -> tuple[slice, slice]:
    """Rows and columns that hold lung, widened so that no filter sees the cut."""
    rows, columns = (np.flatnonzero(lung.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    if rows.size == 0:
        return slice(0, 1), slice(0, 1)
    box = [slice(max(0, int(n[0]) - margin), int(n[-1]) + 1 + margin) for n in (rows, columns)]
    return box[0], box[1]


def vessel_image(masked: NDArray[np.int16], config: PublishedOpacityConfig) -> NDArray[np.float32]:
    """A masked slice as the vessel filter sees it, its 0 HU replaced by the background."""
    return np.where(masked == 0, config.background_hu, masked).astype(np.float32)


def candidate_mask(masked: NDArray[np.int16], fit: MixtureFit, config: PublishedOpacityConfig) -> NDArray[np.bool_]:
    """One slice's pixels inside the windows that are no vessels.

    Parameters
    ----------
    masked : (J, I) ndarray of int16
        Of :func:`~.windows.masked_slice`.
    fit : MixtureFit
        The slice's mixture.
    config : PublishedOpacityConfig
        Windows and vessel filter.
    """
    mask = window_mask(masked, fit, config)
    if config.vesselness.enabled and mask.any():
        mask &= ~vessel_mask(vessel_image(masked, config), config.vesselness)
    return mask


def open_area(mask: NDArray[np.bool_], smallest_px: int) -> NDArray[np.bool_]:
    """Drop the small objects of every slice.

    Parameters
    ----------
    mask : (K, J, I) ndarray of bool
        Marked pixels.
    smallest_px : int
        Objects (8-connected in their slice) of fewer pixels are dropped.
    """
    return large_components(mask, smallest_px, IN_PLANE_8)


def _finish(mask: NDArray[np.bool_], masked: NDArray[np.int16], config: PublishedOpacityConfig) -> NDArray[np.bool_]:
    """Fill holes (4-connected background), take out what is exactly 0 HU, dilate."""
    if config.fill_holes:
        mask = ndimage.binary_fill_holes(mask)
    return dilate_square(mask & (masked != 0), config.dilation_px)


def dilate_square(mask: NDArray[np.bool_], size_px: int) -> NDArray[np.bool_]:
    """(J, I) ``mask`` grown by a square of odd edge ``size_px``: several times as fast as by a structuring element."""
    return ndimage.maximum_filter(mask.view(np.uint8), size_px, mode="constant", cval=0).view(bool)
