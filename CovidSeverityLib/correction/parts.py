"""Segments that a person edits, as bits, and what they mean, as a code: all masks of an analysis in one byte a voxel.

Segments may overlap, and an editor that paints one may take others away under its brush. The masks that numbers are
made from do neither: a voxel has at most one lung, one lobe and one opacity.
"""

from __future__ import annotations

from enum import IntFlag
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import Lobe, Opacity, Side

Number = TypeVar("Number", np.uint8, np.uint16)

LOBE_SHIFT, OPACITY_SHIFT = 2, 5
"""First bit of the lobe and of the opacity in a code; the side of the lung stands in the two lowest bits."""

SIDE_MASK, LOBE_MASK, OPACITY_MASK = 0b11, 0b111 << LOBE_SHIFT, 0b11 << OPACITY_SHIFT
"""Bits of a code that hold the side, the lobe and the opacity."""

CODES = 1 << (OPACITY_SHIFT + 2)
"""Number of codes."""

SIDES_OF_LOBES = np.array([0, *(lobe.side for lobe in Lobe)], dtype=np.uint8)
"""The lung of every label of a lobe; 0 of none."""


class Part(IntFlag):
    """What a segment is; a voxel may lie in several."""

    RIGHT_LUNG = 1
    LEFT_LUNG = 2
    RUL = 4
    RML = 8
    RLL = 16
    LUL = 32
    LLL = 64
    GROUND_GLASS = 128
    CONSOLIDATION = 256


NO_PART = Part(0)
LUNG_PARTS = Part.RIGHT_LUNG | Part.LEFT_LUNG
LOBE_PARTS = Part.RUL | Part.RML | Part.RLL | Part.LUL | Part.LLL
OPACITY_PARTS = Part.GROUND_GLASS | Part.CONSOLIDATION

_PART_CODES: dict[int, int] = {  # plain integers: operations on flags would slow the start of the program down
    int(Part.RIGHT_LUNG): int(Side.RIGHT),
    int(Part.LEFT_LUNG): int(Side.LEFT),
    **{int(Part[lobe.name]): int(lobe) << LOBE_SHIFT for lobe in Lobe},
    int(Part.GROUND_GLASS): int(Opacity.GROUND_GLASS) << OPACITY_SHIFT,
    int(Part.CONSOLIDATION): int(Opacity.CONSOLIDATION) << OPACITY_SHIFT,
}
_GROUPS = ((int(LUNG_PARTS), SIDE_MASK), (int(LOBE_PARTS), LOBE_MASK), (int(OPACITY_PARTS), OPACITY_MASK))


def _code_of_parts() -> NDArray[np.uint8]:
    """The code of every combination: its first lung and lobe, and the denser opacity."""
    table = np.zeros(2 * int(Part.CONSOLIDATION), dtype=np.uint8)
    for parts in range(table.size):
        chosen = {mask: code for part, code in reversed(_PART_CODES.items()) for p, mask in _GROUPS if part & parts & p}
        if parts & Part.CONSOLIDATION:
            chosen[OPACITY_MASK] = _PART_CODES[Part.CONSOLIDATION]
        table[parts] = sum(chosen.values())
    return table


def _parts_of_code() -> NDArray[np.uint16]:
    table = np.zeros(CODES, dtype=np.uint16)
    for code in range(CODES):
        table[code] = sum(
            part for part, own in _PART_CODES.items() for p, mask in _GROUPS if part & p and code & mask == own
        )
    return table


_CODE_OF_PARTS, _PARTS_OF_CODE = _code_of_parts(), _parts_of_code()


