"""Faults of the processes that analyse cases: killed at every stage, over their memory, hanging, under a wild clock."""

from __future__ import annotations

import pytest

from Testing.faults.harness import Batch, Ran, fault

KILLED = {
    "killed-1": ("read", "lungs"),
    "killed-2": ("lobes", "infection"),
    "killed-3": ("scores", "write"),
    "killed-4": ("half", "rename"),
}
"""Cases whose process is killed twice, and at which stages: in a file half written, among the files that take their
places."""

WHOLE = ("good", *KILLED)
FAILED = {"dies-always", "fills-memory", "changes"}


@pytest.fixture(scope="module")
def batch(tmp_path_factory) -> Batch:
    return Batch(tmp_path_factory.mktemp("workers"), *WHOLE, *sorted(FAILED))


@pytest.fixture(scope="module")
def ran(batch) -> tuple[Ran, Ran]:
    """A batch with all of these faults, and what another one says that wants to write to the same folder meanwhile."""
    running = batch.start(
        faults=(
            fault("good", "lobes", "hold"),
            *(fault(case, stage, "kill") for case, stages in KILLED.items() for stage in stages),
            fault("dies-always", "read", "kill", times=99),
            fault("fills-memory", "lobes", "memory", gb=1.11, times=9),
            fault("changes", "lobes", "change", path=str(batch.input("changes")), times=9),
        ),
        limits={"stop_grace_s": 0.5, "restart_wait_s": 10},
        clock=True,
    )
    running.wait_for("good", "lobes")
    second = batch.run("--resume")
    running.let_go("good", "lobes")
    return running.end(), second


def test_batch_comes_to_its_end_and_leaves_no_process(ran):
    first, _ = ran
    assert first.status == 0, first.err
    assert first.err == "warning: 3 cases failed (changes, dies-always, fills-memory): failures.csv says why\n"
    assert first.out.startswith("5 cases analysed, 3 failed\n")
    assert first.left == ()


@pytest.mark.parametrize("case", WHOLE)
def test_case_whose_process_was_killed_has_the_same_bits(ran, batch, reference, case):
    row, content = reference
    assert batch.content(case) == content
    assert batch.rows("cases.csv")[case] == row | {"case": case, "folder": f"cases/{case}"}


def test_case_that_kills_its_process_again_and_again_fails_alone(ran, batch):
    kind, reason = batch.failures()["dies-always"]
    assert kind == "worker"
    assert reason.startswith("the process that analysed it died 3 times with no other case beside it: ")


def test_case_over_the_memory_of_its_worker_is_stopped_once(ran, batch):
    kind, reason = batch.failures()["fills-memory"]
    assert (kind, reason) == (
        "limit",
        "it needed more than the 1.2 GB of its worker and was stopped; --memory-per-worker gives it more",
    )
    assert not (batch.root / "state1" / "fills-memory-lobes.1").exists()


def test_input_that_changes_while_it_is_read_is_no_result(ran, batch):
    assert batch.failures()["changes"] == (
        "input",
        "the input changed while it was read; --resume reads it again",
    )


def test_nothing_is_half_written_and_every_case_is_told_once(ran, batch):
    assert batch.stray(*WHOLE) == set()
    assert batch.rows("cases.csv").keys() == {*WHOLE}
    assert batch.failures().keys() == FAILED


def test_second_batch_into_the_folder_is_refused(ran, batch):
    _, second = ran
    assert (second.status, second.out) == (2, "")
    assert second.err == (
        f"covid-severity: another batch is writing to {batch.out}; wait for its end, or name another folder\n"
    )


@pytest.fixture(scope="module")
def hung(tmp_path_factory) -> tuple[Batch, Ran]:
    """Cases that never end, each in another way."""
    batch = Batch(tmp_path_factory.mktemp("hung"), "hangs", "holds-the-lock", "stopped")
    faults = (
        fault("hangs", "read", "hang", times=9),
        fault("holds-the-lock", "read", "hang-with-lock", times=9),
        fault("stopped", "read", "stop", times=9),
    )
    return batch, batch.run(
        "--timeout", "2", "--workers", "3", faults=faults, limits={"stop_grace_s": 0.3, "hard_grace_s": 1}
    )


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("hangs", "it took longer than 2 s and was stopped; --timeout gives a case more time"),
        (
            "holds-the-lock",
            "it took longer than 2 s and did not react, so that its process was ended; --timeout gives a case more "
            "time",
        ),
        (
            "stopped",
            "it took longer than 2 s and did not react, so that its process was ended; --timeout gives a case more "
            "time",
        ),
    ],
)
def test_case_that_never_ends_is_ended_once(hung, case, reason):
    batch, ran = hung
    assert batch.failures()[case] == ("limit", reason)
    assert not (batch.root / "state1" / f"{case}-read.1").exists()
    assert (ran.status, ran.left) == (2, ())
    assert batch.stray() == set()
