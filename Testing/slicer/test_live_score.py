"""Scores while a segmentation is being corrected, by Slicer's own Segment Editor logic on real segmentations."""

from __future__ import annotations

import json
import threading
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pytest

slicer_module = pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")

from CovidSeveritySlicer.corrections.AnalysisGrid import gridOf  # noqa: E402
from CovidSeveritySlicer.corrections.Corrected import UNSCORED_ATTRIBUTE  # noqa: E402
from CovidSeveritySlicer.corrections.LiveScore import LiveScore  # noqa: E402
from CovidSeveritySlicer.corrections.LiveScores import LiveScores  # noqa: E402
from CovidSeveritySlicer.corrections.ResultScorer import ResultScorer  # noqa: E402
from CovidSeveritySlicer.events.Background import Background  # noqa: E402
from CovidSeveritySlicer.scene.LargeText import putText, textOf  # noqa: E402
from CovidSeveritySlicer.scene.SceneBridge import (  # noqa: E402
    CORRECTED_TEXT,
    DIFFERENCE_TEXT,
    Outputs,
    importResult,
    resultOf,
)
from CovidSeveritySlicer.scene.Tables import automaticSliceRows, sliceRows  # noqa: E402
from vtk.util.numpy_support import vtk_to_numpy  # noqa: E402

from CovidSeverityLib import AnalysisConfig, analyze  # noqa: E402
from CovidSeverityLib.correction.edited_masks import EditedMasks  # noqa: E402
from CovidSeverityLib.correction.rescoring import ScoringRules, rescore  # noqa: E402
from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom  # noqa: E402
from CovidSeverityLib.features.quantification import well_aerated_voxels  # noqa: E402
from CovidSeverityLib.reporting.corrected import CORRECTED_KEYS, corrected_fields, corrected_rows  # noqa: E402
from CovidSeverityLib.reporting.report import write_report  # noqa: E402
from CovidSeverityLib.reporting.segmentation import write_segmentation  # noqa: E402
from CovidSeverityLib.reporting.tables import write_histogram, write_lobes, write_slices  # noqa: E402
from CovidSeverityLib.types import HounsfieldChange, Lobe, Opacity, Side  # noqa: E402

WAYS = ("as it is", "superior first", "flipped", "permuted", "oblique and flipped")
RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
GLASS, CONSOLIDATION, RIGHT = "ground_glass_opacity", "consolidation", "right_lung"


class ManualTimer:
    """A single-shot timer that the test lets expire."""

    def __init__(self, interval_ms, callback, singleShot=False):  # noqa: N803
        self.interval_ms, self.callback, self.single_shot = interval_ms, callback, singleShot
        self.running, self.starts = False, 0

    def start(self):
        self.running, self.starts = True, self.starts + 1

    def stop(self):
        self.running = False

    def expire(self):
        assert self.running
        self.running = not self.single_shot
        self.callback()


class AtOnce:
    """In place of a thread: what it would count is counted before the call returns."""

    running = False

    def run(self, function, then):
        future = Future()
        try:
            future.set_result(function())
        except Exception as error:
            future.set_exception(error)
        then(future)

    def finish(self):
        """Nothing to wait for."""

    def forget(self):
        """Nothing to forget."""


def write_files(analysis, folder):
    folder.mkdir(exist_ok=True)
    with (folder / "segmentation.seg.nrrd").open("wb") as file:
        write_segmentation(analysis, file)
    writers = {"report.json": write_report, "slices.csv": write_slices, "lobes.csv": write_lobes}
    for name, write in {**writers, "histogram.csv": write_histogram}.items():
        with (folder / name).open("w", encoding="utf-8", newline="\n") as file:
            write(analysis, file)
    return folder


