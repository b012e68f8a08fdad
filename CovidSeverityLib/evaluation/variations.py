"""The same chest as other scanners would have shown it: thicker or thinner slices, larger pixels, more noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import AIR_HU, CtVolume, Geometry

HIGHEST_HU = 3071
"""Largest value of the 12 bits that scanners store."""

SAME_SPACING = 1e-3
"""Spacings that differ by less than this part are the same: nothing is resampled."""

K_AXIS, J_AXIS, I_AXIS = 0, 1, 2


@dataclass(frozen=True)
class Variation:
    """One change to a CT; exactly one of the fields but the name is given.

    Parameters
    ----------
    name : for tables.
    slice_mm : distance and thickness of the slices, mm.
    pixels : rows and columns of a slice, over the same field of view.
    noise_hu : standard deviation of white noise that is added, HU.

    Raises
    ------
    InputError
        If none or several are given, or one is not positive.
    """

    name: str
    slice_mm: float | None = None
    pixels: int | None = None
    noise_hu: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.slice_mm, self.pixels, self.noise_hu) if value is not None]
        if len(given) != 1 or not given[0] > 0:
            raise InputError(f"the variation {self.name} needs one positive value of slice_mm, pixels, noise_hu")


VARIATIONS = (
    *(Variation(f"slices {mm} mm", slice_mm=float(mm)) for mm in (1, 2, 5, 8)),
    Variation("pixels 256", pixels=256),
    *(Variation(f"noise {sd} HU", noise_hu=float(sd)) for sd in (20, 40)),
)
"""Thin and thick slices of routine chest CTs, the coarsest matrix in use, and the noise of low dose (asked for)."""


def vary(volume: CtVolume, variation: Variation, seed: int = 0) -> CtVolume:
    """A CT as it would be with a variation.

    Parameters
    ----------
    volume : chest CT.
    variation : thicker slices and larger pixels are means over what they cover, as a scanner's are; thinner and smaller
        ones are interpolated linearly between the centres of the old.
    seed : of the noise.

    Raises
    ------
    InputError
        If a slice would be thicker than the whole volume.
    """
    if variation.noise_hu is not None:
        return _with_noise(volume, variation.noise_hu, seed)
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
    """(new, old) weights along an axis, and how far the first new centre lies after the first old one, mm."""
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
    """Share of every old slab in every new one; new slabs begin at the first face and lie wholly inside."""
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
    """``geometry`` with another spacing and size along an array axis, its first voxel moved along that axis."""
    n = 2 - axis
    along = np.reshape(geometry.direction, (3, 3))[:, n]
    size, spacing = list(geometry.size), list(geometry.spacing_mm)
    size[n], spacing[n] = count, new_mm
    origin = np.asarray(geometry.origin_mm) + shift_mm * along
    return Geometry(tuple(size), tuple(spacing), tuple(origin.tolist()), geometry.direction)
