"""The output folder, and that an interrupted run leaves nothing half-written."""

from __future__ import annotations

import os

import pytest

from CovidSeverityLib.analysis import ClassifiedCt
from CovidSeverityLib.errors import CancelledError, InputError, OutputError
from CovidSeverityLib.reporting import (
    CLASSIFICATION_OUTPUT_NAMES,
    OUTPUT_NAMES,
    check_holds_no_analysis,
    check_output_folder,
    files,
    write_classified,
    write_results,
)

NAMES = {
    "segmentation.seg.nrrd",
    "report.json",
    "lobes.csv",
    "slices.csv",
    "histogram.csv",
    "overview.png",
    "report.html",
}


def names_in(folder):
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def small(factory):
    return factory.make_analysis(factory.make_chest((6, 24, 32)))


def test_names_are_of_every_file_that_an_earlier_run_may_have_left():
    of_a_batch = {"thumbnail.jpg", "case.json"}
    others = {"classification.png", "classification.json", "analysis.npz", "report.pdf", *of_a_batch}
    assert set(OUTPUT_NAMES) == NAMES | others
    assert len(OUTPUT_NAMES) == len(set(OUTPUT_NAMES))


@pytest.mark.slow
def test_every_file_is_written_and_nothing_else(small, tmp_path):
    paths = write_results(small, tmp_path)
    assert names_in(tmp_path) == NAMES == {path.name for path in paths}
    assert all(path.stat().st_size > 100 for path in paths)
    assert paths[-1].name == "report.json"


@pytest.mark.slow
def test_progress_counts_the_files(small, tmp_path):
    calls = []
    write_results(small, tmp_path, lambda *call: calls.append(call))
    assert calls == [("write", done, 7) for done in range(8)]


@pytest.fixture
def diagnosed(factory):
    return factory.make_diagnosed(factory.make_chest((6, 24, 32)))


@pytest.mark.slow
def test_page_of_the_diagnosis_is_written_with_one_and_removed_without(small, diagnosed, tmp_path):
    paths = write_results(diagnosed, tmp_path)
    assert names_in(tmp_path) == {path.name for path in paths} == NAMES | {"classification.png"}
    assert paths[-1].name == "report.json"
    (tmp_path / "classification.json").write_text("of a diagnosis alone")
    write_results(small, tmp_path)
    assert names_in(tmp_path) == NAMES


@pytest.mark.slow
def test_page_of_an_earlier_diagnosis_stays_when_the_run_is_stopped(small, diagnosed, tmp_path):
    write_results(diagnosed, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def stop(stage, done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_results(small, tmp_path, stop)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.slow
def test_diagnosis_alone_has_files_of_its_own(diagnosed, tmp_path):
    paths = write_classified(ClassifiedCt.of(diagnosed), tmp_path)
    assert [path.name for path in paths] == ["classification.png", "slices.csv", "classification.json"]
    assert names_in(tmp_path) == {path.name for path in paths} == set(CLASSIFICATION_OUTPUT_NAMES)
    check_holds_no_analysis(tmp_path)
    write_results(diagnosed, tmp_path)
    with pytest.raises(InputError, match=r"holds the results of an analysis \(report\.json\)"):
        check_holds_no_analysis(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("interrupt", [CancelledError, KeyboardInterrupt])
@pytest.mark.parametrize("after", [0, 1, 5])
def test_an_interrupt_leaves_the_earlier_result_as_it_was(small, tmp_path, interrupt, after):
    (tmp_path / "report.json").write_text("earlier")
    (tmp_path / "mine.txt").write_text("mine")

    def stop(stage, done, total):
        if done == after:
            raise interrupt

    with pytest.raises(interrupt):
        write_results(small, tmp_path, stop)
    assert names_in(tmp_path) == {"report.json", "mine.txt"}
    assert (tmp_path / "report.json").read_text() == "earlier"


def test_an_error_in_a_page_leaves_the_earlier_result_as_it_was(small, tmp_path, monkeypatch):
    """Pages are drawn in a thread of their own."""

    def fail(analysis, file):
        file.write(b"half a page")
        raise RuntimeError("no page")

    monkeypatch.setattr(files, "write_overview", fail)
    (tmp_path / "report.json").write_text("earlier")
    with pytest.raises(RuntimeError, match="no page"):
        write_results(small, tmp_path)
    assert names_in(tmp_path) == {"report.json"}
    assert (tmp_path / "report.json").read_text() == "earlier"


@pytest.mark.slow
def test_writing_again_replaces_the_earlier_result(small, tmp_path):
    write_results(small, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_results(small, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.slow
def test_a_mixture_of_two_results_has_no_report(small, tmp_path):
    (tmp_path / "report.json").write_text("earlier")
    (tmp_path / "overview.png").mkdir()
    with pytest.raises(OutputError, match=r"overview\.png"):
        write_results(small, tmp_path)
    assert "report.json" not in names_in(tmp_path)


def test_folder_that_vanished_is_an_output_error(small, tmp_path):
    with pytest.raises(OutputError, match=r"cannot write results to .*gone: the folder is not there"):
        write_results(small, tmp_path / "gone")


def test_check_makes_the_folder_and_its_parents(tmp_path):
    folder = tmp_path / "a" / "b"
    made = check_output_folder(folder)
    assert folder.is_dir()
    assert names_in(folder) == set()
    assert made.created == (tmp_path / "a", folder)


def test_folders_made_for_nothing_can_be_taken_back(tmp_path):
    check_output_folder(tmp_path / "a" / "b").discard_if_empty()
    assert names_in(tmp_path) == set()


def test_what_was_there_or_holds_anything_stays(tmp_path):
    check_output_folder(tmp_path).discard_if_empty()
    assert tmp_path.is_dir()
    made = check_output_folder(tmp_path / "a" / "b")
    (tmp_path / "a" / "note.txt").write_text("mine")
    made.discard_if_empty()
    assert names_in(tmp_path / "a") == {"note.txt"}


def test_a_file_is_not_a_folder(tmp_path):
    file = tmp_path / "out"
    file.write_text("x")
    with pytest.raises(OutputError, match="it is a file, not a folder"):
        check_output_folder(file)


def test_a_path_below_a_file_names_the_file(tmp_path):
    file = tmp_path / "ct.nii.gz"
    file.write_text("x")
    with pytest.raises(OutputError, match=r"ct\.nii\.gz is a file, not a folder"):
        check_output_folder(file / "deep" / "out")


def test_a_broken_link_is_named(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="broken link"):
        check_output_folder(tmp_path / "link" / "out")


def test_a_path_that_cannot_be_leaves_no_folder_behind(tmp_path):
    with pytest.raises(OutputError, match="too long"):
        check_output_folder(tmp_path / "new" / ("x" * 300))
    with pytest.raises(OutputError, match="cannot write results"):
        check_output_folder(tmp_path / "other" / "nul\0")
    assert names_in(tmp_path) == set()


def test_a_folder_with_the_name_of_a_result_is_found_before_the_work(tmp_path):
    (tmp_path / "report.json").mkdir()
    with pytest.raises(OutputError, match=r"a folder has the name of a result \(report\.json\)"):
        check_output_folder(tmp_path, OUTPUT_NAMES)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not stop root")
def test_no_permission_is_said_so(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="no permission"):
        check_output_folder(locked / "out")
