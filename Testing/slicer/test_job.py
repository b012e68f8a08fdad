"""Child processes as they come: quiet, loud, wrong, crashing, stubborn, with children of their own, and the real."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")

from CovidSeveritySlicer.analysis import ChildOutput, JobOutcome, ProcessTree
from CovidSeveritySlicer.analysis import Job as jobs
from CovidSeveritySlicer.analysis.Job import Job, JobStatus, childEnvironment

from CovidSeverityLib import InputError, analysis_request
from CovidSeverityLib.evaluation.synthetic.phantom import write_phantom
from CovidSeverityLib.preprocessing.orientation import check_orientation

REPOSITORY = Path(__file__).parents[2]

posix_only = pytest.mark.skipif(os.name != "posix", reason="signals and process groups of POSIX")
linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


class HandClock:
    """A timer factory whose timers tick when they are told."""

    def __init__(self):
        self.timers = []

    def __call__(self, interval_ms, callback, singleShot=False):  # noqa: N803 (Qt's name)
        timer = HandTimer(interval_ms, callback)
        self.timers.append(timer)
        return timer

    def tick(self):
        for timer in self.timers:
            if timer.active:
                timer.callback()


class HandTimer:
    def __init__(self, interval_ms, callback):
        self.interval_ms, self.callback, self.active = interval_ms, callback, False

    def start(self):
        self.active = True

    def stop(self):
        self.active = False


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture(scope="session")
def tiny_folder(tiny_chest, tmp_path_factory):
    """A folder with the files of ``tiny_chest``."""
    folder = tmp_path_factory.mktemp("tiny")
    write_phantom(tiny_chest, folder)
    return folder


@pytest.fixture
def make_job(clock):
    """``make_job(code, *arguments)``: a job that runs Python code, and what its signals told."""
    made = []

    def make(code, *arguments, **options):
        job = Job([sys.executable, "-c", code, *map(str, arguments)], timerFactory=clock, **options)
        job.steps, job.outcomes = [], []
        job.progressed.connect(lambda *step: job.steps.append(step))
        job.finished.connect(job.outcomes.append)
        made.append(job)
        return job

    yield make
    for job in made:
        job._endAtOnce()


def run(job):
    job.start()
    return job.wait()


def wait_for(condition, timeout_s=10.0):
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.01)


def alive(process_id):
    """Whether a process runs; one that ended and that nobody asked about yet does not."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def read_ids(path, count):
    def written():
        return path.is_file() and len(path.read_text(encoding="ascii").split()) == count

    wait_for(written)
    return [int(word) for word in path.read_text(encoding="ascii").split()]


STUBBORN_FAMILY = """
import os, signal, subprocess, sys, time
family, generations, ids = sys.argv[0], int(sys.argv[1]), sys.argv[2]
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(ids, "a") as file:
    file.write(f"{os.getpid()} ")
if generations:
    subprocess.Popen([sys.executable, "-c", os.environ["FAMILY"], str(generations - 1), ids])
print("here", flush=True)
time.sleep(60)
"""

LAUNCHER = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", *sys.argv[1:]])
status = child.wait()
if status < 0:
    print("error: [bin/./python-real] exit abnormally - Report the problem.", file=sys.stderr)
sys.exit(1 if status < 0 else status)
"""
"""Behaves as Slicer's launcher: waits for its own child, tells that it crashed and exits with status 1."""


# What is told


def test_progress_lines_are_told_in_order_and_the_rest_is_logged(make_job):
    job = make_job("""
import json, sys
print("Reading")
for done in range(3):
    print(json.dumps({"stage": "lungs", "done": done, "total": 2}))
print("warning: few slices", file=sys.stderr)
""")
    outcome = run(job)
    assert job.steps == [("lungs", 0, 2), ("lungs", 1, 2), ("lungs", 2, 2)]
    assert (outcome.status, outcome.exitCode) == (JobStatus.SUCCEEDED, 0)
    assert sorted(outcome.log.splitlines()) == ["Reading", "warning: few slices"]
    assert job.outcomes == [outcome]
    assert job.outcome is outcome


