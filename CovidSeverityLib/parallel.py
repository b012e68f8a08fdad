"""Threads over the slices of a volume, with progress and the same result whatever their number."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from .types import Progress

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_THREADS = 8
"""More threads than this do not help: much of the work holds the interpreter's lock."""


_ALLOWED: list[int] = []


def allow_threads(count: int) -> None:
    """Use at most ``count`` threads in this process from now on: one of several that share a machine."""
    _ALLOWED[:] = [count]


def thread_count() -> int:
    """Threads to use on this machine."""
    return max(1, min([MAX_THREADS, os.cpu_count() or 1, *_ALLOWED]))


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], stage: str, progress: Progress | None
) -> list[Result]:
    """``[function(item) for item in items]``, on several threads; ``progress(stage, done, total)`` on the caller's.

    An exception of ``function`` or ``progress`` drops what has not begun and is raised again.
    """
    items = list(items)
    with ThreadPoolExecutor(thread_count()) as pool:
        futures = [pool.submit(function, item) for item in items]
        results = []
        try:
            for done, future in enumerate(futures, start=1):
                results.append(future.result())
                if progress is not None:
                    progress(stage, done, len(items))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return results
