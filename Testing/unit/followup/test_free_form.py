"""B-splines over a grid of voxels, and their fit."""

from __future__ import annotations

import numpy as np
import pytest

from CovidSeverityLib.followup.free_form import SplineGrid, optimized

SHAPE, SPACING = (9, 12, 15), (4.0, 4.0, 3.0)


@pytest.fixture(scope="module")
def grid():
    return SplineGrid.over(SHAPE, SPACING, mesh_mm=16.0)


def test_equal_control_points_move_everything_alike(grid):
    control = np.ones((3, *grid.shape)) * np.array([1.0, -2.0, 3.0])[:, None, None, None]
    field = grid.displacement(control)
    assert field.shape == (3, *SHAPE)
    for component, expected in zip(field, (1.0, -2.0, 3.0), strict=True):
        assert component == pytest.approx(expected)


def test_gathering_is_the_adjoint_of_displacing(grid):
    rng = np.random.default_rng(1)
    control, force = rng.normal(size=(3, *grid.shape)), rng.normal(size=(3, *SHAPE))
    assert np.vdot(grid.displacement(control), force) == pytest.approx(np.vdot(control, grid.gathered(force)))


def test_descent_finds_a_smooth_field(grid):
    k, j, i = np.meshgrid(*(np.linspace(0, 1, n) for n in SHAPE), indexing="ij")
    wanted = np.stack([3 * k * j, 2 * i**2, -3 * np.sin(2 * j)])
    controls = float(np.prod(grid.shape)) / k.size
    found = optimized(grid, lambda field: controls * (field - wanted), 1e-4, 120, np.zeros((3, *SHAPE)))
    assert np.abs(found - wanted).max() < 0.2


def test_stiffness_keeps_the_field_straight(grid):
    wanted = np.zeros((3, *SHAPE))
    wanted[0, 4, 6, 7] = 300.0
    bent = [
        np.abs(
            np.diff(optimized(grid, lambda field: field - wanted, stiffness, 60, np.zeros_like(wanted))[0], 2, axis=2)
        ).max()
        for stiffness in (1e-4, 10.0)
    ]
    assert bent[1] < 0.5 * bent[0]
