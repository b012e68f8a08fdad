"""Simulated opacities for training: more kinds than the lesions that the method is judged by.

Nodules, patches, bands under the pleura and diffuse disease, from faint ground glass to consolidation, with sharp and
fading rims. As in :mod:`CovidSeverityLib.evaluation.synthetic.lesions.painting`, air is replaced by exudate: vessels
show through ground glass and not through consolidation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.evaluation.synthetic.lesions.painting import (
    EXUDATE_HU,
    SEAM_HU,
    background_density,
    blurred,
    replaced_part,
    soft_inside,
)
from CovidSeverityLib.evaluation.synthetic.lesions.scan_noise import estimate_noise, noise_plane
from CovidSeverityLib.evaluation.synthetic.phantom.grid import lattice_noise, smoothstep
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.morphology.grid import distance_to
from CovidSeverityLib.types import AIR_HU

GROUND_GLASS_HU = (-750.0, -350.0)
CONSOLIDATION_HU = (-200.0, 60.0)
"""Mean density of an opacity."""

LEAST_EXCESS_HU = 100.0
"""Ground glass is at least so much denser than the lung around it: a reader sees it."""

VOLUMES_ML = (0.5, 25.0)
"""Of a nodule."""

DIAMETERS_MM = (12.0, 70.0)
"""Of a patch."""

BAND_DEPTH_MM, BAND_RADIUS_MM = (4.0, 30.0), (15.0, 70.0)
"""Of a band under the pleura: thickness, and half of its length along it."""

BURDENS = (0.005, 0.45)
"""Share of the lungs that patches and bands cover at most."""

DIFFUSE_BURDENS = (0.3, 0.85)

RIMS = (0.1, 0.9)
"""Width over which an opacity fades, part of its radius."""

LUMEN_HU = -935.0
"""Air of a bronchus that consolidation leaves open: darker than aerated lung."""


@dataclass(frozen=True, eq=False)
class Healthy:
    """A chest without lesions, and what painting needs to know of it; arrays are (K, J, I)."""

    volume: CtVolume
    lungs: NDArray[np.uint8]
    depth_mm: NDArray[np.float32]
    background_hu: NDArray[np.float32]
    lumens: NDArray[np.bool_]

    @classmethod
    def of(cls, volume: CtVolume, lungs: NDArray[np.uint8]) -> Healthy:
        """Measure depth under the lungs' surface, density of aerated lung, and lumens of bronchi."""
        background = background_density(volume.hu, lungs > 0, volume.geometry)
        lumens = ndimage.gaussian_filter(volume.hu.astype(np.float32), (0, 0.7, 0.7)) < LUMEN_HU
        return cls(volume, lungs, distance_to(lungs == 0, volume.geometry.spacing_kji), background, lumens)


@dataclass(frozen=True, eq=False)
class Painted:
    """A chest with opacities; ``truth`` is (K, J, I) bool, ``opacity_share`` float32: of the air that was replaced."""

    volume: CtVolume
    truth: NDArray[np.bool_]
    opacity_share: NDArray[np.float32]


