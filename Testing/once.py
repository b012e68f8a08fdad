"""What a run of the tests makes once, and all of its processes share: synthetic chests and their analyses."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
LONGEST_SECONDS = 300
"""Until another process is taken for dead."""


class Once:
    """Values by name in ``folder``: made by the process that asks first, read by the others.

    The folder belongs to one run, so that nothing of an earlier version of the library is found.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._known: dict[str, object] = {}

    def __call__(self, name: str, make: Callable[[], T]) -> T:
        if name not in self._known:
            self._known[name] = self._stored(name, make)
        return self._known[name]

    def _stored(self, name: str, make: Callable[[], T]) -> T:
        path = self.folder / f"{name}.pickle"
        self.folder.mkdir(parents=True, exist_ok=True)
        for _ in range(20 * LONGEST_SECONDS):
            if path.exists():
                return load(path)
            try:
                path.with_suffix(".lock").mkdir()
            except FileExistsError:
                time.sleep(0.05)
                continue
            return self._made(path, make)
        raise TimeoutError(f"{path} is not there after {LONGEST_SECONDS} s")

    @staticmethod
    def _made(path: Path, make: Callable[[], T]) -> T:
        try:
            if not path.exists():  # another may have made it since it was looked for
                store(make(), path)
        finally:
            path.with_suffix(".lock").rmdir()
        return load(path)


def store(value: object, path: Path) -> None:
    """Write a value and, behind it, its arrays."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(value, 5, buffer_callback=buffers.append)
    unfinished = path.with_suffix(f".{os.getpid()}")
    with unfinished.open("wb") as file:
        pickle.dump((head, [_bytes(buffer.raw()) for buffer in buffers]), file, 5)
    unfinished.replace(path)


def _bytes(buffer: memoryview) -> bytes | bytearray:
    """An array over bytes is read-only, one over a bytearray is not: each comes back as it was."""
    return bytes(buffer) if buffer.readonly else bytearray(buffer)


def load(path: Path) -> object:
    """Read what :func:`store` wrote."""
    head, buffers = pickle.loads(path.read_bytes())
    return pickle.loads(head, buffers=buffers)