class Case:
    """An analysis in the scene, followed, and the hands of a user on it."""

    def __init__(self, slicer, analysis, folder, stored_hu=None, transform=None):
        self.slicer, self.analysis = slicer, analysis
        hu = analysis.volume.storage.to_stored(analysis.volume.hu) if stored_hu is None else stored_hu
        matrix = RAS_FROM_LPS @ analysis.volume.stored_geometry.ijk_to_lps
        if transform is not None:
            matrix = np.linalg.inv(slicer.util.arrayFromTransformMatrix(transform)) @ matrix
        self.volume = slicer.util.addVolumeFromArray(np.ascontiguousarray(hu), ijkToRAS=matrix)
        if transform is not None:
            self.volume.SetAndObserveTransformNodeID(transform.GetID())
        self.result = importResult(write_files(analysis, folder), self.volume)
        self.listen()
        self.live.follow(self.result)

    def listen(self):
        self.live = LiveScore(self.make_timer, AtOnce())
        self.told, self.failures = [], []
        self.live.changed.connect(self.told.append)
        self.live.failed.connect(self.failures.append)

    def make_timer(self, *arguments, **names):
        self.timer = ManualTimer(*arguments, **names)
        return self.timer

    @property
    def node(self):
        return self.result.segmentationNode

    @property
    def segmentation(self):
        return self.node.GetSegmentation()

    def editor(self, overwrite=False):
        """Slicer's Segment Editor without its window; by default it overwrites all segments, as in Slicer."""
        parameters = self.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        parameters.SetOverwriteMode(parameters.OverwriteAllSegments if overwrite else parameters.OverwriteNone)
        logic = self.slicer.vtkSlicerSegmentEditorLogic()
        logic.SetMRMLScene(self.slicer.mrmlScene)
        logic.SetMRMLApplicationLogic(self.slicer.app.logic)
        logic.SetSegmentEditorNode(parameters)
        logic.SetSegmentationNode(self.node)
        logic.SetSourceVolumeNode(self.volume)
        history = self.slicer.vtkSegmentationHistory()
        history.SetSegmentation(self.segmentation)
        logic.SetSegmentationHistory(history)
        return logic

    def paint(self, segment, where, *, editor=None, erase=False, overwrite=False, beyond=False):
        """One stroke on (K, J, I) ``where``, and ``beyond`` the CT; scored only when the timer expires."""
        editor = editor or self.editor(overwrite)
        editor.SetCurrentSegmentID(segment)
        assert editor.ResetModifierLabelmapToDefault()
        brush = editor.GetModifierLabelmap()
        voxels = vtk_to_numpy(brush.GetPointData().GetScalars()).reshape(brush.GetDimensions()[::-1])
        stored, extent = self.analysis.volume.storage.to_stored(where), brush.GetExtent()
        voxels[...] = beyond
        voxels[tuple(slice(-first, n - first) for first, n in zip(extent[4::-2], stored.shape, strict=True))] = stored
        brush.Modified()
        editor.SaveStateForUndo()
        mode = editor.ModificationModeRemove if erase else editor.ModificationModeAdd
        editor.ModifySegmentByLabelmap(self.node, segment, brush, mode, False, False)

    def stroke(self, segment, where, **options):
        self.paint(segment, where, **options)
        self.timer.expire()

    def voxels(self, segment):
        """How many a segment holds."""
        image = self.slicer.vtkOrientedImageData()
        self.node.GetBinaryLabelmapRepresentation(segment, image)
        scalars = image.GetPointData().GetScalars()
        return 0 if scalars is None else int(np.count_nonzero(vtk_to_numpy(scalars)))

    def expected(self, **masks):
        """What the library says of the masks of the analysis, some replaced."""
        masks = {name: masks.get(name, getattr(self.analysis, name)) for name in ("lungs", "lobes", "infection")}
        rows = automaticSliceRows(self.result)
        aerated = well_aerated_voxels(self.analysis.volume.hu, masks["lungs"] > 0)
        rescored = rescore(**masks, rules=ScoringRules.of_report(self.result.report, rows), well_aerated=aerated)
        fields = corrected_fields(rescored)
        for lobe in Lobe:
            if not np.array_equal(masks["lobes"] == lobe, self.analysis.lobes == lobe):
                fields["ctss"]["lobes"][lobe.name]["confidence"] = None
        return fields, corrected_rows(rescored, rows)

    def assert_corrected(self, **masks):
        fields, rows = self.expected(**masks)
        found = self.live.corrected
        assert found is not None
        assert found.fields == fields
        assert found.rows == rows
        assert self.told[-1] is found
        assert not self.failures

    def assert_automatic(self):
        assert self.live.corrected is None
        assert textOf(self.node, CORRECTED_TEXT) is None
        assert [column_names(table) for table in self.tables] == self.automatic_columns
        assert sliceRows(self.result) == self.automatic_rows
        assert not self.failures

    @property
    def tables(self):
        return self.result.lobeTable, self.result.sliceTable, self.result.measurementTable

    def remember_tables(self):
        self.automatic_columns = [column_names(table) for table in self.tables]
        self.automatic_rows = sliceRows(self.result)
        return self


def column_names(table_node):
    table = table_node.GetTable()
    return [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())]


def column(table_node, name):
    values = table_node.GetTable().GetColumnByName(name)
    return [values.GetValue(n) for n in range(values.GetNumberOfValues())]


