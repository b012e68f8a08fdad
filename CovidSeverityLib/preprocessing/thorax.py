"""Body, bowel gas and lung parenchyma on the working grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import component_sizes, fill_holes_in_slices
from CovidSeverityLib.morphology.grid import WorkingGrid, bounding_box, dilate_mm

LUNG_TISSUE_HU = -400
"""Between inflated lung (about -850 HU) and soft tissue (about +50 HU): the midpoint, where a sharp boundary blurred by
the scanner is crossed in the right place (Hu, Hoffman and Reinhardt 2001, doi 10.1109/42.929615, reach it by
iteration)."""

GAS_HU = -965
"""Below this a block is gas, not parenchyma: air is -1000 HU, emphysema begins at -950 HU (Gevenois 1996,
doi 10.1164/ajrccm.154.1.8680679), block noise is 5-15 HU."""

GAS_CORE_RADIUS_MM = 2.5
"""A gas space holds a disc of this radius: trachea (radius 7-12 mm), main bronchi (5-8 mm), stomach, bowel; scattered
emphysematous blocks do not."""

GAS_RIM_MM = 3.5
"""Partial volume between gas and the wall around it, and the wall of a large airway (1-3 mm)."""

GAS_ISLAND_SHARE = 0.5
"""Slices thicker than the rim blur gas into their neighbours, up to the density of lung. An island of air in a slice of
which more than this share is known gas, or lies straight above or below it, is gas as a whole: bowel goes on so; a
lung's section is far wider than the gas under it."""

LUNG_AROUND_HU = -700
LUNG_AROUND_SHARE = 0.6
"""Gas of which this share of the second block around is lung (walls blur to more than this density even when thin) is a
bulla or emphysema, and lung itself. In slices thicker than the rim it is the third block: where a wall slopes, they
blur it over the second one (0.62 of a colon's in 10 mm slices, 0.38 of its third)."""

BULLA_ML = 10.0
BULLA_RING_MM = 5.0
BULLA_SHARE = 0.25
BULLA_LUNG_HU = -930
"""A large bulla lies against the chest wall or the mediastinum and has lung on its other sides alone. 5 mm away, which
is beyond its own wall but not beyond that of stomach or bowel and the diaphragm, lung was 0.31 to 0.87 of the ring of
six bullae of 12 to 40 mm radius, laid into a normal scan, and 0.18 at most around stomach and bowel (three scans, three
synthetic chests). What noise breaks off a gas space has gas around it, which may be over -965 HU then, but not this. In
slices thicker than the distance, walls that slope are blurred over it, and this is not asked."""

BODY_OPENING_MM = 2.5
"""Radius of the in-plane opening that parts the body from a table top or a sheet that touches it (1-3 mm thick)."""

CUT_LUNG_HU = -940
"""At the edge of the image, air above this is lung and not the air of the room (-1000 HU, block noise 5-15 HU)."""

CUT_LUNG_SMOOTHING = (3, 7)
"""Slices and pixels of that edge over which its density is averaged: a gap of one pixel would open the whole lung."""

BODY_REGAIN_MM = 12.0
"""How far from what the opening left tissue is the body's again: a thin patient's chest wall, 3-5 mm between the ribs,
is opened away from one rib to the next."""

BODY_CLOSING_SLICES = 2
"""A slice whose chest wall is so thin that it tears open is mended from this many slices above and below."""

PARENCHYMA_MEDIAN_HU = (-970, -500)
"""Median of a piece of aerated lung: severe emphysema to dense ground glass. Gas lies below, fat and stool above."""

SMALLEST_PIECE_ML = 10.0
"""Smaller pieces of air are bowel loops, sinuses and airways; a lung that disease has cut up comes in larger ones."""


def body_mask(hu: NDArray[np.float32], grid: WorkingGrid) -> NDArray[np.bool_]:
    """The patient with everything inside, without table, blankets and air.

    Parameters
    ----------
    hu : (K, J, I) float32, Hounsfield units on the working grid.
    """
    tissue = hu > LUNG_TISSUE_HU
    radius = max(1, round(BODY_OPENING_MM / grid.spacing_mm[2]))
    core = ndimage.binary_opening(tissue, _disk(radius))
    labels, count = ndimage.label(core)
    if count == 0:
        return np.zeros(hu.shape, dtype=bool)
    patient = labels == component_sizes(labels).argmax()
    in_plane = (2 * BODY_REGAIN_MM, *grid.spacing_mm[1:])  # no slice reaches the next
    shell = dilate_mm(patient, BODY_REGAIN_MM, in_plane) & tissue
    shell |= _cut_lung(hu)
    filled = fill_holes_in_slices(shell)
    return _close_along_k(filled, BODY_CLOSING_SLICES)


