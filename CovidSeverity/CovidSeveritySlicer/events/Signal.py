"""Signals of objects without a GUI."""

from __future__ import annotations

from collections.abc import Callable


class Signal:
    """Calls the connected functions, in the order of their connection.

    >>> finished = Signal()
    >>> finished.connect(print)
    >>> finished.emit("done")
    done
    """

    def __init__(self) -> None:
        self._slots: list[Callable[..., object]] = []

    def connect(self, slot: Callable[..., object]) -> None:
        """Call ``slot`` at every emission. Connecting it twice changes nothing."""
        if slot not in self._slots:
            self._slots.append(slot)

    def disconnect(self, slot: Callable[..., object]) -> None:
        """Do not call ``slot`` any more. It is no error if it is not connected."""
        if slot in self._slots:
            self._slots.remove(slot)

    def emit(self, *values: object) -> None:
        """Call the connected functions. Changes that a slot makes take effect at the next emission."""
        for slot in tuple(self._slots):
            slot(*values)
