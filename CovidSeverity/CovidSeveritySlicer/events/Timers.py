"""Calls in the thread of the application, now and then: Qt's timers, or another clock in a program without Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Timer(Protocol):
    """Started and stopped any number of times; starting a running timer begins its interval anew."""

    def start(self) -> None:
        """Call the function after the interval, again and again unless it is a single shot."""

    def stop(self) -> None:
        """Call it no more."""


class TimerFactory(Protocol):
    """Makes timers that do not run yet."""

    def __call__(self, intervalMs: int, callback: Callable[[], None], singleShot: bool = False) -> Timer:
        """A timer that calls ``callback`` every ``intervalMs`` milliseconds, or once."""


def qtTimer(intervalMs: int, callback: Callable[[], None], singleShot: bool = False) -> Any:
    """A ``QTimer``."""
    import qt

    timer = qt.QTimer()
    timer.setInterval(intervalMs)
    timer.setSingleShot(singleShot)
    timer.connect("timeout()", callback)
    return timer
