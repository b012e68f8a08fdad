"""A case within its limits: it ends by itself, is asked to stop, or is left behind."""

import threading
import time

import pytest

from CovidSeverityLib.batch.config import BatchConfig
from CovidSeverityLib.batch.watch import CaseLimitError, within_limits
from CovidSeverityLib.errors import InputError

SHORT = BatchConfig(timeout_s=0.05, stop_grace_s=0.2, watch_every_s=0.01)


def test_result_and_error_of_the_work_come_through():
    assert within_limits(lambda progress: progress("lungs", 0, 1) or 7, 0, BatchConfig()) == 7
    with pytest.raises(InputError, match="no such file"):
        within_limits(lambda progress: _raise(InputError("no such file")), 0, BatchConfig())


def _raise(error):
    raise error


def test_work_that_reports_progress_is_stopped_and_cleans_up():
    cleaned = threading.Event()

    def slow(progress):
        try:
            while True:
                progress("lungs", 0, 1)
                time.sleep(0.005)
        finally:
            cleaned.set()

    with pytest.raises(CaseLimitError, match=r"took longer than 0\.05 s and was stopped; --timeout"):
        within_limits(slow, 0, SHORT)
    assert cleaned.is_set()


def test_work_that_hangs_is_left_behind():
    end = threading.Event()
    with pytest.raises(CaseLimitError, match="took longer"):
        within_limits(lambda progress: end.wait(30), 0, SHORT)
    end.set()


def test_more_memory_than_the_worker_has_is_said():
    with pytest.raises(CaseLimitError, match=r"needed more than the 0\.0 GB of its worker.*--memory-per-worker"):
        within_limits(lambda progress: time.sleep(1), 2**20, BatchConfig(stop_grace_s=0, watch_every_s=0.01))


def test_memory_has_no_limit_where_the_worker_has_none():
    config = BatchConfig(watch_every_s=0.001)
    assert within_limits(lambda progress: time.sleep(0.02) or "done", 0, config) == "done"
