"""The program as its users run it: what it prints, what it writes, and how it stops."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import SimpleITK as sitk

import CovidSeverityLib
from CovidSeverityLib import __main__ as command_line
from CovidSeverityLib import analysis_request
from CovidSeverityLib.commands import analyze, phantom
from CovidSeverityLib.commands.classifiers import NONE_INSTALLED
from CovidSeverityLib.commands.progress import progress_for
from CovidSeverityLib.errors import CancelledError, CovidSeverityError
from CovidSeverityLib.types import Lobe
from Testing.data_files import assert_described, assert_follows, schema_for

NAMES = {
    "segmentation.seg.nrrd",
    "report.json",
    "lobes.csv",
    "slices.csv",
    "histogram.csv",
    "overview.png",
    "report.html",
}
STAGES = ["read", "lungs", "lobes", "infection", "scores", "write"]
PIXELS, STEP_MM = {"PixelSpacing": [3, 3]}, 4.4
COARSE = ("--pixel-mm", 16, "--slice-mm", 16)
"""A phantom that is made in a moment, too coarse to be analysed."""


@pytest.fixture(scope="module")
def result(program, chest_folder, tmp_path_factory):
    """``(folder, run)`` of one analysis of the chest."""
    folder = tmp_path_factory.mktemp("result") / "new" / "folder"
    return folder, program("analyze", chest_folder / "ct.nii.gz", "-o", folder)


@pytest.fixture
def process(tmp_path):
    """A function that starts ``python -m CovidSeverityLib`` in an empty folder."""
    root = str(Path(CovidSeverityLib.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
    started = []

    def start(*arguments):
        (tmp_path / "work").mkdir()
        command = [sys.executable, "-m", "CovidSeverityLib", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, cwd=tmp_path / "work", env=environment, encoding="utf-8", **pipes))
        return started[-1]

    yield start
    for child in started:
        child.kill()
        child.communicate()


def report_in(folder):
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def numbers(report):
    """What must not depend on how the same chest came in."""
    return {key: report[key] for key in ("ctss", "severity", "lungs", "infection", "well_aerated_percent")}


def test_version_is_told(program):
    assert program("--version") == (0, f"covid-severity {CovidSeverityLib.__version__}\n", "")


EVALUATIONS = tuple(("evaluate", what) for what in ("segmentation", "classification", "ctss", "ablation"))


@pytest.mark.parametrize("command", [(), *((name,) for name in command_line.COMMANDS), *EVALUATIONS])
def test_help_fits_a_terminal_of_80_columns(program, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, err = program(*command, "--help")
    assert (status, err) == (0, "")
    assert out.startswith("usage: covid-severity")
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("examine", "x"),
        ("analyze",),
        ("analyze", "x", "--fast"),
        ("classify",),
        ("phantom",),
        ("corrected", "x"),
        ("evaluate",),
        *EVALUATIONS,
    ],
)
def test_unknown_or_missing_arguments_end_with_status_2(program, arguments):
    status, out, err = program(*arguments)
    assert (status, out) == (2, "")
    assert "error: " in err.splitlines()[-1]


def test_analysis_writes_every_file_and_tells_the_score(result):
    folder, (status, out, err) = result
    assert (status, err) == (0, "")
    assert {path.name for path in folder.iterdir()} == NAMES
    assert_described(folder, "analyze")
    ctss = report_in(folder)["ctss"]
    assert out.startswith(f"CTSS {ctss['total']} ")
    assert ctss["range"][0] <= ctss["total"] <= ctss["range"][1]
    assert "Note: Lobes are approximate" in out
    assert out.endswith(f"Results are in {folder}\n")


def test_analysis_without_weights_says_in_one_line_how_to_get_a_diagnosis(result):
    folder, run = result
    assert run.out.splitlines().count(NONE_INSTALLED) == 1
    report = report_in(folder)
    assert (report["classification"], report["classification_reason"]) == (None, NONE_INSTALLED)
    assert "classifier" not in report["provenance"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/data/ct.nii.gz", "ct"),
        ("scan.NRRD", "scan"),
        ("a.b.mha", "a.b"),
        ("study.zip", "study"),
        ("/discs/disc 3/DICOMDIR", "disc 3"),
        ("0001.IMA", "0001"),
        ("folder/", "folder"),
        ("P001", "P001"),
        ("/", "ct"),
        (".nii", "ct"),
    ],
)
def test_results_go_to_a_folder_named_after_the_input(given, expected):
    assert analyze.default_output(Path(given)) == Path(f"{expected}-covid-severity")


def test_current_folder_has_a_name(tmp_path, monkeypatch):
    (tmp_path / "scan" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "scan" / "deep")
    assert analyze.default_output(Path()) == Path("deep-covid-severity")
    assert analyze.default_output(Path("..")) == Path("scan-covid-severity")


@pytest.mark.slow
def test_json_is_the_report_and_nothing_else(program, result, chest_folder, tmp_path):
    nrrd = tmp_path / "ct.nrrd"
    sitk.WriteImage(sitk.ReadImage(str(chest_folder / "ct.nii.gz")), str(nrrd))
    status, out, err = program("analyze", nrrd, "-o", tmp_path / "out", "--json", "--no-html")
    assert status == 0
    assert json.loads(out) == report_in(tmp_path / "out")
    assert numbers(json.loads(out)) == numbers(report_in(result[0]))
    assert err.splitlines() == [f"{n['severity']}: {n['message']}" for n in json.loads(out)["quality"]]


@pytest.mark.slow
def test_quiet_prints_nothing_and_a_second_run_replaces_the_first(program, result, chest_folder, tmp_path):
    mha, out = tmp_path / "ct.mha", tmp_path / "out"
    sitk.WriteImage(sitk.ReadImage(str(chest_folder / "ct.nii.gz")), str(mha))
    shutil.copytree(result[0], out)
    (out / "report.json").write_text("old")
    (out / "mine.txt").write_text("keep")
    options = ("--profile", "reference", "--lungs", chest_folder / "lungs.nii.gz")
    assert program("analyze", mha, "-o", out, "--quiet", *options) == (0, "", "")
    assert {path.name for path in out.iterdir()} == NAMES | {"mine.txt"}
    provenance = report_in(out)["provenance"]
    assert (provenance["profile"], provenance["lungs_from"]) == ("reference", "file lungs.nii.gz")
    assert (report_in(out)["ctss"]["range"], report_in(out)["uncounted_density"]) == (None, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "scheme"),
    [((0, 3, 4, 5, 1, 2), "lungmask"), ((77, 12, 13, 14, 10, 11), "TotalSegmentator")],
)
def test_lobes_from_elsewhere_are_taken_over(program, chest_folder, coarse_phantom, tmp_path, labels, scheme):
    theirs = sitk.ReadImage(str(chest_folder / "lobes.nii.gz"))
    mapped = sitk.ChangeLabel(theirs, {n: 100 + label for n, label in enumerate(labels)}) - 100
    sitk.WriteImage(mapped, str(tmp_path / "lobes.nii"))
    options = ("--lobes", tmp_path / "lobes.nii", "--progress", "json")
    status, out, err = program("analyze", chest_folder / "ct.nii.gz", "-o", tmp_path / "out", *options)
    assert status == 0
    assert "approximate" not in err
    report = report_in(tmp_path / "out")
    assert report["provenance"]["lobes_from"] == f"file lobes.nii ({scheme} labels)"
    for lobe in Lobe:
        ml = coarse_phantom.lobe_voxels[lobe] * coarse_phantom.volume.geometry.voxel_ml
        assert report["ctss"]["lobes"][lobe.name]["volume_ml"] == pytest.approx(ml, abs=0.01)
    assert_progress(out)


def assert_progress(text):
    """Each line is one JSON object; the stages come in order, and each of them ends done."""
    steps = [json.loads(line) for line in text.splitlines()]
    for step in steps:
        assert_follows(step, schema_for("each line of output", "--progress json"))
    assert {tuple(step) for step in steps} == {("stage", "done", "total")}
    stages = [step["stage"] for step in steps]
    assert list(dict.fromkeys(stages)) == STAGES
    assert stages == sorted(stages, key=STAGES.index)
    assert all(0 <= step["done"] <= step["total"] for step in steps)
    last = {step["stage"]: step for step in steps}
    assert all(step["done"] == step["total"] > 0 for step in last.values())


@pytest.mark.slow
def test_progress_goes_to_standard_error_together_with_json(program, chest_folder, tmp_path):
    options = ("--json", "--progress", "json", "--quiet", "--no-html")
    status, out, err = program("analyze", chest_folder / "ct.nii.gz", "-o", tmp_path / "out", *options)
    assert status == 0
    assert json.loads(out)["schema_version"] == 1
    assert_progress(err)


def test_bar_is_drawn_on_a_terminal_only(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream, drawn in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        with progress_for("bar", io.StringIO()) as progress:
            assert (progress is not None) == drawn
            if progress is not None:
                progress("lungs", 1, 2)
        assert ("Finding the lungs" in stream.getvalue()) == drawn


@pytest.mark.slow
def test_several_series_are_mentioned_and_one_can_be_chosen(program, write_series, coarse_phantom, tmp_path):
    hu = coarse_phantom.volume.hu
    write_series(tmp_path / "scan", hu, lambda k: PIXELS, step_mm=STEP_MM)
    write_series(tmp_path / "scan" / "b", hu[:-4], lambda k: PIXELS, step_mm=STEP_MM, uid="2.25.2")
    command = ("analyze", tmp_path / "scan", "-o", tmp_path / "out", "--no-html", "--no-dicom")
    _, out, _ = program(*command)
    assert "Note: 2 CT series; the best for the lungs was taken, for more slices: 2.25.1" in out
    assert report_in(tmp_path / "out")["input"]["slices"] == len(hu)
    _, out, _ = program(*command, "--series", "2.25.2")
    assert "CT series" not in out
    assert report_in(tmp_path / "out")["input"]["slices"] == len(hu) - 4


@pytest.mark.slow
def test_nothing_of_the_patient_reaches_the_results(program, write_series, coarse_phantom, tmp_path):
    patient = {
        "PatientName": "Doe^Jane^Secret",
        "PatientID": "SECRET-4711",
        "PatientBirthDate": "19470815",
        "InstitutionName": "Secret Hospital",
        "StudyDescription": "Secret study",
    }
    scan = tmp_path / "secret_jane" / "19470815" / "scan"
    write_series(scan, coarse_phantom.volume.hu, lambda k: PIXELS | patient, step_mm=STEP_MM)
    status, out, _ = program("analyze", scan, "-o", tmp_path / "out", "--json")
    assert status == 0
    assert json.loads(out)["input"]["name"] == "scan"
    for path in (tmp_path / "out").iterdir():
        content = path.read_bytes()
        for secret in (b"secret", b"Secret", b"SECRET", b"Doe^", b"19470815", os.fsencode(tmp_path)):
            assert secret not in content, path.name


def test_failing_run_keeps_the_results_of_the_one_before(program, result, tmp_path):
    before = {path.name: path.read_bytes() for path in result[0].iterdir()}
    assert program("analyze", tmp_path / "nope.nii", "-o", result[0]).status == 2
    assert program("analyze", Path(__file__), "-o", result[0]).status == 2
    assert {path.name: path.read_bytes() for path in result[0].iterdir()} == before


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (KeyboardInterrupt(), "stopped; no results were written"),
        (MemoryError(), "not enough memory for this volume"),
        (CovidSeverityError("the\n  reason"), "the reason"),
        (ZeroDivisionError("division by zero"), "unexpected ZeroDivisionError: division by zero (--debug shows where)"),
    ],
)
def test_other_failures_end_with_status_1_and_one_sentence(
    program, chest_folder, tmp_path, monkeypatch, error, sentence
):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(analysis_request, "analyze", fail)
    run = program("analyze", chest_folder / "ct.nii.gz", "-o", tmp_path / "out")
    assert run == (1, "", f"covid-severity: {sentence}\n")
    assert not (tmp_path / "out").exists()


def test_traceback_is_shown_on_request_before_or_after_the_command(program, tmp_path):
    missing = tmp_path / "nope.nii"
    assert "Traceback" not in program("analyze", missing).err
    for arguments in (("--debug", "analyze", missing), ("analyze", missing, "--debug")):
        status, _, err = program(*arguments)
        assert status == 2
        assert err.startswith("Traceback")
        assert err.splitlines()[-1].startswith("covid-severity: no such file")


@pytest.mark.slow
def test_output_that_knows_no_unicode_ends_no_run(tmp_path, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert command_line.main(["phantom", str(tmp_path / "Müller"), *map(str, COARSE)]) == 0
    assert rb"M\xfcller" in stream.buffer.getvalue()


@pytest.mark.slow
def test_program_runs_without_any_output(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert command_line.main(["phantom", str(tmp_path / "out"), *map(str, COARSE)]) == 0


def test_signal_handlers_are_put_back(program):
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    program("phantom", "")
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with command_line._stoppable(put_back=True):
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.slow
def test_program_runs_in_a_thread(tmp_path):
    statuses = []
    arguments = ["phantom", str(tmp_path), "--quiet", *map(str, COARSE)]
    thread = threading.Thread(target=lambda: statuses.append(command_line.main(arguments)))
    thread.start()
    thread.join()
    assert statuses == [0]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows sends no signals to other processes")
@pytest.mark.parametrize(("number", "times"), [(signal.SIGINT, 3), (signal.SIGTERM, 1)])
def test_stopped_run_leaves_nothing_behind(process, chest_folder, tmp_path, number, times):
    fine = sitk.Expand(sitk.ReadImage(str(chest_folder / "ct.nii.gz")), (3, 3, 2))  # its analysis outlasts the signals
    sitk.WriteImage(fine, str(tmp_path / "fine.nii"))
    child = process("analyze", tmp_path / "fine.nii", "-o", "a/b", "--progress", "json")
    while '"lungs"' not in child.stdout.readline():
        assert child.poll() is None
    for _ in range(times):
        child.send_signal(number)
        time.sleep(0.02)  # signals that are sent at once arrive as one
    _, err = child.communicate(timeout=20)
    assert (child.returncode, err) == (1, "covid-severity: stopped; no results were written\n")
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.slow
def test_reader_that_goes_away_ends_the_run_in_silence(process, chest_folder, tmp_path):
    child = process("analyze", chest_folder / "ct.nii.gz", "-o", "out", "--progress", "json")
    assert json.loads(child.stdout.readline()) == {"stage": "read", "done": 1, "total": 1}
    child.stdout.close()
    assert child.wait(timeout=60) == 1
    assert child.stderr.read() == ""
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.slow
def test_progress_lines_have_standard_output_to_themselves(process, chest_folder, tmp_path):
    child = process("analyze", chest_folder / "ct.nii.gz", "--progress", "json")
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0
    assert_progress(out)
    assert all(line.startswith(("info: ", "warning: ")) for line in err.splitlines())
    assert {path.name for path in (tmp_path / "work" / "ct-covid-severity").iterdir()} == NAMES


@pytest.mark.slow
def test_phantom_writes_the_chest_that_was_asked_for(program, tmp_path):
    status, out, err = program("phantom", tmp_path / "a", "--seed", 7, "--healthy", *COARSE)
    assert (status, err) == (0, "")
    assert "0 lesions" in out
    names = {"ct.nii.gz", "lungs.nii.gz", "lobes.nii.gz", "infection.nii.gz", "truth.json"}
    assert {path.name for path in (tmp_path / "a").iterdir()} == names
    truth = json.loads((tmp_path / "a" / "truth.json").read_text(encoding="utf-8"))
    assert (truth["seed"], truth["size"], truth["spacing_mm"]) == (7, [24, 24, 20], [16, 16, 16])
    assert program("phantom", tmp_path / "b", "--seed", 7, "--healthy", "--quiet", *COARSE) == (0, "", "")
    assert (
        program("phantom", tmp_path / "c", "--seed", 7, "--healthy", "--quiet", "--noise-hu", 99, *COARSE).status == 0
    )
    ct = {name: (tmp_path / name / "ct.nii.gz").read_bytes() for name in "abc"}
    assert ct["a"] == ct["b"] != ct["c"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--seed", -1), "seed -1"),
        (("--pixel-mm", 0), "pixels of 0 mm and slices of 2.2 mm: both must be lengths above 0"),
        (("--slice-mm", "nan"), "pixels of 1.2 mm and slices of nan mm: both must be lengths above 0"),
        (("--slice-mm", 100), "make 320 x 320 x 3 voxels; 16 to 768 along each axis are possible"),
        (("--pixel-mm", 1e-300), "16 to 768 along each axis are possible"),
        (("--noise-hu", -1), "noise of -1 HU; 0 to 500 HU are possible"),
        (("--noise-hu", "nan"), "noise of nan HU; 0 to 500 HU are possible"),
    ],
)
def test_impossible_phantom_is_refused(program, tmp_path, options, expected):
    status, out, err = program("phantom", tmp_path / "out", *options)
    assert (status, out) == (2, "")
    assert err.startswith("covid-severity: ")
    assert expected in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("ITK: cannot write")])
def test_phantom_that_cannot_be_written_leaves_no_folder(program, tmp_path, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr("CovidSeverityLib.evaluation.synthetic.phantom.write_phantom", fail)
    status, _, err = program("phantom", tmp_path / "out", *COARSE)
    assert status == 2
    assert err.startswith(f"covid-severity: cannot write the phantom to {tmp_path / 'out'}: ")
    assert not (tmp_path / "out").exists()


def test_phantom_of_the_default_options_is_the_default_phantom():
    spacing = (phantom.PIXEL_MM, phantom.PIXEL_MM, phantom.SLICE_MM)
    from CovidSeverityLib.evaluation.synthetic.phantom import synthesis

    assert (phantom._shape(spacing), spacing, phantom.NOISE_HU) == (
        synthesis.SHAPE,
        synthesis.SPACING_MM,
        synthesis.NOISE_SD_HU,
    )


class GoneReader(io.StringIO):
    """A stream that nobody reads any more."""

    def write(self, _text):
        raise BrokenPipeError


def test_reader_of_progress_that_goes_ends_the_run_and_is_not_taken_for_bad_input(chest_folder):
    with (
        progress_for("json", GoneReader()) as progress,
        pytest.raises(CancelledError, match="reader of the progress lines has gone"),
    ):
        CovidSeverityLib.read_ct(chest_folder / "ct.nii.gz", progress=progress)


def test_time_left_begins_anew_with_every_stage():
    stream = io.StringIO()
    with progress_for("json", stream, of_cases=True) as progress:
        for call in (("cases", 2, 3), ("cases", 3, 3), ("epochs", 1, 4), ("epochs", 2, 4)):
            progress(*call)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["stage"] for line in lines] == ["cases", "cases", "epochs", "epochs"]
    assert [line["seconds_left"] is None for line in lines] == [True, False, True, False]


@pytest.mark.slow
def test_reports_for_people_have_the_title_and_go_when_they_are_not_wanted(program, chest_folder, tmp_path):
    pytest.importorskip("reportlab", reason='ReportLab is not installed (pip install ".[pdf]")')
    command = ("analyze", chest_folder / "ct.nii.gz", "-o", tmp_path, "--quiet")
    masks = ("--lungs", chest_folder / "lungs.nii.gz")
    assert program(*command, *masks, "--pdf", "--title", "Case 7", "--language", "en").status == 0
    assert "<h1>Case 7</h1>" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert program(*command, *masks).status == 0
    assert not (tmp_path / "report.pdf").exists()
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h1>Chest CT</h1>" in page
    assert not any(name in page for name in ("ct.nii", "lungs.nii"))
    assert program(*command, *masks, "--no-html").status == 0
    assert not (tmp_path / "report.html").exists()
    assert (tmp_path / "report.json").exists()