def block(mask, size=(1, 2, 2)):
    """A block in the middle of a (K, J, I) mask, cut to it."""
    middle = np.argwhere(mask)[np.count_nonzero(mask) // 2]
    cut = np.zeros_like(mask)
    cut[tuple(slice(max(0, n - s), n + s + 1) for n, s in zip(middle, size, strict=True))] = True
    return cut & mask


@pytest.fixture
def make_case(slicer, factory, tmp_path):
    def make(way="as it is", **options):
        return Case(slicer, make_analysis(factory, way), tmp_path / "results", **options).remember_tables()

    return make


def make_analysis(factory, way="as it is"):
    """Of a small chest whose lobes are known to be somewhat sure."""
    analysis = factory.make_stored(way)
    return replace(analysis, lobe_scores=tuple(replace(score, confidence=0.9) for score in analysis.lobe_scores))


@pytest.fixture
def case(make_case):
    return make_case()


@pytest.fixture
def healthy(case):
    """A block of the RUL without opacity."""
    return block((case.analysis.lobes == Lobe.RUL) & (case.analysis.infection == 0))


# What is followed


def test_nothing_edited_tells_nothing(case):
    assert case.told == case.failures == []
    case.assert_automatic()
    assert textOf(case.node, DIFFERENCE_TEXT) is None


@pytest.mark.parametrize("way", WAYS)
def test_painted_opacity_is_scored_where_it_was_painted(make_case, way):
    case = make_case(way)
    assert case.live.corrected is None
    spot = block((case.analysis.lobes == Lobe.RML) & (case.analysis.infection == 0))
    case.stroke(CONSOLIDATION, spot)
    infection = np.where(spot, np.uint8(Opacity.CONSOLIDATION), case.analysis.infection)
    case.assert_corrected(infection=infection)
    assert case.live.corrected.fields["ctss"]["lobes"]["RML"]["score"] > 0


def test_score_waits_until_no_edit_follows(case, healthy):
    assert (case.timer.single_shot, case.timer.running) == (True, False)
    assert case.timer.interval_ms <= 500
    editor = case.editor()
    for plane in range(3):
        part = healthy & (np.arange(len(healthy)) == np.flatnonzero(healthy.any(axis=(1, 2)))[plane])[:, None, None]
        case.paint(GLASS, part, editor=editor)
    assert case.timer.starts >= 3
    assert case.told == []
    case.timer.expire()
    assert len(case.told) == 1
    case.assert_corrected(infection=np.where(healthy, np.uint8(Opacity.GROUND_GLASS), case.analysis.infection))


def test_erased_opacity_is_scored(case):
    rll = (case.analysis.lobes == Lobe.RLL) & (case.analysis.infection == Opacity.GROUND_GLASS)
    case.stroke(GLASS, rll, erase=True)
    case.assert_corrected(infection=np.where(rll, np.uint8(0), case.analysis.infection))


def test_corrected_lobe_is_scored_and_no_more_sure(case):
    border = block(case.analysis.lobes == Lobe.LLL, (4, 8, 8))
    lobes = np.where(border, np.uint8(Lobe.LUL), case.analysis.lobes)
    case.stroke("LUL", border)
    case.assert_corrected(lobes=lobes)
    sure = {name: lobe["confidence"] for name, lobe in case.live.corrected.fields["ctss"]["lobes"].items()}
    assert sure == {"RUL": 0.9, "RML": 0.9, "RLL": 0.9, "LUL": None, "LLL": None}
    assert case.live.corrected.fields["lungs"] == case.result.report["lungs"]


def test_corrected_lung_is_scored_with_its_aeration(case):
    lower = case.analysis.lobes == Lobe.RLL
    case.stroke(RIGHT, lower, erase=True)
    case.assert_corrected(lungs=np.where(lower, np.uint8(0), case.analysis.lungs))
    aerated = case.live.corrected.fields["well_aerated_percent"]
    assert aerated != case.result.report["well_aerated_percent"]
    sick = lower & (case.analysis.infection > 0)
    voxel_ml = case.analysis.volume.geometry.voxel_ml
    assert case.live.corrected.opacityOutsideLungsMl == pytest.approx(np.count_nonzero(sick) * voxel_ml, abs=0.005)


@pytest.mark.parametrize("shift", [0, 1024])
def test_aeration_is_that_of_hounsfield_units_whatever_the_scene_holds(slicer, factory, tmp_path, shift):
    """Also where it holds fractions, which the library rounds: -950.6 is -951 and not well aerated."""
    chest = factory.make_chest((10, 24, 32))
    chest.hu[:, ::2][chest.lungs[:, ::2] > 0] = -951
    volume = replace(factory.make_volume(chest.hu), hounsfield_change=HounsfieldChange(1.0, shift))
    analysis = factory.make_analysis(chest, volume)
    stored = analysis.volume.hu.astype(np.float32) + shift + np.float32(0.4)
    case = Case(slicer, analysis, tmp_path / "results", stored_hu=stored)
    lower = analysis.lobes == Lobe.RLL
    case.stroke(RIGHT, lower, erase=True)
    case.assert_corrected(lungs=np.where(lower, np.uint8(0), analysis.lungs))


def test_aeration_is_not_known_when_the_ct_has_left(case):
    case.slicer.mrmlScene.RemoveNode(case.volume)
    lower = case.analysis.lobes == Lobe.RLL
    editor = case.editor()
    editor.SetSourceVolumeNode(None)
    case.stroke(RIGHT, lower, erase=True, editor=editor)
    fields, rows = case.expected(lungs=np.where(lower, np.uint8(0), case.analysis.lungs))
    assert case.live.corrected.fields == {**fields, "well_aerated_percent": None}
    assert case.live.corrected.rows == rows


def test_result_is_followed_after_its_ct_has_left(case, healthy):
    case.slicer.mrmlScene.RemoveNode(case.volume)
    case.live.follow(case.result)
    editor = case.editor()
    editor.SetSourceVolumeNode(None)
    case.stroke(GLASS, healthy, editor=editor)
    case.assert_corrected(infection=np.where(healthy, np.uint8(Opacity.GROUND_GLASS), case.analysis.infection))


def test_aeration_is_not_known_when_the_ct_was_replaced_by_one_of_another_size(case):
    lower = case.analysis.lobes == Lobe.RLL
    case.paint(RIGHT, lower, erase=True)
    values = case.slicer.util.arrayFromVolume(case.volume)
    case.slicer.util.updateVolumeFromArray(case.volume, np.concatenate([values, values[:1]]))
    case.timer.expire()
    assert case.live.corrected.fields["well_aerated_percent"] is None


def test_aeration_stays_the_automatic_one_when_only_opacity_changes(case, healthy):
    case.slicer.mrmlScene.RemoveNode(case.volume)
    editor = case.editor()
    editor.SetSourceVolumeNode(None)
    case.stroke(GLASS, healthy, editor=editor)
    found = case.live.corrected.fields["well_aerated_percent"]
    assert found == case.result.report["well_aerated_percent"]


def test_low_attenuation_is_kept_unless_lungs_or_lobes_change(case, healthy):
    automatic = case.result.report["low_attenuation"]
    case.stroke(GLASS, healthy)
    assert case.live.corrected.lowAttenuation == automatic
    assert json.loads(textOf(case.result.segmentationNode, CORRECTED_TEXT))["low_attenuation"] == automatic
    case.stroke(RIGHT, case.analysis.lobes == Lobe.RLL, erase=True)
    assert case.live.corrected.lowAttenuation is None


def test_lobe_that_is_erased_is_told(case, healthy):
    case.stroke("RUL", healthy, erase=True)
    case.assert_corrected(lobes=np.where(healthy, np.uint8(0), case.analysis.lobes))
    ml = np.count_nonzero(healthy) * case.analysis.volume.geometry.voxel_ml
    assert case.live.corrected.lungWithoutLobeMl == pytest.approx(ml, abs=0.005)


def test_infection_outside_the_lungs_is_told_and_not_counted(case):
    outside = block(case.analysis.lungs == 0)
    case.stroke(GLASS, outside)
    found = case.live.corrected
    assert found.fields["infection"] == case.result.report["infection"]
    ml = np.count_nonzero(outside) * case.analysis.volume.geometry.voxel_ml
    assert found.opacityOutsideLungsMl == pytest.approx(ml, abs=0.005)


# The Segment Editor's ways


def test_opacity_that_overwrites_lung_and_lobe_lies_in_them(case, healthy):
    before = case.voxels(RIGHT), case.voxels("RUL")
    case.stroke(GLASS, healthy, overwrite=True)
    assert (case.voxels(RIGHT), case.voxels("RUL")) == tuple(n - np.count_nonzero(healthy) for n in before)
    case.assert_corrected(infection=np.where(healthy, np.uint8(Opacity.GROUND_GLASS), case.analysis.infection))
    assert case.live.corrected.opacityOutsideLungsMl == 0


def test_opacity_that_runs_over_old_opacity_leaves_lung_and_lobe_there(case):
    lobe = case.analysis.lobes == Lobe.RLL
    case.stroke(GLASS, lobe, overwrite=True)
    case.assert_corrected(infection=np.where(lobe, np.uint8(Opacity.GROUND_GLASS), case.analysis.infection))
    assert case.live.corrected.fields["ctss"]["lobes"]["RLL"]["score"] == 5


def test_what_an_erased_opacity_had_overwritten_is_lung_still(case, healthy):
    editor = case.editor(overwrite=True)
    case.stroke(GLASS, healthy, editor=editor)
    case.stroke(GLASS, healthy, editor=editor, erase=True)
    assert case.told[-1] is None
    case.assert_automatic()


def test_opacity_that_overwrites_the_other_kind_replaces_it(case):
    glass = block(case.analysis.infection == Opacity.GROUND_GLASS)
    case.stroke(CONSOLIDATION, glass, overwrite=True)
    case.assert_corrected(infection=np.where(glass, np.uint8(Opacity.CONSOLIDATION), case.analysis.infection))


@pytest.mark.parametrize("overwrite", [False, True])
def test_undo_and_redo_are_followed(case, healthy, overwrite):
    editor = case.editor(overwrite)
    case.stroke(GLASS, healthy, editor=editor)
    case.stroke("RUL", healthy, editor=editor)
    editor.Undo()
    case.timer.expire()
    infection = np.where(healthy, np.uint8(Opacity.GROUND_GLASS), case.analysis.infection)
    case.assert_corrected(infection=infection)
    editor.Undo()
    case.timer.expire()
    assert case.told[-1] is None
    case.assert_automatic()
    editor.Redo()
    case.timer.expire()
    case.assert_corrected(infection=infection)


def test_segment_in_a_layer_of_its_own_is_read(case):
    """Where overlap is allowed, consolidation painted over ground glass needs another layer."""
    glass = block(case.analysis.infection == Opacity.GROUND_GLASS)
    case.stroke(CONSOLIDATION, glass)
    layers = [case.segmentation.GetLayerIndex(name, "Binary labelmap") for name in (GLASS, CONSOLIDATION)]
    assert layers[0] != layers[1]
    case.assert_corrected(infection=np.where(glass, np.uint8(Opacity.CONSOLIDATION), case.analysis.infection))
    case.stroke(CONSOLIDATION, glass, erase=True)
    case.assert_automatic()


def test_renamed_segment_is_the_same(case):
    case.segmentation.GetSegment(GLASS).SetName("my glass")
    case.timer.expire()
    assert case.told == []
    case.assert_automatic()


def test_recoded_segment_is_what_its_code_says(case):
    glass = case.segmentation.GetSegment(GLASS)
    glass.SetTerminology(case.segmentation.GetSegment(CONSOLIDATION).GetTerminology())
    case.timer.expire()
    infection = np.where(case.analysis.infection > 0, np.uint8(Opacity.CONSOLIDATION), np.uint8(0))
    case.assert_corrected(infection=infection)


def test_segment_with_the_code_of_something_else_is_no_opacity(case):
    glass = case.segmentation.GetSegment(GLASS)
    glass.SetTerminology(
        glass.GetTerminology().replace("1217294009", "4147007").replace("Ground glass lung opacity", "Mass")
    )
    case.timer.expire()
    here = case.analysis.infection == Opacity.GROUND_GLASS
    case.assert_corrected(infection=np.where(here, np.uint8(0), case.analysis.infection))


def test_segment_without_code_is_what_its_identifier_says(case):
    case.segmentation.GetSegment(GLASS).SetTerminology("")
    case.segmentation.GetSegment(GLASS).SetName("Segment_1")
    case.timer.expire()
    case.assert_automatic()


def test_deleted_segment_counts_no_more_until_it_is_made_again(case):
    code = case.segmentation.GetSegment(GLASS).GetTerminology()
    glass = case.analysis.infection == Opacity.GROUND_GLASS
    case.segmentation.RemoveSegment(GLASS)
    case.timer.expire()
    case.assert_corrected(infection=np.where(glass, np.uint8(0), case.analysis.infection))
    again = case.segmentation.AddEmptySegment("Segment_1", "Segment_1")
    case.segmentation.GetSegment(again).SetTerminology(code)
    case.stroke(again, glass)
    case.assert_automatic()


def test_second_segment_of_a_kind_is_counted_too(case, healthy):
    code = case.segmentation.GetSegment(GLASS).GetTerminology()
    other = case.segmentation.AddEmptySegment("more", "more")
    case.stroke(other, healthy)
    assert case.told == []
    case.segmentation.GetSegment(other).SetTerminology(code)
    case.timer.expire()
    case.assert_corrected(infection=np.where(healthy, np.uint8(Opacity.GROUND_GLASS), case.analysis.infection))


def test_other_segment_in_the_layer_of_the_lungs_is_not_counted(case):
    bone = case.segmentation.AddEmptySegment("bone", "bone")
    case.stroke(bone, block(case.analysis.lungs == 0))
    layers = {case.segmentation.GetLayerIndex(name, "Binary labelmap") for name in (bone, RIGHT)}
    assert len(layers) == 1
    assert (
        case.segmentation.GetSegment(bone).GetLabelValue() > case.segmentation.GetSegment("left_lung").GetLabelValue()
    )
    assert case.told == []
    case.assert_automatic()


def test_replaced_segmentation_is_followed(case, healthy):
    other = case.slicer.vtkSegmentation()
    other.DeepCopy(case.segmentation)
    case.node.SetAndObserveSegmentation(other)
    case.timer.expire()
    case.assert_automatic()
    case.stroke(GLASS, healthy)
    case.assert_corrected(infection=np.where(healthy, np.uint8(Opacity.GROUND_GLASS), case.analysis.infection))


def test_label_map_of_another_geometry_is_resampled(case, healthy):
    """Half the voxel size along every axis, as "Specify geometry" with oversampling leaves it."""
    slicer, node = case.slicer, case.node
    fine = slicer.vtkOrientedImageData()
    spacing = np.array(case.volume.GetSpacing())
    text = node.GetSegmentation().GetConversionParameter("Reference image geometry")
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, fine, False)
    origin, directions = np.array(fine.GetOrigin()), slicer_directions(slicer, fine)
    fine.SetSpacing(*(spacing / 2))
    fine.SetOrigin(*(origin - directions @ (spacing / 4)))
    fine.SetExtent([bound for n in case.volume.GetImageData().GetDimensions() for bound in (0, 2 * n - 1)])
    for n in range(node.GetSegmentation().GetNumberOfLayers()):
        layer = node.GetSegmentation().GetLayerDataObject(n, "Binary labelmap")
        slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(layer, fine, layer)
        assert layer.GetDimensions()[0] > case.volume.GetImageData().GetDimensions()[0]
    node.GetSegmentation().GetSegment(GLASS).Modified()
    node.GetSegmentation().InvokeEvent(slicer.vtkSegmentation.SourceRepresentationModified)
    case.timer.expire()
    case.assert_automatic()


