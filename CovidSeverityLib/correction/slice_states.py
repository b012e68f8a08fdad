"""States of a slice of segments: how it was edited, where it differs from the automatic one, what it meant before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .parts import NO_PART, Part

REMEMBERED_STATES = 12
"""Earlier states of a slice that are known again: 3D Slicer can undo ten edits."""


@dataclass(frozen=True, eq=False)
class SliceEdit:
    """A slice that was edited: (J, I) which voxels, (N,) their segments before, and (J, I) all segments now."""

    voxels: NDArray[np.bool_]
    before: NDArray[np.uint16]
    now: NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class SliceDifference:
    """Voxels where the automatic codes, the codes, or what the segments say without history, differ.

    ``voxels`` are flat indices into the (J, I) of the box.
    """

    voxels: NDArray[np.int64]
    parts: NDArray[np.uint16]
    automatic: NDArray[np.uint8]
    codes: NDArray[np.uint8]

    @property
    def fields(self) -> tuple[NDArray, ...]:
        """All four."""
        return self.voxels, self.parts, self.automatic, self.codes


NO_DIFFERENCE = SliceDifference(*(np.zeros(0, kind) for kind in (np.int64, np.uint16, np.uint8, np.uint8)))


class SliceStates:
    """What the states of a slice meant, by a digest of its segments; what is automatic is never forgotten."""

    def __init__(self, now: bytes, automatic: bytes) -> None:
        self._now = now
        self._automatic = automatic
        self._known: dict[bytes, SliceDifference] = {}

    def change(self, left: SliceDifference, now: bytes) -> SliceDifference | None:
        """Go from a state that meant ``left`` to another; what that meant, or None where it is new."""
        self._known.pop(self._now, None)
        self._known[self._now] = left
        while len(self._known) > REMEMBERED_STATES:
            del self._known[next(iter(self._known))]
        self._now = now
        return self._known.get(now, NO_DIFFERENCE if now == self._automatic else None)


def brush_of(edits: Iterable[SliceEdit]) -> Part:
    """The part that appears in edits, where it is the only one."""
    gained = 0
    for edit in edits:
        gained |= int(np.bitwise_or.reduce(edit.now[edit.voxels] & ~edit.before))
    return Part(gained) if gained.bit_count() == 1 else NO_PART


def digest(parts: NDArray[np.uint16]) -> bytes:
    """What tells one state of a slice from every other."""
    return hashlib.sha1(np.ascontiguousarray(parts), usedforsecurity=False).digest()
