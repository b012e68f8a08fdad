"""The user's models: one folder for each, with the file of weights and its manifest.

These folders are in the user's cache (``platformdirs``), or in the folder of :data:`FOLDER_VARIABLE`, which several
users may share.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from CovidSeverityLib.checksums import sha256_of
from CovidSeverityLib.errors import InputError, OutputError

from .catalogue import CLASSIFIER, MANIFEST_NAME, WEIGHT_ENDINGS, ModelEntry, known_models, read_manifest

FOLDER_VARIABLE = "COVID_SEVERITY_MODELS"
"""Environment variable that names another folder for the models."""

ENTRY_NAME = "entry.json"
"""Beside the file of weights in the folder of a model: a manifest of one model."""

TEMPORARY_PREFIX = ".placing-"
"""Beginning of the names of temporary folders; a model's folder does not begin with a dot."""


@dataclass(frozen=True)
class InstalledModel:
    """A model in the user's folder, and its file of weights."""

    path: Path
    entry: ModelEntry

    @property
    def name(self) -> str:
        """Name for the user."""
        return self.entry.name


@dataclass(frozen=True)
class ResolvedModel:
    """A file of weights for a classifier.

    Parameters
    ----------
    path : Path
        Path of the file.
    name : str
        Name of the model, or of the file if it is not in the store.
    entry : ModelEntry or None
        Entry of a manifest for this file; None if no manifest contains it.
    """

    path: Path
    name: str
    entry: ModelEntry | None


