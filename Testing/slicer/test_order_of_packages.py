"""Packages of the Slicer side import each other in one direction only."""

from __future__ import annotations

from pathlib import Path

import pytest

from Testing.import_graph import against_order, circles, graph_of_packages, import_graph

MODULE = Path(__file__).parents[2] / "CovidSeverity"
PACKAGE = "CovidSeveritySlicer"

ORDER = (
    ("ModuleLogic", "SelfTest"),
    ("panel", "Parameters", "SampleDataSources"),
    ("analysis", "corrections"),
    ("scene",),
    ("events", "nodes"),
)


@pytest.fixture(scope="module")
def graph():
    """All imports, those in functions and for type checkers too."""
    graph = import_graph(MODULE, PACKAGE)
    assert f"{PACKAGE}.scene.Tables" in graph[f"{PACKAGE}.scene.SceneBridge"]
    return graph


def test_no_files_import_each_other_in_a_circle(graph):
    assert circles(graph) == []


def test_packages_import_downwards_only(graph):
    packages = graph_of_packages(graph)
    assert circles(packages) == []
    assert packages.pop(PACKAGE) == set()
    ranks = [[f"{PACKAGE}.{name}" for name in names] for names in ORDER]
    assert against_order(packages, ranks) == []


DIALOGS = ("errorDisplay", "warningDisplay", "infoDisplay", "messageBox", "QMessageBox", "QInputDialog", "QFileDialog")
CONFIRMATIONS = ("confirmOkCancelDisplay", "confirmYesNoDisplay", "confirmRetryCloseDisplay")


def test_only_the_panel_opens_dialogs_but_for_the_consent_to_install_packages():
    """Slicer 5.10 has no ``slicer.packaging``, which asks by itself: there ``Install`` asks in the same place."""
    found = {
        path.relative_to(MODULE / PACKAGE).as_posix(): names
        for path in sorted((MODULE / PACKAGE).rglob("*.py"))
        if (names := {name for name in (*DIALOGS, *CONFIRMATIONS) if name in path.read_text(encoding="utf-8")})
    }
    outside = {path: names for path, names in found.items() if not path.startswith("panel/")}
    assert outside == {"analysis/Install.py": {"confirmOkCancelDisplay"}}
    assert "panel/Widget.py" in found
