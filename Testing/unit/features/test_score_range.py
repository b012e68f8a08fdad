"""How far a score may be off: other thresholds, other places of the fissures."""

import numpy as np
import pytest
from scipy import ndimage

from CovidSeverityLib.features.config import MeasureConfig
from CovidSeverityLib.features.quantification import count_voxels, lobe_scores
from CovidSeverityLib.features.score_range import FISSURE_SIDES, _moved, with_ranges
from CovidSeverityLib.segmentation.lobes.values import FissureFinding, LobeSegmentation
from CovidSeverityLib.types import Geometry, Lobe

SHAPE, SPACING = (50, 40, 100), (2.0, 2.0, 2.0)
GEOMETRY = Geometry(SHAPE[::-1], SPACING, (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
FISSURES = (FissureFinding("right oblique", 10.0, 6.0), FissureFinding("left oblique", 10.0, 2.0))


def lobes(fissures=FISSURES, approximate=True):
    """Right: RLL below RUL, no middle lobe but a corner; left: LLL below LUL; borders at slice 25 (50 mm)."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[:25, :, :50], labels[25:, :, :50] = Lobe.RLL, Lobe.RUL
    labels[40:, :20, :50] = Lobe.RML
    labels[:25, :, 50:], labels[25:, :, 50:] = Lobe.LLL, Lobe.LUL
    return LobeSegmentation(labels, "test", approximate, None, fissures)


def slab(low, high, columns=slice(0, 50)):
    mask = np.zeros(SHAPE, bool)
    mask[low:high, :, columns] = True
    return mask


def ranges(infected, segmentation):
    counts = count_voxels((segmentation.labels > 0).astype(np.uint8), segmentation.labels, infected[0])
    return with_ranges(lobe_scores(counts, GEOMETRY.voxel_ml), infected, segmentation, GEOMETRY)


def of(found, lobe):
    return next(score for score in found.lobes if score.lobe is lobe)


def test_other_thresholds_widen_the_range_of_their_lobe_alone():
    found = ranges([slab(4, 6), slab(4, 5), slab(4, 12)], lobes(fissures=()))
    lower = of(found, Lobe.RLL)
    assert (lower.score, lower.score_range, lower.near_edge) == (2, (1, 3), True)
    assert lower.involvement_range_percent == pytest.approx((4.0, 32.0))
    assert of(found, Lobe.LLL).score_range == (0, 0)
    assert not of(found, Lobe.LLL).near_edge
    assert found.ctss == (1, 3)


def test_involvement_too_small_to_count_may_count_all_the_same():
    """As it was marked: other thresholds find nothing here."""
    small, nothing = np.zeros((2, *SHAPE), bool)
    small[10:14, 10:15, 10:14] = True
    segmentation = lobes(fissures=(), approximate=False)
    counts = count_voxels((segmentation.labels > 0).astype(np.uint8), segmentation.labels, small)
    scores = lobe_scores(counts, GEOMETRY.voxel_ml, least_percent=MeasureConfig.least_percent)
    found = with_ranges(scores, [small, nothing, nothing], segmentation, GEOMETRY)
    lower = of(found, Lobe.RLL)
    assert 0 < lower.involvement_percent < MeasureConfig.least_percent
    assert (lower.score, lower.score_range, found.ctss) == (0, (0, 1), (0, 1))


def test_total_range_is_of_whole_variants_not_of_the_worst_of_every_lobe():
    more_right = slab(4, 12) | slab(4, 6, slice(50, 100))
    more_left = slab(4, 6) | slab(4, 12, slice(50, 100))
    found = ranges([slab(4, 6) | slab(4, 6, slice(50, 100)), more_right, more_left], lobes(fissures=()))
    assert found.ctss == (4, 5)
    assert of(found, Lobe.RLL).score_range == of(found, Lobe.LLL).score_range == (2, 3)


def test_fissure_moves_by_its_own_expected_distance():
    at_border = [slab(22, 25)] * 3  # 6 mm below the right fissure
    right = ranges(at_border, lobes())
    assert of(right, Lobe.RLL).score_range == (0, 2)
    assert of(right, Lobe.RUL).score_range[1] > 0
    left = ranges([slab(22, 25, slice(50, 100))] * 3, lobes())
    assert of(left, Lobe.LLL).score_range == (2, 2)
    assert of(left, Lobe.LUL).score_range == (0, 1)  # 2 mm of the upper lobe's 50: one twenty-fifth
    assert of(left, Lobe.RLL).score_range == (0, 0)


def test_grown_lobe_takes_the_nearest_part():
    """Below the right oblique fissure lies the upper lobe's base: nothing goes to the middle lobe far above."""
    found = ranges([slab(22, 25)] * 3, lobes())
    assert of(found, Lobe.RML).score_range == (0, 0)


def test_given_lobes_have_no_fissures_that_move():
    found = ranges([slab(22, 25)] * 3, lobes(fissures=(), approximate=False))
    assert found.ctss == (2, 2)


@pytest.mark.parametrize("spacing", [(0.7, 0.7, 1.0), (2.0, 2.0, 2.0)])
def test_samples_tell_the_share_of_the_whole(spacing):
    geometry = Geometry(SHAPE[::-1], spacing, (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    segmentation = lobes(fissures=())
    mask = np.random.default_rng(0).random(SHAPE) < 0.15
    counts = count_voxels((segmentation.labels > 0).astype(np.uint8), segmentation.labels, mask)
    found = with_ranges(lobe_scores(counts, 1.0), [mask, mask, mask], segmentation, geometry)
    low, high = of(found, Lobe.LUL).involvement_range_percent
    assert high - low < 1.5
    assert found.ctss == (10, 10)


def test_absent_lobe_has_no_range_to_speak_of():
    labels = np.where(np.arange(SHAPE[2]) < 50, lobes().labels, 0).astype(np.uint8)
    found = ranges([slab(4, 6)] * 3, LobeSegmentation(labels, "test", True, None, FISSURES))
    assert of(found, Lobe.LUL).score_range == (0, 0)


def test_moved_fissures_are_those_of_plain_distance_maps():
    """Every sample within reach goes to the nearest lobe that grows, whatever box its lung lies in."""
    random, spacing = np.random.default_rng(0), (2.0, 1.5, 1.0)
    labels = np.zeros((12, 14, 30), np.uint8)
    labels[1:-1, 2:-1, 1:14] = random.integers(0, 4, (10, 11, 13))
    labels[2:9, 3:12, 17:28] = random.choice([0, 4, 5], (7, 9, 11))
    labels[:6][np.isin(labels[:6], (1, 2))] = Lobe.RLL
    fissures = (*FISSURES, FissureFinding("right horizontal", 10.0, 3.1))
    away = {lobe: ndimage.distance_transform_edt(labels != lobe, spacing) for lobe in Lobe}
    expected = []
    for fissure in fissures:
        sides = FISSURE_SIDES[fissure.name]
        for grows, shrinks in (sides, sides[::-1]):
            moved = labels.copy()
            for voxel in np.argwhere(np.isin(labels, shrinks)):
                nearest = min(grows, key=lambda lobe, at=tuple(voxel): away[lobe][at])
                if away[nearest][tuple(voxel)] <= fissure.expected_mm:
                    moved[tuple(voxel)] = nearest
            expected.append(moved[labels > 0])
    for found, plain in zip(_moved(labels, fissures, spacing), expected, strict=True):
        assert (plain != labels[labels > 0]).any()
        np.testing.assert_array_equal(found, plain)
