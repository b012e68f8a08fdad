"""The list of codes that the module brings, as Slicer's Terminologies logic reads it."""

from __future__ import annotations

import json

import pytest

from CovidSeverityLib.reporting.palette import OPACITY_COLOURS
from CovidSeverityLib.reporting.segmentation import OPACITY_CONTEXT, OPACITY_NAMES, OPACITY_TYPES
from CovidSeverityLib.types import Opacity

pytest.importorskip("slicer")

from CovidSeveritySlicer.nodes.Terminology import (
    TERMINOLOGY_FILE,
    SegmentCodes,
    codesOf,
    opacityIDs,
    registerTerminology,
)
from CovidSeveritySlicer.scene.SceneBridge import importResult

pytestmark = pytest.mark.usefixtures("no_vtk_errors")


def loaded_names(slicer):
    import vtk

    names = vtk.vtkStringArray()
    slicer.modules.terminologies.logic().GetLoadedTerminologyNames(names)
    return [names.GetValue(n) for n in range(names.GetNumberOfValues())]


def entry_of(slicer, result, identifier):
    segment = result.segmentationNode.GetSegmentation().GetSegment(identifier)
    entry = slicer.vtkSlicerTerminologyEntry()
    logic = slicer.modules.terminologies.logic()
    assert logic.DeserializeTerminologyEntry(segment.GetTerminology(), entry)
    return entry


def test_the_list_is_registered_once(slicer):
    registerTerminology()
    registerTerminology()
    assert loaded_names(slicer).count(OPACITY_CONTEXT) == 1


def test_the_list_holds_what_a_segmentation_is_coded_with(slicer):
    content = json.loads(TERMINOLOGY_FILE.read_text(encoding="utf-8"))
    assert content["SegmentationCategoryTypeContextName"] == OPACITY_CONTEXT
    (category,) = content["SegmentationCodes"]["Category"]
    kinds = {kind["CodeValue"]: kind for kind in category["Type"]}
    assert len(kinds) == len(Opacity)
    for opacity, (scheme, value, meaning) in OPACITY_TYPES.items():
        assert (kinds[value]["CodingSchemeDesignator"], kinds[value]["CodeMeaning"]) == (scheme, meaning)
        assert kinds[value]["3dSlicerLabel"] == OPACITY_NAMES[opacity]
        shown = [round(255 * part) for part in OPACITY_COLOURS[opacity]]
        assert kinds[value]["recommendedDisplayRGBValue"] == shown


def test_a_result_brings_the_list_along(slicer, factory, ct_node, result_folder, monkeypatch):
    fresh = slicer.vtkSlicerTerminologiesModuleLogic()
    monkeypatch.setattr(slicer.modules.terminologies, "logic", lambda: fresh)
    assert OPACITY_CONTEXT not in loaded_names(slicer)
    analysis = factory.make_stored("as it is")
    importResult(result_folder(analysis), ct_node(analysis.volume))
    assert OPACITY_CONTEXT in loaded_names(slicer)


@pytest.mark.parametrize("opacity", Opacity)
def test_slicer_finds_each_opacity_of_a_result_in_the_list(slicer, factory, ct_node, result_folder, opacity):
    analysis = factory.make_stored("as it is")
    result = importResult(result_folder(analysis), ct_node(analysis.volume))
    logic = slicer.modules.terminologies.logic()
    identifier = OPACITY_NAMES[opacity].replace(" ", "_").replace("-", "_")
    entry, kind = entry_of(slicer, result, identifier), slicer.vtkSlicerTerminologyType()
    number = logic.GetNumberOfTypesInTerminologyCategory(OPACITY_CONTEXT, entry.GetCategoryObject())
    found = {}
    for n in range(number):
        assert logic.GetNthTypeInTerminologyCategory(OPACITY_CONTEXT, entry.GetCategoryObject(), n, kind)
        found[kind.GetCodeValue()] = (kind.GetSlicerLabel(), tuple(kind.GetRecommendedDisplayRGBValue()))
    colour = tuple(round(255 * part) for part in OPACITY_COLOURS[opacity])
    assert found[entry.GetTypeObject().GetCodeValue()] == (OPACITY_NAMES[opacity], colour)


def test_codes_of_a_result(factory, ct_node, result_folder):
    analysis = factory.make_stored("as it is")
    segmentation = importResult(result_folder(analysis), ct_node(analysis.volume)).segmentationNode.GetSegmentation()
    assert codesOf(segmentation.GetSegment("left_lung")) == SegmentCodes(("SCT", "39607008"), ("SCT", "7771000"))
    assert codesOf(segmentation.GetSegment("RML")) == SegmentCodes(("SCT", "72481006"))
    assert opacityIDs(segmentation) == ["ground_glass_opacity", "consolidation"]


@pytest.mark.parametrize("text", [None, "", "nonsense", "~~~~~~|"])
def test_a_segment_without_codes_has_none(slicer, no_vtk_errors, text):
    segment = slicer.vtkSegment()
    segment.RemoveTag(segment.GetTerminologyEntryTagName())
    if text is not None:
        segment.SetTag(segment.GetTerminologyEntryTagName(), text)
    assert codesOf(segment) is None
    no_vtk_errors.clear()  # of Slicer's reader of such texts