def gas_mask(
    hu: NDArray[np.float32], body: NDArray[np.bool_], airway: NDArray[np.bool_], grid: WorkingGrid
) -> NDArray[np.bool_]:
    """Pure gas inside the body (trachea and large bronchi, stomach, bowel) with its blurred rim, and no bullae.

    Parameters
    ----------
    hu : (K, J, I) float32, Hounsfield units on the working grid.
    body : (K, J, I) bool.
    airway : (K, J, I) bool, as far as it was found: what hangs together with it is no bulla.
    grid : of all of them.
    """
    radius = max(1, round(GAS_CORE_RADIUS_MM / grid.spacing_mm[2]))
    core = ndimage.binary_opening((hu < GAS_HU) & body, _disk(radius))
    thick = grid.spacing_mm[0] > GAS_RIM_MM
    core = _walled(core, hu, 3 if thick else 2, GAS_HU, LUNG_AROUND_SHARE)
    if grid.spacing_mm[0] <= BULLA_RING_MM:
        core &= ~_bullae(core, hu, airway, grid)
    gas = dilate_mm(core, GAS_RIM_MM, grid.spacing_mm) & body
    return _with_thick_rims(gas, body & (hu < LUNG_TISSUE_HU)) if thick else gas


def _with_thick_rims(gas: NDArray[np.bool_], air: NDArray[np.bool_]) -> NDArray[np.bool_]:
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
            islands = covered > GAS_ISLAND_SHARE * np.bincount(labels.ravel(), minlength=count + 1)
            islands[0] = False
            whole[k] |= islands[labels]
    return whole


def _bullae(
    gas: NDArray[np.bool_], hu: NDArray[np.float32], airway: NDArray[np.bool_], grid: WorkingGrid
) -> NDArray[np.bool_]:
    """Large gas spaces with lung on one side."""
    labels, _ = ndimage.label(gas)
    keep = component_sizes(labels) >= BULLA_ML / grid.voxel_ml
    keep[np.unique(labels[airway])] = False
    large = keep[labels]
    ring = max(1, round(BULLA_RING_MM / grid.spacing_mm[2]))
    return large & ~_walled(large, hu, ring, BULLA_LUNG_HU, BULLA_SHARE)


def _walled(
    gas: NDArray[np.bool_], hu: NDArray[np.float32], ring: int, darkest_lung_hu: float, share: float
) -> NDArray[np.bool_]:
    """The 3-D components of ``gas`` that a wall surrounds: less than ``share`` of the blocks ``ring`` away is lung."""
    box = bounding_box(gas, margin=(0, ring, ring))
    labels, count = ndimage.label(gas[box])
    if count == 0:
        return gas
    near = ndimage.maximum_filter(labels, (1, 2 * ring - 1, 2 * ring - 1))
    shell = np.where(near == 0, ndimage.maximum_filter(labels, (1, 2 * ring + 1, 2 * ring + 1)), 0)
    # noise breaks gas into pieces with gas around them, which is darker than any lung
    lung_like = (hu[box] < LUNG_AROUND_HU) & (hu[box] >= darkest_lung_hu)
    lung = np.bincount(shell[lung_like], minlength=count + 1)
    walled = lung < share * np.bincount(shell.ravel(), minlength=count + 1)
    walled[0] = False
    result = np.zeros_like(gas)
    result[box] = walled[labels]
    return result


def parenchyma_pieces(
    hu: NDArray[np.float32], body: NDArray[np.bool_], gas: NDArray[np.bool_], grid: WorkingGrid
) -> NDArray[np.bool_]:
    """Aerated lung: air inside the body that is neither gas nor too small, nor of another texture than lung."""
    labels, count = ndimage.label(body & (hu < LUNG_TISSUE_HU) & ~gas)
    large = np.flatnonzero(component_sizes(labels) >= SMALLEST_PIECE_ML / grid.voxel_ml)
    boxes = ndimage.find_objects(labels)
    keep = np.zeros(count + 1, dtype=bool)
    for index in large:
        box = boxes[index - 1]
        median = float(np.median(hu[box][labels[box] == index]))
        keep[index] = PARENCHYMA_MEDIAN_HU[0] <= median <= PARENCHYMA_MEDIAN_HU[1]
    return keep[labels]


def _cut_lung(hu: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Lung at the in-plane edges of the image: where the field of view cuts the chest, the edge is its wall."""
    cut = np.zeros(hu.shape, dtype=bool)
    for side in (np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]):
        cut[side] |= ndimage.uniform_filter(hu[side], CUT_LUNG_SMOOTHING, mode="nearest") > CUT_LUNG_HU
    return cut


def _close_along_k(mask: NDArray[np.bool_], slices: int) -> NDArray[np.bool_]:
    padded = np.pad(mask, [(slices, slices), (0, 0), (0, 0)], mode="edge")
    closed = ndimage.binary_closing(padded, np.ones((2 * slices + 1, 1, 1), dtype=bool))
    return closed[slices:-slices] | mask


def _disk(radius: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return (x * x + y * y <= radius * radius)[None]
