"""The whole catalogue of bad inputs in one batch: every bad one is named with its reason, no good one is lost."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from Testing.bad_inputs import CATALOGUE, OK, UnavailableError, Written, broken_files, write

SPARSE_BYTES = 2**26 + 1
"""Size of holes: a batch reads an input whole for its checksum, where ``analyze`` does not."""

LONGEST_SECONDS = 300
DASKS = {"dask-scratch-space", "global.lock", "purge.lock"}
"""What Dask keeps to find the files of killed workers: a folder that is empty but for locks."""

OK_BUT_NO_NAME = {kind.name for kind in CATALOGUE if kind.expected == OK and not kind.name.startswith("name-")}
"""Their values are checked where they are read; here they would take two seconds each."""


@dataclass(frozen=True)
class Ran:
    """A batch that ended: its inputs by case, its folders, and what the process said."""

    cases: dict[str, Written]
    root: Path
    status: int
    err: str

    @property
    def out(self) -> Path:
        return self.root / "OUT"

    def table(self, name: str) -> dict[str, dict[str, str]]:
        """A table of the batch, by case."""
        with (self.out / name).open(encoding="utf-8", newline="") as file:
            return {row["case"]: row for row in csv.DictReader(file)}


def row_of(made: Written) -> tuple[str, ...]:
    """The row for an input; the name of a good file is that of its case."""
    path, case = str(made.path), made.kind.name
    try:
        path.encode()
    except UnicodeEncodeError:  # a table is UTF-8: the file is found in its folder
        path = str(made.path.parent)
    if made.kind.expected == OK and path != str(made.path.parent):
        case = made.path.name.removesuffix(".nii.gz")
    return path, case, str(made.lungs or ""), str(made.lobes or "")


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Ran:
    root = tmp_path_factory.mktemp("batch")
    (root / "in").mkdir()
    (root / "tmp").mkdir()
    cases = {}
    with pytest.MonkeyPatch.context() as patch, (root / "cases.csv").open("w", encoding="utf-8", newline="") as file:
        patch.setattr(broken_files, "SPARSE_BYTES", SPARSE_BYTES)
        table = csv.writer(file)
        table.writerow(("path", "id", "lungs", "lobes"))
        for kind in CATALOGUE:
            if kind.name in OK_BUT_NO_NAME:
                continue
            try:
                row = row_of(made := write(kind, root / "in"))
            except UnavailableError:
                continue
            cases[row[1]] = made
            table.writerow(row)
    command = [sys.executable, "-m", "CovidSeverityLib", "batch", root / "cases.csv", "-o", root / "OUT"]
    done = subprocess.run(
        [*command, "--workers", "2", "--memory-per-worker", "2", "--no-html", "--quiet"],
        capture_output=True,
        env=os.environ | {"TMPDIR": str(root / "tmp"), "OMP_NUM_THREADS": "1"},
        timeout=LONGEST_SECONDS,
        check=False,
        cwd=root,
    )
    assert done.stdout == b""
    return Ran(cases, root, done.returncode, done.stderr.decode())


def bad(ran: Ran) -> dict[str, Written]:
    return {case: made for case, made in ran.cases.items() if made.kind.expected != OK}


def test_run_comes_to_its_end_and_says_what_failed_in_one_line(ran):
    assert ran.status == 0, ran.err
    assert re.fullmatch(rf"warning: {len(bad(ran))} cases failed \(.*\): failures\.csv says why\n", ran.err), ran.err


def test_every_bad_input_is_listed_with_its_sentence(ran):
    failures = ran.table("failures.csv")
    assert failures.keys() == bad(ran).keys()
    for case, made in bad(ran).items():
        row = failures[case]
        assert row["kind"] == made.kind.failure, row
        assert re.search(made.kind.expected, row["reason"]), row
        assert row["reason"].isprintable(), row
        assert str(ran.root) not in row["reason"], row
        assert "Traceback" not in row["reason"], row


def test_good_inputs_among_them_are_whole(ran):
    good = ran.cases.keys() - bad(ran).keys()
    rows = ran.table("cases.csv")
    assert rows.keys() == good
    assert len({row["folder"].casefold() for row in rows.values()}) == len(good) == 5
    assert len({(row["ctss"], row["opacity_percent"], row["lung_ml"]) for row in rows.values()}) == 1
    for row in rows.values():
        folder = ran.out / row["folder"]
        seal = json.loads((folder / "case.json").read_text("utf-8"))
        assert {path.name for path in folder.iterdir()} >= {"report.json", "overview.png", "thumbnail.jpg"}
        assert seal["input_sha256"] == row["input_sha256"]


def test_nothing_else_is_left(ran):
    written = {path.relative_to(ran.out).as_posix() for path in ran.out.rglob("*")}
    folders = {row["folder"] for row in ran.table("cases.csv").values()}
    tables = {"cases.csv", "cases.parquet", "failures.csv", "batch.json", "index.html", "contact_sheet_01.jpg"}
    below = {name for name in written if name.rpartition("/")[0] in folders}
    assert written - below - folders - {"cases", ".lock"} == tables
    assert not [name for name in below if name.rpartition("/")[2].startswith(".")]
    assert {path.name for path in (ran.root / "tmp").rglob("*")} <= DASKS
    assert {path.name for path in ran.root.iterdir()} == {"in", "tmp", "OUT", "cases.csv"}
