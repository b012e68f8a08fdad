"""The module's own tests, which Slicer runs, run here on Slicer's scene with stand-ins for its Qt."""

from __future__ import annotations

import importlib
import unittest
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")

ROOT = Path(__file__).parents[2]


def failures_of(suite):
    result = unittest.TestResult()
    suite.run(result)
    assert result.testsRun == suite.countTestCases() > 0
    return [trace for _, trace in (*result.failures, *result.errors)]


@pytest.fixture
def module(slicer_with_qt):
    slicer_with_qt.app.moduleManager().load(ROOT / "CovidSeverity" / "CovidSeverity.py")
    return importlib.import_module("CovidSeverity")


def test_self_tests_pass(module):
    assert failures_of(unittest.defaultTestLoader.loadTestsFromModule(module)) == []


def test_reload_and_test_runs_every_self_test(module, slicer_with_qt, monkeypatch):
    case, ran = module.CovidSeverityTest, []
    names = unittest.defaultTestLoader.getTestCaseNames(case)
    for name in names:
        monkeypatch.setattr(case, name, lambda self, name=name: ran.append(name))
    slicer_with_qt.selfTests["CovidSeverity"]()
    assert ran == list(names)
    assert len(names) >= 4


def test_tests_of_the_package_pass(module):
    spec = importlib.util.spec_from_file_location(
        "package", ROOT / "Testing" / "Python" / "CovidSeverityPackageTest.py"
    )
    package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    assert failures_of(unittest.defaultTestLoader.loadTestsFromModule(package)) == []
