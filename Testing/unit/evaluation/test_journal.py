"""Runs over many cases: what fails, what is kept, and how an interrupted run goes on."""

import json

import pytest

from CovidSeverityLib.errors import CancelledError, InputError, OutputError
from CovidSeverityLib.evaluation.cases import Failure
from CovidSeverityLib.evaluation.journal import FINISHED_NAME, UNFINISHED_NAME, Journal, run_cases

NAMES = ("a", "b", "c", "d")
MADE_WITH = {"version": "1", "configuration": {"dilation_px": 3, "caps": (10.0, 30.0)}}


@pytest.fixture
def open_journal(tmp_path):
    """A function that opens a journal in the same folder."""

    def open_(resume=False, **other):
        journal = Journal(tmp_path, MADE_WITH | other)
        journal.open(resume)
        return journal

    return open_


class Evaluation:
    """Records of cases; ``failing`` cases raise what is said, and ``seen`` lists those that were asked for."""

    def __init__(self, **failing):
        self.failing, self.seen = failing, []

    def __call__(self, name):
        self.seen.append(name)
        if name in self.failing:
            raise self.failing[name]
        return {"value": f"of {name}"}


def test_every_case_is_recorded_in_order(open_journal):
    journal, calls = open_journal(), []
    failures = run_cases(NAMES, Evaluation(), journal, lambda *call: calls.append(call))
    assert failures == ()
    assert list(journal.records) == list(NAMES)
    assert journal.records["c"] == {"value": "of c"}
    assert calls == [("cases", n, 4) for n in range(5)]


def test_failing_case_is_named_and_the_rest_goes_on(open_journal):
    journal = open_journal()
    evaluation = Evaluation(b=InputError("b.nii is damaged"), c=MemoryError(), d=ZeroDivisionError("division by zero"))
    failures = run_cases(NAMES, evaluation, journal)
    assert failures == (
        Failure("b", "b.nii is damaged"),
        Failure("c", "not enough memory for this volume"),
        Failure("d", "unexpected ZeroDivisionError: division by zero"),
    )
    assert list(journal.records) == ["a"]


def test_interrupted_run_goes_on_where_it_stopped(open_journal, tmp_path):
    with pytest.raises(CancelledError, match=r"stopped after 2 of 4 cases; --resume goes on with the rest"):
        run_cases(NAMES, Evaluation(c=KeyboardInterrupt()), open_journal())
    evaluation, calls = Evaluation(), []
    journal = open_journal(resume=True)
    run_cases(NAMES, evaluation, journal, lambda *call: calls.append(call))
    assert evaluation.seen == ["c", "d"]
    assert set(journal.records) == set(NAMES)
    assert calls[0] == ("cases", 2, 4)
    assert calls[-1] == ("cases", 4, 4)
    assert (tmp_path / UNFINISHED_NAME).exists()


def test_line_that_was_cut_off_is_made_again(open_journal, tmp_path):
    run_cases(NAMES, Evaluation(), open_journal())
    path = tmp_path / UNFINISHED_NAME
    path.write_text(path.read_text()[:-9])
    evaluation = Evaluation()
    run_cases(NAMES, evaluation, open_journal(resume=True))
    assert evaluation.seen == ["d"]
    assert [json.loads(line)["case"] for line in path.read_text().splitlines()[1:]] == list(NAMES)


def test_unfinished_run_is_not_overwritten(open_journal):
    run_cases(("a",), Evaluation(), open_journal())
    with pytest.raises(InputError, match=r"an unfinished run is in .*: --resume goes on with it"):
        open_journal()


def test_run_that_stopped_before_its_first_case_is_in_nobodys_way(open_journal):
    open_journal()
    journal = open_journal()
    run_cases(NAMES, Evaluation(), journal)
    assert list(journal.records) == list(NAMES)


def test_finished_run_is_replaced_only_when_the_new_one_is_finished(open_journal, tmp_path):
    first = open_journal()
    run_cases(("a",), Evaluation(), first)
    first.close()
    kept = (tmp_path / FINISHED_NAME).read_text()
    second = open_journal()
    run_cases(NAMES, Evaluation(), second)
    assert (tmp_path / FINISHED_NAME).read_text() == kept
    second.close()
    assert len((tmp_path / FINISHED_NAME).read_text().splitlines()) == 1 + len(NAMES)
    assert not (tmp_path / UNFINISHED_NAME).exists()


def test_resumed_finished_run_retries_what_failed(open_journal):
    first = open_journal()
    run_cases(NAMES, Evaluation(b=InputError("no")), first)
    first.close()
    evaluation = Evaluation()
    run_cases(NAMES, evaluation, open_journal(resume=True))
    assert evaluation.seen == ["b"]


def test_run_of_another_configuration_is_not_mixed_in(open_journal):
    run_cases(("a",), Evaluation(), open_journal())
    with pytest.raises(InputError, match=r"was made with another configuration, version; its results cannot be mixed"):
        open_journal(resume=True, version="2", configuration={"dilation_px": 4})
    with pytest.raises(InputError, match=r"was made with another slices;"):
        open_journal(resume=True, slices=[1])


def test_run_with_nothing_to_go_on_with_begins(open_journal):
    journal = open_journal(resume=True)
    run_cases(NAMES, Evaluation(), journal)
    assert list(journal.records) == list(NAMES)


@pytest.mark.parametrize("text", ["", "not json\n", "[]\n", '{"case": "a", "record": {}}\n', "\x00\xff"])
def test_file_that_is_no_journal_is_left_alone(open_journal, tmp_path, text):
    path = tmp_path / UNFINISHED_NAME
    path.write_text(text)
    with pytest.raises(InputError, match=r"unfinished\.jsonl does not begin as the journal of a run"):
        open_journal(resume=True)
    assert path.read_text() == text


def test_disk_that_is_full_ends_the_run(open_journal, monkeypatch):
    journal = open_journal()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OutputError, match=r"cannot write to .*: No space left on device"):
        run_cases(NAMES, Evaluation(), journal)


def test_caller_that_cancels_ends_the_run(open_journal):
    def cancel(_stage, done, _total):
        if done == 1:
            raise CancelledError("enough")

    journal = open_journal()
    with pytest.raises(CancelledError, match="enough"):
        run_cases(NAMES, Evaluation(), journal, cancel)
    assert list(journal.records) == ["a"]
