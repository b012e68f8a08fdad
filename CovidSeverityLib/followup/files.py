"""The files of one comparison; an interrupted run leaves no partial files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from CovidSeverityLib.reporting.output_folder import FileWriter, check_output_folder, write_together
from CovidSeverityLib.types import Progress

from .compared import Compared
from .page import write_comparison_page
from .report import write_comparison, write_lobe_changes
from .segments import write_changes

CHANGES_NAME, TABLE_NAME = "changes.seg.nrrd", "lobe_changes.csv"
PAGE_NAME, COMPARISON_NAME = "comparison.png", "comparison.json"
COMPARISON_OUTPUT_NAMES = (CHANGES_NAME, TABLE_NAME, PAGE_NAME, COMPARISON_NAME)
"""Every file of a comparison, in the order of writing; the report comes last."""


def write_comparison_files(comparison: Compared, folder: Path, progress: Progress | None = None) -> tuple[Path, ...]:
    """Write every file of a comparison to an existing folder and return their paths: all of them or none.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    writers: dict[str, FileWriter] = {
        CHANGES_NAME: partial(_binary, write_changes, comparison),
        TABLE_NAME: partial(_text, write_lobe_changes, comparison),
        PAGE_NAME: partial(_binary, write_comparison_page, comparison),
        COMPARISON_NAME: partial(_text, write_comparison, comparison),
    }
    return write_together(folder, writers, progress)


def save_comparison(comparison: Compared, folder: Path, progress: Progress | None = None) -> tuple[Path, ...]:
    """The same to a folder that is made where it is missing."""
    check_output_folder(folder, COMPARISON_OUTPUT_NAMES)
    return write_comparison_files(comparison, folder, progress)


def _binary(write, comparison: Compared, path: Path) -> None:  # noqa: ANN001
    with path.open("wb") as file:
        write(comparison, file)


def _text(write, comparison: Compared, path: Path) -> None:  # noqa: ANN001
    with path.open("w", encoding="utf-8", newline="\n") as file:
        write(comparison, file)
