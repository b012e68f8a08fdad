"""The possible size of the voxels of a chest CT: other sizes result from a wrong unit or a header without spacing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import NoteSeverity, QualityNote

Lengths: TypeAlias = Sequence[float] | NDArray[np.float64]
"""One for each axis."""

LEAST_EDGE_MM = 0.1
"""Shortest edge of a voxel, mm. Whole chests are reconstructed to about 0.3 mm (350 mm in 1,024 pixels), and the finest
detectors of clinical scanners (photon counting) resolve 0.11 mm. A spacing in metres is smaller."""

LARGEST_EDGE_MM = 20.0
"""Longest edge of a voxel, mm: the largest distance of slices in chest CT (10 to 20 mm in HRCT: European Guidelines on
Quality Criteria for Computed Tomography, EUR 16262). A spacing in micrometres is larger."""


def edges_plausible(spacing_mm: Lengths) -> bool:
    """Whether every edge of a voxel is a number from :data:`LEAST_EDGE_MM` to :data:`LARGEST_EDGE_MM`."""
    return all(LEAST_EDGE_MM <= edge <= LARGEST_EDGE_MM for edge in spacing_mm)


def edges_text(edges: Iterable[float]) -> str:
    """``0.7 x 0.7 x 2``: the edges of a voxel in a message."""
    return " x ".join(f"{edge:.4g}" for edge in edges)


def check_voxel_edges(spacing_mm: Lengths, name: str) -> None:
    """Raise InputError unless :func:`edges_plausible`.

    Parameters
    ----------
    spacing_mm : Lengths
        Spacing along each axis, mm. An axis of one slice counts too, because its thickness determines volumes.
    name : str
        Name of the file or series in the message.
    """
    if not edges_plausible(spacing_mm):
        raise InputError(
            f"the voxels of {name} would be {edges_text(spacing_mm)} mm large; edges of {LEAST_EDGE_MM:g} to "
            f"{LARGEST_EDGE_MM:g} mm are needed: correct the spacing, or its unit, in the header"
        )


def settle_unit(spacing: Lengths, unit_mm: float) -> tuple[float, tuple[QualityNote, ...]]:
    """Return the factor from the lengths of a header to mm, and a note if they are not in mm.

    Parameters
    ----------
    spacing : Lengths
        Spacing along each axis, in the unit of the file.
    unit_mm : float
        Length of the unit in the header, mm; 1 without a unit.
    """
    if unit_mm == 1:
        return 1.0, ()
    if edges_plausible([edge * unit_mm for edge in spacing]):
        message = (
            f"the lengths in the file are in units of {unit_mm:g} mm, as its header says; they were converted to mm"
        )
        return unit_mm, (QualityNote("unit_converted", NoteSeverity.INFO, message),)
    if not edges_plausible(spacing):
        return unit_mm, ()
    stated, taken = (edges_text(edge * unit for edge in spacing) for unit in (unit_mm, 1))
    message = (
        f"the header of the file gives a unit of {unit_mm:g} mm, by which its voxels would be {stated} mm large; they "
        f"were taken to be {taken} mm large"
    )
    return 1.0, (QualityNote("unit_repaired", NoteSeverity.WARNING, message),)
