"""The published regions, from the lungs alone."""

import numpy as np
import pytest

from CovidSeverityLib.segmentation.lobes.published import published_regions
from CovidSeverityLib.segmentation.lobes.values import LobeSegmentation
from CovidSeverityLib.types import Lobe, Side


@pytest.fixture(scope="module")
def lungs(factory):
    return factory.make_chest((40, 72, 96)).lungs


def test_lobes_and_their_confidence_cannot_be_changed(lungs):
    lobes = LobeSegmentation(lungs, "x", approximate=True, confidence={Lobe.RUL: 0.9})
    assert not lobes.labels.flags.writeable
    with pytest.raises(TypeError):
        lobes.confidence[Lobe.RUL] = 1.0


def columns_of_regions(regions, side_column):
    return regions[0, :, side_column].tolist()


def test_published_regions_are_rows_between_the_first_and_the_last_of_the_volume():
    """Rows 1-12 of 14: right thirds of four rows, left halves of six, in every slice alike."""
    lungs = np.zeros((2, 14, 4), dtype=np.uint8)
    lungs[:, 1:13, :2] = Side.RIGHT
    lungs[:, 1:13, 2:] = Side.LEFT
    lungs[1, 1:8] = 0
    regions = published_regions(lungs)
    right = [0] + [Lobe.RUL] * 4 + [Lobe.RML] * 4 + [Lobe.RLL] * 4 + [0]
    left = [0] + [Lobe.LUL] * 6 + [Lobe.LLL] * 6 + [0]
    assert columns_of_regions(regions.labels, 0) == right
    assert columns_of_regions(regions.labels, 3) == left
    np.testing.assert_array_equal(regions.labels[1], np.where(lungs[1] > 0, regions.labels[0], 0))
    assert "published" in regions.source


def test_published_regions_of_one_lung_are_cut_by_the_rows_of_both():
    lungs = np.zeros((1, 13, 2), dtype=np.uint8)
    lungs[0, 0:12, 0] = Side.RIGHT
    lungs[0, 6:9, 1] = Side.LEFT
    assert set(published_regions(lungs).labels[0, :, 1].tolist()) == {0, Lobe.LLL}


def test_published_regions_cover_the_lungs(lungs):
    regions = published_regions(lungs).labels
    sides = np.array([0, *(lobe.side for lobe in Lobe)], dtype=np.uint8)
    np.testing.assert_array_equal(sides[regions], lungs)
