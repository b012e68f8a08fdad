"""How a DICOM file stores its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class StoredPixels:
    """How a file stores its pixels.

    ``offset`` : bytes before the first pixel; None if the pixels are compressed. ``needs_clean_header`` : whether GDCM
    would interpret the header differently.
    """

    offset: int | None = None
    bits_allocated: int = 16
    bits_stored: int = 16
    high_bit: int = 15
    signed: bool = False
    needs_clean_header: bool = False

    @property
    def dtype(self) -> np.dtype | None:
        """Type of an uncompressed pixel; None for sizes that no CT has."""
        kind = f"<{'i' if self.signed else 'u'}{self.bits_allocated // 8}"
        return np.dtype(kind) if self.bits_allocated in (8, 16, 32) else None
