"""Branching vessels and bronchi inside the lungs.

Each lobe gets a tree of arteries with bronchi beside them, and a tree of veins. A tree grows towards points that are
spread through its lobe: a plane splits the points, a branch grows towards the centre of each half, and this is repeated
until one point is left (Tawhai et al. 2000, doi 10.1114/1.1289457). Calibres follow Murray's law: a power of the radius
is the sum of this power over the ends of the branch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import Lobe

from .cavity import Cavity
from .grid import Field, Grid, capsule, coverage

ENDS_PER_LITRE = {"artery": 300, "vein": 230}
END_RADIUS_MM = 0.7
"""Radius of the finest vessels, mm: a diameter of about a millimetre, the smallest that a chest CT resolves."""

CALIBRE_EXPONENT = 2.7
"""Power of the radius that is conserved at a branching (3 by Murray's law; less in the large pulmonary vessels)."""

LARGEST_RADIUS_MM = 5.2
"""Radius of a lobar artery, mm."""

BRANCH_PART = 0.45
"""Length of a branch before it splits, as a fraction of the way to the centre of its points."""

PLEURA_MARGIN_MM = 5.0
"""Depth under the surface where the drawn vessels end, mm."""

FINEST_AIRWAY_MM = 1.1
"""Radius of the finest bronchial lumen, mm: CT shows no bronchi in the outer third of the lung."""

AIRWAY_TO_ARTERY = 0.7
"""Lumen of a bronchus to the artery beside it (broncho-arterial ratio of healthy adults: 0.6 to 0.9)."""

MAX_PIECE_MM = 9.0
"""Longest straight piece of a branch, mm."""

WANDER = 0.06
"""Lateral shift of a branch's middle, as a fraction of its length."""

SUBSLICES = np.array([-0.3, 0.0, 0.3])
"""Heights over which a tube is averaged, as fractions of a slice."""

# Path of the lobar bronchus from the central airways, last point first in the lobe; reference mm.
BRONCHUS_PATHS = {
    Lobe.RUL: ((-26, 16, -14), (-42, 12, -5), (-54, 8, 6)),
    Lobe.RML: ((-37, 17, -32), (-46, 4, -44), (-56, -12, -54)),
    Lobe.RLL: ((-37, 18, -34), (-44, 24, -48), (-50, 30, -60)),
    Lobe.LUL: ((37, 21, -26), (50, 10, -20), (58, 2, -10)),
    Lobe.LLL: ((37, 22, -26), (46, 28, -40), (52, 33, -54)),
}
ARTERY_STARTS = {
    Lobe.RUL: (-44, 4, -12),
    Lobe.RML: (-46, 6, -34),
    Lobe.RLL: (-46, 14, -36),
    Lobe.LUL: (46, 4, -8),
    Lobe.LLL: (48, 20, -26),
}
VEIN_STARTS = {
    Lobe.RUL: (-44, -2, -34),
    Lobe.RML: (-42, -2, -44),
    Lobe.RLL: (-42, 18, -54),
    Lobe.LUL: (44, -2, -30),
    Lobe.LLL: (44, 22, -50),
}


@dataclass(frozen=True, eq=False)
class Tubes:
    """Round cones: ``a``, ``b`` (N, 3) ends in reference mm, ``radius_a``, ``radius_b`` (N,) in mm."""

    a: NDArray[np.float64]
    b: NDArray[np.float64]
    radius_a: NDArray[np.float64]
    radius_b: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.a)


@dataclass(frozen=True, eq=False)
class Trees:
    """Fraction of every voxel, (K, J, I) float32, that is vessel, bronchial wall with lumen, or lumen alone."""

    vessels: Field
    bronchi: Field
    lumina: Field


def grow_trees(grid: Grid, cavity: Cavity, rng: np.random.Generator) -> Trees:
    """Grow and draw the vessels and bronchi of all lobes."""
    vessels, bronchi, lumina = (np.zeros(grid.shape, dtype=np.float32) for _ in range(3))
    deep = np.flatnonzero(cavity.lung.ravel() < -PLEURA_MARGIN_MM)
    lobe_of = cavity.lobes.ravel()[deep]
    voxel_l = grid.geometry.voxel_ml / 1000.0
    for lobe in Lobe:
        inside = deep[lobe_of == lobe]
        if len(inside) == 0:
            continue
        litres = len(inside) * voxel_l
        arteries = _grow(ARTERY_STARTS[lobe], _ends(grid, inside, "artery", litres, rng), rng)
        veins = _grow(VEIN_STARTS[lobe], _ends(grid, inside, "vein", litres, rng), rng)
        airways = _airways_beside(arteries, BRONCHUS_PATHS[lobe])
        wall = 0.45 + 0.16 * airways.radius_a
        _draw(grid, arteries, vessels)
        _draw(grid, veins, vessels)
        _draw(grid, Tubes(airways.a, airways.b, airways.radius_a + wall, airways.radius_b + wall), bronchi)
        _draw(grid, airways, lumina)
    return Trees(vessels, bronchi, lumina)


