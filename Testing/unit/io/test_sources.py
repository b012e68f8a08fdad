"""What is handed over instead of a folder of DICOM files."""

from __future__ import annotations

import shutil
import zipfile

import numpy as np
import pytest
import SimpleITK as sitk

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.reading import read_ct
from CovidSeverityLib.io.sources import opened


@pytest.fixture
def series(tmp_path, write_series, chest_hu):
    """A folder with one series."""
    write_series(tmp_path / "series", chest_hu)
    return tmp_path / "series"


def refused(path):
    with pytest.raises(InputError) as caught:
        read_ct(path)
    return str(caught.value)


def test_folder_of_folders_and_a_linked_folder_are_read(tmp_path, series, chest_hu):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "link").symlink_to(series)
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a")
    volume = read_ct(tmp_path / "a")
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert volume.notes == ()


def test_folder_of_one_image_is_that_image_and_of_several_is_refused(tmp_path, chest_hu):
    image = sitk.GetImageFromArray(chest_hu)
    (tmp_path / "one").mkdir()
    sitk.WriteImage(image, str(tmp_path / "one" / "ct.nii.gz"))
    (tmp_path / "one" / "readme.txt").write_text("hello")
    np.testing.assert_array_equal(np.sort(read_ct(tmp_path / "one").hu, axis=None), np.sort(chest_hu, axis=None))
    sitk.WriteImage(image, str(tmp_path / "one" / "lungs.nrrd"))
    assert "the folder one holds 2 images (ct.nii.gz, lungs.nrrd); name the one that is the CT" in refused(
        tmp_path / "one"
    )


def test_folder_of_folders_with_one_image_is_that_image(tmp_path, chest_hu):
    (tmp_path / "P1" / "study" / "series").mkdir(parents=True)
    sitk.WriteImage(sitk.GetImageFromArray(chest_hu), str(tmp_path / "P1" / "study" / "series" / "ct.nrrd"))
    (tmp_path / "P1" / "readme.txt").write_text("hello")
    assert read_ct(tmp_path / "P1").hu.shape == chest_hu.shape


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha"])
@pytest.mark.parametrize("name", ["image", "ct.nii.gz.download", "scan 1.0"])
def test_image_without_its_ending_is_known_by_its_content(tmp_path, chest_hu, ending, name):
    whole = tmp_path / f"whole.{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(chest_hu), str(whole))
    expected = read_ct(whole).hu
    (tmp_path / "folder").mkdir()
    shutil.copy(whole, tmp_path / "folder" / name)
    for path in (tmp_path / "folder" / name, tmp_path / "folder"):
        np.testing.assert_array_equal(read_ct(path).hu, expected)


def test_dicom_files_without_endings_are_known_by_their_content(tmp_path, series, chest_hu):
    for number, file in enumerate(sorted(series.iterdir())):
        file.rename(series / ("EXPORT" if number == 0 else f"{number:04d}.1.{number}"))
    np.testing.assert_array_equal(read_ct(series).hu, chest_hu)
    np.testing.assert_array_equal(read_ct(series / "EXPORT").hu, chest_hu)


def test_file_that_begins_like_gzip_is_no_image(tmp_path):
    (tmp_path / "notes").write_bytes(b"\x1f\x8b hello")
    assert refused(tmp_path / "notes").startswith("notes is neither DICOM nor one of .nii, .nii.gz")


def test_only_archive_of_a_folder_is_read_and_several_are_refused(tmp_path, series, chest_hu):
    handed = tmp_path / "handed"
    (handed / "deep").mkdir(parents=True)
    shutil.make_archive(str(handed / "deep" / "study"), "zip", series)
    (handed / "readme.txt").write_text("hello")
    with zipfile.ZipFile(handed / "letter.docx", "w") as letter:
        letter.writestr("word/document.xml", "hello")
    np.testing.assert_array_equal(read_ct(handed).hu, chest_hu)
    shutil.make_archive(str(handed / "another"), "zip", series)
    assert refused(handed) == "the folder handed holds 2 archives (another.zip, study.zip); name the one with the CT"


def test_archive_beside_the_slices_is_left_alone(tmp_path, series):
    with zipfile.ZipFile(series / "original.zip", "w") as archive:
        archive.writestr("../evil.dcm", "hello")
    assert read_ct(series).notes == ()


def test_dicom_of_any_name_is_no_archive(series):
    file = series / "000.dcm"
    file.rename(series / "000.zip")
    with opened(series / "000.zip") as found:
        assert found.files == (series / "000.zip",)
