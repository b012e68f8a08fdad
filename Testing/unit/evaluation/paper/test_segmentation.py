"""Masks against the truth: which slices count, what is compared with what, and in which order slices are numbered."""

from math import isnan

import numpy as np
import pytest
import SimpleITK as sitk

from CovidSeverityLib import InputError, read_ct
from CovidSeverityLib.config import mask_config
from CovidSeverityLib.evaluation.cases import Case
from CovidSeverityLib.evaluation.paper.ablation import COMPLETE, evaluate_ablation, segmentation_variants
from CovidSeverityLib.evaluation.paper.opacity_agreement import case_details, consolidation_dice, label_name, recalls
from CovidSeverityLib.evaluation.paper.segmentation import (
    CaseAgreement,
    LungsUsed,
    Protocol,
    SliceAgreement,
    case_agreement,
    evaluate_segmentation,
    load_case,
    lungs_used,
    measure,
    summarise_segmentation,
)
from CovidSeverityLib.evaluation.paper.slice_lists import parse_slice_list
from CovidSeverityLib.features.classification_image import PUBLISHED_CLASSIFICATION_IMAGE, image_variants
from CovidSeverityLib.metrics import MaskAgreement

CONFIG = mask_config("reference")
BOTH_EMPTY = MaskAgreement(0, 0, 0, 100)
RIGHT = MaskAgreement(10, 0, 0, 90)
MISSED = MaskAgreement(0, 0, 10, 90)
FALSE = MaskAgreement(0, 5, 0, 95)
HALF = MaskAgreement(5, 5, 5, 85)


def case(name, *slices):
    return CaseAgreement(name, 0.002, 1.0, tuple(SliceAgreement(n, float(n), a) for n, a in enumerate(slices, 1)))


def test_every_slice_counts_unless_asked_otherwise():
    summary = summarise_segmentation([case("a", BOTH_EMPTY, RIGHT, MISSED, FALSE, HALF)], Protocol.ALL)
    assert summary.per_slice["dice"].value == pytest.approx((1 + 1 + 0 + 0 + 0.5) / 5)
    assert summary.per_slice["sensitivity"].value == pytest.approx((1 + 0 + 0.5) / 3)
    assert summary.per_slice["sensitivity"].n == 3
    assert summary.per_slice["precision"].value == pytest.approx((1 + 0 + 0.5) / 3)
    assert (summary.slices, summary.infected_slices, summary.left_out) == (5, 3, 0)
    assert summary.per_infected_slice["dice"].value == pytest.approx((1 + 0 + 0.5) / 3)


def test_paper_leaves_slices_out_in_which_nothing_was_found():
    summary = summarise_segmentation([case("a", BOTH_EMPTY, RIGHT, MISSED, FALSE, HALF)], Protocol.PAPER)
    assert summary.per_slice["dice"].value == pytest.approx((1 + 0 + 0.5) / 3)
    assert summary.per_slice["sensitivity"].value == pytest.approx((1 + 0 + 0.5) / 3)
    assert (summary.slices, summary.left_out) == (3, 2)
    assert summary.per_case["sensitivity"].value == pytest.approx(15 / 20)


def test_paper_calls_the_sensitivity_of_a_false_find_0():
    assert measure("sensitivity", FALSE, Protocol.PAPER) == 0
    assert isnan(measure("sensitivity", FALSE, Protocol.ALL))


def test_case_is_its_slices_taken_together():
    summary = summarise_segmentation([case("a", RIGHT, MISSED), case("b", HALF)], Protocol.ALL)
    assert summary.per_case["dice"].value == pytest.approx((20 / 30 + 10 / 20) / 2)
    assert summary.per_case["dice"].n == 2


def test_case_in_which_nothing_was_found_has_no_value_in_the_paper():
    summary = summarise_segmentation([case("a", MISSED, BOTH_EMPTY), case("b", HALF)], Protocol.PAPER)
    assert summary.per_case["dice"].n == 1
    assert summary.per_case["dice"].value == pytest.approx(0.5)


