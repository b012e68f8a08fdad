"""Progress of a batch in lines of JSON, and the time that is left."""

import io
import json

import pytest

from CovidSeverityLib.batch.run import Counts
from CovidSeverityLib.commands import batch_progress as module
from CovidSeverityLib.commands.batch_progress import batch_progress
from CovidSeverityLib.errors import CancelledError
from Testing.data_files import assert_follows, schema_for


@pytest.fixture
def clock(monkeypatch):
    """``clock.now`` is the time."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(module.time, "monotonic", lambda: Clock.now)
    return Clock


def test_lines_have_counts_and_the_time_left(clock):
    stream = io.StringIO()
    with batch_progress("json", stream) as report:
        for done, failed, now in ((0, 0, 100.0), (1, 0, 104.0), (2, 1, 106.0), (4, 1, 112.0)):
            clock.now = now
            report(Counts(done, 4, failed))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["done"], line["failed"], line["seconds_left"]) for line in lines] == [
        (0, 0, None),
        (1, 0, 12.0),
        (2, 1, 6.0),
        (4, 1, 0.0),
    ]
    for line in lines:
        assert_follows(line, schema_for("each line of output", "--progress json"))


def test_cases_of_an_earlier_run_do_not_shorten_the_time_left_for_long(clock):
    stream = io.StringIO()
    with batch_progress("json", stream) as report:
        for done in range(1001):  # an earlier run made them
            report(Counts(done, 2000, 0))
        for done in range(1001, 1061):
            clock.now += 10
            report(Counts(done, 2000, 0))
    assert json.loads(stream.getvalue().splitlines()[-1])["seconds_left"] == pytest.approx(9400)


def test_reader_that_has_gone_stops_the_batch():
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    with batch_progress("json", Closed()) as report, pytest.raises(CancelledError, match="reader of the progress"):
        report(Counts(0, 1, 0))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (61, "1 min"), (3599, "1 h 0 min"), (7260, "2 h 1 min")]
)
def test_durations_are_short(seconds, text):
    assert module._duration(seconds) == text
