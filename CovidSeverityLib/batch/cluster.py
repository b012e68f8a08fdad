"""The workers of a batch: processes of this computer, or a cluster of Dask that is there already."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from CovidSeverityLib.errors import CovidSeverityError, InputError
from CovidSeverityLib.io.cost import GB, usable_memory

from .config import BatchConfig
from .steady_clock import use_steady_clock

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

logger = logging.getLogger(__name__)

EXTRA = 'pip install "covid-severity[batch]"'

THREAD_VARIABLES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "TF_NUM_INTRAOP_THREADS"),
)
"""Each says to one library how many threads it may use."""


class SchedulerGoneError(CovidSeverityError):
    """A scheduler went away and did not come back."""


@dataclass(frozen=True)
class LocalWorkers:
    """Processes of this computer.

    Parameters
    ----------
    count : int
        How many cases are analysed at a time.
    threads : int
        Threads of each.
    memory_bytes : int
        Memory of each.
    """

    count: int
    threads: int
    memory_bytes: int

    @property
    def text(self) -> str:
        """In words."""
        one = "1 worker" if self.count == 1 else f"{self.count} workers"
        thread = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{one} with {thread} and {self.memory_bytes / GB:.1f} GB each"

    @classmethod
    def fitting(cls, count: int | None, threads: int | None, memory_bytes: int, cases: int) -> LocalWorkers:
        """As many as cores and free memory allow and cases need, where their number is not given.

        A worker is a process on one core. If there are fewer than cores, they share the other cores.

        Parameters
        ----------
        count, threads : int or None
            What the user wants.
        memory_bytes : int
            Memory of one.
        cases : int
            Number of cases.

        Raises
        ------
        InputError
            They need more memory than there is.
        """
        from dask.system import CPU_COUNT

        memory = usable_memory()
        if count is not None:
            if count * memory_bytes > memory.total:
                raise InputError(
                    f"{count} workers of {memory_bytes / GB:.1f} GB need more than the "
                    f"{memory.total / GB:.1f} GB of this machine; fewer --workers, or less --memory-per-worker"
                )
            return cls(count, threads or 1, memory_bytes)
        free = memory.total if memory.free is None else memory.free
        fits = max(1, min(int(CPU_COUNT), free // memory_bytes, cases))
        return cls(fits, threads or max(1, int(CPU_COUNT) // fits), min(memory_bytes, memory.total))


def check_extra() -> None:
    """Refuse to begin without Dask.

    Raises
    ------
    InputError
        It is not installed.
    """
    import importlib.util

    missing = [name for name in ("distributed", "fsspec", "pyarrow") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"a batch needs {' and '.join(missing)}, which this Python does not have: {EXTRA}")


@contextmanager
def local_client(workers: LocalWorkers, config: BatchConfig) -> Iterator[Client]:
    """A client of new processes on this computer; they end with the ``with`` block, or with this process."""
    import dask.config
    from distributed import Client, LocalCluster

    use_steady_clock()
    threads = dict.fromkeys(THREAD_VARIABLES, str(workers.threads))
    settings: dict[str, Any] = {
        "distributed.scheduler.allowed-failures": config.allowed_deaths,
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.preload": [f"{__package__}.worker_process"],
        "distributed.worker.profile.enabled": False,
        "distributed.nanny.pre-spawn-environ": threads,
        "distributed.comm.timeouts.connect": "60s",
        "distributed.admin.tick.limit": "1h",
    }
    with _quiet(), dask.config.set(settings):
        cluster = LocalCluster(
            n_workers=workers.count,
            threads_per_worker=1,
            memory_limit=workers.memory_bytes,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:8787",
            silence_logs=logging.CRITICAL,
        )
        try:
            client = Client(cluster, set_as_default=False)
            try:
                yield client
            finally:
                _close(client)
        finally:
            _close(cluster)


def _close(one: Client | LocalCluster) -> None:
    """Dask fails where it closes a worker that is just started again; its processes end with this one at the latest."""
    try:
        one.close()
    except Exception as error:  # the results are there, whatever this is
        logger.debug("closing %r: %r", one, error)


@contextmanager
def remote_client(address: str, wait_s: float) -> Iterator[Client]:
    """A client of a scheduler that is there already.

    Raises
    ------
    SchedulerGoneError
        It does not answer within ``wait_s``.
    InputError
        The address is none.
    """
    from distributed import Client

    use_steady_clock()
    with _quiet():
        try:
            client = Client(address, timeout=wait_s, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise SchedulerGoneError(f"no scheduler of Dask answers at {address}") from error
        except ValueError as error:
            raise InputError(f"{address} is not the address of a scheduler, as in tcp://10.0.0.1:8786") from error
        try:
            yield client
        finally:
            client.close(timeout=5)


def memory_of_workers(client: Client) -> int:
    """Memory of the smallest worker, bytes; 0 if none has a limit."""
    limits = [int(worker["memory_limit"]) for worker in client.scheduler_info(n_workers=-1)["workers"].values()]
    return min((limit for limit in limits if limit > 0), default=0)


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask's log says what the batch says better, and more than once."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client", "asyncio")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the usual port of the dashboard is taken, for example
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
