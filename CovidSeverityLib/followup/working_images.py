"""The coarse images of one examination by which its lungs are registered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.immutable import Value
from CovidSeverityLib.morphology.grid import WorkingGrid, bounding_box, signed_distance
from CovidSeverityLib.types import Box, Geometry, Triple, triple

from .config import RegistrationConfig
from .examination import Examination

STRUCTURE_HU = (-1000.0, -300.0)
"""Densities of the structure: air to a vessel that fills half a voxel of 4 mm. Denser parts count as that."""

STRUCTURE_RANGE = (-2.0, 4.0)
"""Structure is clipped to this, in standard deviations, so that no single dense spot decides."""

HALF = 0.5
"""A block is lung if half of it is."""


@dataclass(frozen=True, eq=False)
class WorkingImages(Value):
    """Images on blocks of a few millimetres around the lungs.

    Parameters
    ----------
    geometry : Geometry
        Of the blocks.
    lung : (K, J, I) ndarray of bool
        Both lungs.
    distance_mm : (K, J, I) ndarray of float32
        To the surface of the lungs, negative inside, mm; clipped.
    structure : (K, J, I) ndarray of float32, or None
        Density without its local mean, in standard deviations; 0 outside the lungs. None without a CT.
    trusted : (K, J, I) ndarray of bool
        Lung without opacity: its structure is the same in both examinations.
    """

    geometry: Geometry
    lung: NDArray[np.bool_]
    distance_mm: NDArray[np.float32]
    structure: NDArray[np.float32] | None
    trusted: NDArray[np.bool_]

    @classmethod
    def of(cls, examination: Examination, config: RegistrationConfig, *, with_ct: bool) -> WorkingImages:
        """The images of ``examination``; without structure unless ``with_ct``."""
        grid = WorkingGrid.of(examination.geometry, (config.working_mm, config.working_mm, config.working_mm))
        inside = grid.reduce(examination.lungs > 0) >= HALF
        margin = triple(1 + int(config.outside_mm / mm) for mm in grid.spacing_mm)
        box = _widened(bounding_box(inside), margin)
        lung = _cut(inside, box, "constant")
        opacity = _cut(grid.reduce(examination.opacity) > 0, box, "constant")
        distance = np.clip(signed_distance(lung, grid.spacing_mm), -config.inside_mm, config.outside_mm)
        structure = None
        if with_ct and examination.hu is not None:
            density = _cut(grid.reduce(examination.hu), box, "edge")
            structure = _structure(density, lung, grid.spacing_mm, config.background_mm)
        return cls(_geometry(examination.geometry, grid, box), lung, distance, structure, lung & ~opacity)

    def image(self, array: NDArray) -> sitk.Image:
        """``array`` on this grid for SimpleITK."""
        image = sitk.GetImageFromArray(np.ascontiguousarray(array))
        image.SetSpacing(self.geometry.spacing_mm)
        image.SetOrigin(self.geometry.origin_mm)
        image.SetDirection(self.geometry.direction)
        return image

    def centre_mm(self) -> NDArray[np.float64]:
        """LPS position of the middle of the lungs, mm."""
        middle = np.argwhere(self.lung).mean(axis=0)
        return (self.geometry.ijk_to_lps * np.append(middle[::-1], 1.0)).sum(axis=1)[:3]


def _structure(
    density: NDArray[np.float32], lung: NDArray[np.bool_], spacing_mm: Triple, background_mm: float
) -> NDArray[np.float32]:
    clipped = np.clip(density, *STRUCTURE_HU)
    weight = lung.astype(np.float32)
    sigma = [background_mm / mm for mm in spacing_mm]
    around = ndimage.gaussian_filter(weight * clipped, sigma) / np.maximum(ndimage.gaussian_filter(weight, sigma), 1e-3)
    rest = np.where(lung, clipped - around, np.float32(0.0))
    deviation = float(np.sqrt(np.square(rest[lung], dtype=np.float64).mean()))
    return np.clip(rest / np.float32(max(deviation, 1.0)), *STRUCTURE_RANGE).astype(np.float32)


def _widened(box: Box, margin: tuple[int, int, int]) -> Box:
    """``box`` with a margin that may lie outside the array."""
    return triple(slice(part.start - more, part.stop + more) for part, more in zip(box, margin, strict=True))


def _cut(array: NDArray, box: Box, mode: str) -> NDArray:
    """The part of ``array`` in ``box``, continued outside it."""
    outside = [(max(0, -part.start), max(0, part.stop - size)) for part, size in zip(box, array.shape, strict=True)]
    padded = np.pad(array, outside, mode=mode)  # type: ignore[call-overload]
    return padded[tuple(slice(part.start + low, part.stop + low) for part, (low, _) in zip(box, outside, strict=True))]


def _geometry(full: Geometry, grid: WorkingGrid, box: Box) -> Geometry:
    factors = np.array(grid.factors)
    first = np.array([part.start for part in box]) * factors + (factors - 1) / 2.0
    origin = (full.ijk_to_lps * np.append(first[::-1], 1.0)).sum(axis=1)[:3]
    return Geometry(
        size=triple(part.stop - part.start for part in box[::-1]),
        spacing_mm=triple(grid.spacing_mm[::-1]),
        origin_mm=triple(origin.tolist()),
        direction=full.direction,
    )