def test_geometry_that_was_specified_for_the_segmentation_is_not_that_of_the_ct(case):
    converter, other = case.slicer.vtkSegmentationConverter, case.slicer.vtkOrientedImageData()
    parameter = converter.GetReferenceImageGeometryParameterName()
    converter.DeserializeImageGeometry(case.segmentation.GetConversionParameter(parameter), other, False)
    other.SetSpacing(*(mm / 2 for mm in other.GetSpacing()))
    other.SetExtent([bound for n in other.GetDimensions() for bound in (0, 2 * n - 1)])
    case.segmentation.SetConversionParameter(parameter, converter.SerializeImageGeometry(other))
    case.live.follow(case.result)
    case.assert_automatic()


def test_label_map_with_an_origin_of_its_own_is_read_where_it_lies(case):
    slicer, layer = case.slicer, case.segmentation.GetLayerDataObject(2, "Binary labelmap")
    extent = [0] * 6
    slicer.vtkOrientedImageDataResample.CalculateEffectiveExtent(layer, extent)
    part = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.CopyImage(layer, part, extent)
    origin, directions = np.array(part.GetOrigin()), slicer_directions(slicer, part)
    part.SetOrigin(*(origin + directions @ (np.array(part.GetSpacing()) * extent[::2])))
    part.SetExtent([bound for n in part.GetDimensions() for bound in (0, n - 1)])
    layer.DeepCopy(part)
    assert (layer.GetExtent()[::2], list(layer.GetOrigin())) != (tuple(extent[::2]), origin.tolist())
    assert min(extent[::2]) > 0
    case.segmentation.InvokeEvent(slicer.vtkSegmentation.SourceRepresentationModified)
    case.timer.expire()
    case.assert_automatic()
    assert case.told == []


