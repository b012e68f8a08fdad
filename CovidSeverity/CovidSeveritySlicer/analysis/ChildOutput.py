"""Output of a child process. Threads read it; the thread of the application takes it. Nothing in it is trusted."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import BinaryIO

from slicer.i18n import tr as _

CHUNK_BYTES = 65536
"""Size of one read: the capacity of a pipe in Linux."""

LINE_BYTES = 8192
"""Longer lines are cut. A sentence with two paths of the maximum length fits."""

WAITING_LINES = 1000
"""Longest queue of lines. When it is full, the child waits, so that memory stays bounded."""

PUT_TIMEOUT_S = 0.2
"""How often a reading thread with a full queue checks whether it has been abandoned."""

LARGEST_COUNT = 2**31 - 1
"""Largest number of steps in a progress line: the maximum of Qt's progress bars."""

LONGEST_S = 10 * 365 * 86400
"""Longest time that a progress line may promise, s: ten years."""

CONTROLS = {code: "\ufffd" for code in (*range(32), 127) if code != ord("\t")}
"""Control characters and their replacement. A null character would end the text of a dialog."""


class Stream(Enum):
    """The stream that a line came from."""

    OUTPUT = auto()
    ERRORS = auto()


@dataclass(frozen=True)
class Line:
    """One line of output, without its line end."""

    stream: Stream
    content: bytes

    @property
    def text(self) -> str:
        """The line as text. Invalid UTF-8 and control characters are replaced."""
        return self.content.decode("utf-8", "replace").translate(CONTROLS)


class ChildOutput:
    """Both output streams of a child. A thread reads each of them until it ends or is abandoned."""

    def __init__(self, stdout: BinaryIO, stderr: BinaryIO) -> None:
        self._lines: queue.Queue[Line | None] = queue.Queue(WAITING_LINES)
        self._abandoned = threading.Event()
        self._open = 2
        for stream, pipe in ((Stream.OUTPUT, stdout), (Stream.ERRORS, stderr)):
            threading.Thread(target=self._read, args=(stream, pipe), daemon=True).start()

    @property
    def ended(self) -> bool:
        """Whether both streams have ended and all lines were taken."""
        return self._open == 0

    def take(self) -> Iterator[Line]:
        """The lines that have arrived so far."""
        while not self.ended:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                return
            if line is None:
                self._open -= 1
            else:
                yield line

    def abandon(self) -> None:
        """Stop reading. A process that still writes finds the pipe closed after its next line at the latest."""
        self._abandoned.set()

    def _read(self, stream: Stream, pipe: BinaryIO) -> None:
        try:
            with contextlib.closing(pipe):
                for content in splitLines(lambda: pipe.read(CHUNK_BYTES)):
                    if not self._put(Line(stream, content)):
                        return
        finally:
            self._put(None)

    def _put(self, line: Line | None) -> bool:
        while not self._abandoned.is_set():
            with contextlib.suppress(queue.Full):
                self._lines.put(line, timeout=PUT_TIMEOUT_S)
                return True
        return False


def splitLines(read: Callable[[], bytes | None]) -> Iterator[bytes]:
    """The lines of what ``read`` returns until it returns nothing, each cut after ``LINE_BYTES``.

    A line that never ends is given once, cut, when it is longer than that.
    """
    begun, cut = b"", False
    while chunk := read():
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            if not cut:
                yield (begun + piece)[:LINE_BYTES].removesuffix(b"\r")
            begun, cut = b"", False
        if not cut:
            begun += rest
        if len(begun) > LINE_BYTES:
            yield begun[:LINE_BYTES]
            begun, cut = b"", True
    if begun:
        yield begun


def parseProgress(line: Line) -> tuple[str, int, int] | None:
    """Stage, steps done and total steps of a progress line on standard output; None for any other line."""
    if line.stream is not Stream.OUTPUT or not line.content.startswith(b"{"):
        return None
    try:
        found = json.loads(line.content)
    except (ValueError, RecursionError):  # no JSON, no UTF-8, a number with too many digits, or too deep nesting
        return None
    if not isinstance(found, dict):
        return None
    stage, done, total = (found.get(key) for key in ("stage", "done", "total"))
    if not isinstance(stage, str) or type(done) is not int or type(total) is not int:  # a bool is no number of steps
        return None
    return (stage, done, total) if 0 <= done <= total <= LARGEST_COUNT else None


@dataclass(frozen=True)
class CaseProgress:
    """How far a batch has come.

    Parameters
    ----------
    done, total : int
        Cases that are finished, failed ones included, and all cases.
    failed : int
        Cases that failed.
    secondsLeft : float or None
        Time until the end, s; None while it is not known.
    """

    done: int
    total: int
    failed: int
    secondsLeft: float | None


def parseCases(line: Line) -> CaseProgress | None:
    """The count of cases in a progress line of a batch; None for any other line."""
    steps = parseProgress(line)
    if steps is None:
        return None
    _stage, done, total = steps
    found = json.loads(line.content)
    failed, left = found.get("failed"), found.get("seconds_left")
    if type(failed) is not int or not 0 <= failed <= done:
        return None
    known = type(left) in (int, float) and 0 <= left <= LONGEST_S  # NaN and infinity are not between them
    return CaseProgress(done, total, failed, float(left) if known else None)


class BoundedLog:
    """The first and the last lines of a log.

    Parameters
    ----------
    first, last : int
        Number of lines that are kept.
    """

    def __init__(self, first: int = 50, last: int = 450) -> None:
        self._room = first
        self._first: list[str] = []
        self._last: deque[str] = deque(maxlen=last)
        self._count = 0

    def add(self, line: str) -> None:
        """Append a line."""
        self._count += 1
        if len(self._first) < self._room:
            self._first.append(line)
        else:
            self._last.append(line)

    @property
    def text(self) -> str:
        """The lines. If lines were left out, one line says how many."""
        missing = self._count - len(self._first) - len(self._last)
        gap = [_("... {count} lines are left out ...").format(count=missing)] if missing else []
        return "\n".join([*self._first, *gap, *self._last])
