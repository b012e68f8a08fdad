"""The nodes of a result: what they hold, how they hang together, and that they come as a whole or not at all."""

from __future__ import annotations

import gzip
import json
import shutil

import numpy as np
import pytest

from CovidSeverityLib.reporting.palette import LOBE_COLOURS, OPACITY_COLOURS
from CovidSeverityLib.reporting.report import build_report
from CovidSeverityLib.types import LOBE_NAMES, Lobe, Opacity

pytest.importorskip("slicer")

from CovidSeveritySlicer.scene import Hierarchy, Plots, SceneBridge
from CovidSeveritySlicer.scene.LargeText import putText, textOf
from CovidSeveritySlicer.scene.SceneBridge import (
    CORRECTED_TEXT,
    DIFFERENCE_TEXT,
    REPORT_TEXT,
    TABLE_ROLES,
    Outputs,
    UnusableResult,
    importResult,
    resultOf,
    setShownIn3d,
    studyForExport,
)
from CovidSeveritySlicer.scene.SegmentationFile import SEGMENT_LAYERS
from CovidSeveritySlicer.scene.Tables import sliceRows
from vtk.util.numpy_support import vtk_to_numpy

pytestmark = pytest.mark.usefixtures("no_vtk_errors")

NEW_CLASSES = {
    "vtkMRMLSegmentationNode": 1,
    "vtkMRMLSegmentationDisplayNode": 1,
    "vtkMRMLTableNode": 4,
    "vtkMRMLPlotChartNode": 2,
    "vtkMRMLPlotSeriesNode": 6 + 5,
    "vtkMRMLTextNode": 1,
}


@pytest.fixture
def analysis(factory):
    return factory.make_stored("oblique and flipped")


@pytest.fixture
def ct(analysis, ct_node):
    return ct_node(analysis.volume, name="DOE^JOHN 1954")


@pytest.fixture
def folder(analysis, result_folder):
    return result_folder(analysis)


@pytest.fixture
def result(folder, ct):
    return importResult(folder, ct)


def hierarchy_of(slicer):
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def counts(slicer):
    return {name: slicer.mrmlScene.GetNumberOfNodesByClass(name) for name in NEW_CLASSES}


def attributes_of(node):
    return {name: node.GetAttribute(name) for name in node.GetAttributeNames()}


def table_text(node):
    columns = range(node.GetNumberOfColumns())
    return [[node.GetColumnName(c), *(node.GetCellText(r, c) for r in range(node.GetNumberOfRows()))] for c in columns]


def state_of(slicer):
    """All that a user can see of a scene: nodes, names, attributes, references, segments, tables and hierarchy."""
    scene, hierarchy = slicer.mrmlScene, hierarchy_of(slicer)
    nodes = {}
    for node in (scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())):
        roles = [node.GetNthNodeReferenceRole(n) for n in range(node.GetNumberOfNodeReferenceRoles())]
        item = hierarchy.GetItemByDataNode(node)
        nodes[node.GetID()] = {
            "name": node.GetName(),
            "attributes": attributes_of(node),
            "references": {
                role: [node.GetNthNodeReferenceID(role, n) for n in range(node.GetNumberOfNodeReferences(role))]
                for role in roles
                if node.GetNumberOfNodeReferences(role)
            },
            "item": (item, hierarchy.GetItemParent(item)) if item else None,
            "table": table_text(node) if node.IsA("vtkMRMLTableNode") else None,
            "segments": node.GetSegmentation().GetSegmentIDs() if node.IsA("vtkMRMLSegmentationNode") else None,
            "shown": _shown(node) if node.IsA("vtkMRMLSegmentationDisplayNode") else None,
        }
    return nodes


def _shown(display):
    names = display.GetDisplayableNode().GetSegmentation().GetSegmentIDs() if display.GetDisplayableNode() else ()
    return [display.GetVisibility3D(), *(display.GetSegmentVisibility2DFill(name) for name in names)]


def test_one_segmentation_four_tables_and_two_charts_are_made(slicer, result):
    assert counts(slicer) == NEW_CLASSES
    assert result.segmentationNode.GetName() == "CovidSeverity segmentation"
    tables = (result.lobeTable, result.sliceTable, result.measurementTable, result.histogramTable)
    assert [table.GetName() for table in tables] == [
        "CovidSeverity lobes",
        "CovidSeverity slices",
        "CovidSeverity measurements",
        "CovidSeverity histogram",
    ]
    assert [chart.GetClassName() for chart in (result.involvementChart, result.histogramChart)] == [
        "vtkMRMLPlotChartNode"
    ] * 2


