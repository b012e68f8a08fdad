"""How a DICOM file holds its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class StoredPixels:
    """How a file holds its pixels.

    ``offset`` : bytes before the first pixel; None where they are compressed. ``needs_clean_header`` : whether GDCM
    would take something else from the header.
    """

    offset: int | None = None
    bits_allocated: int = 16
    bits_stored: int = 16
    high_bit: int = 15
    signed: bool = False
    needs_clean_header: bool = False

    @property
    def dtype(self) -> np.dtype | None:
        """Of a pixel that is not compressed; None for sizes that no CT has."""
        kind = f"<{'i' if self.signed else 'u'}{self.bits_allocated // 8}"
        return np.dtype(kind) if self.bits_allocated in (8, 16, 32) else None
