"""Where lung is denser than where it bears no weight, and yet is not counted as infected: told apart and measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.results import UncountedDensity
from CovidSeverityLib.types import frozen_array

from .lung_features import LungFeatures
from .parenchyma import ExcessDensity

DENSE_HU = 95.0
"""Excess over aerated lung that is told: about that of the faintest opacity."""

BORDER_SHARE = 0.85
"""Less lung than this within 1.5 mm is the border of the lung: a block that touches its outline."""

GRADIENT_HU = 10.0
"""Least difference of aerated lung from front to back that tells which is below: above its own uncertainty (6 HU)."""

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
    thin = dense & ~borders & ~explained & (excess - features.of("opening_small") > DENSE_HU)
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
    """(K, J, I) bool: lung within :data:`DEPENDENT_MM` of its lower face; None where gravity's direction is not seen.

    Lung is denser where it bears weight, so that the gradient of aerated lung tells a supine from a prone patient.
    """
    rows = np.flatnonzero(density.lung.any(axis=(0, 2)))
    front, back = (float(density.aerated_hu[n]) for n in (rows[0], rows[-1]))
    if abs(back - front) < GRADIENT_HU:
        return None
    lung = density.lung if back > front else density.lung[:, ::-1]
    below = np.flip(np.maximum.accumulate(np.flip(lung, axis=1), axis=1), axis=1)  # lung here, or farther down
    depth = max(1, round(DEPENDENT_MM / density.grid.spacing_mm[1]))
    rim = lung & ~np.pad(below, ((0, 0), (0, depth), (0, 0)))[:, depth:]
    return frozen_array(rim if back > front else rim[:, ::-1])
