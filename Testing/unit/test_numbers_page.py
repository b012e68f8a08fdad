"""The page of the numbers that decide, against the code."""

import importlib
from pathlib import PurePath

import pytest


@pytest.fixture(scope="module")
def lister(repository):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(repository / "docs")
        yield importlib.import_module("list_numbers")


def test_page_is_as_the_code_says(lister):
    assert lister.PAGE.read_text(encoding="utf-8") == lister.page(), "run python docs/list_numbers.py"


def test_every_number_has_a_reason(lister):
    bare = [
        f"{module}: {number.name}"
        for modules in lister.CHAPTERS.values()
        for module in modules
        for number in lister.numbers_of(lister.LIBRARY / module)
        if not number.reason
    ]
    assert not bare


def test_numbers_of_the_computation_exist(lister):
    found = {
        f"{PurePath(module).stem}.{number.name}"
        for modules in lister.CHAPTERS.values()
        for module in modules
        for number in lister.numbers_of(lister.LIBRARY / module)
    }
    assert found >= lister.NUMERICAL


def test_numbers_are_found_wherever_they_stand(lister, tmp_path):
    source = tmp_path / "module.py"
    source.write_text(
        'ONE_MM = 1.5\nTWO, THREE = 2, (3.0, 4.0)\n"""Why."""\nNAMES = ("a",)\n\n\nclass XConfig:\n'
        '    """Text.\n\n    Parameters\n    ----------\n    a, b : both\n        of them.\n    """\n\n'
        "    a: int = 1\n    b: float = 2.5\n    c: bool = True\n",
        encoding="utf-8",
    )
    found = [(n.name, n.value, n.reason) for n in lister.numbers_of(source)]
    assert found == [
        ("ONE_MM", "1.5", "Why."),
        ("TWO", "2", "Why."),
        ("THREE", "(3.0, 4.0)", "Why."),
        ("a", "1", "both of them."),
        ("b", "2.5", "both of them."),
    ]
