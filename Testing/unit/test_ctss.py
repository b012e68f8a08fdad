"""The edge rule of the scores, at the edges."""

import math

import pytest

from CovidSeverityLib.ctss import (
    CTSS_MAX,
    SEVERITY_CUTOFFS,
    score_for_percent,
    severity_for,
    total_severity_score_for_percent,
)

ABOVE = 0.0001

CTSS = [
    *((0, 0), (ABOVE, 1), (4.9999, 1), (5, 1), (5 + ABOVE, 2), (24.9999, 2), (25, 2), (25 + ABOVE, 3)),
    *((50, 3), (50 + ABOVE, 4), (75, 4), (75 + ABOVE, 5), (100, 5)),
]
TSS = [(0, 0), (ABOVE, 1), (25, 1), (25 + ABOVE, 2), (50, 2), (50 + ABOVE, 3), (75, 3), (75 + ABOVE, 4), (100, 4)]


@pytest.mark.parametrize(("percent", "score"), CTSS)
def test_band_of_the_score_includes_its_upper_edge(percent, score):
    assert score_for_percent(percent) == score


@pytest.mark.parametrize(("percent", "score"), TSS)
def test_band_of_the_total_severity_score_includes_its_upper_edge(percent, score):
    assert total_severity_score_for_percent(percent) == score


@pytest.mark.parametrize("score", [score_for_percent, total_severity_score_for_percent])
@pytest.mark.parametrize("percent", [-ABOVE, 100 + ABOVE, math.nan, math.inf])
def test_involvement_that_is_none_is_refused(score, percent):
    with pytest.raises(ValueError, match="between 0 and 100"):
        score(percent)


def test_share_of_whole_voxels_is_exact_at_the_edges():
    """Exactly a twentieth and a quarter of a lobe must not be moved over the edge by rounding."""
    for voxels in (20, 60, 1_234_560, 999_980):
        assert score_for_percent(100.0 * (voxels // 20) / voxels) == 1
        assert score_for_percent(100.0 * (voxels // 20 + 1) / voxels) == 2
        assert score_for_percent(100.0 * (voxels // 4) / voxels) == 2
        assert score_for_percent(100.0 * (voxels // 4 + 1) / voxels) == 3


@pytest.mark.parametrize(
    ("ctss", "word"),
    [(0, "none"), (1, "mild"), (7, "mild"), (8, "moderate"), (17, "moderate"), (18, "severe"), (25, "severe")],
)
def test_word_for_the_score(ctss, word):
    severity = severity_for(ctss)
    assert severity.label == word
    assert word in severity.cutoffs
    assert "doi" in severity.source


def test_every_score_has_a_word():
    assert {severity_for(ctss).label for ctss in range(CTSS_MAX + 1)} == {word for _, word in SEVERITY_CUTOFFS}
