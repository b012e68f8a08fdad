"""A catalogue of bad and strange inputs, as data: how each is made, and the sentence that refuses it.

``write_all`` writes them; tests give them to ``analyze`` and to ``batch``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import archives, broken_files, dicom, headers, masks, names, values
from .entry import OK, BadInput, UnavailableError, write_image

CATALOGUE: tuple[BadInput, ...] = (
    *broken_files.ENTRIES,
    *archives.ENTRIES,
    *headers.ENTRIES,
    *values.ENTRIES,
    *dicom.ENTRIES,
    *masks.ENTRIES,
    *names.ENTRIES,
)
"""Every kind, with unique names."""


@dataclass(frozen=True)
class Written:
    """A CT that was written, with the mask that belongs to it."""

    kind: BadInput
    path: Path
    lungs: Path | None = None
    lobes: Path | None = None


def write(kind: BadInput, root: Path) -> Written:
    """Write one kind into a folder of its own; raise UnavailableError where this system cannot make it."""
    folder = root / kind.name
    folder.mkdir()
    made = kind.make(folder)
    if kind.role == "ct":
        return Written(kind, made)
    return Written(kind, write_image(folder / "ct.nii.gz"), **{kind.role: made})


def write_all(root: Path) -> tuple[list[Written], dict[str, str]]:
    """Write the whole catalogue; return what was written, and for the other names why not."""
    written, unavailable = [], {}
    for kind in CATALOGUE:
        try:
            written.append(write(kind, root))
        except UnavailableError as error:
            unavailable[kind.name] = str(error)
    return written, unavailable


__all__ = ["CATALOGUE", "OK", "BadInput", "UnavailableError", "Written", "write", "write_all"]
