"""What ``report.json`` and ``classification.json`` have in common."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from CovidSeverityLib.types import CtVolume, QualityNote

from .tables import rounded

SCHEMA_VERSION = 1
RESEARCH_USE = "Not a medical device; for research use only, never for diagnosis or treatment decisions."

SECONDS_DECIMALS = 3
SPACING_DECIMALS = 6


def input_fields(volume: CtVolume) -> dict[str, Any]:
    """The CT; sizes and spacings in (I, J, K) order."""
    return {
        "name": PurePath(volume.name).name,
        "size": list(volume.geometry.size),
        "spacing_mm": [rounded(mm, SPACING_DECIMALS) for mm in volume.geometry.spacing_mm],
        "slices": len(volume.acquired),
        "interpolated_slices": volume.acquired.count(False),
        "hu_range": [int(volume.hu.min()), int(volume.hu.max())],
    }


def note_fields(note: QualityNote) -> dict[str, str]:
    """A quality note."""
    return {"code": note.code, "severity": note.severity.value, "message": note.message}
