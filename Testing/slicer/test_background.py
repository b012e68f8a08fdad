"""Functions in a thread, whose results come back to the thread of the application."""

from __future__ import annotations

import ctypes
import os
import threading
import time

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")

from CovidSeveritySlicer.events.Background import Background

SECONDS = 30.0
"""More than any function here takes."""


class HandTimer:
    """A timer that a test lets tick."""

    def __init__(self, interval_ms, callback, singleShot=False):  # noqa: N803 (as Slicer's timers are called)
        self.callback, self.running = callback, False

    def start(self):
        self.running = True

    def stop(self):
        self.running = False


class Case:
    def __init__(self):
        self.background = Background(self.make_timer)
        self.gate = threading.Event()
        self.ends = []

    def make_timer(self, *arguments, **names):
        self.timer = HandTimer(*arguments, **names)
        return self.timer

    def wait_at_the_gate(self):
        assert self.gate.wait(SECONDS)
        return threading.get_ident()

    def begin(self, function=None):
        self.background.run(function or self.wait_at_the_gate, self.end)

    def end(self, future):
        self.ends.append((threading.get_ident(), future, self.background.running))


@pytest.fixture
def case():
    case = Case()
    yield case
    case.gate.set()


def test_function_runs_elsewhere_and_ends_here(case):
    case.begin()
    for _ in range(3):
        case.timer.callback()
    assert (case.ends, case.background.running, case.timer.running) == ([], True, True)
    case.gate.set()
    while case.background.running:
        case.timer.callback()
    ((thread, future, running),) = case.ends
    assert thread == threading.get_ident() != future.result()
    assert (running, case.timer.running) == (False, False)
    case.timer.callback()
    assert len(case.ends) == 1


def test_error_comes_with_the_end(case):
    case.begin(lambda: 1 // 0)
    case.background.finish()
    with pytest.raises(ZeroDivisionError):
        case.ends[0][1].result()


def test_only_one_function_runs_at_a_time(case):
    case.begin()
    with pytest.raises(RuntimeError, match="already"):
        case.begin()
    case.gate.set()
    case.background.finish()
    case.begin()
    case.background.finish()
    assert len(case.ends) == 2


def test_end_may_begin_the_next_function_and_both_are_waited_for(case):
    case.gate.set()
    case.background.run(lambda: 1, lambda _future: case.begin())
    case.background.finish()
    assert len(case.ends) == 1


def test_application_handles_its_events_while_it_waits(case):
    idles = []

    def idle():
        idles.append(True)
        if len(idles) == 3:
            case.gate.set()

    case.begin()
    case.background.finish(idle)
    assert len(case.ends) == 1
    assert len(idles) >= 3


def test_forgotten_function_tells_nothing(case):
    case.begin()
    case.background.forget()
    assert not case.timer.running
    case.gate.set()
    case.background.finish()
    case.timer.callback()
    assert case.ends == []


@pytest.mark.skipif(os.name == "nt", reason="usleep of POSIX")
def test_thread_gets_on_where_the_event_loop_keeps_the_lock_of_the_interpreter(case):
    sleep_with_the_lock = ctypes.PyDLL(None).usleep
    steps = []

    def take_the_lock_often():
        for n in range(200):
            time.sleep(0)  # gives the lock away and takes it back
            steps.append(n)

    case.begin(take_the_lock_often)
    for _ in range(100):
        sleep_with_the_lock(5000)
        case.timer.callback()
        if case.ends:
            break
    assert len(steps) == 200
    assert len(case.ends) == 1
