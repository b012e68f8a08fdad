"""Faults of the whole run: killed at every stage, stopped by its user, its results damaged, its readers gone."""

from __future__ import annotations

import os
import re
import signal

import pytest

from Testing.faults.harness import Batch, Ran, fault

KILLS = (
    ("first", "read"),
    ("first", "lobes"),
    ("second", "half"),
    ("second", "rename"),
    ("OUT", "half"),
    ("OUT", "rename"),
)
"""In which case, or in the tables, and where all processes of a run are killed, one run after the other."""


@pytest.fixture(scope="module")
def batch(tmp_path_factory) -> Batch:
    return Batch(tmp_path_factory.mktemp("runs"), "first", "second")


@pytest.fixture(scope="module")
def killed(batch) -> dict[tuple[str, str], Ran]:
    """Runs that go on with each other, and are killed."""
    return {(case, at): batch.run("--resume", faults=(fault(case, at, "kill-run"),)) for case, at in KILLS}


@pytest.fixture(scope="module")
def resumed(batch, killed) -> Ran:
    """The run that comes to its end after them."""
    return batch.run("--resume")


@pytest.mark.parametrize("place", KILLS, ids="-".join)
def test_run_that_is_killed_leaves_no_process(killed, place):
    assert killed[place].status == -signal.SIGKILL
    assert killed[place].left == ()


def test_run_after_those_that_were_killed_has_the_same_bits_and_nothing_else(batch, resumed, reference):
    assert (resumed.status, resumed.err, resumed.left) == (0, "", ())
    assert resumed.out.startswith("2 cases analysed, 2 of them by an earlier run, 0 failed\n")
    row, content = reference
    for case in ("first", "second"):
        assert batch.content(case) == content
        assert batch.rows("cases.csv")[case] == row | {"case": case, "folder": f"cases/{case}"}
    assert batch.stray("first", "second") == set()


@pytest.fixture(scope="module")
def damaged(batch, resumed) -> Ran:
    """A run after results and inputs were changed."""
    picture = batch.out / "cases" / "first" / "overview.png"
    content = bytearray(picture.read_bytes())
    content[len(content) // 2] ^= 1
    picture.write_bytes(content)
    with batch.input("second").open("ab") as file:
        file.write(b"\0")
    return batch.run("--resume")


def test_what_is_damaged_or_changed_is_done_again_and_said(batch, damaged, reference):
    assert damaged.status == 0
    assert damaged.err == (
        "note: first was analysed again: overview.png was changed\nnote: second was analysed again: the input changed\n"
    )
    assert batch.content("first") == reference[1]
    assert batch.content("second")["overview.png"] == reference[1]["overview.png"]
    assert batch.rows("cases.csv")["first"]["input_sha256"] != batch.rows("cases.csv")["second"]["input_sha256"]


@pytest.fixture(scope="module")
def stopped(batch, damaged) -> dict[str, Ran]:
    """Runs that are stopped while a third case is analysed."""
    batch.add("third")
    found = {}
    for name, stop in (
        ("Ctrl-C", lambda process: os.killpg(process.pid, signal.SIGINT)),
        ("SIGTERM", lambda process: process.send_signal(signal.SIGTERM)),
    ):
        running = batch.start("--resume", faults=(fault("third", "lobes", "hold"),))
        running.wait_for("third", "lobes")
        stop(running.process)
        found[name] = running.end()
        found[f"{name}: tables"] = list(batch.rows("cases.csv"))
    return found


@pytest.mark.parametrize("name", ["Ctrl-C", "SIGTERM"])
def test_run_that_is_stopped_writes_what_is_finished(stopped, batch, name):
    ran = stopped[name]
    assert (ran.status, ran.out, ran.left) == (1, "", ())
    assert ran.err == "covid-severity: stopped after 2 of 3 cases; --resume goes on with the rest\n"
    assert stopped[f"{name}: tables"] == ["first", "second"]
    assert batch.stray("first", "second") == set()


def test_reader_of_progress_that_goes_ends_the_run(batch, stopped):
    ran = batch.run("--resume", "--progress", "json", deaf=True)
    assert ran.status == 1
    assert re.fullmatch(r"covid-severity: stopped after \d of 3 cases; --resume goes on with the rest\n", ran.err)
    assert batch.rows("cases.csv").keys() == {"first", "second"}


def test_output_that_nobody_reads_loses_no_result(batch, stopped):
    ran = batch.run("--resume", deaf=True)
    assert (ran.status, ran.err, ran.left) == (1, "", ())
    assert batch.rows("cases.csv").keys() == {"first", "second", "third"}
    assert batch.stray("first", "second", "third") == set()
