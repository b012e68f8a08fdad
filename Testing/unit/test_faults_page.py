"""The page of faults names tests that exist, and every test of faults is on it; so is every kind of bad input."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "faults.md"
OF_THE_RUN = {
    "test_nothing_is_half_written_and_every_case_is_told_once",
    "test_run_comes_to_its_end_and_says_what_failed_in_one_line",
    "test_nothing_else_is_left",
}
"""They show what is always promised."""


def names_in(folder: Path) -> set[str]:
    return {
        name
        for path in folder.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }


def named() -> set[str]:
    return set(re.findall(r"`(test_\w+)`", PAGE.read_text(encoding="utf-8")))


def test_tests_that_the_page_names_exist():
    assert named() - names_in(ROOT / "Testing") == set()


def test_every_test_of_faults_is_on_the_page():
    assert names_in(ROOT / "Testing" / "faults") - OF_THE_RUN - named() == set()


def test_every_line_of_the_table_names_a_test():
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    assert [row for row in rows if "`test_" not in row.split(" | ")[-1]] == []


def test_page_of_bad_inputs_is_that_of_the_catalogue(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    page = importlib.import_module("list_bad_inputs").page()
    assert (ROOT / "docs" / "bad-inputs.md").read_text("utf-8") == page, "run python docs/list_bad_inputs.py"
    assert page.count("\n| `") > 200
