"""The page of the numbers that decide, against the code."""

import importlib
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from CovidSeverityLib import AnalysisConfig

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def lister():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        yield importlib.import_module("list_numbers")


@dataclass(frozen=True)
class InnerConfig:
    """Inner.

    Parameters
    ----------
    name : str
        Its name.
    a, b : (float, float), mm
        Both
        of them.
    """

    name: str = "one"
    a: tuple[float, float] = (1.0, 2.0)
    b: tuple[float, float] = (3.0, 4.0)


@dataclass(frozen=True)
class OuterConfig:
    """Outer.

    Parameters
    ----------
    inner : InnerConfig
        One.
    parts : tuple of InnerConfig
        More.
    factor : (float, float)
        Without a unit.
    enabled : bool
        No number.

    Raises
    ------
    ValueError : never
        Never.
    """

    inner: InnerConfig = InnerConfig()
    parts: tuple[InnerConfig, ...] = (InnerConfig(name="two"),)
    factor: float = 1.5
    bare: int = 1
    enabled: bool = True


def test_page_is_as_the_code_says(lister):
    assert lister.PAGE.read_text(encoding="utf-8") == lister.page(), "run python docs/list_numbers.py"


def test_every_number_has_a_reason(lister):
    found = [number for name, config in lister.configurations().items() for number in lister.numbers_of(config, name)]
    assert len(found) > 20
    assert not [number.name for number in found if not number.reason]


def test_page_holds_every_configuration(lister):
    numbers = {field.name for field in fields(AnalysisConfig)} - {"profile"}
    assert numbers <= lister.configurations().keys() <= lister.CHAPTERS.keys()


def test_numbers_are_found_wherever_they_stand(lister):
    found = [(n.name, n.value, n.unit, n.reason) for n in lister.numbers_of(OuterConfig(), "x")]
    assert found == [
        ("x.inner.a", "(1.0, 2.0)", "mm", "Both of them."),
        ("x.inner.b", "(3.0, 4.0)", "mm", "Both of them."),
        ("x.parts.two.a", "(1.0, 2.0)", "mm", "Both of them."),
        ("x.parts.two.b", "(3.0, 4.0)", "mm", "Both of them."),
        ("x.factor", "1.5", "", "Without a unit."),
        ("x.bare", "1", "", ""),
    ]
