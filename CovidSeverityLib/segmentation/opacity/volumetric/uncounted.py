"""Where lung is denser than where it bears no weight, and yet is not counted as infected: told apart and measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.segmentation.opacity.values import UncountedDensity
from CovidSeverityLib.types import frozen_array

from .lung_features import Face, LungFeatures, height_mm, lower_face
from .parenchyma import ExcessDensity

DENSE_HU = 95.0
"""Excess over aerated lung that is told: about that of the faintest opacity."""

BORDER_SHARE = 0.85
"""Less lung than this within 1.5 mm is the border of the lung: a block that touches its outline."""

DEPENDENT_MM = 10.0
"""Depth of the zone under the dependent pleura in which lung that is not aerated may be airless by gravity alone: a few
millimetres to a centimetre (Webb, High-resolution CT of the lung, "dependent density")."""


def uncounted_density(features: LungFeatures, mask: NDArray[np.bool_]) -> UncountedDensity:
    """What is denser than undependent aerated lung by :data:`DENSE_HU` and no opacity, by reason.

    Every block counts once: as border of the lung, as vessel (with its blur), as what gravity explains, or as the
    rest, which is unlikely to be an opacity for its shape or its size.

    Parameters
    ----------
    features : of the CT.
    mask : (K, J, I) bool blocks, the opacities.
    """
    density = features.density
    marked, excess = mask[density.lung], density.excess_hu[density.lung]
    lightest = density.aerated_hu.min()
    dense = ~marked & (density.hu[density.lung] - lightest > DENSE_HU)
    borders = dense & (features.of("inside_fine") < BORDER_SHARE)
    explained = dense & ~borders & (excess <= DENSE_HU)
    thin = dense & ~borders & ~explained & (excess - features.of("opening_middle") > DENSE_HU)
    rest = dense & ~borders & ~explained & ~thin
    ml = density.grid.voxel_ml
    rim = _dependent_rim(density)
    return UncountedDensity(
        borders_ml=ml * int(borders.sum()),
        vessels_ml=ml * int(thin.sum()),
        dependent_ml=ml * int(explained.sum()),
        small_ml=ml * int(rest.sum()),
        dependent_opacity_ml=None if rim is None else ml * int((rim & mask).sum()),
    )


def _dependent_rim(density: ExcessDensity) -> NDArray[np.bool_] | None:
    """(K, J, I) bool: lung within :data:`DEPENDENT_MM` of its lower face; None where that is not known."""
    face = lower_face(density)
    if face is None:
        return None
    return frozen_array(density.lung & (height_mm(density, face is Face.FRONT) < DEPENDENT_MM))
