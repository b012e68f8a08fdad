"""Work that does not hold the window: a function in a thread, its result in the thread of the application."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from .Timers import TimerFactory, qtTimer

Result = TypeVar("Result")

POLL_MS = 10
"""Interval between two looks at the thread."""

SHARE_S = 0.005
"""How long a look waits for the thread. Where Qt's event loop keeps the lock of Python's interpreter, as that of
Slicer may, the thread runs only meanwhile."""


class Background:
    """Runs one function at a time in a thread. A timer notices its end.

    The function may use arrays and files, but no nodes and no objects of VTK: those belong to the thread of the
    application.

    Parameters
    ----------
    timerFactory : TimerFactory
        Makes the timer. There is one for all functions, because PythonQt never releases a timer.
    """

    def __init__(self, timerFactory: TimerFactory = qtTimer) -> None:
        self._timer = timerFactory(POLL_MS, self.poll)
        self._work: tuple[Future, Callable[[Future], None]] | None = None

    @property
    def running(self) -> bool:
        """From :meth:`run` until ``then`` is about to be called."""
        return self._work is not None

    def run(self, function: Callable[[], Result], then: Callable[[Future[Result]], None]) -> None:
        """Start ``function`` in a thread and return. In this thread, ``then`` gets its result or its error.

        Raises
        ------
        RuntimeError
            Another function is running.
        """
        if self._work is not None:
            raise RuntimeError("a function is running in the background already")
        future: Future[Result] = Future()
        self._work = future, then
        threading.Thread(target=_call, args=(function, future), daemon=True).start()
        self._timer.start()

    def poll(self) -> None:
        """Call ``then`` if the function has ended."""
        self._look(SHARE_S)

    def finish(self, onIdle: Callable[[], None] | None = None) -> None:
        """Return when the function has ended and ``then`` was called. Until then ``onIdle`` is called repeatedly."""
        while self._work is not None:
            self._look(None if onIdle is None else SHARE_S)
            if onIdle is not None:
                onIdle()

    def forget(self) -> None:
        """Never call ``then``. The function itself runs to its end."""
        self._timer.stop()
        self._work = None

    def _look(self, patience: float | None) -> None:
        if self._work is None:
            return
        future, then = self._work
        if wait([future], patience).done:
            self.forget()
            then(future)


def _call(function: Callable[[], Result], future: Future[Result]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:
        future.set_exception(error)
