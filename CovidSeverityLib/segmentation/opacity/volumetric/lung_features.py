"""What a CT says about every place of the lungs: the features that opacities are told from vessels and airways by.

All are physical: Hounsfield units over aerated lung, millimetres, shares. They are taken on blocks of 1 to 2 mm, and
coarse scales on blocks two and four times as large. Smoothing sees lung alone (normalised convolution; Knutsson 1993,
doi 10.1109/CVPR.1993.341081).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.morphology.grid import WorkingGrid, bounding_box
from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.types import Box, Geometry, frozen_array, triple

from .config import FeatureConfig
from .curvature import curved, curved_at
from .levels import Blocks, Level, Places
from .openings import openings
from .parenchyma import ExcessDensity, excess_density

MARGIN_BLOCKS = 2
"""Blocks around the lungs that are kept with them."""

FEATURES = (
    "excess",
    "mean_fine", "mean_middle", "mean_wide", "mean_region", "mean_lung",
    "darkest", "opening_small", "opening_middle", "opening_large",
    "beside_more", "beside_less",
    "spread",
    "laplacian_fine", "curvedness_fine", "blob_fine",
    "laplacian_middle", "curvedness_middle", "blob_middle",
    "laplacian_wide", "curvedness_wide", "blob_wide",
    "inside_fine", "inside_wide", "medial", "raised", "aerated",
    "slice", "alone",
)  # fmt: skip
"""Names of the features, in order; see :func:`gather_features`."""


@dataclass(frozen=True, eq=False)
class LungFeatures:
    """Density and features of the lungs, on blocks in the box around them.

    Parameters
    ----------
    shape : (int, int, int)
        Of the volume, (K, J, I) voxels.
    box : (slice, slice, slice)
        Its part that the blocks cover.
    density : ExcessDensity
        Density over aerated lung.
    values : (F, N) ndarray of float32
        The features of :data:`FEATURES` of the N blocks of lung, in the order of the array.
    """

    shape: tuple[int, int, int]
    box: tuple[slice, slice, slice]
    density: ExcessDensity
    values: NDArray[np.float32]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", frozen_array(self.values))

    def of(self, name: str) -> NDArray[np.float32]:
        """(N,) one feature by its name."""
        return self.values[FEATURES.index(name)]

    def expand(self, blocks: NDArray, lung: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(K, J, I) bool voxels of ``lung`` (of the whole volume) that lie in ``blocks``."""
        mask = np.zeros(self.shape, dtype=bool)
        grid, part = self.density.grid, bounding_box(blocks)
        voxels = triple(slice(s.start * f, s.stop * f) for s, f in zip(part, grid.factors, strict=True))
        target = mask[self.box][voxels]
        fine = WorkingGrid(target.shape, grid.factors, grid.spacing_mm).expand(blocks[part])
        np.logical_and(fine, lung[self.box][voxels], out=target)
        return mask


def gather_features(
    hu: NDArray[np.int16], lung: NDArray[np.bool_], geometry: Geometry, config: FeatureConfig = FeatureConfig()
) -> LungFeatures:
    """The features of every block of lung. A single slice has neighbours in its own plane only.

    Parameters
    ----------
    hu : (K, J, I) ndarray of int16
        Hounsfield units.
    lung : (K, J, I) ndarray of bool
        Both lungs, at least one voxel.
    geometry : Geometry
        Of both.
    config : FeatureConfig
        Scales and limits.
    """
    whole = WorkingGrid.of(geometry, config.block_mm)
    box = _block_box(lung, whole.factors)
    grid = WorkingGrid(lung[box].shape, whole.factors, whole.spacing_mm)
    density = excess_density(hu[box], lung[box], grid, config)
    return LungFeatures(hu.shape, box, density, _features(density, geometry.spacing_kji[0], config))


