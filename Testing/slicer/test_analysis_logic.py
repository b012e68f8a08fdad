"""A whole analysis from a volume in the scene to nodes in the scene, through the real child process."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")

from CovidSeveritySlicer.analysis import InputFiles
from CovidSeveritySlicer.analysis.AnalysisLogic import AnalysisError, AnalysisLogic
from CovidSeveritySlicer.analysis.AnalysisSettings import AnalysisSettings
from CovidSeveritySlicer.analysis.Install import InstallDeclined, InstallFailed
from CovidSeveritySlicer.scene import SceneBridge
from CovidSeveritySlicer.scene.SceneBridge import Outputs

SECONDS = 120.0
"""More than any run here takes."""


class Clock:
    """Timers that a test calls itself."""

    def __init__(self):
        self.running = []

    def __call__(self, intervalMs, callback, singleShot=False):  # noqa: N803
        return ClockTimer(self, callback, singleShot)

    def tick(self):
        for timer in tuple(self.running):
            if timer.single:
                self.running.remove(timer)
            timer.callback()


class ClockTimer:
    def __init__(self, clock, callback, single):
        self.clock, self.callback, self.single = clock, callback, single

    def start(self):
        if self not in self.clock.running:
            self.clock.running.append(self)

    def stop(self):
        if self in self.clock.running:
            self.clock.running.remove(self)


class Recorder:
    """What a logic tells, in order."""

    def __init__(self, logic):
        self.events = []
        for name in ("started", "progressed", "finished", "failed", "cancelled"):
            getattr(logic, name).connect(lambda *values, name=name: self.events.append((name, values)))

    @property
    def names(self):
        return [name for name, _ in self.events if name != "progressed"]

    @property
    def stages(self):
        return list(dict.fromkeys(values[0] for name, values in self.events if name == "progressed"))


def nothing_missing(classifier=False):
    assert classifier in (False, True)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def new_logic(slicer, clock, monkeypatch, tmp_path):
    """``new_logic(**parts)`` of :class:`AnalysisLogic`; all of them end with the test."""
    monkeypatch.setenv("COVID_SEVERITY_MODELS", str(tmp_path / "models"))
    made = []

    def make(ensure=nothing_missing, **parts):
        made.append(AnalysisLogic(timerFactory=clock, ensure=ensure, **parts))
        return made[-1]

    yield make
    for logic in made:
        logic.cancel()
        finish(logic, clock)
        logic.cleanup()


@pytest.fixture
def a_logic(new_logic):
    return new_logic()


@pytest.fixture
def a_quick_logic(new_logic, copying_job):
    """A logic whose child process has its result at hand."""
    return new_logic(makeJob=copying_job)


@pytest.fixture
def a_small_volume_node(slicer):
    return slicer.util.addVolumeFromArray(np.zeros((4, 5, 6), np.int16), name="CT")


def finish(logic, clock):
    until = time.monotonic() + SECONDS
    while logic.running:
        assert time.monotonic() < until
        clock.tick()
        time.sleep(0.005)


def node_ids(slicer):
    scene = slicer.mrmlScene
    return {scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())}


def left_files(logic):
    return [] if logic._session is None else [p for p in Path(logic._session.name).rglob("*") if p.is_file()]


def test_start_returns_at_once_and_brings_what_the_command_line_finds_into_the_scene(
    slicer, a_logic, clock, a_volume_node, a_written_result, monkeypatch, tmp_path
):
    (tmp_path / "Ergebnisse für später").mkdir()
    monkeypatch.setattr(slicer.app, "temporaryPath", str(tmp_path / "Ergebnisse für später"))
    recorder = Recorder(a_logic)
    began = time.monotonic()
    a_logic.start(a_volume_node, AnalysisSettings("default", "none"))
    assert time.monotonic() - began < 2.0
    assert a_logic.running
    finish(a_logic, clock)
    assert recorder.names == ["started", "finished"]
    assert recorder.stages == ["read", "lungs", "lobes", "infection", "scores", "write"]
    result = recorder.events[-1][1][0]
    assert 0 < result.ctss <= 25
    assert result.volumeNode is a_volume_node
    assert result.segmentationNode.GetSegmentation().GetNumberOfSegments() == 9
    assert result.lobeTable.GetNumberOfRows() == 5
    assert "none" in result.report["classification_reason"]
    assert result.folder.is_relative_to(tmp_path)
    assert not any(b"Doe" in path.read_bytes() for path in result.folder.iterdir())
    alone = json.loads((a_written_result / "report.json").read_text(encoding="utf-8"))
    for key in ("ctss", "infection", "lungs", "total_severity_score", "uncounted_density"):
        assert result.report[key] == alone[key]


def test_two_analyses_in_a_row_make_nodes_of_their_own_or_fill_the_same(slicer, a_quick_logic, a_volume_node):
    first = a_quick_logic.analyze(a_volume_node)
    second = a_quick_logic.analyze(a_volume_node)
    assert second.segmentationNode is not first.segmentationNode
    assert second.ctss == first.ctss
    outputs = Outputs(second.segmentationNode, second.lobeTable, second.sliceTable, second.measurementTable)
    before = node_ids(slicer)
    third = a_quick_logic.analyze(a_volume_node, outputs=outputs)
    assert third.segmentationNode is second.segmentationNode
    assert third.lobeTable is second.lobeTable
    assert len(node_ids(slicer)) == len(before)


def test_no_copy_of_the_ct_is_kept(a_quick_logic, a_volume_node):
    a_quick_logic.analyze(a_volume_node)
    names = {path.name for path in left_files(a_quick_logic)}
    assert "report.json" in names
    assert not any(name.endswith(".nrrd") and not name.endswith(".seg.nrrd") for name in names)
    a_quick_logic.cleanup()
    assert left_files(a_quick_logic) == []


def test_copy_of_the_ct_that_another_program_holds_does_no_harm(a_quick_logic, a_volume_node, monkeypatch):
    def refuse(path, *_arguments, **_names):
        raise PermissionError(13, "The process cannot access the file", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    assert a_quick_logic.analyze(a_volume_node).ctss is not None
    monkeypatch.undo()
    a_quick_logic.cleanup()
    assert left_files(a_quick_logic) == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (AnalysisSettings(), ["--profile", "default"]),
        (AnalysisSettings("reference", "none"), ["--profile", "reference", "--classifier", "none"]),
        (AnalysisSettings(classifier="a b.h5"), ["--profile", "default", "--classifier", "a b.h5"]),
        (AnalysisSettings(independent_slices=True), ["--profile", "default", "--independent-slices"]),
        (AnalysisSettings(force=True), ["--profile", "default", "--force"]),
    ],
)
def test_settings_reach_the_command_line(settings, expected):
    assert settings.arguments() == expected


def test_cancel_leaves_the_scene_as_it_was(slicer, a_logic, clock, a_volume_node):
    recorder = Recorder(a_logic)
    before = node_ids(slicer)
    a_logic.start(a_volume_node)
    while "lungs" not in recorder.stages:
        clock.tick()
        time.sleep(0.005)
    a_logic.cancel()
    finish(a_logic, clock)
    assert recorder.names == ["started", "cancelled"]
    assert node_ids(slicer) == before
    assert left_files(a_logic) == []


def test_waiting_for_a_cancelled_analysis_raises(python_job, slicer, a_logic, a_small_volume_node, monkeypatch):
    a_logic._makeJob = python_job("import time; time.sleep(60)")
    monkeypatch.setattr(slicer.app, "processEvents", a_logic.cancel)
    with pytest.raises(AnalysisError, match=r"(?i)cancel"):
        a_logic.analyze(a_small_volume_node)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGSEGV if os.name != "nt" else 0, 9])
def test_crash_becomes_a_message_with_the_log(python_job, slicer, a_logic, a_small_volume_node, clock, number):
    recorder = Recorder(a_logic)
    before = node_ids(slicer)
    a_logic._makeJob = python_job(f"import os; print('last words', flush=True); os.kill(os.getpid(), {int(number)})")
    a_logic.start(a_small_volume_node)
    finish(a_logic, clock)
    name, (message, log) = recorder.events[-1]
    assert name == "failed"
    assert message.startswith("The analysis ")
    assert message.endswith(".")
    assert "last words" in log
    assert node_ids(slicer) == before
    assert left_files(a_logic) == []


def test_what_is_no_chest_is_refused_in_the_librarys_words(a_logic, a_small_volume_node):
    with pytest.raises(AnalysisError, match="chest CT in Hounsfield units") as raised:
        a_logic.analyze(a_small_volume_node)
    assert raised.value.log == ""
    assert "Traceback" not in raised.value.message
    assert not raised.value.message.startswith("covid-severity")


def test_result_that_cannot_be_read_fails_and_leaves_the_scene(python_job, slicer, a_logic, a_small_volume_node):
    before = node_ids(slicer)
    code = "import sys, pathlib; p = pathlib.Path(sys.argv[sys.argv.index('-o') + 1]); p.mkdir()"
    a_logic._makeJob = python_job(code + "; (p / 'report.json').write_text('{')")
    with pytest.raises(AnalysisError):
        a_logic.analyze(a_small_volume_node)
    assert node_ids(slicer) == before


def test_scene_closed_during_a_run_cancels_it(python_job, slicer, a_logic, clock, a_volume_node):
    recorder = Recorder(a_logic)
    a_logic._makeJob = python_job("import time; time.sleep(60)")
    a_logic.start(a_volume_node)
    slicer.mrmlScene.Clear(0)
    before = node_ids(slicer)
    finish(a_logic, clock)
    assert recorder.names == ["started", "cancelled"]
    assert node_ids(slicer) == before


def test_logic_lets_go_of_the_scene_when_a_run_has_ended(slicer, a_quick_logic, a_volume_node, monkeypatch):
    cancels = []
    a_quick_logic.analyze(a_volume_node)
    monkeypatch.setattr(a_quick_logic, "cancel", lambda: cancels.append(True))
    slicer.mrmlScene.Clear(0)
    assert cancels == []


def test_ct_that_leaves_the_scene_takes_its_result_with_it(slicer, a_quick_logic, clock, a_volume_node):
    recorder = Recorder(a_quick_logic)
    a_quick_logic.start(a_volume_node)
    slicer.mrmlScene.RemoveNode(a_volume_node)
    finish(a_quick_logic, clock)
    assert recorder.names == ["started", "failed"]
    assert "no longer in the scene" in recorder.events[-1][1][0]
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


def test_outputs_that_leave_the_scene_are_replaced_by_new_ones(slicer, a_quick_logic, clock, a_volume_node):
    recorder = Recorder(a_quick_logic)
    classes = ("vtkMRMLSegmentationNode", "vtkMRMLTableNode", "vtkMRMLTableNode", "vtkMRMLTableNode")
    given = [slicer.mrmlScene.AddNewNodeByClass(name, "mine") for name in classes]
    a_quick_logic.start(a_volume_node, outputs=Outputs(*given))
    for node in given:
        slicer.mrmlScene.RemoveNode(node)
    finish(a_quick_logic, clock)
    result = recorder.events[-1][1][0]
    made = [result.segmentationNode, result.lobeTable, result.sliceTable, result.measurementTable]
    assert not any(node is old for node in made for old in given)
    assert all(slicer.mrmlScene.IsNodePresent(node) for node in made)


# While the CT is being written


@pytest.fixture
def gate(monkeypatch):
    """The CT is on the disk, but the thread that wrote it waits here."""
    gate, write = threading.Event(), InputFiles._write

    def write_and_wait(file, geometry, stopped):
        write(file, geometry, stopped)
        while not (gate.is_set() or stopped()):
            time.sleep(0.002)

    monkeypatch.setattr(InputFiles, "_write", write_and_wait)
    yield gate
    gate.set()


@pytest.fixture
def child_of(python_job, tmp_path):
    """A logic's child keeps what it gets, and brings no result. The function gives the voxels that it got."""
    kept = tmp_path / "kept.nrrd"

    def make(logic):
        logic._makeJob = python_job(f"import shutil, sys; shutil.copy(sys.argv[2], {str(kept)!r})")
        return lambda: sitk.GetArrayFromImage(sitk.ReadImage(str(kept))) if kept.exists() else None

    return make


