"""Cases to the workers of one scheduler, and their answers."""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from CovidSeverityLib.errors import CovidSeverityError, OutputError

from .case import Reply, process_case
from .cluster import SchedulerGoneError, memory_of_workers
from .plan import BatchPlan
from .values import LIMIT, OUTPUT, WORKER, BatchCase, CaseFailure, CaseOutcome

if TYPE_CHECKING:
    from distributed import Client, Future, Nanny

LOOK_EVERY_S = 1.0
"""How often the batch looks for new workers and for cases that hang."""


class NoRoomError(CovidSeverityError):
    """No results can be written any more; the message says why."""


class WorkersUnfitError(CovidSeverityError):
    """No worker can do a case, because something is missing there."""


class Dispatch:
    """As many cases as one connection to a scheduler brings to their end.

    Parameters
    ----------
    waiting : sequence of BatchCase
        The cases.
    folders : mapping of str to str
        Their folders.
    plan : BatchPlan
        What is done with them.
    add : callable
        Takes the outcome of each.
    client : Client
        The connection.
    """

    def __init__(
        self,
        waiting: Sequence[BatchCase],
        folders: Mapping[str, str],
        plan: BatchPlan,
        add: Callable[[CaseOutcome], None],
        client: Client,
    ) -> None:
        self._folders, self._plan, self._add, self._client = folders, plan, add, client
        self._waiting = deque(waiting)
        self._suspects: deque[BatchCase] = deque()
        self._alone: set[str] = set()
        self._count = 0
        self._ended: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._sent: dict[Future, BatchCase] = {}
        self._seen_s: dict[str, float] = {}
        self._threads = 0
        self._workers_s = time.monotonic()
        self._memory_bytes = 0

    def run(self) -> None:
        """Send and receive until nothing is left, or until the scheduler went away.

        Raises
        ------
        NoRoomError
            No results can be written any more.
        SchedulerGoneError
            There are no workers.
        WorkersUnfitError
            They have no covid-severity.
        """
        try:
            self._memory_bytes = memory_of_workers(self._client)
            looked_s = 0.0
            while self._waiting or self._sent or self._suspects:
                if time.monotonic() - looked_s > LOOK_EVERY_S:
                    looked_s = time.monotonic()
                    self._count_workers()
                    self._end_what_hangs()
                self._send()
                try:
                    future = self._ended.get(timeout=LOOK_EVERY_S)
                except queue.Empty:
                    continue
                if future in self._sent and not self._receive(future):
                    return
        except OSError:  # the connection broke
            return
        finally:
            for future in self._sent:
                future.release()

    def _count_workers(self) -> None:
        of_workers: Any = self._client.nthreads()  # Dask's types know the asynchronous client too
        self._threads = sum(of_workers.values())
        if self._threads:
            self._workers_s = time.monotonic()
            return
        gone_s, limits = time.monotonic() - self._workers_s, self._plan.limits
        if self._client.cluster is not None and gone_s > limits.restart_wait_s:
            raise ConnectionError("all processes of this computer are gone")  # the next connection starts new ones
        if gone_s > limits.scheduler_wait_s:
            raise SchedulerGoneError(f"the scheduler had no workers for {limits.scheduler_wait_s:g} s")

    def _send(self) -> None:
        """Send a case for each thread of a worker, and no more: one that waited at a worker would die with it.

        A case whose process died too often may have been where another one was the cause. It is tried again at the
        end, with nothing beside it.
        """
        while self._waiting and len(self._sent) < self._threads:
            self._submit(self._waiting.popleft())
        if self._suspects and self._threads and not self._sent:
            case = self._suspects.popleft()
            self._alone.add(case.case)
            self._submit(case)

    def _submit(self, case: BatchCase) -> None:
        """The name of a task is seen by all who see the scheduler; it does not tell the name of the case."""
        folder, plan = self._folders[case.case], self._plan
        self._count += 1
        key = f"case-{self._count:06d}-{id(self):x}"
        future = self._client.submit(process_case, case, folder, plan, self._memory_bytes, pure=False, key=key)
        self._sent[future] = case
        future.add_done_callback(self._ended.put)

    def _receive(self, future: Future) -> bool:
        """Take the answer; False if it was lost with its scheduler."""
        from concurrent.futures import CancelledError

        try:
            reply = self._reply(future)
        except CancelledError:
            return False
        case = self._sent.pop(future)
        if reply is None:
            self._suspects.append(case)
            return True
        outcome = reply.outcome
        if isinstance(outcome, CaseFailure) and outcome.kind == OUTPUT:
            self._check_room(reply, outcome)
        self._add(outcome)
        if reply.spent_worker:
            future.cancel()  # its answer goes with the worker: while it is wanted, Dask would do the case again
            self._replace(reply.spent_worker)
        return True

    def _reply(self, future: Future) -> Reply | None:
        """The answer; None if the process of the case died, and it is to be tried alone."""
        from distributed import KilledWorker

        case = self._sent[future]
        try:
            return future.result()
        except KilledWorker as error:
            if case.case not in self._alone:
                return None
            return Reply(CaseFailure(case.case, WORKER, _died(error.allowed_failures + 1)))
        except ImportError as error:
            raise WorkersUnfitError(
                f"the workers cannot load covid-severity {self._plan.version} ({error}); install it there"
            ) from error

    def _check_room(self, reply: Reply, outcome: CaseFailure) -> None:
        if reply.full:
            raise NoRoomError(outcome.reason)
        try:
            self._plan.destination.check()
        except OutputError as error:
            raise NoRoomError(str(error)) from error

    def _end_what_hangs(self) -> None:
        """End the processes that do not end their case themselves: a library in them never returns."""
        limits, now = self._plan.limits, time.monotonic()
        after_s = 2 * (limits.timeout_s + limits.stop_grace_s) + limits.hard_grace_s  # it may have waited for another
        processing: Any = self._client.processing()
        running = {key: worker for worker, keys in processing.items() for key in keys}
        self._seen_s = {key: self._seen_s.get(key, now) for key in running}
        for future, case in list(self._sent.items()):
            key = str(future.key)
            if now - self._seen_s.get(key, now) > after_s:
                del self._sent[future]
                future.cancel(force=True)
                self._add(CaseFailure(case.case, LIMIT, _hung(limits.timeout_s)))
                self._replace(running[key])

    def _replace(self, worker: str) -> None:
        """A new process in the place of ``worker``; one without a nanny cannot be replaced and stays."""
        self._client.run(_end_process, workers=[worker], nanny=True, on_error="ignore")


def _end_process(dask_worker: Nanny) -> None:
    """Done by the nanny of a worker, which starts a new process where one ends."""
    worker = dask_worker.process
    if worker is not None and worker.process is not None:
        worker.process.kill()


def _died(tries: int) -> str:
    return (
        f"the process that analysed it died {tries} times with no other case beside it: it was ended from outside, "
        "crashed, or needed more memory than its worker has; --memory-per-worker gives it more"
    )


def _hung(timeout_s: float) -> str:
    return (
        f"it took longer than {timeout_s:g} s and did not react, so that its process was ended; --timeout gives a case "
        "more time"
    )
