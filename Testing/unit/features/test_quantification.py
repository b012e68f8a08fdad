"""Counting on arrays that a person can count."""

import numpy as np
import pytest

from CovidSeverityLib.config import AnalysisConfig
from CovidSeverityLib.features.published_score import SliceScoreConfig, published_score
from CovidSeverityLib.features.quantification import (
    Counts,
    count_voxels,
    densitometry,
    lobe_scores,
    opacity_voxels,
    side_voxels,
    slice_rows,
)
from CovidSeverityLib.features.spill import spill_matters, spilled_lobes
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.segmentation.opacity.published.mixture import MixtureConfig
from CovidSeverityLib.types import Geometry, Lobe, Opacity, Side

SLICE = np.array([[1, 1, 4, 4], [2, 2, 4, 5], [3, 3, 5, 5], [0, 3, 5, 0]], dtype=np.uint8)
LOBES = np.stack([SLICE, SLICE, np.zeros_like(SLICE)])
"""Twice RUL 2, RML 2, RLL 3, LUL 3, LLL 4 and nothing in the uppermost slice."""

LUNGS = np.where(LOBES == 0, 0, np.where(LOBES <= 3, 1, 2)).astype(np.uint8)
VOXEL_ML = 0.5
GEOMETRY = Geometry((4, 4, 3), (10.0, 10.0, 5.0), (0.0, 0.0, -7.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))


@pytest.fixture
def infected():
    """RUL 1 of 4, RML 4 of 4, LLL 2 of 8, and one voxel outside the lungs."""
    mask = np.zeros(LOBES.shape, dtype=bool)
    mask[0, 0, 0] = True
    mask[:2, 1, :2] = True
    mask[1, 2, 2:] = True
    mask[0, 3, 0] = True
    return mask


@pytest.fixture
def counts(infected):
    return count_voxels(LUNGS, LOBES, infected)


def test_every_voxel_is_counted_in_its_slice_and_lobe(counts):
    np.testing.assert_array_equal(counts.lung, [[0, 2, 2, 3, 3, 4], [0, 2, 2, 3, 3, 4], [0] * 6])
    np.testing.assert_array_equal(counts.infected, [[0, 1, 2, 0, 0, 0], [0, 0, 2, 0, 0, 2], [0] * 6])


def test_counts_are_those_of_every_slice_and_lobe_alone():
    random = np.random.default_rng(0)
    lungs, lobes = (
        random.integers(0, 3, (3, 20, 30)).astype(np.uint8),
        random.integers(0, 6, (3, 20, 30)).astype(np.uint8),
    )
    kinds = random.integers(0, 3, lobes.shape).astype(np.uint8)
    counts = count_voxels(lungs, lobes, kinds > 0)
    for k, lobe in np.ndindex(counts.lung.shape):
        inside = (lungs[k] > 0) & (lobes[k] == lobe)
        assert counts.lung[k, lobe] == np.count_nonzero(inside)
        assert counts.infected[k, lobe] == np.count_nonzero(inside & (kinds[k] > 0))
    assert opacity_voxels(kinds, lungs) == {n: np.count_nonzero((kinds == n) & (lungs > 0)) for n in Opacity}


def test_lung_outside_every_lobe_is_counted_as_lung(infected):
    lobes = LOBES.copy()
    lobes[0, 0, 0] = 0
    counts = count_voxels(LUNGS, lobes, infected)
    assert (counts.lung[0, 0], counts.infected[0, 0]) == (1, 1)
    assert counts.lung.sum() == np.count_nonzero(LUNGS)


def test_lobe_outside_the_lungs_is_not_counted(infected):
    lungs = LUNGS.copy()
    lungs[0] = 0
    assert count_voxels(lungs, LOBES, infected).lung[0].sum() == 0


def test_lobes_have_their_volume_involvement_and_scores(counts):
    found = {score.lobe: score for score in lobe_scores(counts, VOXEL_ML)}
    assert [found[lobe].volume_ml for lobe in Lobe] == [2.0, 2.0, 3.0, 3.0, 4.0]
    assert [found[lobe].infection_ml for lobe in Lobe] == [0.5, 2.0, 0, 0, 1.0]
    assert [found[lobe].involvement_percent for lobe in Lobe] == [25.0, 100.0, 0, 0, 25.0]
    assert [found[lobe].score for lobe in Lobe] == [2, 5, 0, 0, 2]
    assert [found[lobe].total_severity_score for lobe in Lobe] == [1, 4, 0, 0, 1]