def values_of(shape):
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


@pytest.mark.parametrize("way", ["cancel", "close the scene", "clean up"])
def test_child_never_starts_when_the_writing_was_cancelled(slicer, a_logic, clock, a_volume_node, gate, child_of, way):
    got, recorder = child_of(a_logic), Recorder(a_logic)
    a_logic.start(a_volume_node)
    for _ in range(3):
        clock.tick()
    assert a_logic.running
    actions = {"cancel": a_logic.cancel, "clean up": a_logic.cleanup}
    actions.get(way, lambda: slicer.mrmlScene.Clear(0))()
    finish(a_logic, clock)
    assert recorder.names == ["started", "cancelled"]
    assert got() is None
    assert left_files(a_logic) == []


@pytest.mark.parametrize("way", ["deleted", "other image"])
def test_ct_that_goes_while_it_is_written_is_written_as_it_was(slicer, a_logic, clock, gate, child_of, way):
    got, values = child_of(a_logic), values_of((40, 50, 60))
    node = slicer.util.addVolumeFromArray(values)
    a_logic.start(node)
    if way == "deleted":
        slicer.mrmlScene.RemoveNode(node)
        del node
    else:
        slicer.util.updateVolumeFromArray(node, np.zeros((3, 4, 5), np.float32))
    gate.set()
    finish(a_logic, clock)
    np.testing.assert_array_equal(got(), values)


