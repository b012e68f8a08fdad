"""What a CT says about every place of the lungs: the features that opacities are told from vessels and airways by.

All are physical: Hounsfield units over aerated lung, millimetres, shares. They are taken on blocks of 1 to 2 mm, and
coarse scales on blocks two and four times as large. Smoothing sees lung alone (normalised convolution; Knutsson 1993,
doi 10.1109/CVPR.1993.341081).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.grid import WorkingGrid, bounding_box
from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.types import Box, Geometry, frozen_array, triple

from .config import FeatureConfig
from .parenchyma import ExcessDensity, excess_density

Blocks = NDArray[np.float32]

MARGIN_BLOCKS = 2
"""Blocks around the lungs that are kept with them."""

LEAST_WEIGHT = 1e-3
"""Share of lung under which nothing is known of a place."""

TRUNCATE = 3.0
"""A Gaussian filter sees this many standard deviations far."""

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
        np.logical_and(self.density.grid.expand(blocks), lung[self.box], out=mask[self.box])
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


def height_mm(density: ExcessDensity, over_front: bool) -> NDArray[np.float32]:
    """(K, J, I) float32: how far every block of lung lies over the last one of its column, behind or in front, mm."""
    lung = density.lung[:, ::-1] if over_front else density.lung
    last = lung.shape[1] - 1 - np.argmax(lung[:, ::-1], axis=1)
    height = last[:, None, :] - np.arange(lung.shape[1])[None, :, None]
    result = np.maximum(height, 0).astype(np.float32) * np.float32(density.grid.spacing_mm[1])
    return result[:, ::-1] if over_front else result


@dataclass(frozen=True, eq=False)
class _Level:
    """Sums of density over lung, on blocks of one size: density times lung, and lung, each (K, J, I)."""

    total: Blocks
    squares: Blocks
    weight: Blocks
    spacing_mm: tuple[float, float, float]

    def smoothed(self, sigma_mm: float, of: str = "total") -> tuple[Blocks, Blocks]:
        """Mean over lung around every block, and the share of lung there."""
        sigma = [sigma_mm / mm for mm in self.spacing_mm]
        gaussian = partial(ndimage.gaussian_filter, sigma=sigma, truncate=TRUNCATE, mode="nearest")
        share = gaussian(self.weight)
        known = share > LEAST_WEIGHT
        return np.where(known, gaussian(getattr(self, of)) / np.maximum(share, LEAST_WEIGHT), np.float32(0)), share

    def joined(self, coarsest_slice_mm: float) -> _Level:
        """The same on blocks of twice the size; along the axis only up to ``coarsest_slice_mm``."""
        along = 2 if 2 * self.spacing_mm[0] <= coarsest_slice_mm and len(self.total) > 1 else 1
        factors = (along, 2, 2)
        spacing = triple(mm * f for mm, f in zip(self.spacing_mm, factors, strict=True))
        total, squares, weight = (_joined(values, factors) for values in (self.total, self.squares, self.weight))
        return _Level(total, squares, weight, spacing)


def _joined(values: Blocks, factors: tuple[int, int, int]) -> Blocks:
    """Means of blocks; beyond the upper faces is nothing."""
    values = np.pad(values, [(0, -n % f) for n, f in zip(values.shape, factors, strict=True)])
    for axis, factor in reversed(tuple(enumerate(factors))):
        if factor == 2:
            parts = np.moveaxis(values, axis, 0)
            values = np.moveaxis(np.float32(0.5) * (parts[0::2] + parts[1::2]), 0, axis)
    return np.ascontiguousarray(values)


def _spread_out(values: Blocks, shape: tuple[int, int, int]) -> Blocks:
    """Values of joined blocks for the blocks of ``shape``, interpolated linearly."""
    for axis, size in enumerate(shape):
        while values.shape[axis] < size:
            values = np.moveaxis(_doubled(np.moveaxis(values, axis, 0)), 0, axis)
        values = np.moveaxis(np.moveaxis(values, axis, 0)[:size], 0, axis)
    return values


def _doubled(values: Blocks) -> Blocks:
    """Linear interpolation at a quarter of a block on either side of every centre, along the first axis."""
    near, far = np.float32(0.75) * values, np.float32(0.25) * values
    result = np.empty((2 * len(values), *values.shape[1:]), dtype=np.float32)
    result[0::2] = near + np.concatenate([far[:1], far[:-1]])
    result[1::2] = near + np.concatenate([far[1:], far[-1:]])
    return result


def _features(density: ExcessDensity, slice_mm: float, config: FeatureConfig) -> NDArray[np.float32]:
    """(F, N) features of the blocks of lung."""
    inside = density.lung
    excess = np.clip(density.excess_hu, *config.clipped_hu)
    fine = _Level(excess, excess * excess, inside.astype(np.float32), density.grid.spacing_mm)
    middle = fine.joined(config.coarsest_slice_mm)
    coarse = middle.joined(config.coarsest_slice_mm)
    far = {"mean_region": config.region_mm, "mean_lung": config.lung_mm}
    parts: tuple[Callable[[], dict[str, Blocks]], ...] = (
        lambda: _curved("fine", fine, config.fine_mm) | {"excess": excess},
        lambda: _openings(excess, inside, density.grid.spacing_mm, config),
        lambda: _curved("middle", middle, config.middle_mm) | _spread(middle, config.middle_mm),
        lambda: _curved("wide", middle, config.wide_mm),
        lambda: {name: coarse.smoothed(mm)[0] for name, mm in far.items()},
        lambda: {"medial": _medial(coarse, config)},
    )
    rows = np.empty((len(FEATURES), int(inside.sum())), dtype=np.float32)
    rows[FEATURES.index("slice")] = np.log2(slice_mm)
    rows[FEATURES.index("alone")] = len(inside) == 1
    height = height_mm(density, lower_face(density, config.gradient_hu) is Face.FRONT)
    aerated = np.broadcast_to(density.aerated_hu[None, :, None], inside.shape)[inside]
    rows[FEATURES.index("aerated")] = aerated - np.float32(config.typical_hu)
    rows[FEATURES.index("raised")] = np.minimum(height[inside] / np.float32(config.raised_mm), 1)

    def keep(part: Callable[[], dict[str, Blocks]]) -> None:
        for name, values in part().items():
            rows[FEATURES.index(name)] = _spread_out(values, inside.shape)[inside]

    map_in_order(keep, parts, "features", None)
    return rows


def _curved(scale: str, level: _Level, sigma_mm: float) -> dict[str, Blocks]:
    """Mean density at a scale, the share of lung there, and how the density curves: three invariants of its Hessian.

    The trace, the root of the sum of squares and the cube root of the product of the principal curvatures: a ball has
    all three, a tube only two, and a plate the second most (Koenderink 1992, doi 10.1016/0262-8856(92)90076-F).
    """
    mean, share = level.smoothed(sigma_mm)
    unit = [sigma_mm / mm for mm in level.spacing_mm]
    kk, jj, ii = (np.float32(unit[axis] ** 2) * _second(mean, axis) for axis in range(3))
    kj, ki, ji = (np.float32(unit[a] * unit[b]) * _mixed(mean, a, b) for a, b in ((0, 1), (0, 2), (1, 2)))
    squares = kk * kk + jj * jj + ii * ii + 2 * (kj * kj + ki * ki + ji * ji)
    product = kk * (jj * ii - ji * ji) - kj * (kj * ii - ji * ki) + ki * (kj * ji - jj * ki)
    found = {
        f"mean_{scale}": mean,
        f"laplacian_{scale}": -(kk + jj + ii),
        f"curvedness_{scale}": np.sqrt(squares),
        f"blob_{scale}": -np.cbrt(product),
    }
    return found if scale == "middle" else found | {f"inside_{scale}": share}


def _moved(values: NDArray, axis: int, steps: int) -> NDArray:
    """Values of the block ``steps`` farther along an axis; those of the last one beyond the faces."""
    index = np.clip(np.arange(values.shape[axis]) + steps, 0, values.shape[axis] - 1)
    return np.take(values, index, axis=axis)


def _second(values: Blocks, axis: int) -> Blocks:
    return _moved(values, axis, 1) - 2 * values + _moved(values, axis, -1)


def _mixed(values: Blocks, a: int, b: int) -> Blocks:
    along = np.float32(0.5) * (_moved(values, a, 1) - _moved(values, a, -1))
    return np.float32(0.5) * (_moved(along, b, 1) - _moved(along, b, -1))


def _spread(level: _Level, sigma_mm: float) -> dict[str, Blocks]:
    """Standard deviation of the density about a place: vessels stand out of aerated lung, and less of ground glass."""
    mean, _ = level.smoothed(sigma_mm)
    squares, _ = level.smoothed(sigma_mm, "squares")
    return {"spread": np.sqrt(np.maximum(squares - mean * mean, 0))}


def _openings(
    excess: Blocks, inside: NDArray[np.bool_], spacing_mm: tuple[float, float, float], config: FeatureConfig
) -> dict[str, Blocks]:
    """Densities that squares fit under (grey openings; Serra 1982): what is thinner than they are is gone.

    Beyond the lung's border everything counts as dense, so that an opacity at the chest wall needs half the thickness.
    """
    low, high = config.clipped_hu
    found: dict[str, Blocks] = {}
    for name, half_mm in zip(("small", "middle", "large"), config.opening_mm, strict=True):
        eroded = np.where(inside, excess, np.float32(high))
        sizes = [2 * max(1, round(half_mm / mm)) + 1 for mm in spacing_mm[1:]]
        for axis, size in enumerate(sizes, start=1):
            eroded = ndimage.minimum_filter1d(eroded, size, axis=axis, mode="nearest")
        if name == "small":
            found["darkest"] = eroded
        opened = np.where(inside, eroded, np.float32(low))
        for axis, size in enumerate(sizes, start=1):
            opened = ndimage.maximum_filter1d(opened, size, axis=axis, mode="nearest")
        found[f"opening_{name}"] = opened
    return found | _beside(found["opening_middle"], inside, max(1, round(config.beside_mm / spacing_mm[0])))


def _beside(values: Blocks, inside: NDArray[np.bool_], steps: int) -> dict[str, Blocks]:
    """The larger and the smaller of the values above and below; where the lung ends, that of the other side."""
    (up, has_up), (down, has_down) = ((_moved(values, 0, n), _moved(inside, 0, n)) for n in (steps, -steps))
    above = np.where(has_up, up, np.where(has_down, down, values))
    below = np.where(has_down, down, np.where(has_up, up, values))
    return {"beside_more": np.maximum(above, below), "beside_less": np.minimum(above, below)}


def _medial(level: _Level, config: FeatureConfig) -> Blocks:
    """How much of what surrounds a place lies between the lungs, where vessels are thickest: a share.

    Between is what has lung on both sides in its row and in its column of the axial slice.
    """
    lung = level.weight > config.block_lung_share
    between = ~lung
    for axis in (1, 2):
        before = np.maximum.accumulate(lung, axis=axis)
        after = np.flip(np.maximum.accumulate(np.flip(lung, axis), axis=axis), axis)
        between &= before & after
    sigma = [config.region_mm / mm for mm in level.spacing_mm]
    return ndimage.gaussian_filter(between.astype(np.float32), sigma, truncate=TRUNCATE, mode="nearest")
