"""Opacities painted into a lung: air is replaced by exudate, as in pneumonia.

A voxel of ``old`` HU becomes ``old + opacity * (exudate - old)``. The texture of the lung remains visible in ground
glass, vessels do not change, and consolidation hides both. The painted voxels get the blur and the noise of the
scanner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.evaluation.synthetic.phantom.grid import lattice_noise, smoothstep
from CovidSeverityLib.evaluation.synthetic.phantom.model import LesionKind
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.morphology.grid import dilate_mm
from CovidSeverityLib.types import AIR_HU, Geometry, Opacity

from .scan_noise import ScanNoise, noise_plane

EXUDATE_HU = 50.0
"""Density of the exudate that replaces the air: fluid with protein and cells, as dense as blood."""

GROUND_GLASS_TEXTURE = ((4.0, 35.0), (14.0, 30.0))
CONSOLIDATION_TEXTURE = ((5.0, 12.0),)
"""Correlation lengths in mm and standard deviations in HU: lobules and groups of them."""

OUTLINE_NOISE = ((0.55, 0.12), (0.22, 0.08))
"""Roughness of the outline: correlation length and standard deviation, both as fractions of the radius."""

RIM_PART = {LesionKind.GROUND_GLASS: 0.35, LesionKind.MIXED: 0.30, LesionKind.CONSOLIDATION: 0.15}
"""Width of the rim over which a lesion fades, as a fraction of its radius."""

CORE_PART = 0.6
"""Radius of the consolidated core of a mixed lesion, as a fraction of the whole radius."""

POINT_SPREAD_MM = 0.75
SLICE_SPREAD = 0.32
"""The scanner's blur: in-plane standard deviation in mm (body kernel), and across slices as part of their distance."""

BACKGROUND_MM = 7.0
"""Standard deviation of the smoothing for the density of the lung around a voxel, mm."""

BACKGROUND_HU = -600.0
"""Voxels denser than this, such as vessels and walls, do not count as the lung around a voxel."""

SEAM_MM = 2.0
SEAM_HU = -500.0
"""Voxels outside the lung's border that are partly lung (denser than this, so not an airway) get a lesion's opacity
too. Otherwise a dark line would separate a lesion from the chest wall."""

REACH_PART = 1.45
REACH_MM = 3.0
"""Half width of the box of a lesion, as a fraction of its half axis and in mm: three standard deviations of its
outline, and its blur."""

SHORTEST_MM = 1.5
"""Shortest correlation length of texture and outline, mm: about a voxel."""


@dataclass(frozen=True)
class SimulatedLesion:
    """A painted lesion.

    Parameters
    ----------
    kind : LesionKind
        Kind of opacity.
    centre_mm : (float, float, float)
        LPS position, mm.
    radii_mm : (float, float, float)
        Half axes along I, J, K before the outline is roughened, mm.
    ground_glass_hu, consolidation_hu : float or None
        Mean densities, HU; None for a kind that it does not have.
    voxels : int
        Voxels of the truth that no earlier lesion covers.
    """

    kind: LesionKind
    centre_mm: tuple[float, float, float]
    radii_mm: tuple[float, float, float]
    ground_glass_hu: float | None
    consolidation_hu: float | None
    voxels: int = 0

    @property
    def diameter_mm(self) -> float:
        """Diameter of the sphere of the same volume, mm."""
        return float(2.0 * np.prod(self.radii_mm) ** (1.0 / 3.0))