def test_ct_that_is_edited_while_it_is_written_is_written_again(slicer, a_logic, clock, gate, child_of):
    got, recorder = child_of(a_logic), Recorder(a_logic)
    node = slicer.util.addVolumeFromArray(values_of((4, 5, 6)))
    a_logic.start(node)
    while not left_files(a_logic) or left_files(a_logic)[0].stat().st_size < 4 * 5 * 6 * 2:
        clock.tick()
    slicer.util.arrayFromVolume(node)[...] = 7
    slicer.util.arrayFromVolumeModified(node)
    gate.set()
    finish(a_logic, clock)
    np.testing.assert_array_equal(got(), np.full((4, 5, 6), 7))
    assert recorder.names == ["started", "failed"]  # this child has brought no result


@pytest.fixture
def lungs_of(slicer):
    """``lungs_of(volume, mask)`` makes a segmentation with both lungs in one segment."""

    def make(volume, mask):
        masks = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        masks.GetSegmentation().AddEmptySegment("lungs", "lungs")
        masks.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), masks, "lungs", volume)
        return masks

    return make


@pytest.mark.parametrize("way", ["edited", "deleted"])
def test_masks_that_change_while_they_are_written_are_those_of_the_start(
    slicer, a_logic, clock, gate, python_job, lungs_of, tmp_path, way
):
    kept, values = tmp_path / "kept.nrrd", values_of((40, 50, 60))
    a_logic._makeJob = python_job(
        f"import shutil, sys; shutil.copy(sys.argv[sys.argv.index('--lungs') + 1], {str(kept)!r})"
    )
    node = slicer.util.addVolumeFromArray(values)
    masks = lungs_of(node, values % 3 == 0)
    a_logic.start(node, segmentationNode=masks)
    if way == "edited":
        slicer.util.updateSegmentBinaryLabelmapFromArray(np.ones(values.shape, np.uint8), masks, "lungs", node)
    else:
        slicer.mrmlScene.RemoveNode(masks)
        del masks
    gate.set()
    finish(a_logic, clock)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(kept))), values % 3 == 0)