def test_garbage_invalid_utf8_and_a_line_without_end_are_survived(make_job):
    job = make_job("""
import os
os.write(1, bytes(range(256)) * 40 + b"\\n")
os.write(1, b"\\xff\\xfe broken \\xc3\\n")
os.write(1, b'{"stage": "lungs", "done": 1, "total": 2}\\r\\n')
for _ in range(300):
    os.write(1, b"endless" * 10000)
os.write(1, b"\\n" + b'{"stage": "lungs", "done": 2, "total": 2}')
""")
    outcome = run(job)
    assert outcome.status is JobStatus.SUCCEEDED
    assert job.steps == [("lungs", 1, 2), ("lungs", 2, 2)]
    assert "\ufffd\ufffd broken \ufffd" in outcome.log.splitlines()
    assert len(outcome.log) < 4 * ChildOutput.LINE_BYTES
    assert outcome.log.endswith("endless" * 10 + "endless"[: ChildOutput.LINE_BYTES % 7])
    assert "\0" not in outcome.log


def test_a_line_without_end_is_heard_while_it_goes_on(make_job):
    job = make_job("import os\nwhile True: os.write(1, b'x' * 50000)")
    job.start()
    wait_for(lambda: job.poll() or job._log.text)
    job.cancel()
    assert job.wait().status is JobStatus.CANCELLED
    assert job.outcome.log == "x" * ChildOutput.LINE_BYTES


def test_a_flood_of_lines_keeps_its_first_and_its_last(make_job):
    job = make_job("for n in range(30000): print('line', n)")
    began = time.monotonic()
    outcome = run(job)
    lines = outcome.log.splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("line 0", "line 29999", 501)
    assert lines[50] == "... 29500 lines are left out ..."
    assert time.monotonic() - began < 8


def test_a_look_takes_of_a_flood_what_its_time_allows_and_always_something(make_job, monkeypatch):
    monkeypatch.setattr(jobs, "DRAIN_S", 0.0)
    job = make_job('while True: print(\'{"stage": "lungs", "done": 1, "total": 2}\')')
    job.start()
    wait_for(lambda: job.poll() or job.steps)
    seen = len(job.steps)
    time.sleep(0.2)
    for _ in range(20):
        job.poll()
    assert len(job.steps) == seen + 20


def test_a_flood_that_nobody_takes_makes_the_child_wait(make_job):
    job = make_job("while True: print('x' * 5000)")
    job.start()
    time.sleep(0.6)
    assert job._output._lines.qsize() == ChildOutput.WAITING_LINES
    job.cancel()
    assert job.wait().status is JobStatus.CANCELLED


def test_the_timer_alone_brings_the_end(make_job, clock):
    job = make_job('print(\'{"stage": "write", "done": 1, "total": 1}\')')
    job.start()
    assert job.running
    wait_for(lambda: clock.tick() or not job.running)
    assert job.steps == [("write", 1, 1)]
    assert [outcome.status for outcome in job.outcomes] == [JobStatus.SUCCEEDED]
    assert [timer.active for timer in clock.timers] == [False]
    assert clock.timers[0].interval_ms <= 100


def test_start_and_cancel_emit_nothing_themselves(make_job):
    job = make_job('print(\'{"stage": "write", "done": 1, "total": 1}\')')
    job.start()
    time.sleep(0.2)
    job.cancel()
    assert (job.steps, job.outcomes, job.running) == ([], [], True)


# How it ends


def test_refused_arguments_tell_the_sentence_of_the_parser(program):
    ran = program("analyze", "--nonsense")
    told = JobOutcome.judge(ran.status, ran.err.splitlines(), "It")
    assert told == (JobStatus.REFUSED, "the following arguments are required: INPUT")


