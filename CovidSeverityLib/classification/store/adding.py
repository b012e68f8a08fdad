"""Add a model from a file of the user: describe it, check that the program can use it, and install it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

from CovidSeverityLib import checked
from CovidSeverityLib.checksums import blocks_of
from CovidSeverityLib.classification.description import CLASS_NAMES, NetworkDescription
from CovidSeverityLib.classification.keras.architecture import import_keras
from CovidSeverityLib.classification.keras.files import StoredNetwork, opened
from CovidSeverityLib.classification.keras.network import load_classifier
from CovidSeverityLib.classification.keras.recognition import RESCALING_SINCE, check_description, description_of
from CovidSeverityLib.errors import InputError, OutputError
from CovidSeverityLib.types import Progress

from .catalogue import CLASSIFIER, CLASSIFIER_FILE, ModelEntry, known_models
from .installed import InstalledModel, entry_beside, models_folder
from .placement import check_free, placing, write_entry

STAGE = "copy"
"""Name of this stage in progress calls, which count bytes."""

UNTOLD = {"size_px": "image size", "image": "classification image", "classes": "order of classes"}
"""Fields of the description that a file from elsewhere does not contain."""


def add_model(
    path: str | Path,
    name: str,
    known: Sequence[ModelEntry] | None = None,
    network: Mapping[str, Any] | None = None,
    facts: Mapping[str, str] | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> InstalledModel:
    """Copy a file of weights to the user's folder.

    Weights of lungmask (names in ``known``) are copied and their checksum is verified. For a classifier the description
    comes from ``known`` if it contains ``name``, otherwise from a ``manifest.json`` beside the file
    that contains its checksum, otherwise from the file itself. The network is built once, with the weights of the copy.

    Parameters
    ----------
    path : str or Path
        Path of the file.
    name : str
        Name for the model.
    known : sequence of ModelEntry, optional
        Known models; a file with one of their names must be that model. None for the program's manifest.
    network : mapping of str to any, optional
        Fields of :class:`~.description.NetworkDescription` that the file does not contain.
    facts : mapping of str to str, optional
        Licence and source, if they are not known.
    replace : bool
        Whether to replace an installed model of that name; it is kept if this fails.
    progress : Progress, optional
        Called with stage "copy" and bytes.

    Raises
    ------
    InputError
        If the name is invalid or taken, the file is missing, damaged, not the known model of that name or without a
        usable network, the given values contradict the known ones, or TensorFlow is not installed.
    OutputError
        If the user's folder cannot be written.
    """
    path = Path(path)
    check_free(name, replace)
    if not path.is_file():
        raise InputError(f"no file of classifier weights at {path}")
    known = known_models() if known is None else known
    theirs = next((entry for entry in known if entry.name.lower() == name.lower()), None)
    if theirs is not None and theirs.purpose != CLASSIFIER:
        return _add_other(path, theirs, replace, progress)
    import_keras()  # before a file is copied
    entry = _described(path, name, theirs, network or {}, facts or {})
    with placing(name, replace) as temporary:
        copy = temporary / path.name  # the file's own name, for messages about its content
        entry = _checked(entry, path.name, *_copy(path, copy, progress))
        load_classifier(copy, checked.known(entry.network), name)
        copy.rename(temporary / CLASSIFIER_FILE)
        write_entry(entry, temporary)
    return InstalledModel(models_folder() / name / CLASSIFIER_FILE, entry)


def _add_other(path: Path, entry: ModelEntry, replace: bool, progress: Progress | None) -> InstalledModel:
    """Weights that are none of a classifier: their checksum says what they are."""
    with placing(entry.name, replace) as temporary:
        entry = _checked(entry, path.name, *_copy(path, temporary / entry.weights_name, progress))
        write_entry(entry, temporary)
    return InstalledModel(models_folder() / entry.name / entry.weights_name, entry)


def _described(
    path: Path,
    name: str,
    theirs: ModelEntry | None,
    network: Mapping[str, Any],
    facts: Mapping[str, str],
) -> ModelEntry:
    """The known entry of the file, with the new name."""
    beside = entry_beside(path)
    with opened(path) as stored:
        if theirs is not None:
            _check_may_be(theirs, path, stored, stored.own is not None or beside is not None)
        entry = theirs or beside or _entry_of(name, stored, network)
        believed = theirs is not None or beside is not None or stored.own is not None
        described = _with_options(checked.known(entry.network), network, path.name if believed else None)
        check_description(stored, described)
    return _with_facts(changed(entry, name=name, network=described), facts)


def _entry_of(name: str, stored: StoredNetwork, given: Mapping[str, Any]) -> ModelEntry:
    """An entry from the file alone; it contains a note about the assumed fields."""
    network = description_of(stored)
    limits = []
    if stored.own is None:
        told = {*given, *(("size_px",) if stored.config is not None else ())}
        words = [word for field, word in UNTOLD.items() if field not in told]
        if words:
            listed = f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
            limits.append(f"The file does not tell the {listed}: taken to be as published.")
        if network.imagenet_rescaling and stored.config is None:
            limits.append("Its training is taken to have begun with ImageNet's weights.")
    return ModelEntry(name, f"{network.backbone}, added from a file", network, limits=" ".join(limits) or None)


def _check_may_be(entry: ModelEntry, path: Path, stored: StoredNetwork, described: bool) -> None:
    """Refuse a file that cannot be the model of the manifest, before its checksum is computed."""
    if entry.sha256 is not None:
        size = path.stat().st_size
        if entry.size_bytes not in (None, size):
            raise InputError(
                f"{path.name} is not the model {entry.name}: it has {size} bytes, expected {entry.size_bytes}"
            )
    elif described:
        raise InputError(
            f"{path.name} says of itself what it is, and {entry.name} is the name of somebody else's model; "
            "add it under another name"
        )
    elif description_of(stored).imagenet_rescaling and not checked.known(entry.network).imagenet_rescaling:
        since = ".".join(map(str, RESCALING_SINCE))
        raise InputError(
            f"{path.name} is not the model {entry.name} as it was published: it is from Keras {since} or newer, with "
            "which the same weights may mean another network; add the original file"
        )


def _with_options(network: NetworkDescription, given: Mapping[str, Any], told_by: str | None) -> NetworkDescription:
    """``network`` with the fields of the user, which must not contradict a file or manifest (``told_by``)."""
    for field, value in given.items():
        known = getattr(network, field)
        if told_by is not None and value != known:
            raise InputError(
                f"{field} is given as {_written(value)}, but is known to be {_written(known)} for {told_by}; "
                "leave the option out"
            )
    return changed(network, **given)


def _with_facts(entry: ModelEntry, facts: Mapping[str, str]) -> ModelEntry:
    for field, value in facts.items():
        known = getattr(entry, field)
        if known not in (None, value):
            raise InputError(f"the {field} of {entry.name} is known to be {known!r}; leave the option out")
    return changed(entry, **facts)


def _written(value: object) -> str:
    return ",".join(CLASS_NAMES[c] for c in value) if isinstance(value, tuple) else str(value)


def _copy(path: Path, copy: Path, progress: Progress | None) -> tuple[str, int]:
    """Copy a file; return checksum and size of the copy."""
    total = path.stat().st_size
    free = shutil.disk_usage(copy.parent).free
    if free < total:
        raise OutputError(
            f"not enough space for {path.name} in {models_folder()}: it has {total / 1e6:,.0f} MB, "
            f"{free / 1e6:,.0f} MB are free"
        )
    digest, done = hashlib.sha256(), 0
    with copy.open("wb") as target:
        for block in blocks_of(path):
            target.write(block)
            digest.update(block)
            done += len(block)
            if progress is not None:
                progress(STAGE, done, max(done, total))
    return digest.hexdigest(), done


def _checked(entry: ModelEntry, file: str, sha256: str, size_bytes: int) -> ModelEntry:
    """``entry`` with checksum and size of this file."""
    if entry.sha256 is not None and not entry.is_file(sha256):
        raise InputError(f"{file} is not the model {entry.name}: its SHA-256 is {sha256}, expected {entry.sha256}")
    return entry.of_file(sha256, size_bytes)
