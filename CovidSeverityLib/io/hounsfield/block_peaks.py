"""Means over small blocks of a volume, for histograms without noise, and their peaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.io.stored_numbers import PADDING

from .config import BlockConfig

NAMED_PEAKS = 4
"""Peaks that a refusal names."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Means of blocks of voxels.

    Parameters
    ----------
    measured : (N,) ndarray of float32
        Without those of nothing but background.
    background : float or None
        The value of the larger part of the slices' edges; None where there is none.
    whole_numbers : bool
        No voxel has a fraction.
    top, top_share : float
        The largest value, and the share of the voxels that have it.
    """

    measured: NDArray[np.float32]
    background: float | None
    whole_numbers: bool
    top: float
    top_share: float


def take_blocks(values: NDArray, config: BlockConfig = BlockConfig()) -> Blocks:
    """Means of blocks over what was measured in them, where that is half at least.

    Parameters
    ----------
    values : (K, J, I) ndarray
        Values of a CT, of any real type.
    config : BlockConfig
        Size of the blocks, and what a background is.
    """
    values = values[:: -(-len(values) // config.most_slices)]
    background = _background(values, config.background_share)
    cut_off = background is not None and _is_cut_off(values, background, config.cut_off_share)
    edge = max(1, min(values.shape[1:]) // config.blocks_across)
    whole, means = True, []
    for plane in values:
        rows, columns = (n // edge * edge for n in plane.shape)
        tiles = np.ascontiguousarray(plane[:rows, :columns]).reshape(rows // edge, edge, columns // edge, edge)
        if plane.dtype.kind == "f":
            whole = whole and bool(np.all(np.isfinite(plane) <= (plane == np.rint(plane))))
        unused, most = _unmeasured(tiles), None
        if background is not None:
            same = tiles == tiles.dtype.type(background)
            unused, most = (
                (unused, same.mean(axis=(1, 3)) > config.background_in_block) if cut_off else (unused | same, None)
            )
        used = np.full((tiles.shape[0], tiles.shape[2]), edge**2)
        if unused.any():
            used -= unused.sum(axis=(1, 3))
            tiles = np.where(unused, tiles.dtype.type(0), tiles)
        sums = np.add.reduce(np.add.reduce(tiles, axis=1, dtype=_sum_type(tiles.dtype)), axis=2)
        enough = (2 * used >= edge**2) & (True if most is None else ~most)
        means.append((sums[enough] / used[enough]).astype(np.float32))
    top, top_share = _top(values)
    return Blocks(np.concatenate(means), background, whole, top, top_share)


def _sum_type(dtype: np.dtype) -> type:
    return np.int32 if dtype.kind in "iu" and dtype.itemsize <= 2 else np.float64


def _unmeasured(values: NDArray) -> NDArray[np.bool_]:
    if values.dtype.kind == "f":
        return ~np.isfinite(values)
    if values.dtype.kind == "i" and values.dtype.itemsize > 1:
        return values == PADDING
    return np.zeros(values.shape, dtype=bool)


def _top(values: NDArray) -> tuple[float, float]:
    top = np.max(values, initial=-np.inf, where=np.isfinite(values)) if values.dtype.kind == "f" else values.max()
    return float(top), float(np.mean([np.count_nonzero(plane == top) for plane in values])) / values[0].size


def _is_cut_off(values: NDArray, background: float, share: float) -> bool:
    """Whether the background is air at the lower end of the scale, where noise goes on above it; no padding."""
    sample = values[:, ::4, ::4]
    sample = sample[~_unmeasured(sample)]
    above = sample[sample > background]
    if above.size < sample[sample != background].size or not above.size:
        return False
    low, high = np.percentile(above, (1, 99))
    return bool(low - background < share * (high - background))


def _background(values: NDArray, share: float) -> float | None:
    edges = np.concatenate([values[:, [0, -1]].ravel(), values[:, :, [0, -1]].ravel()])
    edges = edges[~_unmeasured(edges)]
    if not edges.size:
        return None
    found, counts = np.unique(edges, return_counts=True)
    most = int(counts.argmax())
    return found[most].item() if counts[most] >= share * edges.size else None


def smoothed_peaks(
    histogram: NDArray, smoothing_bins: float, height: float
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The smoothed histogram, and its peaks that reach ``height``, a share of the highest."""
    density = np.pad(ndimage.gaussian_filter1d(histogram.astype(float), smoothing_bins, mode="constant"), 1)
    return density[1:-1], _peaks(density, height * density.max()) - 1


def _peaks(density: NDArray[np.float64], least: float) -> NDArray[np.intp]:
    """Peaks that are ``least`` high and stand out by as much; of a flat top its middle.

    As ``scipy.signal.find_peaks(density, height=least, prominence=least)``: loading SciPy's signal package takes 0.4 s.
    """
    starts = np.flatnonzero(np.diff(density, prepend=np.nan) != 0)  # of runs of equal values
    values, ends = density[starts], np.append(starts[1:], density.size) - 1
    high = np.flatnonzero((values[1:-1] > values[:-2]) & (values[1:-1] > values[2:]) & (values[1:-1] >= least)) + 1
    return ((starts + ends) // 2)[[n for n in high.tolist() if _prominence(values, n) >= least]]


def _prominence(values: NDArray[np.float64], peak: int) -> float:
    """Height over the higher of the two lowest values between the peak and what is higher than it, on either side."""
    higher = np.flatnonzero(values > values[peak])
    left, right = higher[higher < peak].max(initial=-1), higher[higher > peak].min(initial=values.size)
    return float(values[peak] - max(values[left + 1 : peak + 1].min(), values[peak:right].min()))


def describe(blocks: Blocks, values: NDArray) -> str:
    """The range and the peaks of values that are refused, in words."""
    finite = values[~_unmeasured(values)] if _unmeasured(values).any() else values
    words = f"the values run from {finite.min():.7g} to {finite.max():.7g}"
    low, high = np.percentile(blocks.measured, (0.5, 99.5))
    reach = 0.1 * max(float(high - low), 1e-12)
    counts, edges = np.histogram(blocks.measured, bins=600, range=(low - reach, high + reach))
    _, peaks = smoothed_peaks(counts, 5.0, 0.02)
    shares = [counts[max(0, n - 15) : n + 16].sum() / blocks.measured.size for n in peaks]
    named = sorted(sorted(range(len(peaks)), key=lambda n: -shares[n])[:NAMED_PEAKS])
    digits = int(np.ceil(-np.log10(edges[1] - edges[0])))
    places = [f"{round(float(edges[peaks[n]]), digits):g} ({100 * shares[n]:.0f} %)" for n in named]
    if blocks.background is not None:
        words += f" ({blocks.background:.7g} all around)"
    return words + (f" with peaks at {', '.join(places)}" if places else " without peaks")
