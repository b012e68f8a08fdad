"""Faults of the place for results: full, read-only, failing, removed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from Testing.faults.harness import Batch, fault


@pytest.fixture
def batch(tmp_path_factory) -> Batch:
    return Batch(tmp_path_factory.mktemp("places"), "first", "second")


@pytest.fixture
def small_disk(batch) -> Iterator[Path]:
    """A file system of its own at the place for results, with room for less than one case."""
    batch.out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", batch.out]
    if getattr(os, "geteuid", lambda: 1)() != 0 or shutil.which("mount") is None or subprocess.call(mount) != 0:
        pytest.skip("only root may mount file systems, and not in every container")
    yield batch.out
    subprocess.run(["umount", batch.out], check=True)


def test_full_disk_ends_the_batch_and_resume_goes_on_when_there_is_room(batch, small_disk):
    ran = batch.run("--workers", "1")
    assert ran.status == 2
    assert ran.err == (
        f"covid-severity: cannot write results to {small_disk}/cases/first: no space is left on the disk; stopped "
        "after 0 of 2 cases: when there is room again, --resume goes on\n"
    )
    assert sorted(path.name for path in small_disk.rglob("*")) == [".lock", "cases"]
    subprocess.run(["mount", "-o", "remount,size=30m", small_disk], check=True)
    assert batch.run("--workers", "1", "--resume").status == 0
    assert batch.stray("first", "second") == set()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    ran = batch.run("--resume")
    assert (ran.status, ran.err) == (
        2,
        f"covid-severity: cannot write results to {small_disk}: it is on a read-only disk\n",
    )


def test_disk_that_becomes_read_only_ends_the_batch(batch):
    ran = batch.run("--workers", "1", faults=(fault("second", "write", "error", error="EROFS"),))
    assert ran.status == 2
    assert ran.err == (
        f"covid-severity: cannot write results to {batch.out}/cases/second: it is on a read-only disk; stopped after 1 "
        "of 2 cases: when there is room again, --resume goes on\n"
    )
    assert batch.rows("cases.csv").keys() == {"first"}
    assert batch.stray("first") == set()


def test_error_of_the_disk_is_that_of_its_case_and_a_full_one_at_the_tables_loses_none(batch):
    faults = (fault("first", "rename", "error", error="EIO"), fault("OUT", "half", "error", error="ENOSPC"))
    ran = batch.run("--workers", "1", faults=faults)
    assert (ran.status, ran.err) == (
        2,
        f"covid-severity: cannot write results to {batch.out}: no space is left on the disk; the cases are written, "
        "--resume writes the tables\n",
    )
    assert batch.stray("second") == set()
    ran = batch.run("--workers", "1", "--resume", faults=(fault("first", "rename", "error", error="EIO"),))
    assert ran.status == 0
    assert batch.failures() == {"first": ("output", "cannot write results to cases/first: Input/output error")}
    assert batch.rows("cases.csv").keys() == {"second"}
    assert batch.stray("second") == set()


def test_results_that_are_removed_while_the_batch_runs_are_told(batch):
    running = batch.start("--workers", "1", faults=(fault("second", "lobes", "hold"),))
    running.wait_for("second", "lobes")
    shutil.rmtree(batch.out)
    running.let_go("second", "lobes")
    ran = running.end()
    assert ran.status == 0
    assert batch.failures() == {
        "first": ("output", "its results were removed while the batch ran; --resume makes them again")
    }
    assert batch.rows("cases.csv").keys() == {"second"}
    assert batch.stray("second") == set()