def _block_box(lung: NDArray[np.bool_], factors: tuple[int, int, int]) -> Box:
    """The box around the lungs that begins with a block of the whole volume, so that blocks do not depend on it."""
    box = bounding_box(lung, margin=triple(MARGIN_BLOCKS * f for f in factors))
    return triple(slice(part.start // f * f, part.stop) for part, f in zip(box, factors, strict=True))


class Face(Enum):
    """A face of the lungs."""

    FRONT = "front"
    BACK = "back"


def lower_face(density: ExcessDensity, gradient_hu: float) -> Face | None:
    """Which face of the lungs is below: lung is denser where it bears weight. None where that is not seen.

    Parameters
    ----------
    density : ExcessDensity
        Of the lungs.
    gradient_hu : float
        Least difference of aerated lung from front to back.
    """
    rows = np.flatnonzero(density.lung.any(axis=(0, 2)))
    front, back = (float(density.aerated_hu[n]) for n in (rows[0], rows[-1]))
    if abs(back - front) < gradient_hu:
        return None
    return Face.BACK if back > front else Face.FRONT


def height_mm(density: ExcessDensity, places: Places, over_front: bool) -> NDArray[np.float32]:
    """(N,) float32: how far every block of lung lies over the last one of its column, behind or in front, mm."""
    lung, rows = density.lung, np.arange(density.lung.shape[1], dtype=np.int16)[None, :, None]
    if over_front:
        steps = rows - np.where(lung, rows, np.int16(lung.shape[1])).min(axis=1)[:, None]
    else:
        steps = np.where(lung, rows, np.int16(0)).max(axis=1)[:, None] - rows
    return places.of(steps).astype(np.float32) * np.float32(density.grid.spacing_mm[1])


def _features(density: ExcessDensity, slice_mm: float, config: FeatureConfig) -> NDArray[np.float32]:
    """(F, N) features of the blocks of lung."""
    places = Places(density.lung)
    excess = np.clip(density.excess_hu, *config.clipped_hu)
    fine = Level(excess, excess * excess, density.lung.astype(np.float32), density.grid.spacing_mm)
    middle = fine.joined(config.coarsest_slice_mm)
    coarse = middle.joined(config.coarsest_slice_mm)
    parts: tuple[Callable[[], Iterable[tuple[str, Blocks]]], ...] = (
        lambda: places.interpolated(_middle(middle, config)),
        lambda: _fine(fine, places, config),
        lambda: openings(excess, places, density.grid.spacing_mm, config),
        lambda: places.interpolated(_coarse(coarse, config)),
    )
    rows = np.empty((len(FEATURES), len(places.index)), dtype=np.float32)
    rows[FEATURES.index("slice")] = np.log2(slice_mm)
    rows[FEATURES.index("alone")] = len(density.lung) == 1
    height = height_mm(density, places, lower_face(density, config.gradient_hu) is Face.FRONT)
    aerated = places.of(np.broadcast_to(density.aerated_hu[None, :, None], density.lung.shape))
    rows[FEATURES.index("aerated")] = aerated - np.float32(config.typical_hu)
    rows[FEATURES.index("raised")] = np.minimum(height / np.float32(config.raised_mm), 1)

    def keep(part: Callable[[], Iterable[tuple[str, Blocks]]]) -> None:
        for name, row in part():
            rows[FEATURES.index(name)] = row

    map_in_order(keep, parts, "features", None)
    return rows


def _fine(level: Level, places: Places, config: FeatureConfig) -> Iterator[tuple[str, Blocks]]:
    """Density, its mean at the finest scale, the share of lung there, and how the density curves."""
    yield "excess", places.of(level.total)
    share = level.smoothed(level.weight, config.fine_mm)
    mean = level.mean(level.total, share, config.fine_mm)
    yield "mean_fine", places.of(mean)
    yield "inside_fine", places.of(share)
    yield from _named("fine", curved_at(mean, level.in_blocks(config.fine_mm), places)).items()


def _middle(level: Level, config: FeatureConfig) -> dict[str, Blocks]:
    """Mean density at two scales, how it curves, its spread at the finer and the share of lung at the wider one."""
    share = level.smoothed(level.weight, config.middle_mm)
    mean = level.mean(level.total, share, config.middle_mm)
    squares = level.mean(level.squares, share, config.middle_mm)
    share_wide = level.smoothed(level.weight, config.wide_mm)
    mean_wide = level.mean(level.total, share_wide, config.wide_mm)
    return {
        "mean_middle": mean,
        # vessels stand out of aerated lung, and less of ground glass
        "spread": np.sqrt(np.maximum(squares - mean * mean, 0)),
        **_named("middle", curved(mean, level.in_blocks(config.middle_mm))),
        "mean_wide": mean_wide,
        "inside_wide": share_wide,
        **_named("wide", curved(mean_wide, level.in_blocks(config.wide_mm))),
    }


def _coarse(level: Level, config: FeatureConfig) -> dict[str, Blocks]:
    """Mean density at the two coarsest scales, and how near a place is to the middle."""
    found = {"medial": _medial(level, config)}
    for name, sigma_mm in (("mean_region", config.region_mm), ("mean_lung", config.lung_mm)):
        found[name] = level.mean(level.total, level.smoothed(level.weight, sigma_mm), sigma_mm)
    return found


def _named(scale: str, invariants: Iterable[Blocks]) -> dict[str, Blocks]:
    return dict(zip((f"laplacian_{scale}", f"curvedness_{scale}", f"blob_{scale}"), invariants, strict=True))


def _medial(level: Level, config: FeatureConfig) -> Blocks:
    """How much of what surrounds a place lies between the lungs, where vessels are thickest: a share.

    Between is what has lung on both sides in its row and in its column of the axial slice.
    """
    lung = level.weight > config.block_lung_share
    between = ~lung
    for axis in (1, 2):
        before = np.maximum.accumulate(lung, axis=axis)
        after = np.flip(np.maximum.accumulate(np.flip(lung, axis), axis=axis), axis)
        between &= before & after
    return level.smoothed(between.astype(np.float32), config.region_mm)
