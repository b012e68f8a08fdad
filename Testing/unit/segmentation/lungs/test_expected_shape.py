"""The expected lungs that ship with the library, and the script that writes them."""

from importlib import resources

import numpy as np

from CovidSeverityLib.segmentation.lungs.expected_shape import EXPECTED_LUNGS_FILE
from models.expected_lungs.__main__ import main


def test_shipped_lungs_are_what_the_script_writes(tmp_path):
    main([str(tmp_path / "lungs.npz")])
    shipped = resources.files("CovidSeverityLib.segmentation.lungs").joinpath(EXPECTED_LUNGS_FILE)
    with resources.as_file(shipped) as path, np.load(path) as ours, np.load(tmp_path / "lungs.npz") as theirs:
        assert set(ours) == set(theirs)
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name])


def test_shipped_lungs_are_small():
    shipped = resources.files("CovidSeverityLib.segmentation.lungs").joinpath(EXPECTED_LUNGS_FILE)
    assert len(shipped.read_bytes()) < 20_000
