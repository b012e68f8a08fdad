"""From the axes of a file to (K, J, I), and the matching of one grid to another.

A geometry is a :class:`~..types.Geometry`: triples in (I, J, K) order, world coordinates in LPS millimetres.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations, product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Geometry, StorageOrder, triple

ORIGIN_STEP_MM = 1e-4
"""Canonical origins are multiples of this: float32 in NIfTI is accurate to about 2e-5 mm at 300 mm."""

SPACING_STEP_MM = 1e-6
"""Canonical spacings are multiples of this: float32 is accurate to about 1e-7 mm at 1 mm."""

DIRECTION_STEP = 1e-6
"""Canonical direction cosines are multiples of this."""

TIE_BIAS = 0.0123
"""Offset of the rounding edges, in steps. Headers often have decimal and dyadic fractions. Without the offset, float
noise of a flip could decide to which side -149.53125 is rounded."""

UNIT_LENGTH_TOLERANCE = 1e-2
"""Largest deviation of the length of a direction column from 1 (headers with few digits)."""

RIGHT_ANGLE_TOLERANCE = 1e-2
"""Largest cosine between two axes that still count as perpendicular (0.6 degrees)."""


def canonical_order(direction: ArrayLike) -> StorageOrder:
    """Return the transpose and flips that bring stored array axes closest to LPS (K, J, I).

    All 48 permutations and flips of the three index axes are ranked by the trace of the resulting direction matrix,
    which measures how well the axes point to the patient's left, back and head. For equal traces the matrix itself
    decides, so the result depends on the positions of the voxels and not on their stored order.

    Parameters
    ----------
    direction : ArrayLike
        9 numbers or (3, 3), row-major; column n is the LPS unit vector of index axis n in (I, J, K) order. Right- or
        left-handed, oblique or not.

    Raises
    ------
    InputError
        The matrix is not finite, singular, or its axes are not perpendicular unit vectors.
    """
    return _nearest_order(checked_direction(direction))


def order_onto(direction: ArrayLike, target: ArrayLike) -> StorageOrder:
    """Return the transpose and flips that bring an array with ``direction`` closest to a grid with ``target``.

    Parameters
    ----------
    direction, target : ArrayLike
        9 numbers or (3, 3), as in :func:`canonical_order`.

    Raises
    ------
    InputError
        As :func:`canonical_order`.
    """
    return _nearest_order(checked_direction(target).T @ checked_direction(direction))


def canonical_geometry(stored: Geometry, order: StorageOrder) -> Geometry:
    """Return the geometry of ``order.to_canonical(array)`` for an array of geometry ``stored``.

    The result is rounded (see the steps above), so that one physical volume has the same geometry to the last bit in
    every stored order.

    Raises
    ------
    InputError
        A number is not finite, a spacing is not positive, or the direction is not one (see :func:`canonical_order`).
    """
    check_geometry(stored)
    directions = np.reshape(stored.direction, (3, 3))
    spacing = np.asarray(stored.spacing_mm, dtype=float)
    origin = np.asarray(stored.origin_mm, dtype=float)
    columns, sizes, spacings = [], [], []
    for canonical_axis in range(3):
        axis = 2 - order.axes[2 - canonical_axis]
        column = directions[:, axis]
        if order.flipped[2 - canonical_axis]:
            origin = origin + (stored.size[axis] - 1) * spacing[axis] * column
            column = -column
        columns.append(column)
        sizes.append(int(stored.size[axis]))
        spacings.append(spacing[axis])
    return Geometry(
        size=triple(sizes),
        spacing_mm=triple(_snapped(spacings, SPACING_STEP_MM)),
        origin_mm=triple(_snapped(origin, ORIGIN_STEP_MM)),
        direction=_snapped(np.stack(columns, axis=1).ravel(), DIRECTION_STEP),
    )


def check_geometry(geometry: Geometry) -> None:
    """Raise InputError unless ``geometry`` has positive sizes and spacings, a finite origin and a proper direction."""
    if not np.isfinite(geometry.origin_mm).all():
        raise InputError(f"the origin is {_text(geometry.origin_mm)} mm; three finite numbers are needed")
    spacing = np.asarray(geometry.spacing_mm, dtype=float)
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise InputError(f"the voxel spacing is {_text(spacing)} mm; three positive numbers are needed")
    checked_direction(geometry.direction)


def checked_direction(direction: ArrayLike) -> NDArray[np.float64]:
    """Return ``direction`` as (3, 3) float64; raise InputError unless it is a set of perpendicular unit vectors."""
    matrix = np.asarray(direction, dtype=float)
    if matrix.size != 9 or not np.isfinite(matrix).all():
        raise InputError(f"the direction matrix is {_text(matrix)}; nine finite numbers are needed")
    matrix = matrix.reshape(3, 3)
    gram = matrix.T @ matrix
    if np.abs(np.sqrt(np.diag(gram)) - 1).max() > UNIT_LENGTH_TOLERANCE:
        raise InputError(f"the direction matrix is {_text(matrix)}; its columns must be unit vectors")
    if np.abs(gram - np.diag(np.diag(gram))).max() > RIGHT_ANGLE_TOLERANCE:
        raise InputError(f"the direction matrix is {_text(matrix)}; its axes must be at right angles")
    return matrix


def _nearest_order(cosines: NDArray) -> StorageOrder:
    """Return the order that brings the columns of ``cosines`` (3, 3) closest to the identity."""
    candidates = []
    for axes in permutations(range(3)):
        for flips in product((False, True), repeat=3):
            moved = cosines[:, axes] * np.where(flips, -1, 1)
            rank = (_steps(np.trace(moved), DIRECTION_STEP).item(), *_steps(moved, DIRECTION_STEP).ravel().tolist())
            candidates.append((rank, axes, flips))
    _, axes, flips = max(candidates)
    return StorageOrder(axes=tuple(2 - n for n in reversed(axes)), flipped=tuple(reversed(flips)))


def _steps(values: ArrayLike, step: float) -> NDArray[np.float64]:
    return np.floor(np.asarray(values, dtype=float) / step + 0.5 + TIE_BIAS)


def _snapped(values: Sequence[float] | NDArray, step: float) -> tuple[float, ...]:
    """Return ``values`` rounded to multiples of ``step``, with no negative zero."""
    return tuple(v + 0.0 for v in (_steps(values, step) / round(1 / step)).tolist())


def _text(values: ArrayLike) -> str:
    return "(" + ", ".join(f"{v:g}" for v in np.ravel(values)) + ")"
