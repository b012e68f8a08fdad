"""Body, bowel gas and lung parenchyma on the working grid."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from CovidSeverityLib.morphology.components import component_sizes, fill_holes_in_slices
from CovidSeverityLib.morphology.grid import FloatImage, Mask, WorkingGrid, bounding_box, close_mm, dilate_mm, erode_mm

from .config import BodyConfig, GasConfig, ThoraxConfig


def body_mask(hu: FloatImage, grid: WorkingGrid, config: ThoraxConfig = ThoraxConfig()) -> Mask:
    """The patient with everything inside, without table, blankets and air.

    Parameters
    ----------
    hu : (K, J, I) ndarray of float32
        Hounsfield units on the working grid.
    grid : WorkingGrid
        Grid of ``hu``.
    config : ThoraxConfig
        How the body is found.

    Returns
    -------
    (K, J, I) ndarray of bool
        Empty where there is no tissue.
    """
    body = config.body
    tissue = hu > config.lung_tissue_hu
    core = _opened_by_disc(tissue, body.opening_mm, grid)
    labels, count = ndimage.label(core)
    if count == 0:
        return np.zeros(hu.shape, dtype=bool)
    patient = labels == component_sizes(labels).argmax()
    in_plane = (2 * body.regain_mm, *grid.spacing_mm[1:])  # no slice reaches the next
    shell = dilate_mm(patient, body.regain_mm, in_plane) & tissue
    shell |= _lung_at_image_edge(hu, body)
    filled = fill_holes_in_slices(shell)
    return _close_along_k(filled, body.closing_slices)


def gas_mask(hu: FloatImage, body: Mask, airway: Mask, grid: WorkingGrid, config: ThoraxConfig) -> Mask:
    """Gas inside the body (trachea and large bronchi, stomach, bowel) with its blurred rim, without bullae.

    Parameters
    ----------
    hu : (K, J, I) ndarray of float32
        Hounsfield units on the working grid.
    body : (K, J, I) ndarray of bool
        The patient.
    airway : (K, J, I) ndarray of bool
        Airways as far as they are found. Gas connected with them is no bulla.
    grid : WorkingGrid
        Grid of all of them.
    config : ThoraxConfig
        How gas is found.

    Returns
    -------
    (K, J, I) ndarray of bool
    """
    gas = config.gas
    core = _opened_by_disc((hu < gas.highest_hu) & body, gas.core_radius_mm, grid)
    thick = grid.spacing_mm[0] > gas.rim_mm
    lung_hu = (gas.lung_around_hu, gas.highest_hu)
    core = _surrounded_by_wall(core, hu, 3 if thick else 2, lung_hu, gas.lung_around_share)
    if grid.spacing_mm[0] <= gas.bulla_ring_mm:
        core &= ~_bullae(core, hu, airway, grid, gas)
    mask = dilate_mm(core, gas.rim_mm, grid.spacing_mm) & body
    return _with_continued_islands(mask, body & (hu < config.lung_tissue_hu), gas.island_share) if thick else mask


def _with_continued_islands(gas: Mask, air: Mask, share: float) -> Mask:
    """``gas`` with the islands of ``air`` that continue it, slice by slice, upwards and then downwards."""
    whole = gas.copy()
    last = len(gas) - 1
    for step, order in ((-1, range(last + 1)), (1, range(last, -1, -1))):
        for k in order:
            known = whole[k] | whole[min(max(k + step, 0), last)]
            labels, count = ndimage.label(air[k])
            if not count or not known.any():
                continue
            covered = np.bincount(labels[known], minlength=count + 1)
            islands = covered > share * np.bincount(labels.ravel(), minlength=count + 1)
            islands[0] = False
            whole[k] |= islands[labels]
    return whole


def _bullae(gas: Mask, hu: FloatImage, airway: Mask, grid: WorkingGrid, config: GasConfig) -> Mask:
    """Large gas spaces with lung on one side."""
    labels, _ = ndimage.label(gas)
    keep = component_sizes(labels) >= config.bulla_ml / grid.voxel_ml
    keep[np.unique(labels[airway])] = False
    large = keep[labels]
    ring = max(1, round(config.bulla_ring_mm / grid.spacing_mm[2]))
    lung_hu = (config.lung_around_hu, config.bulla_lung_hu)
    return large & ~_surrounded_by_wall(large, hu, ring, lung_hu, config.bulla_share)


def _surrounded_by_wall(gas: Mask, hu: FloatImage, ring: int, lung_hu: tuple[float, float], share: float) -> Mask:
    """The 3-D components of ``gas`` that a wall surrounds: less than ``share`` of the blocks ``ring`` away is lung.

    Lung lies below the first and from the second of ``lung_hu`` on. Noise breaks gas into pieces with gas around them,
    which is darker than any lung.
    """
    box = bounding_box(gas, margin=(0, ring, ring))
    labels, count = ndimage.label(gas[box])
    if count == 0:
        return gas
    near = ndimage.maximum_filter(labels, (1, 2 * ring - 1, 2 * ring - 1))
    shell = np.where(near == 0, ndimage.maximum_filter(labels, (1, 2 * ring + 1, 2 * ring + 1)), 0)
    lung_like = (hu[box] < lung_hu[0]) & (hu[box] >= lung_hu[1])
    lung = np.bincount(shell[lung_like], minlength=count + 1)
    walled = lung < share * np.bincount(shell.ravel(), minlength=count + 1)
    walled[0] = False
    result = np.zeros_like(gas)
    result[box] = walled[labels]
    return result


def parenchyma_pieces(hu: FloatImage, body: Mask, gas: Mask, grid: WorkingGrid, config: ThoraxConfig) -> Mask:
    """Aerated lung: air inside the body that is not gas, in large pieces with the density of lung.

    Parameters
    ----------
    hu : (K, J, I) ndarray of float32
        Hounsfield units on the working grid.
    body : (K, J, I) ndarray of bool
        The patient.
    gas : (K, J, I) ndarray of bool
        Gas and airways.
    grid : WorkingGrid
        Grid of all of them.
    config : ThoraxConfig
        What aerated lung is.

    Returns
    -------
    (K, J, I) ndarray of bool
    """
    labels, count = ndimage.label(body & (hu < config.lung_tissue_hu) & ~gas)
    large = np.flatnonzero(component_sizes(labels) >= config.smallest_piece_ml / grid.voxel_ml)
    boxes = ndimage.find_objects(labels)
    keep = np.zeros(count + 1, dtype=bool)
    for index in large:
        box = boxes[index - 1]
        median = float(np.median(hu[box][labels[box] == index]))
        keep[index] = config.aerated_hu[0] <= median <= config.aerated_hu[1]
    return keep[labels]


def _lung_at_image_edge(hu: FloatImage, config: BodyConfig) -> Mask:
    """Lung at the in-plane edges of the image: where the field of view cuts the chest, the edge is its wall."""
    cut = np.zeros(hu.shape, dtype=bool)
    for side in (np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]):
        smooth = ndimage.uniform_filter(hu[side], config.cut_lung_smoothing, mode="nearest")
        cut[side] |= smooth > config.cut_lung_hu
    return cut


def _close_along_k(mask: Mask, slices: int) -> Mask:
    padded = np.pad(mask, [(slices, slices), (0, 0), (0, 0)], mode="edge")
    column = (1, 2 * slices, 2 * slices)  # edges for which a ball holds the voxels above and below alone
    return close_mm(padded, slices, column)[slices:-slices]


def _opened_by_disc(mask: Mask, radius_mm: float, grid: WorkingGrid) -> Mask:
    """Opening within axial slices by a disc of at least one block in radius; outside the array there is nothing."""
    radius = max(1, round(radius_mm / grid.spacing_mm[2]))
    disc = (2 * radius, 1, 1)  # edges for which a ball holds no block of another slice
    padded = np.pad(mask, [(0, 0), (radius, radius), (radius, radius)])
    return dilate_mm(erode_mm(padded, radius, disc), radius, disc)[:, radius:-radius, radius:-radius]
