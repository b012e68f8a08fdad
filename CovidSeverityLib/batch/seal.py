"""``case.json``: which input, configuration and version the files of a case were made from, and what they hold."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from CovidSeverityLib.checksums import sha256_of
from CovidSeverityLib.reporting.files import SEAL_NAME
from CovidSeverityLib.reporting.report_parts import SCHEMA_VERSION, SECONDS_DECIMALS

from .destination import Destination
from .local_destination import LocalDestination


@dataclass(frozen=True)
class Origin:
    """What decides the files of a case.

    Parameters
    ----------
    input_sha256 : str
        Of the bytes of the CT (:mod:`.input_digest`).
    settings_sha256 : str
        Of the configuration, the masks, the classifier and the options.
    version : str
        Of the library.
    """

    input_sha256: str
    settings_sha256: str
    version: str

    def changed_since(self, before: Origin) -> str:
        """What is not as it was, in words; empty if nothing changed."""
        changed = (
            ("the input", self.input_sha256 != before.input_sha256),
            ("the settings", self.settings_sha256 != before.settings_sha256),
            (f"the version (from {before.version} to {self.version})", self.version != before.version),
        )
        return " and ".join(what for what, is_other in changed if is_other)


@dataclass(frozen=True)
class Seal:
    """The content of ``case.json``: size (bytes) and SHA-256 of every other file of the folder, by name."""

    origin: Origin
    seconds: float
    files: dict[str, tuple[int, str]]


def write_seal(path: Path, origin: Origin, begun_s: float) -> None:
    """Write ``case.json`` for all files that are beside it.

    Parameters
    ----------
    path : Path
        Of the file, in a folder with all files of the case.
    origin : Origin
        What they were made from.
    begun_s : float
        When that began, by :func:`time.monotonic`.
    """
    folder = path.parent
    others = sorted(file for file in folder.rglob("*") if file.is_file() and file != path)
    content: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        **asdict(origin),
        "seconds": round(time.monotonic() - begun_s, SECONDS_DECIMALS),
        "files": {
            file.relative_to(folder).as_posix(): {"bytes": file.stat().st_size, "sha256": sha256_of(file)}
            for file in others
        },
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_seal(destination: Destination, folder: str) -> Seal | None:
    """The seal of a case in ``folder``; None if there is none, or none that can be read."""
    try:
        content = json.loads(destination.read(f"{folder}/{SEAL_NAME}"))
        origin = Origin(*(str(content[name]) for name in ("input_sha256", "settings_sha256", "version")))
        files = {str(name): (int(file["bytes"]), str(file["sha256"])) for name, file in content["files"].items()}
        return Seal(origin, float(content["seconds"]), files)
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def damage(destination: Destination, folder: str, seal: Seal) -> str:
    """What is wrong with the files of a sealed case, in words; empty if all are as they were written.

    Where bytes come from an address, sizes are compared, not checksums.
    """
    for name, (size, checksum) in seal.files.items():
        found = destination.size(f"{folder}/{name}")
        if found is None:
            return f"{name} is missing"
        if found != size:
            return f"{name} has {found} bytes, not {size}"
        if isinstance(destination, LocalDestination) and _sha256(destination.read(f"{folder}/{name}")) != checksum:
            return f"{name} was changed"
    return ""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
