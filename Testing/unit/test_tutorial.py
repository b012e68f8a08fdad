"""The tutorial: its samples and buttons exist. ``.ci/run`` compares its score with that of the sample."""

from __future__ import annotations

import ast

import pytest


@pytest.fixture(scope="module")
def tutorial(repository):
    return (repository / "docs" / "tutorial.md").read_text(encoding="utf-8")


def test_samples_have_the_names_of_the_module(repository, tutorial):
    source = (repository / "CovidSeverity/CovidSeveritySlicer/SampleDataSources.py").read_text(encoding="utf-8")
    assigned = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    names = {node.targets[0].id: node.value.value for node in assigned if isinstance(node.value, ast.Constant)}
    for name in (names["SYNTHETIC_CHEST"], names["COVID_CHEST"], names["CATEGORY"]):
        assert f"**{name}**" in tutorial


def test_buttons_are_those_of_the_panel(repository, tutorial):
    panel = (repository / "CovidSeverity/Resources/UI/CovidSeverity.ui").read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in (repository / "CovidSeverity").rglob("*.py"))
    buttons = ("Analyze", "Worst slice", "Show 3-D", "Tables", "Opacity chart", "Histogram", "Correct")
    for button in (*buttons, "Save report...", "Export DICOM..."):
        assert f"**{button}**" in tutorial
        assert f">{button}<" in panel or f'"{button}"' in code
