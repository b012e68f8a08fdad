"""Checksums of files, which say which weights a result was made with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from .errors import InputError

BLOCK_BYTES = 1 << 20
"""Read at a time; a checksum runs at full speed from there on."""


def sha256_of(path: Path) -> str:
    """Checksum of a file, 64 hexadecimal digits; raises what :func:`blocks_of` raises."""
    digest = hashlib.sha256()
    for block in blocks_of(path):
        digest.update(block)
    return digest.hexdigest()


def blocks_of(path: Path) -> Iterator[bytes]:
    """What a file holds, :data:`BLOCK_BYTES` at a time.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                yield block
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror or error}") from error
