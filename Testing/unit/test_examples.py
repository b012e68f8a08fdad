"""Every example in a docstring runs, every public name has one, and the page of public names is as the code says."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import importlib.util
import inspect
import re
import shutil
import sys
from pathlib import Path

import pytest

import CovidSeverityLib
from CovidSeverityLib import api

ROOT = Path(__file__).parents[2]
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "CovidSeverityLib").rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)
NAMES = [name for name in api.__all__ if name != "__version__"]


@pytest.fixture(scope="module")
def lister():
    spec = importlib.util.spec_from_file_location("list_api", ROOT / "docs" / "list_api.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def examples(lister, tmp_path_factory):
    """The folder in which the examples run."""
    folder = tmp_path_factory.mktemp("examples")
    lister.write_examples(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_run(name, examples, tmp_path, monkeypatch):
    shutil.copytree(examples, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    module = importlib.import_module(name)
    report = []
    runner = doctest.DocTestRunner(verbose=False)
    found = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    assert found
    for test in found:
        runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


def test_no_example_is_skipped():
    skipped = [
        name
        for name in WITH_EXAMPLES
        if "+SKIP" in Path(sys.modules.get(name, importlib.import_module(name)).__file__).read_text(encoding="utf-8")
    ]
    assert skipped == []


@pytest.mark.parametrize("name", NAMES)
def test_public_name_has_an_example_and_every_parameter_with_its_type(name):
    value = getattr(CovidSeverityLib, name)
    text = inspect.getdoc(value)
    assert ">>> " in text.partition("\nExamples\n--------\n")[2]
    if inspect.isclass(value) and not dataclasses.is_dataclass(value):
        return
    parameters = text.partition("\nParameters\n----------\n")[2].partition("\n\n")[0]
    listed = re.findall(r"^(\w[\w, ]*) : \S", parameters, re.MULTILINE)
    wanted = (
        [field.name for field in dataclasses.fields(value)]
        if inspect.isclass(value)
        else [*inspect.signature(value).parameters]
    )
    assert [name for names in listed for name in names.split(", ")] == wanted
    described = re.findall(r"^\w[\w, ]* : .+\n    \S", parameters, re.MULTILINE)
    assert len(described) == len(listed)
    if inspect.isfunction(value):
        assert "\nReturns\n-------\n" in text
        assert "\nRaises\n------\n" in text


def test_page_is_as_the_code_says(lister):
    assert lister.PAGE.read_text(encoding="utf-8") == lister.page(), "run python docs/list_api.py"


def test_page_has_every_name(lister):
    headings = re.findall(r"^### (\w+)$", lister.page(), re.MULTILINE)
    assert sorted(headings) == sorted(NAMES)
