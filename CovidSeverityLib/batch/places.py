"""Places below the results of a batch."""

from __future__ import annotations

from CovidSeverityLib.io.inner_paths import inner_parts

CASES = "cases"
"""Folder of the cases' folders."""

LOCK_NAME = ".lock"
TRIAL_NAME = "trial.txt"


def checked_name(name: str) -> str:
    """``name`` if it is that of one folder; raises ValueError otherwise."""
    if inner_parts(name) != (name,):
        raise ValueError(f"{name!r} is not the name of a folder")
    return name


def checked_path(relative: str) -> tuple[str, ...]:
    """The parts of a path below the results; raises ValueError if it leads elsewhere."""
    parts = inner_parts(relative)
    if not parts:
        raise ValueError(f"{relative!r} is not a path below the results")
    return parts
