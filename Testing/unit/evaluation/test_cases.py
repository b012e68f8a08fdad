"""Which mask or row of a table belongs to which image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.evaluation.case_names import find_name
from CovidSeverityLib.evaluation.cases import Case, cases_named, pair_with
from CovidSeverityLib.io.case_names import natural_key, without_ending
from CovidSeverityLib.io.image_search import find_images, find_masks


def named(*names: str, folder: str = "images") -> dict[str, Path]:
    return {name: Path("/nowhere", folder, f"{name}.nii.gz") for name in names}


def paired(images: list[str], masks: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Name of the mask, and reason of the failure, by image; a pair of strangers keeps both from being the only one."""
    pairs, failures = pair_with(named(*images, "stranger1"), named(*masks, "stranger2", folder="masks"), "mask")
    reasons = {failure.case: failure.reason for failure in failures}
    assert "no mask" in reasons.pop("stranger1")
    names = {image: path.relative_to("/nowhere/masks").as_posix() for image, path in pairs.items()}
    return {image: name.removesuffix(".nii.gz") for image, name in names.items()}, reasons


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("P001", "P001"),
        ("P001", "p001"),
        ("study_0255", "study_0255_mask"),
        ("coronacases_org_001", "coronacases_001"),
        ("coronacases_001", "coronacases_org_001"),
        ("radiopaedia_org_covid-19-pneumonia-10_85902_0", "radiopaedia_10_85902_0"),
        ("radiopaedia_org_covid-19-pneumonia-10_85902_0-dcm", "radiopaedia_10_85902_0"),
        ("tr_im", "tr_mask"),
        ("volume-3", "segmentation-3"),
        ("P001_ct", "P001"),
        ("P001", "P001-lung-mask"),
        ("P001/ct", "P001/mask"),
        ("P001/ct", "P001"),
        ("images/P001", "P001"),
        ("case_07_0000", "case_07"),
        ("covid_19", "covid_19_mask"),
    ],
)
def test_names_that_differ_in_words_of_data_sets_are_a_pair(image, mask):
    assert paired([image], [mask]) == ({image: mask}, {})


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("case1", "case11"),
        ("case11", "case1"),
        ("case_1", "case_11"),
        ("case_1", "case_1_2"),
        ("P001", "P01"),
        ("ct", "mask"),
        ("covid_19", "covid"),
        ("radiopaedia_10_85902_1", "radiopaedia_10_85902_3"),
        ("CT-0/study_0001", "CT-1/study_0001"),
        ("masked_1", "1"),
        ("P0010000", "P001"),
    ],
)
def test_other_names_are_no_pair(image, mask):
    pairs, reasons = paired([image], [mask])
    assert pairs == {}
    assert reasons[image].startswith("no mask is there for it")


def test_the_twenty_cases_of_zenodo_are_paired():
    numbers = ["10_85902_1", "10_85902_3", "14_85914_0", "27_86410_0", "29_86490_1", "29_86491_1", "36_86526_0"]
    corona = [f"{n:03d}" for n in range(1, 11)]
    images = [f"coronacases_org_{n}" for n in corona] + [f"radiopaedia_org_covid-19-pneumonia-{n}" for n in numbers]
    masks = [f"coronacases_{n}" for n in corona] + [f"radiopaedia_{n}" for n in numbers]
    assert paired(images, masks) == (dict(zip(images, masks, strict=True)), {})


def test_an_equal_name_comes_before_a_like_one():
    pairs, reasons = paired(["P001", "P001_ct"], ["P001", "P001_mask"])
    assert pairs == {"P001": "P001", "P001_ct": "P001_mask"}
    assert reasons == {}


def test_names_are_compared_in_steps_so_that_a_closer_one_comes_first():
    masks = ["CASE_07_mask", "case_07_0000_mask", "Scan/a", "x/scan/a"]
    pairs, reasons = paired(["case_07", "case_07_0000", "scan/A"], masks)
    assert pairs == {"case_07": masks[0], "case_07_0000": masks[1], "scan/A": "Scan/a"}
    assert reasons == {}


def test_two_possible_masks_are_a_failure_that_names_both():
    pairs, reasons = paired(["P001", "P002"], ["P001_mask", "P001_infection", "P002"])
    assert pairs == {"P002": "P002"}
    assert list(reasons) == ["P001"]
    assert "P001_mask" in reasons["P001"]
    assert "P001_infection" in reasons["P001"]


def test_a_mask_that_two_images_could_have_is_a_failure_of_both():
    pairs, reasons = paired(["P001_ct", "P001-image"], ["P001_mask"])
    assert pairs == {}
    assert set(reasons) == {"P001_ct", "P001-image"}
    assert "P001_mask may belong to P001-image as well" in reasons["P001_ct"]


def test_a_mask_that_has_its_image_is_not_given_to_another():
    pairs, reasons = paired(["P001", "P001_ct"], ["P001"])
    assert pairs == {"P001": "P001"}
    assert list(reasons) == ["P001_ct"]


def test_folders_tell_images_of_one_name_apart():
    pairs, _ = paired(["CT-0/study_0001", "CT-1/study_0001"], ["studies/CT-1/study_0001", "studies/CT-0/study_0001"])
    assert pairs == {"CT-0/study_0001": "studies/CT-0/study_0001", "CT-1/study_0001": "studies/CT-1/study_0001"}


