"""Masks under correction: what the segments hold, what that means, and where it is not what was automatic."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import Box, Lobe, triple

from .masks import CorrectedMasks, MaskDifference
from .parts import (
    CODES,
    NO_PART,
    SIDES_OF_LOBES,
    Part,
    codes_of,
    combine,
    follow_edit,
    lobes_of,
    look_up,
    opacities_of,
    parts_of,
    sides_of,
)
from .rescoring import nearest_lobes, tally

EMPTY_BOX: Box = (slice(0, 0), slice(0, 0), slice(0, 0))

Plane = Callable[[int, slice, slice], NDArray[np.uint16]]
"""``plane(k, rows, columns)``: bits of :class:`Part` in slice k of the CT, (J, I) uint16 of those rows and columns."""

REMEMBERED_STATES = 12
"""Earlier states of a slice that are known again: 3D Slicer can undo ten edits."""

_EVERY_CODE = np.arange(CODES, dtype=np.uint8)


class EditedMasks:
    """Follows segments from edit to edit.

    It holds three arrays of the box that has ever held something: four bytes a voxel.

    Parameters
    ----------
    shape : tuple of int
        Of the CT, (K, J, I).
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self.box: Box = EMPTY_BOX
        self._parts: NDArray[np.uint16] = np.zeros((0, 0, 0), dtype=np.uint16)
        self._codes: NDArray[np.uint8] = np.zeros((0, 0, 0), dtype=np.uint8)
        self._automatic: NDArray[np.uint8] = self._codes
        self._table = np.zeros((shape[0], CODES), dtype=np.int64)
        self._there = self._erased = NO_PART
        self._states: dict[int, dict[bytes, tuple[NDArray[np.int64], NDArray[np.uint8]]]] = {}

    def begin(self, box: Box, plane: Plane) -> None:
        """Take the segments as they are for the automatic masks.

        Parameters
        ----------
        box : Box
            Holds all segments.
        plane : Plane
            Reads a slice of them.
        """
        self._grow(box)
        for n in range(len(self._parts)):
            self._parts[n] = plane(self.box[0].start + n, *self.box[1:])
        self._codes = codes_of(self._parts)
        self._automatic = self._codes.copy()
        self._table = self._tally(self._codes)
        self._there = self._parts_there()

    def follow(self, box: Box, plane: Plane) -> bool:
        """Follow an edit and say whether anything changed.

        Parameters
        ----------
        box : Box
            Holds all segments.
        plane : Plane
            As for :meth:`begin`.
        """
        self._grow(box)
        before = self._table.sum(axis=0)
        edits = self._edits(plane)
        recalled = {n: self._recalled(n, now) for n, now in edits.items()}
        brush = self._brush({n: now for n, now in edits.items() if recalled[n] is None})
        for n, now in edits.items():
            codes = recalled[n]
            if codes is None:
                codes, voxels = self._codes[n].copy(), now != self._parts[n]
                codes[voxels] = follow_edit(codes[voxels], self._parts[n][voxels], now[voxels], brush)
            self._parts[n], self._codes[n] = now, codes
            self._table[self.box[0].start + n] = np.bincount(codes.ravel(), minlength=CODES)
        self._note_erased_parts(before)
        return bool(edits)

    def restore(self, difference: MaskDifference) -> None:
        """Learn what the masks were before corrections that were made earlier (once, after :meth:`begin`).

        Raises
        ------
        ValueError
            If the difference is of other segments. Nothing has changed then.
        """
        if not difference.voxels.size:
            return
        if difference.voxels[0] < 0 or difference.voxels[-1] >= np.prod(self.shape):
            raise ValueError(f"the difference has voxels outside of {self.shape} (K, J, I)")
        indices = np.unravel_index(difference.voxels, self.shape)
        self._grow(triple(slice(int(n.min()), int(n.max()) + 1) for n in indices))
        here = tuple(n - part.start for n, part in zip(indices, self.box, strict=True))
        if not np.array_equal(self._parts[here], difference.parts):
            raise ValueError("the segments are not those that the difference was made for")
        self._automatic[here] = difference.automatic
        self._codes[here] = difference.codes
        self._table = self._tally(self._codes)

    def difference(self) -> MaskDifference:
        """What :meth:`restore` needs."""
        plain = codes_of(self._parts)
        differ = (plain != self._automatic) | (plain != self._codes)
        indices = tuple(n + part.start for n, part in zip(np.nonzero(differ), self.box, strict=True))
        voxels = np.asarray(np.ravel_multi_index(indices, self.shape))
        return MaskDifference(voxels, self._parts[differ], self._automatic[differ], self._without_erased()[differ])

    @property
    def changed(self) -> bool:
        """Whether the masks are others than automatically."""
        return not np.array_equal(self._without_erased(), self._automatic)

    @property
    def lungs_changed(self) -> bool:
        """Whether the lungs are others than automatically."""
        return not np.array_equal(sides_of(self._without_erased()), sides_of(self._automatic))

    @property
    def automatic(self) -> NDArray[np.uint8]:
        """(K, J, I) codes of the automatic masks in the box."""
        return self._automatic

    def tally_automatic(self) -> NDArray[np.int64]:
        """(K, CODES) voxels of every code of the automatic masks in every slice of the CT."""
        return self._tally(self._automatic)

    def masks(self) -> CorrectedMasks:
        """The masks as they are now.

        Lung that was added without a lobe belongs to the nearest lobe of its side. Where a lobe was erased, lung
        belongs to none until one is painted.
        """
        codes = self._without_erased()
        differ = codes != self._automatic
        found, before, table = codes[differ], self._automatic[differ], self._table
        now = self._with_nearest_lobes(found, differ)
        if now is not found:
            codes = codes.copy()
            codes[differ] = now
        if codes is not self._codes:
            table = self._tally(codes)
        lobe, lobe_before = lobes_of(now), lobes_of(before)
        moved = lobe != lobe_before
        outside = (opacities_of(now) > 0) & (sides_of(now) == 0)
        without = (sides_of(now) > 0) & (lobe == 0) & (lobe_before > 0)
        return CorrectedMasks(
            codes,
            table,
            frozenset(n for n in Lobe if (moved & ((lobe == n) | (lobe_before == n))).any()),
            int(np.count_nonzero(outside)),
            int(np.count_nonzero(without)),
        )

    def _edits(self, plane: Plane) -> dict[int, NDArray[np.uint16]]:
        """Slices of the box that were edited, and their parts now."""
        planes = ((n, plane(self.box[0].start + n, *self.box[1:])) for n in range(len(self._parts)))
        return {n: now for n, now in planes if not np.array_equal(now, self._parts[n])}

    def _recalled(self, n: int, now: NDArray[np.uint16]) -> NDArray[np.uint8] | None:
        """Note what slice n means, and tell what it meant when it was as it is ``now`` (undo); None where it is new.

        A state of a smaller box is never found again, because its digest is of fewer voxels.
        """
        states, automatic = self._states.setdefault(self.box[0].start + n, {}), self._automatic[n].ravel()
        left = _digest(self._parts[n])
        voxels = np.flatnonzero(self._codes[n] != self._automatic[n])
        states.pop(left, None)
        states[left] = voxels, self._codes[n].ravel()[voxels]
        if len(states) > REMEMBERED_STATES:
            del states[next((state for state, (voxels, _) in states.items() if voxels.size), left)]
        known = states.get(_digest(now))
        if known is None:
            return self._automatic[n] if np.array_equal(now, parts_of(self._automatic[n])) else None
        codes = automatic.copy()
        codes[known[0]] = known[1]
        return codes.reshape(now.shape)

    def _brush(self, edits: dict[int, NDArray[np.uint16]]) -> Part:
        """The part that appears in edits, where it is the only one."""
        gained = Part(0)
        for n, now in edits.items():
            gained |= Part(int(np.bitwise_or.reduce(now & ~self._parts[n], axis=None)))
        return gained if int(gained).bit_count() == 1 else NO_PART

    def _note_erased_parts(self, before: NDArray[np.int64]) -> None:
        """A lung or a lobe of which nothing is left to be erased lies nowhere, not even where others overwrote it.

        Parameters
        ----------
        before : (CODES,) ndarray of int64
            Voxels of every code before the edit.
        """
        there, after = self._parts_there(), self._table.sum(axis=0)
        for part in Part:
            own = (parts_of(_EVERY_CODE) & np.uint16(part)) != 0
            if part & self._there & ~there and after[own].sum() < before[own].sum():
                self._erased |= part
        self._there, self._erased = there, self._erased & ~there

    def _parts_there(self) -> Part:
        """Those that some voxel lies in."""
        return Part(int(np.bitwise_or.reduce(self._parts, axis=None)))

    def _without_erased(self) -> NDArray[np.uint8]:
        """Codes without the parts that were erased as a whole; the very array where there are none."""
        if not self._erased:
            return self._codes
        return look_up(codes_of(parts_of(_EVERY_CODE) & ~np.uint16(self._erased)), self._codes)

    def _with_nearest_lobes(self, now: NDArray[np.uint8], where: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Codes ``now`` of the voxels ``where``, with the nearest lobe where added lung lies in none of its side."""
        sides = sides_of(now)
        added = (sides > 0) & (sides != sides_of(self._automatic[where]))
        orphans = added & (SIDES_OF_LOBES[lobes_of(now)] != sides)
        if not orphans.any():
            return now
        now = now.copy()
        lobes = nearest_lobes(self._codes, tuple(n[orphans] for n in np.nonzero(where)), sides[orphans])
        now[orphans] = combine(sides[orphans], lobes, opacities_of(now[orphans]))
        return now

    def _tally(self, codes: NDArray[np.uint8]) -> NDArray[np.int64]:
        """(K, CODES) voxels of every code of the box, in every slice of the CT."""
        table = np.zeros((self.shape[0], CODES), dtype=np.int64)
        table[self.box[0]] = tally(codes)
        return table

    def _grow(self, box: Box) -> None:
        """Make room for ``box``."""
        if any(part.start >= part.stop for part in box):
            return
        old = triple(slice(part.start, part.start) for part in box) if self.box == EMPTY_BOX else self.box
        box = triple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(box, old, strict=True))
        if box == self.box:
            return
        margins = [(a.start - b.start, b.stop - a.stop) for a, b in zip(old, box, strict=True)]
        self._parts = np.pad(self._parts, margins)
        self._codes, self._automatic = np.pad(self._codes, margins), np.pad(self._automatic, margins)
        self.box = box


def _digest(parts: NDArray[np.uint16]) -> bytes:
    return hashlib.sha1(np.ascontiguousarray(parts).data, usedforsecurity=False).digest()
