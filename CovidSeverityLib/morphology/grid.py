"""The coarser grid on which the shape of the lungs is decided.

Topology (which air is lung, where right meets left) needs millimetres, not every voxel: on blocks of about 1.5 mm the
work is a fifth and noise is averaged. The boundary is then decided again on the full grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from CovidSeverityLib.types import Box, Geometry, triple

Edges = tuple[float, float, float]
"""(K, J, I), mm."""

Mask = NDArray[np.bool_]
FloatImage = NDArray[np.float32]

WORKING_SPACING_MM: Edges = (2.0, 1.6, 1.6)
"""Largest block edge (K, J, I), mm: finer than the thinnest wall that must not be lost (trachea, diaphragm: 2-4 mm)."""


BLOCKS: Edges = (1.0, 1.0, 1.0)
"""For radii that count blocks: a ball of radius 1 holds the neighbours across a face."""

WORTH_THREADS = 100_000
"""In images of fewer voxels, a distance map is done before its threads have begun."""


@dataclass(frozen=True)
class WorkingGrid:
    """Blocks of whole voxels.

    Parameters
    ----------
    shape : (int, int, int)
        Full grid (K, J, I).
    factors : (int, int, int)
        Voxels a block, (K, J, I).
    spacing_mm : Edges
        Block edge, (K, J, I), mm.
    thin_slice_mm : float
        Thicker slices count as thick, mm.
    """

    shape: tuple[int, int, int]
    factors: tuple[int, int, int]
    spacing_mm: Edges
    thin_slice_mm: float = WORKING_SPACING_MM[0]

    @classmethod
    def of(
        cls, geometry: Geometry, largest_mm: Edges = WORKING_SPACING_MM, thin_slice_mm: float = WORKING_SPACING_MM[0]
    ) -> WorkingGrid:
        """The coarsest grid of ``geometry`` with edges (K, J, I) up to these, or its voxels if they are larger."""
        spacing = geometry.spacing_kji
        factors = triple(
            max(1, min(int(largest / mm), count))
            for largest, mm, count in zip(largest_mm, spacing, geometry.shape, strict=True)
        )
        edges = triple(mm * f for mm, f in zip(spacing, factors, strict=True))
        return cls(geometry.shape, factors, edges, thin_slice_mm)

    @property
    def voxel_ml(self) -> float:
        """Volume of a block, ml."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    def blocks_of(self, ml: float) -> float:
        """Blocks of a ball of ``ml``; in a single slice those of its largest section."""
        if self.shape[0] > 1:
            return ml / self.voxel_ml
        radius_mm = (0.75 * 1000.0 * ml / np.pi) ** (1 / 3)
        return float(np.pi * radius_mm**2 / np.prod(self.spacing_mm[1:]))

    @property
    def excess_slice_mm(self) -> float:
        """How much thicker than thin the slices are, mm: so far they blur what is oblique."""
        return max(0.0, self.spacing_mm[0] - self.thin_slice_mm)

    def reduce(self, array: NDArray) -> FloatImage:
        """Mean of every block, float32; blocks at the upper faces are completed with edge values."""
        blocks = np.empty([-(-n // f) for n, f in zip(array.shape, self.factors, strict=True)], dtype=np.float32)
        for k, layer in enumerate(blocks):  # one layer of blocks after the other stays in the processor's cache
            layer[:] = self._layer(array[k * self.factors[0] : (k + 1) * self.factors[0]])
        return blocks

    def _layer(self, slices: NDArray) -> FloatImage:
        """Mean of every block of the (J, I) layer that ``slices`` are cut into."""
        missing = [(0, -n % f) for n, f in zip(slices.shape, self.factors, strict=True)]
        layer = np.pad(slices, missing, mode="edge") if np.any(missing) else slices
        for axis, factor in reversed(tuple(enumerate(self.factors))):
            if factor > 1:
                before = (slice(None),) * axis
                total = layer[(*before, slice(0, None, factor))].astype(np.float32)
                for n in range(1, factor):
                    total += layer[(*before, slice(n, None, factor))]
                layer = np.divide(total, np.float32(factor), out=total)
        return layer[0]

    def expand(self, array: NDArray) -> NDArray:
        """Every block's value for each of its voxels: the full grid again."""
        for axis, factor in enumerate(self.factors):
            if factor > 1:
                array = np.repeat(array, factor, axis=axis)
        k, j, i = self.shape
        return array[:k, :j, :i]

    def voxels_of(self, blocks: Box) -> Box:
        """The voxels, on the full grid, of a box of blocks."""
        ends = zip(blocks, self.factors, self.shape, strict=True)
        return triple(slice(s.start * f, min(s.stop * f, n)) for s, f, n in ends)

    def interpolate(self, field: NDArray, near: Box) -> FloatImage:
        """The values of the blocks ``near``, interpolated between their middles, on :meth:`voxels_of` these blocks."""
        fine: NDArray = field[near].astype(np.float64)
        for axis, factor in enumerate(self.factors):
            fine = _interpolated(fine, factor, axis, np.float32 if axis == 2 else np.float64)
        return fine[tuple(slice(0, s.stop - s.start) for s in self.voxels_of(near))]


def bounding_box(mask: NDArray, margin: tuple[int, int, int] = (0, 0, 0)) -> Box:
    """The smallest box around ``mask``, widened by ``margin`` voxels (K, J, I) and cut at the array's faces.

    An empty mask gives an empty box.
    """
    from_above = np.logical_or.reduce(mask, axis=0)
    profiles = (mask.any(axis=(1, 2)), from_above.any(axis=1), from_above.any(axis=0))
    hits = [np.flatnonzero(profile) for profile in profiles]
    if not hits[0].size:
        return slice(0, 0), slice(0, 0), slice(0, 0)
    ends = zip(hits, margin, mask.shape, strict=True)
    return triple(slice(max(0, int(hit[0]) - more), min(size, int(hit[-1]) + 1 + more)) for hit, more, size in ends)


def distance_to(mask: NDArray, spacing_mm: Edges) -> FloatImage:
    """Distance of every voxel to the nearest voxel of ``mask``, mm (exact; Maurer 2003,
    doi 10.1109/TPAMI.2003.1177156).

    An empty mask is infinitely far from everywhere.
    """
    if not mask.any():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    image = sitk.GetImageFromArray(mask.view(np.uint8))
    image.SetSpacing(spacing_mm[::-1])
    maurer = sitk.SignedMaurerDistanceMapImageFilter()
    maurer.SquaredDistanceOff()
    maurer.UseImageSpacingOn()
    if mask.size < WORTH_THREADS:
        maurer.SetNumberOfThreads(1)
        maurer.SetNumberOfWorkUnits(1)
    distance = maurer.Execute(image)  # the view below does not keep it alive
    return np.maximum(sitk.GetArrayViewFromImage(distance), 0.0)


def dilate_mm(mask: NDArray, radius_mm: float, spacing_mm: Edges) -> Mask:
    """``mask`` grown by a ball of ``radius_mm``.

    The ball is a stack of rows: the mask is widened along I once for every half-width that occurs, and the widened
    masks are laid over each other for every (K, J) offset. For the radii used here that is several times as fast as a
    distance map.
    """
    box = bounding_box(mask, margin=triple(1 + int(radius_mm / mm) for mm in spacing_mm))
    grown = np.zeros(mask.shape, dtype=bool)
    core = mask[box]
    if not core.size:
        return grown
    widened = [core]
    for half_width in range(1, int(radius_mm / spacing_mm[2]) + 1):
        wider = widened[-1].copy()
        wider[:, :, half_width:] |= core[:, :, :-half_width]
        wider[:, :, :-half_width] |= core[:, :, half_width:]
        widened.append(wider)
    target = grown[box]
    for k, j, half_width in _rows_of_ball(radius_mm, spacing_mm):
        target[_shifted(k), _shifted(j)] |= widened[half_width][_shifted(-k), _shifted(-j)]
    return grown


def erode_mm(mask: NDArray, radius_mm: float, spacing_mm: Edges) -> Mask:
    """``mask`` shrunk by a ball of ``radius_mm``; the array's faces do not count as outside."""
    return ~dilate_mm(~mask, radius_mm, spacing_mm)


def close_mm(mask: NDArray, radius_mm: float, spacing_mm: Edges) -> Mask:
    """Gaps in ``mask`` that a ball of ``radius_mm`` does not enter, filled."""
    return mask | erode_mm(dilate_mm(mask, radius_mm, spacing_mm), radius_mm, spacing_mm)


def signed_distance(mask: NDArray, spacing_mm: Edges) -> FloatImage:
    """Distance to the surface of ``mask``, negative inside, mm."""
    return distance_to(mask, spacing_mm) - distance_to(~mask, spacing_mm)


def rolling_ball_distance(mask: NDArray, radius_mm: float, spacing_mm: Edges) -> FloatImage:
    """Distance to the surface of a ball that rolls over ``mask`` from outside, mm: negative in the mask and its dents.

    Parameters
    ----------
    mask : (K, J, I) ndarray of bool
        What the ball rolls over.
    radius_mm : float
        Radius of the ball.
    spacing_mm : tuple of float
        Edges of a voxel (K, J, I), mm.

    Returns
    -------
    (K, J, I) ndarray of float32
    """
    box = bounding_box(mask)
    margin = [(2 + int(radius_mm / mm),) * 2 for mm in spacing_mm]
    grown = distance_to(np.pad(mask[box], margin), spacing_mm) <= radius_mm
    near = np.float32(radius_mm) - distance_to(~grown, spacing_mm)
    distance = np.full(mask.shape, radius_mm, dtype=np.float32)  # farther off, the ball does not touch the mask
    starts = [s.start - low for s, (low, _) in zip(box, margin, strict=True)]
    inside = triple(slice(max(0, a), a + n) for a, n in zip(starts, near.shape, strict=True))
    distance[inside] = near[tuple(slice(max(0, -a), n - a) for a, n in zip(starts, mask.shape, strict=True))]
    return distance


def close_by_ball(mask: NDArray, radius_mm: float, spacing_mm: Edges) -> Mask:
    """Gaps in ``mask`` that a ball of ``radius_mm`` does not enter, filled; outside the array there is nothing."""
    margin = [(2 + int(radius_mm / mm),) * 2 for mm in spacing_mm]
    box = bounding_box(mask)
    closed = np.zeros_like(mask)
    wide = close_mm(np.pad(mask[box], margin), radius_mm, spacing_mm)
    closed[box] = wide[tuple(slice(low, -high) for low, high in margin)]
    return closed


def open_by_ball(mask: NDArray, radius_mm: float, spacing_mm: Edges) -> Mask:
    """Opening by a ball, from distance maps: what balls inside ``mask`` cover."""
    box = bounding_box(mask, margin=(2, 2, 2))
    core = distance_to(~mask[box], spacing_mm) > radius_mm
    result = np.zeros_like(mask)
    result[box] = mask[box] & (distance_to(core, spacing_mm) <= radius_mm)
    return result


def erode_by_cuboid(mask: NDArray, half_widths: tuple[int, int, int]) -> Mask:
    """Middles of the cuboids, of these half-widths (K, J, I) in voxels, that fit into ``mask``."""
    for axis, half_width in enumerate(half_widths):
        wide = np.moveaxis(mask, axis, 0)
        kept = wide.copy(order="K")  # in the order of memory
        for offset in range(1, half_width + 1):
            kept[offset:] &= wide[:-offset]
            kept[:-offset] &= wide[offset:]
            kept[:offset] = kept[-offset:] = False
        mask = np.moveaxis(kept, 0, axis)
    return mask


def inner_boundary(mask: NDArray) -> Mask:
    """The voxels of ``mask`` with a neighbour outside it, across a face."""
    return mask & dilate_mm(np.pad(~mask, 1, constant_values=True), 1.0, BLOCKS)[1:-1, 1:-1, 1:-1]


def _interpolated(values: NDArray, factor: int, axis: int, dtype: type) -> NDArray:
    """``factor`` values for every one along ``axis``, linear between the middles of blocks, constant beyond the last.

    SciPy's ``zoom`` does the same for all axes at once, with eight products a voxel; that takes six times as long.
    """
    blocks = np.moveaxis(values, axis, 0)
    fine = np.empty([n * (factor if a == axis else 1) for a, n in enumerate(values.shape)], dtype=dtype)
    voxels = np.moveaxis(fine, axis, 0)
    for n in range(factor):
        off_middle = (n + 0.5) / factor - 0.5
        part = blocks * (1 - abs(off_middle))
        if off_middle < 0:
            part[1:] += blocks[:-1] * -off_middle
            part[:1] = blocks[:1]
        elif off_middle > 0:
            part[:-1] += blocks[1:] * off_middle
            part[-1:] = blocks[-1:]
        voxels[n::factor] = part
    return fine


def _rows_of_ball(radius_mm: float, spacing_mm: Edges) -> Iterator[tuple[int, int, int]]:
    """(K offset, J offset, half-width along I) of every row of voxels in a ball."""
    k_mm, j_mm, i_mm = spacing_mm
    for k in range(-int(radius_mm / k_mm), int(radius_mm / k_mm) + 1):
        for j in range(-int(radius_mm / j_mm), int(radius_mm / j_mm) + 1):
            rest = radius_mm**2 - (k * k_mm) ** 2 - (j * j_mm) ** 2
            if rest >= 0:
                yield k, j, int(rest**0.5 / i_mm)


def _shifted(offset: int) -> slice:
    """The part of an axis that, moved by ``-offset``, still lies on it."""
    return slice(offset, None) if offset >= 0 else slice(None, offset)
