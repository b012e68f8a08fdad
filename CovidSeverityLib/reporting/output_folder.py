"""The folder for results: checked before the analysis, filled in one step after it."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from CovidSeverityLib.errors import OutputError
from CovidSeverityLib.types import Progress

STAGE = "write"
"""Name of this stage in progress calls."""

TEMPORARY_PREFIX = ".covid-severity-"
"""Beginning of the names of temporary folders; what a killed process has left can be removed."""

FileWriter = Callable[[Path], object]
"""Writes one file to the path that it is given."""


@dataclass(frozen=True)
class OutputFolder:
    """A writable folder for results, and the folders that were created for it (the outermost first)."""

    path: Path
    created: tuple[Path, ...] = ()

    def discard_if_empty(self) -> None:
        """Remove the folders that were created if there is no result; folders that are not empty stay."""
        for folder in reversed(self.created):
            try:
                folder.rmdir()
            except OSError:
                return


def check_output_folder(folder: Path, names: Iterable[str] = ()) -> OutputFolder:
    """Create ``folder`` if it does not exist, and check before the analysis that files can be written to it.

    Parameters
    ----------
    folder : Path
        It may exist.
    names : iterable of str
        Names of the files that will be written; a folder with such a name would prevent this.

    Returns
    -------
    OutputFolder
        A caller whose work fails can remove the created folders with it.

    Raises
    ------
    OutputError
        If nothing can be written, with the reason.
    """
    folder = Path(folder)
    created: list[Path] = []
    try:
        for missing in _missing_folders(folder):
            missing.mkdir()
            created.append(missing)
        with tempfile.TemporaryDirectory(dir=folder, prefix=TEMPORARY_PREFIX) as trial:
            (Path(trial) / "trial").write_bytes(b"trial")
        _refuse_what_is_in_the_way(folder, tuple(names))
    except (OSError, ValueError) as error:
        OutputFolder(folder, tuple(created)).discard_if_empty()
        raise OutputError(f"cannot write results to {folder}: {reason_in_words(error, folder)}") from error
    return OutputFolder(folder, tuple(created))


def write_together(
    folder: Path, writers: Mapping[str, FileWriter], progress: Progress | None = None, obsolete: Iterable[str] = ()
) -> tuple[Path, ...]:
    """Write several files to ``folder`` and return their paths.

    All files are first written to a temporary folder inside ``folder`` and renamed when all of them are complete. Until
    then the files of an earlier run do not change. An error or an interrupt leaves neither a partial file nor the
    temporary folder, nor new files without the others. The last file is removed before the first one is renamed, so its
    presence means that all files belong together.

    Parameters
    ----------
    folder : Path
        It exists.
    writers : mapping of str to FileWriter
        Writers by file name, in the order of writing. A name may have a folder in it, as in ``dicom/report.dcm``.
    progress : Progress, optional
        Called with stage "write" as files are done.
    obsolete : iterable of str
        Names of files of an earlier run that this run does not write; they are removed together with the last file.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    names, obsolete = tuple(writers), tuple(obsolete)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=TEMPORARY_PREFIX) as temporary:
            for done, (name, write) in enumerate(writers.items()):
                if progress:
                    progress(STAGE, done, len(names))
                (Path(temporary) / name).parent.mkdir(exist_ok=True)
                write(Path(temporary) / name)
            for name in (names[-1], *obsolete):
                (folder / name).unlink(missing_ok=True)
            _move(names, Path(temporary), folder)
        _remove_empty(folder, obsolete)
    except OSError as error:
        raise OutputError(f"cannot write results to {folder}: {reason_in_words(error, folder)}") from error
    if progress:
        progress(STAGE, len(names), len(names))
    return tuple(folder / name for name in names)


def _move(names: Sequence[str], source: Path, target: Path) -> None:
    """Move files; if one cannot be moved, those that were are removed."""
    moved: list[Path] = []
    try:
        for name in names:
            (target / name).parent.mkdir(exist_ok=True)
            (source / name).replace(target / name)
            moved.append(target / name)
    except BaseException:
        for path in moved:
            with suppress(OSError):
                path.unlink()
        for name in names:
            with suppress(OSError):  # it is not empty, or not there
                if (target / name).parent != target:
                    (target / name).parent.rmdir()
        raise


def _remove_empty(folder: Path, names: Iterable[str]) -> None:
    """Remove the folders of removed files that are empty now."""
    for parent in {(folder / name).parent for name in names} - {folder}:
        if parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()


def _refuse_what_is_in_the_way(folder: Path, names: tuple[str, ...]) -> None:
    """Raise OSError for a folder with the name of a result, and for a file with the name of a folder of results."""
    for name in names:
        if (folder / name).is_dir():
            raise IsADirectoryError(errno.EISDIR, "a folder has the name of a result", name)
    for parent in {(folder / name).parent for name in names}:
        if os.path.lexists(parent) and not parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "a file has the name of a folder of results", str(parent))


def _missing_folders(folder: Path) -> list[Path]:
    """The folders that do not exist, the outermost first."""
    missing = []
    while not os.path.lexists(folder) and folder != folder.parent:
        missing.append(folder)
        folder = folder.parent
    return missing[::-1]


def reason_in_words(error: Exception, folder: Path) -> str:
    """Why nothing can be written to ``folder``."""
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
