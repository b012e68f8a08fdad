"""Which segment is which lung, lobe or opacity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from CovidSeverityLib.correction.parts import Part
from CovidSeverityLib.reporting.segmentation import OPACITY_TYPES
from CovidSeverityLib.types import Opacity

from .Masks import UNSPECIFIC_CODES, findMasks
from .Terminology import Code, codesOf

LUNGS: Mapping[str, Part] = {"right": Part.RIGHT_LUNG, "left": Part.LEFT_LUNG}
OPACITIES: Mapping[Code, Part] = {
    OPACITY_TYPES[Opacity.GROUND_GLASS][:2]: Part.GROUND_GLASS,
    OPACITY_TYPES[Opacity.CONSOLIDATION][:2]: Part.CONSOLIDATION,
}
IDENTIFIERS: Mapping[str, Part] = {
    "right_lung": Part.RIGHT_LUNG,
    "left_lung": Part.LEFT_LUNG,
    **{name: Part[name] for name in ("RUL", "RML", "RLL", "LUL", "LLL")},
    "ground_glass_opacity": Part.GROUND_GLASS,
    "consolidation": Part.CONSOLIDATION,
}
"""Segment identifiers of an analysis."""


def segmentParts(segmentationNode: Any) -> dict[str, Part]:
    """Parts by segment identifier. Other segments are left out; several segments may be the same part.

    Codes count first, so that a segment may be renamed, or deleted and made again. A segment without a specific code
    is recognised by its name or its identifier.

    Parameters
    ----------
    segmentationNode : any
        VtkMRMLSegmentationNode.
    """
    found = findMasks(segmentationNode)
    parts = {name: LUNGS[side] for side, names in found.lungs.items() for name in names}
    parts |= {name: Part[lobe] for lobe, names in found.lobes.items() for name in names}
    segmentation = segmentationNode.GetSegmentation()
    for identifier in segmentation.GetSegmentIDs():
        codes = codesOf(segmentation.GetSegment(identifier))
        if codes is not None and codes.type in OPACITIES:
            parts[identifier] = OPACITIES[codes.type]
        elif (codes is None or codes.type in UNSPECIFIC_CODES) and identifier in IDENTIFIERS:
            parts.setdefault(identifier, IDENTIFIERS[identifier])
    return parts
