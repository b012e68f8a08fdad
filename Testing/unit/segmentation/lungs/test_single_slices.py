"""Slices without neighbours: their lungs, and what an analysis says and does not say of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from CovidSeverityLib import AnalysisConfig, InputError, NoLungsError, analyze
from CovidSeverityLib.evaluation.cases import Case
from CovidSeverityLib.evaluation.paper.segmentation import evaluate_segmentation
from CovidSeverityLib.evaluation.paper.severity import evaluate_severity
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.reporting import build_report, summary_text
from CovidSeverityLib.segmentation.lungs.single_slices import segment_slice_lungs
from CovidSeverityLib.types import Opacity, Side


def slices_of(volume: CtVolume, indices: list[int]) -> CtVolume:
    geometry = replace(volume.geometry, size=(*volume.geometry.size[:2], len(indices)))
    hu = np.ascontiguousarray(volume.hu[indices])
    return CtVolume(hu, geometry, geometry, name="slices")


def write_slices(array, indices, volume, path):
    """Some slices of an array in the geometry of ``volume``, as a file."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array[indices]))
    image.SetSpacing(volume.geometry.spacing_mm)
    path.parent.mkdir(exist_ok=True)
    sitk.WriteImage(image, str(path))


def dice(found, true):
    return 2 * np.count_nonzero(found & true) / (np.count_nonzero(found) + np.count_nonzero(true))


@pytest.fixture(scope="module")
def middle(coarse_analysis):
    """Index of the slice with most lung."""
    return int(np.count_nonzero(coarse_analysis.lungs, axis=(1, 2)).argmax())


def test_lungs_of_a_slice_are_those_of_the_chest(coarse_phantom, coarse_analysis, middle):
    whole = coarse_analysis.lungs[middle]
    alone = segment_slice_lungs(slices_of(coarse_phantom.volume, [middle])).labels[0]
    for side in Side:
        assert dice(alone == side, whole == side) > 0.93