def test_exit_status_2_without_a_sentence_is_no_refusal(make_job):
    outcome = run(make_job("import sys; sys.exit(2)"))
    assert outcome.status is JobStatus.CRASHED
    assert "exit status 2" in outcome.message


@pytest.mark.parametrize(
    ("code", "errors", "status"),
    [
        (-6, ["terminate called after throwing an instance of 'std::bad_alloc'"], JobStatus.OUT_OF_MEMORY),
        (0xC0000017, [], JobStatus.OUT_OF_MEMORY),
        (0xC0000005, ["Windows fatal exception: access violation"], JobStatus.CRASHED),
        (2, ["covid-severity: not enough memory of a stated kind is no lack of it"], JobStatus.REFUSED),
    ],
)
def test_what_the_last_lines_tell_decides(code, errors, status):
    assert JobOutcome.judge(code, errors, "It")[0] is status


def test_of_several_sentences_the_last_one_counts():
    errors = ["covid-severity: first", "covid-severity: second", "Exception ignored in: <socket>"]
    assert JobOutcome.judge(2, errors, "It")[1] == JobOutcome.judge(1, errors, "It")[1] == "second"


def test_panel_names_its_own_box_where_the_command_advises_force(a_small_chest):
    volume = a_small_chest.volume
    upside_down = replace(volume, hu=np.ascontiguousarray(volume.hu[::-1]))
    with pytest.raises(InputError, match="give --force") as refusal:
        check_orientation(upside_down)
    message = JobOutcome.judge(2, [f"covid-severity: {refusal.value}"], "It")[1]
    assert "choose Analyze upside-down CTs under Advanced to analyse it as it is" in message
    assert "--force" not in message


def test_another_failure_tells_its_sentence_or_its_exit_status(make_job):
    told = run(make_job("import sys; sys.exit('covid-severity: the disk went away')"))
    silent = run(make_job("import sys; sys.exit(7)"))
    assert (told.status, told.message) == (JobStatus.CRASHED, "the disk went away")
    assert silent.message == "The program ended unexpectedly (exit status 7); the log tells more."


@posix_only
def test_a_crash_by_signal_is_told_with_the_log(make_job):
    job = make_job(
        "import ctypes; print('last words', flush=True); ctypes.string_at(0)", environment=childEnvironment()
    )
    outcome = run(job)
    assert (outcome.status, outcome.exitCode) == (JobStatus.CRASHED, -signal.SIGSEGV)
    assert "SIGSEGV" in outcome.message
    assert "last words" in outcome.log
    assert "Fatal Python error: Segmentation fault" in outcome.log


@posix_only
def test_a_kill_by_the_system_is_lack_of_memory(make_job):
    outcome = run(make_job("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    assert (outcome.status, outcome.exitCode) == (JobStatus.OUT_OF_MEMORY, -signal.SIGKILL)
    assert "memory" in outcome.message


@posix_only
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", JobStatus.OUT_OF_MEMORY),
        ("import ctypes; ctypes.string_at(0)", JobStatus.CRASHED),
        ("import sys; sys.exit('covid-severity: no lungs')", JobStatus.CRASHED),
        ("import sys; print('covid-severity: no lungs', file=sys.stderr); sys.exit(2)", JobStatus.REFUSED),
    ],
)
def test_behind_the_launcher_the_same_is_told(make_job, code, status):
    assert run(make_job(LAUNCHER, code, environment=childEnvironment())).status is status


@posix_only
def test_exit_status_of_a_shell_around_a_killed_child_is_lack_of_memory(clock):
    outcome = run(Job(["sh", "-c", "sh -c 'kill -9 $$'; exit $?"], timerFactory=clock))
    assert (outcome.status, outcome.exitCode) == (JobStatus.OUT_OF_MEMORY, 128 + signal.SIGKILL)


