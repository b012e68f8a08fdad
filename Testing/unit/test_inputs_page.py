"""The page of promises about inputs: every test that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

UNIT = Path(__file__).parent
PAGE = UNIT.parents[1] / "docs" / "inputs.md"


def test_every_promise_names_tests_that_exist():
    known = {name for path in UNIT.glob("test_*.py") for name in re.findall(r"def test_(\w+)", path.read_text("utf-8"))}
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ") and "---" not in line]
    promises = [row.strip("| ").split(" | ") for row in rows if not row.startswith("| input |")]
    assert len(promises) > 50
    for *_, tests in promises:
        named = re.findall(r"`([^`]+)`", tests)
        assert named, tests
        for name in named:
            if name.endswith(".py"):
                assert (UNIT / name).is_file(), name
            else:
                assert any(name.strip("…_") in test for test in known), name
