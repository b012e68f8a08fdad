"""Changes with their uncertainty: more than repeatability only where it is."""

from __future__ import annotations

import pytest

from CovidSeverityLib import Change, Lobe
from CovidSeverityLib.features.quantification import LobeScore
from CovidSeverityLib.followup.change import OpacityChange
from CovidSeverityLib.followup.config import RepeatabilityConfig
from CovidSeverityLib.followup.lobe_changes import _change, _of_lobe

CONFIG = RepeatabilityConfig()
NOTHING = dict.fromkeys(OpacityChange, 0.0)


def lobe(percent, ends=None, score=1, scores=None, volume_ml=1000):
    voxels = round(volume_ml)
    return LobeScore(
        Lobe.RUL, voxels, round(percent / 100 * voxels), 1.0, score, 1, None, scores or (score, score), ends
    )


def changed(before, after):
    return _change(Lobe.RUL, _of_lobe(before), _of_lobe(after), NOTHING, CONFIG)


def test_without_ranges_the_limit_is_the_repeatability():
    at_limit = CONFIG.lobe_percent + CONFIG.relative_percent / 100 * 0.5 * (10 + 12)
    percent = changed(lobe(10), lobe(12)).opacity_percent
    assert (percent.low, percent.high) == (pytest.approx(2 - at_limit), pytest.approx(2 + at_limit))
    assert percent.more_than_repeatability is (at_limit < 2)


def test_range_on_the_side_of_the_change_counts():
    narrow = changed(lobe(10, (10, 10)), lobe(15, (15, 15))).opacity_percent
    wide = changed(lobe(10, (10, 14)), lobe(15, (11, 15))).opacity_percent
    away = changed(lobe(10, (6, 10)), lobe(15, (15, 19))).opacity_percent
    assert [c.more_than_repeatability for c in (narrow, wide, away)] == [True, False, True]
    assert away.low == pytest.approx(narrow.low)


def test_score_ranges_that_touch_say_nothing():
    assert (
        changed(lobe(4, score=1, scores=(1, 2)), lobe(20, score=2, scores=(2, 3))).ctss.more_than_repeatability is False
    )
    apart = changed(lobe(4, score=1, scores=(1, 1)), lobe(30, score=3, scores=(2, 3))).ctss
    assert (apart.low, apart.high, apart.more_than_repeatability) == (1, 2, True)


def test_absent_lobe_has_no_score():
    gone = changed(lobe(4), lobe(0, volume_ml=0)).ctss
    assert (gone.change, gone.more_than_repeatability) == (None, None)


def test_decrease_is_more_than_repeatability_too():
    assert Change(9.0, 1.0, -9.0, -7.0).more_than_repeatability is True
    assert Change(9.0, 9.0, -1.0, 1.0).more_than_repeatability is False