def test_label_map_that_reaches_beyond_the_ct_is_cut_to_it(case, healthy):
    slicer, layer = case.slicer, case.segmentation.GetLayerDataObject(2, "Binary labelmap")
    larger = slicer.vtkOrientedImageData()
    larger.ShallowCopy(layer)
    size = case.volume.GetImageData().GetDimensions()
    larger.SetExtent([bound for n in size for bound in (-2, n + 3)])
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(layer, larger, layer)
    assert layer.GetExtent()[:2] == (-2, size[0] + 3)
    case.segmentation.InvokeEvent(slicer.vtkSegmentation.SourceRepresentationModified)
    case.timer.expire()
    case.assert_automatic()
    before = case.voxels(GLASS)
    case.stroke(GLASS, healthy, beyond=True)
    assert case.voxels(GLASS) > before + np.count_nonzero(healthy)
    case.assert_corrected(infection=np.where(healthy, np.uint8(Opacity.GROUND_GLASS), case.analysis.infection))


def slicer_directions(slicer, image):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    image.GetDirectionMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)[:3, :3]


# Under a transform


TURNS = {
    "a quarter about x": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
    "half about y": [[-1, 0, 0], [0, 1, 0], [0, 0, -1]],
}
"""What is stored as slices lies coronal in the world, or upside down."""


def turned(slicer, turn):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = TURNS[turn], (10, -20, 30)
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return transform


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("later", ["stays", "removed"])
def test_ct_that_was_turned_in_the_scene_is_scored_in_its_slices_of_the_world(make_case, slicer, turn, later):
    case = make_case(transform=turned(slicer, turn))
    assert gridOf(case.result).order == case.analysis.volume.storage
    if later == "removed":
        for node in (case.volume, case.node):
            node.SetAndObserveTransformNodeID(None)
        case.live.follow(case.result)
    case.assert_automatic()
    spot = block((case.analysis.lobes == Lobe.RUL) & (case.analysis.infection == 0))
    case.stroke(GLASS, spot)
    case.assert_corrected(infection=np.where(spot, np.uint8(Opacity.GROUND_GLASS), case.analysis.infection))


# Tables and attributes


def test_tables_tell_corrected_numbers_with_the_automatic_ones_beside(case, healthy):
    report = case.result.report
    case.stroke(GLASS, healthy)
    fields = case.live.corrected.fields
    lobes = [lobe.name for lobe in Lobe]
    scores = column(case.result.lobeTable, "score")
    assert scores == [fields["ctss"]["lobes"][lobe]["score"] for lobe in lobes]
    assert column(case.result.lobeTable, "automatic_score") == [report["ctss"]["lobes"][n]["score"] for n in lobes]
    assert scores != column(case.result.lobeTable, "automatic_score")
    assert sliceRows(case.result) == tuple(case.live.corrected.rows)
    assert automaticSliceRows(case.result) == case.automatic_rows
    shares = column(case.result.sliceTable, "automatic_infection_percent")
    assert shares == [row["infection_percent"] for row in case.automatic_rows]
    keys = column(case.result.measurementTable, "measurement")
    ctss = keys.index("ctss")
    assert column(case.result.measurementTable, "value")[ctss] == fields["ctss"]["total"]
    assert column(case.result.measurementTable, "automatic_value")[ctss] == report["ctss"]["total"]


def test_report_of_the_result_stays_the_automatic_one(case, healthy):
    before = json.dumps(case.result.report)
    case.stroke(GLASS, healthy)
    assert json.dumps(case.result.report) == before == json.dumps(resultOf(case.node).report)


def test_attribute_tells_the_corrected_numbers_while_there_are_any(case, healthy):
    editor = case.editor()
    case.stroke(GLASS, healthy, editor=editor)
    told = json.loads(textOf(case.node, CORRECTED_TEXT))
    assert {key: told[key] for key in CORRECTED_KEYS} == case.live.corrected.fields
    assert told["opacity_outside_lungs_ml"] == told["lung_without_lobe_ml"] == 0
    editor.Undo()
    case.timer.expire()
    case.assert_automatic()


