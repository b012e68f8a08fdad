"""Combine the parts of the synthetic chest CT."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.types import Geometry, Lobe, triple

from .abdomen import paint_abdomen
from .anatomy import Anatomy, draw_anatomy
from .cavity import Cavity, build_cavity, lung_coverage
from .grid import Field, Grid
from .lesions import draw_specs, place_lesions
from .mediastinum import BLOOD_HU, LUMEN_HU, Mediastinum, build_mediastinum, paint_central_airways
from .model import LesionSpec, Phantom
from .texture import add_fissures, add_noise, blur, parenchyma, to_int16
from .trees import Trees, grow_trees
from .wall import paint_wall

SHAPE = (144, 320, 320)
"""Default array shape (K, J, I)."""

SPACING_MM = (1.2, 1.2, 2.2)
"""Default voxel size along (I, J, K), mm: with the default shape 384 x 384 x 317 mm, from the neck to the liver."""

CENTRE_MM = (0.0, 12.0, -29.0)
"""Position of the middle of the grid in the patient (L, P, S), mm; the carina is near (0, 14, 0)."""

NOISE_SD_HU = 18.0
"""Default noise in soft tissue, Hounsfield units: a routine-dose chest CT with slices of about 2 mm."""

BRONCHIAL_WALL_HU = 10.0
SMALLEST_SIDE = 16


def make_phantom(
    seed: int = 0,
    *,
    shape: tuple[int, int, int] = SHAPE,
    spacing_mm: tuple[float, float, float] = SPACING_MM,
    noise_sd_hu: float = NOISE_SD_HU,
    lesions: Sequence[LesionSpec] | None = None,
    healthy: bool = False,
) -> Phantom:
    """Make a synthetic chest CT with its true lungs, lobes and opacities.

    The anatomy (size, heart, diaphragm, fissures, vessels, fat), the lesions and the noise follow from the seed. The
    same arguments give the same bits, with any number of threads. The grid is centred in the chest; a small grid cuts
    the anatomy like a small field of view.

    Parameters
    ----------
    seed : int
        Seed, not negative.
    shape : (int, int, int)
        Shape of the arrays, (K, J, I).
    spacing_mm : (float, float, float)
        Voxel size along (I, J, K), mm.
    noise_sd_hu : float
        Noise in soft tissue, Hounsfield units; about a third more in the middle of the body.
    lesions : sequence of LesionSpec, optional
        The lesions; None draws 2 to 8 lesions in about 2 to 12 per cent of the lungs; an empty sequence gives a normal
        chest.
    healthy : bool
        Whether the chest is normal; the same as ``lesions=()``.

    Raises
    ------
    InputError : for a negative seed or noise, a grid that is too small or contains no lung, ``healthy`` together with
        lesions, or a lesion in a lobe outside the grid.
    """
    _check(seed, shape, spacing_mm, noise_sd_hu)
    if healthy:
        if lesions:
            raise InputError(f"a healthy phantom has no lesions, {len(lesions)} were asked for")
        lesions = ()
    anatomy_rng, lesion_rng, tree_rng, texture_rng, noise_rng = _generators(seed, 5)
    anatomy = draw_anatomy(anatomy_rng)
    geometry = _geometry(shape, spacing_mm)
    grid = Grid(geometry, anatomy.scale)
    mediastinum = build_mediastinum(grid, anatomy)
    cavity = build_cavity(grid, anatomy, mediastinum)
    if not cavity.sides.any():
        raise InputError(f"a grid of {shape} voxels (K, J, I) of {spacing_mm} mm holds no lung")
    specs = _drawn(lesion_rng, cavity, geometry) if lesions is None else tuple(lesions)
    inside = parenchyma(grid, anatomy, texture_rng)
    add_fissures(grid, anatomy, inside, texture_rng)
    infection, placed = place_lesions(grid, cavity, specs, inside, lesion_rng)
    _paint_trees(inside, grow_trees(grid, cavity, tree_rng))
    hu = _surroundings(grid, anatomy, mediastinum, cavity, texture_rng)
    hu += lung_coverage(grid, cavity) * (inside - hu)
    paint_central_airways(grid, hu)
    hu = blur(grid, hu)
    add_noise(grid, hu, noise_sd_hu, noise_rng)
    volume = CtVolume(to_int16(hu), geometry, geometry, name=f"phantom-{seed}")
    return Phantom(seed, volume, cavity.sides, cavity.lobes, infection, placed)


def _check(seed: int, shape: tuple, spacing_mm: tuple, noise_sd_hu: float) -> None:
    if seed < 0:
        raise InputError(f"seed {seed} is negative")
    if len(shape) != 3 or min(shape) < SMALLEST_SIDE:
        raise InputError(f"phantom shape {tuple(shape)} is not three numbers of at least {SMALLEST_SIDE} (K, J, I)")
    if len(spacing_mm) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing_mm):
        raise InputError(f"phantom spacing {tuple(spacing_mm)} is not three positive lengths in mm (I, J, K)")
    if not (np.isfinite(noise_sd_hu) and noise_sd_hu >= 0):
        raise InputError(f"noise of {noise_sd_hu} HU is not zero or more")


def _generators(seed: int, count: int) -> list[np.random.Generator]:
    """Independent random streams, so that more draws for one part do not change the others."""
    return [np.random.Generator(np.random.PCG64(s)) for s in np.random.SeedSequence(seed).spawn(count)]


def _geometry(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Geometry:
    size = triple(int(n) for n in shape[::-1])
    spacing = triple(float(s) for s in spacing_mm)
    origin = triple(round(c - 0.5 * s * (n - 1), 3) for c, s, n in zip(CENTRE_MM, spacing, size, strict=True))
    return Geometry(size, spacing, origin, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


def _drawn(rng: np.random.Generator, cavity: Cavity, geometry: Geometry) -> tuple[LesionSpec, ...]:
    counts = np.bincount(cavity.lobes.ravel(), minlength=len(Lobe) + 1)
    present = [lobe for lobe in Lobe if counts[lobe]]
    return draw_specs(rng, float(counts[1:].sum()) * geometry.voxel_ml, present)


def _surroundings(
    grid: Grid, anatomy: Anatomy, mediastinum: Mediastinum, cavity: Cavity, rng: np.random.Generator
) -> Field:
    """Everything around the lungs, Hounsfield units."""
    hu = paint_wall(grid, anatomy, rng)
    paint_abdomen(grid, anatomy, cavity, hu, rng)
    hu += mediastinum.soft_tissue * (BLOOD_HU - hu)
    return hu


def _paint_trees(hu: Field, trees: Trees) -> None:
    """Bronchi and vessels remain visible in ground glass; in consolidation only the air in the bronchi does."""
    hu += trees.bronchi * (BRONCHIAL_WALL_HU - hu)
    hu += trees.vessels * (BLOOD_HU - hu)
    hu += trees.lumina * (LUMEN_HU - hu)
