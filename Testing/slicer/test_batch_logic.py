"""Batches without a panel: what the command is asked for, what becomes of its tables, cases into the scene."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")

from batch_fixtures import CT_UIDS, SLICES
from CovidSeveritySlicer.analysis import BatchTables
from CovidSeveritySlicer.analysis.AnalysisLogic import AnalysisError
from CovidSeveritySlicer.analysis.AnalysisSettings import AnalysisSettings
from CovidSeveritySlicer.analysis.BatchLogic import BatchLogic
from CovidSeveritySlicer.analysis.BatchTables import Batch, holdsBatch, readBatch
from CovidSeveritySlicer.analysis.CaseLoader import CaseLoader
from CovidSeveritySlicer.analysis.DicomSeries import DatabaseSource
from CovidSeveritySlicer.analysis.Install import InstallDeclined
from CovidSeveritySlicer.scene.ResultFiles import UnusableResult
from stand_ins.dicom_database import ctkDICOMDatabase

pytestmark = pytest.mark.usefixtures("no_vtk_errors")

TEXTS = (".csv", ".json", ".html", ".parquet")
NO_CLASSIFIER = AnalysisSettings(classifier="none")


class IdleTimer:
    """Never ticks: those who wait look for themselves."""

    def __init__(self, *_arguments, **_options):
        pass

    def start(self):
        pass

    def stop(self):
        pass


@pytest.fixture
def asked():
    """Arguments of every job, and what was installed."""
    return {"arguments": [], "ensured": []}


@pytest.fixture
def make_logic(slicer, python_job, asked):
    """``make_logic(code)``: a logic whose child runs ``code``; without it, the real command."""

    def make(code=None):
        parts = {} if code is None else {"makeJob": python_job(code)}
        logic = BatchLogic(IdleTimer, ensure=lambda **wanted: asked["ensured"].append(wanted), **parts)
        made = logic._makeJob

        def noted(arguments, **options):
            asked["arguments"].append(arguments)
            return made(arguments, **options)

        logic._makeJob = noted
        return logic

    return make


def ends_of(logic):
    """What the logic tells of its ends."""
    ends = []
    logic.finished.connect(lambda batch: ends.append(("finished", batch)))
    logic.failed.connect(lambda message, _log: ends.append(("failed", message)))
    logic.cancelled.connect(lambda: ends.append(("cancelled", None)))
    return ends


def names_in(slicer):
    """The nodes of the scene, but for those that Slicer makes when they are first asked for."""
    nodes = (slicer.mrmlScene.GetNthNode(n) for n in range(slicer.mrmlScene.GetNumberOfNodes()))
    return sorted(node.GetName() or node.GetID() for node in nodes if not node.IsA("vtkMRMLSubjectHierarchyNode"))


def left_in(slicer):
    return list(Path(slicer.app.temporaryPath).glob("CovidSeverity-*/*"))


# What the command is asked for


def test_options_reach_the_command(make_logic, asked, batch_folder, tmp_path):
    logic = make_logic("pass")
    settings = AnalysisSettings(profile="reference", classifier="none", force=True)
    with pytest.raises(AnalysisError, match="has no batch"):
        logic.run(str(tmp_path), tmp_path / "out", settings, workers=3)
    logic.run(str(tmp_path), batch_folder)
    logic.run(str(tmp_path), batch_folder, resume=False)
    first, second, third = asked["arguments"]
    assert first[:4] == ["batch", str(tmp_path), "-o", str(tmp_path / "out")]
    assert first[first.index("--profile") + 1] == "reference"
    assert first[first.index("--workers") + 1] == "3"
    assert first[first.index("--progress") + 1] == "json"
    assert {"--force", "--classifier"} < set(first)
    assert "--resume" not in first
    assert "--resume" in second
    assert not {"--workers", "--no-dicom", "--classifier"} & set(second)
    assert "--resume" not in third


def test_addresses_and_paths_reach_the_command_as_they_mean(make_logic, asked, tmp_path, monkeypatch):
    logic = make_logic("raise SystemExit(1)")
    (tmp_path / "-cts").mkdir()
    monkeypatch.chdir(tmp_path)
    for source in ("s3://bucket/cts", "zip://cts::/data/all.zip", "-cts"):
        with pytest.raises(AnalysisError):
            logic.run(source, "out")
    assert [arguments[1] for arguments in asked["arguments"]] == [
        "s3://bucket/cts",
        "zip://cts::/data/all.zip",
        str(tmp_path / "-cts"),
    ]
    assert {arguments[3] for arguments in asked["arguments"]} == {str(tmp_path / "out")}


@pytest.mark.parametrize(
    ("source", "output", "sentence"),
    [
        ("", "out", "No source is chosen"),
        ("  ", "out", "No source is chosen"),
        ("/nowhere/at/all", "out", "There is no folder /nowhere/at/all"),
        ("/", "", "No output folder is chosen"),
    ],
)
def test_what_is_missing_is_told_before_anything_starts(make_logic, asked, source, output, sentence):
    logic = make_logic("pass")
    with pytest.raises(AnalysisError, match=sentence):
        logic.start(source, output)
    assert not logic.running
    assert asked == {"arguments": [], "ensured": []}


def test_the_packages_of_a_batch_are_asked_for_once(make_logic, asked, batch_folder):
    make_logic("pass").run("/", batch_folder, NO_CLASSIFIER)
    assert asked["ensured"] == [{"batch": True}]


def test_declined_packages_end_it_in_one_sentence(make_logic, asked, tmp_path):
    def decline(**_wanted):
        raise InstallDeclined("dask was not installed.")

    logic = make_logic("pass")
    logic._ensure = decline
    with pytest.raises(AnalysisError, match="dask was not installed") as caught:
        logic.start(str(tmp_path), tmp_path / "out")
    assert isinstance(caught.value.__cause__, InstallDeclined)
    assert asked["arguments"] == []


def test_one_batch_runs_at_a_time(make_logic, tmp_path):
    logic = make_logic("import time; time.sleep(60)")
    logic.start(str(tmp_path), tmp_path / "out")
    with pytest.raises(AnalysisError, match="running already"):
        logic.start(str(tmp_path), tmp_path / "out")
    logic.cleanup()
    assert not logic.running


def test_progress_and_the_last_lines_of_errors_are_told(make_logic, batch_folder):
    code = """
