"""The numbers of a batch. None of them changes a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from CovidSeverityLib.checked import Checked, Count, NotNegative, Positive, Range
from CovidSeverityLib.io.cost import GB


@dataclass(frozen=True)
class BatchConfig(Checked):
    """How a batch uses a computer or a cluster.

    Parameters
    ----------
    worker_memory_bytes : int, bytes
        Memory that a worker may use. 3 GB hold a CT of 512 x 512 x 600 voxels (2.6 GB, :mod:`~..io.cost`).
    timeout_s : float, s
        Longest time for one case. The largest CT that was tried, 1024 x 1024 x 1200 voxels, takes two minutes; what
        takes half an hour hangs.
    stop_grace_s : float, s
        Time that a case has to stop by itself after its limit, before its process is ended: a stage reports its
        progress at least every few seconds.
    hard_grace_s : float, s
        Time that the process itself has to end a case, before the batch ends the process: it cannot where a library
        never returns and holds the interpreter's lock.
    watch_every_s : float, s
        How often time and memory of a case are looked at. In this time an analysis allocates some 100 MB.
    memory_share : float, share
        Share of a worker's memory at which its case is stopped. Dask ends the process at 0.95, without a reason.
    allowed_deaths : int
        How often a case is tried again whose process died. Of three deaths in a row the case is the cause.
    restart_wait_s : float, s
        How long all processes of this computer may be gone before they are started anew. Dask replaces one in two
        seconds, but not if it died within a moment of its start.
    scheduler_wait_s : float, s
        How long a batch waits for a scheduler that went away.
    """

    worker_memory_bytes: Count = 3 * GB
    timeout_s: Positive = 1800.0
    stop_grace_s: NotNegative = 10.0
    hard_grace_s: NotNegative = 60.0
    watch_every_s: Positive = 0.1
    memory_share: Annotated[float, Range(0, 0.95, without_ends=True)] = 0.9
    allowed_deaths: Annotated[int, Range(0)] = 2
    restart_wait_s: NotNegative = 30.0
    scheduler_wait_s: NotNegative = 300.0
