"""Changes with their uncertainty: more than repeatability only where it is."""

from __future__ import annotations

import pytest

from CovidSeverityLib import Change, Lobe
from CovidSeverityLib.features.quantification import LobeScore
from CovidSeverityLib.followup.change import OpacityChange
from CovidSeverityLib.followup.config import RepeatabilityConfig
from CovidSeverityLib.followup.lobe_changes import _change, _of_lobe
from CovidSeverityLib.followup.report import lobe_change_row

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


def test_volume_has_the_repeatability_of_its_kind():
    for part, percent in ((Lobe.RUL, CONFIG.lobe_volume_percent), (None, CONFIG.lung_volume_percent)):
        volume = _change(part, _of_lobe(lobe(4, volume_ml=900)), _of_lobe(lobe(4)), NOTHING, CONFIG).volume_ml
        limit = percent / 100 * 1000
        assert (volume.low, volume.high) == (pytest.approx(100 - limit), pytest.approx(100 + limit))


def test_one_point_of_the_total_is_within_repeatability_even_without_ranges():
    ctss = _change(None, _of_lobe(lobe(4, score=1)), _of_lobe(lobe(8, score=2)), NOTHING, CONFIG).ctss
    assert (ctss.low, ctss.high, ctss.more_than_repeatability) == (1 - CONFIG.score, 1 + CONFIG.score, False)


def test_row_of_the_table_has_each_number_under_its_name():
    before, after = lobe(4, (3, 5), score=1, scores=(0, 2), volume_ml=900), lobe(30, (28, 33), score=3, scores=(2, 4))
    found = _change(
        Lobe.RUL, _of_lobe(before), _of_lobe(after), dict(zip(OpacityChange, (1.0, 2.0, 3.0), strict=True)), CONFIG
    )
    row = lobe_change_row(found)
    for column, change, decimals in (
        ("volume_{}_ml", found.volume_ml, 2),
        ("opacity_{}_ml", found.opacity_ml, 2),
        ("opacity_{}_percent", found.opacity_percent, 3),
        ("ctss_{}", found.ctss, 0),
    ):
        values = {"before": change.before, "after": change.after, "change": change.change}
        values |= {"change_low": change.low, "change_high": change.high}
        for name, value in values.items():
            assert row[column.format(name)] == pytest.approx(round(value, decimals))
    assert [row[f"ctss_{name}"] for name in ("before_low", "before_high", "after_low", "after_high")] == [0, 2, 2, 4]
    assert [row[name] for name in ("lobe", "new_ml", "resolved_ml", "persistent_ml")] == ["RUL", 1.0, 2.0, 3.0]
    assert [row["opacity_percent_more_than_repeatability"], row["ctss_more_than_repeatability"]] == ["yes", "no"]
