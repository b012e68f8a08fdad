"""Timers in the thread of the application: those of Qt, or others in a program without Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Timer(Protocol):
    """Can be started and stopped repeatedly. Starting a running timer restarts its interval."""

    def start(self) -> None:
        """Call the function after each interval; once if it is a single shot."""

    def stop(self) -> None:
        """Stop calling it."""


class TimerFactory(Protocol):
    """Makes timers that are not started."""

    def __call__(self, intervalMs: int, callback: Callable[[], None], singleShot: bool = False) -> Timer:
        """A timer that calls ``callback`` every ``intervalMs`` milliseconds, or once."""


def qtTimer(intervalMs: int, callback: Callable[[], None], singleShot: bool = False) -> Timer:
    """A ``QTimer``. It is made at its first start, because PythonQt never releases a ``QTimer`` and its function."""
    return _QtTimer(intervalMs, callback, singleShot)


class _QtTimer:
    def __init__(self, intervalMs: int, callback: Callable[[], None], singleShot: bool = False) -> None:
        self._arguments = intervalMs, callback, singleShot
        self._timer: Any = None

    def start(self) -> None:
        """Tick from now on."""
        if self._timer is None:
            self._timer = _newTimer(*self._arguments)
        self._timer.start()

    def stop(self) -> None:
        """Tick no more."""
        if self._timer is not None:
            self._timer.stop()


def _newTimer(intervalMs: int, callback: Callable[[], None], singleShot: bool) -> Any:
    import qt

    timer = qt.QTimer()
    timer.setInterval(intervalMs)
    timer.setSingleShot(singleShot)
    timer.connect("timeout()", callback)
    return timer
