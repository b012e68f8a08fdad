"""Work of many small steps in the thread of the application, for what no thread may touch: the window is not held."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from .Timers import TimerFactory, qtTimer

PAUSE_MS = 5
"""Interval between two portions of steps. Meanwhile the application handles its events."""

PORTION_S = 0.02
"""How long one portion takes, and at most one step longer: a click is answered without a delay that one notices."""


class Steps:
    """Runs one iterator at a time to its end, in portions.

    Parameters
    ----------
    timerFactory : TimerFactory
        Makes the timer. There is one for all iterators, because PythonQt never releases a timer.
    """

    def __init__(self, timerFactory: TimerFactory = qtTimer) -> None:
        self._timer = timerFactory(PAUSE_MS, self.poll)
        self._work: tuple[Iterator[Any], Callable[[Exception | None], None]] | None = None

    @property
    def running(self) -> bool:
        """From :meth:`run` until ``then`` is about to be called."""
        return self._work is not None

    def run(self, steps: Iterator[Any], then: Callable[[Exception | None], None]) -> None:
        """Start and return. At the end ``then`` gets None, or the error that a step has raised.

        Steps that were not finished are given up: their ``then`` is never called.
        """
        self._work = steps, then
        self._timer.start()

    def forget(self) -> None:
        """Give up what is running. Its ``then`` is never called."""
        self._timer.stop()
        self._work = None

    def poll(self) -> None:
        """Do one portion."""
        self._portion(PORTION_S)

    def finish(self, onIdle: Callable[[], None] | None = None) -> None:
        """Return when the steps have ended and ``then`` was called. Between portions ``onIdle`` is called."""
        while self._work is not None:
            self._portion(PORTION_S)
            if onIdle is not None:
                onIdle()

    def _portion(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._work is not None and time.monotonic() < until:
            steps, then = self._work
            try:
                next(steps)
            except StopIteration:
                self._end(then, None)
            except Exception as error:
                self._end(then, error)

    def _end(self, then: Callable[[Exception | None], None], error: Exception | None) -> None:
        self.forget()
        then(error)