@pytest.mark.parametrize("demand", [lambda: np.ones(10**15), lambda: sitk.Image([100_000] * 3, sitk.sitkFloat64)])
def test_lack_of_memory_that_the_library_tells_is_recognised(program, tiny_folder, tmp_path, monkeypatch, demand):
    monkeypatch.setattr(analysis_request, "analyze", lambda *_, **__: demand())
    ran = program("analyze", tiny_folder / "ct.nii.gz", "-o", tmp_path / "out")
    status, message = JobOutcome.judge(ran.status, ran.err.splitlines(), "The batch")
    assert (ran.status, status) == (1, JobStatus.OUT_OF_MEMORY), ran.err
    assert message.startswith("The batch ran out of memory")


def test_lack_of_memory_that_python_tells_is_recognised(make_job):
    assert run(make_job("raise MemoryError")).status is JobStatus.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("command", "environment"),
    [(["/nowhere/PythonSlicer"], None), ([sys.executable, "a\0b"], None), ([sys.executable], {"A=\0": "b"})],
)
def test_what_cannot_be_started_is_told_by_finished(command, environment, clock):
    job = Job(command, environment, work="The download", timerFactory=clock)
    outcomes = []
    job.finished.connect(outcomes.append)
    job.start()
    assert outcomes == []
    clock.tick()
    assert [(outcome.status, outcome.exitCode) for outcome in outcomes] == [(JobStatus.NOT_STARTED, None)]
    assert outcomes[0].message.startswith("The download could not be started: ")
    assert len(outcomes[0].message) > 40


@posix_only
@pytest.mark.parametrize("output", ["inherited", "of its own"])
def test_what_a_child_leaves_behind_ends_with_it(make_job, tmp_path, output):
    job = make_job(
        f"""
import subprocess, sys
streams = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) if {output != "inherited"} else {{}}
orphan = subprocess.Popen(["sleep", "60"], **streams)
open(sys.argv[1], "w").write(str(orphan.pid))
""",
        tmp_path / "ids",
    )
    began = time.monotonic()
    outcome = run(job)
    assert outcome.status is JobStatus.SUCCEEDED
    assert time.monotonic() - began < jobs.LATE_OUTPUT_S
    (orphan,) = read_ids(tmp_path / "ids", 1)
    wait_for(lambda: not alive(orphan))


@posix_only
def test_a_grandchild_in_a_session_of_its_own_cannot_delay_the_end(make_job, tmp_path):
    job = make_job(
        """
import subprocess, sys
code = "import os, time\\nfor _ in range(200): time.sleep(0.1); os.write(1, b'still here\\\\n')"
orphan = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
open(sys.argv[1], "w").write(str(orphan.pid))
""",
        tmp_path / "ids",
    )
    began = time.monotonic()
    assert run(job).status is JobStatus.SUCCEEDED
    assert time.monotonic() - began < jobs.LATE_OUTPUT_S + 1.5
    (orphan,) = read_ids(tmp_path / "ids", 1)
    wait_for(lambda: not alive(orphan))  # its next line finds the pipe closed


# Cancelling


def test_cancel_ends_a_willing_child_at_once(make_job):
    job = make_job("import time; print('here', flush=True); time.sleep(60)")
    job.start()
    wait_for(lambda: job.poll() or job._log.text)
    began = time.monotonic()
    job.cancel()
    assert time.monotonic() - began < 0.2
    outcome = job.wait()
    assert time.monotonic() - began < 1.0
    assert outcome.status is JobStatus.CANCELLED
    assert (outcome.log, job.outcomes) == ("here", [outcome])


