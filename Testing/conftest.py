"""Fixtures that the tests of every folder may use."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

UNIT_TESTS = Path(__file__).parent / "unit"


@pytest.fixture(scope="session")
def factory():
    """The module ``unit/analysis_factory.py``: small analyses of made-up chests."""
    name = "analysis_factory"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, UNIT_TESTS / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def real_ct_root() -> Path:
    """The folder of the three real CTs; a test that asks for it is skipped where it is absent."""
    root = Path(__file__).parents[1].parent / "shared" / "data" / "covid-ct-md"
    if not root.is_dir():
        pytest.skip("real CTs (../shared/data/covid-ct-md) are not on this machine")
    return root
