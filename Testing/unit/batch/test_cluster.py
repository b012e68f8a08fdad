"""How many workers fit on a computer."""

import pytest
from dask import system

from CovidSeverityLib.batch import cluster
from CovidSeverityLib.batch.cluster import LocalWorkers
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.cost import GB, Memory


@pytest.mark.parametrize(
    ("cores", "free_gb", "cases", "expected"),
    [
        (2, 20, 99, (2, 1)),
        (8, 7, 99, (2, 4)),
        (8, 100, 99, (8, 1)),
        (8, 100, 3, (3, 2)),
        (4, 1, 99, (1, 4)),
        (6, 13, 99, (4, 1)),
        (2, 20, 0, (1, 2)),
    ],
)
def test_as_many_workers_as_cores_and_free_memory_allow(monkeypatch, cores, free_gb, cases, expected):
    monkeypatch.setattr(system, "CPU_COUNT", cores)
    monkeypatch.setattr(cluster, "usable_memory", lambda: Memory(128 * GB, free_gb * GB))
    found = LocalWorkers.fitting(None, None, 3 * GB, cases)
    assert (found.count, found.threads) == expected
    assert found.memory_bytes == 3 * GB


def test_container_that_hides_its_free_memory_counts_as_a_whole(monkeypatch):
    monkeypatch.setattr(system, "CPU_COUNT", 16)
    monkeypatch.setattr(cluster, "usable_memory", lambda: Memory(12 * GB, None))
    assert LocalWorkers.fitting(None, None, 3 * GB, 99).count == 4


def test_workers_that_were_asked_for_have_a_core_each(monkeypatch):
    monkeypatch.setattr(system, "CPU_COUNT", 8)
    monkeypatch.setattr(cluster, "usable_memory", lambda: Memory(16 * GB, 1 * GB))
    assert LocalWorkers.fitting(2, None, 3 * GB, 1) == LocalWorkers(2, 1, 3 * GB)
    assert LocalWorkers.fitting(2, 4, 3 * GB, 1) == LocalWorkers(2, 4, 3 * GB)
    with pytest.raises(InputError, match=r"8 workers of 3\.0 GB need more than the 16\.0 GB of this machine"):
        LocalWorkers.fitting(8, None, 3 * GB, 99)


def test_text_names_workers_threads_and_memory():
    assert LocalWorkers(1, 2, 3 * GB).text == "1 worker with 2 threads and 3.0 GB each"
    assert LocalWorkers(4, 1, GB // 2).text == "4 workers with 1 thread and 0.5 GB each"
