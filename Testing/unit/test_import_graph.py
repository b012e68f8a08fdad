"""The reader of imports finds every import, says when it runs, and finds circles and imports against the order."""

from __future__ import annotations

import pytest

from Testing.import_graph import Kind, against_order, circles, graph_of_packages, import_graph

FILES = {
    "__init__.py": "from .up.roof import Roof\n",
    "up/__init__.py": "",
    "up/roof.py": "import json\nimport tree.down.cellar\nfrom ..down import stairs as steps, Door\n",
    "down/__init__.py": "from .door import Door\n",
    "down/door.py": "import typing\nif typing.TYPE_CHECKING:\n  from tree import up\nelse:\n  from . import cellar\n",
    "down/stairs.py": "def climb():\n    from tree.up import roof\n    return roof\n",
    "down/cellar.py": "class Cellar:\n  try:\n    from .door import Door\n  except ImportError:\n    pass\n",
}


@pytest.fixture
def a_tree(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_imports_of_every_form_and_place_are_found(a_tree):
    assert import_graph(a_tree, "tree") == {
        "tree": {"tree.up.roof"},
        "tree.up": set(),
        "tree.up.roof": {"tree.down.cellar", "tree.down.stairs", "tree.down"},
        "tree.down": {"tree.down.door"},
        "tree.down.door": {"tree.up", "tree.down.cellar"},
        "tree.down.stairs": {"tree.up.roof"},
        "tree.down.cellar": {"tree.down.door"},
    }


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.FUNCTION, {"tree.down.stairs": {"tree.up.roof"}}),
        (Kind.TYPING, {"tree.down.door": {"tree.up"}}),
    ],
)
def test_imports_in_functions_and_for_type_checkers_are_told_apart(a_tree, kind, expected):
    assert {name: found for name, found in import_graph(a_tree, "tree", [kind]).items() if found} == expected
    others = import_graph(a_tree, "tree", set(Kind) - {kind})
    assert not [name for name, found in expected.items() if found & others[name]]


def test_circles_among_files_are_found(a_tree):
    assert circles(import_graph(a_tree, "tree")) == [
        ["tree.down.stairs", "tree.up.roof", "tree.down.stairs"],
        ["tree.down.cellar", "tree.down.door", "tree.down.cellar"],
    ]
    assert circles(import_graph(a_tree, "tree", [Kind.MODULE])) == [
        ["tree.down.cellar", "tree.down.door", "tree.down.cellar"]
    ]
    assert circles({"a": {"b"}, "b": set(), "c": {"a", "b"}}) == []


def test_circles_among_packages_are_found_though_the_files_have_none(a_tree):
    graph = import_graph(a_tree, "tree", [Kind.MODULE, Kind.TYPING])
    graph["tree.down.cellar"].clear()
    assert circles(graph) == []
    assert circles(graph_of_packages(graph)) == [["tree.down", "tree.up", "tree.down"]]


def test_imports_up_and_aside_break_the_order():
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": {"a"}, "d": {"b"}}
    assert against_order(graph, [{"a"}, {"b", "d"}, {"c"}]) == [
        "c imports a, which is not below it.",
        "d imports b, which is not below it.",
    ]
    assert against_order(graph, [{"a"}, {"b"}, {"c"}]) == ["The order lacks or has without need: ['d']."]