@pytest.mark.slow
def test_dome_of_an_organ_stays_out_of_a_slice(phantom_of):
    made = phantom_of(4, shape=(72, 128, 128), spacing_mm=(3.0, 3.0, 4.4), healthy=True)
    truth = made.lungs > 0
    heights = np.flatnonzero(truth.any(axis=(1, 2)))
    domes = heights[len(heights) // 6 : len(heights) // 2 : 3].tolist()
    found = segment_slice_lungs(slices_of(made.volume, domes)).labels > 0
    for n, k in enumerate(domes):
        assert np.count_nonzero(found[n] & ~truth[k]) < 0.05 * np.count_nonzero(truth[k])


@pytest.mark.slow
def test_a_slice_does_not_depend_on_the_others(coarse_phantom, middle):
    one = segment_slice_lungs(slices_of(coarse_phantom.volume, [middle])).labels[0]
    many = segment_slice_lungs(slices_of(coarse_phantom.volume, [2, middle, middle - 12])).labels
    np.testing.assert_array_equal(many[1], one)


def test_slices_without_lungs_are_empty_and_counted(coarse_phantom, middle):
    hu = coarse_phantom.volume.hu.copy()
    hu[0] = 40
    found = segment_slice_lungs(slices_of(replace(coarse_phantom.volume, hu=hu), [0, middle]))
    assert not found.labels[0].any()
    assert found.labels[1].any()
    (note,) = [n for n in found.notes if n.code == "slices_without_lungs"]
    assert note.message.startswith("1 of 2 slices")


def test_no_slice_with_lungs_is_an_error(coarse_phantom):
    hu = np.full_like(coarse_phantom.volume.hu, 40)
    with pytest.raises(NoLungsError, match="none of the 2 slices shows enough of them"):
        segment_slice_lungs(slices_of(replace(coarse_phantom.volume, hu=hu), [3, 4]))


def test_single_slice_is_analysed_with_a_warning_and_without_a_score(coarse_phantom, middle):
    result = analyze(slices_of(coarse_phantom.volume, [middle]))
    assert result.ctss is None
    assert result.total_severity_score is None
    assert result.severity.label == "not scored"
    assert result.lung_voxels > 0
    codes = {note.code for note in result.quality}
    assert "slices_alone" in codes
    assert not codes & {"lungs_small", "lungs_asymmetric", "lungs_cut_upper", "lungs_cut_lower", "orientation"}
    text = summary_text(result)
    assert "No CTSS" in text
    assert "None" not in text
    report = json.loads(json.dumps(build_report(result), allow_nan=False))
    assert report["ctss"]["total"] is None


def test_scored_evaluation_refuses_a_single_slice_by_name(coarse_phantom, middle, tmp_path):
    write_slices(coarse_phantom.volume.hu, [middle], coarse_phantom.volume, tmp_path / "one.nii.gz")
    with pytest.raises(InputError, match="one is a single slice and has no CTSS"):
        evaluate_severity(Case("one", tmp_path / "one.nii.gz"), AnalysisConfig())


def test_masks_of_single_slices_are_compared(coarse_phantom, middle, tmp_path):
    """Sets of single slices are files of one slice each."""
    for name, array in (("ct", coarse_phantom.volume.hu), ("mask", coarse_phantom.infection)):
        write_slices(array, [middle], coarse_phantom.volume, tmp_path / f"{name}.nii.gz")
    record = evaluate_segmentation(Case("one", tmp_path / "ct.nii.gz", tmp_path / "mask.nii.gz"), AnalysisConfig())
    assert record["runs"]["own"]["lung_voxels"] > 500


@pytest.mark.slow
def test_unrelated_slices_are_decided_alone(coarse_phantom, middle):
    volume = coarse_phantom.volume
    stack = slices_of(volume, [middle, middle - 10, middle])
    result = analyze(stack, independent_slices=True)
    np.testing.assert_array_equal(result.infection[0], result.infection[2])
    np.testing.assert_array_equal(result.lungs[0], result.lungs[2])
    alone = analyze(slices_of(volume, [middle]))
    np.testing.assert_array_equal(result.infection[0], alone.infection[0])


@pytest.mark.slow
def test_commands_take_unrelated_slices(program, coarse_phantom, middle, tmp_path):
    for name, array in (("images", coarse_phantom.volume.hu), ("masks", coarse_phantom.infection)):
        write_slices(array, [middle, middle - 10, middle], coarse_phantom.volume, tmp_path / name / "stack.nii.gz")
    images, masks = tmp_path / "images", tmp_path / "masks"
    done = program("analyze", images / "stack.nii.gz", "--independent-slices", "-o", tmp_path / "out", "--json")
    assert done.status == 0, done.err
    report = json.loads(done.out)
    assert report["ctss"]["total"] is None
    assert "slices_alone" in {note["code"] for note in report["quality"]}
    first, _, last = (tmp_path / "out" / "slices.csv").read_text(encoding="utf-8").splitlines()[-3:]
    assert first.split(",")[2:] == last.split(",")[2:]
    whole, alone = (
        program(
            "evaluate", "segmentation", "--images", images, "--masks", masks, *flag, "-o", tmp_path / str(len(flag))
        )
        for flag in ([], ["--independent-slices"])
    )
    assert (whole.status, alone.status) == (2, 0), (whole, alone)


def test_consolidation_of_unrelated_slices_is_told_slice_by_slice(coarse_phantom):
    volume, lungs = slices_of(coarse_phantom.volume, [30, 31, 32]), coarse_phantom.lungs[30:33] > 0
    hu = np.where(lungs, np.int16(-600), volume.hu)
    hu[1][lungs[1]] = 40
    kinds = AnalysisConfig().marking.kinds(replace(volume, hu=hu), lungs, independent_slices=True)
    assert (kinds[1][lungs[1]] == Opacity.CONSOLIDATION).mean() > 0.9
    for k in (0, 2):
        assert (kinds[k][lungs[k]] == Opacity.GROUND_GLASS).all()


@pytest.mark.slow
def test_a_patch_in_a_single_slice_is_found(phantom_of):
    made = phantom_of(4, shape=(72, 256, 256), spacing_mm=(1.5, 1.5, 4.4), healthy=True)
    volume, lungs = made.volume, made.lungs
    k = int(np.count_nonzero(lungs, axis=(1, 2)).argmax())
    j, i = (int(np.median(x)) for x in np.nonzero(lungs[k] == Side.RIGHT))
    row, column = np.ogrid[: lungs.shape[1], : lungs.shape[2]]
    _, row_mm, column_mm = volume.geometry.spacing_kji
    patch = ((row - j) * row_mm) ** 2 + ((column - i) * column_mm) ** 2 < 20.0**2
    hu = volume.hu.copy()
    hu[k][patch] = np.maximum(hu[k][patch], -500)
    result = analyze(slices_of(replace(volume, hu=hu), [k]))
    found = result.infection[0] > 0
    assert np.count_nonzero(found & patch) > 0.8 * np.count_nonzero(patch & (lungs[k] > 0))
    assert result.opacity_voxels[Opacity.GROUND_GLASS] > result.opacity_voxels[Opacity.CONSOLIDATION]