@pytest.mark.parametrize("gone", ["lobeTable", "sliceTable", "measurementTable"])
def test_table_that_has_left_the_scene_is_let_go(case, healthy, gone):
    table = getattr(case.result, gone)
    columns = column_names(table)
    case.slicer.mrmlScene.RemoveNode(table)
    case.stroke(GLASS, healthy)
    assert column_names(table) == columns
    fields, _ = case.expected(infection=np.where(healthy, np.uint8(Opacity.GROUND_GLASS), case.analysis.infection))
    assert case.live.corrected.fields == fields
    left = [table for table in case.tables if table is not getattr(case.result, gone)]
    assert all(any(name.startswith("automatic_") for name in column_names(table)) for table in left)


def test_mark_of_corrections_that_are_gone_is_taken_away(case):
    case.live.stop()
    putText(case.node, CORRECTED_TEXT, "{}")
    case.live.follow(case.result)
    assert case.told == [None]
    case.assert_automatic()


def test_no_lung_left_cannot_be_scored_and_a_painted_one_can(case, healthy):
    case.stroke(CONSOLIDATION, healthy)
    lungs = {name: case.segmentation.GetSegment(name).GetTerminology() for name in (RIGHT, "left_lung")}
    for name in lungs:
        case.segmentation.RemoveSegment(name)
    case.timer.expire()
    assert case.failures == ["There is no lung left in the segmentation; it cannot be scored."]
    assert case.told[-1] is None
    case.failures.clear()
    case.assert_automatic()
    for side, (name, code) in zip(Side, lungs.items(), strict=True):
        case.segmentation.AddEmptySegment(name, name)
        case.segmentation.GetSegment(name).SetTerminology(code)
        case.stroke(name, case.analysis.lungs == side)
    case.assert_corrected(infection=np.where(healthy, np.uint8(Opacity.CONSOLIDATION), case.analysis.infection))


def test_surfaces_alone_cannot_be_scored(case):
    case.segmentation.CreateRepresentation("Closed surface")
    case.segmentation.SetSourceRepresentationName("Closed surface")
    case.segmentation.RemoveRepresentation("Binary labelmap")
    case.timer.expire()
    assert len(case.failures) == 1
    assert "no binary label maps" in case.failures[0]


def test_segmentation_of_another_size_cannot_be_scored(case, healthy):
    report = {**case.result.report, "input": {**case.result.report["input"], "size": [32, 24, 11]}}
    case.live.follow(replace(case.result, report=report))
    assert case.live.corrected is None
    assert case.failures == [
        "The segmentation has 32 x 24 x 10 voxels and the CT that was analysed 32 x 24 x 11; it cannot be scored."
    ]


# Nodes that go, scenes that are closed and loaded


@pytest.mark.parametrize("pending", [False, True])
def test_deleted_segmentation_is_followed_no_more(case, healthy, pending):
    case.stroke(GLASS, healthy)
    told, node = len(case.told), case.node
    if pending:
        case.paint(GLASS, healthy, erase=True)
    case.slicer.mrmlScene.RemoveNode(node)
    assert case.live.corrected is None
    assert not case.timer.running
    node.GetSegmentation().RemoveSegment(GLASS)
    assert (len(case.told), case.timer.running) == (told, False)
    case.live.update()
    assert case.failures == []


def test_closed_scene_is_followed_no_more(case, healthy):
    case.paint(GLASS, healthy)
    case.slicer.mrmlScene.Clear(0)
    assert (case.live.corrected, case.timer.running) == (None, False)
    case.live.update()
    case.live.stop()
    assert case.told == case.failures == []


def test_stopped_score_has_counted_the_last_edit(case, healthy):
    case.paint(GLASS, healthy)
    case.live.stop()
    assert json.loads(textOf(case.node, CORRECTED_TEXT))["ctss"]["total"] == case.told[0].ctss
    assert (case.live.corrected, case.timer.running) == (None, False)
    case.paint(GLASS, healthy, erase=True)
    assert not case.timer.running


def test_another_result_is_followed_in_place_of_the_first(slicer, factory, tmp_path):
    first = Case(slicer, factory.make_stored("as it is"), tmp_path / "a").remember_tables()
    second = Case(slicer, factory.make_stored("flipped"), tmp_path / "b").remember_tables()
    spot = block((second.analysis.lobes == Lobe.LUL) & (second.analysis.infection == 0))
    first.live.follow(second.result)
    first.paint(GLASS, block(first.analysis.lungs == Side.LEFT))
    assert not first.timer.running
    second.paint(GLASS, spot)
    first.timer.expire()
    fields, _ = second.expected(infection=np.where(spot, np.uint8(Opacity.GROUND_GLASS), second.analysis.infection))
    assert first.live.corrected.fields == fields


def reloaded(case, path):
    """The same result after its scene was saved and loaded."""
    slicer = case.slicer
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(path))
    node = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[0]
    case.result = resultOf(node)
    case.volume = case.result.volumeNode
    case.listen()
    case.live.follow(case.result)


@pytest.mark.parametrize("overwrite", [False, True])
def test_loaded_scene_is_edited_at_once_and_knows_what_was_automatic(case, healthy, tmp_path, overwrite):
    case.stroke(GLASS, healthy, overwrite=overwrite)
    fields = case.live.corrected.fields
    reloaded(case, tmp_path / "scene.mrb")
    infection = np.where(healthy, np.uint8(Opacity.GROUND_GLASS), case.analysis.infection)
    case.assert_corrected(infection=infection)
    assert case.live.corrected.fields == fields
    case.stroke(GLASS, healthy, erase=True)
    assert case.told[-1] is None
    case.assert_automatic()


def test_scene_that_is_saved_before_the_score_says_so_and_is_scored_when_it_is_loaded(case, healthy, tmp_path):
    case.paint(GLASS, healthy)
    assert case.node.GetAttribute(UNSCORED_ATTRIBUTE) == "true"
    assert textOf(case.node, CORRECTED_TEXT) is None
    reloaded(case, tmp_path / "scene.mrb")
    assert case.node.GetAttribute(UNSCORED_ATTRIBUTE) is None
    fields, _rows = case.expected(infection=np.where(healthy, np.uint8(Opacity.GROUND_GLASS), case.analysis.infection))
    assert case.live.corrected.fields["infection"] == fields["infection"]
    assert case.live.corrected.ctss == fields["ctss"]["total"]
    assert json.loads(textOf(case.node, CORRECTED_TEXT))["infection"] == fields["infection"]