def test_segments_have_names_colours_codes_and_shared_layers(slicer, result):
    segmentation = result.segmentationNode.GetSegmentation()
    assert segmentation.GetSegmentIDs() == tuple(SEGMENT_LAYERS)
    names = [segmentation.GetSegment(name).GetName() for name in segmentation.GetSegmentIDs()]
    assert names == ["right lung", "left lung", *LOBE_NAMES.values(), "ground-glass opacity", "consolidation"]
    assert segmentation.GetSegment("LLL").GetColor() == pytest.approx(LOBE_COLOURS[Lobe.LLL])
    layers = {name: segmentation.GetLayerIndex(name, "Binary labelmap") for name in segmentation.GetSegmentIDs()}
    assert layers == SEGMENT_LAYERS
    assert not segmentation.ContainsRepresentation("Closed surface")


def test_the_ct_is_the_reference_volume_and_its_grid_the_reference_geometry(slicer, result, ct):
    node = result.segmentationNode
    assert result.volumeNode is ct
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is ct
    image = slicer.vtkOrientedImageData()
    text = node.GetSegmentation().GetConversionParameter("Reference image geometry")
    assert slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, image, False)
    assert image.GetDimensions() == ct.GetImageData().GetDimensions()
    assert image.GetOrigin() == pytest.approx(ct.GetOrigin())


def test_opacities_are_filled_lobes_outlined_and_lungs_hidden(result):
    display = result.segmentationNode.GetDisplayNode()
    for name in SEGMENT_LAYERS:
        opacity = name in ("ground_glass_opacity", "consolidation")
        assert display.GetSegmentVisibility2DFill(name) == opacity, name
        assert display.GetSegmentVisibility2DOutline(name), name
        assert display.GetSegmentVisibility(name) == (not name.endswith("lung")), name
    assert not display.GetVisibility3D()


def test_segments_are_those_that_slicers_own_reader_finds(slicer, result, folder):
    own = result.segmentationNode.GetSegmentation()
    read = slicer.util.loadSegmentation(str(folder / "segmentation.seg.nrrd")).GetSegmentation()
    assert own.GetSegmentIDs() == read.GetSegmentIDs()
    for name in own.GetSegmentIDs():
        mine, theirs = own.GetSegment(name), read.GetSegment(name)
        for property_of in ("GetName", "GetColor", "GetLabelValue", "GetTerminology", "GetNameAutoGenerated"):
            assert getattr(mine, property_of)() == getattr(theirs, property_of)(), (name, property_of)
        images = [segment.GetRepresentation("Binary labelmap") for segment in (mine, theirs)]
        assert images[0].GetExtent() == images[1].GetExtent()
        mine, theirs = (vtk_to_numpy(image.GetPointData().GetScalars()) for image in images)
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


def test_surfaces_are_made_when_they_are_asked_for(result):
    segmentation, display = result.segmentationNode.GetSegmentation(), result.segmentationNode.GetDisplayNode()
    setShownIn3d(result, True)
    assert segmentation.GetSegment("RUL").GetRepresentation("Closed surface").GetNumberOfPoints() > 0
    assert display.GetVisibility3D()
    setShownIn3d(result, False)
    assert not display.GetVisibility3D()
    assert not segmentation.ContainsRepresentation("Closed surface")
    assert segmentation.ContainsRepresentation("Binary labelmap")


def test_attributes_tell_how_the_result_was_made(result, analysis):
    attributes = attributes_of(result.segmentationNode)
    report = build_report(analysis)
    assert attributes["CovidSeverity.Version"] == "0.1.0"
    assert attributes["CovidSeverity.Profile"] == "default"
    assert attributes["CovidSeverity.CTSS"] == str(analysis.ctss)
    assert attributes["CovidSeverity.Severity"] == "mild"
    assert attributes["CovidSeverity.LungsFrom"] == "classical"
    assert attributes["CovidSeverity.LobesFrom"] == "geometric split"
    assert json.loads(textOf(result.segmentationNode, REPORT_TEXT))["infection"] == report["infection"]
    assert max(len(value) for value in attributes.values()) < 100
    assert {"CovidSeverity.CTSSRange", "CovidSeverity.Diagnosis", "CovidSeverity.Classifier"}.isdisjoint(attributes)


