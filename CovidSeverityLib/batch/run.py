"""A batch: every case goes to a worker, and comes back as a row or as a failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .cluster import SchedulerGoneError
from .dispatch import Dispatch
from .plan import BatchPlan
from .values import BatchCase, CaseFailure, CaseOutcome

if TYPE_CHECKING:
    from distributed import Client

Connect = Callable[[], AbstractContextManager["Client"]]
"""Opens a client of the workers."""

VAIN_CONNECTIONS = 3
"""After so many connections in a row that brought no case to its end, a batch gives up."""


@dataclass(frozen=True)
class Counts:
    """Cases so far: ``done`` includes those that failed."""

    done: int
    total: int
    failed: int


@dataclass
class BatchRun:
    """The cases of a batch on their way.

    Parameters
    ----------
    cases : sequence of BatchCase
        All cases.
    folders : mapping of str to str
        Folder of each, below that of the batch, by its name.
    plan : BatchPlan
        What is done with them.
    report : callable
        Called with the counts whenever a case is done.
    outcomes : dict of str to CaseResult or CaseFailure
        What became of the cases so far, by their names. Those that are known before are not sent; they count too, also
        those that SOURCE names and that are no cases.
    """

    cases: Sequence[BatchCase]
    folders: Mapping[str, str]
    plan: BatchPlan
    report: Callable[[Counts], None]
    outcomes: dict[str, CaseOutcome] = field(default_factory=dict)

    def run(self, connect: Connect) -> None:
        """Do all cases; :attr:`outcomes` has them afterwards, also those before an error.

        Parameters
        ----------
        connect : callable
            Opens a client. It is called again where the scheduler went away.

        Raises
        ------
        NoRoomError
            No results can be written any more.
        SchedulerGoneError
            The scheduler or its workers went away and did not come back.
        """
        self._tell()
        vain = 0
        while waiting := [case for case in self.cases if case.case not in self.outcomes]:
            before = len(self.outcomes)
            with connect() as client:
                Dispatch(waiting, self.folders, self.plan, self._add, client).run()
            vain = vain + 1 if len(self.outcomes) == before else 0
            if vain == VAIN_CONNECTIONS:
                raise SchedulerGoneError(f"the connection to the scheduler broke {vain} times before a case was done")

    def _add(self, outcome: CaseOutcome) -> None:
        self.outcomes[outcome.case] = outcome
        self._tell()

    def _tell(self) -> None:
        failed = sum(isinstance(outcome, CaseFailure) for outcome in self.outcomes.values())
        total = len({*(case.case for case in self.cases), *self.outcomes})
        self.report(Counts(len(self.outcomes), total, failed))
