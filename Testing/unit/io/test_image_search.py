"""Images below a folder."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io import image_search
from CovidSeverityLib.io.image_search import find_images, find_masks, folders_under


def test_every_image_format_is_found_below_the_folder_in_natural_order(files):
    folder = files(
        "case10.nii", "case2.nii.gz", "a/case1.mha", "a/b/case3.nrrd", "case4.mhd", "case5.nhdr", "case4.raw"
    )
    assert list(find_images(folder)) == ["case1", "case2", "case3", "case4", "case5", "case10"]
    assert find_images(folder)["case3"] == folder / "a" / "b" / "case3.nrrd"


def test_pattern_chooses_files_and_dicom_folders_by_their_names(files, dicom_files):
    folder = files("1_ct.nii.gz", "1_lesions.nii.gz", "a/2_ct.nii.gz", "2_lungs.nii.gz")
    assert list(find_images(folder, "*_ct.nii.gz")) == ["1_ct", "2_ct"]
    assert list(find_masks(folder, "?_l*")) == ["1_lesions", "2_lungs"]
    folder = dicom_files("normal1/a.dcm", "cap1/a.dcm", folder="dicom")
    assert list(find_images(folder, "normal*")) == ["normal1"]
    with pytest.raises(InputError, match=r"dicom holds no image named P\*"):
        find_images(folder, "P*")


def test_images_cannot_be_changed(files):
    with pytest.raises(TypeError):
        find_images(files("case1.nii"))["case2"] = Path()


def test_endings_count_in_any_case(files):
    assert list(find_images(files("P001.NII.GZ"))) == ["P001"]


def test_a_segmentation_is_a_mask_and_no_image(files):
    folder = files("P001.nrrd", "P002.seg.nrrd")
    assert list(find_images(folder)) == ["P001"]
    assert list(find_masks(folder)) == ["P001", "P002"]


def test_a_folder_that_holds_dicom_is_an_image_whatever_its_files_are_called(dicom_files):
    folder = dicom_files("COVID/P001/001.dcm", "COVID/P001/002.dcm", "CAP/cap001/IM0001", "x/P002/1.2.840.1")
    assert dict(find_images(folder)) == {
        "cap001": folder / "CAP" / "cap001",
        "P001": folder / "COVID" / "P001",
        "P002": folder / "x" / "P002",
    }


def test_the_folder_itself_may_be_the_only_image(dicom_files):
    folder = dicom_files("001.dcm", folder="P007")
    assert dict(find_images(folder)) == {"P007": folder}


def test_a_series_that_was_written_is_found(write_series, chest_hu, tmp_path):
    write_series(tmp_path / "cases" / "P001", chest_hu)
    assert list(find_images(tmp_path / "cases")) == ["P001"]


def test_a_table_of_contents_of_a_disc_is_no_image(dicom_files):
    folder = dicom_files("DICOMDIR", "series1/I1")
    assert list(find_images(folder)) == ["series1"]


def test_tables_and_pictures_beside_slices_do_not_hide_them(files, dicom_files):
    dicom_files("P001/z1.dcm")
    folder = files(*(f"P001/{n}.png" for n in range(40)), "P001/labels.csv")
    assert list(find_images(folder)) == ["P001"]


def test_an_archive_is_a_ct_if_it_holds_one_and_never_a_mask(files, dicom_files, chest_hu, write_series, tmp_path):
    write_series(tmp_path / "made" / "series", chest_hu[:2])
    folder = files("P002.nii.gz", "notes.txt")
    shutil.make_archive(str(folder / "P001"), "zip", tmp_path / "made")
    with zipfile.ZipFile(folder / "pictures.zip", "w") as archive:
        archive.writestr("a.png", "hello")
    assert dict(find_images(folder)) == {"P001": folder / "P001.zip", "P002": folder / "P002.nii.gz"}
    assert dict(find_images(folder, "*.zip")) == {"P001": folder / "P001.zip"}
    assert dict(find_masks(folder)) == {"P002": folder / "P002.nii.gz"}


def test_a_folder_of_pictures_is_no_image(files):
    with pytest.raises(InputError, match="data holds no image"):
        find_images(files("P001/1.png", "P001/2.png"))


def test_few_files_of_a_folder_are_opened(files, monkeypatch):
    opened = []
    monkeypatch.setattr(image_search, "is_dicom", lambda path: opened.append(path) or False)
    files(*(f"P001/{n}.dcm" for n in range(100)), "P002.nii")
    find_images(files())
    assert 1 <= len(opened) <= 10


def test_one_dicom_file_is_enough_to_open(dicom_files, monkeypatch):
    opened = []
    monkeypatch.setattr(image_search, "is_dicom", lambda path: opened.append(path) or True)
    find_images(dicom_files(*(f"P001/{n}.dcm" for n in range(100))))
    assert len(opened) == 1


def test_a_damaged_dicom_file_still_makes_a_case_so_that_its_reading_says_why(files):
    assert list(find_images(files("P001/001.dcm"))) == ["P001"]


def test_images_of_one_name_are_named_by_their_folders(files):
    folder = files("P001/ct.nii.gz", "P002/ct.nii.gz", "P003/chest.nii.gz")
    assert list(find_images(folder)) == ["chest", "P001/ct", "P002/ct"]


def test_images_of_one_name_in_one_folder_keep_their_endings(files, dicom_files):
    files("P001.nii.gz", "P001.mha", "P002.nii")
    folder = dicom_files("P001/001.dcm")
    assert dict(find_images(folder)) == {
        "P001": folder / "P001",
        "P001.mha": folder / "P001.mha",
        "P001.nii.gz": folder / "P001.nii.gz",
        "P002": folder / "P002.nii",
    }


def test_hidden_files_and_folders_are_passed_over(files, dicom_files):
    files("P001.nii", "._P001.nii", ".cache/P002.nii")
    folder = dicom_files(".trash/P003/1.dcm")
    assert list(find_images(folder)) == ["P001"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_in_a_circle_end_and_no_image_is_found_twice(files):
    folder = files("a/P001.nii")
    (folder / "a" / "up").symlink_to(folder)
    (folder / "b").symlink_to(folder / "a")
    (folder / "self").symlink_to("self")
    (folder / "gone.nii").symlink_to("nowhere")
    assert list(find_images(folder)) == ["P001"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_to_folders_elsewhere_are_followed(files, tmp_path):
    files("P001.nii", folder="elsewhere")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "elsewhere")
    assert list(find_images(tmp_path / "data")) == ["P001"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_does_not_hang(files):
    folder = files("P001.nii")
    os.mkfifo(folder / "pipe.dcm")
    os.mkfifo(folder / "pipe.nii")
    assert list(find_images(folder)) == ["P001"]


@pytest.mark.parametrize(("name", "reason"), [("missing", "missing is not there"), ("data/P001.nii", "is a file")])
def test_what_is_no_folder_is_refused_by_its_name_only(files, tmp_path, name, reason):
    files("P001.nii")
    with pytest.raises(InputError, match=reason) as caught:
        find_images(tmp_path / name)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_folder_that_cannot_be_listed_is_an_error_or_is_told_of(files, tmp_path):
    folder = files("a/P001.nii", "b/P002.nii")
    gone = tmp_path / "gone"
    told: list[str] = []
    walk = folders_under(folder, lambda error: told.append(Path(error.filename).name))
    assert next(walk)[0] == folder
    (folder / "a").rename(gone)  # after it was seen, and before it is listed
    assert [parent.name for parent, _ in walk] == ["b"]
    assert told == ["a"]
    with pytest.raises(FileNotFoundError):
        list(folders_under(gone / "nowhere"))