@pytest.mark.parametrize("waits", [False, True])
def test_masks_without_a_voxel_are_told_and_no_child_starts(
    slicer, a_logic, clock, a_small_volume_node, child_of, lungs_of, waits
):
    got, recorder = child_of(a_logic), Recorder(a_logic)
    masks = lungs_of(a_small_volume_node, np.zeros((4, 5, 6)))
    if waits:
        with pytest.raises(AnalysisError, match="is empty inside the CT"):
            a_logic.analyze(a_small_volume_node, segmentationNode=masks)
    else:
        a_logic.start(a_small_volume_node, segmentationNode=masks)
        finish(a_logic, clock)
    assert recorder.names == ["started", "failed"]
    assert "is empty inside the CT" in recorder.events[-1][1][0]
    assert got() is None
    assert left_files(a_logic) == []


@pytest.mark.parametrize("waits", [False, True])
def test_full_disk_is_told_and_no_child_starts(a_logic, clock, a_small_volume_node, child_of, monkeypatch, waits):
    got, recorder = child_of(a_logic), Recorder(a_logic)

    def fail(file, geometry, stopped):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(InputFiles, "_write", fail)
    if waits:
        with pytest.raises(AnalysisError, match=r"ct\.nrrd cannot be written .* No space left on device"):
            a_logic.analyze(a_small_volume_node)
    else:
        a_logic.start(a_small_volume_node)
        finish(a_logic, clock)
    assert recorder.names == ["started", "failed"]
    assert "No space left on device" in recorder.events[-1][1][0]
    assert got() is None
    assert left_files(a_logic) == []


