"""The files of a file system that fsspec reaches: what is in its folders, and copies of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.archives import RESOURCE_FORK
from CovidSeverityLib.io.inner_paths import shown_name

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

MOST_LEVELS = 60
"""Folders in folders, at most: servers follow links, of which a circle has no end. Paths of 60 names are longer than
most systems allow."""


def entries_of(system: AbstractFileSystem, folder: str) -> dict[str, dict[str, Any]]:
    """What is in a folder: fsspec's information by name, without hidden entries and the folder's own.

    Raises
    ------
    OSError
        If the folder cannot be listed, or a package's own error.
    """
    found = {}
    own = folder.rstrip("/")
    for info in system.ls(folder, detail=True):
        path = str(info["name"]).rstrip("/")
        name = path.rpartition("/")[2]
        if path != own and name and not name.startswith("."):
            found[name] = info
    if not found:
        _check_listing(system, folder)
    return found


def is_archive_system(system: AbstractFileSystem) -> bool:
    """Whether a file system is the content of one file (.zip, .tar)."""
    from fsspec.archive import AbstractArchiveFileSystem

    return isinstance(system, AbstractArchiveFileSystem)


def entries_of_archive(system: AbstractFileSystem, root: str) -> dict[str, dict[str, dict[str, Any]]]:
    """What :func:`entries_of` finds in ``root`` and in each folder below it, in one pass: fsspec takes one for each.

    Raises
    ------
    InputError
        If a name leads out of the archive.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {root: {}}
    files: Any = system.find(root, detail=True)
    for path, info in files.items():
        parts = path.split("/")
        if path.startswith("/") or ".." in parts:
            raise InputError(f"the archive holds a path that leads out of it ({shown_name(path)}); pack it anew")
        if any(part.startswith(".") or part == RESOURCE_FORK for part in parts):
            continue
        for depth in range(len(root.split("/")) if root else 0, len(parts)):
            entry = info if depth == len(parts) - 1 else {"type": "directory"}
            found.setdefault("/".join(parts[:depth]), {}).setdefault(parts[depth], entry)
    return found


def first_bytes_of(system: AbstractFileSystem, path: str, count: int) -> bytes:
    """The first bytes of a file, read without the rest of it."""
    if hasattr(system, "client") and hasattr(system, "ftp"):  # that of SFTP reads whole files
        opened: Any = system.open(path, "rb")
        with opened as file:
            return file.read(count)
    return content_of(system, path, count)


def content_of(system: AbstractFileSystem, path: str, count: int | None = None) -> bytes:
    """What a file holds, or its first bytes; some file systems read all of it for these."""
    content: Any = system.cat_file(path, start=None if count is None else 0, end=count)
    return content[:count]


def copy_here(system: AbstractFileSystem, path: str, target: Path) -> None:
    """Copy a file to this computer."""
    if hasattr(getattr(system, "ftp", None), "retrbinary"):  # fsspec would leave the file open after an error
        with target.open("wb") as file:
            system.get_file(path, file)
    else:
        system.get_file(path, str(target))


def files_below(system: AbstractFileSystem, root: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every visible file in a folder and its subfolders: its path below ``root`` with ``/``, and its information.

    Raises
    ------
    InputError
        If folders are nested too deeply, as in a circle of links, or an archive holds a path that leads out of it.
    OSError
        If a folder cannot be listed, or a package's own error.
    """
    archive = entries_of_archive(system, root) if is_archive_system(system) else None
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        if folder.count("/") > MOST_LEVELS:
            raise InputError(f"folders are more than {MOST_LEVELS} levels deep; links seem to lead in a circle")
        path = below(root, folder) if folder else root
        entries = entries_of(system, path) if archive is None else archive.get(path, {})
        for name, info in sorted(entries.items()):
            if is_folder(info):
                waiting.append(below(folder, name))
            else:
                yield below(folder, name), info


def _check_listing(system: AbstractFileSystem, folder: str) -> None:
    """Raise the server's refusal to list a folder; fsspec takes that of an FTP server for an empty folder."""
    from ftplib import error_perm

    ftp = getattr(system, "ftp", None)
    if ftp is None or not hasattr(ftp, "mlsd"):
        return
    try:
        list(ftp.mlsd(folder))
    except error_perm as error:
        if str(error).startswith("550"):
            raise PermissionError(str(error)) from error


def is_folder(info: dict[str, Any]) -> bool:
    """Whether an entry is a folder."""
    return info["type"] == "directory"


def below(folder: str, name: str) -> str:
    """The path in a file system of what is in a folder."""
    return f"{folder.rstrip('/')}/{name}" if folder else name
