"""The changelog: an entry for this version, and the form that readers and programs rely on."""

from __future__ import annotations

import datetime
import re

import pytest

from CovidSeverityLib.version import __version__

VERSION = re.compile(r"^## (\d+\.\d+\.\d+) \((unreleased|\d{4}-\d{2}-\d{2})\)$")
LONGEST_LINE = 120


@pytest.fixture(scope="module")
def text(repository):
    return (repository / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def versions(text):
    """From the version to when it was released and its sections: from the title to its entries."""
    found = {}
    for part in re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        match = VERSION.fullmatch(head)
        assert match, f"{head!r} is no version with a date, as in '## 1.2.3 (2026-01-31)' or '## 1.2.3 (unreleased)'"
        titles = re.split(r"^### (.+)\n", body, flags=re.MULTILINE)
        assert not titles[0].strip(), f"text before the first section of {match[1]}"
        assert match[1] not in found
        found[match[1]] = (match[2], list(zip(titles[1::2], titles[2::2], strict=True)))
    return found


def as_numbers(version):
    return tuple(map(int, version.split(".")))


def test_it_begins_with_its_title_and_has_no_long_lines(text):
    assert text.startswith("# Changelog\n\n## ")
    assert [line for line in text.splitlines() if len(line) > LONGEST_LINE or line != line.rstrip()] == []


def test_this_version_is_the_first(versions):
    current = re.match(r"\d+\.\d+\.\d+", __version__)
    assert current is not None
    assert next(iter(versions)) == current[0]


def test_versions_go_back_and_only_the_first_may_lack_a_date(versions):
    assert list(versions) == sorted(versions, key=as_numbers, reverse=True)
    dates = [date for date, _ in versions.values()]
    assert "unreleased" not in dates[1:]
    known = [datetime.date.fromisoformat(date) for date in dates if date != "unreleased"]
    assert known == sorted(known, reverse=True)


def test_sections_have_one_title_each_and_entries_that_are_sentences(versions):
    for version, (_, sections) in versions.items():
        titles = [title for title, _ in sections]
        assert titles, version
        assert len({*titles}) == len(titles), version
        for title, body in sections:
            entries = re.split(r"^\* ", body, flags=re.MULTILINE)
            assert not entries[0].strip(), f"{title}: text that is no entry"
            assert len(entries) > 1, f"{title}: no entry"
            for entry in entries[1:]:
                assert entry.rstrip().endswith((".", ".)")), f"{title}: {entry!r}"
                assert entry[0].isupper() or entry[0] in "`[0123456789", f"{title}: {entry!r}"
                assert all(line.startswith("  ") for line in entry.rstrip().splitlines()[1:] if line), title
