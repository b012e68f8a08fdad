"""The pleural cavities: two lungs, five lobes, and the distance of every voxel from their surfaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.types import Lobe, Side

from .anatomy import (
    FIRST_RIB_MM,
    RIB_STEP_MM,
    Anatomy,
    cage_at,
    diaphragm_height,
    horizontal_height,
    oblique_height,
    rib_drop,
)
from .grid import Field, Grid, coverage
from .mediastinum import Mediastinum

# Half thickness of the tissue between the two pleurae by height, mm: thin at the anterior junction line (1 to 2 mm),
# wide between the apices and where the heart rests on the diaphragm. NaN stands for the patient's own thinnest value.
SEPTUM_Z_MM = (-200.0, -125.0, -95.0, -55.0, -30.0, 22.0, 44.0, 62.0, 90.0, 150.0)
SEPTUM_HALF_MM = (30.0, 12.0, 5.0, 3.0, np.nan, np.nan, 5.0, 14.0, 20.0, 26.0)

RETROSTERNAL_FAT_MM = 14.0
"""Depth behind the sternum over which fat opens the anterior junction line to a triangle, mm."""

RIB_PRESSURE_MM = 1.0
"""How far the pleura bulges in under a rib and out between two, mm."""

MAX_SLOPE = 4.0
"""Steepest slope at which the distance to the diaphragm is still corrected for its obliquity."""


@dataclass(frozen=True, eq=False)
class Cavity:
    """The lungs.

    Parameters
    ----------
    lung : Field
        (K, J, I) float32, signed distance to the surface of the lungs, negative inside, mm.
    pleura : Field
        (K, J, I) float32, the same to chest wall and diaphragm only, mm.
    diaphragm : Field
        (J, I) float32, height of the diaphragm's upper surface, mm.
    upright : Field
        (J, I) float32, S component of that surface's normal, 0 to 1.
    sides : (K, J, I) ndarray of uint8
        Labels of :class:`~CovidSeverityLib.types.Side`.
    lobes : (K, J, I) ndarray of uint8
        Labels of :class:`~CovidSeverityLib.types.Lobe`.
    """

    lung: Field
    pleura: Field
    diaphragm: Field
    upright: Field
    sides: NDArray[np.uint8]
    lobes: NDArray[np.uint8]


def build_cavity(grid: Grid, anatomy: Anatomy, mediastinum: Mediastinum) -> Cavity:
    """Cut the lungs out of the rib cage, above the diaphragm, beside the mediastinum."""
    x, y, z = grid.axis(0)[None, :], grid.axis(1)[:, None], grid.axis(2)
    cage = cage_at(anatomy, z)
    diaphragm = diaphragm_height(anatomy, x, y)
    upright = _upright(diaphragm, grid)
    septum = _septum_half_width(anatomy, z)
    middle = _septum_position(anatomy, z)
    ribs = rib_drop(np.arctan2(np.abs(x), y)).astype(np.float32)
    pleura = np.empty(grid.shape, dtype=np.float32)
    lung = np.empty(grid.shape, dtype=np.float32)
    for k, height in enumerate(z):
        wall = cage.distance(k, x, y)
        wall += RIB_PRESSURE_MM * np.cos((ribs + (height - FIRST_RIB_MM)) * np.float32(2.0 * np.pi / RIB_STEP_MM))
        fat = np.maximum(wall + RETROSTERNAL_FAT_MM, 0.0) * (0.5 * (y < -20))
        beside = (float(septum[k]) + fat) - np.abs(x - float(middle[k]))
        np.maximum(wall, (diaphragm - height) * upright, out=pleura[k])
        np.maximum(pleura[k], np.maximum(beside, -mediastinum.envelope[k]), out=lung[k])
    right = grid.axis(0)[None, None, :] < middle.astype(np.float32)[:, None, None]
    sides = _largest_pieces(lung, right)
    lung[(sides == 0) & (lung < 0)] = 0.5 * grid.voxel_mm[0]
    return Cavity(lung, pleura, diaphragm, upright, sides, _label_lobes(grid, anatomy, sides))


def _upright(surface: Field, grid: Grid) -> Field:
    """S component of a surface's normal: turns a vertical distance from it into the distance along the normal."""
    down, across = np.gradient(surface, grid.voxel_mm[1], grid.voxel_mm[0])
    slope2 = np.minimum(down**2 + across**2, MAX_SLOPE**2)
    return (1.0 / np.sqrt(1.0 + slope2)).astype(np.float32)


def lung_coverage(grid: Grid, cavity: Cavity) -> Field:
    """(K, J, I) part of every voxel that is lung; the domes fade over a slice's thickness, as partial volume does."""
    edge, thickness = grid.voxel_mm[0], grid.voxel_mm[2]
    part = coverage(cavity.lung, edge)
    width = np.maximum(thickness * cavity.upright, edge)
    for plane, height in zip(part, grid.axis(2), strict=True):
        np.minimum(plane, np.clip(0.5 - (cavity.diaphragm - height) * cavity.upright / width, 0.0, 1.0), out=plane)
    return part


def _septum_half_width(anatomy: Anatomy, z: Field) -> NDArray[np.float64]:
    widths = np.where(np.isnan(SEPTUM_HALF_MM), anatomy.septum_mm, SEPTUM_HALF_MM)
    return np.interp(z, SEPTUM_Z_MM, widths)


def _septum_position(anatomy: Anatomy, z: Field) -> NDArray[np.float64]:
    """X of the plane between the lungs: a little to the left, more so behind the lower sternum where the heart is."""
    return np.interp(z, [-130.0, -80.0, -20.0, 60.0], [12.0 + anatomy.heart_shift_mm, 8.0, 2.0, 0.0])


def _largest_pieces(lung: Field, right: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Label the largest connected piece on each side; small separate pieces are dropped."""
    sides = np.zeros(lung.shape, dtype=np.uint8)
    for side, where in ((Side.RIGHT, right), (Side.LEFT, ~right)):
        pieces, count = ndimage.label((lung < 0) & where)
        if count:
            sizes = np.bincount(pieces.ravel())
            sizes[0] = 0
            sides[pieces == int(sizes.argmax())] = side
    return sides


def _label_lobes(grid: Grid, anatomy: Anatomy, sides: NDArray[np.uint8]) -> NDArray[np.uint8]:
    x, y, z = grid.axis(0)[None, :], grid.axis(1)[:, None], grid.axis(2)[:, None, None]
    lower = z < oblique_height(anatomy, x, y)
    under = z < horizontal_height(anatomy, x, y)
    right = np.where(lower, np.uint8(Lobe.RLL), np.where(under, np.uint8(Lobe.RML), np.uint8(Lobe.RUL)))
    left = np.where(lower, np.uint8(Lobe.LLL), np.uint8(Lobe.LUL))
    lobes = np.where(sides == Side.RIGHT, right, left)
    lobes[sides == 0] = 0
    return lobes
