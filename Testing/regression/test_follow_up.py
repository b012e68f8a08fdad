"""Real CTs compared with themselves in another breath, and with each other."""

from __future__ import annotations

import pytest

from CovidSeverityLib import NotComparableError, analyze, compare
from CovidSeverityLib.evaluation.synthetic.breath import BreathSpec, breathe

MOST_PERCENT = 0.3
"""Of the lung, by which unchanged opacities may change under noise and a breath of 10 % less volume."""


def test_breath_and_noise_are_no_change(analysed):
    before = analysed("P001")
    after = analyze(breathe(before.volume, before.lungs, BreathSpec(less_percent=10.0, seed=0))[0])
    found = compare(before, after)
    assert found.registration_quality.dice > 0.98
    assert found.registration_quality.correlation > 0.8
    assert abs(found.lungs.opacity_percent.change) <= MOST_PERCENT
    assert found.lungs.ctss.change == 0
    assert (found.lungs.new_ml + found.lungs.resolved_ml) / after.lung_ml <= MOST_PERCENT / 100
    assert not any(part.opacity_percent.more_than_repeatability for part in found.changes)


def test_another_person_is_refused(analysed):
    """The pair that is most alike of six."""
    with pytest.raises(NotComparableError, match="the vessels of both lungs correlate with"):
        compare(analysed("P001"), analysed("normal001"))
