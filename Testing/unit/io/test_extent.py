"""The edges that a voxel of a chest CT can have."""

from __future__ import annotations

import re

import numpy as np
import pytest

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.extent import check_voxel_edges


@pytest.mark.parametrize("spacing", [(0.1, 0.1, 0.2), (0.7, 0.7, 5), (0.98, 0.98, 20), np.array([0.7, 0.7, 1.0])])
def test_spacing_of_a_scanner_is_let_pass(spacing):
    assert check_voxel_edges(spacing, "ct.nii") is None


@pytest.mark.parametrize(
    ("spacing", "said"),
    [
        ((0.0007, 0.0007, 0.001), "0.0007 x 0.0007 x 0.001 mm"),
        ((700, 700, 1000), "700 x 700 x 1000 mm"),
        ((0.7, 0.7, 20.1), "0.7 x 0.7 x 20.1 mm"),
        ((0.7, 0.099, 1), "0.7 x 0.099 x 1 mm"),
        ((0.7, 0.7, 0), "0.7 x 0.7 x 0 mm"),
        ((-0.7, 0.7, 1), "-0.7 x 0.7 x 1 mm"),
        ((0.7, np.nan, 1), "0.7 x nan x 1 mm"),
        ((np.inf, 0.7, 1), "inf x 0.7 x 1 mm"),
    ],
)
def test_spacing_that_no_chest_ct_has_is_refused_with_the_limits(spacing, said):
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        check_voxel_edges(spacing, "ct.nii")
    assert "ct.nii" in str(caught.value)
    assert "edges of 0.1 to 20 mm are needed" in str(caught.value)
