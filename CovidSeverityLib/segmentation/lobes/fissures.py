"""The fissures of a patient: the atlas surface, moved to where the image shows a thin bright sheet or a gap of vessels.

The smoothest path through the evidence (:mod:`.fissure_evidence`) is found for all rows and columns (semi-global
matching, Hirschmueller 2008, doi 10.1109/TPAMI.2007.1166). The modes of the atlas are fitted to that, then a smooth
local displacement, twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.parallel import map_in_order

from .config import FissureConfig
from .fissure_evidence import evidence_about
from .fissure_surface import FissureCells, FissureSurface, Height
from .lobe_atlas import Fissure, FissureModel
from .lung_image import LungImage


def find_fissures(
    image: LungImage, models: Mapping[Fissure, FissureModel], config: FissureConfig = FissureConfig()
) -> dict[Fissure, FissureSurface]:
    """The fissures of one lung.

    Parameters
    ----------
    image : LungImage
        The lung.
    models : mapping of Fissure to FissureModel
        Of its fissures, the oblique one first. They share their modes.
    config : FissureConfig
        Where and how fissures are looked for.
    """
    grids = {fissure: FissureCells.of(model, config.cell_mm) for fissure, model in models.items()}
    limits = _limits_of_seen(image, next(iter(grids.values())), config)
    weights = np.zeros(next(iter(models.values())).modes.shape[0])
    first: dict[Fissure, _Path] = {}
    expected: dict[Fissure, NDArray] = {}
    for fissure, cells in grids.items():
        horizontal = fissure is Fissure.RIGHT_HORIZONTAL
        reach_mm = config.horizontal_reach_mm if horizontal else config.oblique_reach_mm
        over = _over(fissure, expected, grids)
        first[fissure] = _follow(image, cells, cells.expected(weights), reach_mm, over, config)
        weights, _ = _fit_modes([(grids[f], p.height, p.trust) for f, p in first.items()], config)
        expected = {f: _displaced(grids[f].expected(weights), p, config) for f, p in first.items()}

    def refined(fissure: Fissure) -> _Path:
        over = _over(fissure, expected, grids)
        return _follow(image, grids[fissure], expected[fissure], config.fine_reach_mm, over, config)

    paths = dict(zip(grids, map_in_order(refined, grids, "lobes", None), strict=True))
    heights = {fissure: _displaced(expected[fissure], path, config) for fissure, path in paths.items()}
    seen = {
        fissure: _ramp(path.region, limits) * _robust(path.height - heights[fissure], config.robust_mm[-1])
        for fissure, path in paths.items()
    }
    known = _fit_modes([(grids[f], path.height, _ramp(path.region, limits)) for f, path in paths.items()], config)
    return {
        fissure: _surface(
            image,
            cells,
            models[fissure],
            heights[fissure],
            _over(fissure, heights, grids),
            seen[fissure],
            known,
            config,
        )
        for fissure, cells in grids.items()
    }


def _limits_of_seen(image: LungImage, oblique: FissureCells, config: FissureConfig) -> tuple[float, float]:
    """Evidence of a region that chance reaches in this lung, and that of a clear fissure.

    Chance is what is found about the mirrored plane, which rises forwards. No fissure does. It lies in the slices as
    the oblique fissure does, so that noise and blur make as many sheets there.
    """
    plane = replace(oblique.grid.plane, tilt_deg=-oblique.grid.plane.tilt_deg)
    mirrored = replace(oblique, grid=replace(oblique.grid, plane=plane))
    region = _follow(image, mirrored, np.zeros(oblique.mean.shape), config.fine_reach_mm, None, config).region
    found = region[region != 0.0]
    chance = float(np.quantile(found, config.chance_share)) if found.size else 0.0
    more = max(0.0, chance - config.seen[0])
    return config.seen[0] + more, config.seen[1] + more


@dataclass(frozen=True, eq=False)
class _Path:
    """What was followed over the cells of a fissure's plane.

    Parameters
    ----------
    height : (P, Q) ndarray of float64
        Above the plane, mm.
    trust : (P, Q) ndarray of float64
        How much the evidence of a cell alone counts where the surface is moved to it, 0 to 1.
    region : (P, Q) ndarray of float64
        Mean evidence of the region about a cell; 0 where the cell itself has none.
    """

    height: NDArray[np.float64]
    trust: NDArray[np.float64]
    region: NDArray[np.float64]


def _over(fissure: Fissure, heights: Mapping[Fissure, NDArray], grids: Mapping[Fissure, FissureCells]) -> Height | None:
    """The height over the surface on which a fissure ends: the horizontal one on the oblique one. None for others."""
    if fissure is not Fissure.RIGHT_HORIZONTAL:
        return None
    return grids[Fissure.RIGHT_OBLIQUE].grid.above(heights[Fissure.RIGHT_OBLIQUE])


def _follow(
    image: LungImage,
    cells: FissureCells,
    expected: NDArray,
    reach_mm: float,
    over: Height | None,
    config: FissureConfig,
) -> _Path:
    """The path of most evidence and fewest vessels about an expected surface, in front of that on which it ends."""
    offsets = np.arange(-reach_mm, reach_mm + config.height_mm / 2, config.height_mm)
    evidence = evidence_about(image, cells, expected, offsets, over, config)
    cost = evidence.cost(config) + (config.distance_cost * offsets**2).astype(np.float32)
    total = _path_costs(cost, 0, config) + _path_costs(cost, 1, config) - cost
    best = total.argmin(axis=2)[..., None]

    def along(values: NDArray[np.float32]) -> NDArray[np.float64]:
        """What lies along the path."""
        return np.take_along_axis(values, best, axis=2)[..., 0].astype(np.float64)

    strength = along(evidence.sheets)
    known, sigma = (strength != 0.0).astype(np.float64), config.region_sigma_mm / cells.grid.cell_mm
    share = ndimage.gaussian_filter(known, sigma)
    region = ndimage.gaussian_filter(strength, sigma) / np.maximum(share, config.plates.smallest_fill)
    trust = np.maximum(_ramp(strength, config.trusted), config.vessels.trust * along(evidence.gaps))
    return _Path(expected + offsets[best[..., 0]], trust, known * region)


def _ramp(evidence: NDArray[np.float64], limits: tuple[float, float]) -> NDArray[np.float64]:
    """0 up to the first limit, 1 from the second one on."""
    return np.clip((evidence - limits[0]) / (limits[1] - limits[0]), 0.0, 1.0)


def _path_costs(cost: NDArray[np.float32], axis: int, config: FissureConfig) -> NDArray[np.float32]:
    """Costs of the cheapest paths that come along ``axis`` from either side (equation 13 of Hirschmueller 2008)."""
    cost = np.moveaxis(cost, axis, 0)
    total, step = np.zeros(cost.shape, dtype=np.float32), np.float32(config.step_cost)
    for order in (range(cost.shape[0]), range(cost.shape[0] - 1, -1, -1)):
        before = np.zeros(cost.shape[1:], dtype=np.float32)
        for n in order:
            least = before.min(axis=1, keepdims=True)
            reached = np.minimum(before, least + np.float32(config.jump_cost))
            reached[:, 1:] = np.minimum(reached[:, 1:], before[:, :-1] + step)
            reached[:, :-1] = np.minimum(reached[:, :-1], before[:, 1:] + step)
            before = cost[n] + reached - least
            total[n] += before
    return np.moveaxis(total, 0, axis)


def _fit_modes(
    observed: list[tuple[FissureCells, NDArray[np.float64], NDArray[np.float64]]], config: FissureConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (M,) of the modes and their covariance, from heights with a weight (0 to 1) for every cell.

    Normal prior, robust observations, reweighted least squares.
    """
    modes = np.concatenate([cells.modes.reshape(len(cells.modes), -1) for cells, *_ in observed], axis=1)
    off = np.concatenate([(height - cells.mean).ravel() for cells, height, _ in observed])
    seen = np.concatenate([weight.ravel() for *_, weight in observed])
    modes, off, seen = modes[:, seen > 0], off[seen > 0], seen[seen > 0]
    weights, inverse = np.zeros(modes.shape[0]), np.eye(modes.shape[0])
    if not seen.size:
        return weights, inverse
    for scale in config.robust_mm:
        rest = off - np.einsum("m,mn->n", weights, modes)
        trust = seen * _robust(rest, scale) / (config.mode_noise_mm**2 * config.cells_per_observation)
        # einsum adds in one fixed order, and the system is too small for threads: the same bits everywhere.
        normal = np.einsum("mn,kn,n->mk", modes, modes, trust) + np.eye(modes.shape[0])
        inverse = np.linalg.inv(normal)
        weights = np.einsum("mk,k->m", inverse, np.einsum("mn,n,n->m", modes, off, trust))
    return weights, inverse


