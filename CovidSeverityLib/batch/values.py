"""Values that the parts of a batch hand to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from CovidSeverityLib.formats.batch_tables import KINDS

from .addresses import shown_address

INPUT, LIMIT, WORKER, OUTPUT, ERROR = KINDS
"""Kinds of a failure: the CT or a mask cannot be used; time or memory; the worker process died or has another version;
results cannot be written; an error of the program."""


@dataclass(frozen=True, repr=False)
class BatchCase:
    """One CT of a batch, with what belongs to it.

    Parameters
    ----------
    case : str
        Its id, unique in the batch, as in the tables.
    source : str
        The CT: a path, or an fsspec address.
    lungs, lobes : str or None
        Masks: paths or addresses.
    series : str or None
        SeriesInstanceUID of the series to analyse.

    Notes
    -----
    Its ``repr``, which Dask writes to its logs, shows addresses without passwords.

    Examples
    --------
    >>> BatchCase("P001", "ftp://reader:secret@pacs.example/P001")
    BatchCase(case='P001', source='ftp://pacs.example/P001')
    """

    case: str
    source: str
    lungs: str | None = None
    lobes: str | None = None
    series: str | None = None

    def __repr__(self) -> str:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        shown = {name: shown_address(value) for name, value in values.items() if value is not None}
        shown["case"] = self.case
        return f"BatchCase({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


@dataclass(frozen=True)
class CaseFailure:
    """A case that has no result.

    Parameters
    ----------
    case : str
        Its id, or the place in the source that could not be searched for cases.
    kind : str
        One of :data:`.batch_tables.KINDS`.
    reason : str
        Why, in one sentence.
    """

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
