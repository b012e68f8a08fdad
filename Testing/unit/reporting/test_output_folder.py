"""Files that are written together: a disk that is full, or fails, at every one of them in turn."""

from __future__ import annotations

import errno
import os

import pytest

from CovidSeverityLib.errors import OutputError
from CovidSeverityLib.reporting.output_folder import write_together

NAMES = ("lobes.csv", "dicom/report.dcm", "dicom/segmentation.dcm", "report.json", "case.json")
REASONS = {errno.ENOSPC: "no space is left on the disk", errno.EROFS: "it is on a read-only disk"}


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def writers(text, fail=lambda name: None):
    def writer(name):
        def write(path):
            path.write_text(text[:2])
            fail(name)
            path.write_text(text)

        return write

    return {name: writer(name) for name in NAMES}


def failing(at, error):
    def fail(name):
        if name == at:
            raise error

    return fail


@pytest.fixture(params=["new", "with an earlier result"])
def folder(tmp_path, request):
    if request.param != "new":
        write_together(tmp_path, writers("the old one"))
    return tmp_path


@pytest.mark.parametrize("at", NAMES)
@pytest.mark.parametrize("code", REASONS)
def test_disk_that_fails_while_a_file_is_written_changes_nothing(folder, at, code):
    before = content(folder)
    with pytest.raises(OutputError, match=f"{REASONS[code]}$"):
        write_together(folder, writers("the new one", failing(at, OSError(code, os.strerror(code)))))
    assert content(folder) == before
    assert len([*folder.iterdir()]) == len({name.partition("/")[0] for name in before})


@pytest.mark.parametrize("at", NAMES)
@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()])
def test_disk_that_fails_while_files_take_their_places_leaves_no_new_file(folder, at, error, monkeypatch):
    before, replace = content(folder), os.replace

    def failing_replace(source, target):
        if os.fspath(target) == os.fspath(folder / at):
            raise error
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing_replace)
    with pytest.raises(OutputError if isinstance(error, OSError) else KeyboardInterrupt):
        write_together(folder, writers("the new one"))
    after = content(folder)
    assert after.items() <= before.items()
    assert "case.json" not in after
    assert {path.name for path in folder.iterdir()} == {name.partition("/")[0] for name in after}


def test_files_are_written_together(folder):
    write_together(folder, writers("the new one"))
    assert content(folder) == dict.fromkeys(NAMES, "the new one")