def _robust(off: NDArray, scale: float) -> NDArray:
    """Geman and McClure's weight."""
    return 1.0 / (1.0 + (off / scale) ** 2) ** 2


def _displaced(expected: NDArray, path: _Path, config: FissureConfig) -> NDArray[np.float64]:
    """The expected surface, moved smoothly to the path where that can be trusted."""
    off = path.height - expected
    trust = path.trust * _robust(off, config.robust_mm[-1])
    sigma = config.spread_mm / config.cell_mm
    moved = ndimage.gaussian_filter(trust * off, sigma) / (ndimage.gaussian_filter(trust, sigma) + config.spread_floor)
    return expected + moved


def _surface(
    image: LungImage,
    cells: FissureCells,
    model: FissureModel,
    height: NDArray,
    over: Height | None,
    seen: NDArray,
    known: tuple[NDArray, NDArray],
    config: FissureConfig,
) -> FissureSurface:
    """The final surface with what is known of its errors.

    Where nothing is seen, the left-out cases' distance counts, less what the modes learned from the rest of the lung
    (``known``: their weights and covariance). To it is added, in squares, part of the way that evidence which chance
    gives too has moved the surface.
    """
    end = cells.end(image, height, over)
    rearmost_j = np.inf if over is None else image.row_at(model.rearmost)
    inside = image.covers(*cells.grid.positions(height)) & (cells.grid.b < end[:, None])
    weights, spread = known
    prior = (cells.modes**2).sum(axis=0)
    rest = np.einsum("mpq,mk,kpq->pq", cells.modes, spread, cells.modes)
    noise = config.mode_noise_mm**2
    moved = config.unseen_move * (height - cells.expected(weights))
    guessed = np.hypot(model.distance_mm * np.sqrt((rest + noise) / (prior + noise)), moved) / min(image.frame.scale)
    guessed = guessed * (config.cut_factor if image.frame.cut else 1.0)
    found_mm = np.hypot(config.found_mm, image.spacing_kji[0] / 2.0)
    expected_mm = seen * found_mm + (1.0 - seen) * np.maximum(guessed, found_mm)
    return FissureSurface(cells.grid, height, end, rearmost_j, inside, seen, expected_mm)
