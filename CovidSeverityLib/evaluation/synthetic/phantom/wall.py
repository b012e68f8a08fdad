"""The chest wall: ribs, sternum, spine, scapulae, clavicles, muscle, fat, skin, and the table under the patient."""

from __future__ import annotations

import numpy as np

from .anatomy import FIRST_RIB_MM, RIB_STEP_MM, Anatomy, Cage, cage_at, rib_drop
from .grid import Field, Grid, capsule, coverage, lattice_noise, smooth_union, smoothstep
from .mediastinum import spine_centre_y

AIR_HU = -1000.0
FAT_HU = -102.0
MUSCLE_HU = 52.0
SKIN_HU = 20.0
GLAND_HU = 20.0
CORTEX_HU = 620.0
MARROW_HU = 170.0
CARTILAGE_HU = 95.0
DISC_HU = 80.0
CANAL_HU = 28.0
TABLE_SHELL_HU = 60.0
TABLE_FOAM_HU = -925.0
MATTRESS_HU = -960.0

SKIN_MM = 1.8
RIB_CENTRE_MM = 7.5
"""Distance of the ribs' axis from the pleura, mm."""

RIB_HALF_THICKNESS_MM = 3.8
RIB_HALF_HEIGHT_MM = 6.3
RIB_PAIRS = 12

CARTILAGE_FROM_RAD = 2.35
"""Angle from the back at which the bone of a rib ends and costal cartilage begins."""

MARROW_PART = 0.62
"""Fraction of a bone's section that is marrow."""

VERTEBRA_HALF_WIDTH_MM = 17.0
DISC_HALF_HEIGHT_MM = 2.6
SHOULDER_Z_MM = (0.0, 40.0, 75.0, 110.0, 150.0)
SHOULDER_EXTRA_MM = (0.0, 12.0, 44.0, 80.0, 70.0)
TRUNK_DEPTH_Z_MM = (-200.0, -60.0, 20.0, 80.0, 115.0, 150.0)
TRUNK_FRONT_MM = (-100.0, -104.0, -98.0, -84.0, -66.0, -52.0)
TABLE_GAP_MM = 5.0
TABLE_CURVE_PER_MM = 0.0013


def paint_wall(grid: Grid, anatomy: Anatomy, rng: np.random.Generator) -> Field:
    """Draw everything except the inside of the thorax: (K, J, I) float32, Hounsfield units.

    The inside of the rib cage is fat, which the caller replaces.
    """
    x, y, z = grid.axis(0)[None, :], grid.axis(1)[:, None], grid.axis(2)
    cage = cage_at(anatomy, z, apex_floor=0.6)
    marbling = lattice_noise(rng, (z, grid.axis(1), grid.axis(0)), 17.0)
    hu = np.empty(grid.shape, dtype=np.float32)
    edge = grid.voxel_mm[0]
    back = _back_y(anatomy)
    table = _table(x, y, back + TABLE_GAP_MM)
    for k, height in enumerate(z):
        inside = cage.distance(k, x, y)
        plane = hu[k]
        plane[...] = table
        _paint_trunk(plane, inside, marbling[k], anatomy, x, y, float(height), back, edge)
        _paint_ribs(plane, inside, cage, k, x, y, float(height), edge)
        _paint_sternum(plane, cage, k, x, y, float(height), edge)
    _paint_spine(grid, hu)
    _paint_shoulder_girdle(grid, hu)
    return hu


def _blend(plane: Field, value: float | Field, weight: Field) -> None:
    plane += weight * (value - plane)


def _back_y(anatomy: Anatomy) -> float:
    """Y of the skin of the back, mm: behind the muscles of the back, pressed flat by the table."""
    return 88.0 * anatomy.depth + 21.0 + 0.45 * anatomy.fat_mm


def _table(x: Field, y: Field, top: float) -> Field:
    """(J, I) Hounsfield units of air, a foam mattress, and the curved table of a foam core in a dense shell."""
    depth = y - (top - TABLE_CURVE_PER_MM * x * x)
    hu = np.where((depth > 0) & (depth < 9), MATTRESS_HU, AIR_HU)
    hu = np.where((depth > 11) & (depth < 38), TABLE_FOAM_HU, hu)
    shell = np.minimum(np.abs(depth - 11), np.abs(depth - 38 + 0.0006 * x * x)) - 1.0
    return (hu + coverage(shell, 1.2) * (TABLE_SHELL_HU - hu)).astype(np.float32)


