"""Progress of a command: a bar for people, JSON lines for programs, or nothing."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from CovidSeverityLib.errors import CancelledError
from CovidSeverityLib.types import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import ProgressColumn

STAGE_TITLES = {
    "read": "Reading",
    "phantom": "Building",
    "lungs": "Finding the lungs",
    "lobes": "Finding the lobes",
    "infection": "Marking infection",
    "classification": "Classifying",
    "explanation": "Explaining",
    "scores": "Scoring",
    "registration": "Registering",
    "changes": "Comparing",
    "write": "Writing",
    "cases": "Cases",
    "embeddings": "Computing features",
    "epochs": "Training",
    "copy": "Copying",
    "download": "Downloading",
    "receive": "Receiving",
    "send": "Sending",
}


CASE_SPEED_FROM_S = 3600.0
"""The remaining time is estimated from the cases of the last hour: one case can exceed rich's default of 30 s."""


def progress_kind(arguments: argparse.Namespace) -> str:
    """The kind of ``--progress``; ``--quiet`` removes the bar but not the JSON lines."""
    return "none" if arguments.quiet and arguments.progress == "bar" else arguments.progress


@contextmanager
def progress_for(
    kind: str, json_stream: TextIO, of_cases: bool = False, of_bytes: bool = False
) -> Iterator[Progress | None]:
    """A progress function that is valid within the ``with`` block.

    Parameters
    ----------
    kind : str
        "json" writes ``{"stage", "done", "total"}`` lines to ``json_stream``; "bar" draws a bar on standard error if
        that is a terminal; "none" shows nothing.
    json_stream : TextIO
        Stream for JSON lines.
    of_cases : bool
        The counts are cases or epochs: show their number and the remaining time (``seconds_left`` in JSON lines, null
        until the first one is done).
    of_bytes : bool
        The counts are bytes: show their number, the speed and the remaining time.
    """
    if kind == "json":
        left = _SecondsLeft() if of_cases else None
        yield lambda stage, done, total: _write_line(json_stream, stage, done, total, left)
    elif kind == "bar" and sys.stderr.isatty():
        with _case_bar() if of_cases else _byte_bar() if of_bytes else _bar() as progress:
            yield progress
    else:
        yield None


class _SecondsLeft:
    """Remaining time, from the time per case so far; cases done before the first call of a stage do not count."""

    def __init__(self) -> None:
        self._stage = ""
        self._first = 0
        self._began = 0.0

    def __call__(self, stage: str, done: int, total: int) -> float | None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._first, self._began = stage, done, now
        if done <= self._first:
            return None if done < total else 0.0
        return round((now - self._began) / (done - self._first) * (total - done), 1)


def _write_line(stream: TextIO, stage: str, done: int, total: int, left: _SecondsLeft | None) -> None:
    line = {"stage": stage, "done": done, "total": total}
    if left is not None:
        line["seconds_left"] = left(stage, done, total)
    try:
        stream.write(json.dumps(line) + "\n")
        stream.flush()
    except BrokenPipeError as error:  # not an OSError: the running stage would treat it as an error of one of its files
        raise CancelledError("stopped; the reader of the progress lines has gone") from error


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<18}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with _rich_bar(*columns, TimeElapsedColumn()) as bar:
        task = bar.add_task("Starting", total=None)

        def show(stage: str, done: int, total: int) -> None:
            bar.update(task, description=STAGE_TITLES.get(stage, stage), completed=done, total=total)

        yield show


@contextmanager
def _case_bar() -> Iterator[Progress]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    columns = (*columns, TimeRemainingColumn(), TextColumn("left"))
    with _rich_bar(*columns, speed_from_s=CASE_SPEED_FROM_S) as bar:

        def show(stage: str, done: int, total: int) -> None:
            title = STAGE_TITLES.get(stage, stage)
            if title not in {task.description for task in bar.tasks}:  # work done before does not count for the speed
                for task in bar.task_ids:
                    bar.remove_task(task)
                bar.add_task(title, total=total, completed=done)
            bar.update(bar.task_ids[0], completed=done, total=total)

        yield show


@contextmanager
def _byte_bar() -> Iterator[Progress]:
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with _rich_bar(*columns, TimeRemainingColumn(), TextColumn("left")) as bar:

        def show(stage: str, done: int, total: int) -> None:
            if not bar.tasks:  # bytes from an earlier download must not count for the speed
                bar.add_task(STAGE_TITLES.get(stage, stage), total=total, completed=done)
            bar.update(bar.task_ids[0], completed=done, total=total)

        yield show


def _rich_bar(*columns: ProgressColumn, speed_from_s: float = 30.0) -> RichProgress:
    from rich.console import Console
    from rich.progress import Progress as RichProgress

    return RichProgress(*columns, console=Console(stderr=True), transient=True, speed_estimate_period=speed_from_s)
