"""The voxel grid in anatomical coordinates, and the shapes of the anatomy.

A shape is a signed distance in mm, negative inside. The anatomy is defined once, for a reference adult whose carina is
at (0, 14, 0). A patient of another size has the same anatomy in scaled coordinates. There are two frames, both along L,
P, S: *patient* mm (the CT's world) and *reference* mm (patient mm divided by ``scale``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import Box, Geometry, triple

Field: TypeAlias = NDArray[np.floating]
"""float32 in the CT, float64 where a plane is small."""

B_SPLINE_NOISE_SD = 0.41
"""Standard deviation of unit white noise on a lattice after quadratic B-spline interpolation in three dimensions."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Voxel centres of a CT.

    Parameters
    ----------
    geometry : Geometry
        Geometry of the CT; its direction matrix is the identity.
    scale : (float, float, float)
        Patient mm per reference mm along (L, P, S).
    """

    geometry: Geometry
    scale: tuple[float, float, float]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(K, J, I)."""
        return self.geometry.shape

    @cached_property
    def voxel_mm(self) -> tuple[float, float, float]:
        """Voxel size along (L, P, S), reference mm."""
        return triple(s / f for s, f in zip(self.geometry.spacing_mm, self.scale, strict=True))

    @cached_property
    def _axes(self) -> tuple[tuple[Field, ...], tuple[Field, ...]]:
        g = self.geometry
        mm = [g.origin_mm[n] + g.spacing_mm[n] * np.arange(g.size[n]) for n in range(3)]
        reference = tuple((m / f).astype(np.float32) for m, f in zip(mm, self.scale, strict=True))
        return reference, tuple(m.astype(np.float32) for m in mm)

    def axis(self, n: int, *, patient: bool = False) -> Field:
        """Coordinates of the voxel centres along L, P or S (``n`` = 0, 1, 2), reference mm (or patient mm)."""
        return self._axes[patient][n]

    def box(self, low_mm: Sequence[float] | Field, high_mm: Sequence[float] | Field) -> Box:
        """The array box whose voxels cover the reference mm box from ``low_mm`` to ``high_mm`` (L, P, S)."""
        slices = []
        for n in range(3):
            origin, step = self.geometry.origin_mm[n] / self.scale[n], self.voxel_mm[n]
            first = int(np.floor((low_mm[n] - origin) / step))
            last = int(np.ceil((high_mm[n] - origin) / step))
            slices.append(slice(max(first, 0), max(min(last + 1, self.geometry.size[n]), 0)))
        return slices[2], slices[1], slices[0]

    def coordinates(self, box: Box, *, patient: bool = False) -> tuple[Field, Field, Field]:
        """Coordinates x, y, z of the voxels of ``box`` that broadcast to its (K, J, I) shape."""
        x, y, z = (self.axis(n, patient=patient)[box[2 - n]] for n in range(3))
        return x[None, None, :], y[None, :, None], z[:, None, None]

    def voxel_centres(self, flat: NDArray[np.intp], *, patient: bool = False) -> NDArray[np.float64]:
        """(N, 3) positions along (L, P, S) of voxels given by their flat index in a (K, J, I) array."""
        k, j, i = np.unravel_index(flat, self.shape)
        axes = [self.axis(n, patient=patient) for n in range(3)]
        return np.stack([axes[0][i], axes[1][j], axes[2][k]], axis=1).astype(np.float64)


def coverage(distance: Field, edge_mm: float) -> Field:
    """Fraction of a voxel, 0 to 1, inside a shape, for voxels ``edge_mm`` wide."""
    return np.clip(0.5 - distance * (1.0 / edge_mm), 0.0, 1.0)


def smooth_union(a: Field, b: Field, blend_mm: float) -> Field:
    """Union of two shapes whose seam is filled over ``blend_mm`` (polynomial smooth minimum)."""
    overlap = np.maximum(blend_mm - np.abs(a - b), 0.0)
    return np.minimum(a, b) - overlap * overlap * (0.25 / blend_mm)


def smoothstep(value: NDArray | np.float64, low: float, high: float) -> NDArray:
    """0 below ``low``, 1 above ``high``, and a cubic between."""
    t: Any = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def ellipsoid(
    xyz: tuple[Field, Field, Field], centre: Sequence[float], radii: Sequence[float], axes: NDArray | None = None
) -> Field:
    """Signed distance (along the ray from the centre) to an ellipsoid; rows of ``axes`` are its directions."""
    d = [c - float(m) for c, m in zip(xyz, centre, strict=True)]
    if axes is not None:
        d = [sum(float(row[n]) * d[n] for n in range(3)) for row in axes]
    length = np.sqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2)
    radius = np.sqrt(sum((c / float(r)) ** 2 for c, r in zip(d, radii, strict=True)))
    return length * (1.0 - 1.0 / np.maximum(radius, 1e-3))


def capsule(xyz: tuple[Field, Field, Field], a: NDArray, b: NDArray, radius_a: float, radius_b: float) -> Field:
    """Signed distance to a round cone from ``a`` to ``b`` (reference mm) with the radii of its two ends, mm."""
    vx, vy, vz = (float(q - p) for p, q in zip(a, b, strict=True))
    x, y, z = (c - float(p) for c, p in zip(xyz, a, strict=True))
    inverse = 1.0 / max(vx * vx + vy * vy + vz * vz, 1e-6)
    t = np.clip((x * (vx * inverse) + y * (vy * inverse)) + z * (vz * inverse), 0.0, 1.0)
    x, y, z = x - vx * t, y - vy * t, z - vz * t
    return np.sqrt(x * x + y * y + z * z) - (radius_a + float(radius_b - radius_a) * t)


def lattice_noise(rng: np.random.Generator, axes: Sequence[Field], correlation_mm: float) -> Field:
    """Smooth noise of unit standard deviation over a (z, y, x) grid.

    White noise on a lattice of step ``correlation_mm``, interpolated by quadratic B-splines one axis at a time (three
    taps, no matrix product, so that the bits do not depend on the number of threads).

    Parameters
    ----------
    axes : sequence of Field
        Coordinates along z, y and x, mm.
    correlation_mm : float
        Step of the lattice, mm.
    """
    position = [(np.asarray(a, dtype=np.float64).ravel() - float(np.min(a))) / correlation_mm for a in axes]
    counts = [int(np.floor(p.max())) + 3 for p in position]
    noise = rng.standard_normal(counts, dtype=np.float32) / np.float32(B_SPLINE_NOISE_SD)
    for n, p in enumerate(position):
        base = np.floor(p).astype(np.intp)
        t = (p - base).astype(np.float32)
        taps = (0.5 * (1 - t) ** 2, 0.5 + t * (1 - t), 0.5 * t**2)
        form = [1, 1, 1]
        form[n] = len(p)
        parts = [np.take(noise, base + m, axis=n) * tap.reshape(form) for m, tap in enumerate(taps)]
        noise = parts[0] + parts[1] + parts[2]
    return noise
