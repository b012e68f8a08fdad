"""Masks under correction: what the segments held, what they hold now, and what that means."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import Lobe

from .parts import CODES, Part, codes_of, follow_edit, lobes_of, opacities_of, parts_of, sides_of
from .rescoring import tally, with_lobes_of_added_lung

Box = tuple[slice, slice, slice]
"""Part of a (K, J, I) grid; starts and stops are whole numbers."""

Plane = Callable[[int, slice, slice], NDArray[np.uint16]]
"""``plane(k, rows, columns)``: bits of :class:`Part` in slice k of the CT, (J, I) uint16 of those rows and columns."""

EVERY_PART = Part(0b111111111)
REMEMBERED_STATES = 24
"""Earlier states of a slice that are known again: 3D Slicer can undo ten edits."""

EMPTY_BOX: Box = (slice(0, 0),) * 3


@dataclass(frozen=True, eq=False)
class MaskDifference:
    """Where corrected masks, or what their segments say without their history, are not the automatic masks.

    Parameters
    ----------
    voxels : (N,) int64, ascending flat indices into the CT's (K, J, I).
    parts : (N,) uint16, bits of :class:`~.parts.Part`: the segments that they lie in.
    automatic, codes : (N,) uint8 codes of the automatic masks and of the corrected ones.
    """

    voxels: NDArray[np.int64]
    parts: NDArray[np.uint16]
    automatic: NDArray[np.uint8]
    codes: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class CorrectedMasks:
    """Corrected masks, counted.

    Parameters
    ----------
    codes : (K, J, I) codes of a box of the CT outside which there is nothing.
    table : of :func:`~.rescoring.tally`, a row for every slice of the CT.
    lobes : that were changed.
    opacity_outside_voxels : opacity outside the lungs that is not there automatically: it is not counted.
    lung_without_lobe_voxels : lung in no lobe that has one automatically: it is in no lobe's score.
    """

    codes: NDArray[np.uint8]
    table: NDArray[np.int64]
    lobes: frozenset[Lobe]
    opacity_outside_voxels: int
    lung_without_lobe_voxels: int


class EditedMasks:
    """Follows segments from edit to edit.

    It holds three arrays of the box that has ever held something: four bytes a voxel.

    Parameters
    ----------
    shape : of the CT, (K, J, I).
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self.box: Box = EMPTY_BOX
        self._parts = np.zeros((0, 0, 0), dtype=np.uint16)
        self._codes = np.zeros((0, 0, 0), dtype=np.uint8)
        self._automatic = self._codes.copy()
        self._table = np.zeros((shape[0], CODES), dtype=np.int64)
        self._states: dict[int, dict[bytes, bytes]] = {}
        self._edited: set[int] = set()

    def begin(self, box: Box, plane: Plane) -> None:
        """Take the segments as they are for the automatic masks.

        Parameters
        ----------
        box : that holds all of them.
        plane : reads a slice of them.
        """
        self._grow(box)
        first, rows, columns = self.box[0].start, *self.box[1:]
        for n in range(len(self._parts)):
            self._parts[n] = plane(first + n, rows, columns)
            self._codes[n] = codes_of(self._parts[n])
        self._automatic[...] = self._codes
        self._count(range(len(self._codes)))

    def follow(self, box: Box, plane: Plane, told: Part = EVERY_PART) -> bool:
        """Follow an edit and say whether anything changed.

        Parameters
        ----------
        box : that holds all segments.
        plane : as for :meth:`begin`.
        told : the parts that ``plane`` tells; the others are as they were.
        """
        self._grow(box)
        first, rows, columns = self.box[0].start, *self.box[1:]
        other = np.uint16(EVERY_PART & ~told)
        changed = []
        for n, before in enumerate(self._parts):
            now = plane(first + n, rows, columns) | (before & other)
            if not np.array_equal(now, before):
                self._follow_slice(n, now)
                changed.append(n)
        self._count(changed)
        self._edited.update(first + n for n in changed)
        return bool(changed)

    def restore(self, difference: MaskDifference) -> None:
        """Learn what the masks were before corrections that were made earlier (once, after :meth:`begin`).

        Raises
        ------
        ValueError
            If the difference is of other segments; nothing has changed then.
        """
        if not difference.voxels.size:
            return
        if difference.voxels[0] < 0 or difference.voxels[-1] >= np.prod(self.shape):
            raise ValueError(f"the difference has voxels outside of {self.shape} (K, J, I)")
        indices = np.unravel_index(difference.voxels, self.shape)
        self._grow(tuple(slice(int(n.min()), int(n.max()) + 1) for n in indices))
        here = tuple(n - part.start for n, part in zip(indices, self.box, strict=True))
        if not np.array_equal(self._parts[here], difference.parts):
            raise ValueError("the segments are not those that the difference was made for")
        self._automatic[here] = difference.automatic
        self._codes[here] = difference.codes
        self._count(np.unique(here[0]).tolist())
        self._edited.update(np.unique(indices[0]).tolist())

    def difference(self) -> MaskDifference:
        """What :meth:`restore` needs."""
        found = [self._slice_difference(k - self.box[0].start) for k in sorted(self._edited)] or [_NOTHING]
        return MaskDifference(*(np.concatenate(part) for part in zip(*found, strict=True)))

    @property
    def changed(self) -> bool:
        """Whether the masks are others than automatically."""
        return not np.array_equal(self._codes, self._automatic)

    def masks(self, automatic: bool = False) -> CorrectedMasks:
        """The masks as they are now, or as they were automatically."""
        if automatic:
            return CorrectedMasks(self._automatic, self._tallied(self._automatic), frozenset(), 0, 0)
        codes = with_lobes_of_added_lung(self._codes, self._automatic)
        table = self._table if codes is self._codes else self._tallied(codes)
        here = np.flatnonzero(codes != self._automatic)
        now, before = codes.ravel()[here], self._automatic.ravel()[here]
        lobes = (lobes_of(now), lobes_of(before))
        moved = lobes[0] != lobes[1]
        without = (sides_of(now) > 0) & (lobes[0] == 0) & (lobes[1] > 0)
        return CorrectedMasks(
            codes,
            table,
            frozenset(Lobe(n) for n in np.unique(np.concatenate([both[moved] for both in lobes])).tolist() if n),
            int(np.count_nonzero((opacities_of(now) > 0) & (sides_of(now) == 0))),
            int(np.count_nonzero(without)),
        )

    def _grow(self, box: Box) -> None:
        """Make room for ``box``."""
        old = self.box
        if any(part.start >= part.stop for part in box):
            return
        if old != EMPTY_BOX:
            box = tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(box, old, strict=True))
        if box == old:
            return
        inner = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(old, box, strict=True))
        for name in ("_parts", "_codes", "_automatic"):
            before = getattr(self, name)
            grown = np.zeros(tuple(part.stop - part.start for part in box), dtype=before.dtype)
            if before.size:
                grown[inner] = before
            setattr(self, name, grown)
        self.box = box
        self._states.clear()

    def _follow_slice(self, n: int, now: NDArray[np.uint16]) -> None:
        """One slice of the box; one that has been in this state before means again what it meant then (undo)."""
        states = self._states.setdefault(n, {})
        _remember(states, self._parts[n], self._codes[n])
        known = states.get(_digest(now))
        if known is not None:
            self._codes[n] = np.frombuffer(zlib.decompress(known), dtype=np.uint8).reshape(now.shape)
        elif np.array_equal(now, parts_of(self._automatic[n])):
            self._codes[n] = self._automatic[n]
        else:
            here = now != self._parts[n]
            self._codes[n][here] = follow_edit(self._codes[n][here], self._parts[n][here], now[here])
        self._parts[n] = now

    def _count(self, slices: range | list[int]) -> None:
        for n in slices:
            self._table[self.box[0].start + n] = tally(self._codes[n : n + 1])[0]

    def _tallied(self, codes: NDArray[np.uint8]) -> NDArray[np.int64]:
        table = np.zeros_like(self._table)
        table[self.box[0]] = tally(codes)
        return table

    def _slice_difference(self, n: int) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        plain = codes_of(self._parts[n])
        here = (plain != self._automatic[n]) | (plain != self._codes[n])
        rows, columns = np.nonzero(here)
        k, j, i = (part.start for part in self.box)
        flat = ((k + n) * self.shape[1] + j + rows) * self.shape[2] + i + columns
        return flat, self._parts[n][here], self._automatic[n][here], self._codes[n][here]


_NOTHING = tuple(np.zeros(0, kind) for kind in (np.int64, np.uint16, np.uint8, np.uint8))


def _remember(states: dict[bytes, bytes], parts: NDArray[np.uint16], codes: NDArray[np.uint8]) -> None:
    states[_digest(parts)] = zlib.compress(codes.tobytes(), 1)
    while len(states) > REMEMBERED_STATES:
        del states[next(iter(states))]


def _digest(parts: NDArray[np.uint16]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(parts), digest_size=16).digest()