@linux_only
def test_cancel_ends_a_whole_family_that_ignores_sigterm(make_job, tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "GRACE_S", 0.8)
    environment = {**os.environ, "FAMILY": STUBBORN_FAMILY}
    job = make_job(STUBBORN_FAMILY, 2, tmp_path / "ids", environment=environment)
    job.start()
    family = read_ids(tmp_path / "ids", 3)
    wait_for(lambda: job.poll() or job._log.text.count("here") == 3)
    began = time.monotonic()
    job.cancel()
    assert time.monotonic() - began < 0.2
    assert all(map(alive, family))
    outcome = job.wait()
    assert jobs.GRACE_S <= time.monotonic() - began < jobs.GRACE_S + 1
    assert outcome.status is JobStatus.CANCELLED
    assert not any(map(alive, family))


@linux_only
def test_cancel_waits_for_the_clean_up_behind_the_launcher(make_job, tmp_path):
    tidy = """
import signal, sys, time
def tidy(*_):
    time.sleep(0.5)
    open(sys.argv[1], "w").write("0 ")
    sys.exit(1)
signal.signal(signal.SIGTERM, tidy)
print("here", flush=True)
time.sleep(60)
"""
    job = make_job(LAUNCHER, tidy, tmp_path / "tidied")
    job.start()
    wait_for(lambda: job.poll() or job._log.text)
    job.cancel()
    assert job.wait().status is JobStatus.CANCELLED
    assert (tmp_path / "tidied").is_file()


@linux_only
def test_cancel_ends_what_hides_behind_a_child_that_obeys(make_job, tmp_path):
    code = """
import os, signal, subprocess, sys, time
hidden = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
nothing = subprocess.DEVNULL
orphan = subprocess.Popen([sys.executable, "-c", hidden], stdout=subprocess.PIPE, stderr=nothing)
orphan.stdout.readline()
open(sys.argv[1], "w").write(str(orphan.pid))
time.sleep(60)
"""
    job = make_job(code, tmp_path / "ids")
    job.start()
    (orphan,) = read_ids(tmp_path / "ids", 1)
    job.cancel()
    assert job.wait().status is JobStatus.CANCELLED
    wait_for(lambda: not alive(orphan), 1.0)


def test_cancel_before_the_start_keeps_the_child_from_starting(make_job, tmp_path):
    job = make_job("import sys; open(sys.argv[1], 'w')", tmp_path / "started")
    job.cancel()
    assert not job.running
    job.start()
    assert job.wait().status is JobStatus.CANCELLED
    time.sleep(0.2)
    assert not (tmp_path / "started").exists()
    assert len(job.outcomes) == 1


def test_cancel_twice_is_cancel_once_and_does_not_prolong_the_grace(make_job, monkeypatch):
    monkeypatch.setattr(jobs, "GRACE_S", 0.4)
    job = make_job("""
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("here", flush=True)
time.sleep(60)
""")
    job.start()
    wait_for(lambda: job.poll() or job._log.text)
    began = time.monotonic()
    job.cancel()
    time.sleep(0.3)
    job.cancel()
    assert job.wait().status is JobStatus.CANCELLED
    assert time.monotonic() - began < 0.65
    assert len(job.outcomes) == 1


def test_cancel_after_the_end_changes_nothing(make_job):
    job = make_job("pass")
    outcome = run(job)
    job.cancel()
    job.poll()
    assert job.outcomes == [outcome]
    assert job.wait() is outcome
    assert outcome.status is JobStatus.SUCCEEDED


def test_after_cancel_no_progress_is_told_even_if_the_child_succeeds(make_job):
    job = make_job("""
import signal
signal.signal(signal.SIGTERM, lambda *_: print('{"stage": "write", "done": 1, "total": 1}', flush=True) or exit(0))
print("here", flush=True)
signal.pause()
""")
    job.start()
    wait_for(lambda: job.poll() or job._log.text)
    job.cancel()
    assert job.wait().status is JobStatus.CANCELLED
    assert job.steps == []


def test_cancel_in_a_slot_of_progress(make_job):
    job = make_job("""
import time
for done in range(600):
    print('{"stage": "lungs", "done": %d, "total": 600}' % done, flush=True)
    time.sleep(0.1)
""")
    job.progressed.connect(lambda *_: job.cancel())
    assert run(job).status is JobStatus.CANCELLED
    assert job.steps == [("lungs", 0, 600)]


