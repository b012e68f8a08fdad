"""The atlas of the fissures and the coordinates of the lungs."""

import json
from importlib import resources

import numpy as np
import pytest

from CovidSeverityLib.segmentation.lobes.lobe_atlas import (
    ATLAS_FILE,
    Fissure,
    FissureModel,
    FissurePlane,
    load_atlas,
    spline_taps,
    surface_on_grid,
)
from CovidSeverityLib.segmentation.lobes.lung_frame import lung_extent, match_lungs
from CovidSeverityLib.types import Side

PLANE = FissurePlane((-100.0, 20.0, 5.0), 50.0, (-40.0, 50.0), (-70.0, 80.0))
SPACING = (2.0, 1.5, 1.5)


def ellipsoid(spacing=SPACING, centre=(110.0, 90.0, 70.0), radii=(90.0, 60.0, 45.0), size=(220.0, 180.0, 140.0)):
    axes = [np.arange(round(mm / step)) * step for mm, step in zip(size, spacing, strict=True)]
    k, j, i = np.meshgrid(*axes, indexing="ij")
    return sum(((x - c) / r) ** 2 for x, c, r in zip((k, j, i), centre, radii, strict=True)) <= 1


def frame_of(mask, spacing=SPACING, faces=(True, True)):
    return match_lungs(lung_extent(mask, spacing, faces), load_atlas().lungs[Side.LEFT])


def atlas_position(frame, point_mm):
    return np.array([float(frame.to_atlas(n, mm)) for n, mm in enumerate(point_mm)])


def test_atlas_holds_the_three_fissures_and_both_lungs():
    atlas = load_atlas()
    assert set(atlas.fissures) == set(Fissure)
    assert set(atlas.lungs) == set(Side)
    assert load_atlas() is atlas


def test_fissures_of_a_lung_share_their_modes():
    fissures = load_atlas().fissures
    right = fissures[Fissure.RIGHT_OBLIQUE], fissures[Fissure.RIGHT_HORIZONTAL]
    assert right[0].modes.shape[0] == right[1].modes.shape[0]


def test_atlas_and_its_licence_are_small_and_shipped():
    folder = resources.files("CovidSeverityLib.segmentation.lobes")
    assert len(folder.joinpath(ATLAS_FILE).read_bytes()) < 100_000
    notice = folder.joinpath("lobe_atlas_LICENSE.txt").read_text(encoding="utf-8")
    assert "Brigham" in notice
    assert "NEITHER RECOMMENDED NOR ADVISED" in notice


def test_atlas_file_names_its_source():
    content = json.loads(
        resources.files("CovidSeverityLib.segmentation.lobes").joinpath(ATLAS_FILE).read_text(encoding="utf-8")
    )
    assert "Chest Imaging Platform" in content["source"]
    assert content["cases"] >= 90


def test_oblique_fissures_rise_backwards_and_the_horizontal_one_is_level():
    fissures = load_atlas().fissures
    assert 40 < fissures[Fissure.LEFT_OBLIQUE].plane.tilt_deg < 65
    assert 40 < fissures[Fissure.RIGHT_OBLIQUE].plane.tilt_deg < 65
    tilt = fissures[Fissure.RIGHT_HORIZONTAL].plane.tilt_deg
    assert min(tilt, 180 - tilt) < 20


def test_plane_coordinates_go_there_and_back():
    k, j, i = np.array([-90.0, -120.0]), np.array([30.0, 0.0]), np.array([1.0, 9.0])
    np.testing.assert_allclose(PLANE.to_atlas(*PLANE.of_atlas(k, j, i)), (k, j, i), atol=1e-9)


def test_spline_weights_sum_to_one_inside_and_outside():
    first, weights = spline_taps(np.array([-99.0, 0.0, 3.3, 10.0, 99.0]), (0.0, 10.0), 7)
    np.testing.assert_allclose(weights.sum(axis=0), 1.0)
    assert first.min() == 0
    assert first.max() == 3


def test_surface_of_a_linear_field_of_coefficients_is_linear():
    coefficients = np.add.outer(np.arange(6.0), 2 * np.arange(8.0))
    a, b = np.linspace(*PLANE.a_mm, 5), np.linspace(*PLANE.b_mm, 4)
    surface = surface_on_grid(coefficients, PLANE, a, b)
    np.testing.assert_allclose(np.diff(surface, 2, axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(np.diff(surface, 2, axis=1), 0.0, atol=1e-9)


def test_modes_must_fit_the_mean():
    with pytest.raises(ValueError, match="do not match"):
        FissureModel(PLANE, np.zeros((5, 6)), np.zeros((2, 5, 7)), 3.0, 0.6)


def test_arrays_of_the_atlas_cannot_be_changed():
    model = load_atlas().fissures[Fissure.LEFT_OBLIQUE]
    assert not model.mean.flags.writeable
    assert not model.modes.flags.writeable


@pytest.mark.parametrize("spacing", [(5.0, 0.8, 0.8), (1.0, 2.0, 2.0), (2.5, 2.5, 2.5)])
def test_voxel_size_does_not_move_the_frame(spacing):
    point = (80.0, 60.0, 90.0)
    expected = atlas_position(frame_of(ellipsoid()), point)
    np.testing.assert_allclose(atlas_position(frame_of(ellipsoid(spacing), spacing), point), expected, atol=1.5)


def test_field_of_view_and_position_do_not_move_the_frame():
    moved = ellipsoid(centre=(140.0, 105.0, 85.0), size=(300.0, 240.0, 200.0))
    here = atlas_position(frame_of(ellipsoid()), (80.0, 60.0, 90.0))
    there = atlas_position(frame_of(moved), (110.0, 75.0, 105.0))
    np.testing.assert_allclose(there, here, atol=1.0)


def test_size_of_the_patient_does_not_matter():
    small = ellipsoid(radii=(72.0, 48.0, 36.0))
    here = atlas_position(frame_of(ellipsoid()), (110.0 + 45, 90.0 - 30, 70.0 + 15))
    there = atlas_position(frame_of(small), (110.0 + 36, 90.0 - 24, 70.0 + 12))
    np.testing.assert_allclose(there, here, atol=1.5)


def test_a_lost_corner_hardly_moves_the_frame():
    """An airless base of a tenth of the lung."""
    whole = ellipsoid()
    damaged = whole.copy()
    damaged[: round(60 / SPACING[0]), round(80 / SPACING[1]) :] = False
    assert 0.05 < 1 - damaged.sum() / whole.sum() < 0.15
    off = atlas_position(frame_of(damaged), (110.0, 90.0, 70.0)) - atlas_position(frame_of(whole), (110.0, 90.0, 70.0))
    assert np.abs(off).max() < 12.0


def test_a_lung_cut_by_the_field_of_view_keeps_its_scale():
    whole = ellipsoid()
    cut = whole[round(70 / SPACING[0]) :]
    frame = frame_of(cut)
    assert frame.cut
    assert not frame_of(whole).cut
    expected = atlas_position(frame_of(whole), (150.0, 90.0, 70.0))
    np.testing.assert_allclose(atlas_position(frame, (80.0, 90.0, 70.0)), expected, atol=20.0)


def test_a_box_that_ends_within_the_scan_is_no_cut():
    box = ellipsoid()[20:90]
    assert frame_of(box).cut
    assert not frame_of(box, faces=(False, False)).cut
