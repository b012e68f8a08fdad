"""The page of promises about inputs: every test that it names exists."""

from __future__ import annotations

import re


def test_every_promise_names_tests_that_exist(repository):
    unit, page = repository / "Testing" / "unit", repository / "docs" / "inputs.md"
    known = {
        name for path in unit.rglob("test_*.py") for name in re.findall(r"def test_(\w+)", path.read_text("utf-8"))
    }
    rows = [line for line in page.read_text("utf-8").splitlines() if line.startswith("| ") and "---" not in line]
    promises = [row.strip("| ").split(" | ") for row in rows if not row.startswith("| input |")]
    assert len(promises) > 50
    for *_, tests in promises:
        named = re.findall(r"`([^`]+)`", tests)
        assert named, tests
        for name in named:
            if name.endswith(".py"):
                assert (unit / name).is_file(), name
            else:
                assert any(name.strip("…_") in test for test in known), name