def test_edit_without_effect_is_scored_too(case):
    case.segmentation.GetSegment(GLASS).SetName("glass")
    assert case.node.GetAttribute(UNSCORED_ATTRIBUTE) == "true"
    case.timer.expire()
    assert case.node.GetAttribute(UNSCORED_ATTRIBUTE) is None
    case.assert_automatic()


def test_segmentation_that_cannot_be_scored_is_no_longer_waited_for(case):
    case.segmentation.CreateRepresentation("Closed surface")
    case.segmentation.SetSourceRepresentationName("Closed surface")
    case.segmentation.RemoveRepresentation("Binary labelmap")
    assert case.node.GetAttribute(UNSCORED_ATTRIBUTE) == "true"
    case.timer.expire()
    assert len(case.failures) == 1
    assert case.node.GetAttribute(UNSCORED_ATTRIBUTE) is None


def test_loaded_scene_with_hidden_holes_is_automatic(case, healthy, tmp_path):
    """Painted over lung and erased: the lung's segment has a hole, its numbers have none."""
    editor = case.editor(overwrite=True)
    case.stroke(GLASS, healthy, editor=editor)
    case.stroke(GLASS, healthy, editor=editor, erase=True)
    reloaded(case, tmp_path / "scene.mrb")
    assert case.told == []
    case.assert_automatic()


def test_segmentation_edited_while_nobody_followed_is_edited_at_once(case, healthy):
    case.live.stop()
    editor = case.editor()
    case.paint(GLASS, healthy, editor=editor)
    case.live.follow(case.result)
    infection = np.where(healthy, np.uint8(Opacity.GROUND_GLASS), case.analysis.infection)
    fields, rows = case.expected(infection=infection)
    for lobe in fields["ctss"]["lobes"].values():
        lobe["confidence"] = None
    assert case.live.corrected.fields == fields
    assert case.live.corrected.rows == rows
    editor.Undo()
    case.timer.expire()
    assert case.told[-1] is None
    case.assert_automatic()


def test_aeration_of_lungs_edited_while_nobody_followed_is_not_known(case):
    lower = case.analysis.lobes == Lobe.RLL
    case.live.stop()
    case.paint(RIGHT, lower, erase=True)
    case.live.follow(case.result)
    fields, _ = case.expected(lungs=np.where(lower, np.uint8(0), case.analysis.lungs))
    assert case.live.corrected.fields["lungs"] == fields["lungs"]
    assert case.live.corrected.fields["well_aerated_percent"] is None


@pytest.mark.parametrize("text", ["", "no base64!", "AAAA", "eJwDAAAAAAE="])
def test_damaged_memory_of_earlier_edits_is_let_go(case, healthy, text, tmp_path):
    case.stroke(GLASS, healthy)
    case.live.stop()
    putText(case.node, DIFFERENCE_TEXT, text)
    case.live.follow(case.result)
    fields, _ = case.expected(infection=np.where(healthy, np.uint8(Opacity.GROUND_GLASS), case.analysis.infection))
    for lobe in fields["ctss"]["lobes"].values():
        lobe["confidence"] = None
    assert case.live.corrected.fields == fields


@pytest.fixture
def filled_anew(case, tmp_path):
    """A function that fills the nodes of the case with another analysis of its CT."""

    def fill():
        analysis = replace(case.analysis, provenance=replace(case.analysis.provenance, version="0.2.0"))
        outputs = Outputs(case.node, *case.tables)
        return importResult(write_files(analysis, tmp_path / "again"), case.volume, outputs)

    return fill


def test_memory_of_another_analysis_in_the_same_node_is_let_go(case, healthy, filled_anew):
    case.stroke(GLASS, healthy)
    memory = textOf(case.node, DIFFERENCE_TEXT)
    assert memory
    case.live.stop()
    case.result = filled_anew()
    putText(case.node, DIFFERENCE_TEXT, memory)
    case.told.clear()
    case.live.follow(case.result)
    assert case.told == []
    case.assert_automatic()
    assert textOf(case.node, DIFFERENCE_TEXT) is None


def test_new_analysis_in_the_same_node_is_no_correction_of_the_old_one(case, healthy, filled_anew):
    case.stroke(GLASS, healthy)
    case.told.clear()
    case.result = filled_anew()
    case.timer.expire()
    assert case.told == []
    case.assert_automatic()
    case.live.follow(case.result)
    assert case.told == []
    case.assert_automatic()


# While a thread counts


class NoTimer:
    """A timer that never ticks."""

    def __init__(self, interval_ms, callback, singleShot=False):  # noqa: N803
        self.callback = callback

    def start(self):
        """The test asks the thread itself."""

    def stop(self):
        """It never ticks."""


class HeldCase(Case):
    """A thread counts, but only when the gate is open."""

    def listen(self):
        super().listen()
        self.background = Background(NoTimer)
        self.live = LiveScore(self.make_timer, self.background)
        self.live.changed.connect(self.told.append)
        self.live.failed.connect(self.failures.append)

    def count(self):
        """Let the thread end."""
        self.gate.set()
        self.background.finish()
        self.gate.clear()


@pytest.fixture
def gate(monkeypatch):
    """A thread that is to count waits until the gate is open."""
    gate, score = threading.Event(), ResultScorer.score

    def wait_and_score(scorer, now):
        assert gate.wait(60.0)
        return score(scorer, now)

    monkeypatch.setattr(ResultScorer, "score", wait_and_score)
    HeldCase.gate = gate
    yield gate
    gate.set()


@pytest.fixture
def fresh(slicer, factory, tmp_path, gate):
    """A case at its first look."""
    return HeldCase(slicer, make_analysis(factory), tmp_path / "results").remember_tables()


@pytest.fixture
def held(fresh):
    """A case after its first look."""
    fresh.count()
    return fresh


@pytest.fixture
def spots(factory):
    """Two blocks of the RUL without opacity."""
    analysis = make_analysis(factory)
    free = (analysis.lobes == Lobe.RUL) & (analysis.infection == 0)
    first = block(free)
    return first, block(free & ~first)


def with_glass(case, *spots):
    return np.where(np.logical_or.reduce(spots), np.uint8(Opacity.GROUND_GLASS), case.analysis.infection)


