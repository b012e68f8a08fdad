"""Progress of a batch: a bar for people, a line of JSON a case for programs, or nothing."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from CovidSeverityLib.batch.run import Counts
from CovidSeverityLib.errors import CancelledError

RECENT = 50
"""The time left follows from the last so many cases: those that an earlier run made take no time."""


@contextmanager
def batch_progress(kind: str, json_stream: TextIO) -> Iterator[Callable[[Counts], None]]:
    """A function that shows the counts, valid within the ``with`` block.

    Parameters
    ----------
    kind : str
        As for :func:`~.progress.progress_for`.
    json_stream : TextIO
        Stream for JSON lines.
    """
    left = _TimeLeft()
    if kind == "json":
        yield lambda counts: _write_line(json_stream, counts, left(counts))
    elif kind == "bar" and sys.stderr.isatty():
        with _bar() as show:
            yield lambda counts: show(counts, left(counts))
    else:
        yield lambda _counts: None


class _TimeLeft:
    """Remaining time from the pace of the last cases; None until the first one is done."""

    def __init__(self) -> None:
        self._done_s: deque[tuple[int, float]] = deque(maxlen=RECENT)

    def __call__(self, counts: Counts) -> float | None:
        self._done_s.append((counts.done, time.monotonic()))
        (first, begun), (last, now) = self._done_s[0], self._done_s[-1]
        if counts.done == counts.total:
            return 0.0
        return round((now - begun) / (last - first) * (counts.total - counts.done), 1) if last > first else None


def _write_line(stream: TextIO, counts: Counts, seconds_left: float | None) -> None:
    line = {"stage": "cases", "done": counts.done, "total": counts.total, "failed": counts.failed}
    try:
        stream.write(json.dumps({**line, "seconds_left": seconds_left}) + "\n")
        stream.flush()
    except BrokenPipeError as error:  # not an OSError: that would look like one of a connection
        raise CancelledError("the reader of the progress lines has gone") from error


@contextmanager
def _bar() -> Iterator[Callable[[Counts, float | None], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("Cases"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def show(counts: Counts, seconds_left: float | None) -> None:
            parts = [f"{counts.failed} failed"] if counts.failed else []
            parts += [] if seconds_left is None else [f"{_duration(seconds_left)} left"]
            bar.update(task, completed=counts.done, total=counts.total, description=", ".join(parts))

        yield show


def _duration(seconds: float) -> str:
    """``40 s``, ``12 min`` or ``3 h 20 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
