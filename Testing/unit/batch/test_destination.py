"""Where the results of a batch go."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from ftplib import error_reply
from pathlib import Path

import pytest

from CovidSeverityLib.batch import remote
from CovidSeverityLib.batch.destination import LocalDestination, RemoteDestination, destination_of
from CovidSeverityLib.errors import OutputError
from CovidSeverityLib.reporting.output_folder import write_together

pytest.importorskip("fsspec", reason="fsspec is not installed")
locket = pytest.importorskip("locket", reason="distributed is not installed")
REPOSITORY = Path(__file__).parents[3]


def text(content: str):
    return lambda path: path.write_text(content)


@pytest.fixture(params=["local", "file", "ftp"])
def place(request, tmp_path, ftp):
    """A destination and the folder that it stands for, which does not exist yet."""
    if request.param == "local":
        yield LocalDestination(tmp_path / "out"), tmp_path / "out"
    elif request.param == "file":
        yield RemoteDestination(f"file://{tmp_path}/out"), tmp_path / "out"
    else:
        yield RemoteDestination(f"{ftp.address}/results/out"), ftp.root / "results" / "out"
        shutil.rmtree(ftp.root / "results", ignore_errors=True)


def write_case(destination, name="P 1", content="one", **more):
    files = {"report.json": content, "dicom/report.dcm": "object", **more, "case.json": f"{{{content}}}"}
    with destination.case_folder(name) as folder:
        write_together(folder, {name: text(value) for name, value in files.items()})


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def test_a_case_is_written_read_and_measured(place):
    destination, folder = pickle.loads(pickle.dumps(place[0])), place[1]
    destination.check()
    with destination.lock():
        write_case(destination)
    assert contents(folder) == {
        "cases/P 1/report.json": "one",
        "cases/P 1/dicom/report.dcm": "object",
        "cases/P 1/case.json": "{one}",
    }
    assert destination.read("cases/P 1/case.json") == b"{one}"
    assert destination.size("cases/P 1/dicom/report.dcm") == 6
    assert destination.size("cases/P 1/gone.json") is None
    assert destination.size("cases/P 2/case.json") is None
    assert destination.size("cases/P 1") is None
    for name in ("cases/P 1/gone.json", "cases/P 2/case.json", "gone"):
        with pytest.raises(FileNotFoundError):
            destination.read(name)


def test_what_is_written_again_is_read_again(place):
    destination, _ = place
    write_case(destination)
    assert destination.read("cases/P 1/report.json") == b"one"
    write_case(destination, content="second")
    assert destination.read("cases/P 1/report.json") == b"second"
    assert destination.size("cases/P 1/report.json") == 6


def test_a_case_that_fails_leaves_what_was_there(place):
    destination, folder = place
    write_case(destination)
    before = contents(folder)
    for name in ("P 1", "P 2"):
        with pytest.raises(ZeroDivisionError), destination.case_folder(name) as case:
            write_together(case, {"report.json": text("two"), "case.json": lambda path: 1 / 0})
    assert contents(folder) == before
    assert not (folder / "cases" / "P 2").exists()


def test_files_beside_the_cases_are_published_and_old_ones_removed(place):
    destination, folder = place
    destination.check(["cases.csv"])
    destination.publish({"sheet_2.jpg": text("old"), "cases.csv": text("old")})
    destination.publish({"index.html": text("new"), "cases.csv": text("new")}, obsolete=["sheet_2.jpg", "sheet_3.jpg"])
    assert contents(folder) == {"index.html": "new", "cases.csv": "new"}


def test_a_check_leaves_nothing_behind_and_finds_what_is_in_the_way(place):
    destination, folder = place
    destination.check(["cases.csv"])
    assert contents(folder) == {}
    (folder / "cases.csv").mkdir()
    with pytest.raises(OutputError, match=r"a folder has the name of a result.*cases\.csv"):
        destination.check(["cases.csv"])


@pytest.mark.parametrize("name", ["../P1", "a/b", "", ".", "/etc", "a\\b"])
def test_names_that_lead_elsewhere_are_refused(place, name):
    with pytest.raises(ValueError, match="is not"), place[0].case_folder(name):
        pass
    if "P1" in name:
        with pytest.raises(ValueError, match="is not"):
            place[0].read(name)


# --- a folder


def test_what_a_killed_writer_left_is_removed_and_the_rest_stays(tmp_path):
    destination = LocalDestination(tmp_path)
    case = tmp_path / "cases" / "P1"
    (case / ".covid-severity-abc" / "dicom").mkdir(parents=True)
    (case / ".covid-severity-abc" / "dicom" / "half.dcm").touch()
    (case / "notes.txt").touch()
    (tmp_path / ".covid-severity-def").mkdir()
    with destination.case_folder("P1") as folder:
        assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    with destination.lock():
        assert not (tmp_path / ".covid-severity-def").exists()
    assert (case / "notes.txt").exists()


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "out").touch()
    destination = LocalDestination(tmp_path / "out")
    for action in (destination.check, lambda: destination.lock().__enter__(), lambda: write_case(destination)):
        with pytest.raises(OutputError, match="is a file, not a folder"):
            action()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "cases").touch()
    with pytest.raises(OutputError, match="it is a file, not a folder"):
        LocalDestination(tmp_path / "other").check()


def test_a_second_batch_is_refused_at_once_also_in_the_same_process(tmp_path):
    first, second = LocalDestination(tmp_path / "out"), LocalDestination(tmp_path / "x" / ".." / "out")
    (tmp_path / "x").mkdir()
    with first.lock():
        for other in (first, second):
            with pytest.raises(OutputError, match="another batch is writing to"), other.lock():
                pytest.fail("two batches hold the lock")
    with second.lock():
        pass


HOLD = """
import sys, time
from CovidSeverityLib.batch import remote
from CovidSeverityLib.batch.destination import destination_of