def test_range_diagnosis_and_classifier_are_attributes_where_they_are_known(factory, ct_node, result_folder):
    analysis = factory.make_diagnosed(ctss_range=(3, 9))
    node = importResult(result_folder(analysis), ct_node(analysis.volume)).segmentationNode
    assert node.GetAttribute("CovidSeverity.CTSSRange") == "3-9"
    assert node.GetAttribute("CovidSeverity.Diagnosis") == "COVID-19"
    assert node.GetAttribute("CovidSeverity.Classifier") == "net"


def test_neither_name_of_the_patient_nor_path_is_in_any_node(slicer, folder, ct, result):
    report = json.loads((folder / "report.json").read_text())
    assert report["input"]["name"] == "case01"
    assert result.report["input"]["name"] == "ct.nrrd"
    hierarchy = hierarchy_of(slicer)
    for identifier, node in state_of(slicer).items():
        if identifier == ct.GetID() or identifier == hierarchy.GetID():
            continue
        text = str(node)
        assert "DOE" not in text, identifier
        assert "case01" not in text, identifier
        assert str(folder.parent) not in text, identifier
        assert "/tmp" not in text, identifier


def put_into_study(slicer, node):
    hierarchy = hierarchy_of(slicer)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "patient")
    study = hierarchy.CreateStudyItem(patient, "study")
    hierarchy.CreateItem(study, node)
    return study


def test_all_nodes_stand_under_the_study_of_the_ct(slicer, folder, ct):
    study = put_into_study(slicer, ct)
    result, hierarchy = importResult(folder, ct), hierarchy_of(slicer)
    charts = (result.involvementChart, result.histogramChart)
    for node in (ct, result.segmentationNode, *(getattr(result, f"{n}Table") for n in ("lobe", "slice")), *charts):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study
    for chart in charts:
        for line in Plots.seriesOf(chart):
            assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(line)) == hierarchy.GetItemByDataNode(chart)
    assert studyForExport(result) == study


def test_without_a_study_the_nodes_stand_beside_the_ct_until_an_export_asks_for_one(slicer, result, ct):
    hierarchy = hierarchy_of(slicer)
    items = [hierarchy.GetItemByDataNode(node) for node in (ct, result.segmentationNode)]
    assert [hierarchy.GetItemParent(item) for item in items] == [hierarchy.GetSceneItemID()] * 2
    study = studyForExport(result)
    assert hierarchy.GetItemLevel(study) == "Study"
    assert hierarchy.GetItemLevel(hierarchy.GetItemParent(study)) == "Patient"
    assert [hierarchy.GetItemParent(item) for item in items] == [study] * 2
    assert studyForExport(result) == study


def test_an_export_needs_the_ct(slicer, result, ct):
    slicer.mrmlScene.RemoveNode(ct)
    with pytest.raises(ValueError, match="no longer in the scene"):
        studyForExport(resultOf(result.segmentationNode))


def test_two_analyses_in_a_row_give_two_results(slicer, factory, result, result_folder, ct):
    shorter = factory.make_stored("oblique and flipped", ctss_range=(1, 2))
    second = importResult(result_folder(shorter, "second"), ct)
    assert counts(slicer) == {name: 2 * n for name, n in NEW_CLASSES.items()}
    assert second.segmentationNode.GetName() != result.segmentationNode.GetName()
    first = resultOf(result.segmentationNode)
    assert first.sliceTable is result.sliceTable is not second.sliceTable
    assert (first.ctssRange, second.ctssRange) == (None, (1, 2))
    assert first.involvementChart is not second.involvementChart


