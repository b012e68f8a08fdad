"""Names of cases: the order in which people list them, and what of a file's name belongs to its case."""

from __future__ import annotations

import re

from .archives import ARCHIVE_ENDING
from .images import FORMATS

NAME_ENDINGS = tuple(sorted({*FORMATS, ARCHIVE_ENDING, ".seg.nrrd", ".dcm"}, key=len, reverse=True))
"""Endings that are not part of a case's name, longest first."""

DIGITS = re.compile(r"([0-9]+)")


def natural_key(name: str) -> tuple:
    """A sorting key with ``case2`` before ``case10``."""
    parts = DIGITS.split(name.casefold())
    return tuple((0, int(part), "") if n % 2 else (1, 0, part) for n, part in enumerate(parts)), name


def without_ending(name: str) -> str:
    """``name`` without the ending of an image file, if it has one."""
    ending = next((e for e in NAME_ENDINGS if name.casefold().endswith(e)), "")
    return name[: len(name) - len(ending)] or name
