"""Faults of a cluster of Dask: a scheduler that goes away and comes back, and one that does not."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from Testing.faults.harness import Batch, Running, fault

DASK = Path(sys.executable).with_name("dask")


@dataclass
class Cluster:
    """A scheduler at a port of its own, and a worker."""

    batch: Batch
    port: int
    processes: list[subprocess.Popen] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start(self) -> subprocess.Popen:
        """Start both; return the scheduler."""
        scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", str(self.port))
        self._start("worker", self.address, "--nthreads", "1", "--memory-limit", "1.2GB")
        return scheduler

    def _start(self, *arguments: str) -> subprocess.Popen:
        self.processes.append(
            subprocess.Popen(
                [sys.executable, DASK, *arguments, "--no-dashboard"],
                env=self.batch.environment(self.batch.root / "cluster"),
                stderr=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        )
        return self.processes[-1]


@pytest.fixture
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    batch = Batch(tmp_path_factory.mktemp("cluster"), "first", "second")
    batch.write_plan(batch.root / "cluster", faults=(fault("second", "lobes", "hold"),))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cluster = Cluster(batch, port)
    yield cluster
    for process in cluster.processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_scheduler_that_goes_away_and_comes_back_loses_nothing(cluster):
    batch, scheduler = cluster.batch, cluster.start()
    running = batch.start("--scheduler", cluster.address)
    held = Running(running.process, batch.root / "cluster")
    held.wait_for("second", "lobes")
    scheduler.kill()
    scheduler.wait()
    cluster.start()
    held.let_go("second", "lobes")
    ran = running.end()
    assert (ran.status, ran.err) == (0, "")
    assert batch.rows("cases.csv").keys() == {"first", "second"}
    assert batch.content("first") == batch.content("second")
    assert batch.stray("first", "second") == set()


def test_scheduler_that_does_not_come_back_ends_the_batch(cluster):
    batch, scheduler = cluster.batch, cluster.start()
    running = batch.start("--scheduler", cluster.address, limits={"scheduler_wait_s": 1})
    Running(running.process, batch.root / "cluster").wait_for("second", "lobes")
    scheduler.kill()
    ran = running.end()
    assert ran.status == 1
    assert ran.err == (
        f"covid-severity: no scheduler of Dask answers at {cluster.address}; stopped after 1 of 2 cases; --resume goes "
        "on with the rest\n"
    )
    assert batch.rows("cases.csv").keys() == {"first"}
    assert batch.stray("first") == set()


def test_address_without_a_scheduler_is_told(cluster):
    ran = cluster.batch.run("--scheduler", cluster.address)
    assert ran.status == 1
    assert ran.err.startswith(f"covid-severity: no scheduler of Dask answers at {cluster.address}; stopped after 0 of")