class Canvas:
    """The arrays on which lesions are painted.

    ``opacity`` is the share of the air that is replaced, float32; ``labels`` is the truth, uint8 of
    :class:`~CovidSeverityLib.types.Opacity`. Both are (K, J, I).
    """

    def __init__(self, volume: CtVolume, lungs: NDArray[np.uint8]) -> None:
        self.hu, self.lungs, self.geometry = volume.hu, lungs, volume.geometry
        self.opacity = np.zeros(lungs.shape, dtype=np.float32)
        self.labels = np.zeros(lungs.shape, dtype=np.uint8)

    def paint(self, lesion: SimulatedLesion, centre_kji: NDArray[np.intp], rng: np.random.Generator) -> int:
        """Paint ``lesion`` into the lung with its centre; return the number of voxels that it adds to the truth."""
        side = int(self.lungs[tuple(centre_kji)])
        box = _box_around(lesion, centre_kji, self.geometry)
        axes = [
            ((np.arange(s.start, s.stop) - centre) * mm).astype(np.float32)
            for s, centre, mm in zip(box, centre_kji, self.geometry.spacing_kji, strict=True)
        ]
        radius = _rough_radius(lesion, axes, rng)
        background = background_density(self.hu[box], self.lungs[box] > 0, self.geometry)
        opacity = _opacity(lesion, radius, background, axes, rng)
        self._replace_air(box, side, blurred(opacity, self.geometry))
        return self._add_truth(box, side, lesion, radius)

    def _replace_air(self, box: tuple[slice, ...], side: int, opacity: NDArray[np.float32]) -> None:
        own = self.lungs[box] == side
        seam = dilate_mm(own, SEAM_MM, self.geometry.spacing_kji) & (self.lungs[box] == 0) & (self.hu[box] > SEAM_HU)
        np.maximum(self.opacity[box], opacity * (own | seam), out=self.opacity[box])

    def _add_truth(
        self, box: tuple[slice, ...], side: int, lesion: SimulatedLesion, radius: NDArray[np.float32]
    ) -> int:
        """Label voxels with at least half of the lesion's opacity; consolidation replaces ground glass."""
        own, labels = self.lungs[box] == side, self.labels[box]
        rim = RIM_PART[lesion.kind]
        covered = own & (blurred(soft_inside(radius, 1.0, rim), self.geometry) >= 0.5)
        added = int(np.count_nonzero(covered & (labels == 0)))
        if lesion.kind is LesionKind.CONSOLIDATION:
            solid = covered
        elif lesion.kind is LesionKind.MIXED:
            solid = own & (blurred(soft_inside(radius, CORE_PART, rim), self.geometry) >= 0.5)
        else:
            solid = np.zeros_like(covered)
        labels[covered & (labels == 0)] = Opacity.GROUND_GLASS
        labels[solid & covered] = Opacity.CONSOLIDATION
        return added


def composed(
    hu: NDArray[np.int16], opacity: NDArray[np.float32], noise: ScanNoise, rng: np.random.Generator
) -> NDArray[np.int16]:
    """A CT with an opacity, slice by slice: voxels denser than exudate do not change, and removed noise is added again.

    Parameters
    ----------
    hu : (K, J, I) ndarray of int16
        HU.
    opacity : (K, J, I) ndarray of float32
        Share of the air that is replaced.
    noise : ScanNoise
        Noise of the CT. Replacing a share of the air removes the same share of the noise.
    rng : Generator
        Generator for the added noise.
    """
    result = hu.copy()
    for k in np.flatnonzero(opacity.any(axis=(1, 2))):
        plane = hu[k].astype(np.float32)
        part = np.where(plane < EXUDATE_HU, opacity[k], np.float32(0.0))
        lost = np.sqrt(1.0 - np.clip(1.0 - part, 0.0, 1.0) ** 2)
        dense = plane + part * (EXUDATE_HU - plane) + lost * noise_plane(noise, plane.shape, rng)
        result[k] = np.clip(np.rint(dense), AIR_HU, None).astype(np.int16)
    return result