@pytest.fixture(scope="module")
def marked_chest(coarse_phantom, coarse_analysis, tmp_path_factory):
    """A folder with a CT, its lungs, and as its true infection the mask that the program itself finds."""
    folder = tmp_path_factory.mktemp("marked")
    volume = coarse_phantom.volume
    lungs = coarse_analysis.lungs
    found = FINDING.marking.mark(volume, lungs > 0).mask
    for name, array in (("ct", volume.hu), ("mask", found.astype(np.uint8)), ("lungs", lungs)):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(volume.geometry.spacing_mm)
        image.SetOrigin(volume.geometry.origin_mm)
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
        sitk.WriteImage(image[:, :, ::-1], str(folder / f"{name}_head_first.nii.gz"))
    assert found.any(axis=(1, 2)).sum() > 20
    return folder


FINDING = mask_config("default")


@pytest.mark.parametrize(
    ("ct", "mask"),
    [
        pytest.param("ct", "mask", marks=pytest.mark.slow),
        ("ct", "mask_head_first"),
        pytest.param("ct_head_first", "mask", marks=pytest.mark.slow),
    ],
)
def test_own_mask_agrees_with_itself_however_both_are_stored(marked_chest, ct, mask):
    record = evaluate_segmentation(
        Case("c", marked_chest / f"{ct}.nii.gz", marked_chest / f"{mask}.nii.gz"), config=FINDING
    )
    agreement = case_agreement("c", record)
    assert len(agreement.slices) == 72
    assert {s.agreement.dice for s in agreement.slices} == {1.0}
    assert sum(s.agreement.infected for s in agreement.slices) > 500


def test_slices_are_numbered_as_in_the_file(marked_chest):
    stored = read_ct(marked_chest / "ct_head_first.nii.gz")
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(marked_chest / "mask_head_first.nii.gz"))) > 0
    number = int(np.flatnonzero(mask.any(axis=(1, 2)))[0]) + 1
    files = {name: marked_chest / f"{name}_head_first.nii.gz" for name in ("ct", "mask", "lungs")}
    loaded = load_case(Case("c", files["ct"], files["mask"], files["lungs"]), parse_slice_list(f"{number},72"))
    assert [n for n, _ in loaded.slices] == [number, 72]
    assert [k for _, k in loaded.slices] == [72 - number, 0]
    assert loaded.truth[72 - number].any()
    np.testing.assert_array_equal(loaded.truth[72 - number], mask[number - 1])
    z_mm = [
        s.z_mm
        for s in case_agreement(
            "c",
            evaluate_segmentation(
                Case("c", files["ct"], files["mask"], files["lungs"]), CONFIG, parse_slice_list(f"{number},72")
            ),
        ).slices
    ]
    assert z_mm == pytest.approx(stored.geometry.slice_z_mm()[[72 - number, 0]], abs=1e-3)


def test_given_lungs_are_used(marked_chest, tmp_path):
    lungs = sitk.ReadImage(str(marked_chest / "lungs.nii.gz"))
    half = sitk.GetArrayFromImage(lungs)
    half[half == 1] = 0
    image = sitk.GetImageFromArray(half)
    image.CopyInformation(lungs)
    sitk.WriteImage(image, str(tmp_path / "left.nii.gz"))
    files = marked_chest / "ct.nii.gz", marked_chest / "mask.nii.gz"
    whole = load_case(Case("c", *files, marked_chest / "lungs.nii.gz"))
    left = load_case(Case("c", *files, tmp_path / "left.nii.gz"))
    assert whole.lung[:, :, :60].any()
    assert left.lung.any()
    assert not left.lung[:, :, :60].any()


