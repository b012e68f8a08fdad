"""Dask's clock does not follow jumps of the computer's."""

from __future__ import annotations

import sys
import time

import pytest

pytest.importorskip("distributed", reason="Dask is not installed")

from distributed import batched, metrics
from tornado.ioloop import IOLoop

from CovidSeverityLib.batch.steady_clock import steady_time, use_steady_clock

DAY_S = 86400.0


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S])
def test_clock_of_dask_does_not_jump(monkeypatch, jump_s):
    use_steady_clock()
    clock = time.time
    assert steady_time() == pytest.approx(clock(), abs=60)
    monkeypatch.setattr(time, "time", lambda: clock() + jump_s)
    for now in (metrics.time(), batched.time(), IOLoop.time(None)):
        assert now == pytest.approx(clock(), abs=60)


def test_every_module_of_dask_has_it():
    use_steady_clock()
    of_dask = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "distributed"}
    assert [name for name, module in of_dask.items() if vars(module).get("time") is time.time] == []
