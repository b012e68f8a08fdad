"""Opacities of one lobe that reach a little into the next one, and when that matters to a score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.grid import bounding_box
from CovidSeverityLib.types import Lobe

from .quantification import Counts, lobe_scores


def spilled_lobes(opacities: NDArray[np.bool_], lobes: NDArray[np.uint8]) -> frozenset[Lobe]:
    """Lobes that opacities reach only with their smaller part: none has most of its voxels there.

    Where the border of a lobe is known to a few millimetres, such a part may as well lie on the other side of it.

    Parameters
    ----------
    opacities : (K, J, I) ndarray of bool
        Opacities.
    lobes : (K, J, I) ndarray of uint8
        Labels.
    """
    box = bounding_box(opacities)
    inside = opacities[box]
    return lobes_without_opacity(connected_opacities(inside)[inside], lobes[box][inside])


def connected_opacities(opacities: NDArray[np.bool_]) -> NDArray[np.integer]:
    """(K, J, I) number from 1 on of the opacity that every voxel belongs to, corners connected; 0 where there is none.

    Parameters
    ----------
    opacities : (K, J, I) ndarray of bool
        Opacities.
    """
    return ndimage.label(opacities, np.ones((3, 3, 3), dtype=bool))[0]


def lobes_without_opacity(objects: NDArray[np.integer], lobes: NDArray[np.uint8]) -> frozenset[Lobe]:
    """Lobes that opacities reach but none has most of its voxels in.

    Parameters
    ----------
    objects : (N,) ndarray of int
        Of :func:`connected_opacities`, of marked voxels.
    lobes : (N,) ndarray of uint8
        Labels of the same voxels.
    """
    columns = len(Lobe) + 1
    pairs = objects.astype(np.intp) * columns + lobes
    size = (int(objects.max(initial=0)) + 1) * columns
    table = np.bincount(pairs, minlength=size).reshape(-1, columns)[:, 1:]
    homes = set((table.argmax(axis=1)[table.any(axis=1)] + 1).tolist())
    return frozenset(lobe for lobe in Lobe if table[:, lobe - 1].any() and lobe not in homes)


def spill_matters(counts: Counts, least_percent: float, spill_percent: float) -> bool:
    """Whether :func:`lobe_scores` asks which lobes are spilled: some involvement lies between both limits.

    Parameters
    ----------
    counts : Counts
        Of the whole volume.
    least_percent, spill_percent : float
        As for :func:`lobe_scores`.
    """
    percents = [score.involvement_percent for score in lobe_scores(counts, 0.0)]
    return any((percent <= least_percent) != (percent <= spill_percent) for percent in percents)