with destination_of(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="kill is of POSIX")
def test_a_lock_goes_with_its_process_however_it_ends(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        destination = LocalDestination(tmp_path)
        with pytest.raises(OutputError, match="another batch"), destination.lock():
            pass
        process.send_signal(signal.SIGKILL)
    with destination.lock():
        pass


# --- an address


def test_a_case_that_was_sent_before_is_replaced_as_a_whole(ftp):
    destination = RemoteDestination(f"{ftp.address}/replaced")
    write_case(destination, **{"report.pdf": "old"})
    write_case(destination, content="two")
    assert sorted(contents(ftp.root / "replaced" / "cases" / "P 1")) == ["case.json", "dicom/report.dcm", "report.json"]


def test_a_case_that_cannot_be_sent_whole_has_no_case_file(ftp):
    destination = RemoteDestination(f"{ftp.address}/broken")
    write_case(destination)
    ftp.deny(ftp.root / "broken" / "cases" / "P 1" / "dicom", "elr")
    with pytest.raises(OutputError) as caught:
        write_case(destination, content="two")
    assert str(caught.value).startswith(f"{ftp.shown}/broken cannot be written to: 550")
    assert destination.size("cases/P 1/case.json") is None


def test_what_cannot_be_written_to_is_said_before_any_analysis(ftp, tmp_path):
    (ftp.root / "readonly").mkdir()
    ftp.deny(ftp.root / "readonly", "elr")
    wrong = ftp.address.replace("s3cret-word", "wr0ng")
    for address, said in [
        (f"{ftp.address}/readonly", f"{ftp.shown}/readonly cannot be written to: 550 Not enough privileges."),
        (f"{wrong}/out", f"{ftp.shown}/out cannot be written to: 530 Authentication failed."),
        ("ftp://jane:s3cret-word@127.0.0.1:9/out", "ftp://127.0.0.1:9/out cannot be written to: Connection refused"),
        (f"zip://out::{tmp_path}/a.zip", f"zip://out::{tmp_path}/a.zip is in an archive"),
    ]:
        with pytest.raises(OutputError) as caught:
            destination_of(address).check()
        assert str(caught.value).startswith(said)
        assert "s3cret" not in repr(destination_of(address)) + destination_of(address).shown


def test_a_computer_without_room_for_temporary_files_is_said(ftp, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    destination = RemoteDestination(f"{ftp.address}/out")
    for action in (destination.check, lambda: write_case(destination), lambda: destination.publish({"a": text("a")})):
        with pytest.raises(OutputError, match=r"no temporary folder can be made \(No such file or directory\); TMPDIR"):
            action()


def test_a_connection_that_broke_is_made_anew(ftp):
    destination = RemoteDestination(f"{ftp.address}/anew")
    write_case(destination)
    assert destination.read("cases/P 1/report.json") == b"one"
    system, _ = remote._KEPT.connections[destination.address]
    system.ftp.sock.shutdown(socket.SHUT_RDWR)
    assert destination.read("cases/P 1/report.json") == b"one"
    assert remote._KEPT.connections[destination.address][0] is not system


def test_a_refusal_of_an_ftp_server_is_not_taken_for_a_missing_file():
    """The package that fsspec has for FTP says FileNotFoundError for every refusal."""
    for answer, said in [("421 Timeout.", "421 Timeout."), ("550 No such file.", "it is not there")]:
        missing = FileNotFoundError("cts/P1")
        missing.__cause__ = error_reply(answer)
        assert remote.reason_of(missing, "ftp://host/cts/P1") == said
