"""What is dense and not counted: vessels, borders, dependent lung; and the range of the extent of opacities."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from CovidSeverityLib.features.quality import uncertainty_notes
from CovidSeverityLib.features.quantification import LobeScore
from CovidSeverityLib.segmentation.opacity.values import UncountedDensity
from CovidSeverityLib.segmentation.opacity.volumetric.config import OpacityConfig
from CovidSeverityLib.segmentation.opacity.volumetric.opacities import segment_opacities
from CovidSeverityLib.types import Geometry, Lobe

SPACING = (2.0, 1.5, 1.5)
SHAPE = (50, 100, 160)
GEOMETRY = Geometry(SHAPE[::-1], SPACING[::-1], (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
AXES = K, J, COLUMN = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
LUNG = np.broadcast_to((np.abs(K - 25) < 22) & (np.abs(J - 50) < 45) & (np.abs(np.abs(COLUMN - 80) - 40) < 32), SHAPE)


def chest(gradient_hu=0.0):
    """Two lungs in tissue, ``gradient_hu`` denser behind than in front, without noise."""
    return np.where(LUNG, -870.0 + gradient_hu * J / SHAPE[1], 40.0)


def ball(centre_mm, radius_mm):
    offsets = (axis * mm - c for axis, mm, c in zip(AXES, SPACING, centre_mm, strict=True))
    return sum(offset**2 for offset in offsets) < radius_mm**2


def marked(hu, config=OpacityConfig()):
    return segment_opacities(np.rint(hu).astype(np.int16), LUNG, GEOMETRY, config)


def ml(mask):
    return np.count_nonzero(mask) * GEOMETRY.voxel_ml


def test_range_holds_the_mask():
    hu = chest()
    hu[ball((50, 75, 60), 12)] = -600
    hu = np.where(LUNG, gaussian_filter(hu, 1.5), hu)  # what the scanner does: an edge of some millimetres
    found = marked(hu)
    assert 0 < ml(found.stricter) < ml(found.mask) < ml(found.more_lenient)
    assert not (found.stricter & ~found.mask).any()
    assert not (found.mask & ~found.more_lenient).any()


@pytest.mark.slow
def test_faint_opacity_is_in_the_range_and_a_clear_one_is_in_all():
    right = np.broadcast_to(COLUMN < 80, SHAPE)
    sizes = []
    for faint_hu in range(-800, -690, 10):
        hu = chest()
        hu[ball((50, 75, 50), 14)] = -500
        hu[ball((50, 75, 190), 14)] = faint_hu
        found = marked(np.where(LUNG, gaussian_filter(hu, 1.0), hu))
        assert (found.stricter & right).any()
        sizes.append([ml(mask & ~right) for mask in (found.stricter, found.mask, found.more_lenient)])
    assert all(strict <= mask <= lenient for strict, mask, lenient in sizes)
    assert any(strict < 0.5 * lenient for strict, _, lenient in sizes if lenient > 5)
    assert sizes[0][0] == 0
    assert sizes[-1][0] > 5


def test_vessels_and_borders_are_told_apart():
    hu = chest()
    rod = ((J * 1.5 - 75) ** 2 + (COLUMN * 1.5 - 60) ** 2 < 3**2) & LUNG
    hu[rod] = 40
    hu[LUNG & (np.abs(J - 50) == 44)] = -400  # one row of partial volume on either face
    uncounted = marked(hu).uncounted
    assert uncounted.vessels_ml == pytest.approx(ml(rod), rel=0.1)
    assert uncounted.borders_ml == pytest.approx(ml(LUNG & (np.abs(J - 50) == 44)), rel=0.3)
    assert uncounted.dependent_ml == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("turned", [False, True])
def test_what_gravity_explains_is_told_and_not_marked(turned):
    hu = chest(gradient_hu=-160 if turned else 160)
    found = marked(hu)
    assert ml(found.mask) == 0
    assert found.uncounted.dependent_ml > 50 > ml(found.mask)
    assert marked(chest()).uncounted.dependent_ml == 0


@pytest.mark.parametrize("turned", [False, True])
def test_opacity_under_the_dependent_pleura_is_told_whichever_side_was_down(turned):
    behind = LUNG & (J > 50 + 39) & (np.abs(COLUMN - 40) < 20)
    hu = np.where(behind, -400, chest(gradient_hu=-40 if turned else 40))
    found = marked(hu)
    part = found.uncounted.dependent_opacity_ml
    assert ml(found.mask & behind) > 0.5 * ml(behind)
    assert part == 0 if turned else part > 0.8 * ml(found.mask)


def test_without_a_gradient_nobody_knows_which_side_was_down():
    assert marked(chest()).uncounted.dependent_opacity_ml is None


def score(lobe, points, ends, infected=100):
    return LobeScore(lobe, 10_000, infected, 0.01, points, points, None, ends)


def codes(notes):
    return [note.code for note in notes]


def test_lobes_near_an_edge_are_named():
    (note,) = uncertainty_notes([score(Lobe.RUL, 1, (1, 2)), score(Lobe.LLL, 2, (2, 2))], (3, 4), None)
    assert note.code == "scores_near_edge"
    assert "RUL 1 to 2" in note.message
    assert "LLL" not in note.message


def test_two_words_for_the_severity_are_a_warning():
    notes = uncertainty_notes([score(Lobe.RUL, 3, (3, 5))], (6, 8), None)
    assert codes(notes) == ["scores_near_edge", "severity_unsure"]
    assert "mild or moderate" in notes[1].message
    assert codes(uncertainty_notes([score(Lobe.RUL, 3, (3, 3))], (3, 3), None)) == []


@pytest.mark.parametrize(("dependent_ml", "told"), [(0.4, False), (0.6, True), (None, False)])
def test_mostly_dependent_opacities_are_a_warning(dependent_ml, told):
    uncounted = replace(UncountedDensity(0.0, 0.0, 0.0, 0.0, None), dependent_opacity_ml=dependent_ml)
    notes = uncertainty_notes([score(Lobe.RLL, 1, None)], None, uncounted)
    assert codes(notes) == (["mostly_dependent"] if told else [])
