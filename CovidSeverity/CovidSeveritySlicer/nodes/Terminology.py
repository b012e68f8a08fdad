"""Terminology codes of segments, and the terminology of the module."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
import vtk

from CovidSeverityLib.reporting.segmentation import OPACITY_CONTEXT, OPACITY_TYPES

TERMINOLOGY_FILE = Path(__file__).parents[2] / "Resources" / "Terminologies" / "CovidSeverity.term.json"
"""Ground glass and consolidation. Slicer's own terminologies have neither."""

Code = tuple[str, str]
"""Coding scheme and value."""

NO_CODE: Code = ("", "")

OPACITY_CODES: frozenset[Code] = frozenset((scheme, value) for scheme, value, meaning in OPACITY_TYPES.values())
"""Ground glass and consolidation."""


@dataclass(frozen=True)
class SegmentCodes:
    """Type of a segment and, if there is one, the modifier of the type (a side)."""

    type: Code
    modifier: Code = NO_CODE


def registerTerminology() -> None:
    """Load the module's terminology. A second call changes nothing.

    Without it a segmentation keeps its codes, but the Segment Editor does not offer them.
    """
    logic = slicer.modules.terminologies.logic()
    names = vtk.vtkStringArray()
    logic.GetLoadedTerminologyNames(names)
    if OPACITY_CONTEXT not in [names.GetValue(n) for n in range(names.GetNumberOfValues())]:
        logic.LoadTerminologyFromFile(str(TERMINOLOGY_FILE))


def codesOf(segment: Any) -> SegmentCodes | None:
    """Codes of a segment; None if it has none that can be read.

    Parameters
    ----------
    segment : any
        VtkSegment.
    """
    text = vtk.reference("")
    if not segment.GetTag(segment.GetTerminologyEntryTagName(), text) or not str(text):
        return None
    entry = slicer.vtkSlicerTerminologyEntry()
    if not slicer.modules.terminologies.logic().DeserializeTerminologyEntry(str(text), entry):
        return None
    kind = _code(entry.GetTypeObject())
    return None if kind == NO_CODE else SegmentCodes(kind, _code(entry.GetTypeModifierObject()))


def opacityIDs(segmentation: Any) -> list[str]:
    """Identifiers of all segments with the code of ground glass or consolidation.

    Parameters
    ----------
    segmentation : any
        VtkSegmentation.
    """
    codes = {name: codesOf(segmentation.GetSegment(name)) for name in segmentation.GetSegmentIDs()}
    return [name for name, found in codes.items() if found is not None and found.type in OPACITY_CODES]


def _code(entry: Any) -> Code:
    if entry is None:
        return NO_CODE
    return entry.GetCodingSchemeDesignator() or "", entry.GetCodeValue() or ""