def test_labels_of_the_mask_can_be_chosen(marked_chest, tmp_path):
    mask = sitk.ReadImage(str(marked_chest / "mask.nii.gz"))
    labels = sitk.GetArrayFromImage(mask)
    labels[:, :, 64:] *= 3  # an effusion, say
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(mask)
    sitk.WriteImage(image, str(tmp_path / "labels.nii.gz"))
    loaded = Case("c", marked_chest / "ct.nii.gz", tmp_path / "labels.nii.gz", marked_chest / "lungs.nii.gz")
    assert load_case(loaded).truth.sum() == (labels > 0).sum()
    assert load_case(loaded, labels=(1, 2)).truth.sum() == (labels == 1).sum() > 0


def write_like(image, array, path):
    changed = sitk.GetImageFromArray(array)
    changed.CopyInformation(image)
    sitk.WriteImage(changed, str(path))
    return path


@pytest.fixture(scope="module")
def readers(marked_chest, tmp_path_factory):
    """Reader's masks of the chest: of the left lung alone, and lesions of which the dense part has label 2."""
    folder = tmp_path_factory.mktemp("readers")
    lungs, mask, ct = (sitk.ReadImage(str(marked_chest / f"{name}.nii.gz")) for name in ("lungs", "mask", "ct"))
    sides, marked, hu = (sitk.GetArrayFromImage(image) for image in (lungs, mask, ct))
    marked[(marked > 0) & (hu > -200)] = 2
    marked[30, 5:9, 5:9] = 1  # outside the lungs
    files = {
        "lungs": write_like(lungs, np.where(sides == 2, sides, 0), folder / "lungs.nii.gz"),
        "mask": write_like(mask, marked, folder / "mask.nii.gz"),
    }
    return Case("c", marked_chest / "ct.nii.gz", files["mask"], files["lungs"]), sides, marked


@pytest.fixture(scope="module")
def in_both(readers):
    return evaluate_segmentation(readers[0], FINDING, lungs=LungsUsed.BOTH)


def test_infection_is_marked_in_own_and_in_given_lungs(readers, in_both):
    case_, sides, marked = readers
    assert lungs_used(in_both) == ("own", "given")
    own, given = (case_details(in_both, lungs) for lungs in ("own", "given"))
    assert own.lungs_dice == given.lungs_dice
    assert own.lungs_dice == pytest.approx(2 * (sides == 2).sum() / ((sides > 0).sum() + (sides == 2).sum()))
    assert own.inside_percent == pytest.approx(100 * (1 - 16 / (marked > 0).sum()))
    assert own.true_percent == pytest.approx(100 * (marked > 0).sum() / (sides > 0).sum())
    assert given.marked_percent < 100 * ((marked > 0) & (sides == 2)).sum() / (sides == 2).sum() + 1
    alone = evaluate_segmentation(case_, FINDING, lungs=LungsUsed.GIVEN)
    assert "lungs" not in alone
    assert "lesions_in_own_lungs" not in alone
    assert alone["runs"]["given"]["slices"] == in_both["runs"]["given"]["slices"]
    assert case_agreement("c", in_both) == case_agreement("c", in_both, "own")
    assert case_agreement("c", in_both, "given").slices == case_agreement("c", alone).slices


def test_recall_is_told_by_label_of_the_mask(readers, in_both):
    _, _, marked = readers
    own = case_details(in_both, "own")
    outside = 16
    assert own.recall == pytest.approx({1: 1 - outside / (marked == 1).sum(), 2: 1.0})
    assert own.consolidation_dice > 0.95  # regions, of which single voxels are under the limit
    found = recalls([in_both, in_both], "own")
    assert {label: estimate.value for label, estimate in found.items()} == pytest.approx(own.recall)
    assert consolidation_dice([in_both], "own").value == pytest.approx(own.consolidation_dice)
    assert case_details(in_both, "given").recall[2] < 1


