"""The synthetic chest CT: what is true of it for every seed, and what a caller can ask for."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.evaluation.synthetic.phantom import LesionKind, LesionSpec, make_phantom, truth_of, write_phantom
from CovidSeverityLib.types import Lobe, Opacity, Side

COARSE = {"shape": (72, 128, 128), "spacing_mm": (3.0, 3.0, 4.4)}
"""The same anatomy and field of view as by default, in a twelfth of the voxels."""

SEEDS = range(8)
DORSAL_Y_MM, VENTRAL_Y_MM = 50.0, -50.0

ASKED = (
    LesionSpec("ground_glass", Lobe.RUL, 40.0, "central"),
    LesionSpec("consolidation", Lobe.RLL, 36.0, "pleural"),
    LesionSpec("mixed", Lobe.LUL, 44.0, "central"),
)


every_seed = pytest.mark.parametrize("seed", [0, 1, *(pytest.param(n, marks=pytest.mark.slow) for n in SEEDS[2:])])


@pytest.fixture(scope="module")
def phantoms(phantom_of):
    return {seed: phantom_of(seed, **COARSE) for seed in SEEDS}


@pytest.fixture(scope="module")
def fine_phantom(phantom_of):
    return phantom_of(0)


@pytest.fixture(scope="module")
def asked_phantom(phantom_of):
    return phantom_of(3, lesions=ASKED, **COARSE)


@pytest.mark.slow
@every_seed
def test_lungs_have_an_adults_volumes(phantom_of, seed):
    phantom = phantom_of(seed, **COARSE)
    ml = {side: n * phantom.volume.geometry.voxel_ml for side, n in phantom.side_voxels.items()}
    assert 3500 <= sum(ml.values()) <= 5500
    assert all(1200 <= v <= 3000 for v in ml.values())
    assert 1.02 <= ml[Side.RIGHT] / ml[Side.LEFT] <= 1.3


@every_seed
def test_every_lobe_has_its_usual_share_of_the_lungs(phantom_of, seed):
    """Shares at full inspiration, with room for the spread between people."""
    voxels = phantom_of(seed, **COARSE).lobe_voxels
    share = {lobe: n / sum(voxels.values()) for lobe, n in voxels.items()}
    usual = {Lobe.RUL: 0.21, Lobe.RML: 0.09, Lobe.RLL: 0.22, Lobe.LUL: 0.25, Lobe.LLL: 0.2}
    for lobe, expected in usual.items():
        assert share[lobe] == pytest.approx(expected, abs=0.06), lobe


@every_seed
def test_masks_fit_together(phantom_of, seed):
    phantom = phantom_of(seed, **COARSE)
    assert np.array_equal(phantom.lobes > 0, phantom.lungs > 0)
    for lobe in Lobe:
        assert np.all(phantom.lungs[phantom.lobes == lobe] == lobe.side)
    assert np.all(phantom.lungs[phantom.infection > 0] > 0)
    assert set(np.unique(phantom.infection)) <= {0, *Opacity}


@every_seed
def test_each_lung_is_one_piece_on_its_side(phantom_of, seed):
    phantom = phantom_of(seed, **COARSE)
    for side in Side:
        assert ndimage.label(phantom.lungs == side)[1] == 1
    right, left = (ndimage.center_of_mass(phantom.lungs == side) for side in Side)
    middle = phantom.lungs.shape[2] / 2
    assert right[2] < middle < left[2]


@every_seed
def test_drawn_infection_is_moderate_and_spares_a_lobe(phantom_of, seed):
    phantom = phantom_of(seed, **COARSE)
    assert 1.5 <= phantom.infection_percent <= 15.0
    assert 2 <= len(phantom.lesions) <= 8
    assert all(10.0 <= lesion.diameter_mm <= 60.1 for lesion in phantom.lesions)
    infected = phantom.lobe_infected_voxels
    assert min(infected.values()) == 0
    assert {lesion.lobe for lesion in phantom.lesions} == {lobe for lobe, n in infected.items() if n}


@pytest.mark.slow
def test_seeds_draw_lesions_of_every_kind(phantoms):
    kinds = {lesion.kind for phantom in phantoms.values() for lesion in phantom.lesions}
    assert kinds == set(LesionKind)


@pytest.mark.slow
def test_lower_lobes_lie_behind_and_below_the_upper(phantoms):
    for phantom in phantoms.values():
        centre = {lobe: ndimage.center_of_mass(phantom.lobes == lobe) for lobe in Lobe}
        for upper, lower in ((Lobe.RUL, Lobe.RLL), (Lobe.LUL, Lobe.LLL)):
            assert centre[lower][0] < centre[upper][0]
            assert centre[lower][1] > centre[upper][1]
        assert centre[Lobe.RML][0] < centre[Lobe.RUL][0]
        assert centre[Lobe.RML][1] < centre[Lobe.RLL][1]


def test_fissures_are_not_planes(phantom_of):
    """The best plane between the left lobes misses the true surface by several millimetres."""
    phantom = phantom_of(1, **COARSE)
    spacing_i, spacing_j, spacing_k = phantom.volume.geometry.spacing_mm
    below = phantom.lobes[:-1] == Lobe.LLL
    k, j, i = np.nonzero(below & (phantom.lobes[1:] == Lobe.LUL))
    design = np.stack([i * spacing_i, j * spacing_j, np.ones(len(i))], axis=1)
    height = k * spacing_k
    off = height - design @ np.linalg.lstsq(design, height, rcond=None)[0]
    assert np.sqrt(np.mean(off**2)) > 2.5


def test_same_seed_gives_the_same_bits(phantom_of):
    first, again = phantom_of(1, **COARSE), make_phantom(1, **COARSE)
    assert np.array_equal(again.volume.hu, first.volume.hu)
    assert np.array_equal(again.lobes, first.lobes)
    assert np.array_equal(again.infection, first.infection)
    assert again.lesions == first.lesions


def test_another_seed_is_another_patient(phantom_of):
    one, other = phantom_of(0, **COARSE), phantom_of(1, **COARSE)
    assert not np.array_equal(one.lungs, other.lungs)
    assert one.lesions != other.lesions


@pytest.mark.slow
def test_global_random_state_neither_matters_nor_changes():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    make_phantom(0, shape=(24, 48, 48), spacing_mm=(8.0, 8.0, 13.0))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_volume_is_canonical_and_in_hounsfield_units(fine_phantom):
    volume = fine_phantom.volume
    assert volume.hu.dtype == np.int16
    assert volume.hu.min() >= -1024
    assert 500 < volume.hu.max() < 2000
    assert volume.geometry.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    covered = np.multiply(volume.geometry.size, volume.geometry.spacing_mm)
    assert np.all(covered > (350, 350, 300))
    assert not any(a.flags.writeable for a in (volume.hu, fine_phantom.lungs, fine_phantom.infection))


def test_whole_lungs_lie_inside_the_field_of_view(phantoms, fine_phantom):
    for phantom in (*phantoms.values(), fine_phantom):
        inside = np.zeros(phantom.lungs.shape, dtype=bool)
        inside[3:-3, 3:-3, 3:-3] = True
        assert not phantom.lungs[~inside].any()


def test_healthy_parenchyma_is_aerated_and_denser_at_the_back(fine_phantom):
    hu, geometry = fine_phantom.volume.hu, fine_phantom.volume.geometry
    healthy = (fine_phantom.lungs > 0) & (fine_phantom.infection == 0)
    y = geometry.origin_mm[1] + geometry.spacing_mm[1] * np.arange(geometry.size[1])
    assert -890 < np.median(hu[healthy]) < -840
    back, front = (np.median(hu[:, rows][healthy[:, rows]]) for rows in (y > DORSAL_Y_MM, y < VENTRAL_Y_MM))
    assert 30 < back - front < 90


def test_opacities_have_their_density(fine_phantom):
    hu, infection = fine_phantom.volume.hu, fine_phantom.infection
    assert -700 < np.median(hu[infection == Opacity.GROUND_GLASS]) < -400
    assert -60 < np.median(hu[infection == Opacity.CONSOLIDATION]) < 60


def test_vessels_run_through_healthy_lung(fine_phantom):
    healthy = (fine_phantom.lungs > 0) & (fine_phantom.infection == 0)
    deep = ndimage.binary_erosion(healthy, iterations=4)
    share = np.mean(fine_phantom.volume.hu[deep] > -500)
    pieces = ndimage.label(deep & (fine_phantom.volume.hu > -500))[1]
    assert 0.01 < share < 0.08
    assert pieces > 200


def test_liver_dome_is_an_island_that_the_lung_mask_leaves_out(fine_phantom):
    hu, right = fine_phantom.volume.hu, fine_phantom.lungs == Side.RIGHT
    means = []
    for k in range(len(hu)):
        island = ndimage.binary_erosion(ndimage.binary_fill_holes(right[k]) & ~right[k], iterations=4)
        if island.sum() > 100:
            means.append(hu[k][island].mean())
    assert means, "no axial slice shows the dome inside the lung"
    assert 25 < min(means) <= max(means) < 70


def test_trachea_is_air_outside_the_lungs_and_splits_into_two_bronchi(fine_phantom):
    geometry = fine_phantom.volume.geometry
    airway = (fine_phantom.volume.hu < -900) & (fine_phantom.lungs == 0)

    def lumina_at(z_mm):
        k = int(np.argmin(np.abs(geometry.slice_z_mm() - z_mm)))
        j, i = np.rint((np.array([14.0, 0.0]) - geometry.origin_mm[1::-1]) / geometry.spacing_mm[1::-1]).astype(int)
        return ndimage.label(airway[k, j - 15 : j + 15, i - 32 : i + 32])[1]

    assert lumina_at(40.0) == 1
    assert lumina_at(-16.0) == 2


def test_lungs_almost_meet_behind_the_sternum(fine_phantom):
    gaps = []
    for plane in fine_phantom.lungs:
        for row in plane:
            right, left = np.flatnonzero(row == Side.RIGHT), np.flatnonzero(row == Side.LEFT)
            if len(right) and len(left):
                gaps.append((left[0] - right[-1] - 1) * fine_phantom.volume.geometry.spacing_mm[0])
    assert min(gaps) > 0
    assert np.count_nonzero(np.array(gaps) <= 4.0) > 50


def test_stomach_holds_gas_under_the_left_lung(fine_phantom):
    hu = fine_phantom.volume.hu
    middle = hu.shape[2] // 2
    gas = (hu < -900) & (fine_phantom.lungs == 0)
    gas[:, :, :middle] = False
    pieces, count = ndimage.label(gas)
    sizes = ndimage.sum_labels(gas, pieces, range(1, count + 1)) * fine_phantom.volume.geometry.voxel_ml
    enclosed = [n for n, box in enumerate(ndimage.find_objects(pieces)) if box[2].stop < hu.shape[2]]
    assert any(20 < sizes[n] < 400 for n in enclosed)


def test_noise_has_the_strength_and_the_grain_of_a_ct(fine_phantom):
    """In the liver, 35 mm under the dome: neighbours correlate, as they do after a reconstruction kernel."""
    geometry = fine_phantom.volume.geometry
    k, j, i = (
        int((c - o) / s)
        for c, o, s in zip((-135, -8, -70), geometry.origin_mm[::-1], geometry.spacing_kji, strict=True)
    )
    liver = fine_phantom.volume.hu[k - 2 : k + 3, j - 14 : j + 15, i - 14 : i + 15].astype(float)
    liver -= liver.mean(axis=(1, 2), keepdims=True)
    assert 15 < liver.std() < 30
    across = np.mean(liver[:, :, 1:] * liver[:, :, :-1]) / np.mean(liver**2)
    assert 0.1 < across < 0.7


@pytest.mark.slow
def test_noise_follows_what_is_asked_for():
    small = {"shape": (24, 64, 64), "spacing_mm": (6.0, 6.0, 13.0), "healthy": True}
    clean, noisy = (make_phantom(4, noise_sd_hu=sd, **small) for sd in (0.0, 40.0))
    difference = noisy.volume.hu.astype(float) - clean.volume.hu
    assert np.array_equal(clean.lungs, noisy.lungs)
    assert 20 < difference[clean.volume.hu > 0].std() < 80


def test_asked_lesions_are_what_was_asked_for(asked_phantom):
    made = {lesion.lobe: lesion for lesion in asked_phantom.lesions}
    assert set(made) == {spec.lobe for spec in ASKED}
    for spec in ASKED:
        lesion = made[spec.lobe]
        assert lesion.kind == spec.kind
        assert lesion.diameter_mm == pytest.approx(spec.diameter_mm, abs=0.1)
        assert lesion.touches_pleura == (spec.placement == "pleural")
        labels = set(np.unique(asked_phantom.infection[asked_phantom.lobes == spec.lobe])) - {0}
        assert (
            labels
            == {
                LesionKind.GROUND_GLASS: {Opacity.GROUND_GLASS},
                LesionKind.CONSOLIDATION: {Opacity.CONSOLIDATION},
                LesionKind.MIXED: set(Opacity),
            }[spec.kind]
        )


def test_central_lesion_has_nearly_the_volume_of_its_ellipsoid(asked_phantom):
    lesion = next(lesion for lesion in asked_phantom.lesions if lesion.lobe == Lobe.RUL)
    ml = lesion.voxels * asked_phantom.volume.geometry.voxel_ml
    assert ml == pytest.approx(np.pi / 6000 * lesion.diameter_mm**3, rel=0.25)


def test_lesion_lies_where_it_says(asked_phantom):
    geometry = asked_phantom.volume.geometry
    for lesion in asked_phantom.lesions:
        index = np.rint((np.array(lesion.centre_mm) - geometry.origin_mm) / geometry.spacing_mm).astype(int)
        assert asked_phantom.infection[tuple(index[::-1])] > 0
        assert asked_phantom.lobes[tuple(index[::-1])] == lesion.lobe


@pytest.mark.slow
def test_healthy_chest_has_no_infection_and_the_same_anatomy(asked_phantom):
    healthy = make_phantom(3, healthy=True, **COARSE)
    assert healthy.lesions == ()
    assert not healthy.infection.any()
    assert np.array_equal(healthy.lobes, asked_phantom.lobes)
    assert healthy.infection_percent == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed -1"),
        ({"shape": (8, 64, 64)}, "at least 16"),
        ({"spacing_mm": (1.0, 0.0, 1.0)}, "positive lengths"),
        ({"noise_sd_hu": -3.0}, "noise of -3.0 HU"),
        ({"healthy": True, "lesions": ASKED}, "3 were asked for"),
        ({"shape": (16, 16, 16), "spacing_mm": (1.0, 1.0, 1.0)}, "holds no lung"),
    ],
)
def test_impossible_request_is_refused_with_a_reason(arguments, message):
    with pytest.raises(InputError, match=message):
        make_phantom(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nodule", Lobe.RUL, 20.0), "'nodule' is not one of ground_glass, consolidation, mixed"),
        (("mixed", 6, 20.0), "lobe 6"),
        (("mixed", Lobe.RUL, 500.0), "not between 6 and 120 mm"),
        (("mixed", Lobe.RUL, 20.0, "apical"), "'apical' is not one of central, pleural"),
    ],
)
def test_impossible_lesion_is_refused_with_a_reason(arguments, message):
    with pytest.raises(InputError, match=message):
        LesionSpec(*arguments)


def test_lesion_in_a_lobe_outside_the_grid_is_refused():
    """A narrow bar across the middle of the chest passes in front of a lower lobe."""
    thin = {"shape": (16, 16, 64), "spacing_mm": (6.0, 0.5, 0.5)}
    present = {lobe for lobe, n in make_phantom(0, healthy=True, **thin).lobe_voxels.items() if n}
    absent = sorted(set(Lobe) - present)
    assert absent, "the thin grid was meant to miss a lobe"
    with pytest.raises(InputError, match=absent[0].name):
        make_phantom(0, lesions=[LesionSpec("mixed", absent[0], 20.0)], **thin)


def test_files_come_back_with_their_geometry(asked_phantom, tmp_path):
    folder = tmp_path / "new" / "folder"
    files = write_phantom(asked_phantom, folder)
    names = ["ct.nii.gz", "lungs.nii.gz", "lobes.nii.gz", "infection.nii.gz", "truth.json"]
    assert [f.name for f in files] == names
    assert sorted(f.name for f in folder.iterdir()) == sorted(names)
    geometry = asked_phantom.volume.geometry
    arrays = [asked_phantom.volume.hu, asked_phantom.lungs, asked_phantom.lobes, asked_phantom.infection]
    for file, array in zip(files, arrays, strict=False):
        image = sitk.ReadImage(str(file))
        assert image.GetSize() == geometry.size
        assert image.GetSpacing() == pytest.approx(geometry.spacing_mm, abs=1e-5)
        assert image.GetOrigin() == pytest.approx(geometry.origin_mm, abs=1e-3)
        assert image.GetDirection() == pytest.approx(geometry.direction, abs=1e-6)
        read = sitk.GetArrayFromImage(image)
        assert read.dtype == array.dtype
        assert np.array_equal(read, array)


def test_truth_file_agrees_with_the_masks(asked_phantom, tmp_path):
    truth = json.loads(write_phantom(asked_phantom, tmp_path)[-1].read_text(encoding="utf-8"))
    assert truth == truth_of(asked_phantom)
    assert truth["seed"] == 3
    assert [lesion["kind"] for lesion in truth["lesions"]] == ["mixed", "ground_glass", "consolidation"]
    ml = asked_phantom.volume.geometry.voxel_ml
    for lobe in Lobe:
        inside = asked_phantom.lobes == lobe
        infected = np.count_nonzero(asked_phantom.infection[inside])
        row = truth["lobes"][lobe.name]
        assert row["volume_ml"] == pytest.approx(inside.sum() * ml, abs=1e-3)
        assert row["infection_ml"] == pytest.approx(infected * ml, abs=1e-3)
        assert row["involvement_percent"] == pytest.approx(100 * infected / inside.sum(), abs=1e-3)
    assert str(tmp_path) not in json.dumps(truth)


def test_interrupted_writing_leaves_no_half_written_file(asked_phantom, tmp_path, monkeypatch):
    def fail(image, name, **_):
        with open(name, "w") as file:  # noqa: PTH123
            file.write("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(sitk, "WriteImage", fail)
    with pytest.raises(KeyboardInterrupt):
        write_phantom(asked_phantom, tmp_path)
    assert list(tmp_path.iterdir()) == []
