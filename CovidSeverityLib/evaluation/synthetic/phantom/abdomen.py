"""The organs under the diaphragm: liver, stomach with its gas bubble, spleen, kidneys, colon."""

from __future__ import annotations

import numpy as np

from .anatomy import Anatomy, cage_at
from .cavity import Cavity
from .grid import Field, Grid, coverage, ellipsoid, lattice_noise

LIVER_HU = 56.0
SPLEEN_HU = 48.0
KIDNEY_HU = 32.0
MUSCLE_HU = 48.0
STOMACH_WALL_HU = 40.0
STOMACH_CONTENT_HU = 22.0
GAS_HU = -985.0
FAT_HU = -98.0

DIAPHRAGM_MM = 3.0
"""Thickness of the diaphragm, mm."""

LIVER_FROM_WALL_MM = 6.0
STOMACH_WALL_MM = 4.0
STOMACH_CENTRE_MM = (64.0, -12.0, -152.0)
STOMACH_RADII_MM = (46.0, 48.0, 46.0)
SPLEEN_CENTRE_MM = (98.0, 42.0, -158.0)
SPLEEN_RADII_MM = (26.0, 40.0, 40.0)

KIDNEYS = (((-56.0, 52.0, -204.0), (27.0, 25.0, 34.0)), ((56.0, 54.0, -196.0), (27.0, 25.0, 34.0)))

COLON_GAS = (((92.0, -52.0, -168.0), (15.0, 12.0, 12.0)), ((-40.0, -72.0, -182.0), (18.0, 10.0, 12.0)))
"""Gas in the splenic flexure and in the transverse colon: centres and half axes, mm."""

COLON_WALL_MM = 2.5


def paint_abdomen(grid: Grid, anatomy: Anatomy, cavity: Cavity, hu: Field, rng: np.random.Generator) -> None:
    """Draw the organs of the upper abdomen into ``hu``, under the diaphragm and inside the rib cage."""
    top = float(max(anatomy.dome_mm)) + 2.0
    box = grid.box((-400.0, -400.0, -400.0), (400.0, 400.0, top))
    if min(s.stop - s.start for s in box) <= 0:
        return
    xyz = grid.coordinates(box)
    x, y, z = xyz
    edge = grid.voxel_mm[0]
    wall = _wall_distance(grid, anatomy, box)
    inside = np.maximum(z - cavity.diaphragm[None], wall)
    part = hu[box]
    _blend(part, FAT_HU, coverage(inside, edge))
    bumps = lattice_noise(rng, (z, y, x), 30.0)
    limit = 34.0 - 0.55 * (y + 30.0) - 0.25 * (z + 130.0) + 5.0 * bumps
    liver = np.maximum(np.maximum(inside + DIAPHRAGM_MM, wall + LIVER_FROM_WALL_MM), x - limit)
    spleen = np.maximum(ellipsoid(xyz, SPLEEN_CENTRE_MM, SPLEEN_RADII_MM) + 2.0 * bumps, inside + 6.0)
    _blend(part, LIVER_HU, coverage(liver, edge))
    _blend(part, SPLEEN_HU, coverage(spleen, edge))
    for centre, radii in KIDNEYS:
        _blend(part, KIDNEY_HU, coverage(np.maximum(ellipsoid(xyz, centre, radii), inside + 6.0), edge))
    _paint_stomach(part, xyz, anatomy, inside, bumps, edge)
    for centre, radii in COLON_GAS:
        gas = np.maximum(ellipsoid(xyz, centre, radii) + 2.5 * bumps, inside + 7.0)
        _blend(part, STOMACH_WALL_HU, coverage(gas - COLON_WALL_MM, edge))
        _blend(part, GAS_HU, coverage(gas, edge))
    muscle = np.abs(inside + 0.5 * DIAPHRAGM_MM) - 0.5 * DIAPHRAGM_MM
    _blend(part, MUSCLE_HU, coverage(muscle, edge))


def _paint_stomach(part: Field, xyz: tuple, anatomy: Anatomy, inside: Field, bumps: Field, edge: float) -> None:
    """Wall, contents, and gas that rises to the front of a patient who lies on the back."""
    y = xyz[1]
    stomach = np.maximum(ellipsoid(xyz, STOMACH_CENTRE_MM, STOMACH_RADII_MM) + 2.0 * bumps, inside + 5.0)
    _blend(part, STOMACH_WALL_HU, coverage(stomach, edge))
    lumen = stomach + STOMACH_WALL_MM
    _blend(part, STOMACH_CONTENT_HU + 14.0 * bumps, coverage(lumen, edge))
    level = STOMACH_CENTRE_MM[1] - STOMACH_RADII_MM[1] * (1.0 - 2.0 * anatomy.stomach_gas)
    _blend(part, GAS_HU, coverage(np.maximum(lumen, y - level), edge))


def _wall_distance(grid: Grid, anatomy: Anatomy, box: tuple) -> Field:
    x, y, z = grid.axis(0)[None, :], grid.axis(1)[:, None], grid.axis(2)[box[0]]
    cage = cage_at(anatomy, z)
    distance = np.stack([cage.distance(k, x, y) for k in range(len(z))])
    return distance[:, box[1], box[2]]


def _blend(part: Field, value: float | Field, weight: Field) -> None:
    part += weight * (value - part)
