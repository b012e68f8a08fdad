"""Positions in the charts of ``report.html``."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from CovidSeverityLib.reporting.html import charts
from CovidSeverityLib.types import Lobe


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-348.1, -52.0, [-300, -200, -100]),
        (0, 93, [0, 20, 40, 60, 80]),
        (-1024, 200, [-1000, -500, 0]),
        (3.1, 3.2, [3.1, 3.12, 3.14, 3.16, 3.18, 3.2]),
    ],
)
def test_round_values(low, high, values):
    assert charts.round_values(low, high) == pytest.approx(values)


def test_bars_grow_with_the_square_root_of_the_share(factory):
    scores = factory.make_analysis().lobe_scores
    shares = (0.0, 25.0, 100.0, 5.0, 50.0)
    changed = [
        dataclasses.replace(score, voxels=1000, infected_voxels=int(10 * share))
        for score, share in zip(scores, shares, strict=True)
    ]
    chart = charts.lobes_chart(changed)
    lengths = np.array([bar.x - charts.LOBES_LEFT for bar in chart.bars])
    whole = charts.LOBES_RIGHT - charts.LOBES_LEFT
    assert lengths == pytest.approx(whole * np.sqrt(shares) / 10, abs=0.02)
    assert [bar.score.lobe for bar in chart.bars] == list(Lobe)
    assert [bar.inside for bar in chart.bars] == [False, False, True, False, True]
    assert [band.text for band in chart.bands] == ["1", "2", "3", "4", "5"]
    assert chart.bands[0].end == chart.bars[3].x  # five per cent: where score 2 begins


def points_of(line):
    numbers = [float(text) for text in re.findall(r"[\d.]+", line)]
    return np.reshape(numbers, (-1, 2))


def test_profile_has_a_point_for_every_slice_with_lung(factory):
    rows = factory.make_analysis().slices
    chart = charts.profile_chart(rows)
    points = points_of(chart.line)[1:-1]
    with_lung = [row for row in rows if row.lung_voxels]
    assert len(points) == len(with_lung)
    worst = max(range(len(with_lung)), key=lambda n: with_lung[n].infection_percent)
    assert np.argmin(points[:, 1]) == worst
    assert points[0, 0] == charts.PLOT_LEFT
    assert points[-1, 0] == charts.PLOT_RIGHT
    assert points[:, 1].min() >= charts.PLOT_TOP
    assert points[:, 1].max() == charts.PLOT_BOTTOM


def test_profile_of_one_slice_is_none(factory):
    assert charts.profile_chart([row for row in factory.make_analysis().slices if row.lung_voxels][:1]) is None


def test_scale_of_a_trace_ends_at_one_per_cent(factory):
    rows = [dataclasses.replace(row, lung_voxels=100_000, infected_voxels=10) for row in factory.make_analysis().slices]
    chart = charts.profile_chart(rows)
    assert chart.y_ticks[-1].text == "1"


def test_histogram_peaks_at_the_lung_and_marks_well_aerated_lung(factory):
    chart = charts.histogram_chart(factory.make_analysis().densitometry)
    points = points_of(chart.line)[1:-1]
    peak = points[np.argmin(points[:, 1]), 0]
    assert chart.band.start < peak < chart.band.end
    assert [tick.text for tick in chart.x_ticks] == ["−1000", "−500", "0"]
    assert points[:, 1].min() >= charts.PLOT_TOP