import json, sys
for n in range(7):
    print(f"warning: case {n} failed", file=sys.stderr, flush=True)
print(json.dumps({"stage": "cases", "done": 7, "total": 9, "failed": 7, "seconds_left": 65.0}))
"""
    logic, counts, said = make_logic(code), [], []
    logic.counted.connect(counts.append)
    logic.said.connect(said.append)
    logic.run("/", batch_folder)
    assert [(cases.done, cases.total, cases.failed, cases.secondsLeft) for cases in counts] == [(7, 9, 7, 65.0)]
    assert said[-1] == tuple(f"warning: case {n} failed" for n in range(3, 7))


def test_a_refusal_names_the_boxes_of_the_panel(make_logic, tmp_path):
    code = "import sys; sys.exit(print('covid-severity: out holds an earlier batch: --resume goes on with it', "
    logic = make_logic(code + "file=sys.stderr) or 2)")
    with pytest.raises(AnalysisError, match="a run with Go on with an earlier batch goes on with it"):
        logic.run(str(tmp_path), tmp_path / "out")


def test_a_crash_is_called_one_of_the_batch(make_logic, tmp_path):
    with pytest.raises(AnalysisError, match="The batch ended unexpectedly"):
        make_logic("import sys; sys.exit(3)").run(str(tmp_path), tmp_path / "out")


# The DICOM database


def test_a_batch_of_the_database_is_nameless_and_leaves_no_links(
    slicer, make_logic, asked, dicom_database, batch_folder, tmp_path
):
    seen = tmp_path / "seen.csv"
    code = f"import shutil, sys; shutil.copyfile(sys.argv[2], {str(seen)!r})"
    logic, told, before = make_logic(code), [], left_in(slicer)
    logic.progressed.connect(lambda *count: told.append(count))
    logic.run(DatabaseSource(dicom_database), batch_folder)
    with seen.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["series"] for row in rows] == list(CT_UIDS)
    assert "--no-dicom" in asked["arguments"][0]
    assert told == [("series", n, 2) for n in range(3)]
    assert left_in(slicer) == before
    logic.run(DatabaseSource(dicom_database, ("2",), named=True), batch_folder)
    with seen.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["id"].startswith("Roe John 4712 ct-")
    assert "--no-dicom" not in asked["arguments"][1]


def test_a_database_without_ct_says_what_it_has(make_logic, dicom_folder, tmp_path):
    (tmp_path / "cts").mkdir()
    shutil.copyfile(dicom_folder / "mixed" / "scout.dcm", tmp_path / "cts" / "scout.dcm")
    database = ctkDICOMDatabase().addFolder(tmp_path / "cts")
    with pytest.raises(AnalysisError, match=r"no CT series \(1 scouts, 0 series without readable files\)"):
        make_logic("pass").run(DatabaseSource(database), tmp_path / "out")


def test_a_database_that_fails_is_told(make_logic, dicom_database, tmp_path, monkeypatch):
    def fail(_patient):
        raise RuntimeError("database is locked")

    monkeypatch.setattr(dicom_database, "studiesForPatient", fail)
    logic = make_logic("pass")
    with pytest.raises(AnalysisError, match="cannot be read: database is locked"):
        logic.run(DatabaseSource(dicom_database), tmp_path / "out")
    assert not logic.running


def test_cancel_while_the_database_is_looked_through_starts_no_child(make_logic, dicom_database, tmp_path):
    logic = make_logic(f"open({str(tmp_path / 'started')!r}, 'w')")
    ends = ends_of(logic)
    logic.start(DatabaseSource(dicom_database), tmp_path / "out")
    logic.cancel()
    asked_before = dicom_database.asked
    logic.cleanup()
    assert ends == [("cancelled", None)]
    assert dicom_database.asked <= asked_before + 1
    assert not (tmp_path / "started").exists()


# Tables


def test_tables_are_read_in_their_order(batch_folder, a_written_result):
    report = json.loads((a_written_result / "report.json").read_bytes())
    batch = readBatch(batch_folder)
    chest, broken = batch.rows
    assert (chest.case, chest.ctss, chest.folder) == ("chest", report["ctss"]["total"], batch_folder / "cases/chest")
    assert chest.ctssRange == tuple(report["ctss"]["range"])
    assert chest.severity == report["severity"]["label"]
    warnings = [note["code"] for note in report["quality"] if note["severity"] == "warning"]
    assert (chest.warnings, set(chest.codes)) == (len(warnings), set(warnings))
    assert (broken.case, broken.folder, broken.failure) == ("broken", None, "broken.nii.gz is empty")
    assert batch.failed == 1


def test_two_thousand_rows_are_read(batch_folder):
    header, row = (batch_folder / "cases.csv").read_text(encoding="utf-8").splitlines()
    rows = [row.replace("chest", f"case {n}") for n in range(2000)]
    (batch_folder / "cases.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    assert len({row.case for row in readBatch(batch_folder).rows}) == 2001


def test_columns_are_those_of_the_library():
    from CovidSeverityLib.formats.batch_tables import BATCH_FAILURES, CASES

    assert set(BatchTables.CASE_COLUMNS) <= set(CASES.header())
    assert set(BatchTables.FAILURE_COLUMNS) <= set(BATCH_FAILURES.header())


def test_names_of_files_are_those_of_the_library():
    from CovidSeverityLib.batch import files

    assert (BatchTables.CASES_FILE, BatchTables.FAILURES_FILE) == (files.CASES_NAME, files.FAILURES_NAME)
    assert (BatchTables.PAGE_FILE, BatchTables.BATCH_FILE) == (files.INDEX_NAME, files.BATCH_NAME)
    assert BatchTables.CASE_PAGE == files.HTML_NAME


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("cases/chest", "../elsewhere"),
        ("cases/chest", "/etc"),
        ("cases/chest", ""),
        ("case,folder", "case,place"),
        (",moderate,", ',"moderate,'),
    ],
)
def test_damaged_tables_are_refused_in_one_sentence(batch_folder, before, after):
    text = (batch_folder / "cases.csv").read_text(encoding="utf-8")
    damaged = text.replace(before, after)
    if damaged == text:
        damaged = text[:-40] + '"'
    (batch_folder / "cases.csv").write_text(damaged, encoding="utf-8")
    with pytest.raises(UnusableResult, match=r"cases\.csv is missing, damaged"):
        readBatch(batch_folder)


def test_a_folder_holds_a_batch_from_its_first_case_on(batch_folder, tmp_path):
    assert holdsBatch(batch_folder)
    (batch_folder / "batch.json").unlink()
    assert holdsBatch(batch_folder)
    assert not holdsBatch(tmp_path / "nothing")


def test_a_batch_is_opened_in_a_thread(make_logic, batch_folder, tmp_path):
    logic, opened, problems = make_logic("pass"), [], []
    logic.opened.connect(opened.append)
    logic.notOpened.connect(problems.append)
    logic.open(batch_folder)
    logic._opening.finish()
    logic.open(tmp_path / "nothing")
    logic._opening.finish()
    assert [len(batch.rows) for batch in opened] == [2]
    (problem,) = problems
    assert problem.startswith("The folder has no batch of CovidSeverity")


# Cases into the scene


@pytest.fixture
def loader(slicer):
    """A loader, and what it tells."""
    loader = CaseLoader(IdleTimer)
    loader.told = []
    loader.loaded.connect(lambda result: loader.told.append(result))
    loader.failed.connect(lambda row, message: loader.told.append(f"{row.case}: {message}"))
    return loader


def load(loader, row, source):
    loader.told.clear()
    loader.load(row, source)
    loader.finish()
    (told,) = loader.told
    assert not loader.running
    return told


def test_a_case_comes_with_its_ct_on_the_grid_of_the_file(slicer, loader, batch_folder, chest_file, a_small_chest):
    row = readBatch(batch_folder).rows[0]
    result = load(loader, row, str(chest_file.parent))
    assert (result.ctss, result.folder) == (row.ctss, row.folder)
    assert result.volumeNode.GetName() == "chest"
    stored = a_small_chest.volume.storage.to_stored(a_small_chest.volume.hu)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(result.volumeNode), stored)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1


def test_a_case_that_is_in_the_scene_is_not_loaded_twice(slicer, loader, batch_folder, chest_file):
    row = readBatch(batch_folder).rows[0]
    first = load(loader, row, str(chest_file.parent))
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    again = load(loader, row, str(chest_file.parent))
    assert again.segmentationNode is first.segmentationNode
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    report = json.loads((row.folder / "report.json").read_bytes())
    report["severity"]["label"] = "made again"
    (row.folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    assert load(loader, row, str(chest_file.parent)).severity == "made again"


def test_a_ct_that_cannot_be_had_is_told_and_the_scene_stays(slicer, loader, batch_folder, chest_file, tmp_path):
    row, before = readBatch(batch_folder).rows[0], names_in(slicer)
    changed = tmp_path / "changed"
    changed.mkdir()
    (changed / "chest.nii.gz").write_bytes(chest_file.read_bytes() + b"\0")
    assert "is not the one that was analysed" in load(loader, row, str(changed))
    (changed / "chest.nii.gz").rename(changed / "other.nii.gz")
    loader._listed = None  # the source was listed when the CT was there
    assert "is not in" in load(loader, row, str(changed))
    assert "no such file or folder" in load(loader, row, str(tmp_path / "gone"))
    (row.folder / "segmentation.seg.nrrd").write_bytes(b"")
    assert "segmentation.seg.nrrd is missing, damaged" in load(loader, row, str(chest_file.parent))
    assert names_in(slicer) == before


def test_giving_up_leaves_the_scene_as_it_was(slicer, loader, batch_folder, chest_file):
    row, before = readBatch(batch_folder).rows[0], names_in(slicer)
    loader.load(row, str(chest_file.parent))
    loader._background._look(None)  # the CT is there, the result is being read
    assert names_in(slicer) != before
    loader.cleanup()
    assert (loader.told, loader.running, names_in(slicer)) == ([], False, before)


# The real command


@dataclass
class RealBatch:
    """A batch of both patients of the database by the real command, cancelled after a case and gone on with."""

    database: ctkDICOMDatabase
    ends: list
    after_cancel: Batch
    seal: bytes
    counts: list
    batch: Batch


@pytest.fixture(scope="module")
def real(slicer_host, dicom_folder, tmp_path_factory):
    logic, opened, counts = BatchLogic(IdleTimer, ensure=lambda **_wanted: None), [], []
    source, output = DatabaseSource(ctkDICOMDatabase().addFolder(dicom_folder)), tmp_path_factory.mktemp("real") / "out"
    ends = ends_of(logic)
    logic.opened.connect(opened.append)
    logic.counted.connect(counts.append)
    logic.counted.connect(lambda cases: logic.cancel() if cases.done == 1 and not opened else None)
    with pytest.raises(AnalysisError):
        logic.run(source, output, NO_CLASSIFIER, workers=1)
    logic.open(output)
    logic._opening.finish()
    (first,) = opened[0].rows
    seal = (first.folder / "case.json").read_bytes()
    counts.clear()
    batch = logic.run(source, output, NO_CLASSIFIER, workers=1)
    return RealBatch(source.database, ends, opened[0], seal, counts, batch)


@pytest.mark.slow
def test_a_cancelled_batch_keeps_what_is_finished_and_goes_on(real):
    assert [kind for kind, _batch in real.ends] == ["cancelled", "finished"]
    (first,) = real.after_cancel.rows
    assert not first.failure
    assert next(row.case for row in real.batch.rows) == first.case
    assert len(real.batch.rows) == 2
    assert (first.folder / "case.json").read_bytes() == real.seal
    assert [(cases.done, cases.total) for cases in real.counts] == [(0, 2), (1, 2), (2, 2)]


@pytest.mark.slow
def test_the_database_is_analysed_and_its_results_name_nobody(real):
    assert [bool(row.failure) for row in real.batch.rows] == [False, False]
    assert all(row.case.startswith("ct-") for row in real.batch.rows)
    assert real.batch.page.is_file()
    files = [path for path in real.batch.folder.rglob("*") if path.is_file()]
    assert len(files) > 15
    named = re.compile(rb"(?<![0-9A-Za-z])(Doe|Jane|Roe|471[12])(?![0-9A-Za-z])")  # a size or a digest may contain 4711
    assert [path for path in files if path.suffix in TEXTS and named.search(path.read_bytes())] == []
    assert [path for path in files if named.search(path.name.encode())] == []


@pytest.mark.slow
def test_a_case_of_the_database_comes_into_the_scene(slicer, loader, real):
    row = real.batch.rows[1]
    assert "is not in the DICOM database" in load(loader, row, DatabaseSource(ctkDICOMDatabase()))
    result = load(loader, row, DatabaseSource(real.database))
    assert result.volumeNode.GetImageData().GetDimensions()[2] == SLICES[CT_UIDS[1]]
    assert (result.ctss, result.volumeNode.GetName()) == (row.ctss, row.case)
