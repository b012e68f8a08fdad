"""Where the lung's edge is drawn, voxel by voxel."""

import numpy as np
import pytest
from scipy import ndimage

from CovidSeverityLib.morphology.grid import WorkingGrid
from CovidSeverityLib.segmentation.lungs.boundary import refined_lungs
from CovidSeverityLib.segmentation.lungs.config import LungConfig
from CovidSeverityLib.types import Side

SHAPE = (12, 48, 60)
FACTORS = (1, 2, 2)
EDGE = 29
BLUR_VOXELS = 2.0


def chest(lung_hu):
    """Lung left of column :data:`EDGE`, soft tissue right of it, blurred: HU, and the lung on blocks, at -400 HU."""
    hu = np.full(SHAPE, 50.0, dtype=np.float32)
    hu[..., :EDGE] = lung_hu
    hu = ndimage.gaussian_filter1d(hu, BLUR_VOXELS, axis=2).astype(np.int16)
    grid = WorkingGrid(SHAPE, FACTORS, (2.0, 1.4, 1.4))
    return hu, grid, (grid.reduce(hu) < -400).astype(np.uint8) * np.uint8(Side.RIGHT)


def columns(lung_hu, airless_columns=0, restored=False):
    """How many columns of voxels are lung; ``airless_columns`` of blocks beyond the edge were taken for lung, too."""
    hu, grid, blocks = chest(lung_hu)
    end = np.count_nonzero(blocks[0, 0])
    blocks[..., end : end + airless_columns] = Side.RIGHT
    put_back = (np.cumsum(blocks > 0, axis=2) > end) & (blocks > 0) & restored
    labels = refined_lungs(hu, grid.reduce(hu), blocks, put_back, np.ones(blocks.shape, dtype=bool), grid, LungConfig())
    assert set(np.unique(labels)) == {0, Side.RIGHT}
    counts = np.unique(np.count_nonzero(labels, axis=2))
    assert counts.size == 1
    return int(counts[0])


@pytest.mark.parametrize("lung_hu", [-850, -530, -500])
def test_edge_lies_half_way_between_what_is_on_both_sides(lung_hu):
    assert columns(lung_hu) == EDGE


def test_edge_of_inflated_lung_does_not_depend_on_its_density():
    assert columns(-930) == columns(-800) == EDGE


def test_blocks_of_airless_lung_stay_as_they_are():
    assert columns(-850, airless_columns=1, restored=False) == EDGE
    assert columns(-850, airless_columns=1, restored=True) == EDGE + 1


def test_block_between_two_lungs_goes_to_one_of_them_alone():
    shape = (3, 8, 12)
    hu, grid = np.full(shape, -850, dtype=np.int16), WorkingGrid(shape, (1, 1, 1), (2.0, 1.4, 1.4))
    nothing, blocks = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=np.uint8)
    blocks[:, :, :5], blocks[:, :, 6:] = Side.RIGHT, Side.LEFT
    labels = refined_lungs(hu, grid.reduce(hu), blocks, nothing, ~nothing, grid, LungConfig())
    assert (labels[:, :, :6] == Side.RIGHT).all()
    assert (labels[:, :, 6:] == Side.LEFT).all()
