"""A case within its limits of time and memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import psutil

from CovidSeverityLib.errors import CancelledError, CovidSeverityError
from CovidSeverityLib.io.cost import GB
from CovidSeverityLib.types import Progress

from .config import BatchConfig

Result = TypeVar("Result")


class CaseLimitError(CovidSeverityError):
    """A case took too long, or too much memory. Its process should not be used again."""


@dataclass
class _Run(Generic[Result]):
    """A function in a thread of its own, which is asked to stop by its calls of progress."""

    work: Callable[[Progress], Result]
    done: threading.Event = field(default_factory=threading.Event)
    results: list[Result] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    over: str = ""

    def __call__(self) -> None:
        try:
            self.results.append(self.work(self._progress))
        except BaseException as error:  # it is raised again in the thread that waits
            self.errors.append(error)
        finally:
            self.done.set()

    def _progress(self, stage: str, done: int, total: int) -> None:
        if self.over:
            raise CancelledError(self.over)


def within_limits(work: Callable[[Progress], Result], memory_bytes: int, config: BatchConfig) -> Result:
    """Do ``work`` in a thread, and stop it where it takes too long or too much memory.

    Parameters
    ----------
    work : callable
        Takes a progress function and calls it often.
    memory_bytes : int
        Memory that this process may use; 0 for no limit.
    config : BatchConfig
        The limits.

    Returns
    -------
    any
        What ``work`` returns.

    Raises
    ------
    CaseLimitError
        A limit was passed. Where ``work`` did not stop within ``stop_grace_s``, its thread still runs.
    BaseException
        What ``work`` raises.
    """
    run = _Run(work)
    begun = time.monotonic()
    threading.Thread(target=run, name="case", daemon=True).start()  # one that hangs does not keep its process alive
    while not run.done.wait(config.watch_every_s):
        run.over = _time_over(time.monotonic() - begun, config) or _memory_over(memory_bytes, config)
        if run.over:
            run.done.wait(config.stop_grace_s)
            raise CaseLimitError(run.over)
    if run.errors:
        raise run.errors[0]
    return run.results[0]


def _time_over(seconds: float, config: BatchConfig) -> str:
    if seconds <= config.timeout_s:
        return ""
    return f"it took longer than {config.timeout_s:g} s and was stopped; --timeout gives a case more time"


def _memory_over(memory_bytes: int, config: BatchConfig) -> str:
    if not memory_bytes or psutil.Process().memory_info().rss <= config.memory_share * memory_bytes:
        return ""
    return (
        f"it needed more than the {memory_bytes / GB:.1f} GB of its worker and was stopped; "
        "--memory-per-worker gives it more"
    )
