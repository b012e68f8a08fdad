"""Corrected masks on their way to the program that draws their page."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Box, Lobe, triple

from .masks import CorrectedMasks
from .parts import CODES
from .rescoring import tally

FIELDS = ("codes", "start", "shape", "lobes", "left_out")
"""Arrays of the file."""


@dataclass(frozen=True, eq=False)
class StoredCorrections:
    """Corrected masks of a CT.

    Parameters
    ----------
    masks : CorrectedMasks
        Their codes are those of ``box``.
    box : Box
        Part of the CT that holds all masks.
    shape : tuple of int
        Of the CT, (K, J, I).
    """

    masks: CorrectedMasks
    box: Box
    shape: tuple[int, int, int]

    def codes(self) -> NDArray[np.uint8]:
        """(K, J, I) codes of the whole CT."""
        codes = np.zeros(self.shape, dtype=np.uint8)
        codes[self.box] = self.masks.codes
        return codes

    def write(self, path: Path) -> None:
        """Write the file, uncompressed: it is read once, on this machine."""
        np.savez(
            path,
            codes=self.masks.codes,
            start=[part.start for part in self.box],
            shape=self.shape,
            lobes=sorted(int(lobe) for lobe in self.masks.lobes),
            left_out=[self.masks.opacity_outside_voxels, self.masks.lung_without_lobe_voxels],
        )

    @classmethod
    def read(cls, path: Path) -> StoredCorrections:
        """Read what :meth:`write` wrote.

        Raises
        ------
        InputError
            It is another file, or damaged.
        """
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                codes, start, shape, lobes, left_out = (file[name] for name in FIELDS)
            return cls._checked(codes, start.tolist(), shape.tolist(), lobes.tolist(), left_out.tolist())
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{path.name} does not hold corrected masks ({error})") from error

    @classmethod
    def _checked(
        cls, codes: NDArray[np.uint8], start: list[int], shape: list[int], lobes: list[int], left_out: list[int]
    ) -> StoredCorrections:
        if codes.dtype != np.uint8 or codes.ndim != 3 or (codes.size and int(codes.max()) >= CODES):
            raise ValueError(f"codes are {codes.ndim}-dimensional {codes.dtype}; (K, J, I) uint8 below {CODES} needed")
        box = triple(slice(int(n), int(n) + size) for n, size in zip(start, codes.shape, strict=True))
        whole = triple(int(n) for n in shape)
        if any(part.start < 0 or part.stop > size for part, size in zip(box, whole, strict=True)):
            raise ValueError(f"codes at {start} leave the CT of {shape} voxels (K, J, I)")
        table = np.zeros((whole[0], CODES), dtype=np.int64)
        table[box[0]] = tally(codes)
        outside, without = left_out
        return cls(CorrectedMasks(codes, table, frozenset(Lobe(n) for n in lobes), outside, without), box, whole)
