"""Lung that is denser than where it bears no weight, and yet no opacity: how much there is of it, by reason."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.segmentation.opacity.values import UncountedDensity

from .config import OpacityConfig
from .levels import Places
from .lung_features import Face, LungFeatures, height_mm, lower_face


def uncounted_density(
    features: LungFeatures, mask: NDArray[np.bool_], config: OpacityConfig = OpacityConfig()
) -> UncountedDensity:
    """What is denser than aerated lung that bears no weight, and no opacity, by reason.

    Every block counts once: as border of the lung, as vessel (with its blur), as what gravity explains, or as the
    rest, which is unlikely to be an opacity for its shape or its size.

    Parameters
    ----------
    features : LungFeatures
        Of the CT.
    mask : (K, J, I) ndarray of bool
        Blocks of opacity.
    config : OpacityConfig
        Limits.
    """
    limits = config.uncounted
    density = features.density
    places = Places(density.lung)
    marked, excess = places.of(mask), places.of(density.excess_hu)
    lightest = density.aerated_hu.min()
    dense = ~marked & (places.of(density.hu) - lightest > limits.dense_hu)
    borders = dense & (features.of("inside_fine") < limits.border_share)
    explained = dense & ~borders & (excess <= limits.dense_hu)
    thin = dense & ~borders & ~explained & (excess - features.of("opening_middle") > limits.dense_hu)
    rest = dense & ~borders & ~explained & ~thin
    ml = density.grid.voxel_ml
    face = lower_face(density, config.features.gradient_hu)
    dependent = None
    if face is not None:
        rim = height_mm(density, places, face is Face.FRONT) < limits.dependent_mm
        dependent = ml * int((rim & marked).sum())
    return UncountedDensity(
        borders_ml=ml * int(borders.sum()),
        vessels_ml=ml * int(thin.sum()),
        dependent_ml=ml * int(explained.sum()),
        small_ml=ml * int(rest.sum()),
        dependent_opacity_ml=dependent,
    )