def test_given_nodes_are_filled_again_and_nothing_is_added(slicer, factory, result, result_folder, ct):
    before = counts(slicer)
    for name in ("Corrected", "CTSSRange", "Diagnosis"):  # the first was an attribute in earlier versions
        result.segmentationNode.SetAttribute(f"CovidSeverity.{name}", "of the first result")
    for role in (CORRECTED_TEXT, DIFFERENCE_TEXT):
        putText(result.segmentationNode, role, "of the first result")
    result.segmentationNode.SetAttribute("Mine", "kept")
    healthy = factory.make_analysis(
        factory.make_chest((10, 24, 32), infected=False), factory.make_stored("oblique and flipped").volume
    )
    outputs = Outputs(result.segmentationNode, result.lobeTable, result.sliceTable, result.measurementTable)
    again = importResult(result_folder(healthy, "again"), ct, outputs)
    assert counts(slicer) == before
    for name in ("segmentationNode", "lobeTable", "sliceTable", "measurementTable", "histogramTable"):
        assert getattr(again, name) is getattr(result, name), name
    assert (again.involvementChart, again.histogramChart) == (result.involvementChart, result.histogramChart)
    assert again.ctss == 0 < result.ctss
    assert {row["infection_percent"] for row in sliceRows(again)} == {0.0}
    assert "of the first result" not in attributes_of(again.segmentationNode).values()
    assert [textOf(again.segmentationNode, role) for role in (CORRECTED_TEXT, DIFFERENCE_TEXT)] == [None, None]
    assert again.segmentationNode.GetAttribute("Mine") == "kept"
    assert again.segmentationNode.GetSegmentation().GetSegmentIDs() == tuple(SEGMENT_LAYERS)


def test_a_table_goes_from_one_result_to_the_next_with_its_chart(slicer, result, result_folder, factory, ct):
    second = importResult(
        result_folder(factory.make_stored("oblique and flipped"), "second"), ct, Outputs(sliceTable=result.sliceTable)
    )
    assert second.sliceTable is result.sliceTable
    assert second.involvementChart is result.involvementChart
    assert second.segmentationNode is not result.segmentationNode
    first = resultOf(result.segmentationNode)
    assert (first.sliceTable, first.involvementChart) == (None, None)
    assert first.lobeTable is result.lobeTable


def test_a_table_that_is_given_twice_is_filled_once(slicer, folder, ct):
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "one for all")
    result = importResult(folder, ct, Outputs(lobeTable=table, sliceTable=table, measurementTable=table))
    tables = {result.lobeTable.GetID(), result.sliceTable.GetID(), result.measurementTable.GetID()}
    assert result.lobeTable is table
    assert len(tables) == 3


def test_output_nodes_that_have_left_the_scene_are_made_anew(slicer, folder, ct):
    gone = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    slicer.mrmlScene.RemoveNode(gone)
    result = importResult(folder, ct, Outputs(segmentation=gone))
    assert result.segmentationNode is not gone
    assert result.segmentationNode.GetScene() is slicer.mrmlScene


def test_a_ct_that_has_left_the_scene_is_said_so(slicer, folder, ct):
    slicer.mrmlScene.RemoveNode(ct)
    with pytest.raises(UnusableResult, match="no longer in the scene"):
        importResult(folder, ct)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def old_schema(path):
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 7'))


def without_lobe(path):
    report = json.loads(path.read_text())
    del report["ctss"]["lobes"]["RML"]
    path.write_text(json.dumps(report))


def word_for_number(path):
    path.write_text(path.read_text().replace("\n0,", "\nzero,", 1))


def without_rows(path):
    path.write_text(path.read_text().splitlines()[0] + "\n")


def without_segment(path):
    path.write_bytes(path.read_bytes().replace(b"Segment4_ID:=RLL", b"Segment4_ID:=XXX"))


def without_colour(path):
    path.write_bytes(path.read_bytes().replace(b"Segment4_Color:=", b"Segment4_Paint:="))


def in_another_layer(path):
    path.write_bytes(path.read_bytes().replace(b"Segment4_Layer:=1", b"Segment4_Layer:=2"))


def without_grid(path):
    path.write_bytes(path.read_bytes().replace(b"space origin: ", b"# "))


def in_wider_numbers(path):
    path.write_bytes(path.read_bytes().replace(b"type: uint8", b"type: int16"))


