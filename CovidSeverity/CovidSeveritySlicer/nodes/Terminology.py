"""The codes of segments, and the list of codes that Slicer lacks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
import vtk

from CovidSeverityLib.reporting.segmentation import OPACITY_CONTEXT, OPACITY_TYPES

TERMINOLOGY_FILE = Path(__file__).parents[2] / "Resources" / "Terminologies" / "CovidSeverity.term.json"
"""Ground glass and consolidation, which none of Slicer's own lists holds."""

Code = tuple[str, str]
"""Coding scheme and value."""

NO_CODE: Code = ("", "")

OPACITY_CODES: frozenset[Code] = frozenset((scheme, value) for scheme, value, meaning in OPACITY_TYPES.values())
"""Ground glass and consolidation."""


@dataclass(frozen=True)
class SegmentCodes:
    """What a segment is said to be: its type and, where there is one, its modifier (a side)."""

    type: Code
    modifier: Code = NO_CODE


def registerTerminology() -> None:
    """Make the module's list known to the Terminologies module; a second call changes nothing.

    Without it the codes of a segmentation are kept all the same, but the Segment Editor offers no other of the list.
    """
    logic = slicer.modules.terminologies.logic()
    names = vtk.vtkStringArray()
    logic.GetLoadedTerminologyNames(names)
    if OPACITY_CONTEXT not in [names.GetValue(n) for n in range(names.GetNumberOfValues())]:
        logic.LoadTerminologyFromFile(str(TERMINOLOGY_FILE))


def codesOf(segment: Any) -> SegmentCodes | None:
    """The codes of a segment; None where it has none that can be read.

    Parameters
    ----------
    segment : vtkSegment.
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
    """The identifiers of all segments that are coded as ground glass or consolidation.

    Parameters
    ----------
    segmentation : vtkSegmentation.
    """
    codes = {name: codesOf(segmentation.GetSegment(name)) for name in segmentation.GetSegmentIDs()}
    return [name for name, found in codes.items() if found is not None and found.type in OPACITY_CODES]


def _code(entry: Any) -> Code:
    if entry is None:
        return NO_CODE
    return entry.GetCodingSchemeDesignator() or "", entry.GetCodeValue() or ""
