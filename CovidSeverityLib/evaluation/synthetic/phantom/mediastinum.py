"""The organs between the lungs: heart, great vessels, trachea and main bronchi, oesophagus, spine."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from .anatomy import Anatomy
from .grid import Field, Grid, capsule, coverage, ellipsoid, smooth_union

BLOOD_HU = 42.0
"""Unenhanced blood and myocardium, Hounsfield units."""

TRACHEAL_WALL_HU = 25.0
LUMEN_HU = -995.0

FAT_MARGIN_MM = 3.0
"""Mediastinal fat between an organ and the pleura, mm."""

BLEND_MM = 10.0
"""Width over which fat fills the seam between two organs, mm."""

FAR_MM = 40.0
"""Organs farther away than this are ignored, mm."""

WALL_MM = 1.4
"""Wall of the trachea and the main bronchi, mm."""

# Polylines (x, y, z, radius) in reference mm, drawn after unenhanced chest CTs.
GREAT_VESSELS = (
    # aorta: root, arch over the left main bronchus, descending to the left of the spine
    (
        (6, -16, -42, 16), (-10, -24, -18, 16), (-12, -24, 6, 15.5), (-2, -10, 28, 14.5), (12, 10, 34, 14),
        (23, 32, 24, 13.5), (25, 42, 4, 13), (24, 44, -50, 12.5), (20, 41, -120, 12), (8, 32, -200, 11),
    ),
    # superior vena cava and brachiocephalic veins
    ((-27, -10, -45, 10), (-27, -14, 0, 9), (-26, -20, 48, 8), (-34, -12, 74, 6), (-46, -6, 100, 5.5)),
    ((-26, -20, 48, 7), (4, -32, 60, 6.5), (34, -20, 76, 6), (48, -6, 100, 5.5)),
    # branches of the arch
    ((-6, -12, 38, 6.5), (-18, -6, 66, 6), (-24, -2, 92, 4.5), (-26, 0, 150, 3.5)),
    ((8, 0, 44, 4.5), (18, -2, 80, 3.8), (24, 0, 150, 3.5)),
    ((16, 12, 44, 5.5), (26, 12, 76, 5.2), (44, 4, 96, 4.8), (80, -10, 96, 4.5)),
    # pulmonary trunk, left and right pulmonary artery
    ((22, -36, -44, 14), (22, -26, -22, 13.5), (26, -10, -8, 12), (40, 6, -8, 10.5), (46, 14, -14, 8)),
    ((22, -20, -16, 12), (2, -2, -18, 10.5), (-20, 1, -20, 10), (-40, 6, -22, 9), (-46, 10, -28, 7)),
    # pulmonary veins
    ((-16, 16, -48, 8), (-36, 14, -46, 6.5), (-46, 12, -46, 5)),
    ((16, 18, -46, 8), (36, 18, -42, 6.5), (46, 18, -40, 5)),
    # inferior vena cava
    ((-22, 4, -78, 12), (-22, 12, -110, 12), (-20, 22, -150, 12), (-18, 26, -200, 11)),
    # azygos
    ((-6, 36, -200, 3), (-6, 34, -20, 3.5), (-10, 32, 8, 4), (-24, 10, 12, 4), (-27, -8, 10, 4)),
)  # fmt: skip

TRACHEA = ((0, 4, 150, 8.6), (-1, 8, 60, 8.8), (0, 14, 4, 9.0))
RIGHT_BRONCHUS = ((0, 14, 2, 7.6), (-18, 15, -10, 7.0), (-32, 16, -20, 6.4), (-38, 18, -36, 5.2))
LEFT_BRONCHUS = ((0, 14, 2, 7.2), (18, 18, -14, 6.2), (38, 22, -27, 5.8))
AIRWAYS = (TRACHEA, RIGHT_BRONCHUS, LEFT_BRONCHUS)

OESOPHAGUS = ((3, 22, 150, 6.5), (5, 27, 30, 7), (5, 31, -40, 7.5), (10, 24, -100, 8), (22, 14, -125, 9))

HILA = (
    ((-24, 8, -18, 14), (-40, 11, -26, 12), (-42, 14, -42, 9)),
    ((24, 10, -14, 14), (42, 14, -18, 12), (44, 18, -38, 9)),
)
"""Fat, nodes and vessels at the hilum, which are not lung."""

FAT_PADS = (
    ((-16, -34, -112, 26), (34, -38, -114, 28)),
    ((6, -72, -84, 14), (4, -66, -50, 15), (2, -56, -20, 13), (-4, -50, 2, 8)),
    ((-4, 8, -92, 12), (2, 14, -122, 24)),
)
"""Pericardial fat on the diaphragm, and the fat behind the sternum, where there is no lung."""

SPINE = ((0, 46, 150, 13), (0, 46, 60, 14.5), (0, 52, 0, 15.5), (0, 54, -60, 16.5), (0, 50, -200, 19))
"""Front column of the vertebral bodies: centre and half depth, mm (thoracic kyphosis)."""

HEART_AXES = np.array([[0.66, -0.52, -0.54], [0.62, 0.78, 0.01], [0.42, -0.34, 0.84]])
"""Long axis (base to apex: left, anterior, inferior) and two axes nearly perpendicular to it."""


@dataclass(frozen=True, eq=False)
class Mediastinum:
    """Shapes between the lungs.

    Parameters
    ----------
    envelope : Field
        (K, J, I) float32, signed distance to everything that is not lung between the pleurae, mm.
    soft_tissue : Field
        (K, J, I) float32, part of a voxel that is organ rather than fat, 0 to 1.
    """

    envelope: Field
    soft_tissue: Field


def spine_centre_y(z: Field) -> tuple[np.ndarray, np.ndarray]:
    """Y of the vertebral bodies' centres and their half depth at heights ``z``, mm."""
    points = np.array(sorted(SPINE, key=lambda p: p[2]))
    return np.interp(z, points[:, 2], points[:, 1]), np.interp(z, points[:, 2], points[:, 3])


