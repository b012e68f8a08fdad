"""New, resolved and persistent opacity on the grid of the later examination."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import boxes_of, large_components
from CovidSeverityLib.morphology.grid import bounding_box, dilate_mm, distance_to
from CovidSeverityLib.types import Box, Triple, triple

from .config import ChangeConfig

Mask = NDArray[np.bool_]


class OpacityChange(IntEnum):
    """Labels of a mask of changes.

    Examples
    --------
    >>> from CovidSeverityLib import OpacityChange
    >>> [change.name for change in OpacityChange]
    ['NEW', 'RESOLVED', 'PERSISTENT']
    """

    NEW = 1
    RESOLVED = 2
    PERSISTENT = 3


CHANGE_NAMES = {
    OpacityChange.NEW: "New opacity",
    OpacityChange.RESOLVED: "Resolved opacity",
    OpacityChange.PERSISTENT: "Persistent opacity",
}


@dataclass(frozen=True)
class Margins:
    """What the borders of opacities may be off by.

    Parameters
    ----------
    error_mm : float, mm
        Of a registered point.
    border_mm : float, mm
        Of the border of an opacity: a rim that is nowhere thicker is no change.
    smallest_ml : float, ml
        A smaller part is no change.
    density_hu : float, HU
        A part whose mean density did not change by so much is no change, where both CTs are at hand.
    """

    error_mm: float
    border_mm: float
    smallest_ml: float
    density_hu: float

    @classmethod
    def of(cls, config: ChangeConfig, slice_mm: float, *, by_structure: bool) -> Margins:
        """For the thicker slices of the two examinations, ``slice_mm``."""
        error = config.error_mm if by_structure else config.error_without_ct_mm
        return cls(error, config.border_mm + 0.5 * slice_mm, config.smallest_ml, config.density_hu)


def opacity_changes(
    carried: Mask,
    later: Mask,
    lung: Mask,
    spacing_mm: Triple,
    margins: Margins,
    denser_hu: NDArray[np.float32] | None = None,
) -> NDArray[np.uint8]:
    """Label new, resolved and persistent opacity.

    Opacities that lie within the registration error of each other are one group. The earlier opacities of a group are
    moved by up to that error, to where they overlap most with the later ones. What remains different is a change only
    where it is thicker than the uncertainty of a border, and then it counts as a whole. Where both CTs are at hand, the
    lung must have become denser or less dense there as well: a mark that comes or goes without that is a decision at a
    threshold.

    Parameters
    ----------
    carried, later : (K, J, I) ndarray of bool
        The earlier opacity, carried over, and the later one.
    lung : (K, J, I) ndarray of bool
        The later lungs; resolved opacity outside them is left out.
    spacing_mm : tuple of float
        Edges of a voxel (K, J, I), mm.
    margins : Margins
        What may be off.
    denser_hu : (K, J, I) ndarray of float32, or None
        By how much the lung is denser than it was, the breath taken off; None without both CTs.

    Returns
    -------
    (K, J, I) ndarray of uint8
        Labels of :class:`OpacityChange`. New and persistent opacity together are ``later``.
    """
    carried = carried & lung
    moved = _moved_onto(carried, later, spacing_mm, margins.error_mm) & lung
    smallest = margins.smallest_ml * 1000.0 / float(np.prod(spacing_mm))
    new = _thick(later & ~moved, moved, spacing_mm, margins.border_mm, smallest)
    resolved = _thick(moved & ~later, later, spacing_mm, margins.border_mm, smallest)
    if denser_hu is not None:
        new = _denser(new, denser_hu, margins.density_hu)
        resolved = _denser(resolved, -denser_hu, margins.density_hu)
    labels = np.where(later, np.uint8(OpacityChange.PERSISTENT), np.uint8(0))
    labels[new] = OpacityChange.NEW
    labels[resolved] = OpacityChange.RESOLVED
    return labels


def _moved_onto(carried: Mask, later: Mask, spacing_mm: Triple, error_mm: float) -> Mask:
    """The carried opacity, each group moved by up to the registration error."""
    result = np.zeros_like(carried)
    both = carried | later
    if not both.any():
        return result
    around = bounding_box(both, triple(1 + int(error_mm / mm) for mm in spacing_mm))
    groups, _ = ndimage.label(dilate_mm(both[around], 0.5 * error_mm, spacing_mm))
    target = result[around]
    shifts = tuple(_shifts(spacing_mm, error_mm))
    for number, box in enumerate(boxes_of(groups), start=1):
        own = groups[box] == number
        earlier, now = own & carried[around][box], own & later[around][box]
        _add_shifted(target, earlier, box, _best_shift(earlier, now, shifts))
    return result


def _shifts(spacing_mm: Triple, error_mm: float) -> Iterator[tuple[int, int, int]]:
    """Whole voxels (K, J, I) within the error, the shortest first; about a millimetre apart."""
    axes = []
    for mm in spacing_mm:
        step = max(1, round(1.0 / mm))
        reach = int(error_mm / (step * mm)) * step
        axes.append(np.arange(-reach, reach + 1, step))
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    length = np.square(grid * np.array(spacing_mm)).sum(axis=1)
    near = np.flatnonzero(length <= error_mm**2)
    for n in near[np.argsort(length[near], kind="stable")]:
        yield triple(grid[n].tolist())


def _best_shift(earlier: Mask, now: Mask, shifts: tuple[tuple[int, int, int], ...]) -> tuple[int, int, int]:
    """The shift of ``earlier`` with the largest overlap; the shortest of equal ones."""
    if not (earlier.any() and now.any()):
        return 0, 0, 0
    places = np.argwhere(earlier)
    best, most = (0, 0, 0), -1
    padding = triple(max(abs(shift[axis]) for shift in shifts) for axis in range(3))
    wide = np.pad(now, [(n, n) for n in padding]).ravel()
    sizes = [n + 2 * more for n, more in zip(now.shape, padding, strict=True)]
    flat = np.ravel_multi_index(tuple((places + padding).T), sizes)
    for shift in shifts:
        step = (shift[0] * sizes[1] + shift[1]) * sizes[2] + shift[2]
        overlap = int(np.count_nonzero(wide[flat + step]))
        if overlap > most:
            best, most = shift, overlap
    return best


def _add_shifted(target: Mask, part: Mask, box: tuple[slice, ...], shift: tuple[int, int, int]) -> None:
    """Set what lies ``shift`` from the voxels of ``part``, which is cut out of ``target`` by ``box``."""
    places = np.argwhere(part) + [edge.start + by for edge, by in zip(box, shift, strict=True)]
    inside = np.all((places >= 0) & (places < target.shape), axis=1)
    target[tuple(places[inside].T)] = True


def _thick(rest: Mask, other: Mask, spacing_mm: Triple, border_mm: float, smallest: float) -> Mask:
    """The parts of ``rest`` that are farther than ``border_mm`` from ``other`` somewhere, with their borders."""
    result = np.zeros_like(rest)
    if not rest.any():
        return result
    margin = triple(2 + int(2 * border_mm / mm) for mm in spacing_mm)
    box: Box = bounding_box(rest, margin)
    far = rest[box] & (distance_to(other[box], spacing_mm) > border_mm)
    whole = rest[box] & dilate_mm(far, border_mm, spacing_mm)
    result[box] = large_components(whole, smallest)
    return result


def _denser(parts: Mask, denser_hu: NDArray[np.float32], least_hu: float) -> Mask:
    """The connected parts whose mean density rose by at least ``least_hu``."""
    labels, count = ndimage.label(parts)
    if not count:
        return parts
    means = ndimage.mean(denser_hu, labels, np.arange(count + 1))
    return (means >= least_hu)[labels] & parts


def denser_by(earlier_hu: NDArray[np.int16], later_hu: NDArray[np.int16], volume_ratio: float) -> NDArray[np.float32]:
    """By how much a CT is denser than an earlier one on the same grid, HU, the breath taken off.

    Lung that fills less volume is denser: with r the earlier volume in later ones, a density d relative to water
    becomes d + (r - 1) d (1 - d), since air is pressed out and tissue stays.

    Parameters
    ----------
    earlier_hu, later_hu : (K, J, I) ndarray of int16
        Both, HU.
    volume_ratio : float
        Earlier volume of the lungs in later ones.
    """
    density = np.clip(earlier_hu.astype(np.float32) / np.float32(1000.0) + 1, 0.0, 1.0)
    expected = density + np.float32(volume_ratio - 1.0) * density * (1 - density)
    return np.subtract(later_hu, (expected - 1) * np.float32(1000.0), dtype=np.float32)