def test_labels_have_names_only_where_masks_tell_both_kinds_apart():
    assert [label_name(label, (1, 2, 3)) for label in (1, 2, 3)] == ["ground glass", "consolidation", "label 3"]
    assert label_name(1, (1,)) == "label 1"
    record = {"voxel_ml": 0.001, "runs": {"own": {"labels": {"1": [3, 4]}, "consolidation": [0, 5, 0, 9]}}}
    assert consolidation_dice([record], "own") is None
    assert recalls([record], "own")[1].value == 0.75


def test_given_lungs_are_needed_where_they_are_asked_for(marked_chest):
    with pytest.raises(InputError, match="no lung mask was given for c"):
        evaluate_segmentation(
            Case("c", marked_chest / "ct.nii.gz", marked_chest / "mask.nii.gz"), FINDING, lungs=LungsUsed.BOTH
        )


def test_empty_lung_mask_and_missing_mask_are_refused(marked_chest, tmp_path):
    lungs = sitk.ReadImage(str(marked_chest / "lungs.nii.gz"))
    sitk.WriteImage(lungs * 0, str(tmp_path / "empty.nii.gz"))
    files = marked_chest / "ct.nii.gz", marked_chest / "mask.nii.gz"
    with pytest.raises(InputError, match=r"the lung mask empty\.nii\.gz is empty"):
        load_case(Case("c", *files, tmp_path / "empty.nii.gz"))
    with pytest.raises(InputError, match="no mask was found for c"):
        load_case(Case("c", files[0]))


def test_slices_beyond_the_last_are_refused(marked_chest):
    case_ = Case("c", marked_chest / "ct.nii.gz", marked_chest / "mask.nii.gz", marked_chest / "lungs.nii.gz")
    with pytest.raises(InputError, match="slice 73 of c was asked for; it has 72 slices"):
        load_case(case_, parse_slice_list("70-73"))


@pytest.fixture(scope="module")
def ablation(chest_folder):
    """The record of an ablation with the true masks of a synthetic chest."""
    files = {name: chest_folder / f"{name}.nii.gz" for name in ("ct", "infection", "lungs")}
    chest = Case("c", files["ct"], files["infection"], files["lungs"])
    return evaluate_ablation(chest, FINDING, PUBLISHED_CLASSIFICATION_IMAGE, parse_slice_list("20-45"))


@pytest.mark.slow
def test_steps_that_are_switched_off_change_the_result(ablation):
    for what in ("segmentation", "images"):
        complete, *others = ablation[what].values()
        assert len(complete) == 26
        changed = [rows != complete for rows in others]
        assert changed[0] or what == "segmentation"  # no lesion of this chest has a hole that the closing leaves open
        assert all(changed[1:])


@pytest.mark.slow
def test_steps_do_what_their_names_say(ablation):
    marked = {name: sum(row[2] + row[3] for row in rows) for name, rows in ablation["segmentation"].items()}
    assert marked["without filling"] <= marked[COMPLETE]
    assert marked["without smoothing"] != marked[COMPLETE]
    assert marked["without volume opening"] > marked[COMPLETE]
    lit = {name: sum(row[2] + row[3] for row in rows) for name, rows in ablation["images"].items()}
    published = lit["as published"]
    assert lit["without filling and boundary"] < min(lit["without filling"], lit["without boundary"])
    assert max(v for name, v in lit.items() if name != "as published") < published


def test_variants_differ_in_their_step_alone():
    both = (segmentation_variants(CONFIG), segmentation_variants(FINDING))
    for variants in (*both, image_variants(PUBLISHED_CLASSIFICATION_IMAGE)):
        configs = list(variants.values())
        assert len(set(configs)) == len(configs)
    assert [next(iter(variants)) for variants in both] == [COMPLETE, COMPLETE]
    assert (both[0][COMPLETE], both[1][COMPLETE]) == (CONFIG, FINDING)
    assert not both[0]["without filling"].infection.fill_holes
    assert not both[1]["without filling"].lesions.fill_holes
