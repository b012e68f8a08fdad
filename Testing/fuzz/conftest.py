"""The fixtures of the unit tests that write inputs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

UNIT = Path(__file__).parents[1] / "unit" / "conftest.py"
spec = importlib.util.spec_from_file_location("unit_fixtures", UNIT)
unit_fixtures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(unit_fixtures)
write_series = unit_fixtures.write_series
