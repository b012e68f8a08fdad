"""How thick vessels can be where in the lung, and what is thicker.

Vessels enter at the mediastinum, as thick as a finger, and thin out towards the chest wall. An opacity is told from
them by being thicker than they are at its place, whatever the size of a pixel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.preprocessing.convex_hull import convex_hull
from CovidSeverityLib.types import frozen_array

COSTAL_RADIUS_MM, COSTAL_GROWTH = 1.5, 0.1
"""Largest radius of a vessel at the chest wall, and how much it grows with every mm from there: anatomy texts have
vessels of 2-3 mm within 2 cm of the pleura and subsegmental ones of 4-6 mm at 3-4 cm."""

HILAR_RADIUS_MM, HILAR_DECAY = 7.0, 0.1
"""Largest radius at the mediastinum and its decay: the interlobar artery is up to 16 mm thick, its segmental branches,
2-3 cm on, 5-8 mm."""

SMALLEST_RADIUS_MM, SMALLEST_COSTAL_RADIUS_MM = 2.5, 2.0
"""A structure thinner than this is never told from a vessel; the blur of the scanner and of the blocks is in it."""

LARGEST_RADIUS_MM = 7.5


def vessel_radius_mm(lung: NDArray[np.bool_], pixel_mm: tuple[float, float]) -> NDArray[np.float32]:
    """Radius of the thickest vessel that can be expected at every place.

    Parameters
    ----------
    lung : (K, J, I) bool, both lungs.
    pixel_mm : edges of a pixel (J, I), mm.

    Returns
    -------
    (K, J, I) float32, mm.
    """
    radius = np.full(lung.shape, np.float32(SMALLEST_COSTAL_RADIUS_MM))
    for k in np.flatnonzero(lung.any(axis=(1, 2))):
        hull = convex_hull(lung[k]).mask | lung[k]
        costal = ndimage.distance_transform_edt(np.pad(hull, 1), pixel_mm)[1:-1, 1:-1]
        by_wall = np.clip(COSTAL_RADIUS_MM + COSTAL_GROWTH * costal, SMALLEST_COSTAL_RADIUS_MM, LARGEST_RADIUS_MM)
        between = hull & ~lung[k]
        if between.any():
            medial = ndimage.distance_transform_edt(~between, pixel_mm)
            by_hilum = np.clip(HILAR_RADIUS_MM - HILAR_DECAY * medial, SMALLEST_RADIUS_MM, HILAR_RADIUS_MM)
        else:
            by_hilum = np.full(hull.shape, SMALLEST_RADIUS_MM)
        radius[k] = np.minimum(by_wall, by_hilum)
    return frozen_array(radius)


def thicker_than(
    mask: NDArray[np.bool_], radius_mm: NDArray[np.float32] | float, pixel_mm: tuple[float, float]
) -> NDArray[np.bool_]:
    """The parts of ``mask`` that hold a disc of a given radius in the axial plane (an opening).

    Parameters
    ----------
    mask : (K, J, I) bool.
    radius_mm : of the disc, mm; an array gives it for every place of its centre.
    pixel_mm : edges of a pixel (J, I), mm.

    Returns
    -------
    (K, J, I) bool: the discs that fit into ``mask``.
    """
    radii = np.broadcast_to(np.asarray(radius_mm, dtype=np.float32), mask.shape)
    thick = np.zeros(mask.shape, dtype=bool)
    for k in np.flatnonzero(mask.any(axis=(1, 2))):
        centres = ndimage.distance_transform_edt(mask[k], pixel_mm) >= radii[k]
        if centres.any():
            distance, nearest = ndimage.distance_transform_edt(~centres, pixel_mm, return_indices=True)
            thick[k] = mask[k] & (distance < radii[k][tuple(nearest)])
    return thick


def lasting(mask: NDArray[np.bool_], depth_mm: float, slice_mm: float) -> NDArray[np.bool_]:
    """The parts of ``mask`` that go on for ``depth_mm`` along the axis (an opening by a line).

    Parameters
    ----------
    mask : (K, J, I) bool.
    depth_mm : rounded to whole blocks, at least two: what is mixed of lung and tissue in one block, however thick, does
        not last.
    slice_mm : edge of a block along K, mm.
    """
    blocks = max(2, round(depth_mm / slice_mm))
    return ndimage.binary_opening(mask, np.ones((blocks, 1, 1), dtype=bool))


def grown_by(mask: NDArray[np.bool_], distance_mm: float, pixel_mm: tuple[float, float]) -> NDArray[np.bool_]:
    """(K, J, I) ``mask`` grown by ``distance_mm`` in the axial plane."""
    grown = np.zeros(mask.shape, dtype=bool)
    for k in np.flatnonzero(mask.any(axis=(1, 2))):
        grown[k] = ndimage.distance_transform_edt(~mask[k], pixel_mm) <= distance_mm
    return grown
