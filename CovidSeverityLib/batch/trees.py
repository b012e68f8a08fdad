"""A folder with its subfolders, on this computer or at an address: what its files are, asked in the same way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.archives import ARCHIVE_ENDING
from CovidSeverityLib.io.case_names import natural_key
from CovidSeverityLib.io.dicom.files import DICOM_ENDINGS, FIRST_DICOM_BYTES, begins_as_dicom, is_dicom
from CovidSeverityLib.io.image_search import (
    DICOM_DIRECTORY,
    PROBED_FILES,
    SEGMENTATION_ENDING,
    folders_under,
    holds_dicom,
    is_ct_file,
)
from CovidSeverityLib.io.images import FORMATS

from .addresses import child_of, last_name
from .remote import connected, disconnect, told
from .remote_files import (
    MOST_LEVELS,
    below,
    entries_of,
    entries_of_archive,
    first_bytes_of,
    is_archive_system,
    is_folder,
)
from .values import INPUT, CaseFailure

MOST_READ = 64 << 20
"""Bytes of a DICOMDIR that are read: one of 100,000 images has 40 MB."""


class Tree(Protocol):
    """A folder with its subfolders. Paths are relative to it; ``.`` is itself."""

    name: str
    """Its own name."""

    failures: list[CaseFailure]
    """Folders that could not be listed, once :meth:`folders` is through."""

    def folders(self) -> Iterator[tuple[PurePosixPath, list[str]]]:
        """Every folder, those above first, and the names of its visible files in natural order."""
        ...

    def names(self, folder: PurePosixPath) -> list[str]:
        """The names of the visible files of one folder, again."""
        ...

    def is_ct_file(self, folder: PurePosixPath, name: str, names: Sequence[str]) -> bool:
        """Whether a file is a CT or an archive with one; ``names`` are those of its folder."""
        ...

    def holds_dicom(self, folder: PurePosixPath, names: Sequence[str]) -> bool:
        """Whether the folder itself holds DICOM files."""
        ...

    def is_dicom(self, folder: PurePosixPath, name: str) -> bool:
        """Whether a file is DICOM."""
        ...

    def read(self, path: PurePosixPath) -> bytes:
        """What a file holds, at most :data:`MOST_READ` bytes; none if it cannot be read."""
        ...

    def place(self, path: PurePosixPath) -> str:
        """Path or address for a :class:`BatchCase`."""
        ...


def is_directory_name(name: str) -> bool:
    """Whether a file is a DICOMDIR by its name, also as ISO 9660 writes it (``DICOMDIR.;1``)."""
    return name.lower().split(";")[0].rstrip(".") == DICOM_DIRECTORY


class LocalTree:
    """A folder on this computer. Links are followed; a circle of links ends, and no folder is visited twice.

    Parameters
    ----------
    root : Path
        The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = (root.resolve() if root.name in ("", "..") else root).name or "root"
        self.failures: list[CaseFailure] = []

    def folders(self) -> Iterator[tuple[PurePosixPath, list[str]]]:
        """As :meth:`Tree.folders`."""
        for folder, names in folders_under(self.root, self._note):
            yield PurePosixPath(folder.relative_to(self.root).as_posix()), names

    def names(self, folder: PurePosixPath) -> list[str]:
        """As :meth:`Tree.names`."""
        return next((names for _, names in folders_under(self.root / folder, self._note)), [])

    def _note(self, error: OSError) -> None:
        path, reason = Path(error.filename or self.root), error.strerror or type(error).__name__
        if path == self.root:
            raise InputError(f"the folder {self.name} cannot be read: {reason}") from error
        place = path.relative_to(self.root).as_posix()
        self.failures.append(CaseFailure(place, INPUT, f"the folder {path.name} cannot be listed: {reason}"))

    def is_ct_file(self, folder: PurePosixPath, name: str, names: Sequence[str]) -> bool:
        """As :meth:`Tree.is_ct_file`."""
        path = self.root / folder / name
        try:
            return is_ct_file(path) or (path.is_symlink() and not path.exists() and _is_ct_name(name, names))
        except OSError:  # reading it gives the reason
            return _is_ct_name(name, names)

    def holds_dicom(self, folder: PurePosixPath, names: Sequence[str]) -> bool:
        """As :meth:`Tree.holds_dicom`."""
        return holds_dicom(self.root / folder, [name for name in names if not is_directory_name(name)])

    def is_dicom(self, folder: PurePosixPath, name: str) -> bool:
        """As :meth:`Tree.is_dicom`."""
        path = self.root / folder / name
        try:
            return path.is_file() and is_dicom(path)
        except (InputError, OSError):
            return path.suffix.lower() in DICOM_ENDINGS - {""}

    def read(self, path: PurePosixPath) -> bytes:
        """As :meth:`Tree.read`."""
        try:
            with (self.root / path).open("rb") as file:
                return file.read(MOST_READ)
        except OSError:
            return b""

    def place(self, path: PurePosixPath) -> str:
        """As :meth:`Tree.place`."""
        return str(self.root / path)