def test_interrupt_while_the_ct_is_written_ends_the_run_at_once(
    slicer, a_logic, a_small_volume_node, gate, child_of, monkeypatch
):
    def interrupt():
        raise KeyboardInterrupt

    got, recorder = child_of(a_logic), Recorder(a_logic)
    monkeypatch.setattr(slicer.app, "processEvents", interrupt)
    with pytest.raises(KeyboardInterrupt):
        a_logic.analyze(a_small_volume_node)
    assert not a_logic.running
    assert recorder.names == ["started", "cancelled"]
    assert got() is None


# While the result is being read


@pytest.fixture
def read(monkeypatch):
    """The result is read, but the thread that read it waits here. ``read.begun`` is set when it does."""
    gate, read_files = threading.Event(), SceneBridge.readResultFiles
    gate.begun = threading.Event()

    def read_and_wait(folder, label_maps):
        files = read_files(folder, label_maps)
        gate.begun.set()
        assert gate.wait(SECONDS)
        return files

    monkeypatch.setattr(SceneBridge, "readResultFiles", read_and_wait)
    yield gate
    gate.set()


def tick_until(clock, event):
    until = time.monotonic() + SECONDS
    while not event.is_set():
        assert time.monotonic() < until
        clock.tick()
        time.sleep(0.002)


def test_scene_is_unchanged_until_the_whole_result_comes_in(slicer, a_quick_logic, clock, a_volume_node, read):
    before = node_ids(slicer)
    a_quick_logic.start(a_volume_node)
    tick_until(clock, read.begun)
    for _ in range(3):
        clock.tick()
    assert a_quick_logic.running
    assert node_ids(slicer) == before
    read.set()
    finish(a_quick_logic, clock)
    assert len(slicer.util.getNodesByClass("vtkMRMLTableNode")) == 4


@pytest.mark.parametrize("way", ["cancel", "close the scene"])
def test_cancel_while_the_result_is_read_leaves_the_scene_as_it_was(
    slicer, a_quick_logic, clock, a_volume_node, read, way
):
    recorder = Recorder(a_quick_logic)
    a_quick_logic.start(a_volume_node)
    tick_until(clock, read.begun)
    if way == "cancel":
        a_quick_logic.cancel()
    else:
        slicer.mrmlScene.Clear(0)
    before = node_ids(slicer)
    read.set()
    finish(a_quick_logic, clock)
    assert recorder.names == ["started", "cancelled"]
    assert node_ids(slicer) == before
    assert left_files(a_quick_logic) == []


def test_waiting_for_a_result_that_is_cancelled_while_it_is_read_raises(
    slicer, a_quick_logic, a_volume_node, read, monkeypatch
):
    def cancel_late():
        if read.begun.is_set():
            a_quick_logic.cancel()
            read.set()

    monkeypatch.setattr(slicer.app, "processEvents", cancel_late)
    with pytest.raises(AnalysisError, match=r"(?i)cancel"):
        a_quick_logic.analyze(a_volume_node)


def delete(slicer, node):
    slicer.mrmlScene.RemoveNode(node)


def move(slicer, node):
    node.SetOrigin(1.0, 2.0, 3.0)


def crop(slicer, node):
    slicer.util.updateVolumeFromArray(node, slicer.util.arrayFromVolume(node)[:-1].copy())


def empty(slicer, node):
    node.SetAndObserveImageData(None)


