"""Opacities as a method marks them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import frozen_array


@dataclass(frozen=True)
class UncountedDensity:
    """Lung that is denser than aerated lung where it bears no weight, and is not counted as opacity, by reason.

    Parameters
    ----------
    borders_ml : float
        Voxels of lung and tissue in parts, at the edge of the lung.
    vessels_ml : float
        Vessels with their blur.
    dependent_ml : float
        As dense as aerated lung is at the same height of the chest: gravity explains it.
    small_ml : float
        Too small or too thin for an opacity.
    dependent_opacity_ml : float or None
        Of what *is* counted, the part right under the dependent pleura, where lung may be airless by gravity alone;
        None where the CT does not show which side was down.
    """

    borders_ml: float
    vessels_ml: float
    dependent_ml: float
    small_ml: float
    dependent_opacity_ml: float | None


@dataclass(frozen=True, eq=False)
class MarkedOpacities:
    """Opacities, and how sure their extent is.

    Parameters
    ----------
    mask : (K, J, I) ndarray of bool
        The opacities.
    stricter, more_lenient : (K, J, I) ndarray of bool, or None
        The same with a higher and a lower threshold: a part of ``mask``, and more than it. None where the method does
        not know how sure it is.
    uncounted : UncountedDensity or None
        What is dense and no opacity; None where the method does not know it.
    """

    mask: NDArray[np.bool_]
    stricter: NDArray[np.bool_] | None = None
    more_lenient: NDArray[np.bool_] | None = None
    uncounted: UncountedDensity | None = None

    def __post_init__(self) -> None:
        for name in ("mask", "stricter", "more_lenient"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, frozen_array(getattr(self, name)))

    @property
    def others(self) -> tuple[NDArray[np.bool_], ...]:
        """What else the mask may be, as far as that is known."""
        return tuple(mask for mask in (self.stricter, self.more_lenient) if mask is not None)