def build_mediastinum(grid: Grid, anatomy: Anatomy) -> Mediastinum:
    """Draw the organs of the mediastinum and wrap them in one smooth envelope."""
    envelope = np.full(grid.shape, FAR_MM, dtype=np.float32)
    organs = np.full(grid.shape, FAR_MM, dtype=np.float32)
    for line in (*GREAT_VESSELS, *AIRWAYS, OESOPHAGUS):
        add_tube(grid, line, envelope, organs)
    for line in (*HILA, SPINE, *FAT_PADS):
        add_tube(grid, line, envelope)
    for centre, radii, axes in _heart(anatomy):
        add_ellipsoid(grid, centre, radii, axes, envelope, organs)
    return Mediastinum(envelope - FAT_MARGIN_MM, coverage(organs, grid.voxel_mm[0]))


def _heart(anatomy: Anatomy) -> tuple[tuple, ...]:
    """Left ventricle, right atrium, left atrium, right ventricle: centre, half axes, directions."""
    f, dx = anatomy.heart, anatomy.heart_shift_mm
    axes = HEART_AXES / np.linalg.norm(HEART_AXES, axis=1, keepdims=True)
    return (
        ((20 + dx, -31, -74), (62 * f, 45 * f, 43 * f), axes),
        ((-24 + dx, -16, -66), (24 * f, 30 * f, 36 * f), None),
        ((0 + dx, 14, -50), (32 * f, 17 * f, 24 * f), None),
        ((6 + dx, -36, -96), (48 * f, 34 * f, 26 * f), None),
    )


def add_tube(grid: Grid, line: tuple, *fields: Field) -> None:
    """Unite a polyline of (x, y, z, radius) with ``fields``: the first gets soft seams, the others sharp ones."""
    points = np.array(line, dtype=float)
    margin = BLEND_MM + FAT_MARGIN_MM + 2.0
    low, high = points[:, :3] - points[:, 3:] - margin, points[:, :3] + points[:, 3:] + margin
    whole = grid.box(low.min(axis=0), high.max(axis=0))
    if min(s.stop - s.start for s in whole) <= 0:
        return
    tube = np.full([s.stop - s.start for s in whole], FAR_MM, dtype=np.float32)
    for n in range(len(points) - 1):
        box = grid.box(np.minimum(low[n], low[n + 1]), np.maximum(high[n], high[n + 1]))
        if min(s.stop - s.start for s in box) > 0:
            part = tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(box, whole, strict=True))
            shape = capsule(grid.coordinates(box), points[n, :3], points[n + 1, :3], points[n, 3], points[n + 1, 3])
            np.minimum(tube[part], shape, out=tube[part])
    _unite(tube, whole, fields)


def add_ellipsoid(grid: Grid, centre: tuple, radii: tuple, axes: np.ndarray | None, *fields: Field) -> None:
    """Unite an ellipsoid with ``fields`` as :func:`add_tube` does."""
    reach = max(radii) + BLEND_MM + FAT_MARGIN_MM + 2.0
    box = grid.box(np.subtract(centre, reach), np.add(centre, reach))
    if min(s.stop - s.start for s in box) > 0:
        _unite(ellipsoid(grid.coordinates(box), centre, radii, axes), box, fields)


def _unite(shape: Field, box: tuple, fields: tuple[Field, ...]) -> None:
    for n, field in enumerate(fields):
        field[box] = smooth_union(field[box], shape, BLEND_MM) if n == 0 else np.minimum(field[box], shape)


def paint_central_airways(grid: Grid, hu: Field) -> None:
    """Draw the trachea and the main bronchi into ``hu``: wall, then lumen."""
    for grow, value in ((WALL_MM, TRACHEAL_WALL_HU), (0.0, LUMEN_HU)):
        for line in AIRWAYS:
            for a, b in itertools.pairwise(line):
                pa, pb = np.array(a[:3], dtype=float), np.array(b[:3], dtype=float)
                reach = max(a[3], b[3]) + grow + 2.0
                box = grid.box(np.minimum(pa, pb) - reach, np.maximum(pa, pb) + reach)
                shape = capsule(grid.coordinates(box), pa, pb, a[3] + grow, b[3] + grow)
                weight = coverage(shape, grid.voxel_mm[0])
                hu[box] += weight * (value - hu[box])
