"""The lungs of coarse synthetic chests and of made-up ones: what is in, what is out, and what is no chest at all."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.morphology import convex_hull_image

from CovidSeverityLib.errors import NoLungsError
from CovidSeverityLib.evaluation.synthetic.phantom import LesionSpec
from CovidSeverityLib.io.volume import volume_from_array
from CovidSeverityLib.morphology.grid import WorkingGrid
from CovidSeverityLib.preprocessing.config import ThoraxConfig
from CovidSeverityLib.preprocessing.thorax import gas_mask
from CovidSeverityLib.segmentation.lungs.lung_segmentation import field_of_view_notes, segment_lungs
from CovidSeverityLib.types import Lobe, NoteSeverity, Side

THORAX = ThoraxConfig()

COARSE = {"shape": (72, 128, 128), "spacing_mm": (3.0, 3.0, 4.4)}
SPACING_MM = (3.0, 3.0, 4.0)
SHAPE = (70, 90, 124)
K, J, I = np.indices(SHAPE)  # noqa: E741 - the axes of the library
X, Y, Z = (I - 61.5) * 3.0, (J - 44.5) * 3.0, (K - 34.5) * 4.0
"""mm from the middle: to the left, to the back, upwards."""

BODY = (X / 170) ** 2 + (Y / 120) ** 2 < 1


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def ellipsoid(centre, radii):
    x, y, z = centre
    a, b, c = radii
    return ((X - x) / a) ** 2 + ((Y - y) / b) ** 2 + ((Z - z) / c) ** 2 < 1


LUNG = {Side.RIGHT: ellipsoid((-80, 0, 0), (62, 85, 110)), Side.LEFT: ellipsoid((80, 0, 0), (58, 80, 105))}
TRACHEA = (X**2 + (Y + 10) ** 2 < 9**2) & (Z > 10)


def painted(*parts, sides=tuple(Side), seed=0):
    """HU of a made-up chest; ``parts`` are (mask, HU) painted over it in order."""
    hu = np.where(BODY, 40.0, -1000.0)
    for side in sides:
        hu[LUNG[side]] = -850
    hu[TRACHEA] = -1000
    for mask, value in parts:
        hu[mask] = value
    return hu + np.random.default_rng(seed).normal(0, 12, SHAPE)


def found_in(hu):
    return segment_lungs(volume_from_array(hu, SPACING_MM, (0, 0, 0), np.eye(3), name="case.nii"))


@pytest.fixture(scope="module")
def plain():
    return found_in(painted())


@pytest.fixture(scope="module", params=[pytest.param(0, marks=pytest.mark.slow), 1])
def chest(request, phantom_of, lungs_of):
    """A coarse phantom and the lungs found in it."""
    return phantom_of(request.param, **COARSE), lungs_of(request.param, **COARSE)


# Coarse phantoms


@pytest.mark.parametrize("side", Side)
def test_each_lung_is_nearly_the_true_one(chest, side):
    phantom, found = chest
    assert dice(found.labels == side, phantom.lungs == side) > 0.96


def test_each_lung_is_one_component(chest):
    _, found = chest
    assert [ndimage.label(found.labels == side)[1] for side in Side] == [1, 1]


def test_dome_of_the_liver_stays_out(chest):
    """Soft tissue that the right lung surrounds or embraces in its lowest third."""
    phantom, found = chest
    truth = phantom.lungs == Side.RIGHT
    slices = np.flatnonzero(truth.any(axis=(1, 2)))
    dome = np.zeros_like(truth)
    for k in slices[: slices.size // 3]:
        dome[k] = convex_hull_image(truth[k]) & ~ndimage.binary_dilation(phantom.lungs[k] > 0)
    dome &= phantom.volume.hu > 0
    assert dome.sum() > 500
    assert np.mean(found.labels[dome] > 0) < 0.01


def test_trachea_stays_out(chest):
    phantom, found = chest
    gas = (phantom.volume.hu < -930) & (phantom.lungs == 0)
    middle = phantom.volume.hu.shape[2] // 2
    tracheal = np.zeros_like(gas)
    tracheal[40:, 40:90, middle - 12 : middle + 12] = gas[40:, 40:90, middle - 12 : middle + 12]
    assert tracheal.sum() > 50
    assert not found.labels[tracheal].any()


def test_gas_of_the_stomach_stays_out(chest):
    phantom, found = chest
    labels, _ = ndimage.label((phantom.volume.hu < -930) & ~ndimage.binary_dilation(phantom.lungs > 0))
    inside = np.ones(labels.max() + 1, dtype=bool)
    for face in (labels[:, [0, -1]], labels[:, :, [0, -1]], labels[-1]):
        inside[np.unique(face)] = False
    stomach = inside[labels]
    stomach[36:] = False
    assert stomach.sum() > 20
    assert not found.labels[stomach].any()


def test_nothing_else_is_noted_of_a_whole_chest(chest):
    _, found = chest
    assert found.notes == ()
    assert found.source == "classical"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "lobe", "placement"),
    [
        (1, Lobe.RLL, "central"),
        (2, Lobe.LUL, "central"),
        (2, Lobe.RLL, "pleural"),
        (0, Lobe.LLL, "pleural"),
        (1, Lobe.LLL, "central"),
    ],
)
def test_consolidation_stays_in(phantom_of, seed, lobe, placement):
    phantom = phantom_of(seed, lesions=[LesionSpec("consolidation", lobe, 50.0, placement)], **COARSE)
    found = segment_lungs(phantom.volume)
    airless = (phantom.infection > 0) & (phantom.volume.hu > -200)
    assert airless.sum() > 500
    assert np.mean(found.labels[airless] == lobe.side) > 0.8


# Made-up chests


def test_right_lung_is_the_patients_right(plain):
    assert {side: dice(plain.labels == side, LUNG[side]) > 0.97 for side in Side} == dict.fromkeys(Side, True)


def test_trachea_of_the_same_density_as_lung_stays_out():
    assert not found_in(painted((TRACHEA, -850))).labels[TRACHEA].any()


@pytest.mark.slow
def test_airway_that_opens_into_both_lungs_stays_out():
    """Its density is that of lung, so that shape alone tells."""
    bronchi = (np.hypot(Y + 10, Z - 12 + 0.5 * np.abs(X)) < 8) & (np.abs(X) < 60)
    labels = found_in(painted((TRACHEA | (bronchi & ~LUNG[Side.RIGHT] & ~LUNG[Side.LEFT]), -850))).labels
    upper = TRACHEA & (Z > 30)
    assert not labels[upper].any()
    assert [ndimage.label(labels == side)[1] for side in Side] == [1, 1]


@pytest.mark.slow
def test_gas_that_touches_the_lung_stays_out():
    """A stomach bubble under a diaphragm thinner than a voxel."""
    bubble = ellipsoid((80, 0, -125), (32, 32, 30)) & ~LUNG[Side.LEFT]
    labels = found_in(painted((bubble, -1005))).labels
    deep = bubble & (Z < -118)
    assert deep.sum() > 100
    assert np.mean(labels[deep] > 0) < 0.02


def test_lungs_that_touch_are_parted():
    bridge = (np.abs(X) < 35) & (np.abs(Y + 45) < 8) & (np.abs(Z) < 30)
    labels = found_in(painted((bridge, -850))).labels
    for side in Side:
        assert dice(labels == side, LUNG[side]) > 0.94
        assert ndimage.label(labels == side)[1] == 1
    assert np.mean(labels[bridge] > 0) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize(
    "opacity",
    [
        ellipsoid((-125, 20, 10), (20, 22, 24)),
        ellipsoid((-80, 0, 0), (25, 25, 25)),
        ellipsoid((-80, 68, 0), (22, 20, 24)),
    ],
    ids=["lateral", "inside", "dorsal"],
)
def test_airless_lung_is_put_back(opacity):
    opacity = opacity & LUNG[Side.RIGHT]
    labels = found_in(painted((opacity, 40))).labels
    assert np.mean(labels[opacity] == Side.RIGHT) > 0.8
    assert dice(labels == Side.RIGHT, LUNG[Side.RIGHT]) > 0.97


@pytest.mark.slow
def test_vessels_and_bronchi_inside_the_lung_belong_to_it():
    vessel = (np.hypot(X + 80, Z) < 3.1) & LUNG[Side.RIGHT]
    bronchus = (np.hypot(X - 80, Z) < 3.1) & LUNG[Side.LEFT]
    labels = found_in(painted((vessel, 60), (bronchus, -1000))).labels
    assert np.mean(labels[vessel] == Side.RIGHT) > 0.9
    assert np.mean(labels[bronchus] == Side.LEFT) > 0.9


@pytest.mark.slow
def test_organ_that_rises_into_the_lung_from_below_stays_out():
    liver = ellipsoid((-80, 0, -110), (40, 50, 80))
    labels = found_in(painted((liver, 60))).labels
    assert np.mean(labels[liver & LUNG[Side.RIGHT]] > 0) < 0.05


@pytest.mark.slow
def test_bowel_gas_stays_out():
    gas = ellipsoid((60, -30, -122), (25, 25, 12))
    assert not found_in(painted((gas, -1000))).labels[gas].any()


@pytest.mark.parametrize("slice_mm", [5.0, 8.0, 10.0])
def test_gas_whose_walls_slope_is_gas_as_a_whole_in_thick_slices(slice_mm):
    """A colon that narrows upwards: thick slices blur its wall to the density of lung."""
    grid = WorkingGrid((int(80 / slice_mm), 70, 70), (1, 1, 1), (slice_mm, 1.6, 1.6))
    y, x = (np.indices((70, 70)) - 34.5) * 1.6
    heights = (np.arange(int(80 / slice_mm) * 10) + 0.5) * slice_mm / 10
    radii = np.interp(heights, (15, 60), (48, 6)) * (heights > 15) * (heights < 60)
    fine = np.where(np.hypot(x, y) < radii[:, None, None], -1005.0, 40.0)
    hu = fine.reshape(-1, 10, 70, 70).mean(axis=1).astype(np.float32)
    air = hu < THORAX.lung_tissue_hu
    gas = gas_mask(hu, np.ones(hu.shape, dtype=bool), np.zeros(hu.shape, dtype=bool), grid, THORAX)
    assert np.mean(gas[air]) > 0.97


@pytest.mark.parametrize("noise_hu", [0, 20])
def test_gas_that_noise_breaks_into_pieces_is_gas_all_the_same(noise_hu):
    """Its pieces have gas around them, which is dark, but no lung."""
    grid = WorkingGrid((30, 70, 70), (1, 1, 1), (2.0, 1.6, 1.6))
    _, y, x = np.indices(grid.shape)
    clean = np.where(np.hypot(x - 34.5, y - 34.5) < 15, -985.0, 40.0)
    hu = (clean + np.random.default_rng(0).normal(0, noise_hu, grid.shape)).astype(np.float32)
    gas = gas_mask(hu, np.ones(hu.shape, dtype=bool), np.zeros(hu.shape, dtype=bool), grid, THORAX)
    assert np.mean(gas[clean < 0]) > 0.9


def test_bulla_in_thick_slices_stays_lung():
    grid = WorkingGrid((10, 70, 70), (1, 1, 1), (8.0, 1.6, 1.6))
    z, y, x = (np.indices(grid.shape) - np.array([4.5, 34.5, 34.5])[:, None, None, None]) * np.array(grid.spacing_mm)[
        :, None, None, None
    ]
    hu = np.where(x**2 + y**2 + z**2 < 20**2, -1000, -850).astype(np.float32)
    assert not gas_mask(hu, np.ones(hu.shape, dtype=bool), np.zeros(hu.shape, dtype=bool), grid, THORAX).any()


@pytest.mark.parametrize(
    ("wall_mm", "airway_inside", "is_gas"),
    [(1.0, False, False), (1.0, True, True), (8.0, False, True)],
    ids=["bulla", "trachea", "stomach"],
)
def test_gas_at_the_chest_wall_with_lung_on_its_other_sides_is_a_bulla(wall_mm, airway_inside, is_gas):
    grid = WorkingGrid((30, 70, 70), (1, 1, 1), (2.0, 1.3, 1.3))
    z, y, x = ((n - 35) * mm for n, mm in zip(np.indices(grid.shape), grid.spacing_mm, strict=True))
    distance = np.sqrt((z + 40) ** 2 + y**2 + x**2)
    hu = np.where(x < -8, 45.0, -860.0)
    hu[distance < 20 + wall_mm] = 0.0
    hu[distance < 20] = -995.0
    hu = ndimage.gaussian_filter(hu, [0.4, 0.6, 0.6]).astype(np.float32)
    airway = (distance < 3) & airway_inside
    gas = gas_mask(hu, np.ones(hu.shape, dtype=bool), airway, grid, THORAX)
    assert gas[distance < 18].all() == gas.any() == is_gas


@pytest.mark.slow
def test_table_does_not_matter():
    table = (np.abs(Y - 125) < 5) & (np.abs(X) < 150)
    labels = found_in(painted((table & ~BODY, -100))).labels
    assert dice(labels > 0, LUNG[Side.RIGHT] | LUNG[Side.LEFT]) > 0.97


def codes(found):
    return {note.code for note in found.notes}


@pytest.mark.slow
@pytest.mark.parametrize("side", Side)
def test_missing_lung_is_noted_and_the_other_keeps_its_side(side):
    found = found_in(painted(sides=(side,)))
    assert set(np.unique(found.labels).tolist()) == {0, side}
    assert codes(found) == {"lung_missing"}
    (note,) = found.notes
    other = "left" if side is Side.RIGHT else "right"
    assert f"No {other} lung" in note.message
    assert note.severity is NoteSeverity.WARNING


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ((slice(30, None), slice(None), slice(None)), "lungs_cut_lower"),
        ((slice(0, 45), slice(None), slice(None)), "lungs_cut_upper"),
        pytest.param(
            (slice(None), slice(None), slice(20, None)),
            "lungs_cut_sideways",
        ),
    ],
)
def test_field_of_view_that_cuts_the_lungs_is_noted(part, expected):
    assert expected in codes(found_in(painted()[part]))


@pytest.mark.parametrize(
    ("part", "where"),
    [
        (np.s_[:, 2:-2, 2:-2], "all round"),
        (np.s_[:, :, 2:], "at the patient's right;"),
        (np.s_[:, :-2, :-2], "at the patient's back and left;"),
    ],
)
def test_note_says_where_the_lungs_are_cut_and_which_numbers_are_of_a_part(part, where):
    labels = np.zeros((9, 20, 30), dtype=np.uint8)
    labels[1:-1, 2:-2, 2:14], labels[1:-1, 2:-2, 16:-2] = Side.RIGHT, Side.LEFT
    (note,) = field_of_view_notes(labels[part])
    assert note.code == "lungs_cut_sideways"
    assert where in note.message
    assert "volumes, infected shares and the score are those of the part that is seen" in note.message


def test_whole_lungs_have_no_note(plain):
    assert plain.notes == ()


@pytest.mark.slow
def test_chest_without_a_trachea_is_noted():
    assert codes(found_in(painted((TRACHEA, 40)))) == {"airway_not_found"}


def head():
    sinus = ellipsoid((0, -50, 0), (25, 20, 25))
    skull = (X / 80) ** 2 + (Y / 100) ** 2 + (Z / 120) ** 2
    hu = np.where(skull < 1, 900.0, -1000.0)
    hu[skull < 0.88] = 35
    hu[sinus] = -1000
    return hu


def abdomen():
    hu = np.where(BODY, 40.0, -1000.0)
    hu[ellipsoid((60, -30, 20), (40, 30, 60))] = -990
    hu[ellipsoid((-60, -30, -20), (30, 30, 30))] = -990
    return hu


@pytest.mark.parametrize(
    "hu",
    [head(), abdomen(), np.where(BODY, 40.0, -1000.0), np.full(SHAPE, -1000.0), np.zeros(SHAPE)],
    ids=["head", "abdomen", "solid", "air", "zeros"],
)
def test_volume_without_lungs_is_refused_by_name(hu):
    with pytest.raises(NoLungsError, match=r"no lungs found in case\.nii"):
        found_in(hu + np.random.default_rng(0).normal(0, 10, SHAPE))


def test_bases_of_the_lungs_in_an_abdominal_ct_are_refused():
    with pytest.raises(NoLungsError, match="only the lower part"):
        found_in(painted()[:27])


def test_labels_are_read_only_and_the_volume_is_left_alone(plain):
    assert not plain.labels.flags.writeable
    assert plain.labels.dtype == np.uint8
