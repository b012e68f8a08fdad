"""Which of several volumes is read. Without pydicom, which takes 0.1 s to load and which images do not need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Choice:
    """Which volume the caller wants: by SeriesInstanceUID, by its number in the list, or by one of its files."""

    series_uid: str | None = None
    number: int | None = None
    file: Path | None = None
