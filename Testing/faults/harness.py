"""Batches whose processes are given faults: the real command as a process of its own, on copies of one small chest."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from CovidSeverityLib.checked import known
from Testing.bad_inputs.entry import write_image

SITE = Path(__file__).with_name("site")
REPOSITORY = Path(__file__).parents[2]
LONGEST_SECONDS = 240.0
FORKED = {"DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD": "forkserver"}
"""A worker that takes the place of a killed one starts in a tenth of the time."""

TABLES = {"cases.csv", "cases.parquet", "failures.csv", "batch.json", "index.html", "contact_sheet_01.jpg"}
Fault = dict[str, Any]


def fault(case: str, at: str, do: str, **options: Any) -> Fault:
    """A fault: in which case, at which stage, what is done there; ``times`` says how often (once)."""
    return {"case": case, "at": at, "do": do, **options}


@dataclass(frozen=True)
class Ran:
    """How the command ended; ``left`` are processes of it that still run."""

    status: int
    out: str
    err: str
    left: tuple[str, ...]


class Running:
    """The command while it runs."""

    def __init__(self, process: subprocess.Popen, state: Path) -> None:
        self.process, self.state = process, state

    def wait_for(self, case: str, at: str) -> None:
        """Wait until a fault was begun."""
        end = time.monotonic() + LONGEST_SECONDS
        while not (self.state / f"{case}-{at}.0").exists():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end, f"{case} did not come to {at}"
            time.sleep(0.02)

    def let_go(self, case: str, at: str) -> None:
        """End a fault that holds its case."""
        (self.state / f"{case}-{at}.go").touch()

    def end(self) -> Ran:
        """Wait for the end of the command, and of its processes."""
        try:
            out, err = self.process.communicate(timeout=LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        left, end = _processes(self.process.pid), time.monotonic() + 10
        while left and time.monotonic() < end:
            time.sleep(0.05)
            left = _processes(self.process.pid)
        if left:
            os.killpg(self.process.pid, signal.SIGKILL)
        return Ran(self.process.returncode, out or "", err, left)


def _processes(session: int) -> tuple[str, ...]:
    """The processes of a session, but for those that ended and were not asked for."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except (OSError, psutil.Error):
            continue
    return tuple(found)


class Batch:
    """A folder with cases, for one or more runs of the command into one folder of results."""

    def __init__(self, root: Path, *cases: str) -> None:
        self.root, self.out, self.table = root, root / "OUT", root / "cases.csv"
        self.temporary = root / "t"  # short: the path of a socket has at most 107 bytes
        self.temporary.mkdir(parents=True)
        self._chest = write_image(root / "chest.nii.gz").read_bytes()
        self._runs = 0
        self.add(*cases)

    def add(self, *cases: str) -> None:
        """Further cases, at the end of the table."""
        known = [path.parent.name for path in sorted((self.root / "in").glob("*/ct.nii.gz"))]
        for case in cases:
            path = self.input(case)
            path.parent.mkdir(parents=True)
            path.write_bytes(self._chest)
        with self.table.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("path", "id"), *((str(self.input(c)), c) for c in (*known, *cases))])

    def input(self, case: str) -> Path:
        return self.root / "in" / case / "ct.nii.gz"

    def start(
        self, *options: str, faults: tuple[Fault, ...] = (), forked: bool = True, deaf: bool = False, **plan: Any
    ) -> Running:
        """Start the command; ``plan`` changes limits and clock, ``deaf`` closes the other end of standard output."""
        self._runs += 1
        state = self.root / f"state{self._runs}"
        self.write_plan(state, faults, **plan)
        command = [sys.executable, "-m", "CovidSeverityLib", "batch", str(self.table), "-o", str(self.out)]
        usual = ("--no-html", "--progress", "none", *(() if "--scheduler" in options else LOCAL))
        process = subprocess.Popen(
            [*command, *usual, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            cwd=self.root,
            env=self.environment(state) | (FORKED if forked else {}),
            start_new_session=True,
        )
        if deaf:
            known(process.stdout).close()
            process.stdout = None
        return Running(process, state)

    def run(self, *options: str, **more: Any) -> Ran:
        """Start the command and wait for its end."""
        return self.start(*options, **more).end()

    def write_plan(self, state: Path, faults: tuple[Fault, ...] = (), **plan: Any) -> None:
        """Write what the processes with ``environment(state)`` will suffer."""
        state.mkdir()
        (state / "plan.json").write_text(json.dumps({"faults": faults, **plan}), encoding="utf-8")

    def environment(self, state: Path) -> dict[str, str]:
        """The environment of a process with faults."""
        paths = os.pathsep.join((str(SITE), str(REPOSITORY)))
        own = {"PYTHONPATH": paths, "TMPDIR": str(self.temporary), "COVID_SEVERITY_FAULTS": str(state)}
        return os.environ | own | {"OMP_NUM_THREADS": "1"}

    def rows(self, name: str) -> dict[str, dict[str, str]]:
        """A table of the batch, by case."""
        with (self.out / name).open(encoding="utf-8", newline="") as file:
            return {row["case"]: row for row in csv.DictReader(file)}

    def failures(self) -> dict[str, tuple[str, str]]:
        """Kind and reason of each failure, by case."""
        return {case: (row["kind"], row["reason"]) for case, row in self.rows("failures.csv").items()}

    def content(self, case: str) -> dict[str, Any]:
        """The files of a case, without run times."""
        return content_of(self.out / "cases" / case)

    def stray(self, *whole: str) -> set[str]:
        """What is in the folder of results beside the tables and the cases that are whole."""
        expected = {".lock", "cases", *TABLES, *(f"cases/{case}" for case in whole)}
        return {
            name
            for path in self.out.rglob("*")
            if (name := path.relative_to(self.out).as_posix()) not in expected
            and (path.parent.name not in whole or path.name.startswith("."))
        }


LOCAL = ("--workers", "2", "--memory-per-worker", "1.2")


def content_of(folder: Path) -> dict[str, Any]:
    """The files of a folder of results by name, without run times."""
    content: dict[str, Any] = {path.name: path.read_bytes() for path in folder.iterdir()}
    report, seal = (json.loads(content[name]) for name in ("report.json", "case.json"))
    del report["provenance"]["seconds"], seal["seconds"], seal["files"]["report.json"]
    return content | {"report.json": report, "case.json": seal}
