"""Three real chest CTs against what radiologists and anatomy say of them (``../shared/data/README.md``)."""

import csv
import random
import shutil
from dataclasses import replace

import numpy as np
import pytest
from pydicom import dcmread
from scipy import ndimage, stats

from CovidSeverityLib import read_ct
from CovidSeverityLib.evaluation.synthetic.lesions.plan import plan_simulated_lesions
from CovidSeverityLib.evaluation.synthetic.lesions.simulated_lesions import Position, SingleLesionSpec, simulate_lesions
from CovidSeverityLib.evaluation.synthetic.phantom.model import LesionKind
from CovidSeverityLib.segmentation.lungs.lung_segmentation import segment_lungs
from CovidSeverityLib.types import Side

PATIENTS = ("P001", "cap001", "normal001")
SOFT_TISSUE_SIGMA_MM = 4.0
"""Smoothing after which a vessel is no soft tissue any more and an organ still is."""

RADIOLOGISTS_CTSS = 6
"""Of P001: ``../shared/data/reference/CTSS_GT.csv``."""


def labels_by_z(root, patient):
    """z in tenths of mm to whether radiologists saw infection there; none at all where there is no file."""
    path = root / f"{patient}_labels.csv"
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {round(10 * float(row["z_mm"])): row["infected"] == "1" for row in csv.DictReader(file)}


def percents_and_labels(root, analysis, patient):
    """(slices,) infection in per cent, and what the radiologists said."""
    labels = labels_by_z(root, patient)
    if labels:
        assert {round(10 * row.z_mm) for row in analysis.slices} == set(labels)
    infected = [labels.get(round(10 * row.z_mm), False) for row in analysis.slices]
    return np.array([row.infection_percent for row in analysis.slices]), np.array(infected)


def area_under_roc(values, positive):
    """Chance that a positive ranks above a negative, ties half (Mann-Whitney)."""
    u = stats.mannwhitneyu(values[positive], values[~positive]).statistic
    return u / (positive.sum() * (~positive).sum())


@pytest.mark.parametrize("patient", PATIENTS)
def test_both_lungs_have_a_plausible_volume(analysed, patient):
    analysis = analysed(patient)
    right, left = analysis.side_ml(Side.RIGHT), analysis.side_ml(Side.LEFT)
    assert 1000 <= left <= 4500
    assert 1000 <= right <= 4500
    assert right > 0.8 * left


@pytest.mark.parametrize("patient", PATIENTS)
def test_right_lung_lies_to_the_right(analysed, patient):
    right, left = (np.argwhere(analysed(patient).lungs == side)[:, 2] for side in Side)
    assert right.mean() < left.mean()
    assert np.percentile(right, 90) < np.percentile(left, 10)


@pytest.mark.parametrize("patient", PATIENTS)
def test_each_lung_is_one_component(analysed, patient):
    for side in Side:
        assert ndimage.label(analysed(patient).lungs == side)[1] == 1


def test_score_is_within_two_of_the_radiologists(analysed):
    assert abs(analysed("P001").ctss - RADIOLOGISTS_CTSS) <= 2


def test_infected_slices_rank_above_the_others(analysed, real_ct_root):
    """Not higher, as the labels leave out a lesion of the right base that is seen in four slices more."""
    assert area_under_roc(*percents_and_labels(real_ct_root, analysed("P001"), "P001")) >= 0.90


def test_infected_slices_rank_above_the_others_over_all_patients(analysed, real_ct_root):
    parts = [percents_and_labels(real_ct_root, analysed(patient), patient) for patient in PATIENTS]
    percents, infected = (np.concatenate(column) for column in zip(*parts, strict=True))
    assert infected.sum() > 100
    assert area_under_roc(percents, infected) >= 0.80


def test_infection_grows_from_the_normal_ct_to_the_sick_ones(analysed):
    normal, covid, cap = (analysed(patient).infection_percent for patient in ("normal001", "P001", "cap001"))
    assert normal < 0.5 < covid < 15
    assert normal < cap < 15


@pytest.mark.parametrize("patient", PATIENTS)
def test_no_gas_lies_beside_the_lungs(analysed, patient):
    assert "pneumothorax" not in {note.code for note in analysed(patient).quality}