def test_absent_lobe_scores_0(counts):
    lung, infected = counts.lung.copy(), counts.infected.copy()
    lung[:, Lobe.RML] = infected[:, Lobe.RML] = 0
    rml = lobe_scores(Counts(lung, infected), VOXEL_ML)[Lobe.RML - 1]
    assert (rml.voxels, rml.involvement_percent, rml.score) == (0, 0.0, 0)


def test_scores_from_elsewhere_replace_the_volumetric_one_alone(counts):
    given = {lobe: 5 - lobe for lobe in Lobe}
    scores = lobe_scores(counts, VOXEL_ML, given)
    assert [s.score for s in scores] == [4, 3, 2, 1, 0]
    assert [s.total_severity_score for s in scores] == [1, 4, 0, 0, 1]


def test_slices_have_a_row_each_with_their_position(counts):
    volume = CtVolume(np.zeros(LOBES.shape, np.int16), GEOMETRY, GEOMETRY)
    rows = slice_rows(counts, volume)
    assert [(row.index, row.z_mm) for row in rows] == [(0, -7.0), (1, -2.0), (2, 3.0)]
    assert [row.lung_ml for row in rows] == [7.0, 7.0, 0.0]
    assert [row.infection_percent for row in rows] == pytest.approx([300 / 14, 400 / 14, 0.0])
    assert [rows[1].lobe_infection_percent(lobe) for lobe in Lobe] == [0, 100.0, 0, 0, 50.0]
    assert [rows[2].lobe_infection_percent(lobe) for lobe in Lobe] == [0.0] * 5


def test_interpolated_slice_has_no_row(counts):
    volume = CtVolume(np.zeros(LOBES.shape, np.int16), GEOMETRY, GEOMETRY, acquired=(True, False, True))
    assert [row.index for row in slice_rows(counts, volume)] == [0, 2]


def test_sides_and_opacities_are_counted_inside_the_lungs(infected):
    assert side_voxels(LUNGS) == {Side.RIGHT: 14, Side.LEFT: 14}
    labels = np.where(infected, np.uint8(Opacity.GROUND_GLASS), np.uint8(0))
    labels[0, 0, 0] = Opacity.CONSOLIDATION
    assert opacity_voxels(labels, LUNGS) == {Opacity.GROUND_GLASS: 6, Opacity.CONSOLIDATION: 1}


def test_well_aerated_lung_includes_both_bounds():
    hu = np.full(LOBES.shape, 40, dtype=np.int16)
    inside = np.argwhere(LUNGS > 0)
    for voxel, value in zip(inside, (-951, -950, -949, -701, -700, -699), strict=False):
        hu[tuple(voxel)] = value
    found = densitometry(hu, LUNGS, MixtureConfig())
    assert found.well_aerated_hu == (-950, -700)
    assert found.well_aerated_voxels == 4
    assert found.first_hu == -951
    assert found.histogram.sum() == np.count_nonzero(LUNGS)
    assert found.histogram[-951 - found.first_hu] == 1


def test_totals_of_an_analysis_are_the_sums_of_its_parts(factory):
    analysis = factory.make_analysis()
    voxel_ml = analysis.volume.geometry.voxel_ml
    assert analysis.lung_voxels == np.count_nonzero(analysis.lungs) == sum(s.voxels for s in analysis.lobe_scores)
    assert analysis.lung_ml == pytest.approx(analysis.side_ml(Side.RIGHT) + analysis.side_ml(Side.LEFT))
    assert analysis.ctss == sum(s.score for s in analysis.lobe_scores)
    assert sum(analysis.opacity_ml(o) for o in Opacity) == pytest.approx(
        np.count_nonzero(analysis.infection) * voxel_ml
    )
    assert sum(s.infected_voxels for s in analysis.lobe_scores) == sum(row.infected_voxels for row in analysis.slices)
    assert analysis.infection_percent > analysis.high_opacity_percent > 0


# The published score


def published(infected_per_slice, lung_per_slice=100):
    """Counts of slices whose RUL holds ``lung_per_slice`` voxels."""
    sick = np.zeros((len(infected_per_slice), 6), dtype=np.int64)
    sick[:, Lobe.RUL] = infected_per_slice
    lung = np.zeros_like(sick)
    lung[:, Lobe.RUL] = lung_per_slice
    return Counts(lung, sick)