def test_first_look_is_a_threads(fresh):
    assert fresh.live.counting
    fresh.background.poll()
    assert fresh.live.counting
    fresh.count()
    assert not fresh.live.counting
    assert fresh.told == []
    fresh.assert_automatic()


@pytest.mark.parametrize("overwrite", [False, True])
def test_edit_during_the_first_look_is_a_correction_of_what_was_there_before(fresh, spots, overwrite):
    fresh.paint(GLASS, spots[0], overwrite=overwrite)
    fresh.timer.expire()
    assert fresh.told == []
    fresh.count()
    assert fresh.told == []
    fresh.timer.expire()
    fresh.count()
    fresh.assert_corrected(infection=with_glass(fresh, spots[0]))
    assert textOf(fresh.node, DIFFERENCE_TEXT)


@pytest.mark.parametrize("overwrite", [False, True])
def test_edit_while_another_is_counted_is_counted_after_it(held, spots, overwrite):
    editor = held.editor(overwrite)
    held.stroke(GLASS, spots[0], editor=editor)
    held.stroke(GLASS, spots[1], editor=editor)
    held.count()
    held.assert_corrected(infection=with_glass(held, spots[0]))
    assert held.live.counting
    assert held.node.GetAttribute(UNSCORED_ATTRIBUTE) == "true"
    held.timer.expire()
    held.count()
    assert held.node.GetAttribute(UNSCORED_ATTRIBUTE) is None
    held.assert_corrected(infection=with_glass(held, *spots))
    assert len(held.told) == 2
    editor.Undo()
    editor.Undo()
    held.timer.expire()
    held.count()
    held.assert_automatic()


@pytest.mark.parametrize("way", ["deleted", "closed"])
@pytest.mark.parametrize("first", [False, True])
def test_segmentation_that_goes_while_it_is_counted_is_told_no_more(fresh, spots, way, first):
    if not first:
        fresh.count()
        fresh.stroke(GLASS, spots[0])
    node = fresh.node
    if way == "deleted":
        fresh.slicer.mrmlScene.RemoveNode(node)
    else:
        fresh.slicer.mrmlScene.Clear(0)
    fresh.count()
    fresh.live.update()
    assert (fresh.told, fresh.failures, fresh.live.corrected, fresh.live.counting) == ([], [], None, False)
    assert textOf(node, CORRECTED_TEXT) is None


def test_score_of_a_result_that_was_replaced_while_it_was_counted_is_let_go(held, spots, tmp_path):
    held.stroke(GLASS, spots[0])
    analysis = replace(held.analysis, provenance=replace(held.analysis.provenance, version="0.2.0"))
    held.result = importResult(write_files(analysis, tmp_path / "a"), held.volume, Outputs(held.node, *held.tables))
    held.count()
    assert held.told == []
    held.assert_automatic()
    held.live.follow(held.result)
    held.count()
    held.assert_automatic()


def test_ct_that_is_deleted_while_a_lung_is_counted_is_read_to_the_end(held):
    lower = held.analysis.lobes == Lobe.RLL
    held.stroke(RIGHT, lower, erase=True)
    held.slicer.mrmlScene.RemoveNode(held.volume)
    held.volume = None
    held.count()
    held.assert_corrected(lungs=np.where(lower, np.uint8(0), held.analysis.lungs))


@pytest.mark.parametrize("ended", [LiveScore.stop, LiveScore.update])
def test_what_is_being_counted_is_waited_for_at_the_end(held, spots, ended):
    held.stroke(GLASS, spots[0])
    held.paint(GLASS, spots[1])
    threading.Timer(0.1, held.gate.set).start()
    ended(held.live)
    fields, _ = held.expected(infection=with_glass(held, *spots))
    assert held.told[-1].fields == fields
    assert not held.live.counting


def test_no_lung_left_is_told_of_a_thread_too(held):
    for name in (RIGHT, "left_lung"):
        held.segmentation.RemoveSegment(name)
    held.timer.expire()
    held.count()
    assert held.node.GetAttribute(UNSCORED_ATTRIBUTE) is None
    assert held.failures == ["There is no lung left in the segmentation; it cannot be scored."]


def test_first_look_that_failed_is_taken_again(fresh, spots, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(EditedMasks, "begin", lambda *_arguments: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            fresh.count()
    fresh.stroke(GLASS, spots[0], erase=True)
    fresh.count()
    fresh.stroke(GLASS, spots[0])
    fresh.count()
    fresh.assert_corrected(infection=with_glass(fresh, spots[0]))


@pytest.mark.parametrize("edited", [False, True])
def test_no_score_of_a_closed_scene_is_left(fresh, spots, edited):
    timers = []

    def make_timer(*arguments, **names):
        timers.append(ManualTimer(*arguments, **names))
        return timers[-1]

    scores = LiveScores(make_timer)
    scores.followScene()
    told = []
    scores.changed.connect(told.append)
    if edited:
        fresh.paint(GLASS, spots[0])
    assert scores.counting
    fresh.slicer.mrmlScene.Clear(0)
    fresh.gate.set()
    assert not scores.counting
    assert not any(timer.running for timer in timers)
    scores.update()
    scores.stop()
    assert told == []


# Profiles, as the program runs them


@pytest.mark.parametrize("profile", ["default", "reference"])
def test_real_analysis_is_known_as_automatic_and_rescored_by_its_profile(slicer, tmp_path, profile):
    phantom = make_phantom(1, shape=(48, 76, 76), spacing_mm=(6.6, 5.0, 5.0))
    analysis = analyze(phantom.volume, AnalysisConfig.for_profile(profile))
    case = Case(slicer, analysis, tmp_path / "results").remember_tables()
    case.assert_automatic()
    lobe = (analysis.lobes == Lobe.LUL) & (analysis.infection == 0)
    editor = case.editor(overwrite=True)
    case.stroke(GLASS, lobe, editor=editor)
    case.assert_corrected(infection=np.where(lobe, np.uint8(Opacity.GROUND_GLASS), analysis.infection))
    assert case.live.corrected.fields["ctss"]["lobes"]["LUL"]["score"] == 5
    editor.Undo()
    case.timer.expire()
    case.assert_automatic()
