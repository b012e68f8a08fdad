"""The geometry of voxels from the matrix of an image file, and the comparison of two geometries."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Geometry, NoteSeverity, QualityNote

from .extent import Lengths, check_voxel_edges, edges_text

MAX_LENGTH = 1e9
"""Largest number in a matrix, in any unit: 1e9 micrometres are a kilometre, which no scanner reaches."""

SHEAR_LIMIT_DEG = 0.5
"""Largest deviation of two axes from a right angle, degrees. Cosines with three digits are off by up to 0.06 degrees.
The tilt of a gantry is a real shear; it is set in steps of half a degree or more."""

ROUNDING = 1e-6
"""Largest cosine of two axes that are perpendicular within the rounding of float32 numbers."""

SAME_GRID_MM = 0.1
"""Largest distance between the corners of two equal grids, mm: a seventh of a pixel. float32 in NIfTI and headers with
few digits move corners by 0.001 to 0.05 mm."""

SAME_EDGE = 1e-2
"""Largest relative difference of equal voxel edges: some headers have two digits (0.70 for 0.703)."""

OTHER_AXIS_DEG = 45.0
"""Axes with a larger angle between them, degrees, point to different sides of the patient."""

SIDES = (("right", "left"), ("front", "back"), ("feet", "head"))
"""Sides of the patient at the negative and the positive end of each LPS axis."""

ORDINALS = ("first", "second", "third")


def geometry_of(
    matrix: NDArray[np.float64], size: tuple[int, int, int], name: str
) -> tuple[Geometry, tuple[QualityNote, ...]]:
    """Return the geometry of a grid, and a note if its axes were made perpendicular.

    Parameters
    ----------
    matrix : (4, 4) ndarray, from (i, j, k, 1) to LPS mm.
    size : (int, int, int)
        Number of voxels along (I, J, K).
    name : str
        Name of the file.

    Raises
    ------
    InputError
        The matrix contains an invalid number, the voxels are too large or too small, or the axes are sheared.
    """
    spacing = edges_of(matrix, name)
    check_voxel_edges(spacing, name)
    direction = matrix[:3, :3] / spacing
    cosine = np.abs(direction.T @ direction - np.eye(3)).max()
    if cosine > np.sin(np.radians(SHEAR_LIMIT_DEG)):
        raise InputError(
            f"the axes of {name} are not at right angles (a sheared affine); resample it to a regular grid"
        )
    stored = _geometry(size, spacing, matrix, direction)
    if cosine <= ROUNDING:
        return stored, ()
    left, _, right = np.linalg.svd(direction)
    mended = _geometry(size, spacing, matrix, left @ right)
    apart = corners_apart_mm(stored, mended)
    if apart <= SAME_GRID_MM:
        return mended, ()
    message = (
        f"the axes of the file were {np.degrees(np.arcsin(cosine)):.2f} degrees off a right angle; they were made "
        f"perpendicular, which moved its corners by up to {apart:.1f} mm"
    )
    return mended, (QualityNote("axes_made_perpendicular", NoteSeverity.INFO, message),)


def edges_of(matrix: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Return the lengths of the edges of a voxel, in the unit of ``matrix``; raise InputError for invalid lengths."""
    check_lengths(matrix[:3], name)
    return np.sqrt((matrix[:3, :3] ** 2).sum(axis=0))


def check_lengths(values: ArrayLike, name: str) -> None:
    """Raise InputError unless every length in a header is possible."""
    if not (np.abs(values) <= MAX_LENGTH).all():
        numbers = ", ".join(f"{v:g}" for v in np.ravel(values))
        raise InputError(f"the header of {name} places the image at {numbers}; numbers of millimetres are needed")


def corners_apart_mm(first: Geometry, second: Geometry) -> float:
    """Return the largest distance along an axis between the corners of two grids of the same size, mm."""
    corners = [np.array([*(np.array(first.size) - 1) * c, 1.0]) for c in np.ndindex(2, 2, 2)]
    return max(np.abs((first.ijk_to_lps - second.ijk_to_lps) @ corner).max() for corner in corners)


def same_edges(first: Lengths, second: Lengths) -> bool:
    """Whether two voxel spacings are equal within rounding."""
    return np.allclose(first, second, rtol=SAME_EDGE, atol=0)


def contradiction(first: Geometry, second: Geometry, names: tuple[str, str]) -> str:
    """Describe how two geometries of one image contradict each other: in sides or voxel edges; empty if they agree.

    A shift, or a rotation by less than :data:`OTHER_AXIS_DEG`, is not a contradiction.
    """
    said = []
    axes = (np.reshape(geometry.direction, (3, 3)).T for geometry in (first, second))
    for ordinal, one, other in zip(ORDINALS, *axes, strict=True):
        runs = zip(names, (one, other), strict=True)
        if one @ other < np.cos(np.radians(OTHER_AXIS_DEG)):
            sides = [f"by the {form} its {ordinal} axis runs to the {_side(axis)}" for form, axis in runs]
            said.append(", ".join(sides))
    if not same_edges(first.spacing_mm, second.spacing_mm):
        edges = [edges_text(geometry.spacing_mm) for geometry in (first, second)]
        said.append(f"by the {names[0]} its voxels are {edges[0]} mm large, by the {names[1]} {edges[1]} mm")
    return "; ".join(said)


def orientation_unknown(assumed: str = "to the left, to the back and to the head") -> QualityNote:
    """The warning for a file that does not give the directions of its axes in the patient."""
    message = (
        f"the file does not say how its axes lie in the patient; they were taken to run {assumed}, and right and left "
        "may be confused"
    )
    return QualityNote("orientation_unknown", NoteSeverity.WARNING, message)


def _geometry(size: tuple[int, int, int], spacing: NDArray, matrix: NDArray, direction: NDArray) -> Geometry:
    return Geometry(size, tuple(spacing.tolist()), tuple(matrix[:3, 3].tolist()), tuple(direction.ravel().tolist()))


def _side(axis: NDArray) -> str:
    lead = int(np.argmax(np.abs(axis)))
    return SIDES[lead][int(axis[lead] > 0)]
