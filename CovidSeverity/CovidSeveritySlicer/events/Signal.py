"""Answers of objects that know no GUI: whoever wants them connects."""

from __future__ import annotations

from collections.abc import Callable


class Signal:
    """Calls the functions that are connected, in the order of their connection.

    >>> finished = Signal()
    >>> finished.connect(print)
    >>> finished.emit("done")
    done
    """

    def __init__(self) -> None:
        self._slots: list[Callable[..., object]] = []

    def connect(self, slot: Callable[..., object]) -> None:
        """Call ``slot`` at every emission; a second connection of the same function changes nothing."""
        if slot not in self._slots:
            self._slots.append(slot)

    def disconnect(self, slot: Callable[..., object]) -> None:
        """Call ``slot`` no more; one that is not connected is no error."""
        if slot in self._slots:
            self._slots.remove(slot)

    def emit(self, *values: object) -> None:
        """Call what is connected; what a slot connects or disconnects takes effect from the next emission."""
        for slot in tuple(self._slots):
            slot(*values)