ALL = SliceScoreConfig(smallest_lung_share=0.0, skip_first=0, skip_last=0)


@pytest.mark.parametrize(("infected", "score"), [(0, 0), (1, 1), (50, 1), (51, 2), (250, 2), (251, 3), (751, 5)])
def test_share_of_a_slice_is_rounded_up_to_whole_per_cent(infected, score):
    """51 of 1000 are 5.1 %, rounded up 6 %."""
    assert published_score(published([infected], 1000), 1000, ALL).mean[Lobe.RUL] == score


@pytest.mark.parametrize(("slices", "mean", "maximum"), [([1, 0], 1, 1), ([1, 0, 0], 0, 1), ([10, 30], 3, 3)])
def test_mean_over_slices_is_rounded_half_up(slices, mean, maximum):
    score = published_score(published(slices), 100, ALL)
    assert (score.mean[Lobe.RUL], score.maximum[Lobe.RUL], score.slices) == (mean, maximum, len(slices))


def test_first_six_and_last_five_slices_are_left_out():
    at_the_ends = [100] * 6 + [0] * 3 + [100] * 5
    score = published_score(published(at_the_ends), 100)
    assert (score.slices, score.maximum[Lobe.RUL]) == (3, 0)
    one_further = [0] * 6 + [100, 0, 100] + [0] * 5
    assert published_score(published(one_further), 100).mean[Lobe.RUL] == 3  # of 5, 0, 5


@pytest.mark.parametrize(("pixels", "used"), [(1000, 1), (1001, 0)])
def test_slices_with_little_lung_are_left_out(pixels, used):
    config = SliceScoreConfig(skip_first=0, skip_last=0)
    assert published_score(published([5], 60), pixels, config).slices == used


def test_no_slice_that_counts_scores_0():
    score = published_score(published([100] * 4), 100)
    assert (set(score.mean.values()), set(score.maximum.values()), score.slices) == ({0}, {0}, 0)


def test_reference_profile_scores_slices_and_the_default_does_not():
    assert AnalysisConfig.for_profile("reference").slice_scores == SliceScoreConfig(0.06, 6, 5)
    assert AnalysisConfig.for_profile("default").slice_scores is None


def test_lobe_that_an_opacity_only_spills_into_scores_nothing_up_to_half_a_percent():
    lobes = np.full((4, 20, 40), int(Lobe.RLL), dtype=np.uint8)
    lobes[:, :, 20:] = Lobe.RML
    infected = np.zeros(lobes.shape, dtype=bool)
    infected[1, 5:10, 12:21] = True
    assert spilled_lobes(infected, lobes) == {Lobe.RML}
    counts = count_voxels((lobes > 0).astype(np.uint8), lobes, infected)
    scored = {s.lobe: s.score for s in lobe_scores(counts, 0.01, spilled=spilled_lobes(infected, lobes))}
    assert (scored[Lobe.RLL], scored[Lobe.RML]) == (1, 0)
    infected[3, 15, 30] = True  # an opacity of its own
    assert spilled_lobes(infected, lobes) == frozenset()
    assert spilled_lobes(np.zeros_like(infected), lobes) == frozenset()


def test_spill_beyond_half_a_percent_is_scored():
    lobes = np.full((4, 20, 40), int(Lobe.RLL), dtype=np.uint8)
    lobes[:, :, 38:] = Lobe.RML
    infected = np.ones(lobes.shape, dtype=bool)
    counts = count_voxels((lobes > 0).astype(np.uint8), lobes, infected)
    scored = {s.lobe: s.score for s in lobe_scores(counts, 0.01, spilled=spilled_lobes(infected, lobes))}
    assert (scored[Lobe.RLL], scored[Lobe.RML]) == (5, 5)


@pytest.mark.parametrize("percent", [0, 10, 20, 21, 30, 31])
@pytest.mark.parametrize(("least", "spill"), [(20.0, 30.0), (30.0, 20.0), (0.0, 30.0)])
def test_spilled_lobes_are_asked_for_where_they_change_a_score(percent, least, spill):
    counts = Counts(np.full((1, 6), 100), np.full((1, 6), percent))
    with_spill, without = (lobe_scores(counts, 1.0, None, None, lobes, least, spill) for lobes in (Lobe, ()))
    assert spill_matters(counts, least, spill) == (with_spill != without)