class Painter:
    """Paints the opacities of one case."""

    def __init__(self, chest: Healthy, rng: np.random.Generator) -> None:
        self.chest, self.rng = chest, rng
        self.spacing = chest.volume.geometry.spacing_kji
        self.opacity = np.zeros(chest.lungs.shape, dtype=np.float32)
        self.covered = np.zeros(chest.lungs.shape, dtype=np.float32)
        self.inside = np.argwhere(chest.lungs > 0)
        self.surface = self.inside[chest.depth_mm[chest.lungs > 0] < 3.0 + max(self.spacing)]
        self.keeps_bronchi = rng.random() < 0.5

    @property
    def burden(self) -> float:
        """Share of the lungs that is covered."""
        return np.count_nonzero(self.covered >= 0.5) / len(self.inside)

    def nodules(self) -> None:
        """One to eight round opacities."""
        for _ in range(int(self.rng.integers(1, 9))):
            volume = np.exp(self.rng.uniform(*np.log(VOLUMES_ML)))
            self._ball((6000 * volume / np.pi) ** (1 / 3))

    def patches(self) -> None:
        """Patches up to a burden."""
        limit = np.exp(self.rng.uniform(*np.log(BURDENS)))
        for _ in range(60):
            self._ball(float(np.exp(self.rng.uniform(*np.log(DIAMETERS_MM)))))
            if self.burden > limit:
                break

    def bands(self) -> None:
        """Bands under the pleura up to a burden."""
        limit = np.exp(self.rng.uniform(*np.log(BURDENS)))
        for _ in range(40):
            self._band()
            if self.burden > limit:
                break

    def diffuse(self) -> None:
        """One field of ground glass over a large part of both lungs, with holes."""
        whole = tuple(slice(0, n) for n in self.opacity.shape)
        axes = self._axes(whole, (0, 0, 0))
        length = float(self.rng.uniform(25, 70))
        field = lattice_noise(self.rng, axes, length) + np.float32(0.5) * lattice_noise(self.rng, axes, length / 4)
        share = self.rng.uniform(*DIFFUSE_BURDENS)
        limit = np.quantile(field[tuple(self.inside[::50].T)], 1 - share)
        self._add(whole, self.chest.lungs > 0, 1 + np.float32(0.5) * (limit - field), axes, ground_glass=True)

    def finished(self) -> Painted:
        """The CT with its opacities, and the truth: where at least half of an opacity is, in a lung."""
        chest = self.chest
        part, covered = (blurred(weight, chest.volume.geometry) for weight in (self.opacity, self.covered))
        near = ndimage.binary_dilation(chest.lungs > 0, np.ones((1, 5, 5), bool)) & (chest.volume.hu > SEAM_HU)
        part *= (chest.lungs > 0) | near
        noise = estimate_noise(chest.volume)
        hu = chest.volume.hu.astype(np.float32)
        part[hu >= EXUDATE_HU] = 0
        if self.keeps_bronchi:
            part[chest.lumens] = 0
        lost = np.sqrt(1 - np.clip(1 - part, 0, 1) ** 2)
        for k in np.flatnonzero(part.any(axis=(1, 2))):
            hu[k] += part[k] * (EXUDATE_HU - hu[k]) + lost[k] * noise_plane(noise, hu[k].shape, self.rng)
        values = np.clip(np.rint(hu), AIR_HU, None).astype(np.int16)
        volume = CtVolume(values, chest.volume.geometry, chest.volume.geometry, name=chest.volume.name)
        return Painted(volume, (covered >= 0.5) & (chest.lungs > 0), part)

    def _ball(self, diameter_mm: float) -> None:
        places = self.surface if self.rng.random() < 0.45 else self.inside
        centre = places[self.rng.integers(len(places))]
        shape = self.rng.uniform(0.65, 1.5, 3)
        radii = 0.5 * diameter_mm * shape / np.prod(shape) ** (1 / 3)
        box = self._box(centre, 1.6 * radii + 3)
        axes = self._axes(box, centre)
        squares = [(a / r) ** 2 for a, r in zip(axes, radii, strict=True)]
        radius = np.sqrt(squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :])
        rough = self.rng.uniform(0.5, 2.0)
        radius += self._noise(axes, ((0.28 * diameter_mm, 0.12 * rough), (0.11 * diameter_mm, 0.08 * rough)))
        side = self.chest.lungs[tuple(centre)]
        self._add(box, self.chest.lungs[box] == side, radius, axes)

    def _band(self) -> None:
        centre = self.surface[self.rng.integers(len(self.surface))]
        depth, reach = (float(np.exp(self.rng.uniform(*np.log(r)))) for r in (BAND_DEPTH_MM, BAND_RADIUS_MM))
        box = self._box(centre, np.full(3, 1.4 * reach))
        axes = self._axes(box, centre)
        squares = axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2][None, None, :] ** 2
        radius = np.maximum(self.chest.depth_mm[box] / depth, np.sqrt(squares) / reach)
        radius += self._noise(axes, ((max(depth, 4.0), 0.2), (3 * max(depth, 4.0), 0.25)))
        side = self.chest.lungs[tuple(centre)]
        self._add(box, self.chest.lungs[box] == side, radius.astype(np.float32), axes)

    def _add(
        self,
        box: tuple[slice, ...],
        own: NDArray[np.bool_],
        radius: NDArray[np.float32],
        axes: Sequence[NDArray[np.float32]],
        ground_glass: bool = False,
    ) -> None:
        """Lay in one opacity whose outline is where ``radius`` is 1."""
        rim = self.rng.uniform(*RIMS) if self.rng.random() < 0.6 else 0.2
        weight = soft_inside(radius, 1.0, rim)
        background = self.chest.background_hu[box]
        kind = self.rng.random() * (0.45 if ground_glass else 1.0)
        glass = float(self.rng.uniform(*GROUND_GLASS_HU))
        part = np.zeros_like(weight)
        if kind < 0.75:
            target = np.maximum(glass + self._grain(axes, self.rng.uniform(0.4, 1.6)), background + LEAST_EXCESS_HU)
            patchy = 1.0
            if self.rng.random() < 0.3:  # dark lobules between dense ones
                patchy = smoothstep(self._noise(axes, ((self.rng.uniform(5, 12), 1.0),)), -1.2, 0.2)
            part = weight * patchy * replaced_part(target, background)
        if kind > 0.45:
            outline = float(self.rng.uniform(0.3, 0.85)) if kind < 0.75 else 1.0
            solid = float(self.rng.uniform(*CONSOLIDATION_HU))
            target = solid + self._noise(axes, ((5.0, 15.0),))
            part = np.maximum(part, soft_inside(radius, outline, min(rim, 0.4)) * replaced_part(target, background))
        np.maximum(self.opacity[box], part * ((self.chest.lungs[box] == 0) | own), out=self.opacity[box])
        np.maximum(self.covered[box], weight * own, out=self.covered[box])

    def _grain(self, axes: Sequence[NDArray[np.float32]], strength: float) -> NDArray[np.float32]:
        return self._noise(axes, ((4.0, 35.0 * strength), (14.0, 30.0 * strength)))

    def _noise(self, axes: Sequence[NDArray], scales: Sequence[tuple[float, float]]) -> NDArray[np.float32]:
        return sum(np.float32(sd) * lattice_noise(self.rng, axes, max(float(mm), 1.5)) for mm, sd in scales)

    def _box(self, centre: NDArray[np.intp], reach_mm: NDArray[np.float64]) -> tuple[slice, ...]:
        steps = np.ceil(reach_mm / self.spacing).astype(int)
        return tuple(
            slice(max(int(c) - n, 0), min(int(c) + n + 1, size))
            for c, n, size in zip(centre, steps, self.opacity.shape, strict=True)
        )

    def _axes(self, box: tuple[slice, ...], centre: Sequence[int]) -> list[NDArray[np.float32]]:
        return [
            ((np.arange(s.start, s.stop) - c) * mm).astype(np.float32)
            for s, c, mm in zip(box, centre, self.spacing, strict=True)
        ]
