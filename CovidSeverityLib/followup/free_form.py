"""Free-form deformation by cubic B-splines (Rueckert 1999, doi 10.1109/42.796284).

SimpleITK's B-spline registration takes 350 s for the lungs of a routine CT on one thread, and its sums depend on the
number of threads. Here the sums over the images are products with sparse matrices, one for each axis: the same in a few
seconds, and the same bits whatever the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from CovidSeverityLib.types import Triple

Field = NDArray[np.float64]
"""(3, K, J, I): displacement along K, J, I, mm."""

FIRST_STEP_MM, LAST_STEP_MM = 0.8, 0.02
"""Largest and smallest step of a control point, mm: a fifth of a working voxel, and less than matters."""

MOMENTUM, SCALE_MEMORY = 0.85, 0.98
"""Decay of the means of the gradient and of its square (Kingma 2014, arXiv 1412.6980)."""

SMALLEST_SCALE = 1e-3
"""Steps are relative to the root of the mean square gradient, but to no less than this share of its largest."""


@dataclass(frozen=True, eq=False)
class SplineGrid:
    """Control points over a grid of voxels.

    Parameters
    ----------
    weights : tuple of three sparse arrays
        For each axis (voxels, control points).
    """

    weights: tuple[sparse.csr_array, ...]

    @classmethod
    def over(cls, shape: tuple[int, int, int], spacing_mm: Triple, mesh_mm: float) -> SplineGrid:
        """Control points at most ``mesh_mm`` apart over (K, J, I) voxels."""
        axes = zip(shape, spacing_mm, strict=True)
        return cls(tuple(_axis_weights(n, max(1, int(np.ceil((n - 1) * mm / mesh_mm)))) for n, mm in axes))

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of control points."""
        return tuple(weights.shape[1] for weights in self.weights)

    def displacement(self, control_mm: NDArray[np.float64]) -> Field:
        """The field of control points (3, K, J, I)."""
        return np.stack([_product(self.weights, component) for component in control_mm])

    def gathered(self, field: Field) -> NDArray[np.float64]:
        """The adjoint of :meth:`displacement`: what every control point feels of a force on the voxels."""
        transposed = [weights.T.tocsr() for weights in self.weights]
        return np.stack([_product(transposed, component) for component in field])


def optimized(
    grid: SplineGrid, force: Callable[[Field], Field], stiffness: float, iterations: int, began: Field
) -> Field:
    """The field that ``force`` asks for, by gradient descent with steps scaled to the gradient (Adam).

    Parameters
    ----------
    grid : SplineGrid
        Control points of what is added to ``began``.
    force : callable
        Gradient of the mean cost by the displacement (3, K, J, I), times the number of control points.
    stiffness : float
        Weight of the squared second differences of the control points.
    iterations : int
        Number of steps.
    began : (3, K, J, I) ndarray of float64
        Where to begin, mm.
    """
    control = np.zeros((3, *grid.shape))
    mean, square = np.zeros_like(control), np.zeros_like(control)
    for n in range(iterations):
        gradient = grid.gathered(force(began + grid.displacement(control)))
        gradient += stiffness * _bending_gradient(control)
        mean += (1.0 - MOMENTUM) * (gradient - mean)
        square += (1.0 - SCALE_MEMORY) * (gradient**2 - square)
        scale = np.sqrt(square)
        scale += SMALLEST_SCALE * scale.max() + np.finfo(float).tiny
        unbiased = np.sqrt(1.0 - SCALE_MEMORY ** (n + 1)) / (1.0 - MOMENTUM ** (n + 1))
        step = LAST_STEP_MM + FIRST_STEP_MM * 0.5 * (1.0 + np.cos(np.pi * n / iterations))
        control -= step * unbiased * mean / scale
    return began + grid.displacement(control)


def _axis_weights(voxels: int, cells: int) -> sparse.csr_array:
    """Cubic B-spline weights of ``voxels`` evenly spread over ``cells``, of ``cells + 3`` control points."""
    place = np.minimum(np.arange(voxels) * cells / max(voxels - 1, 1), cells - 1e-9)
    cell = np.floor(place).astype(np.intp)
    t = place - cell
    values = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6.0
    rows, columns = np.repeat(np.arange(voxels), 4), (cell[:, None] + np.arange(4)).ravel()
    return sparse.csr_array((values.ravel(), (rows, columns)), shape=(voxels, cells + 3))


def _product(weights: tuple[sparse.csr_array, ...] | list[sparse.csr_array], array: NDArray) -> NDArray[np.float64]:
    """``array`` (K, J, I) with every axis multiplied by its matrix."""
    for axis, matrix in enumerate(weights):
        front = np.moveaxis(array, axis, 0)
        flat = np.ascontiguousarray(front).reshape(front.shape[0], -1)
        array = np.moveaxis((matrix @ flat).reshape(-1, *front.shape[1:]), 0, axis)
    return cast(NDArray[np.float64], array)


def _bending_gradient(control: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gradient of half the sum of squared second differences along each axis."""
    gradient = np.zeros_like(control)
    for axis in (1, 2, 3):
        out, bent = np.moveaxis(gradient, axis, 0), np.moveaxis(np.diff(control, 2, axis=axis), axis, 0)
        out[2:] += bent
        out[1:-1] -= 2.0 * bent
        out[:-2] += bent
    return gradient