@linux_only
def test_on_windows_cancel_asks_taskkill_and_does_not_wait_for_it(make_job, monkeypatch):
    monkeypatch.setattr(ProcessTree, "_platformOptions", lambda: {})
    job = make_job("import time; time.sleep(60)")
    job.start()
    monkeypatch.setattr(ProcessTree, "ON_WINDOWS", True)
    slow_kill = "import os, sys, time; time.sleep(0.3); os.kill(int(sys.argv[1]), 9)"
    monkeypatch.setattr(ProcessTree, "_taskkillCommand", lambda pid: [sys.executable, "-c", slow_kill, str(pid)])
    began = time.monotonic()
    job.cancel()
    assert time.monotonic() - began < 0.2
    assert job.wait().status is JobStatus.CANCELLED
    assert job._tree._killer.wait() == 0


def test_taskkill_ends_the_tree_by_force(monkeypatch):
    monkeypatch.setenv("SYSTEMROOT", "/windows")
    assert ProcessTree._taskkillCommand(12) == ["/windows/System32/taskkill.exe", "/T", "/F", "/PID", "12"]


# Waiting, slots, several jobs


def test_two_jobs_one_after_the_other_and_two_at_once(make_job):
    first, second = (make_job(f"print('{word}')") for word in ("one", "two"))
    assert (run(first).log, run(second).log) == ("one", "two")
    together = [make_job(f"print('{word}')") for word in ("three", "four")]
    for job in together:
        job.start()
    assert [job.wait().log for job in together] == ["three", "four"]


def test_a_job_runs_once(make_job):
    job = make_job("pass")
    with pytest.raises(RuntimeError, match="only a job that was started"):
        job.wait()
    run(job)
    with pytest.raises(RuntimeError, match="started before"):
        job.start()


def test_while_waiting_the_application_goes_on(make_job):
    job = make_job("import time; time.sleep(0.5)")
    idle = []
    job.start()
    job.wait(lambda: idle.append(job.running))
    assert len(idle) > 5
    assert all(idle[:-1])


@linux_only
@pytest.mark.parametrize("where", ["idle", "slot"])
def test_an_exception_while_waiting_ends_the_child(make_job, where):
    job = make_job("""
import os, time
print(os.getpid(), flush=True)
print('{"stage": "a", "done": 0, "total": 1}', flush=True)
time.sleep(60)
""")

    def interrupt(*_):
        if job._log.text:
            raise KeyboardInterrupt

    if where == "slot":
        job.progressed.connect(interrupt)
    job.start()
    with pytest.raises(KeyboardInterrupt):
        job.wait(interrupt if where == "idle" else None)
    assert [outcome.status for outcome in job.outcomes] == [JobStatus.CANCELLED]
    assert not job.running
    assert not alive(int(job.outcome.log))


def test_a_slot_that_fails_does_not_stop_the_job(make_job, clock):
    job = make_job('for done in range(3): print(\'{"stage": "a", "done": %d, "total": 2}\' % done)')

    def fail(*_):
        raise ZeroDivisionError

    job.progressed.connect(fail)
    job.start()
    failures = 0
    until = time.monotonic() + 10
    while job.running and time.monotonic() < until:
        try:
            clock.tick()
        except ZeroDivisionError:
            failures += 1
    assert failures == 3
    assert job.steps == [("a", 0, 2), ("a", 1, 2), ("a", 2, 2)]
    assert job.outcome.status is JobStatus.SUCCEEDED


def test_a_slot_may_let_the_application_work_but_not_wait(make_job):
    job = make_job('for done in range(3): print(\'{"stage": "a", "done": %d, "total": 2}\' % done)')
    refused = []

    def work(*_):
        job.poll()  # as processEvents() in a slot lets the timer do
        with pytest.raises(RuntimeError, match="its own signals"):
            job.wait()
        refused.append(len(job.steps))

    job.progressed.connect(work)
    run(job)
    assert refused == [1, 2, 3]


