"""The lines at the end of a run."""

from __future__ import annotations

from dataclasses import replace

from CovidSeverityLib.reporting import summary_text
from CovidSeverityLib.segmentation.opacity.values import UncountedDensity
from CovidSeverityLib.types import NoteSeverity, QualityNote, Side


def test_first_line_is_the_score(factory):
    analysis = factory.make_analysis()
    assert summary_text(analysis).splitlines()[0].startswith(f"CTSS {analysis.ctss} of 25, mild;")


def test_ranges_stand_beside_the_scores(factory):
    analysis = factory.make_analysis()
    lobes = tuple(replace(s, score_range=(s.score, s.score + n % 2)) for n, s in enumerate(analysis.lobe_scores))
    lines = summary_text(replace(analysis, lobe_scores=lobes, ctss_range=(3, 6))).splitlines()
    assert lines[0].startswith(f"CTSS {analysis.ctss} (3-6) of 25, ")
    assert ["(" in line.split("%")[0] for line in lines[1:6]] == [False, True, False, True, False]


def test_what_is_dense_and_not_counted_is_told(factory):
    uncounted = UncountedDensity(11.4, 22.0, 33.0, 44.0, None)
    text = summary_text(factory.make_analysis(uncounted=uncounted))
    assert "vessels 22 ml, borders of the lungs 11 ml, dependent 33 ml, small or thin 44 ml" in text
    assert "Dense, not counted" not in summary_text(factory.make_analysis())


def test_maximum_variant_is_told_where_there_is_one(factory):
    analysis = replace(factory.make_analysis(), ctss_max_variant=15)
    assert "15 by the maximum over slices;" in summary_text(analysis).splitlines()[0]


def test_every_lobe_and_both_lungs_are_named(factory):
    lines = summary_text(factory.make_analysis()).splitlines()
    assert [line.split()[0] for line in lines[1:6]] == ["RUL", "RML", "RLL", "LUL", "LLL"]
    assert "right" in lines[6]
    assert "ground glass" in lines[7]
    assert lines[8].startswith("Low attenuation 0.0 % of the lungs under -910 HU")


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
