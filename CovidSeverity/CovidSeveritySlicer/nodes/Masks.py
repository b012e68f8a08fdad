"""Lungs and lobes in a segmentation of any module."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from CovidSeverityLib.types import Lobe, Side

from .Terminology import NO_CODE, Code, SegmentCodes, codesOf

# TotalSegmentator, LungCTSegmenter and MONAI Auto3DSeg write SNOMED CT codes of a lung or lobe with a side. Others use
# a code that has the side in it, or the SRT codes that SNOMED CT's replaced in DICOM (PS3.16, Annex O).
SIDE_CODES: Mapping[Code, Side] = {
    ("SCT", "24028007"): Side.RIGHT,
    ("SRT", "G-A100"): Side.RIGHT,
    ("SCT", "7771000"): Side.LEFT,
    ("SRT", "G-A101"): Side.LEFT,
}
BOTH_SIDES_CODES = frozenset({NO_CODE, ("SCT", "51440002"), ("SRT", "G-A102")})
LUNG_CODES = frozenset({("SCT", "39607008"), ("SRT", "T-28000")})
SIDED_LUNG_CODES: Mapping[Code, Side] = {("SCT", "3341006"): Side.RIGHT, ("SCT", "44029006"): Side.LEFT}
LOBE_CODES: Mapping[Code, Mapping[Side, Lobe]] = {
    ("SCT", "45653009"): {Side.RIGHT: Lobe.RUL, Side.LEFT: Lobe.LUL},
    ("SRT", "T-28820"): {Side.RIGHT: Lobe.RUL, Side.LEFT: Lobe.LUL},
    ("SCT", "90572001"): {Side.RIGHT: Lobe.RLL, Side.LEFT: Lobe.LLL},
    ("SRT", "T-28830"): {Side.RIGHT: Lobe.RLL, Side.LEFT: Lobe.LLL},
}
SIDED_LOBE_CODES: Mapping[Code, Lobe] = {
    ("SCT", "42400003"): Lobe.RUL,
    ("SCT", "72481006"): Lobe.RML,
    ("SRT", "T-28300"): Lobe.RML,
    ("SCT", "266005"): Lobe.RLL,
    ("SCT", "44714003"): Lobe.LUL,
    ("SRT", "T-28600"): Lobe.LUL,
    ("SCT", "41224006"): Lobe.LLL,
}

UNSPECIFIC_CODES = frozenset({("SCT", "85756007"), ("SRT", "T-D0050"), ("SCT", "123037004"), ("SRT", "T-D000A")})
"""Tissue, the default of a new segment, and anatomical structure. Such a segment is recognised by its name."""

_NAME_WORDS = frozenset(
    {"lung", "lungs", "lobe", "of", "the", "left", "right", "both", "upper", "superior", "middle", "lower", "inferior"}
)
"""Words of names such as ``lung_upper_lobe_left``, ``superior lobe of left lung`` and ``left upper lobe``. A segment
whose name has another word (vessels, nodules, ventral) is something else."""

_LEVELS = {"upper": "U", "superior": "U", "middle": "M", "lower": "L", "inferior": "L"}


@dataclass(frozen=True)
class FoundMasks:
    """Segment identifiers of lungs and lobes. Several segments of one kind belong together.

    Parameters
    ----------
    lungs : Mapping
        Identifiers by ``"right"`` and ``"left"``.
    lobes : Mapping
        Identifiers by name of the lobe (``"RUL"``).
    bothLungs : list of str
        Identifiers of segments that contain both lungs.
    """

    lungs: Mapping[str, list[str]] = field(default_factory=lambda: {side.name.lower(): [] for side in Side})
    lobes: Mapping[str, list[str]] = field(default_factory=lambda: {lobe.name: [] for lobe in Lobe})
    bothLungs: list[str] = field(default_factory=list)

    @property
    def completeLungs(self) -> bool:
        """Whether both lungs are there."""
        return bool(self.bothLungs) or all(self.lungs.values())

    @property
    def completeLobes(self) -> bool:
        """Whether all five lobes are there."""
        return all(self.lobes.values())


def findMasks(segmentationNode: Any) -> FoundMasks:
    """Lungs and lobes of a segmentation, by the codes of a segment or, if they are unspecific, by its name.

    Parameters
    ----------
    segmentationNode : any
        VtkMRMLSegmentationNode.
    """
    found = FoundMasks()
    segmentation = segmentationNode.GetSegmentation()
    for n in range(segmentation.GetNumberOfSegments()):
        identifier, segment = segmentation.GetNthSegmentID(n), segmentation.GetNthSegment(n)
        codes = codesOf(segment)
        byName = codes is None or codes.type in UNSPECIFIC_CODES
        part = _partOfName(segment.GetName()) if byName else _partOfCodes(codes)
        if isinstance(part, Lobe):
            found.lobes[part.name].append(identifier)
        elif isinstance(part, Side):
            found.lungs[part.name.lower()].append(identifier)
        elif part is not None:
            found.bothLungs.append(identifier)
    return found


_BOTH = "both lungs"


def _partOfCodes(codes: SegmentCodes) -> Lobe | Side | str | None:
    sided = SIDED_LUNG_CODES.get(codes.type) or SIDED_LOBE_CODES.get(codes.type)
    if sided is not None:
        return sided
    side = SIDE_CODES.get(codes.modifier)
    if codes.type in LOBE_CODES:
        return None if side is None else LOBE_CODES[codes.type][side]
    if codes.type not in LUNG_CODES:
        return None
    return _BOTH if codes.modifier in BOTH_SIDES_CODES else side


def _partOfName(name: str) -> Lobe | Side | str | None:
    words = set(re.findall(r"[a-z0-9]+", (name or "").lower()))
    if not words or words - _NAME_WORDS:
        return None
    sides = [side for side in Side if side.name.lower() in words]
    levels = {_LEVELS[word] for word in words & set(_LEVELS)}
    if "lobe" in words:
        return _lobeOf(levels, sides)
    if levels or not words & {"lung", "lungs"}:
        return None
    return sides[0] if len(sides) == 1 else _BOTH


def _lobeOf(levels: set[str], sides: list[Side]) -> Lobe | None:
    if levels == {"M"} and Side.LEFT not in sides:
        return Lobe.RML
    if len(levels) != 1 or len(sides) != 1:
        return None
    return Lobe.__members__.get(f"{sides[0].name[0]}{levels.pop()}L")
