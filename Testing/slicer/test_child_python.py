"""The library's command as a child of Slicer: its interpreter, its surroundings, and whole runs of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")

from CovidSeveritySlicer.analysis import ChildPython
from CovidSeveritySlicer.analysis import Job as jobs
from CovidSeveritySlicer.analysis.Job import Job, JobStatus, childEnvironment, libraryJob, libraryRoot, pythonCommand

from CovidSeverityLib.evaluation.synthetic.phantom import write_phantom

REPOSITORY = Path(__file__).parents[2]

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


class NoTimer:
    """For jobs that are waited for."""

    def __init__(self, *_, **__):
        pass

    def start(self):
        pass

    def stop(self):
        pass


@pytest.fixture(scope="session")
def tiny_folder(tiny_chest, tmp_path_factory):
    """A folder with the files of ``tiny_chest``."""
    folder = tmp_path_factory.mktemp("tiny")
    write_phantom(tiny_chest, folder)
    return folder


def run(job):
    job.start()
    return job.wait()


def wait_until_gone(process_id):
    until = time.monotonic() + 20
    while Path(f"/proc/{process_id}").exists():
        assert time.monotonic() < until, f"{process_id} still runs"
        time.sleep(0.02)


def test_the_interpreter_is_that_of_the_application(monkeypatch, tmp_path, slicer):
    assert pythonCommand() == [sys.executable]
    launcher = tmp_path / "bin" / "PythonSlicer"
    launcher.parent.mkdir()
    launcher.write_text("#!/bin/sh\n", encoding="ascii")
    launcher.chmod(0o755)
    monkeypatch.setattr(slicer.app, "slicerHome", str(tmp_path), raising=False)
    assert pythonCommand() == [str(launcher)]
    first = tmp_path / "first" / "PythonSlicer"  # as Slicer itself looks for it: on the path before anywhere else
    first.parent.mkdir()
    shutil.copy(launcher, first)
    monkeypatch.setenv("PATH", str(first.parent), prepend=os.pathsep)
    assert pythonCommand() == [str(first)]
    first.unlink()
    launcher.unlink()
    with pytest.raises(FileNotFoundError, match=r"PythonSlicer was found neither on the path nor in .*"):
        pythonCommand()


@pytest.mark.parametrize("layout", ["source", "installed"])
def test_the_library_is_found_beside_the_module_or_above_it(monkeypatch, tmp_path, layout):
    module = tmp_path / "CovidSeverity" if layout == "source" else tmp_path
    package = module / "CovidSeveritySlicer" / "analysis"
    package.mkdir(parents=True)
    monkeypatch.setattr(ChildPython, "__file__", str(package / "ChildPython.py"))
    with pytest.raises(FileNotFoundError, match="CovidSeverityLib is neither in"):
        libraryRoot()
    (tmp_path / "CovidSeverityLib").mkdir()
    (tmp_path / "CovidSeverityLib" / "__main__.py").touch()
    assert libraryRoot() == tmp_path.resolve()


def test_the_library_of_the_source_is_that_of_the_repository():
    assert libraryRoot() == REPOSITORY


SURROUNDINGS = """
import importlib.util, json, os, sys
seen = [importlib.util.find_spec("CovidSeverityLib").origin, sys.flags.utf8_mode, sys.stdout.encoding, dict(os.environ)]
print(json.dumps(seen), file=sys.stderr)
"""


def test_the_child_sees_the_library_and_slicers_variables_but_no_debugging_ones(monkeypatch):
    variables = {
        "PYTHONPATH": "/slicer/qt-scripted-modules",
        "SSL_CERT_FILE": "/slicer/Slicer.crt",
        "COVID_SEVERITY_MODELS": "/models",
        "PYTHONINSPECT": "1",
        "PYTHONWARNINGS": "error",
        "PYTHONSAFEPATH": "1",
        "MPLBACKEND": "module://nowhere",
        "PYTHONIOENCODING": "ascii",
    }
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    job = Job([sys.executable, "-c", SURROUNDINGS], childEnvironment(), folder=libraryRoot(), timerFactory=NoTimer)
    outcome = run(job)
    assert outcome.status is JobStatus.SUCCEEDED, outcome
    library, utf8_mode, encoding, seen = json.loads(outcome.log)
    assert Path(library) == REPOSITORY / "CovidSeverityLib" / "__init__.py"
    assert (utf8_mode, encoding) == (1, "utf-8")
    assert seen["PYTHONPATH"].split(os.pathsep) == [str(REPOSITORY), "/slicer/qt-scripted-modules"]
    assert (seen["SSL_CERT_FILE"], seen["COVID_SEVERITY_MODELS"]) == ("/slicer/Slicer.crt", "/models")
    assert (seen["MPLBACKEND"], seen["PYTHONUNBUFFERED"]) == ("Agg", "1")
    assert not {"PYTHONINSPECT", "PYTHONWARNINGS", "PYTHONSAFEPATH"} & set(seen)
    assert os.environ["PYTHONINSPECT"] == "1"


def test_the_child_finds_programs_of_packages_in_slicers_python_after_those_of_the_user(monkeypatch, tmp_path):
    for folder in ("users", "scripts"):
        (tmp_path / folder).mkdir()
    for path in (tmp_path / "scripts" / "segmenter", tmp_path / "scripts" / "both", tmp_path / "users" / "both"):
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "users"))
    monkeypatch.setattr(ChildPython.sysconfig, "get_path", lambda name: str(tmp_path / name))
    path = childEnvironment()["PATH"]
    assert shutil.which("segmenter", path=path) == str(tmp_path / "scripts" / "segmenter")
    assert shutil.which("both", path=path) == str(tmp_path / "users" / "both")


def test_this_library_wins_over_another_one_on_the_path_and_over_files_where_slicer_was_started(monkeypatch, tmp_path):
    for folder, name in (("other", "CovidSeverityLib"), ("here", "CovidSeverityLib"), ("here", "numpy")):
        package = tmp_path / folder / name
        package.mkdir(parents=True)
        for file in ("__init__.py", "__main__.py"):
            (package / file).write_text("raise SystemExit('the wrong one')", encoding="ascii")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(
        ChildPython, "childEnvironment", lambda: {**childEnvironment(), "PYTHONPATH": str(tmp_path / "other")}
    )
    monkeypatch.setattr(jobs, "childEnvironment", ChildPython.childEnvironment)
    outcome = run(libraryJob(["--version"], timerFactory=NoTimer))
    assert (outcome.status, outcome.log.split()[0]) == (JobStatus.SUCCEEDED, "covid-severity")


# The real command


def test_refused_input_tells_the_sentence_of_the_library(tmp_path):
    job = libraryJob(["analyze", str(tmp_path / "absent.nii.gz"), "--progress", "json"], timerFactory=NoTimer)
    outcome = run(job)
    assert (outcome.status, outcome.exitCode) == (JobStatus.REFUSED, 2)
    assert "absent.nii.gz" in outcome.message
    assert "covid-severity" not in outcome.message
    assert f"covid-severity: {outcome.message}" in outcome.log.splitlines()


@linux_only
def test_cancel_of_the_real_command_leaves_no_file(tiny_folder, tmp_path):
    out = tmp_path / "out"
    job = libraryJob(
        ["analyze", str(tiny_folder / "ct.nii.gz"), "-o", str(out), "--progress", "json"], timerFactory=NoTimer
    )
    job.progressed.connect(lambda stage, done, total: job.cancel() if stage == "lungs" else None)
    began = time.monotonic()
    outcome = run(job)
    assert outcome.status is JobStatus.CANCELLED
    assert outcome.log == "covid-severity: stopped; no results were written"
    assert not out.exists()
    assert time.monotonic() - began < 10


CRASHING_SLICER = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
sys.path.insert(0, sys.argv[2])
import types
sys.modules["slicer"] = types.ModuleType("slicer")
sys.modules["slicer.i18n"] = types.SimpleNamespace(tr=str)
from CovidSeveritySlicer.analysis.Job import libraryJob
class NoTimer:
    def __init__(self, *_, **__): pass
    def start(self): pass
    def stop(self): pass
job = libraryJob(["analyze", *sys.argv[3:], "--progress", "json"], timerFactory=NoTimer)
job.start()
print(job._tree.processId, flush=True)
def crash(stage, done, total):
    if stage == "lungs":
        os.kill(os.getpid(), signal.SIGKILL)
job.progressed.connect(crash)
job.wait()
"""


@linux_only
def test_a_child_of_a_slicer_that_crashed_ends_itself_and_leaves_no_file(tiny_folder, tmp_path):
    arguments = [REPOSITORY, REPOSITORY / "CovidSeverity", tiny_folder / "ct.nii.gz", "-o", tmp_path / "out"]
    application = subprocess.run(
        [sys.executable, "-c", CRASHING_SLICER, *map(str, arguments)], capture_output=True, text=True, timeout=60
    )
    assert application.returncode == -signal.SIGKILL, application.stderr
    child = int(application.stdout)
    wait_until_gone(child)
    assert not (tmp_path / "out").exists()


@linux_only
def test_an_application_that_ends_takes_a_running_child_with_it(tmp_path):
    code = (
        CRASHING_SLICER.partition("job = libraryJob")[0]
        + """
from CovidSeveritySlicer.analysis.Job import Job
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
job = Job([sys.executable, "-c", stubborn], timerFactory=NoTimer)
job.start()
print(job._tree.processId, flush=True)
"""
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(REPOSITORY), str(REPOSITORY / "CovidSeverity")], capture_output=True, text=True
    )
    child = int(ran.stdout)
    wait_until_gone(child)
