"""What a profile marks as infected, in a stack and in slices that do not belong together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .config import AnalysisConfig
from .segmentation.consolidation import opacity_regions
from .segmentation.infection import opacity_labels, segment_infection
from .segmentation.lesions import MarkedLesions, segment_lesions, segment_lesions_with_range
from .segmentation.slice_lesions import segment_slice_lesions, slice_opacity_regions
from .types import CtVolume, Progress


def mark_infection(
    volume: CtVolume,
    lung: NDArray[np.bool_],
    config: AnalysisConfig,
    progress: Progress | None = None,
    *,
    independent_slices: bool = False,
) -> NDArray[np.bool_]:
    """The infection mask of a profile.

    Parameters
    ----------
    volume : chest CT.
    lung : (K, J, I) bool, at least one voxel.
    config : of the profile.
    progress : called with stage "infection".
    independent_slices : the slices do not belong together; the published method asks every slice alone anyway.

    Returns
    -------
    (K, J, I) bool.
    """
    if config.lesions is not None:
        if independent_slices:
            return segment_slice_lesions(volume.hu, lung, volume.geometry, config.lesions, progress).mask
        return segment_lesions(volume.hu, lung, volume.geometry, config.lesions, progress)
    return segment_infection(volume.hu, lung, config.infection, progress).mask


def opacity_kinds(
    volume: CtVolume, infected: NDArray[np.bool_], config: AnalysisConfig, *, independent_slices: bool = False
) -> NDArray[np.uint8]:
    """Ground glass and consolidation of a profile: regions by default, single voxels by the published method.

    Parameters
    ----------
    volume : chest CT.
    infected : (K, J, I) bool, of :func:`mark_infection`.
    config : of the profile.
    independent_slices : as for :func:`mark_infection`.

    Returns
    -------
    (K, J, I) uint8 of :class:`~.types.Opacity`.
    """
    if config.lesions is not None:
        regions = slice_opacity_regions if independent_slices else opacity_regions
        return regions(volume.hu, infected, volume.geometry)
    return opacity_labels(volume.hu, infected)


def mark_with_range(
    volume: CtVolume,
    lung: NDArray[np.bool_],
    config: AnalysisConfig,
    progress: Progress | None = None,
    *,
    independent_slices: bool = False,
) -> MarkedLesions | None:
    """The infection of a profile with how sure its extent is; None by the published method, which does not know it.

    Parameters
    ----------
    volume, lung, config, progress, independent_slices : as for :func:`mark_infection`.
    """
    if config.lesions is None:
        return None
    segment = segment_slice_lesions if independent_slices else segment_lesions_with_range
    return segment(volume.hu, lung, volume.geometry, config.lesions, progress)
