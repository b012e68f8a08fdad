"""The files of one analysis, written so that an interrupted run leaves nothing half-written."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from CovidSeverityLib.errors import OutputError
from CovidSeverityLib.results import Analysis
from CovidSeverityLib.types import Progress

from .overview import write_overview
from .report import write_report
from .segmentation import write_segmentation
from .tables import write_lobes, write_slices

STAGE = "write"
"""Name of this stage in progress calls."""

REPORT_NAME = "report.json"
_TEMPORARY_PREFIX = ".covid-severity-"

Writer = Callable[[Analysis, IO], None]

_BINARY_WRITERS: dict[str, Writer] = {
    "segmentation.seg.nrrd": write_segmentation,
    "overview.png": write_overview,
}
_TEXT_WRITERS: dict[str, Writer] = {
    "lobes.csv": write_lobes,
    "slices.csv": write_slices,
    REPORT_NAME: write_report,
}
OUTPUT_NAMES = (*_BINARY_WRITERS, *_TEXT_WRITERS)
"""Every file of a result in the order of writing; the report comes last, so that its presence means complete."""


@dataclass(frozen=True)
class OutputFolder:
    """A folder that results can be written to, and which folders were made for it (the outermost first)."""

    path: Path
    created: tuple[Path, ...] = ()

    def discard_if_empty(self) -> None:
        """Remove the folders that were made for a result that never came; what holds anything stays."""
        for folder in reversed(self.created):
            try:
                folder.rmdir()
            except OSError:
                return


def check_output_folder(folder: Path) -> OutputFolder:
    """Make ``folder`` where it is missing and prove, before the work, that files can be written to it.

    Returns
    -------
    OutputFolder
        With it a caller whose work fails can take back the folders that were made.

    Raises
    ------
    OutputError
        Where nothing can be written, with the reason.
    """
    folder = Path(folder)
    created: list[Path] = []
    try:
        for missing in _missing_folders(folder):
            missing.mkdir()
            created.append(missing)
        with tempfile.TemporaryDirectory(dir=folder, prefix=_TEMPORARY_PREFIX) as trial:
            (Path(trial) / REPORT_NAME).write_bytes(b"trial")
        in_the_way = next((name for name in OUTPUT_NAMES if (folder / name).is_dir()), None)
        if in_the_way:
            raise IsADirectoryError(errno.EISDIR, "a folder has the name of a result", in_the_way)
    except (OSError, ValueError) as error:
        OutputFolder(folder, tuple(created)).discard_if_empty()
        raise OutputError(f"cannot write results to {folder}: {_reason(error, folder)}") from error
    return OutputFolder(folder, tuple(created))


def write_results(analysis: Analysis, folder: Path, progress: Progress | None = None) -> tuple[Path, ...]:
    """Write every file of a result to ``folder`` and return their paths.

    All files are written to a temporary folder inside ``folder`` first and renamed when all are there: until then the
    files of an earlier run stay as they are, and an error or an interrupt leaves neither a part of a file nor the
    temporary folder.

    Raises
    ------
    OutputError
        Where a file cannot be written.
    """
    folder = Path(folder)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=_TEMPORARY_PREFIX) as temporary:
            for done, name in enumerate(OUTPUT_NAMES):
                if progress:
                    progress(STAGE, done, len(OUTPUT_NAMES))
                _write_one(analysis, Path(temporary) / name)
            (folder / REPORT_NAME).unlink(missing_ok=True)
            for name in OUTPUT_NAMES:
                (Path(temporary) / name).replace(folder / name)
    except OSError as error:
        raise OutputError(f"cannot write results to {folder}: {_reason(error, folder)}") from error
    if progress:
        progress(STAGE, len(OUTPUT_NAMES), len(OUTPUT_NAMES))
    return tuple(folder / name for name in OUTPUT_NAMES)


def _write_one(analysis: Analysis, path: Path) -> None:
    if path.name in _BINARY_WRITERS:
        with path.open("wb") as file:
            _BINARY_WRITERS[path.name](analysis, file)
    else:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            _TEXT_WRITERS[path.name](analysis, file)


def _missing_folders(folder: Path) -> list[Path]:
    """The folders that are not there yet, the outermost first."""
    missing = []
    while not os.path.lexists(folder) and folder != folder.parent:
        missing.append(folder)
        folder = folder.parent
    return missing[::-1]


def _reason(error: Exception, folder: Path) -> str:
    """What stood in the way, in words."""
    code = getattr(error, "errno", None)
    blocker = next((p for p in (folder, *folder.parents) if os.path.lexists(p) and not p.is_dir()), None)
    if blocker is not None:
        kind = "a broken link" if blocker.is_symlink() and not blocker.exists() else "a file"
        return f"{'it' if blocker == folder else blocker} is {kind}, not a folder"
    reasons = {
        errno.EACCES: "no permission to write there",
        errno.EPERM: "no permission to write there",
        errno.EROFS: "it is on a read-only disk",
        errno.ENOSPC: "no space is left on the disk",
        errno.EDQUOT: "the disk quota is used up",
        errno.ENAMETOOLONG: "the path is too long",
        errno.ENOENT: "the folder is not there",
    }
    if code in reasons:
        return reasons[code]
    name = getattr(error, "filename2", None) or getattr(error, "filename", None)
    return f"{getattr(error, 'strerror', None) or error}" + (f" ({Path(name).name})" if name else "")
