"""Gaps in regions of opacity."""

import numpy as np
import pytest
from scipy import ndimage

from CovidSeverityLib.morphology.components import component_sizes
from CovidSeverityLib.segmentation.opacity.volumetric.opacities import _gaps, _gaps_in_regions

TOUCHING = np.ones((3, 3, 3), dtype=bool)
IN_PLANE = TOUCHING & (np.arange(3) == 1)[:, None, None]


@pytest.mark.parametrize("structure", [TOUCHING, IN_PLANE], ids=["volume", "slice"])
def test_gaps_are_found_region_by_region_as_in_the_whole(structure):
    count = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        shape = (1 if structure is IN_PLANE else random.integers(4, 16), *random.integers(5, 30, 2))
        noise = ndimage.gaussian_filter(random.normal(size=shape), 0.7)
        mask = noise > np.quantile(noise, random.choice([0.1, 0.2, 0.4]))
        mask[:, :, shape[2] // 2] = random.random() < 0.3  # often two regions
        labels, _ = ndimage.label(mask, structure)
        smallest = random.choice([3, 10, 30])
        large = component_sizes(labels) >= smallest
        whole = _gaps(large[labels], smallest, structure)
        np.testing.assert_array_equal(_gaps_in_regions(labels, large, smallest, structure), whole)
        count += np.count_nonzero(whole)
    assert count > 100


def test_gap_is_what_is_enclosed_and_small():
    mask = np.zeros((9, 20, 20), dtype=bool)
    mask[1:8, 2:18, 2:18] = True
    mask[3:5, 5:7, 5:7] = False  # 8 blocks
    mask[3:6, 10:14, 10:14] = False  # 48 blocks
    mask[1:3, 5, 15] = False  # opens upwards
    labels, _ = ndimage.label(mask, TOUCHING)
    gaps = _gaps_in_regions(labels, np.array([False, True]), 20, TOUCHING)
    assert gaps[3:5, 5:7, 5:7].all()
    assert np.count_nonzero(gaps) == 8


def test_what_lies_around_a_region_of_a_single_slice_is_no_gap():
    """However little of it is in the region's box."""
    rows, columns = np.ogrid[-6:7, -6:7]
    mask = (rows**2 + columns**2 <= 36)[None]
    mask[0, 6, 6] = False
    labels, _ = ndimage.label(mask, IN_PLANE)
    gaps = _gaps_in_regions(labels, np.array([False, True]), 100, IN_PLANE)
    assert np.argwhere(gaps).tolist() == [[0, 6, 6]]
