"""Common parts of ``report.json`` and ``classification.json``."""

from __future__ import annotations

import dataclasses
from pathlib import PurePath
from typing import Any

from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.types import QualityNote

from .tables import rounded

SCHEMA_VERSION = 1
RESEARCH_USE = "Not a medical device; for research use only, never for diagnosis or treatment decisions."

SECONDS_DECIMALS = 3
SPACING_DECIMALS = 6


def input_fields(volume: CtVolume) -> dict[str, Any]:
    """The CT. Sizes and spacings are in (I, J, K) order, the stored axes in (K, J, I) order."""
    return {
        "name": PurePath(volume.name).name,
        "size": list(volume.geometry.size),
        "spacing_mm": [rounded(mm, SPACING_DECIMALS) for mm in volume.geometry.spacing_mm],
        "slices": len(volume.acquired),
        "interpolated_slices": volume.acquired.count(False),
        "hu_range": [int(volume.hu.min()), int(volume.hu.max())],
        "storage": {"axes": list(volume.storage.axes), "flipped": list(volume.storage.flipped)},
        "hounsfield_change": dataclasses.asdict(volume.hounsfield_change),
    }


def note_fields(note: QualityNote) -> dict[str, str]:
    """A quality note."""
    return {"code": note.code, "severity": note.severity.value, "message": note.message}
