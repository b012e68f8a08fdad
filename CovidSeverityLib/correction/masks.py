"""Masks under correction: what the segments held, what they hold now, and what that means."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import Lobe

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
    opacities_of,
    parts_of,
    sides_of,
)
from .rescoring import nearest_lobes, tally
from .slice_states import NO_DIFFERENCE, SliceDifference, SliceEdit, SliceStates, brush_of, digest

Box = tuple[slice, slice, slice]
"""Part of a (K, J, I) grid; starts and stops are whole numbers."""

Plane = Callable[[int, slice, slice], NDArray[np.uint16]]
"""``plane(k, rows, columns)``: bits of :class:`Part` in slice k of the CT, (J, I) uint16 of those rows and columns."""

EVERY_PART = Part(0b111111111)
EMPTY_BOX: Box = (slice(0, 0),) * 3


class EditedMasks:
    """Follows segments from edit to edit.

    It holds three arrays of the box that has ever held something: four bytes a voxel. An edit costs the reading of the
    segments and, beyond that, what the voxels that differ from the automatic masks cost.

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
        self._automatic_table = self._table.copy()
        self._there = self._erased = NO_PART
        self._differences: dict[int, SliceDifference] = {}
        self._states: dict[int, SliceStates] = {}

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
        self._table[self.box[0]] = tally(self._codes)
        self._automatic_table[...] = self._table
        self._there = self._parts_there()

    def follow(self, box: Box, plane: Plane, told: Part = EVERY_PART) -> bool:
        """Follow an edit and say whether anything changed.

        Parameters
        ----------
        box : that holds all segments.
        plane : as for :meth:`begin`.
        told : the parts that ``plane`` tells; the others are as they were.
        """
        self._grow(box)
        before = self._table.sum(axis=0)
        edits = self._edits(plane, np.uint16(EVERY_PART & ~told))
        known = {k: self._changed_state(k, edit.now) for k, edit in edits.items()}
        brush = brush_of(edit for k, edit in edits.items() if known[k] is None)
        for k, edit in edits.items():
            self._follow_slice(k, edit, known[k], brush)
        self._note_erased_parts(before)
        return bool(edits)

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
        for n in np.unique(here[0]).tolist():
            k = self.box[0].start + n
            self._table[k], self._automatic_table[k] = tally(np.stack([self._codes[n], self._automatic[n]]))
            self._find_difference(k, np.ones(self._codes[n].shape, dtype=bool))

    def difference(self) -> MaskDifference:
        """What :meth:`restore` needs."""
        found = self._gathered()
        k, j, i = self._in_box(found)
        flat = ((k + self.box[0].start) * self.shape[1] + j + self.box[1].start) * self.shape[2] + i + self.box[2].start
        return MaskDifference(flat, found.parts, found.automatic, self._kept[found.codes])

    @property
    def changed(self) -> bool:
        """Whether the masks are others than automatically."""
        kept = self._kept
        return any((kept[found.codes] != found.automatic).any() for found in self._differences.values())

    @property
    def lungs_changed(self) -> bool:
        """Whether the lungs are others than automatically."""
        kept = sides_of(self._kept)
        return any((kept[found.codes] != sides_of(found.automatic)).any() for found in self._differences.values())

    def lung_changes(self) -> tuple[tuple[NDArray[np.int64], ...], NDArray[np.int8]]:
        """Voxels that became lung or are no lung any more, against the automatic masks.

        Returns
        -------
        Three (N,) arrays of indices into the CT along K, J and I, and (N,) int8: 1 for lung that was added, -1 for lung
        that was taken away.
        """
        found = self._gathered()
        change = (sides_of(self._kept)[found.codes] > 0).astype(np.int8) - (sides_of(found.automatic) > 0)
        voxels = self._in_box(found)
        return tuple(n[change != 0] + cut.start for n, cut in zip(voxels, self.box, strict=True)), change[change != 0]

    def automatic_lung(self, k: int) -> NDArray[np.bool_]:
        """(J, I) automatic lung in slice k of the CT, in the rows and columns of the box."""
        return sides_of(self._automatic[k - self.box[0].start]) > 0

    def masks(self, automatic: bool = False) -> CorrectedMasks:
        """The masks as they are now, or as they were automatically.

        Lung that was added without a lobe belongs to the nearest lobe of its side. Where a lobe was erased, lung
        belongs to none until one is painted.
        """
        if automatic:
            return CorrectedMasks(self._automatic, self._automatic_table, frozenset(), 0, 0)
        found = self._gathered()
        now, before = self._with_lobes_of_added_lung(found), found.automatic
        codes, table = self._patched(found, now)
        lobe, lobe_before = lobes_of(now), lobes_of(before)
        moved = lobe != lobe_before
        outside = (opacities_of(now) > 0) & (sides_of(now) == 0) & (now != before)
        without = (sides_of(now) > 0) & (lobe == 0) & (lobe_before > 0)
        return CorrectedMasks(
            codes,
            table,
            frozenset(n for n in Lobe if (moved & ((lobe == n) | (lobe_before == n))).any()),
            int(np.count_nonzero(outside)),
            int(np.count_nonzero(without)),
        )

    def _edits(self, plane: Plane, others: np.uint16) -> dict[int, SliceEdit]:
        """The slices of the CT that were edited; bits of ``others`` are as they were."""
        first, rows, columns = self.box[0].start, *self.box[1:]
        edits = {}
        for k, before in enumerate(self._parts, first):
            now = plane(k, rows, columns)
            if others:
                now |= before & others
            voxels = now != before
            if voxels.any():
                edits[k] = SliceEdit(voxels, before[voxels], now)
        return edits

    def _changed_state(self, k: int, now: NDArray[np.uint16]) -> SliceDifference | None:
        """Note that a slice has come to another state; what that meant where it has been there before (undo)."""
        found = self._differences.get(k, NO_DIFFERENCE)
        if k not in self._states:
            n = k - self.box[0].start
            state = digest(self._parts[n])
            automatic = digest(parts_of(self._automatic[n])) if k in self._differences else state
            self._states[k] = SliceStates(state, automatic)
        return self._states[k].change(found, digest(now))

    def _follow_slice(self, k: int, edit: SliceEdit, known: SliceDifference | None, brush: Part) -> None:
        n = k - self.box[0].start
        codes, seen = self._codes[n], edit.voxels.copy()
        seen.ravel()[self._differences.get(k, NO_DIFFERENCE).voxels] = True
        if known is not None:
            seen.ravel()[known.voxels] = True
        before = codes[seen]
        if known is None:
            codes[edit.voxels] = follow_edit(codes[edit.voxels], edit.before, edit.now[edit.voxels], brush)
        else:
            codes[seen] = self._automatic[n][seen]
            codes.ravel()[known.voxels] = known.codes
        self._parts[n] = edit.now
        self._table[k] += np.bincount(codes[seen], minlength=CODES) - np.bincount(before, minlength=CODES)
        self._find_difference(k, seen)

    def _find_difference(self, k: int, seen: NDArray[np.bool_]) -> None:
        """Look at the voxels of a slice that are ``seen``; there are no others that differ."""
        n = k - self.box[0].start
        voxels = np.flatnonzero(seen)
        parts, automatic, codes = (array[n].ravel()[voxels] for array in (self._parts, self._automatic, self._codes))
        plain = codes_of(parts)
        differ = (plain != automatic) | (plain != codes)
        self._differences.pop(k, None)
        if differ.any():
            self._differences[k] = SliceDifference(voxels[differ], parts[differ], automatic[differ], codes[differ])

    def _note_erased_parts(self, before: NDArray[np.int64]) -> None:
        """A lung or a lobe of which nothing is left to be erased lies nowhere, not even where others overwrote it.

        Parameters
        ----------
        before : (CODES,) voxels of every code before the edit.
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

    @property
    def _kept(self) -> NDArray[np.uint8]:
        """(CODES,) every code without the parts that were erased as a whole."""
        return codes_of(parts_of(_EVERY_CODE) & ~np.uint16(self._erased))

    def _gathered(self) -> SliceDifference:
        """All differences; their voxels are flat indices into the box."""
        found = [(k - self.box[0].start, self._differences[k]) for k in sorted(self._differences)]
        plane = self._codes.shape[1] * self._codes.shape[2]
        voxels = [n * plane + one.voxels for n, one in found]
        others = ([getattr(one, name) for _, one in found] for name in ("parts", "automatic", "codes"))
        both = zip((voxels, *others), NO_DIFFERENCE.fields, strict=True)
        return SliceDifference(*(np.concatenate([nothing, *arrays]) for arrays, nothing in both))

    def _in_box(self, found: SliceDifference) -> tuple[NDArray[np.int64], ...]:
        """(K, J, I) indices of gathered voxels into the box."""
        _, height, width = self._codes.shape
        rest, i = np.divmod(found.voxels, max(width, 1))
        return (*np.divmod(rest, max(height, 1)), i)

    def _with_lobes_of_added_lung(self, found: SliceDifference) -> NDArray[np.uint8]:
        """Codes of gathered voxels with the nearest lobe where added lung lies in none of its side."""
        now = self._kept[found.codes]
        sides = sides_of(now)
        orphans = (sides > 0) & (sides != sides_of(found.automatic)) & (SIDES_OF_LOBES[lobes_of(now)] != sides)
        if orphans.any():
            voxels = tuple(n[orphans] for n in self._in_box(found))
            lobes = nearest_lobes(self._codes, voxels, sides[orphans])
            now[orphans] = combine(sides[orphans], lobes, opacities_of(now[orphans]))
        return now

    def _patched(self, found: SliceDifference, now: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Codes of the box and their table with ``now`` at the gathered voxels."""
        other = now != found.codes
        if not other.any():
            return self._codes, self._table
        codes = self._codes.copy()
        codes.ravel()[found.voxels[other]] = now[other]
        slices = found.voxels[other] // (codes.shape[1] * codes.shape[2]) + self.box[0].start
        gained, lost = (
            np.bincount(slices * CODES + which[other], minlength=self._table.size).reshape(self._table.shape)
            for which in (now, found.codes)
        )
        return codes, self._table + gained - lost

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
        for k in list(self._differences):
            self._find_difference(k, np.ones(self._codes.shape[1:], dtype=bool))


_EVERY_CODE = np.arange(CODES, dtype=np.uint8)
