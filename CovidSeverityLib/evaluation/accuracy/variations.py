"""The same chest as other scanners would show it: other slices, pixels, noise, air value, or tilted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.types import AIR_HU, Geometry, triple

HIGHEST_HU = 3071
"""Largest value of the 12 bits that scanners store."""

SAME_SPACING = 1e-3
"""Largest relative difference of equal spacings, which are not resampled."""

K_AXIS, J_AXIS, I_AXIS = 0, 1, 2


@dataclass(frozen=True)
class Variation:
    """One change to a CT; exactly one field is given in addition to the name.

    Parameters
    ----------
    name : str
        Name in tables.
    slice_mm : float or None
        Distance and thickness of the slices, mm.
    pixels : int or None
        Rows and columns of a slice, over the same field of view.
    noise_hu : float or None
        Standard deviation of white noise that is added, HU.
    pitch_deg : float or None
        Rotation about the axis from right to left, the head leaning back, degrees.
    roll_deg : float or None
        Rotation about the axis from anterior to posterior, the head leaning to the left, degrees.
    shift_hu : float or None
        HU added to every value inside the field of view, like a scanner with a wrong scale. May be negative.

    Raises
    ------
    InputError
        If no change or several changes are given, or one is not positive.
    """

    name: str
    slice_mm: float | None = None
    pixels: int | None = None
    noise_hu: float | None = None
    pitch_deg: float | None = None
    roll_deg: float | None = None
    shift_hu: float | None = None

    def __post_init__(self) -> None:
        values = (self.slice_mm, self.pixels, self.noise_hu, self.pitch_deg, self.roll_deg)
        given = [value for value in values if value is not None]
        shifts = [] if self.shift_hu is None else [abs(self.shift_hu)]
        if len(given + shifts) != 1 or not (given + shifts)[0] > 0:
            raise InputError(
                f"the variation {self.name} needs one positive value of slice_mm, pixels, noise_hu, pitch_deg, "
                "roll_deg, or one shift_hu"
            )


VARIATIONS = (
    *(Variation(f"slices {mm} mm", slice_mm=float(mm)) for mm in (1, 2, 5, 8)),
    Variation("pixels 256", pixels=256),
    *(Variation(f"noise {sd} HU", noise_hu=float(sd)) for sd in (20, 40)),
)
"""Thin and thick slices of routine chest CTs, the coarsest matrix in use, and the noise of low dose, as specified."""


HEALTHY_VARIATIONS = (
    Variation("tilt 10 deg, pitch", pitch_deg=10.0),
    Variation("tilt 10 deg, roll", roll_deg=10.0),
    *(Variation(f"slices {mm} mm", slice_mm=float(mm)) for mm in (1, 5, 8)),
    *(Variation(f"shift {hu:+d} HU", shift_hu=float(hu)) for hu in (30, -30)),
)
"""Changes after which a healthy lung must remain healthy: position, routine slices, a wrong scale, as specified."""


def vary(volume: CtVolume, variation: Variation, seed: int = 0) -> CtVolume:
    """A CT with a variation.

    Parameters
    ----------
    volume : CtVolume
        Chest CT.
    variation : Variation
        Thicker slices and larger pixels are means over their extent, as in a scanner. Thinner slices and smaller pixels
        are interpolated linearly between the old centres. A tilted chest is interpolated linearly on the old grid,
        about its middle; outside the volume the voxels at its border are continued.
    seed : int
        Seed of the noise.

    Raises
    ------
    InputError
        If a slice would be thicker than the whole volume.
    """
    if variation.noise_hu is not None:
        return _with_noise(volume, variation.noise_hu, seed)
    if variation.shift_hu is not None:
        return _shifted(volume, variation.shift_hu)
    if variation.pitch_deg is not None:
        return _tilted(volume, variation.pitch_deg, (K_AXIS, J_AXIS))
    if variation.roll_deg is not None:
        return _tilted(volume, variation.roll_deg, (K_AXIS, I_AXIS))
    if variation.slice_mm is not None:
        return _resampled(volume, {K_AXIS: variation.slice_mm})
    _, rows, columns = volume.hu.shape
    _, row_mm, column_mm = volume.geometry.spacing_kji
    return _resampled(
        volume, {J_AXIS: row_mm * rows / variation.pixels, I_AXIS: column_mm * columns / variation.pixels}
    )


def _with_noise(volume: CtVolume, sd_hu: float, seed: int) -> CtVolume:
    rng = np.random.default_rng(seed)
    hu = np.empty_like(volume.hu)
    for k, plane in enumerate(volume.hu):
        noisy = plane + np.float32(sd_hu) * rng.standard_normal(plane.shape, dtype=np.float32)
        hu[k] = np.clip(np.rint(noisy), AIR_HU, HIGHEST_HU).astype(np.int16)
    return replace(volume, hu=hu)


def _shifted(volume: CtVolume, by_hu: float) -> CtVolume:
    """Shift all values, except the air outside the field of view, which is not measured."""
    moved = np.clip(volume.hu + np.float32(by_hu), AIR_HU, HIGHEST_HU)
    return replace(volume, hu=np.where(volume.hu == AIR_HU, AIR_HU, np.rint(moved)).astype(np.int16))


def _tilted(volume: CtVolume, degrees: float, plane: tuple[int, int]) -> CtVolume:
    """The chest rotated in ``plane`` (two array axes) about the middle of the volume.

    With voxel indices :math:`v`, spacings :math:`s` and the rotation :math:`R`, the new voxel at :math:`v` has the
    value at :math:`S^{-1} R S (v - m) + m`, where :math:`S` is the diagonal of :math:`s` and :math:`m` the middle.
    """
    first, second = plane
    angle = np.deg2rad(degrees)
    turn = np.eye(3)
    turn[first, first] = turn[second, second] = np.cos(angle)
    turn[first, second], turn[second, first] = np.sin(angle), -np.sin(angle)
    spacing = np.array(volume.geometry.spacing_kji)
    matrix = turn * spacing[None, :] / spacing[:, None]
    middle = (np.array(volume.hu.shape) - 1) / 2.0
    hu = ndimage.affine_transform(
        volume.hu, matrix, middle - (matrix * middle).sum(axis=1), output=np.float32, order=1, mode="nearest"
    )
    return replace(volume, hu=np.clip(np.rint(hu), AIR_HU, HIGHEST_HU).astype(np.int16))


def _resampled(volume: CtVolume, new_mm: dict[int, float]) -> CtVolume:
    """``volume`` with other spacings along some array axes."""
    hu: NDArray = volume.hu
    geometry = volume.geometry
    for axis, mm in new_mm.items():
        old_mm = geometry.spacing_kji[axis]
        if abs(mm / old_mm - 1.0) < SAME_SPACING:
            continue
        weights, shift_mm = _weights(hu.shape[axis], old_mm, mm)
        hu = _along(hu, axis, weights)
        geometry = _moved(geometry, axis, mm, hu.shape[axis], shift_mm)
    if geometry is volume.geometry:
        return volume
    values = np.clip(np.rint(hu), AIR_HU, HIGHEST_HU).astype(np.int16)
    return CtVolume(values, geometry, geometry, name=volume.name, notes=volume.notes)


def _weights(count: int, old_mm: float, new_mm: float) -> tuple[sparse.csr_array, float]:
    """(new, old) weights along an axis, and the distance from the first old to the first new centre, mm."""
    if new_mm > old_mm:
        return _slab_weights(count, old_mm, new_mm), 0.5 * (new_mm - old_mm)
    places = np.arange(int((count - 1) * old_mm / new_mm + 1e-6) + 1) * (new_mm / old_mm)
    below = np.minimum(places.astype(int), max(count - 2, 0))
    part = places - below
    rows = np.arange(len(places))
    above = np.minimum(below + 1, count - 1)
    values = np.concatenate([1.0 - part, part])
    indices = (np.concatenate([rows, rows]), np.concatenate([below, above]))
    return sparse.coo_array((values, indices), shape=(len(places), count)).tocsr(), 0.0


def _slab_weights(count: int, old_mm: float, new_mm: float) -> sparse.csr_array:
    """Share of every old slab in every new one; new slabs begin at the first face and are completely inside."""
    new = int(count * old_mm / new_mm + 1e-6)
    if new < 1:
        raise InputError(f"slices of {new_mm:g} mm do not fit into {count * old_mm:g} mm")
    old_faces, new_faces = np.arange(count + 1) * old_mm, np.arange(new + 1) * new_mm
    low = np.maximum(new_faces[:-1, None], old_faces[None, :-1])
    high = np.minimum(new_faces[1:, None], old_faces[None, 1:])
    return sparse.csr_array(np.maximum(high - low, 0.0) / new_mm)


def _along(hu: NDArray, axis: int, weights: sparse.csr_array) -> NDArray[np.float32]:
    """``weights`` applied along ``axis``."""
    moved = np.moveaxis(hu, axis, 0)
    result = np.zeros((weights.shape[0], *moved.shape[1:]), dtype=np.float32)
    for new in range(weights.shape[0]):
        for n in range(weights.indptr[new], weights.indptr[new + 1]):
            result[new] += np.float32(weights.data[n]) * moved[weights.indices[n]]
    return np.moveaxis(result, 0, axis)


def _moved(geometry: Geometry, axis: int, new_mm: float, count: int, shift_mm: float) -> Geometry:
    """``geometry`` with another spacing and size along an array axis and a shifted first voxel."""
    n = 2 - axis
    along = np.reshape(geometry.direction, (3, 3))[:, n]
    size, spacing = list(geometry.size), list(geometry.spacing_mm)
    size[n], spacing[n] = count, new_mm
    origin = np.asarray(geometry.origin_mm) + shift_mm * along
    return Geometry(triple(size), triple(spacing), triple(origin.tolist()), geometry.direction)
