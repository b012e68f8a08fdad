"""Where lung is denser than where it bears no weight, and yet is not counted as infected: told apart and measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.results import UncountedDensity
from CovidSeverityLib.types import frozen_array

from .evidence import Evidence
from .lesion_config import LesionConfig

GRADIENT_HU = 10.0
"""Least difference of aerated lung from front to back that tells which is below: above its own uncertainty (6 HU)."""

DEPENDENT_MM = 10.0
"""Depth of the zone under the dependent pleura in which lung that is not aerated may be airless by gravity alone: a few
millimetres to a centimetre (Webb, High-resolution CT of the lung, "dependent density")."""


def uncounted_density(evidence: Evidence, mask: NDArray[np.bool_], config: LesionConfig) -> UncountedDensity:
    """What is denser than undependent aerated lung by ``config.grow_hu`` and no opacity, by reason.

    Every block counts once: as border of the lung, as vessel (with its blur), as what gravity explains, or as the
    rest, which is too small or too thin for an opacity.

    Parameters
    ----------
    evidence : of the CT.
    mask : (K, J, I) bool blocks, the opacities.
    config : that they were found with.
    """
    density = evidence.density
    dense = density.lung & ~mask & (density.hu - density.aerated_hu.min() > config.grow_hu)
    explained = density.excess_hu <= config.grow_hu
    ml = density.grid.voxel_ml
    borders = dense & ~evidence.inner
    vessels = dense & evidence.inner & evidence.vessels
    rest = dense & evidence.inner & ~evidence.vessels
    rim = _dependent_rim(evidence)
    return UncountedDensity(
        borders_ml=ml * int(borders.sum()),
        vessels_ml=ml * int(vessels.sum()),
        dependent_ml=ml * int((rest & explained).sum()),
        small_ml=ml * int((rest & ~explained).sum()),
        dependent_opacity_ml=None if rim is None else ml * int((rim & mask).sum()),
    )


def _dependent_rim(evidence: Evidence) -> NDArray[np.bool_] | None:
    """(K, J, I) bool: lung within :data:`DEPENDENT_MM` of its lower face; None where gravity's direction is not seen.

    Lung is denser where it bears weight, so that the gradient of aerated lung tells a supine from a prone patient.
    """
    density = evidence.density
    rows = np.flatnonzero(density.lung.any(axis=(0, 2)))
    front, back = (float(density.aerated_hu[n]) for n in (rows[0], rows[-1]))
    if abs(back - front) < GRADIENT_HU:
        return None
    lung = density.lung if back > front else density.lung[:, ::-1]
    below = np.flip(np.maximum.accumulate(np.flip(lung, axis=1), axis=1), axis=1)  # lung here, or farther down
    depth = max(1, round(DEPENDENT_MM / density.grid.spacing_mm[1]))
    rim = lung & ~np.pad(below, ((0, 0), (0, depth), (0, 0)))[:, depth:]
    return frozen_array(rim if back > front else rim[:, ::-1])