def models_folder() -> Path:
    """The folder of the user's models; it may not exist."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("covid-severity", appauthor=False) / "models"


def installed_models() -> tuple[dict[str, InstalledModel], dict[str, str]]:
    """The installed models by name, in alphabetical order, and the damaged ones with the reason."""
    sound, damaged = {}, {}
    for name in _folder_names():
        try:
            sound[name] = _read_installed(models_folder() / name)
        except InputError as error:
            damaged[name] = str(error)
    return sound, damaged


def installed_classifiers() -> tuple[str, ...]:
    """Names of the installed classifiers in alphabetical order, also of damaged ones."""
    sound, damaged = installed_models()
    others = {entry.name.lower() for entry in (known_models() if damaged else ()) if entry.purpose != CLASSIFIER}
    names = [name for name, model in sound.items() if model.entry.purpose == CLASSIFIER]
    return tuple(sorted([*names, *(name for name in damaged if name.lower() not in others)], key=str.lower))


def installed_weights(name: str) -> Path | None:
    """The unchanged file of weights of an installed model; None if it is not installed.

    Raises
    ------
    InputError
        If the model is damaged: its file is not the installed one.
    """
    model = find_installed(name)
    if model is not None:
        _check_unchanged(model)
    return None if model is None else model.path


def find_installed(name: str) -> InstalledModel | None:
    """The model of that name, ignoring case; None if there is none.

    Raises
    ------
    InputError
        If it is damaged; the message gives the command that removes it.
    """
    there = taken_name(name)
    return None if there is None else _read_installed(models_folder() / there)


def get_installed(name: str) -> InstalledModel:
    """The model of that name.

    Raises
    ------
    InputError
        If there is none (the message gives the command that installs it), or if it is damaged.
    """
    model = find_installed(name)
    if model is None:
        raise InputError(_how_to_install(name))
    return model


def taken_name(name: str) -> str | None:
    """The name in the store; two names that differ only in case are the same."""
    return next((there for there in _folder_names() if there.lower() == name.lower()), None)


def resolve(name_or_file: str | Path) -> ResolvedModel:
    """The file of weights that a user chooses, and its entry.

    Parameters
    ----------
    name_or_file : str or Path
        A model of the store, or the path of a file. Text with a separator, or with the ending of a file of weights
        (:data:`~.catalogue.WEIGHT_ENDINGS`), is a path. Other text is first searched in the store; ``./NAME`` is a
        file.

    Raises
    ------
    InputError
        If there is neither (the message gives the command that installs the model), or if the model is damaged: its
        file is not the installed one.
    """
    text = str(name_or_file)
    if not text:
        raise InputError("the name of the classifier is empty; a model's name or a file of weights is needed")
    if isinstance(name_or_file, Path) or _looks_like_a_file(text):
        return _resolved_file(Path(text))
    model = find_installed(text)
    if model is not None:
        if model.entry.purpose != CLASSIFIER:
            raise InputError(f"the model {model.name} finds {model.entry.purpose}; it is no classifier")
        _check_unchanged(model)
        return ResolvedModel(model.path, model.name, model.entry)
    if Path(text).is_file():
        return _resolved_file(Path(text))
    raise InputError(_how_to_install(text))


def entry_beside(path: Path, sha256: str | None = None) -> ModelEntry | None:
    """The entry for a file in a ``manifest.json`` in its folder, found by its checksum; None if there is none.

    Parameters
    ----------
    path : Path
        Path of the file.
    sha256 : str, optional
        Checksum of the file; None computes it if there is a manifest.

    Raises
    ------
    InputError
        If the manifest is damaged. A file of that name that lists no models belongs to other software and is ignored.
    """
    manifest = path.with_name(MANIFEST_NAME)
    if not _lists_models(manifest):
        return None
    found = sha256 or sha256_of(path)
    return next((entry for entry in read_manifest(manifest) if entry.is_file(found)), None)


def remove_model(name: str) -> Path:
    """Delete a model, damaged or not; return the deleted folder.

    Raises
    ------
    InputError
        If there is no such model.
    OutputError
        If it cannot be deleted.
    """
    there = taken_name(name)
    if there is None:
        raise InputError(f"no model {name} is installed; covid-severity models list shows those that are")
    folder = models_folder() / there
    gone = folder.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(4)}")
    try:
        folder.rename(gone)
        shutil.rmtree(gone)
    except OSError as error:
        raise OutputError(f"cannot remove the model {there}: {error.strerror or error}") from error
    return folder


def _folder_names() -> list[str]:
    try:
        return sorted(
            (child.name for child in models_folder().iterdir() if child.is_dir() and not child.name.startswith(".")),
            key=str.lower,
        )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"the folder of models {models_folder()} cannot be read: {error.strerror or error}") from error


def _read_installed(folder: Path) -> InstalledModel:
    again = f"covid-severity models remove {folder.name} makes room to install it again"
    try:
        (entry,) = read_manifest(folder / ENTRY_NAME)
    except (InputError, ValueError) as error:
        raise InputError(f"the installed model {folder.name} is damaged ({ENTRY_NAME} is unusable); {again}") from error
    path = folder / entry.weights_name
    if entry.name != folder.name or entry.sha256 is None or not path.is_file():
        raise InputError(f"the installed model {folder.name} is damaged (its weights are missing); {again}")
    return InstalledModel(path, entry)


def _check_unchanged(model: InstalledModel) -> None:
    found = sha256_of(model.path)
    if found != model.entry.sha256:
        raise InputError(
            f"the file of the installed model {model.name} has changed: its SHA-256 is {found}, not "
            f"{model.entry.sha256}; covid-severity models remove {model.name} makes room to install it again"
        )


def _looks_like_a_file(text: str) -> bool:
    separators = tuple(filter(None, (os.sep, os.altsep)))
    return any(s in text for s in separators) or text.lower().endswith(WEIGHT_ENDINGS)


def _resolved_file(path: Path) -> ResolvedModel:
    if not path.is_file():
        what = "is a folder, not a file of classifier weights" if path.is_dir() else "is not there"
        raise InputError(f"the classifier {path} {what}; a model's name or a file of weights (.hdf5) is needed")
    return ResolvedModel(path, path.name, entry_beside(path))


def _how_to_install(name: str) -> str:
    known = {entry.name.lower(): entry for entry in known_models()}
    entry = known.get(name.lower())
    if entry is None:
        likely = get_close_matches(name.lower(), [*known, *map(str.lower, _folder_names())], n=1)
        hint = f"is {likely[0]} meant? " if likely else ""
        return f"there is no model {name!r}; {hint}covid-severity models list shows the models"
    download = f"the model {entry.name} is not installed; covid-severity models download {entry.name}"
    if entry.downloadable:
        return f"{download} installs it"
    if entry.folder is not None:
        return f"{download} asks first, models add FILE --as {entry.name} installs a file that you have"
    return (
        f"the model {entry.name} is not installed and cannot be downloaded; with its file of weights, "
        f"covid-severity models add FILE --as {entry.name} installs it"
    )


def _lists_models(manifest: Path) -> bool:
    try:
        stored = json.loads(manifest.read_bytes())
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise InputError(f"the {manifest.name} beside the weights cannot be read; repair it or move it away") from error
    return isinstance(stored, dict) and "models" in stored
