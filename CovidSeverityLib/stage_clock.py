"""Seconds and progress of the stages of a run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from .types import Progress


@dataclass
class StageClock:
    """Seconds per stage, and the stages' beginnings and ends for the caller's progress."""

    progress: Progress | None
    _seconds: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> Mapping[str, float]:
        """Those of the stages that have ended."""
        return dict(self._seconds)

    @contextmanager
    def stage(self, name: str, reports_itself: bool = False) -> Iterator[None]:
        """Time a stage; one that ``reports_itself`` calls the progress function on its own."""
        if self.progress is not None and not reports_itself:
            self.progress(name, 0, 1)
        began = time.perf_counter()
        yield
        self._seconds[name] = round(time.perf_counter() - began, 3)
        if self.progress is not None and not reports_itself:
            self.progress(name, 1, 1)