@pytest.mark.parametrize("failing", [False, True])
def test_after_the_end_a_job_keeps_no_listener_alive(make_job, failing):
    class Listener:
        def hear(self, *_):
            if failing:
                raise ZeroDivisionError

    job, listener = make_job("pass"), Listener()
    job.finished.connect(listener.hear)
    job.progressed.connect(listener.hear)
    with pytest.raises(ZeroDivisionError) if failing else contextlib.nullcontext():
        run(job)
    gone = weakref.ref(listener)
    del listener
    gc.collect()
    assert gone() is None
    assert not job.running


def test_a_slot_of_finished_may_start_the_next_job(make_job):
    first, second = make_job("print('one')"), make_job("print('two')")
    first.finished.connect(lambda outcome: second.start())
    run(first)
    assert second.wait().log == "two"
    assert first.running is False


@linux_only
def test_a_child_that_asks_for_input_gets_none(make_job):
    """Though a Slicer that was started in a terminal has one."""
    terminal, keyboard = os.pipe()
    own = os.dup(0)
    os.dup2(terminal, 0)
    os.write(keyboard, b"not for the child\n")
    try:
        outcome = run(make_job("input('name? ')"))
    finally:
        os.dup2(own, 0)
        for number in (terminal, keyboard, own):
            os.close(number)
    assert outcome.status is JobStatus.CRASHED
    assert "EOFError" in outcome.log


@linux_only
def test_when_memory_runs_out_the_child_goes_before_slicer(make_job):
    own = int(Path("/proc/self/oom_score_adj").read_text(encoding="ascii"))
    code = "import time; time.sleep(0.3); print(open('/proc/self/oom_score_adj').read())"
    assert int(run(make_job(code)).log) > own


def test_outcomes_are_values():
    outcome = JobOutcome.JobOutcome(JobStatus.SUCCEEDED, "done", "", 0)
    with pytest.raises(AttributeError):
        outcome.status = JobStatus.CRASHED


# Batches: what they count and say, and time to write tables


def test_counts_and_lines_of_errors_are_told(make_job):
    job, counts, lines = (
        make_job("""
import json, sys
print(json.dumps({"stage": "cases", "done": 1, "total": 4, "failed": 1, "seconds_left": 9.0}))
print("warning: a case failed", file=sys.stderr)
"""),
        [],
        [],
    )
    job.counted.connect(counts.append)
    job.said.connect(lines.append)
    job.start()
    job.wait()
    assert [(cases.done, cases.total, cases.failed, cases.secondsLeft) for cases in counts] == [(1, 4, 1, 9.0)]
    assert lines == ["warning: a case failed"]


@posix_only
def test_a_child_gets_the_time_that_its_end_needs(make_job, monkeypatch, tmp_path):
    monkeypatch.setattr(jobs, "GRACE_S", 0.1)
    tables = tmp_path / "tables"
    job = make_job(f"""
import signal, sys, time
def end(*_):
    time.sleep(0.5)
    open({str(tables)!r}, "w").close()
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
print("here", flush=True)
time.sleep(60)
""")
    job.start()
    wait_for(lambda: job.poll() or job._log.text)
    job.cancel(20.0)
    assert job.wait().status is JobStatus.CANCELLED
    assert tables.exists()


@posix_only
def test_a_second_cancel_shortens_the_patience(make_job):
    job = make_job("""
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("here", flush=True)
time.sleep(60)
""")
    job.start()
    wait_for(lambda: job.poll() or job._log.text)
    began = time.monotonic()
    job.cancel(60.0)
    job.cancel(0.1)
    job.cancel(60.0)
    assert job.wait().status is JobStatus.CANCELLED
    assert time.monotonic() - began < 30.0