class RemoteTree:
    """A folder at an fsspec address. Files are known by their names; only those without an ending are opened.

    Of a file without an ending (or with a number as one, as in ``1.2.840.1``) the first bytes are read, at most of
    eight in a folder, and a DICOMDIR is read whole. Every .zip is taken for a CT.

    Parameters
    ----------
    address : str
        The folder.

    Raises
    ------
    InputError
        If it cannot be reached.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.name = last_name(address)
        self.failures: list[CaseFailure] = []
        with told(address, "cannot be read"):
            system, root = connected(address)
            self._system, self._root = system, root.rstrip("/")
            self._archive = entries_of_archive(system, self._root) if is_archive_system(system) else None

    def close(self) -> None:
        """End the connection."""
        disconnect(self._system)

    def folders(self) -> Iterator[tuple[PurePosixPath, list[str]]]:
        """As :meth:`Tree.folders`."""
        waiting = [PurePosixPath()]
        while waiting:
            folder = waiting.pop()
            entries = self._entries(folder)
            subfolders = sorted((name for name, info in entries.items() if is_folder(info)), key=natural_key)
            waiting += [folder / name for name in reversed(subfolders)]
            yield folder, _files_of(entries)

    def names(self, folder: PurePosixPath) -> list[str]:
        """As :meth:`Tree.names`."""
        return _files_of(self._entries(folder))

    def _entries(self, folder: PurePosixPath) -> dict:
        if len(folder.parts) > MOST_LEVELS:
            reason = f"it is more than {MOST_LEVELS} folders deep; links seem to lead in a circle"
            self.failures.append(CaseFailure(folder.as_posix(), INPUT, reason))
            return {}
        try:
            with told(self.place(folder), "cannot be listed"):
                if self._archive is not None:
                    return self._archive[self._path(folder)]
                return entries_of(self._system, self._path(folder))
        except InputError as error:
            if not folder.parts:
                raise
            self.failures.append(CaseFailure(folder.as_posix(), INPUT, str(error)))
            return {}

    def is_ct_file(self, folder: PurePosixPath, name: str, names: Sequence[str]) -> bool:
        """As :meth:`Tree.is_ct_file`."""
        if not _is_ct_name(name, names):
            return False
        return not name.lower().endswith(".img") or _has_half(name, names) or not self.is_dicom(folder, name)

    def holds_dicom(self, folder: PurePosixPath, names: Sequence[str]) -> bool:
        """As :meth:`Tree.holds_dicom`."""
        names = [name for name in names if not is_directory_name(name)]
        if any(_is_dicom_name(name) for name in names):
            return True
        unknown = [name for name in names if _has_no_ending(name) or _is_lone_img(name, names)]
        return any(self.is_dicom(folder, name) for name in unknown[:PROBED_FILES])

    def is_dicom(self, folder: PurePosixPath, name: str) -> bool:
        """As :meth:`Tree.is_dicom`."""
        if _is_dicom_name(name):
            return True
        try:
            with told(self.place(folder / name), "cannot be read"):
                return begins_as_dicom(first_bytes_of(self._system, self._path(folder / name), FIRST_DICOM_BYTES))
        except InputError as error:
            self.failures.append(CaseFailure((folder / name).as_posix(), INPUT, str(error)))
            return False

    def read(self, path: PurePosixPath) -> bytes:
        """As :meth:`Tree.read`."""
        try:
            with told(self.place(path), "cannot be read"):
                return first_bytes_of(self._system, self._path(path), MOST_READ)
        except InputError:
            return b""

    def place(self, path: PurePosixPath) -> str:
        """As :meth:`Tree.place`."""
        return child_of(self.address, path.as_posix()) if path.parts else self.address

    def _path(self, path: PurePosixPath) -> str:
        return below(self._root, path.as_posix()) if path.parts else self._root


def _files_of(entries: Mapping[str, dict]) -> list[str]:
    return sorted((name for name, info in entries.items() if not is_folder(info)), key=natural_key)


def _is_ct_name(name: str, names: Sequence[str]) -> bool:
    """Whether a name is that of a CT or of an archive, and not of the second half of a pair."""
    lower = name.lower()
    if lower.endswith(SEGMENTATION_ENDING):
        return False
    if lower.endswith(".img") and _has_half(name, names):
        return False
    return lower.endswith((*FORMATS, ARCHIVE_ENDING))


def _has_half(name: str, names: Sequence[str]) -> bool:
    stem = name[: -len(".img")]
    return any(other[: len(stem)] == stem and other[len(stem) :].lower() in (".hdr", ".hdr.gz") for other in names)


def _is_lone_img(name: str, names: Sequence[str]) -> bool:
    return name.lower().endswith(".img") and not _has_half(name, names)


def _is_dicom_name(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in DICOM_ENDINGS - {""}


def _has_no_ending(name: str) -> bool:
    ending = PurePosixPath(name).suffix
    return not ending or ending[1:].isdigit()