@pytest.mark.parametrize("patient", PATIENTS)
def test_hounsfield_units_need_no_repair(analysed, patient):
    codes = {note.code for note in analysed(patient).quality}
    assert not {code for code in codes if "hu" in code.split("_") or "offset" in code}
    assert not {code for code in codes if code.startswith(("lung", "airway"))}


@pytest.mark.parametrize("patient", PATIENTS)
def test_no_organ_below_the_diaphragm_is_lung(analysed, patient):
    """The liver's dome is soft tissue after smoothing; what lies in the lower half of a lung must not be."""
    analysis = analysed(patient)
    hu = np.clip(analysis.volume.hu, -1024, 300).astype(np.float32)
    smooth = ndimage.gaussian_filter(hu, [SOFT_TISSUE_SIGMA_MM / mm for mm in analysis.volume.geometry.spacing_kji])
    slices = np.flatnonzero(analysis.lungs.any(axis=(1, 2)))
    lower = slice(0, (slices[0] + slices[-1]) // 2)
    soft = np.count_nonzero((smooth[lower] > 0) & (analysis.lungs[lower] > 0))
    assert soft < 0.001 * analysis.lung_voxels


def test_lungs_are_aerated_and_what_is_around_them_is_not(analysed):
    """In a normal chest the mask holds the air-filled tissue, and its rim outside does not."""
    analysis = analysed("normal001")
    lungs, hu = analysis.lungs > 0, analysis.volume.hu
    assert np.median(hu[lungs]) < -800
    assert np.mean(hu[lungs] > -400) < 0.05
    rim = ndimage.binary_dilation(lungs, iterations=3) & ~ndimage.binary_dilation(lungs, iterations=1)
    assert np.median(hu[rim]) > -150


@pytest.mark.parametrize("patient", PATIENTS)
def test_every_slice_has_a_row_at_its_position(analysed, real_ct_root, patient):
    positions = sorted(
        float(dcmread(path, stop_before_pixels=True, specific_tags=["ImagePositionPatient"]).ImagePositionPatient[2])
        for path in (real_ct_root / patient).glob("*.dcm")
    )
    rows = analysed(patient).slices
    assert [row.index for row in rows] == list(range(len(positions)))
    assert [row.z_mm for row in rows] == pytest.approx(positions, abs=0.01)


def test_files_renamed_at_random_are_the_same_ct(real_ct_root, tmp_path):
    """All but the name. An analysis depends on nothing else (``test_pipeline``), so that its bits are the same."""
    files = sorted((real_ct_root / "P001").glob("*.dcm"))
    names = list(range(len(files)))
    random.Random(7).shuffle(names)
    for file, name in zip(files, names, strict=True):
        shutil.copyfile(file, tmp_path / f"{name:04d}")
    assert replace(read_ct(tmp_path), name="P001") == read_ct(real_ct_root / "P001")


def test_consolidation_that_touches_the_liver_takes_no_liver_along(analysed):
    """One case of the plan that ``evaluate accuracy`` makes of it: a layer of 32 ml was taken for lung."""
    healthy = analysed("normal001")
    laid_in = simulate_lesions(healthy.volume, healthy.lungs, plan_simulated_lesions(12, 1)[5])
    found = segment_lungs(laid_in.volume).labels
    beyond = (found > 0) & (healthy.lungs == 0)
    assert np.count_nonzero(beyond) * healthy.volume.geometry.voxel_ml < 15


def test_small_consolidation_half_sunk_in_the_diaphragm_is_lung_and_the_liver_is_not(analysed):
    """A single lesion of a plan: the layer of liver that the expected lung takes along hid that lung is around it."""
    healthy = analysed("normal001")
    spec = SingleLesionSpec(LesionKind.CONSOLIDATION, Position.DIAPHRAGM, volume_ml=2.242, seed=1736978853)
    laid_in = simulate_lesions(healthy.volume, healthy.lungs, spec)
    found = segment_lungs(laid_in.volume).labels > 0
    assert found[laid_in.truth].mean() > 0.85
    assert np.count_nonzero(found & (healthy.lungs == 0)) * healthy.volume.geometry.voxel_ml < 3