def _opacity(
    lesion: SimulatedLesion,
    radius: NDArray[np.float32],
    background_hu: NDArray[np.float32],
    axes: Sequence[NDArray[np.float32]],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Share of the air that a lesion replaces in every voxel of its box, before the scanner's blur."""
    rim = RIM_PART[lesion.kind]
    opacity, outline = np.zeros_like(radius), 1.0
    if lesion.ground_glass_hu is not None:
        target = lesion.ground_glass_hu + _texture(GROUND_GLASS_TEXTURE, axes, rng)
        opacity, outline = soft_inside(radius, 1.0, rim) * replaced_part(target, background_hu), CORE_PART
    if lesion.consolidation_hu is not None:
        target = lesion.consolidation_hu + _texture(CONSOLIDATION_TEXTURE, axes, rng)
        opacity = np.maximum(opacity, soft_inside(radius, outline, rim) * replaced_part(target, background_hu))
    return opacity


def _box_around(lesion: SimulatedLesion, centre_kji: NDArray[np.intp], geometry: Geometry) -> tuple[slice, ...]:
    """The voxels that the lesion, with its rough outline and its blur, can reach."""
    reach = [REACH_PART * mm + REACH_MM for mm in lesion.radii_mm[::-1]]
    steps = [int(np.ceil(r / mm)) for r, mm in zip(reach, geometry.spacing_kji, strict=True)]
    return tuple(
        slice(max(int(c) - n, 0), min(int(c) + n + 1, size))
        for c, n, size in zip(centre_kji, steps, geometry.shape, strict=True)
    )


def _rough_radius(
    lesion: SimulatedLesion, axes: Sequence[NDArray[np.float32]], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Distance from the centre relative to the outline (1 on it) of an ellipsoid roughened by coarse and fine noise."""
    radius = 0.5 * lesion.diameter_mm
    squares = [(a / r) ** 2 for a, r in zip(axes, lesion.radii_mm[::-1], strict=True)]
    smooth = np.sqrt(squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :])
    return smooth + _texture([(part * radius, sd) for part, sd in OUTLINE_NOISE], axes, rng)


def _texture(
    scales: Sequence[tuple[float, float]], axes: Sequence[NDArray[np.float32]], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Smooth noise: the sum over (correlation length in mm, standard deviation)."""
    (first_mm, first_sd), *others = scales
    noise = np.float32(first_sd) * lattice_noise(rng, axes, max(first_mm, SHORTEST_MM))
    for mm, sd in others:
        noise = noise + np.float32(sd) * lattice_noise(rng, axes, max(mm, SHORTEST_MM))
    return cast(NDArray[np.float32], noise)


def soft_inside(radius: NDArray[np.float32], outline: float, rim_part: float) -> NDArray[np.float32]:
    """1 inside ``outline``, 0 outside, one half on it; the rim is ``rim_part`` of it wide."""
    half = 0.5 * rim_part * outline
    return (1.0 - smoothstep(radius, outline - half, outline + half)).astype(np.float32)


def background_density(hu: NDArray[np.int16], lung: NDArray[np.bool_], geometry: Geometry) -> NDArray[np.float32]:
    """Density of the aerated lung around every voxel, HU: a weighted mean over lung without vessels."""
    aerated = (lung & (hu < BACKGROUND_HU)).astype(np.float32)
    sigma = [BACKGROUND_MM / mm for mm in geometry.spacing_kji]
    weight = ndimage.gaussian_filter(aerated, sigma, truncate=2.0)
    total = ndimage.gaussian_filter(aerated * hu, sigma, truncate=2.0)
    overall = float(hu[aerated > 0].mean()) if aerated.any() else BACKGROUND_HU
    return np.where(weight > 1e-3, total / np.maximum(weight, 1e-3), np.float32(overall))


def replaced_part(target_hu: NDArray[np.float32], background_hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of the air to replace so that lung of ``background_hu`` becomes ``target_hu``."""
    return np.maximum((target_hu - background_hu) / (EXUDATE_HU - background_hu), 0.0)


def blurred(weight: NDArray[np.float32], geometry: Geometry) -> NDArray[np.float32]:
    """The painted opacity with the scanner's blur, (K, J, I)."""
    i, j, _ = geometry.spacing_mm
    sigma = (SLICE_SPREAD, POINT_SPREAD_MM / j, POINT_SPREAD_MM / i)
    return ndimage.gaussian_filter(weight, sigma, truncate=3.0, mode="nearest")
