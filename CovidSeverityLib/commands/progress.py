"""Progress of a command: a bar for people, JSON lines for programs, or nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from CovidSeverityLib.errors import CancelledError
from CovidSeverityLib.types import Progress

STAGE_TITLES = {
    "read": "Reading",
    "phantom": "Building",
    "lungs": "Finding the lungs",
    "lobes": "Finding the lobes",
    "infection": "Marking infection",
    "scores": "Scoring",
    "write": "Writing",
}


@contextmanager
def progress_for(kind: str, json_stream: TextIO) -> Iterator[Progress | None]:
    """A progress function that lives as long as the ``with`` block.

    Parameters
    ----------
    kind : "json" writes ``{"stage", "done", "total"}`` lines to ``json_stream``; "bar" draws a bar on standard error
        if that is a terminal; "none" says nothing.
    json_stream : where JSON lines go.
    """
    if kind == "json":
        yield lambda stage, done, total: _write_line(json_stream, stage, done, total)
    elif kind == "bar" and sys.stderr.isatty():
        with _bar() as progress:
            yield progress
    else:
        yield None


def _write_line(stream: TextIO, stage: str, done: int, total: int) -> None:
    try:
        stream.write(json.dumps({"stage": stage, "done": done, "total": total}) + "\n")
        stream.flush()
    except BrokenPipeError as error:  # an OSError: the stage under way would take it for one of its files
        raise CancelledError("stopped; the reader of the progress lines has gone") from error


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    columns = (TextColumn("{task.description:<18}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with RichProgress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Starting", total=None)

        def show(stage: str, done: int, total: int) -> None:
            bar.update(task, description=STAGE_TITLES.get(stage, stage), completed=done, total=total)

        yield show
