"""Opacities of pneumonia: drawn, placed in a lobe, and painted into the lung with a true mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Lobe, Opacity, triple

from .cavity import Cavity
from .grid import Box, Field, Grid, lattice_noise, smoothstep
from .model import Lesion, LesionKind, LesionSpec, Placement

SHARE_RANGE = (0.03, 0.16)
"""Target share of the lungs; overlaps and cut outlines reduce it to about 2 to 12 per cent.

Over the first 60 seeds: 0.9 to 11.4, median 5.9 per cent.
"""

COUNT_RANGE = (2, 8)
DIAMETER_RANGE_MM = (12.0, 60.0)
TYPICAL_LARGEST_MM = 54.0
"""Largest mean diameter, mm; a few lesions then do not reach the largest share."""

KEPT_AFTER_CUTS = 0.5
"""Typical fraction of a pleural lesion that remains after cutting by chest wall and fissures."""

LOBE_WEIGHTS = {Lobe.RUL: 0.15, Lobe.RML: 0.08, Lobe.RLL: 0.32, Lobe.LUL: 0.15, Lobe.LLL: 0.30}
KIND_WEIGHTS = {LesionKind.GROUND_GLASS: 0.55, LesionKind.MIXED: 0.28, LesionKind.CONSOLIDATION: 0.17}
PLEURAL_SHARE = 0.7
"""COVID-19 pneumonia is mostly peripheral and basal (Bernheim 2020, doi 10.1148/radiol.2020200463)."""

GROUND_GLASS_HU = (-700.0, -400.0)
CONSOLIDATION_HU = (-50.0, 50.0)
OUTLINE_NOISE = 0.12
"""Roughness of a lesion's outline, part of its radius."""

RIM_PART = {LesionKind.GROUND_GLASS: 0.34, LesionKind.MIXED: 0.30, LesionKind.CONSOLIDATION: 0.16}
"""Width of a lesion's soft rim, part of its radius."""

CORE_PART = 0.6
"""Radius of the consolidated core of a mixed lesion, part of the whole radius."""

GROUND_GLASS_TEXTURE_HU = 55.0
CONSOLIDATION_TEXTURE_HU = 15.0
MASK_WEIGHT = 0.5
"""Smallest weight of a voxel of the true opacity."""

HEIGHT_QUANTILES = (0.06, 0.94)
"""Range of centres in a lobe's height: at the tips a lesion would leave no air between it and the wall."""

CANDIDATES = 32
"""Number of random places that are compared, to keep lesions apart."""


@dataclass(frozen=True, eq=False)
class _Core:
    """A consolidation that is painted after all ground glass: its box, its weight, its Hounsfield units."""

    box: Box
    weight: Field
    hu: Field


def draw_specs(rng: np.random.Generator, lung_ml: float, present: Sequence[Lobe]) -> tuple[LesionSpec, ...]:
    """Draw 2 to 8 lesions in some of the lobes, with about 2 to 12 per cent of ``lung_ml``."""
    count = int(rng.integers(COUNT_RANGE[0], COUNT_RANGE[1] + 1))
    target_ml = rng.uniform(*SHARE_RANGE) * lung_ml / KEPT_AFTER_CUTS
    target_ml = min(target_ml, count * _ball_ml(TYPICAL_LARGEST_MM))
    weights = np.array([LOBE_WEIGHTS[lobe] for lobe in present])
    affected = rng.choice(
        len(present), min(int(rng.integers(2, 5)), len(present)), replace=False, p=weights / weights.sum()
    )
    shares = rng.dirichlet(np.full(count, 4.0))
    kinds = list(KIND_WEIGHTS)
    specs = []
    for n, share in enumerate(shares):
        diameter = np.clip((6000.0 * share * target_ml / np.pi) ** (1.0 / 3.0), *DIAMETER_RANGE_MM)
        lobe = present[int(affected[n % len(affected)])]
        kind = kinds[int(rng.choice(len(kinds), p=list(KIND_WEIGHTS.values())))]
        placement = Placement.PLEURAL if rng.random() < PLEURAL_SHARE else Placement.CENTRAL
        specs.append(LesionSpec(kind, lobe, float(diameter), placement))
    return tuple(specs)


def place_lesions(
    grid: Grid, cavity: Cavity, specs: Sequence[LesionSpec], hu: Field, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], tuple[Lesion, ...]]:
    """Place every lesion, largest first, each away from the ones before it, and paint it into the lung.

    Parameters
    ----------
    hu : Field
        (K, J, I) float32, the aerated lung as if it filled the volume, Hounsfield units; changed in place.

    Returns
    -------
    ((K, J, I) ndarray of uint8, tuple of Lesion)
        Labels of :class:`Opacity`, and the lesions.

    Raises
    ------
    InputError : if the lobe of a lesion is outside the grid.
    """
    infection = np.zeros(grid.shape, dtype=np.uint8)
    lesions: list[Lesion] = []
    cores: list[_Core] = []
    for spec in sorted(specs, key=lambda s: -s.diameter_mm):
        lesion = _draw_lesion(spec, _choose_centre(grid, cavity, spec, lesions, rng), rng)
        lesions.append(_paint_lesion(grid, cavity, lesion, hu, infection, cores, rng))
    for core in cores:
        hu[core.box] += core.weight * (core.hu - hu[core.box])
        infection[core.box][core.weight >= MASK_WEIGHT] = Opacity.CONSOLIDATION
    return infection, tuple(lesions)