def _skin_distance(anatomy: Anatomy, x: Field, y: Field, z: float, back: float) -> Field:
    """(J, I) signed distance to the skin: a superellipse that widens to the shoulders, breasts, a flattened back."""
    extra = float(np.interp(z, SHOULDER_Z_MM, SHOULDER_EXTRA_MM))
    half_width = 130.0 * anatomy.width + 15.0 + anatomy.muscle_mm + anatomy.fat_mm + extra
    front = float(np.interp(z, TRUNK_DEPTH_Z_MM, TRUNK_FRONT_MM)) * anatomy.depth - 6.0 - 0.6 * anatomy.fat_mm
    middle, half_depth = 0.5 * (front + back), 0.5 * (back - front) + 3.0
    u, v = x / half_width, (y - middle) / half_depth
    radius = np.exp(0.4 * np.log(np.maximum(np.abs(u) ** 2.5 + np.abs(v) ** 2.5, 1e-4)))
    skin = np.hypot(x, y - middle) * (1.0 - 1.0 / radius)
    if anatomy.breast_mm > 0 and -105.0 < z < 25.0:
        swell = np.sqrt(1.0 - ((z + 40.0) / 65.0) ** 2)
        size = 58.0 * swell + 1.0
        centre_y = front + 26.0 - anatomy.breast_mm * 0.3
        breast = np.hypot(np.abs(x) - 72.0, (y - centre_y) * 58.0 / (26.0 + anatomy.breast_mm)) - size
        skin = smooth_union(skin, breast, 18.0)
    return np.maximum(skin, y - back + 0.0004 * x * x)


def _paint_trunk(
    plane: Field,
    inside: Field,
    marbling: Field,
    anatomy: Anatomy,
    x: Field,
    y: Field,
    z: float,
    back: float,
    edge: float,
) -> None:
    """Skin, subcutaneous fat, the muscle around the rib cage and of the back, and fat inside the cage."""
    skin = _skin_distance(anatomy, x, y, z, back)
    _blend(plane, SKIN_HU, coverage(skin, edge))
    _blend(plane, FAT_HU, coverage(skin + SKIN_MM, edge))
    fat = np.where(y > 40.0, 0.45, 0.6 + 0.4 * smoothstep(np.abs(x), 40.0, 120.0)) * anatomy.fat_mm
    layer = 13.0 + anatomy.muscle_mm * (0.45 + 0.55 * smoothstep(np.abs(x), 15.0, 60.0)) * (1.0 + 0.012 * max(z, 0.0))
    if z > 30.0:
        layer = layer + (z - 30.0) * (0.3 + 0.6 * smoothstep(np.abs(x), 20.0, 90.0))
    muscle = np.maximum(inside - layer, skin + fat + SKIN_MM)
    paraspinal = np.hypot((np.abs(x) - 25.0) / 1.35, y - 84.0) - 17.0
    muscle = smooth_union(muscle, np.maximum(paraspinal, skin + 4.0), 6.0)
    _blend(plane, MUSCLE_HU, coverage(muscle, edge))
    streaks = (np.abs(inside - 14.5 - 2.0 * marbling) < 1.1) | ((marbling > 1.35) & (inside > 13.0))
    _blend(plane, FAT_HU + 12.0, streaks * (coverage(skin + SKIN_MM, edge) * np.float32(0.85)))
    if anatomy.breast_mm > 0:
        gland = (marbling > 0.75) & (muscle > 4.0) & (skin < -8.0) & (y < -70.0)
        _blend(plane, GLAND_HU, gland.astype(np.float32) * np.float32(0.7))
    _blend(plane, FAT_HU + 4.0, coverage(inside + 1.0, edge) * (1.0 - float(smoothstep(np.float64(z), 84.0, 104.0))))


def _paint_ribs(plane: Field, inside: Field, cage: Cage, k: int, x: Field, y: Field, z: float, edge: float) -> None:
    """Ribs as elliptical tubes that run round the cage, sink forwards, and end in cartilage that rises again."""
    rows, columns = np.nonzero(np.abs(inside - RIB_CENTRE_MM) < RIB_HALF_THICKNESS_MM + edge)
    across = np.abs(x[0, columns])
    angle = np.arctan2(across, y[rows, 0] - float(cage.centre_y[k]))
    drop = rib_drop(angle)
    number = np.clip(np.round((FIRST_RIB_MM - z - drop) / RIB_STEP_MM), 0, RIB_PAIRS - 1)
    off = z - (FIRST_RIB_MM - RIB_STEP_MM * number - drop)
    bent = np.hypot((inside[rows, columns] - RIB_CENTRE_MM) / RIB_HALF_THICKNESS_MM, 0.88 * off / RIB_HALF_HEIGHT_MM)
    reach = np.where(number >= RIB_PAIRS - 2, 1.9, np.where(number >= 7, 2.6, np.pi))
    exists = (across > 16.0) & (angle < reach)
    weight = coverage((bent - 1.0) * RIB_HALF_THICKNESS_MM, edge) * exists
    bony = CORTEX_HU + coverage((bent - MARROW_PART) * RIB_HALF_THICKNESS_MM, edge) * (MARROW_HU - CORTEX_HU)
    value = np.where(angle < CARTILAGE_FROM_RAD, bony, CARTILAGE_HU)
    plane[rows, columns] += weight * (value - plane[rows, columns])


