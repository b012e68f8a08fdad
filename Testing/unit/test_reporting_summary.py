"""The lines at the end of a run."""

from __future__ import annotations

from dataclasses import replace

from CovidSeverityLib.reporting import summary_text
from CovidSeverityLib.types import NoteSeverity, QualityNote, Side


def test_first_line_is_the_score(factory):
    analysis = factory.make_analysis()
    assert summary_text(analysis).splitlines()[0].startswith(f"CTSS {analysis.ctss}/25 (mild)")


def test_maximum_variant_is_told_where_there_is_one(factory):
    analysis = replace(factory.make_analysis(), ctss_max_variant=15)
    assert "15 by the maximum over slices;" in summary_text(analysis).splitlines()[0]


def test_every_lobe_and_both_lungs_are_named(factory):
    lines = summary_text(factory.make_analysis()).splitlines()
    assert [line.split()[0] for line in lines[1:6]] == ["RUL", "RML", "RLL", "LUL", "LLL"]
    assert "right" in lines[6]
    assert "ground glass" in lines[7]


def test_no_line_is_longer_than_100_columns(factory):
    note = QualityNote("long", NoteSeverity.WARNING, "a long story " * 40)
    text = summary_text(factory.make_analysis(quality=(note,)))
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("a long story") > 30


def test_warnings_come_before_notes(factory):
    text = summary_text(factory.make_analysis())
    assert text.index("Warning:") < text.index("Note:")


def test_missing_lung_is_said_so(factory):
    text = summary_text(factory.make_analysis(factory.make_chest(sides=(Side.LEFT,))))
    assert text.count("absent") == 3