def _ends(
    grid: Grid, inside: NDArray[np.intp], kind: str, litres: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Points (N, 3) in reference mm, spread at random through the voxels ``inside``."""
    count = max(int(ENDS_PER_LITRE[kind] * litres), 4)
    picked = inside[rng.integers(0, len(inside), count)]
    return grid.voxel_centres(picked) + rng.uniform(-0.5, 0.5, (count, 3)) * grid.voxel_mm


def _radius(ends: int) -> float:
    return min(END_RADIUS_MM * ends ** (1.0 / CALIBRE_EXPONENT), LARGEST_RADIUS_MM)


def _grow(start: tuple[float, ...], ends: NDArray[np.float64], rng: np.random.Generator) -> Tubes:
    """Grow one tree from ``start`` to ``ends``."""
    pieces: list[tuple] = []
    stack = [(np.array(start, dtype=float), ends, _radius(len(ends)))]
    while stack:
        point, targets, radius = stack.pop()
        if len(targets) == 1:
            _add_branch(pieces, point, targets[0], radius, 0.8 * END_RADIUS_MM, rng)
            continue
        middle = targets.mean(axis=0)
        fork = point + BRANCH_PART * (middle - point)
        thick = _radius(len(targets))
        _add_branch(pieces, point, fork, radius, thick, rng)
        stack.extend(
            (fork, half, thick * (len(half) / len(targets)) ** (1.0 / CALIBRE_EXPONENT))
            for half in _split(targets, rng)
        )
    a, b, radius_a, radius_b = zip(*pieces, strict=True)
    return Tubes(np.array(a), np.array(b), np.array(radius_a), np.array(radius_b))


def _split(targets: NDArray[np.float64], rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Split points in two, of 25 to 75 per cent each, across the box's longest side (tilted at random)."""
    spread = np.ptp(targets, axis=0) * (targets.shape[0] > 2) + 1e-3
    normal = np.where(spread == spread.max(), 1.0, 0.0) + rng.normal(0.0, 0.25, 3)
    order = np.argsort((targets * normal).sum(axis=1), kind="stable")
    cut = int(np.clip(round(len(targets) * rng.uniform(0.25, 0.75)), 1, len(targets) - 1))
    return targets[order[:cut]], targets[order[cut:]]


def _add_branch(
    pieces: list[tuple], a: NDArray, b: NDArray, radius_a: float, radius_b: float, rng: np.random.Generator
) -> None:
    """Append the branch from ``a`` to ``b`` as short pieces along a gentle bend."""
    length = float(np.sqrt(((b - a) ** 2).sum()))
    count = max(int(np.ceil(length / MAX_PIECE_MM)), 2)
    bend = rng.normal(0.0, WANDER * length, 3)
    t = np.linspace(0.0, 1.0, count + 1)
    points = a + t[:, None] * (b - a) + (4.0 * t * (1.0 - t))[:, None] * bend
    radii = radius_a + t * (radius_b - radius_a)
    pieces.extend(zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True))


def _airways_beside(arteries: Tubes, path: tuple) -> Tubes:
    """The lobar bronchus, and bronchi beside the arteries as far as they are wide enough to be visible."""
    points = np.array(path, dtype=float)
    seen = AIRWAY_TO_ARTERY * arteries.radius_b >= FINEST_AIRWAY_MM
    direction = points[-1] - points[0]
    sideways = np.cross(direction, (0.0, 0.0, 1.0))
    sideways /= np.sqrt((sideways**2).sum())
    shift = (1.0 + AIRWAY_TO_ARTERY) * 1.12
    a = arteries.a[seen] + shift * arteries.radius_a[seen, None] * sideways
    b = arteries.b[seen] + shift * arteries.radius_b[seen, None] * sideways
    lobar = np.full(len(points) - 1, 4.2)
    return Tubes(
        np.concatenate([points[:-1], a]),
        np.concatenate([points[1:], b]),
        np.concatenate([lobar, AIRWAY_TO_ARTERY * arteries.radius_a[seen]]),
        np.concatenate([lobar * 0.95, AIRWAY_TO_ARTERY * arteries.radius_b[seen]]),
    )


def _draw(grid: Grid, tubes: Tubes, field: Field) -> None:
    """Raise ``field`` to the fraction of every voxel inside ``tubes``, averaged over the thickness of a slice."""
    edge, thickness = grid.voxel_mm[0], grid.voxel_mm[2]
    heights = (thickness * SUBSLICES).astype(np.float32)
    for a, b, radius_a, radius_b in zip(tubes.a, tubes.b, tubes.radius_a, tubes.radius_b, strict=True):
        radius = max(radius_a, radius_b)
        reach = np.array([radius + edge, radius + edge, radius + 0.5 * thickness + 0.3])
        box = grid.box(np.minimum(a, b) - reach, np.maximum(a, b) + reach)
        if min(s.stop - s.start for s in box) <= 0:
            continue
        x, y, z = grid.coordinates(box)
        finer = (z[:, 0, 0, None] + heights).reshape(-1, 1, 1)
        part = coverage(capsule((x, y, finer), a, b, radius_a, radius_b), edge)
        part = part.reshape(len(z), len(heights), *part.shape[1:]).mean(axis=1)
        thin = min(2.0 * radius_a / edge, 1.0)
        np.maximum(field[box], part * np.float32(thin), out=field[box])
