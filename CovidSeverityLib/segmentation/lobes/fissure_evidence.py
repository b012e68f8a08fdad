"""What speaks for a fissure about a surface: thin bright sheets, and the absence of vessels.

The CT is sampled along the normals of the atlas's plane about the expected surface, so that a fissure becomes a nearly
level sheet in a small block (axes a, b along the surface and h across it). Where the slices are too thick for sheets to
be seen (:mod:`.plateness`), vessels still tell: they grow from the hilum of each lobe and end before its surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.types import AIR_HU

from .config import FissureConfig
from .fissure_surface import FissureCells, Height
from .lung_image import LungImage
from .plateness import patch_plateness, plateness, with_neighbours


@dataclass(frozen=True, eq=False)
class Evidence:
    """About an expected surface, at offsets from it; (P, Q, H) ndarrays of float32.

    Parameters
    ----------
    sheets : ndarray
        Evidence for a patch of a fissure; 0 outside the lung.
    gaps : ndarray
        How far the cell lies in a gap between vessels: 1 where there are none, 0 where there are as many as usual about
        the surface, and outside the lung; negative in a vessel.
    """

    sheets: NDArray[np.float32]
    gaps: NDArray[np.float32]

    def cost(self, config: FissureConfig) -> NDArray[np.float32]:
        """(P, Q, H) cost of a path through the cells."""
        found = np.float32(config.evidence_weight) * self.sheets + np.float32(config.vessels.weight) * self.gaps
        return (-found).astype(np.float32, copy=False)


def evidence_about(
    image: LungImage,
    cells: FissureCells,
    expected: NDArray,
    offsets: NDArray,
    over: Height | None,
    config: FissureConfig,
) -> Evidence:
    """The evidence at ``offsets`` from the expected surface; none behind its end.

    Parameters
    ----------
    image : LungImage
        The lung.
    cells : FissureCells
        Of the fissure's plane.
    expected : (P, Q) ndarray of float64
        Where the fissure is looked for, height above the plane, mm.
    offsets : (H,) ndarray of float64
        From the expected surface, mm.
    over : callable or None
        Height over the surface that the fissure ends on.
    config : FissureConfig
        How sheets and vessels are told.
    """
    fine = np.meshgrid(*((np.arange(2 * n) + 0.5) / 2 - 0.5 for n in expected.shape), indexing="ij")
    base = ndimage.map_coordinates(expected, fine, order=1, mode="nearest")
    grid, cell_mm = cells.grid, cells.grid.cell_mm
    a, b = (x[0] + cell_mm * ((np.arange(2 * x.size) + 0.5) / 2 - 0.5) for x in (grid.a, grid.b))
    k, j, i = grid.plane.to_atlas(a[:, None, None], b[None, :, None], base[:, :, None] + offsets)
    inside = image.covers(k, j, i)
    i = np.broadcast_to(i, inside.shape)
    if over is not None:
        inside[inside] = over(k[inside], j[inside], i[inside]) > config.horizontal_gap_mm
    inside = _without_border(inside, config.border_samples)
    needed = with_neighbours(inside)
    hu = np.full(inside.shape, AIR_HU, dtype=np.float32)
    hu[needed] = image.hu_at(k[needed], j[needed], i[needed])
    sample_mm = (cell_mm / 2, cell_mm / 2, config.height_mm)
    plates = _pairs(plateness(hu, inside, sample_mm, config.plates))
    share = _pairs(inside.astype(np.float32))
    sheets = patch_plateness(plates, share, cell_mm, config.height_mm, config.plates)
    gaps = _gaps(hu - np.float32(image.usual_hu), inside, share, cell_mm, config)
    front = (grid.b < cells.end(image, expected, over)[:, None])[..., None]
    return Evidence(sheets * front, gaps * front)


def _gaps(
    excess: NDArray[np.float32],
    inside: NDArray[np.bool_],
    share: NDArray[np.float32],
    cell_mm: float,
    config: FissureConfig,
) -> NDArray[np.float32]:
    """(P, Q, H) gaps between vessels, from the samples' excess density and whether they are in the lung."""
    low, high = config.vessels.excess_hu
    vessel = _pairs(np.clip((excess - np.float32(low)) / np.float32(high - low), 0.0, 1.0) * inside)
    sigma = [config.vessels.sigma_mm / mm for mm in (cell_mm, cell_mm, config.height_mm)]
    near, known = (ndimage.gaussian_filter(part, sigma, truncate=3.0) for part in (vessel, share))
    usual = near.sum(axis=2, keepdims=True) / np.maximum(known.sum(axis=2, keepdims=True), 1.0)
    gaps = (usual * known - near) / np.maximum(usual, np.float32(config.vessels.usual_share)) * (share > 0)
    return gaps.astype(np.float32, copy=False)


def _without_border(inside: NDArray[np.bool_], samples: tuple[int, int, int]) -> NDArray[np.bool_]:
    """What lies more than so many samples off the border of ``inside`` and of the block."""
    outside = np.pad(~inside, [(n, n) for n in samples], constant_values=True)
    core = tuple(slice(n, -n or None) for n in samples)
    return ~with_neighbours(outside, samples)[core]


def _pairs(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over the two by two samples of every cell."""
    return 0.25 * (samples[::2, ::2] + samples[1::2, ::2] + samples[::2, 1::2] + samples[1::2, 1::2])