def test_an_only_image_and_an_only_mask_are_a_pair():
    masks = named("segmentation", folder="masks")
    pairs, failures = pair_with(named("P001"), masks, "mask")
    assert dict(pairs) == {"P001": masks["segmentation"]}
    assert failures == ()


def test_pairs_and_failures_are_in_the_order_of_the_images():
    images = named("c", "a", "x", "b", "w")
    pairs, failures = pair_with(images, named("a", "b", "c", folder="masks"), "lung mask")
    assert list(pairs) == ["c", "a", "b"]
    assert [failure.case for failure in failures] == ["x", "w"]
    assert "no lung mask" in failures[0].reason


def test_masks_inside_the_folder_of_the_images_are_no_images(files):
    folder = files("P001.nii", "P002.nii", "masks/P001_mask.nii", "masks/P002_mask.nii")
    pairs, failures = pair_with(find_images(folder), find_masks(folder / "masks"), "mask")
    assert {name: path.name for name, path in pairs.items()} == {"P001": "P001_mask.nii", "P002": "P002_mask.nii"}
    assert failures == ()


def test_images_inside_the_folder_of_the_masks_are_no_masks(files):
    folder = files("ct/P001.nii", "ct/P002.nii", "P001_mask.nii", "P002_mask.nii")
    pairs, failures = pair_with(find_images(folder / "ct"), find_masks(folder), "mask")
    assert {name: path.name for name, path in pairs.items()} == {"P001": "P001_mask.nii", "P002": "P002_mask.nii"}
    assert failures == ()


def test_one_folder_for_images_and_masks_is_refused(files):
    folder = files("tr_im.nii", "tr_mask.nii")
    with pytest.raises(InputError, match="the same files"):
        pair_with(find_images(folder), find_masks(folder), "mask")


def test_a_table_finds_its_images_in_its_own_order_and_with_its_own_names():
    images = named("P001", "P002", "cap001")
    cases, failures, unnamed = cases_named(images, ["CAP001", "P002", "P009"])
    assert cases == (Case("CAP001", images["cap001"]), Case("P002", images["P002"]))
    assert [(f.case, f.reason) for f in failures] == [("P009", "no image has this name")]
    assert unnamed == ("P001",)


@pytest.mark.parametrize(
    "label", ["studies/CT-0/study_0001.nii.gz", "/studies/CT-0/study_0001.nii.gz", "study_0001.nii.gz", "STUDY_0001",
              "CT-0\\study_0001.nii", "./study_0001", "study_0001_mask.nii.gz"]
)  # fmt: skip
def test_a_label_may_be_a_file_name_or_a_path(label):
    images = named("study_0001", "study_00010", "study_0011")
    cases, failures, _ = cases_named(images, [label])
    assert cases == (Case(label, images["study_0001"]),)
    assert failures == ()


def test_the_exact_name_comes_before_another_case():
    images = named("p001", "P001")
    cases, _, unnamed = cases_named(images, ["P001"])
    assert cases == (Case("P001", images["P001"]),)
    assert unnamed == ("p001",)


def test_a_path_of_a_table_chooses_among_images_of_one_name():
    images = named("CT-0/study_0001", "CT-1/study_0001")
    cases, failures, _ = cases_named(images, ["studies/CT-1/study_0001.nii.gz"])
    assert cases[0].image == images["CT-1/study_0001"]
    assert failures == ()


def test_a_name_that_several_images_have_is_a_failure_and_they_do_not_count_as_unnamed():
    cases, failures, unnamed = cases_named(named("CT-0/study_0001", "CT-1/study_0001", "x"), ["study_0001"])
    assert cases == ()
    assert "CT-0/study_0001, CT-1/study_0001" in failures[0].reason
    assert unnamed == ("x",)


def test_two_names_for_one_image_are_both_failures():
    cases, failures, _ = cases_named(named("P001"), ["p001", "P001.nii"])
    assert cases == ()
    assert [failure.case for failure in failures] == ["p001", "P001.nii"]


def test_a_case_named_twice_counts_once():
    cases, failures, _ = cases_named(named("P001"), ["P001", "P001"])
    assert len(cases) == 1
    assert failures == ()


def test_a_thousand_names_are_matched_one_to_one():
    order = np.random.default_rng(1).permutation(1000)
    images, masks = [f"study_{n}" for n in range(1000)], [f"study_{n}_mask" for n in order]
    pairs, reasons = paired(images, masks)
    assert all(mask == f"{image}_mask" for image, mask in pairs.items())
    assert len(pairs) == 1000
    assert reasons == {}


def test_natural_order_takes_any_name():
    names = ["b", "a10", "a2", "²", "10", "9", "", "A3"]
    assert sorted(names, key=natural_key) == ["", "9", "10", "a2", "A3", "a10", "b", "²"]


@pytest.mark.parametrize(
    ("name", "stem"),
    [("a.b.nii.gz", "a.b"), ("a.seg.nrrd", "a"), ("P1.2", "P1.2"), (".nii", ".nii"), ("a.nii.nii", "a.nii")],
)
def test_only_the_ending_of_an_image_is_dropped(name, stem):
    assert without_ending(name) == stem


def test_a_listed_name_is_found_without_guessing():
    listed = ["a/P001.nii.gz", "P002", "p003", "P003", "P004_mask"]
    assert find_name("p001", listed) == ("a/P001.nii.gz",)
    assert find_name("P003", listed) == ("P003",)
    assert find_name("x/P002", listed) == ()
    assert find_name("P004", listed) == ()