def _draw_lesion(spec: LesionSpec, centre: NDArray[np.float64], rng: np.random.Generator) -> Lesion:
    shape = rng.uniform(0.8, 1.25, 3)
    radii = 0.5 * spec.diameter_mm * shape / np.prod(shape) ** (1.0 / 3.0)
    ground_glass, consolidation = float(rng.uniform(*GROUND_GLASS_HU)), float(rng.uniform(*CONSOLIDATION_HU))
    return Lesion(
        kind=LesionKind(spec.kind),
        lobe=spec.lobe,
        centre_mm=triple(float(c) for c in centre),
        radii_mm=triple(float(r) for r in radii),
        ground_glass_hu=None if spec.kind == LesionKind.CONSOLIDATION else ground_glass,
        consolidation_hu=None if spec.kind == LesionKind.GROUND_GLASS else consolidation,
        touches_pleura=False,
        voxels=0,
    )


def _ball_ml(diameter_mm: float) -> float:
    return np.pi / 6000.0 * diameter_mm**3


def _choose_centre(
    grid: Grid, cavity: Cavity, spec: LesionSpec, placed: Sequence[Lesion], rng: np.random.Generator
) -> NDArray[np.float64]:
    """LPS mm of a suitable voxel of the lobe: of a few random ones, the farthest from the existing lesions."""
    inside = np.flatnonzero(cavity.lobes.ravel() == spec.lobe)
    if len(inside) == 0:
        raise InputError(f"the grid holds nothing of lobe {spec.lobe.name}, where a lesion was asked for")
    radius = 0.5 * spec.diameter_mm
    if spec.placement == Placement.PLEURAL:
        depth = -cavity.pleura.ravel()[inside]
        fits = (depth > 0.15 * radius) & (depth < 0.5 * radius)
    else:
        depth = -cavity.lung.ravel()[inside]
        fits = depth >= min(1.25 * radius + 2.0, 0.8 * float(depth.max()))
    height = inside // (grid.shape[1] * grid.shape[2])
    low, high = np.quantile(height, HEIGHT_QUANTILES)
    fits &= (height >= low) & (height <= high)
    candidates = inside[fits] if fits.any() else inside
    centres = grid.voxel_centres(candidates[rng.integers(0, len(candidates), CANDIDATES)], patient=True)
    if not placed:
        return centres[0]
    others = np.array([lesion.centre_mm for lesion in placed])
    sizes = np.array([0.5 * lesion.diameter_mm for lesion in placed])
    gaps = (np.sqrt(((centres[:, None] - others[None]) ** 2).sum(axis=2)) - sizes).min(axis=1)
    return centres[int(gaps.argmax())]


def _paint_lesion(
    grid: Grid,
    cavity: Cavity,
    lesion: Lesion,
    hu: Field,
    infection: NDArray[np.uint8],
    cores: list[_Core],
    rng: np.random.Generator,
) -> Lesion:
    """Paint the ground glass of one lesion, add its consolidation to ``cores``, and return the resulting lesion."""
    reach = 1.6 * np.array(lesion.radii_mm)
    centre, scale = np.array(lesion.centre_mm), np.array(grid.scale)
    box = grid.box((centre - reach) / scale, (centre + reach) / scale)
    axes = [grid.axis(n, patient=True)[box[2 - n]] for n in (2, 1, 0)]
    own = cavity.lobes[box] == lesion.lobe
    radius = _rough_radius(grid, lesion, box, rng)
    weight = _soft_inside(radius, 1.0, RIM_PART[lesion.kind]) * own
    mask = weight >= MASK_WEIGHT
    core = weight
    if lesion.ground_glass_hu is not None:
        glass = lesion.ground_glass_hu + GROUND_GLASS_TEXTURE_HU * lattice_noise(rng, axes, 4.5)
        hu[box] += weight * (glass - hu[box])
        infection[box][mask] = Opacity.GROUND_GLASS
        core = _soft_inside(radius, CORE_PART, RIM_PART[lesion.kind] * CORE_PART) * own
    if lesion.consolidation_hu is not None:
        solid = lesion.consolidation_hu + CONSOLIDATION_TEXTURE_HU * lattice_noise(rng, axes, 6.0)
        cores.append(_Core(box, core, solid))
    touches = bool((mask & (cavity.pleura[box] > -1.5 * grid.voxel_mm[0])).any())
    return replace(lesion, touches_pleura=touches, voxels=int(mask.sum()))


def _soft_inside(radius: Field, outline: float, rim: float) -> Field:
    """1 inside ``outline``, 0 outside, over a rim of width ``rim``; one half on the outline itself."""
    return (1.0 - smoothstep(radius, outline - 0.5 * rim, outline + 0.5 * rim)).astype(np.float32)


def _rough_radius(grid: Grid, lesion: Lesion, box: Box, rng: np.random.Generator) -> Field:
    """Normalised radius, 1 on the outline, of an ellipsoid roughened by coarse and fine noise."""
    axes = [grid.axis(n, patient=True)[box[2 - n]] for n in (2, 1, 0)]
    size = 0.5 * lesion.diameter_mm
    rough = 0.8 * lattice_noise(rng, axes, max(0.55 * size, 4.0)) + 0.6 * lattice_noise(
        rng, axes, max(0.22 * size, 2.5)
    )
    xyz = grid.coordinates(box, patient=True)
    squares = [((c - m) / r) ** 2 for c, m, r in zip(xyz, lesion.centre_mm, lesion.radii_mm, strict=True)]
    return np.sqrt(squares[0] + squares[1] + squares[2]) + OUTLINE_NOISE * rough
