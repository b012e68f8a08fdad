"""Work in portions: nothing is left out, the window is not held, errors arrive."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")

from CovidSeveritySlicer.events import Steps as steps_module
from CovidSeveritySlicer.events.Steps import Steps


class HandTimer:
    """Ticks when it is told."""

    def __init__(self, _interval_ms, callback):
        self.callback, self.active = callback, False

    def start(self):
        self.active = True

    def stop(self):
        self.active = False


@pytest.fixture
def clock():
    timers = []

    def make(interval_ms, callback):
        timers.append(HandTimer(interval_ms, callback))
        return timers[-1]

    make.timers = timers
    return make


def counting(seen, count, pause_s=0.0):
    for n in range(count):
        time.sleep(pause_s)
        seen.append(n)
        yield


def test_a_portion_ends_in_time_and_the_next_one_goes_on(clock, monkeypatch):
    monkeypatch.setattr(steps_module, "PORTION_S", 0.01)
    steps, seen, ends = Steps(clock), [], []
    steps.run(counting(seen, 50, 0.002), ends.append)
    (timer,) = clock.timers
    assert (seen, timer.active, steps.running) == ([], True, True)
    timer.callback()
    assert 0 < len(seen) < 50
    while timer.active:
        timer.callback()
    assert (seen, ends, steps.running) == ([*range(50)], [None], False)


def test_waiting_lets_the_application_handle_its_events(clock, monkeypatch):
    monkeypatch.setattr(steps_module, "PORTION_S", 0.001)
    steps, seen, idle = Steps(clock), [], []
    steps.run(counting(seen, 5, 0.002), lambda _error: idle.append("end"))
    steps.finish(lambda: idle.append("idle"))
    assert (seen, idle.count("end"), idle.count("idle") >= 5) == ([*range(5)], 1, True)


def test_an_error_of_a_step_arrives_and_ends_it(clock):
    def broken():
        yield
        raise OSError("the database is locked")

    steps, ends = Steps(clock), []
    steps.run(broken(), ends.append)
    steps.finish()
    assert [str(error) for error in ends] == ["the database is locked"]
    assert not clock.timers[0].active


def test_what_is_given_up_or_replaced_never_ends(clock):
    steps, first, second, ends = Steps(clock), [], [], []
    steps.run(counting(first, 3), lambda _error: ends.append("first"))
    steps.run(counting(second, 3), lambda _error: ends.append("second"))
    steps.finish()
    assert (first, second, ends) == ([], [0, 1, 2], ["second"])
    steps.run(counting(first, 3), lambda _error: ends.append("third"))
    steps.forget()
    clock.timers[0].callback()
    assert (first, ends, steps.running) == ([], ["second"], False)
