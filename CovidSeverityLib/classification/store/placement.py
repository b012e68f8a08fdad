"""Install a model in the user's folder completely, or not at all."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from CovidSeverityLib.errors import InputError, OutputError

from .catalogue import ModelEntry, check_name, write_manifest
from .installed import ENTRY_NAME, TEMPORARY_PREFIX, models_folder, taken_name

ABANDONED_AFTER_S = 24 * 3600.0
"""A temporary folder of this age was left by a killed process, seconds."""


@contextmanager
def placing(name: str, replace: bool = False) -> Iterator[Path]:
    """A temporary folder that becomes the model ``name`` at the end of the ``with`` block, or is deleted on an error.

    Parameters
    ----------
    name : str
        Name of the model.
    replace : bool
        Whether to replace an installed model of that name, which does not change until then.

    Raises
    ------
    InputError
        If the name is invalid or taken.
    OutputError
        If the folder cannot be written.
    """
    check_free(name, replace)
    folder = models_folder()
    temporary = folder / f"{TEMPORARY_PREFIX}{secrets.token_hex(4)}"
    try:
        try:
            temporary.mkdir(parents=True)
            _remove_abandoned(folder)
            yield temporary
            check_free(name, replace)
            _move_into_place(temporary, folder / (taken_name(name) or name), folder / name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"cannot write the model {name} to {folder}: {error.strerror or error}") from error


def check_free(name: str, replace: bool = False) -> None:
    """Check the name of a new model.

    Raises
    ------
    InputError
        If the name is invalid, or taken without ``replace``.
    """
    check_name(name)
    there = taken_name(name)
    if there is not None and not replace:
        raise InputError(f"a model {there} is installed already; --replace puts another in its place")


def gathering_folder(name: str) -> Path:
    """Where a file from elsewhere is gathered before it becomes the model ``name``; it may not exist."""
    return models_folder() / f".{check_name(name)}.gathering"


def write_entry(entry: ModelEntry, folder: Path) -> None:
    """Write the entry of a model to its folder."""
    write_manifest([entry], folder / ENTRY_NAME)


def _move_into_place(made: Path, there: Path, wanted: Path) -> None:
    """Rename ``made`` to ``wanted``; on an error the folder ``there`` is restored."""
    if not there.exists():
        made.rename(wanted)
        return
    aside = made.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(4)}")
    there.rename(aside)
    try:
        made.rename(wanted)
    except BaseException:
        aside.rename(there)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    for left in folder.glob(f"{TEMPORARY_PREFIX}*"):
        if time.time() - left.stat().st_mtime > ABANDONED_AFTER_S:
            shutil.rmtree(left, ignore_errors=True)
