"""A CT of the same chest in another breath: warped by a known field, with the mass of the lungs kept.

The diaphragm rises towards the apices and the chest becomes flatter from the back to the front. A smooth random field
is added, because no breath is that regular. Lung that fills less volume is denser (Simon 2000,
doi 10.1067/mai.2000.105246): with the Jacobian determinant J of the way back, air is pressed out and tissue stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.types import AIR_HU, Geometry, triple

FLATTENING = 0.2
"""Share of the change from the back to the front; the rest is along the body. At rest the diaphragm does most."""

ABOVE_APEX_MM = 30.0
"""Over this length above the apices the flattening ends: shoulders do not breathe."""

FIELD_STEP = (1, 4, 4)
"""Voxels (K, J, I) between the points at which the field is kept; it is smooth over centimetres."""

WAVE_MM = 90.0
"""Distance of the random vectors, between which the random field is interpolated, mm."""

HIGHEST_HU = 3071

LARGEST_CHANGE_PERCENT = 40.0


@dataclass(frozen=True)
class BreathSpec:
    """Another breath.

    Parameters
    ----------
    less_percent : float
        By how much the volume of the lungs becomes smaller, without the random field.
    random_mm : float
        Standard deviation of each component of the random field, mm.
    noise_hu : float
        Standard deviation of the noise that is added, HU.
    seed : int
        Seed of field and noise.

    Raises
    ------
    InputError
        For a change over :data:`LARGEST_CHANGE_PERCENT` or a negative number.
    """

    less_percent: float = 10.0
    random_mm: float = 2.0
    noise_hu: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.less_percent <= LARGEST_CHANGE_PERCENT:
            raise InputError(
                f"a breath of {self.less_percent:g} % less is not between 0 and {LARGEST_CHANGE_PERCENT:g} %"
            )
        if min(self.random_mm, self.noise_hu, self.seed) < 0:
            raise InputError("random field, noise and seed cannot be negative")


@dataclass(frozen=True, eq=False)
class Breath:
    """A known way from the new CT back to the old one.

    Parameters
    ----------
    field_mm : (3, K, J, I) ndarray of float32
        From a new point to the old one, along K, J and I, mm; every fourth row and column of ``geometry``.
    geometry : Geometry
        Of the new CT: the old one without the slices that would lie below it.
    first : int
        Number of these slices.
    """

    field_mm: NDArray[np.float32]
    geometry: Geometry
    first: int

    def transform(self) -> sitk.Transform:
        """From new to old points, for SimpleITK."""
        direction = np.reshape(self.geometry.direction, (3, 3))
        along_axes = np.moveaxis(self.field_mm[::-1], 0, -1).astype(np.float64)
        image = sitk.GetImageFromArray((along_axes[..., None, :] * direction).sum(axis=-1), isVector=True)
        steps = FIELD_STEP[::-1]
        image.SetSpacing([mm * step for mm, step in zip(self.geometry.spacing_mm, steps, strict=True)])
        image.SetOrigin(self.geometry.origin_mm)
        image.SetDirection(self.geometry.direction)
        return sitk.DisplacementFieldTransform(image)

    def carried(self, array: NDArray, old: Geometry, interpolator: int = sitk.sitkNearestNeighbor) -> NDArray:
        """An array on the grid ``old`` of the old CT, on that of the new one."""
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(old.spacing_mm)
        image.SetOrigin(old.origin_mm)
        image.SetDirection(old.direction)
        grid = self.geometry
        where = (grid.origin_mm, grid.spacing_mm, grid.direction, float(array.min()))
        return sitk.GetArrayFromImage(sitk.Resample(image, grid.size, self.transform(), interpolator, *where))

    def jacobian(self) -> NDArray[np.float32]:
        """(K, J, I) old volume of a new voxel, in new volumes."""
        spacing = [mm * step for mm, step in zip(self.geometry.spacing_kji, FIELD_STEP, strict=True)]
        rows = [
            [np.gradient(self.field_mm[a], spacing[b], axis=b) + np.float32(a == b) for b in range(3)] for a in range(3)
        ]
        (a, b, c), (d, e, f), (g, h, i) = rows
        coarse = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
        return _finer(coarse, self.geometry.shape)


def breathe(volume: CtVolume, lungs: NDArray[np.uint8], spec: BreathSpec = BreathSpec()) -> tuple[CtVolume, Breath]:
    """The chest in another breath.

    Parameters
    ----------
    volume : CtVolume
        CT.
    lungs : (K, J, I) ndarray of uint8
        Labels of :class:`~CovidSeverityLib.types.Side`, not empty.
    spec : BreathSpec
        The breath; the same one gives the same bits.

    Returns
    -------
    CtVolume
        The new CT.
    Breath
        The way back to the old one.
    """
    field_rng, noise_rng = np.random.default_rng(spec.seed).spawn(2)
    breath = _breath(volume.geometry, lungs > 0, spec, field_rng)
    hu = breath.carried(volume.hu.astype(np.float32), volume.geometry, sitk.sitkBSpline3)
    density = np.clip(hu / np.float32(1000.0) + 1, 0.0, None)
    inside = breath.carried((lungs > 0).astype(np.uint8), volume.geometry) > 0
    pressed = density + (breath.jacobian() - 1) * density * np.clip(1 - density, 0.0, 1.0)
    hu = np.where(inside, (pressed - 1) * np.float32(1000.0), hu)
    for plane in hu:
        plane += np.float32(spec.noise_hu) * noise_rng.standard_normal(plane.shape, dtype=np.float32)
    values = np.clip(np.rint(hu), AIR_HU, HIGHEST_HU).astype(np.int16)
    grid = breath.geometry
    moved = replace(
        volume,
        hu=values,
        geometry=grid,
        stored_geometry=grid,
        storage=type(volume.storage)(),
        acquired=(True,) * len(values),
        name=f"{volume.name}-breath",
    )
    return moved, breath


def _breath(geometry: Geometry, lung: NDArray[np.bool_], spec: BreathSpec, rng: np.random.Generator) -> Breath:
    k_mm, j_mm, _ = geometry.spacing_kji
    heights, depths = np.flatnonzero(lung.any(axis=(1, 2))), np.flatnonzero(lung.any(axis=(0, 2)))
    whole = 1.0 / (1.0 - spec.less_percent / 100.0)
    down = whole ** (1.0 - FLATTENING) - 1.0
    back = whole**FLATTENING - 1.0
    z = (np.arange(geometry.shape[0]) * k_mm)[:, None, None]
    y = (np.arange(0, geometry.shape[1], FIELD_STEP[1]) * j_mm)[None, :, None]
    apex, spine = heights[-1] * k_mm, depths[-1] * j_mm
    shape = triple(-(-n // step) for n, step in zip(geometry.shape, FIELD_STEP, strict=True))
    field = _random_field(shape, geometry, spec.random_mm, rng)
    field[0] -= (down * np.maximum(apex - z, 0.0)).astype(np.float32)
    field[1] -= (back * (spine - y) * np.clip((apex + ABOVE_APEX_MM - z) / ABOVE_APEX_MM, 0.0, 1.0)).astype(np.float32)
    inside = (z / k_mm + field[0] / k_mm).min(axis=(1, 2)) >= 0
    first = int(np.argmax(inside))
    origin = (geometry.ijk_to_lps * np.array([0.0, 0.0, first, 1.0])).sum(axis=1)[:3]
    grid = replace(geometry, size=(*geometry.size[:2], geometry.size[2] - first), origin_mm=triple(origin.tolist()))
    return Breath(field[:, first:].copy(), grid, first)


def _random_field(
    shape: tuple[int, int, int], geometry: Geometry, sd_mm: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    spacing = [mm * step for mm, step in zip(geometry.spacing_kji, FIELD_STEP, strict=True)]
    knots = [max(4, round(n * mm / WAVE_MM) + 1) for n, mm in zip(shape, spacing, strict=True)]
    parts = [_finer(rng.standard_normal(knots).astype(np.float32), shape, order=3) for _ in range(3)]
    return np.stack([np.float32(sd_mm) * part / max(float(part.std()), 1e-6) for part in parts])


def _finer(coarse: NDArray[np.float32], shape: tuple[int, int, int], order: Literal[1, 3] = 1) -> NDArray[np.float32]:
    factors = [n / m for n, m in zip(shape, coarse.shape, strict=True)]
    return ndimage.zoom(coarse, factors, output=np.float32, order=order, mode="nearest", grid_mode=True)
