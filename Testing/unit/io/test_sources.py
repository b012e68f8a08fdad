"""What is handed over instead of a folder of DICOM files."""

from __future__ import annotations

import gc
import shutil
import warnings
import zipfile

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.fileset import FileSet

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.reading import read_ct


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


@pytest.mark.parametrize("inside", ["", "study/series 1/"])
def test_archive_is_read_like_its_folder(tmp_path, series, chest_hu, inside):
    archive = tmp_path / "handed" / "study.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for file in sorted(series.iterdir()):
            target.write(file, f"{inside}{file.name}")
    for path in (archive, archive.parent):
        volume = read_ct(path)
        np.testing.assert_array_equal(volume.hu, chest_hu)
        assert volume.name == path.name
        assert volume.notes == ()


def test_archive_leaves_nothing_behind(tmp_path, series, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    archive = shutil.make_archive(str(tmp_path / "study"), "zip", series)
    read_ct(archive)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_damaged_archive_is_refused_by_its_name(tmp_path, series):
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for file in sorted(series.iterdir()):
            target.write(file, file.name)
    content = bytearray(archive.read_bytes())
    content[600:700] = bytes(100)
    archive.write_bytes(content)
    assert refused(archive) == "study.zip cannot be unpacked: it is damaged or cut short"


@pytest.mark.parametrize(
    ("at", "value", "said"), [(6, 1, "is encrypted; unpack it first"), (8, 99, "pack it with defl")]
)
def test_archive_that_python_does_not_unpack_is_refused_with_what_to_do(tmp_path, series, at, value, said):
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        target.write(series / "000.dcm", "000.dcm")
    content = bytearray(archive.read_bytes())
    directory = content.index(b"PK\x01\x02")
    content[at] = content[directory + at + 2] = value  # flags or method, in the local header and in the directory
    archive.write_bytes(content)
    assert said in refused(archive)


def test_disk_that_fills_up_is_not_called_a_damaged_archive(tmp_path, series, monkeypatch):
    archive = shutil.make_archive(str(tmp_path / "study"), "zip", series)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "extractall", full)
    assert refused(archive) == "study.zip cannot be read: No space left on device"


def test_archive_larger_than_the_disk_is_refused_before_it_is_unpacked(tmp_path, series, monkeypatch):
    archive = shutil.make_archive(str(tmp_path / "study"), "zip", series)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    assert "study.zip unpacks to 0.0 GB; 0.0 GB are free on this disk" in refused(archive)


def test_archive_without_a_ct_is_refused_by_its_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "texts.zip", "w") as target:
        target.writestr("a.txt", "hello")
    assert "the folder texts.zip holds no DICOM images" in refused(tmp_path / "texts.zip")


def a_medium(folder, series):
    medium = FileSet()
    for file in sorted(series.iterdir()):
        dataset = dcmread(file)
        dataset.PatientID, dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "X", "20200101", "000000", "1"
        dataset.StudyInstanceUID, dataset.SeriesNumber, dataset.AccessionNumber = "2.25.9", 1, ""
        medium.add(dataset)
    medium.write(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # pydicom leaves its temporary folder to the collector
        del medium
        gc.collect()


def test_directory_of_a_medium_stands_for_its_files(tmp_path, series, chest_hu):
    a_medium(tmp_path / "disc", series)
    for path in (tmp_path / "disc", tmp_path / "disc" / "DICOMDIR"):
        volume = read_ct(path)
        np.testing.assert_array_equal(volume.hu, chest_hu)
        assert volume.notes == ()


def test_files_that_a_directory_names_and_that_are_not_there_are_said(tmp_path, series, chest_hu):
    a_medium(tmp_path / "disc", series)
    files = sorted(path for path in (tmp_path / "disc").rglob("*") if path.is_file() and path.name != "DICOMDIR")
    last = max(files, key=lambda file: dcmread(file).InstanceNumber)
    last.unlink()
    volume = read_ct(tmp_path / "disc" / "DICOMDIR")
    assert len(volume.hu) == len(chest_hu) - 1
    assert [(note.code, note.message) for note in volume.notes] == [
        ("files_missing", "DICOMDIR names 1 file that is not there.")
    ]


def test_directory_whose_names_are_others_stands_for_its_folder(tmp_path, series, chest_hu):
    a_medium(tmp_path / "disc", series)
    (tmp_path / "disc" / "PT000000").rename(tmp_path / "disc" / "pt000000")
    np.testing.assert_array_equal(read_ct(tmp_path / "disc" / "DICOMDIR").hu, chest_hu)


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
