"""Lines of a child process: which of them are progress, how long they may be, how many of them a log keeps."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")

from CovidSeveritySlicer.analysis.ChildOutput import (
    LINE_BYTES,
    BoundedLog,
    CaseProgress,
    Line,
    Stream,
    parseCases,
    parseProgress,
    splitLines,
)


@pytest.mark.parametrize(
    "line",
    [
        '["stage", "done", "total"]',
        '"stage"',
        "{}",
        '{"stage": "lungs", "done": 1}',
        '{"stage": 5, "done": 1, "total": 2}',
        '{"stage": "lungs", "done": "1", "total": 2}',
        '{"stage": "lungs", "done": 1.5, "total": 2}',
        '{"stage": "lungs", "done": true, "total": 2}',
        '{"stage": "lungs", "done": 1, "total": null}',
        '{"stage": "lungs", "done": NaN, "total": 2}',
        '{"stage": "lungs", "done": -1, "total": 2}',
        '{"stage": "lungs", "done": 3, "total": 2}',
        '{"stage": "lungs", "done": 1, "total": 2147483648}',
        '{"stage": "lungs", "done": 1, "total": ' + "9" * 5000 + "}",
        '{"stage": "lungs", "done": 1, "total": 2',
        '{"stage": ' * 700,
        '{"stage": ' + "[" * 8000,
        "{\udcff}",
    ],
)
def test_what_is_no_progress_is_logged(line):
    content = line.encode("utf-8", "surrogateescape")
    assert parseProgress(Line(Stream.OUTPUT, content)) is None


def test_progress_is_believed_on_standard_output_only():
    content = b'{"stage": "lungs", "done": 1, "total": 2, "seconds_left": 3.5}\r'
    told = [parseProgress(Line(stream, content)) for stream in Stream]
    assert told == [("lungs", 1, 2), None]


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ('"failed": 1, "seconds_left": 42.5}', CaseProgress(3, 10, 1, 42.5)),
        ('"failed": 0, "seconds_left": 7}', CaseProgress(3, 10, 0, 7.0)),
        ('"failed": 3, "seconds_left": null}', CaseProgress(3, 10, 3, None)),
        ('"failed": 0, "seconds_left": NaN}', CaseProgress(3, 10, 0, None)),
        ('"failed": 0, "seconds_left": 1e300}', CaseProgress(3, 10, 0, None)),
        ('"failed": 0, "seconds_left": true}', CaseProgress(3, 10, 0, None)),
        ('"failed": 4, "seconds_left": 1}', None),
        ('"failed": -1}', None),
        ('"failed": true}', None),
        ('"failed": "1"}', None),
        ('"seconds_left": 1}', None),
    ],
)
def test_cases_of_a_batch_are_counted(end, expected):
    line = '{"stage": "cases", "done": 3, "total": 10, ' + end
    assert parseCases(Line(Stream.OUTPUT, line.encode())) == expected
    assert parseProgress(Line(Stream.OUTPUT, line.encode())) == ("cases", 3, 10)
    assert parseCases(Line(Stream.ERRORS, line.encode())) is None


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 7, 1000])
def test_lines_do_not_depend_on_how_they_arrive(chunk_bytes):
    whole = b"one\r\ntwo\n\nthree" + b"\xc3\xa4" * 6000 + b"\nfour"
    chunks = iter([whole[n : n + chunk_bytes] for n in range(0, len(whole), chunk_bytes)] + [b""])
    lines = list(splitLines(lambda: next(chunks)))
    assert lines[:3] + lines[4:] == [b"one", b"two", b"", b"four"]
    assert lines[3] == (b"three" + b"\xc3\xa4" * 6000)[:LINE_BYTES]


def test_a_log_keeps_its_first_and_its_last_lines():
    log = BoundedLog(first=2, last=3)
    for n in range(5):
        log.add(str(n))
    assert log.text.splitlines() == ["0", "1", "2", "3", "4"]
    log.add("5")
    log.add("6")
    assert log.text.splitlines() == ["0", "1", "... 2 lines are left out ...", "4", "5", "6"]


def test_text_holds_nothing_that_a_window_cannot_show():
    assert Line(Stream.ERRORS, b"a\0b\x1b[31m\tc\xff\xc3\xa4").text == "a\ufffdb\ufffd[31m\tc\ufffd\u00e4"