@pytest.mark.parametrize("change", [delete, move, crop, empty])
def test_ct_that_changes_while_its_result_is_read_gets_none(slicer, a_quick_logic, clock, a_volume_node, read, change):
    recorder = Recorder(a_quick_logic)
    a_quick_logic.start(a_volume_node)
    tick_until(clock, read.begun)
    change(slicer, a_volume_node)
    before = node_ids(slicer)
    read.set()
    finish(a_quick_logic, clock)
    assert recorder.names == ["started", "failed"]
    wanted = "no longer in the scene" if change in (delete, empty) else "does not lie where the CT is now"
    assert wanted in recorder.events[-1][1][0]
    assert node_ids(slicer) == before


def test_output_that_is_edited_or_deleted_while_a_result_is_read(slicer, a_quick_logic, clock, a_volume_node, read):
    read.set()
    first = a_quick_logic.analyze(a_volume_node)
    outputs = Outputs(first.segmentationNode, first.lobeTable, first.sliceTable, first.measurementTable)
    read.clear()
    read.begun.clear()
    recorder = Recorder(a_quick_logic)
    a_quick_logic.start(a_volume_node, outputs=outputs)
    tick_until(clock, read.begun)
    first.segmentationNode.GetSegmentation().RemoveSegment("RUL")
    slicer.mrmlScene.RemoveNode(first.lobeTable)
    read.set()
    finish(a_quick_logic, clock)
    result = recorder.events[-1][1][0]
    assert result.segmentationNode is first.segmentationNode
    assert result.segmentationNode.GetSegmentation().GetNumberOfSegments() == 9
    assert result.lobeTable is not first.lobeTable
    assert result.lobeTable.GetNumberOfRows() == 5


def test_one_analysis_at_a_time(a_logic, clock, a_small_volume_node, python_job):
    a_logic._makeJob = python_job("")
    a_logic.start(a_small_volume_node)
    with pytest.raises(AnalysisError, match="running already"):
        a_logic.start(a_small_volume_node)
    finish(a_logic, clock)


def test_without_a_ct_nothing_starts(a_logic):
    recorder = Recorder(a_logic)
    with pytest.raises(AnalysisError, match="No CT"):
        a_logic.start(None)
    assert recorder.names == []


def test_volume_without_an_image_is_refused(slicer, a_logic):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    with pytest.raises(AnalysisError):
        a_logic.start(node)
    assert not a_logic.running
    assert left_files(a_logic) == []


def test_declined_installation_starts_nothing(new_logic, a_small_volume_node):
    def decline(classifier=False):
        raise InstallDeclined("declined.")

    logic = new_logic(ensure=decline)
    recorder = Recorder(logic)
    with pytest.raises(AnalysisError, match="declined"):
        logic.start(a_small_volume_node)
    assert recorder.names == []


@pytest.mark.parametrize(
    ("classifier", "installed", "asked"),
    [
        ("none", ("b5",), [False]),
        (None, (), [False]),
        (None, ("b5",), [False, True]),
        ("b5", (), [False, True]),
    ],
)
def test_tensorflow_is_asked_for_where_there_is_something_to_classify_with(
    python_job, new_logic, clock, monkeypatch, a_small_volume_node, classifier, installed, asked
):
    asks = []
    monkeypatch.setattr("CovidSeveritySlicer.analysis.AnalysisLogic.installedClassifiers", lambda: installed)
    logic = new_logic(ensure=lambda classifier=False: asks.append(classifier), makeJob=python_job(""))
    logic.start(a_small_volume_node, AnalysisSettings(classifier=classifier))
    finish(logic, clock)
    assert asks == asked


@pytest.mark.parametrize("answer", [InstallDeclined, InstallFailed])
def test_missing_tensorflow_leaves_the_diagnosis_open_only_where_it_was_not_asked_for(
    python_job, new_logic, clock, monkeypatch, a_small_volume_node, answer
):
    def ensure(classifier=False):
        if classifier:
            raise answer("declined.")

    monkeypatch.setattr("CovidSeveritySlicer.analysis.AnalysisLogic.installedClassifiers", lambda: ("b5",))
    logic = new_logic(ensure=ensure, makeJob=python_job(""))
    with pytest.raises(AnalysisError, match="declined"):
        logic.start(a_small_volume_node, AnalysisSettings(classifier="b5"))
    logic.start(a_small_volume_node)
    finish(logic, clock)
