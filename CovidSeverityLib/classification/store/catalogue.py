"""The catalogue of weights: what they are for, their source, their licence, and their file.

A manifest is a JSON file with one entry per model. The program contains one, training writes one beside its weights,
the store keeps one with every installed file, and a hospital may write one of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.errors import InputError, OutputError

SCHEMA_VERSION = 1
"""Version of the layout of a manifest; models/manifest.schema.json describes it."""

MANIFEST_NAME = "manifest.json"

NAME_PATTERN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")
"""Names of models are valid folder names on every system: no separator, no dot at the ends, at most 64 characters."""

WEIGHT_ENDINGS = (".hdf5", ".h5", ".keras")
"""Endings of files of weights. No model has such a name, so the ending distinguishes names and files."""

_RESERVED = re.compile(r"none|(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
"""The value of ``--classifier`` for no model, and names that Windows reserves for devices."""

_SHA256 = re.compile(r"[0-9a-f]{8,64}")
"""A SHA-256 or its first digits, 8 or more: authors who follow PyTorch publish 8, in the name of the file."""

CLASSIFIER, LUNGS, LOBES = "classifier", "lungs", "lobes"
PURPOSES = (CLASSIFIER, LUNGS, LOBES)
"""What weights are for: a classifier of this program, or lungmask's networks for lungs and for lobes."""

CLASSIFIER_FILE = "weights.hdf5"
"""Name in the store of every classifier's file."""

_OTHER_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.pth")
"""Names of other files: they stay as their authors chose them, because they hold the first digits of the SHA-256."""

_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
"""Hosts without required encryption: the download stays on this machine."""

_PACKAGE = Path(__file__).resolve().parents[2]

_SOURCE_TREE_FILE = "pyproject.toml"
"""If this file is beside the package, ``models/`` is too. Otherwise a folder of that name belongs to other software: in
3D Slicer the packages of all scripted modules are in one folder."""


@dataclass(frozen=True)
class ModelEntry:
    """A model in a manifest. None means not known.

    Parameters
    ----------
    name : str
        Name for the user; letters, digits, dots, dashes and underscores.
    title : str
        Title, one line.
    network : NetworkDescription or None
        Description of a classifier's network; None for weights that are none of a classifier.
    source : str or None
        Source: a web address, or a sentence.
    licence : str or None
        SPDX identifier or a sentence.
    url : str or None
        Address of the file of weights; https.
    sha256 : str or None
        Checksum of the file of weights, 64 hexadecimal digits, or the first ones where not all are published.
    size_bytes : int or None
        Size of the file of weights.
    trained_on : str or None
        Training data, in a sentence.
    limits : str or None
        Limits of its use, in a sentence.
    purpose : str
        One of :data:`PURPOSES`.
    folder : str or None
        Address of a public Google Drive folder of the authors that holds the file; https.

    Raises
    ------
    InputError
        If a value is invalid.
    """

    name: str
    title: str
    network: NetworkDescription | None
    source: str | None = None
    licence: str | None = None
    url: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    trained_on: str | None = None
    limits: str | None = None
    purpose: str = CLASSIFIER
    folder: str | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        for field in ("title", "source", "licence", "url", "sha256", "trained_on", "limits", "folder"):
            value = getattr(self, field)
            if not (isinstance(value, str) and value.strip()) and (value is not None or field == "title"):
                raise InputError(f"{field} of the model {self.name} is {value!r}; a text is needed")
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise InputError(
                f"sha256 of the model {self.name} is {self.sha256!r}; 64 digits 0-9 a-f are needed, or 8 at least"
            )
        if self.size_bytes is not None and (type(self.size_bytes) is not int or self.size_bytes < 1):
            raise InputError(f"size_bytes of the model {self.name} is {self.size_bytes!r}; a number above 0 is needed")
        for field, url in (("url", self.url), ("folder", self.folder)):
            if url is not None and not safe_address(url):
                raise InputError(f"{field} of the model {self.name} is {url}; an address with https:// is needed")
        if self.purpose not in PURPOSES:
            raise InputError(f"purpose of the model {self.name} is {self.purpose!r}; one of {', '.join(PURPOSES)} is")
        if (self.network is None) == (self.purpose == CLASSIFIER):
            raise InputError(
                f"the model {self.name} is for {self.purpose}; a classifier has a network, others have none"
            )
        if self.network is None and not _OTHER_FILE.fullmatch(self.weights_name):
            raise InputError(f"url of the model {self.name} is {self.url}; an address of a file .pth is needed")

    @property
    def weights_name(self) -> str:
        """Name of the file of weights in the store."""
        if self.network is not None:
            return CLASSIFIER_FILE
        return PurePosixPath(unquote(urlsplit(self.url or "").path)).name

    def is_file(self, sha256: str | None) -> bool:
        """Whether a file with this checksum is the model's; False if none is known."""
        return self.sha256 is not None and sha256 is not None and sha256.startswith(self.sha256)

    @property
    def unknown_for_download(self) -> tuple[str, ...]:
        """Fields that a download needs and that are not known."""
        needed = {"address": self.url, "licence": self.licence, "checksum": self.sha256, "size": self.size_bytes}
        return tuple(what for what, value in needed.items() if value is None)

    @property
    def downloadable(self) -> bool:
        """Whether the file can be downloaded: address, licence, checksum and size are all known."""
        return not self.unknown_for_download

    def of_file(self, sha256: str, size_bytes: int) -> ModelEntry:
        """The same model with the checksum and size of its file."""
        return replace(self, sha256=sha256, size_bytes=size_bytes)

    def as_dict(self) -> dict[str, Any]:
        """Values for JSON, without a network if there is none; :meth:`from_dict` is the inverse."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        network = values.pop("network")
        return values if network is None else {**values, "network": network.as_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], what: str) -> ModelEntry:
        """An entry from the values of :meth:`as_dict`, as read from JSON.

        Parameters
        ----------
        values : mapping of str to any
            At least name, title and, of a classifier, network; other missing fields are not known.
        what : str
            Name of the source in messages.

        Raises
        ------
        InputError
            If a field has an unknown name, or a value is not allowed.
        """
        if not isinstance(values, Mapping):
            raise InputError(f"{what} holds a model that is no object of JSON: {values!r}")
        known = tuple(field.name for field in fields(cls))
        strange = [name for name in values if name not in known]
        needed = ("name", "title", *(("network",) if values.get("purpose", CLASSIFIER) == CLASSIFIER else ()))
        missing = [name for name in needed if name not in values]
        if strange or missing:
            odd = f"unknown field {strange[0]!r}" if strange else f"no field {missing[0]!r}"
            raise InputError(f"{what} holds a model with {odd}; fields are {', '.join(known)}")
        try:
            network = values.get("network")
            if network is not None or "network" in needed:
                if not isinstance(network, Mapping):
                    raise InputError(f"network of the model {values['name']} is {network!r}")
                network = NetworkDescription.from_dict(network, f"the model {values['name']}")
            return cls(**{**values, "network": network})
        except InputError as error:
            raise InputError(f"{what} cannot be used: {error}") from error


def check_name(name: object) -> str:
    """``name`` itself, if it is a valid name of a model.

    Raises
    ------
    InputError
        If it is not; the message says which names are valid.
    """
    if isinstance(name, str) and _RESERVED.fullmatch(name):
        raise InputError(f"a model cannot be called {name}: that name has another meaning")
    if not isinstance(name, str) or not NAME_PATTERN.fullmatch(name):
        raise InputError(
            f"a model cannot be called {name!r}; letters, digits, dots, dashes and underscores are possible, "
            "64 at most, with a letter or digit first"
        )
    if name.lower().endswith(WEIGHT_ENDINGS):
        raise InputError(f"a model cannot be called {name}: that is the name of a file; leave the ending out")
    return name


def safe_address(url: str) -> bool:
    """Whether a file may be downloaded from this address: by https, or from this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOCAL_HOSTS))