def with_another_voxel(path):
    """One bit of a voxel, so that only the check sum can tell."""
    header, _, voxels = path.read_bytes().partition(b"\n\n")
    content = bytearray(gzip.decompress(voxels))
    content[len(content) // 2] ^= 1
    path.write_bytes(header + b"\n\n" + gzip.compress(bytes(content))[:-8] + voxels[-8:])


def with_more_voxels(path):
    header, _, voxels = path.read_bytes().partition(b"\n\n")
    path.write_bytes(header + b"\n\n" + gzip.compress(gzip.decompress(voxels) + b"\0"))


def with_fewer_voxels(path):
    header, _, voxels = path.read_bytes().partition(b"\n\n")
    path.write_bytes(header + b"\n\n" + gzip.compress(gzip.decompress(voxels)[:-1]))


BROKEN = [
    ("report.json", cut),
    ("report.json", old_schema),
    ("report.json", without_lobe),
    ("slices.csv", word_for_number),
    ("slices.csv", without_rows),
    ("slices.csv", cut),
    ("histogram.csv", without_rows),
    ("segmentation.seg.nrrd", without_segment),
    ("segmentation.seg.nrrd", cut),
    ("segmentation.seg.nrrd", without_colour),
    ("segmentation.seg.nrrd", in_another_layer),
    ("segmentation.seg.nrrd", without_grid),
    ("segmentation.seg.nrrd", in_wider_numbers),
    ("segmentation.seg.nrrd", with_another_voxel),
    ("segmentation.seg.nrrd", with_more_voxels),
    ("segmentation.seg.nrrd", with_fewer_voxels),
]


@pytest.mark.parametrize(("name", "damage"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_a_damaged_file_is_named_and_leaves_the_scene_as_it_was(slicer, folder, ct, name, damage):
    damage(folder / name)
    before = state_of(slicer)
    with pytest.raises(UnusableResult, match=name):
        importResult(folder, ct)
    assert state_of(slicer) == before


@pytest.mark.parametrize("name", ["report.json", "slices.csv", "histogram.csv", "segmentation.seg.nrrd"])
def test_a_missing_file_is_named_and_given_nodes_keep_their_content(slicer, result, folder, ct, tmp_path, name):
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / name).unlink()
    before = state_of(slicer)
    outputs = Outputs(result.segmentationNode, result.lobeTable, result.sliceTable, result.measurementTable)
    with pytest.raises(UnusableResult, match=name):
        importResult(broken, ct, outputs)
    assert state_of(slicer) == before


STEPS = [
    (SceneBridge.Tables, "fillHistogramTable"),
    (SceneBridge, "showAsResult"),
    (SceneBridge, "showHistogram"),
    (SceneBridge, "_setAttributes"),
    (SceneBridge, "_setTexts"),
    (SceneBridge, "placeWithCt"),
    (Hierarchy, "seriesOf"),
]


@pytest.mark.parametrize("given", [False, True], ids=["new nodes", "given nodes"])
@pytest.mark.parametrize(("module", "step"), STEPS, ids=[step for _module, step in STEPS])
def test_an_error_at_any_step_leaves_the_scene_as_it_was(
    slicer, factory, result, result_folder, ct, monkeypatch, module, step, given
):
    healthy = factory.make_analysis(
        factory.make_chest((10, 24, 32), infected=False), factory.make_stored("oblique and flipped").volume
    )
    broken = result_folder(healthy, "broken")
    given_nodes = Outputs(result.segmentationNode, result.lobeTable, result.sliceTable, result.measurementTable)
    setShownIn3d(result, True)
    result.segmentationNode.GetDisplayNode().SetSegmentVisibility2DFill("RUL", True)
    voxels = opacity_voxels(slicer, result)
    before, done = state_of(slicer), getattr(module, step)

    def fail(*arguments):
        done(*arguments)
        raise RuntimeError("stop here")

    monkeypatch.setattr(module, step, fail)
    with pytest.raises(RuntimeError, match="stop here"):
        importResult(broken, ct, given_nodes if given else Outputs())
    assert state_of(slicer) == before
    assert opacity_voxels(slicer, result) == voxels > 0
    assert resultOf(result.segmentationNode).report == result.report
    assert Plots.seriesOf(result.involvementChart)[0].GetTableNode() is result.sliceTable


def opacity_voxels(slicer, result):
    names = ("ground_glass_opacity", "consolidation")
    segmentation = result.segmentationNode.GetSegmentation()
    return sum(
        int(
            (
                slicer.util.arrayFromSegmentInternalBinaryLabelmap(result.segmentationNode, name)
                == segmentation.GetSegment(name).GetLabelValue()
            ).sum()
        )
        for name in names
    )


def test_a_saved_scene_holds_the_whole_result(slicer, result, analysis, tmp_path):
    report, rows = result.report, sliceRows(result)
    attributes, tables = attributes_of(result.segmentationNode), table_text(result.lobeTable)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    node = slicer.util.getNode("CovidSeverity segmentation")
    loaded = resultOf(node)
    assert loaded.report == report
    assert attributes_of(node) == attributes
    assert loaded.volumeNode.GetName() == "DOE^JOHN 1954"
    assert table_text(loaded.lobeTable) == tables
    assert sliceRows(loaded) == rows
    test_segments_have_names_colours_codes_and_shared_layers(slicer, loaded)
    test_opacities_are_filled_lobes_outlined_and_lungs_hidden(loaded)
    for chart, table in ((loaded.involvementChart, loaded.sliceTable), (loaded.histogramChart, loaded.histogramTable)):
        lines = Plots.seriesOf(chart)
        assert len(lines) >= 5
        assert all(line.GetTableNode() is table for line in lines)
    hierarchy = hierarchy_of(slicer)
    parents = {
        hierarchy.GetItemParent(hierarchy.GetItemByDataNode(n)) for n in (loaded.volumeNode, node, loaded.lobeTable)
    }
    assert len(parents) == 1
    assert opacity_voxels(slicer, loaded) == (analysis.infection > 0).sum()


@pytest.mark.parametrize("ending", ["mrml", "mrb"])
def test_large_texts_are_hidden_nodes_whose_text_is_in_the_scenes_own_file(slicer, result, tmp_path, ending):
    large = 'corrections, \u00e4 "quoted" & <tagged>\n' * 5000
    putText(result.segmentationNode, CORRECTED_TEXT, large)
    assert slicer.util.saveScene(str(tmp_path / f"scene.{ending}"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / f"scene.{ending}"))
    node = slicer.util.getNode("CovidSeverity segmentation")
    assert textOf(node, CORRECTED_TEXT) == large
    nodes = slicer.util.getNodesByClass("vtkMRMLTextNode")
    assert [(text.GetHideFromEditors(), text.GetStorageNode()) for text in nodes] == [(1, None)] * 2
    assert resultOf(node).report == result.report
    putText(node, CORRECTED_TEXT, None)
    assert textOf(node, CORRECTED_TEXT) is None
    assert len(slicer.util.getNodesByClass("vtkMRMLTextNode")) == 1


def test_the_report_of_an_earlier_version_is_read_from_its_attribute(result):
    node, text = result.segmentationNode, textOf(result.segmentationNode, REPORT_TEXT)
    putText(node, REPORT_TEXT, None)
    assert resultOf(node) is None
    node.SetAttribute(REPORT_TEXT, text)
    assert resultOf(node).report == result.report


def test_a_saved_segmentation_holds_names_colours_codes_and_layers(slicer, result, analysis, tmp_path):
    path = tmp_path / "saved.seg.nrrd"
    assert slicer.util.saveNode(result.segmentationNode, str(path))
    node = slicer.util.loadSegmentation(str(path))
    segmentation = node.GetSegmentation()
    assert segmentation.GetSegment("consolidation").GetColor() == pytest.approx(OPACITY_COLOURS[Opacity.CONSOLIDATION])
    layers = {name: segmentation.GetLayerIndex(name, "Binary labelmap") for name in segmentation.GetSegmentIDs()}
    assert layers == SEGMENT_LAYERS
    for name in SEGMENT_LAYERS:
        before, after = (n.GetSegmentation().GetSegment(name) for n in (result.segmentationNode, node))
        assert after.GetName() == before.GetName()
        assert after.GetTerminology() == before.GetTerminology()
    voxels = slicer.util.arrayFromSegmentInternalBinaryLabelmap(node, "LUL")
    label = segmentation.GetSegment("LUL").GetLabelValue()
    assert np.count_nonzero(voxels == label) == np.count_nonzero(analysis.lobes == Lobe.LUL)


@pytest.mark.parametrize("text", [None, "", "no json", "[]", '{"schema_version": 1}'])
def test_a_segmentation_without_a_whole_report_is_no_result(slicer, text):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    if text is not None:
        node.SetAttribute("CovidSeverity.Report", text)
    assert resultOf(node) is None
    assert resultOf(None) is None


def test_nodes_that_have_left_the_scene_are_none(slicer, result):
    for node in (result.volumeNode, result.sliceTable, result.histogramTable):
        slicer.mrmlScene.RemoveNode(node)
    found = resultOf(result.segmentationNode)
    assert (found.volumeNode, found.sliceTable, found.involvementChart, found.histogramChart) == (None,) * 4
    assert found.lobeTable is result.lobeTable
    assert sliceRows(found) == ()


def test_roles_link_the_segmentation_with_its_tables(result):
    tables = (result.lobeTable, result.sliceTable, result.measurementTable, result.histogramTable)
    linked = [result.segmentationNode.GetNodeReference(role) for role in TABLE_ROLES]
    assert linked == list(tables)
