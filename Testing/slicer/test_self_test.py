"""The module's own tests, which Slicer runs, run here on Slicer's scene with stand-ins for its Qt."""

from __future__ import annotations

import importlib
import json
import re
import shutil
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


def test_batch_script_of_the_readme_reports_every_ct(
    module, slicer_with_qt, chest_file, copying_job, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(slicer_with_qt.util.getModuleLogic("CovidSeverity")._logic, "_makeJob", copying_job)
    (tmp_path / "cts").mkdir()
    shutil.copy(chest_file, tmp_path / "cts")
    (tmp_path / "cts" / "broken.nii.gz").write_bytes(b"")
    (script,) = re.findall(
        r"```python\n(# batch\.py\n.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    exec(compile(script.replace("/data", tmp_path.as_posix()), "batch.py", "exec"), {})
    report = json.loads((tmp_path / "results" / "chest" / "report.json").read_bytes())
    told = capsys.readouterr().out
    assert f"chest.nii.gz CTSS {report['ctss']['total']} " in told
    assert "broken.nii.gz failed: " in told