def _paint_sternum(plane: Field, cage: Cage, k: int, x: Field, y: Field, z: float, edge: float) -> None:
    """Manubrium, body and xiphoid: a flat bone in front of the cage."""
    if not -105.0 < z < 62.0:
        return
    front = float(cage.centre_y[k] - cage.half_depth[k])
    half_width = float(np.interp(z, [-105.0, -80.0, -40.0, 15.0, 30.0, 62.0], [4.0, 15.0, 18.0, 13.0, 26.0, 28.0]))
    box = np.hypot(np.maximum(np.abs(x) - half_width + 4.0, 0.0), np.maximum(np.abs(y - front + 9.5) - 2.0, 0.0)) - 4.0
    _blend(plane, CORTEX_HU * 0.6, coverage(box, edge))
    _blend(plane, MARROW_HU * 0.7, coverage(box + 1.7, edge))


def _paint_spine(grid: Grid, hu: Field) -> None:
    """Vertebral bodies, discs, the canal, pedicles and laminae, transverse and spinous processes."""
    box = grid.box((-48.0, 20.0, -400.0), (48.0, 150.0, 400.0))
    x, y, z = (c[0] if n < 2 else c.ravel() for n, c in enumerate(grid.coordinates(box)))
    centre, half_depth = spine_centre_y(z)
    edge = grid.voxel_mm[0]
    for plane, height, c, depth in zip(hu[box], z, centre, half_depth, strict=True):
        phase = (float(height) - FIRST_RIB_MM + 0.5 * RIB_STEP_MM) % RIB_STEP_MM - 0.5 * RIB_STEP_MM
        _paint_posterior_arch(plane, x, y - float(c + depth), phase, edge)
        oval = np.hypot(x / VERTEBRA_HALF_WIDTH_MM, (y - float(c)) / float(depth))
        body = (oval - 1.0) * float(depth)
        disc = 0.5 * RIB_STEP_MM - abs(phase)
        endplate = float(smoothstep(np.float64(disc), DISC_HALF_HEIGHT_MM, DISC_HALF_HEIGHT_MM + 2.0))
        rim = DISC_HU + endplate * (CORTEX_HU * 0.7 - DISC_HU)
        core = DISC_HU + endplate * (MARROW_HU - DISC_HU)
        _blend(plane, rim, coverage(body, edge))
        _blend(plane, core, coverage(body + 2.0, edge))


def _paint_posterior_arch(plane: Field, x: Field, y: Field, phase: float, edge: float) -> None:
    """The bony ring behind a vertebral body whose back is at y = 0, with its processes, and the canal."""
    ring = np.hypot(x, y - 8.0) - 13.0
    strong = float(smoothstep(np.float64(abs(phase)), 11.0, 6.0))
    _blend(plane, CORTEX_HU * (0.35 + 0.4 * strong), coverage(ring, edge))
    side = np.abs(x)
    transverse = np.hypot(np.maximum(side - 33.0, 0.0) + np.maximum(12.0 - side, 0.0), y - 5.0 - 0.32 * side) - 4.0
    spinous = np.hypot(x, np.maximum(np.maximum(18.0 - y, y - 38.0), 0.0)) - 3.2
    tilt = np.abs((phase + 0.35 * (y - 20.0) + 0.5 * RIB_STEP_MM) % RIB_STEP_MM - 0.5 * RIB_STEP_MM)
    _blend(plane, CORTEX_HU * 0.7, coverage(transverse, edge) * strong)
    _blend(plane, CORTEX_HU * 0.7, coverage(spinous, edge) * smoothstep(tilt, 10.0, 7.0))
    _blend(plane, CANAL_HU, coverage(np.hypot(x / 1.15, y - 8.0) - 8.5, edge))


def _paint_shoulder_girdle(grid: Grid, hu: Field) -> None:
    """Scapulae as oblique plates behind the cage, clavicles, and the heads of the raised humeri."""
    for side in (-1.0, 1.0):
        blades = [
            ((side * (72 + 0.22 * h), 96 - 0.18 * h, h - 30), (side * (108 + 0.30 * h), 66 - 0.24 * h, h - 22), 2.6)
            for h in range(0, 120, 5)
        ]
        clavicle = [
            ((side * 20, -72, 60), (side * 70, -62, 76), 6.5),
            ((side * 70, -62, 76), (side * 150, -14, 112), 6),
        ]
        ridge = [((side * 88, 84, 66), (side * 150, 34, 104), 5.0)]
        humerus = [((side * 158, 14, 104), (side * 158, 8, 150), 23.0)]
        for a, b, radius in (*blades, *clavicle, *ridge, *humerus):
            _paint_bone(grid, hu, np.array(a, dtype=float), np.array(b, dtype=float), radius)


def _paint_bone(grid: Grid, hu: Field, a: np.ndarray, b: np.ndarray, radius: float) -> None:
    box = grid.box(np.minimum(a, b) - radius - 3.0, np.maximum(a, b) + radius + 3.0)
    if min(s.stop - s.start for s in box) <= 0:
        return
    shape = capsule(grid.coordinates(box), a, b, radius, radius)
    _blend(hu[box], CORTEX_HU * 0.75, coverage(shape, grid.voxel_mm[0]))
    _blend(hu[box], MARROW_HU * 0.8, coverage(shape + 2.2, grid.voxel_mm[0]))
