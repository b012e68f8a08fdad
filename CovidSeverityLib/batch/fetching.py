"""Inputs at an address, brought to a local folder for the time of an analysis."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.archives import LIMITS, check_room, told_bytes
from CovidSeverityLib.io.image_parts import may_have_parts, names_of_parts
from CovidSeverityLib.io.inner_paths import inner_parts, shown_name

from .addresses import is_address, last_name, shown_address
from .remote import remote
from .remote_files import below, copy_here, entries_of, files_below, is_folder
from .trees import is_directory_name

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

Listed = dict[str, dict[str, Any]]
"""fsspec's information on files by their path below a folder."""


def fetched(source: str, folder: Path) -> Path:
    """Bring an input to this computer.

    Parameters
    ----------
    source : str
        A path, or an fsspec address of a file or a folder. For a header the data files that it names are fetched as
        well, for a DICOMDIR its whole folder.
    folder : Path
        Where to put it: an empty folder, which the caller removes.

    Returns
    -------
    Path
        ``source`` itself if it is a path. Otherwise a file or folder with the name that it has at its address, so that
        results do not depend on where it was.

    Raises
    ------
    InputError
        If it is not there, cannot be reached, is empty, is larger than the free space or than an archive may be, or has
        another size than the other side has stated. No message shows credentials.
    """
    if not is_address(source):
        return Path(source)
    with remote(source, "cannot be fetched") as (system, path):
        name = last_name(source)
        if is_directory_name(name):
            parent = path.rstrip("/").rpartition("/")[0]
            return _folder(system, parent, folder / "disc", source) / name
        info = system.info(path)
        if is_folder(info):
            return _folder(system, path.rstrip("/"), folder / name, source)
        return _file(system, path, info, folder / name, source)


def _folder(system: AbstractFileSystem, root: str, target: Path, source: str) -> Path:
    listed = dict(files_below(system, root))
    if not listed:
        raise InputError(f"{shown_address(source)} is empty; files of a chest CT are needed")
    _fetch(system, root, listed, target, source)
    return target


def _file(system: AbstractFileSystem, path: str, info: dict[str, Any], target: Path, source: str) -> Path:
    parent, _, name = path.rpartition("/")
    _fetch(system, parent, {name: info}, target.parent, source)
    if name != target.name:  # an object of another name than its address says, as of a link
        (target.parent / name).replace(target)
    if may_have_parts(target.name):
        parts = [part for part in names_of_parts(target) if inner_parts(part)]
        _fetch(system, parent, _listed(system, parent, parts), target.parent, source)
    return target


def _listed(system: AbstractFileSystem, folder: str, names: Iterable[str]) -> Listed:
    """Those of ``names`` that are there, each in its folder."""
    listings: dict[str, Listed] = {}
    found = {}
    for name in names:
        inner, _, last = "/".join(inner_parts(name) or ()).rpartition("/")
        if inner not in listings:
            try:
                listings[inner] = entries_of(system, below(folder, inner) if inner else folder)
            except FileNotFoundError:
                listings[inner] = {}
        info = listings[inner].get(last)
        if info is not None and not is_folder(info):
            found[below(inner, last) if inner else last] = info
    return found


def _fetch(system: AbstractFileSystem, root: str, listed: Listed, target: Path, source: str) -> None:
    """Copy files to ``target``, each under its path, and compare their sizes with those that were listed."""
    shown = shown_address(source)
    _check_size(listed, target, shown)
    for name, info in listed.items():
        parts = inner_parts(name)
        if not parts:
            raise InputError(f"{shown} holds a path that leads out of it ({shown_name(name)})")
        local = target.joinpath(*parts)
        local.parent.mkdir(parents=True, exist_ok=True)
        if local.exists():  # or differs by case alone, where that is no difference
            raise InputError(f"{shown} holds the file {shown_name(name)} twice; each name is needed once")
        copy_here(system, below(root, name), local)
        size, stated = local.stat().st_size, info.get("size")
        if stated is not None and info["type"] == "file" and size != stated:
            raise InputError(
                f"{shown} cannot be fetched whole: {local.name} has {size:,} bytes and should have {stated:,}; it "
                "may be changing, or the connection broke"
            )


def _check_size(listed: Listed, target: Path, shown: str) -> None:
    if len(listed) > LIMITS.most_files:
        raise InputError(f"{shown} holds {len(listed):,} files; {LIMITS.most_files:,} are allowed for one CT")
    total = sum(info.get("size") or 0 for info in listed.values())
    if total > LIMITS.most_bytes:
        raise InputError(f"{shown} has {told_bytes(total)}; {told_bytes(LIMITS.most_bytes)} are allowed for one CT")
    target.mkdir(parents=True, exist_ok=True)
    check_room(total, target, shown, "has")
