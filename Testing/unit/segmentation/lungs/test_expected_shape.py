"""The expected lungs that ship with the library, the script that writes them, and how they are moved."""

from importlib import resources

import numpy as np

from CovidSeverityLib.morphology.grid import WorkingGrid
from CovidSeverityLib.segmentation.lungs import expected_shape, hidden_lung
from CovidSeverityLib.segmentation.lungs.config import ExpectedLungConfig, LungConfig
from CovidSeverityLib.segmentation.lungs.expected_shape import (
    EXPECTED_LUNGS_FILE,
    SurfaceObservations,
    register_nonrigid,
)
from CovidSeverityLib.segmentation.lungs.hidden_lung import expected_lungs
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


def whole(mask, margin=(0, 0, 0)):
    """Instead of ``bounding_box``."""
    return tuple(slice(0, n) for n in mask.shape)


def test_surface_is_moved_as_if_everything_were_looked_at(monkeypatch):
    shape, spacing_mm = (40, 44, 48), (8.0, 6.0, 6.0)
    k, j, i = np.ogrid[tuple(map(slice, shape))]
    away = np.sqrt(((k - 20) * 8.0) ** 2 + ((j - 22) * 6.0) ** 2 + ((i - 24) * 6.0) ** 2).astype(np.float32)
    surface, organs = np.zeros((2, *shape), dtype=bool)
    surface[20:22, 20:23, 18:20] = organs[24, 22:24, 24] = True
    seen = SurfaceObservations(surface, np.ones(surface.sum(), dtype=np.float32), organs, spacing_mm)
    moved = register_nonrigid(seen, away - 30, ExpectedLungConfig())
    assert np.abs(moved - (away - 30)).max() > 1.0
    monkeypatch.setattr(expected_shape, "bounding_box", whole)
    np.testing.assert_allclose(register_nonrigid(seen, away - 30, ExpectedLungConfig()), moved, atol=1e-3)


def test_lungs_are_expected_as_if_everything_were_looked_at(monkeypatch, coarse_phantom):
    volume = coarse_phantom.volume
    grid = WorkingGrid(volume.hu.shape, (1, 1, 1), volume.geometry.spacing_kji)
    arguments = volume.hu.astype(np.float32), coarse_phantom.lungs, grid, LungConfig()
    found = expected_lungs(*arguments)
    monkeypatch.setattr(hidden_lung, "bounding_box", whole)
    for side, everywhere in expected_lungs(*arguments).items():
        for name in ("inside", "possible", "dents", "wall"):
            np.testing.assert_array_equal(getattr(found[side], name), getattr(everywhere, name), err_msg=name)
        assert everywhere.possible.any()