def read_manifest(path: str | Path) -> tuple[ModelEntry, ...]:
    """The models of a manifest, in its order.

    Raises
    ------
    InputError
        If the file is missing, is not a valid manifest, or contains a model twice.
    """
    path = Path(path)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"no manifest of models at {path}") from error
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # errors of JSON and of UTF-8
        raise InputError(f"{path.name} is no JSON: {error}") from error
    if not isinstance(stored, dict) or not isinstance(stored.get("models"), list):
        raise InputError(f'{path.name} is no manifest of models: an object with a list "models" is needed')
    if stored.get("schema_version") != SCHEMA_VERSION:
        found = stored.get("schema_version")
        raise InputError(f"{path.name} has the schema version {found!r}; this program reads {SCHEMA_VERSION}")
    entries = tuple(ModelEntry.from_dict(values, path.name) for values in stored["models"])
    names = [entry.name.lower() for entry in entries]
    twice = next((entry.name for entry in entries if names.count(entry.name.lower()) > 1), None)
    if twice is not None:
        raise InputError(f"{path.name} names the model {twice} more than once")
    return entries


def manifest_text(entries: Iterable[ModelEntry]) -> str:
    """The content of a manifest with ``entries``."""
    stored = {"schema_version": SCHEMA_VERSION, "models": [entry.as_dict() for entry in entries]}
    return json.dumps(stored, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_manifest(entries: Iterable[ModelEntry], path: str | Path) -> None:
    """Write a manifest; :func:`read_manifest` is the inverse.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        Path(path).write_text(manifest_text(entries), encoding="utf-8", newline="\n")
    except OSError as error:
        raise OutputError(f"cannot write {Path(path).name}: {error.strerror or error}") from error


def shipped_manifest() -> Path:
    """The manifest of the program: inside an installed package, or beside the package in a source tree.

    Raises
    ------
    InputError
        If it is in neither place.
    """
    place = _PACKAGE / "models" / MANIFEST_NAME
    if not place.is_file() and (_PACKAGE.parent / _SOURCE_TREE_FILE).is_file():
        place = _PACKAGE.parent / "models" / MANIFEST_NAME
    if not place.is_file():
        raise InputError(f"the program's list of models is missing from {place.parent}; install it again")
    return place


def known_models() -> tuple[ModelEntry, ...]:
    """The models of :func:`shipped_manifest`."""
    return read_manifest(shipped_manifest())
