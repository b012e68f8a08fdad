"""The cases of a batch, and what became of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class FailureKind(str, Enum):
    """What stood in the way of a case."""

    INPUT = "input"
    """The CT or a mask cannot be used."""
    LIMIT = "limit"
    """It took too long, or too much memory."""
    WORKER = "worker"
    """The process that analysed it died, or is of another version."""
    OUTPUT = "output"
    """Its results cannot be written."""
    ERROR = "error"
    """An error of the program."""


@dataclass(frozen=True)
class BatchCase:
    """One CT of a batch.

    Parameters
    ----------
    case : str
        Its name in the tables; no other case has it.
    source : str
        What ``analyze`` reads: a local path, or an address of fsspec.
    lungs, lobes : str or None
        Masks, in the same way.
    series : str or None
        SeriesInstanceUID of the series to read.
    """

    case: str
    source: str
    lungs: str | None = None
    lobes: str | None = None
    series: str | None = None


@dataclass(frozen=True)
class CaseFailure:
    """A case without a result, and the reason in one sentence; ``kind`` is a value of :class:`FailureKind`."""

    case: str
    kind: str
    reason: str


Row = Mapping[str, str | int | float | None]
"""A case in ``cases.csv``, by column."""


@dataclass(frozen=True)
class CaseResult:
    """A case that is whole in the folder of results.

    Parameters
    ----------
    case : str
        Its name.
    row : mapping of str to str, int, float or None
        What ``cases.csv`` says of it.
    reused : bool
        Whether an earlier run had made it.
    redone : str
        Why the result of an earlier run was made again; empty if there was none.
    seconds : float
        How long this run took for it.
    """

    case: str
    row: Row
    reused: bool = False
    redone: str = ""
    seconds: float = 0.0


CaseOutcome = CaseResult | CaseFailure
"""What became of one case."""