def combine(lungs: NDArray[np.uint8], lobes: NDArray[np.uint8], infection: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Codes of label arrays of one shape: of :class:`Side`, :class:`Lobe` and :class:`Opacity`."""
    return lungs | lobes << np.uint8(LOBE_SHIFT) | infection << np.uint8(OPACITY_SHIFT)


def sides_of(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Labels of :class:`Side`, of the same shape."""
    return codes & np.uint8(SIDE_MASK)


def lobes_of(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Labels of :class:`Lobe`, of the same shape."""
    return (codes & np.uint8(LOBE_MASK)) >> np.uint8(LOBE_SHIFT)


def opacities_of(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Labels of :class:`Opacity`, of the same shape."""
    return codes >> np.uint8(OPACITY_SHIFT)


def codes_of(parts: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Codes of segments whose history is not known: the first lung and lobe of several, and the denser opacity.

    Parameters
    ----------
    parts : ndarray of uint16
        Bits of :class:`Part`, any shape.
    """
    return look_up(_CODE_OF_PARTS, parts)


def parts_of(codes: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Bits of :class:`Part` of the segments that ``codes`` are written as, of the same shape."""
    return look_up(_PARTS_OF_CODE, codes)


def look_up(table: NDArray[Number], indices: NDArray[np.integer]) -> NDArray[Number]:
    """``table[indices]`` of indices that are in the table: twice as fast, and with less memory.

    Parameters
    ----------
    table : (N,) ndarray
        Of any type.
    indices : ndarray of integers
        Of any shape. (K, J, I) indices are looked up slice by slice, because NumPy makes int64 of them first.
    """
    if indices.ndim < 3:
        return table.take(indices, mode="clip")
    result = np.empty(indices.shape, dtype=table.dtype)
    for target, plane in zip(result, indices, strict=True):
        target[...] = table.take(plane, mode="clip")
    return result


def follow_edit(
    codes: NDArray[np.uint8], before: NDArray[np.uint16], now: NDArray[np.uint16], brush: Part = NO_PART
) -> NDArray[np.uint8]:
    """Codes after an edit of the segments.

    Of several lobes, lungs or opacities the one that was painted last counts. A lung or a lobe that vanishes where
    a segment of another kind was painted was taken away by the brush, not by the person: it stays. One that vanishes
    alone was erased; where several segments appear at once, no brush was at work. A lobe stays only in its own lung.
    An opacity that vanishes is gone in any case, as can be seen.

    Parameters
    ----------
    codes : ndarray of uint8
        Before the edit, any shape.
    before, now : ndarray of uint16
        Bits of :class:`Part` before and after it, of the same shape.
    brush : Part
        The only part that appeared anywhere: where it lies now, it may have been painted over itself.
    """
    gained, changed, own_code = now & ~before, before ^ now, parts_of(codes)
    painted = _painted(gained, before, now, own_code) | (now & np.uint16(brush))
    result = np.zeros_like(codes)
    for parts, mask in _GROUPS:
        own = np.uint16(parts)
        chosen = _first_not_empty(gained & own, own_code & now & own, now & own)
        kept = (changed & own) == 0
        if parts != OPACITY_PARTS:
            kept |= ((now & own) == 0) & ((painted & ~own) != 0)
        result |= np.where(kept, codes & np.uint8(mask), codes_of(chosen))
    stray = ((now & np.uint16(LOBE_PARTS)) == 0) & ((changed & np.uint16(LOBE_PARTS)) != 0)
    stray &= SIDES_OF_LOBES[lobes_of(result)] != sides_of(result)
    result[stray] &= np.uint8(~LOBE_MASK & 0xFF)
    return result


def _painted(
    gained: NDArray[np.uint16], before: NDArray[np.uint16], now: NDArray[np.uint16], own_code: NDArray[np.uint16]
) -> NDArray[np.uint16]:
    """Parts that a brush has certainly painted: the only one that appears, or that is left of several.

    What comes back to where it had stayed (undo) was not painted.
    """
    lost = before & ~now
    left = (gained == 0) & _is_one(now) & (lost != 0) & ~_is_one(lost)
    return np.where(left, now, np.where(_is_one(gained), gained & ~own_code, np.uint16(0)))


def _is_one(parts: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Whether there is exactly one part."""
    return (parts != 0) & ((parts & (parts - np.uint16(1))) == 0)


def _first_not_empty(*choices: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Of every voxel, the first of ``choices`` that is not 0."""
    result = choices[-1]
    for choice in reversed(choices[:-1]):
        result = np.where(choice, choice, result)
    return result
