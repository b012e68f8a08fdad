"""Opacities of slices that do not belong together: every slice is a CT of its own."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.checked import known
from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.segmentation.opacity.values import MarkedOpacities, UncountedDensity
from CovidSeverityLib.types import Geometry, Progress

from .config import OpacityConfig
from .consolidation import opacity_regions
from .opacities import STAGE, segment_opacities


def segment_slice_opacities(
    hu: NDArray[np.int16],
    lung: NDArray[np.bool_],
    geometry: Geometry,
    config: OpacityConfig = OpacityConfig(),
    progress: Progress | None = None,
) -> MarkedOpacities:
    """Mark the opacities of every slice alone; slices without lung stay empty.

    Parameters are those of :func:`~.opacities.segment_opacities`.
    """
    masks = np.zeros((3, *hu.shape), dtype=bool)
    slices = np.flatnonzero(lung.any(axis=(1, 2)))

    def mark(k: int) -> UncountedDensity:
        one = slice(k, k + 1)
        found = segment_opacities(hu[one], lung[one], geometry.of_one_slice, config)
        masks[:, one] = found.mask, found.stricter, found.more_lenient
        return known(found.uncounted)

    return MarkedOpacities(masks[0], masks[1], masks[2], _sum(map_in_order(mark, slices.tolist(), STAGE, progress)))


def slice_opacity_regions(
    hu: NDArray[np.int16], opacities: NDArray[np.bool_], geometry: Geometry, config: OpacityConfig = OpacityConfig()
) -> NDArray[np.uint8]:
    """Ground glass and consolidation of every slice alone, as :func:`~.consolidation.opacity_regions`."""
    slices = zip(hu[:, None], opacities[:, None], strict=True)
    return np.concatenate([opacity_regions(*pair, geometry.of_one_slice, config) for pair in slices])


def _sum(parts: list[UncountedDensity]) -> UncountedDensity:
    """Sums of what every slice tells."""
    values = {field.name: [getattr(part, field.name) for part in parts] for field in fields(UncountedDensity)}
    sums: dict[str, Any] = {
        name: None if all(v is None for v in row) else sum(v or 0.0 for v in row) for name, row in values.items()
    }
    return UncountedDensity(**sums)
