"""A DICOMDIR stands for the files that it names."""

from __future__ import annotations

import gc
import shutil
import warnings

import numpy as np
import pytest
from pydicom import config, dcmread
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


def test_directory_whose_names_have_the_form_of_iso_9660_is_read(tmp_path, series, chest_hu):
    a_medium(tmp_path / "disc", series)
    for file in (tmp_path / "disc" / "PT000000").rglob("IM*"):
        file.rename(file.with_name(f"{file.name.lower()}.;1"))
    (tmp_path / "disc" / "DICOMDIR").rename(tmp_path / "disc" / "DICOMDIR;1")
    volume = read_ct(tmp_path / "disc" / "DICOMDIR;1")
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert volume.notes == ()


def test_directory_leaves_out_what_it_does_not_name(tmp_path, series, write_series, chest_hu):
    a_medium(tmp_path / "disc", series)
    write_series(tmp_path / "disc" / "VIEWER", chest_hu, uid="2.25.8")
    assert [note.code for note in read_ct(tmp_path / "disc").notes] == ["series_chosen"]
    assert read_ct(tmp_path / "disc" / "DICOMDIR").notes == ()


def changed(folder, change):
    """The DICOMDIR of ``folder``, with ``change(record)`` made to every record of an image."""
    directory = dcmread(folder / "DICOMDIR")
    with config.disable_value_validation():
        for number, record in enumerate(r for r in directory.DirectoryRecordSequence if "ReferencedFileID" in r):
            change(number, record)
        directory.save_as(folder / "DICOMDIR")
    return folder / "DICOMDIR"


def test_directory_with_deleted_records_is_read_without_them(tmp_path, series, chest_hu):
    a_medium(tmp_path / "disc", series)

    def change(number, record):
        record.RecordInUseFlag = 0 if number == 0 else 0xFFFF

    volume = read_ct(changed(tmp_path / "disc", change))
    assert (len(volume.hu), volume.notes) == (len(chest_hu) - 1, ())


@pytest.mark.parametrize("outside", [["..", "series", "000.dcm"], ["/etc/passwd"], ["C:", "000.dcm"], ["A/../../B"]])
def test_directory_that_names_a_file_outside_its_folder_is_refused(tmp_path, series, outside):
    a_medium(tmp_path / "disc", series)
    path = changed(tmp_path / "disc", lambda number, r: number or setattr(r, "ReferencedFileID", outside))
    assert refused(path) == (
        f"DICOMDIR names a file outside its folder ({'/'.join(outside)}); name the folder with the images"
    )


def test_directory_without_any_of_its_files_is_refused_with_their_number(tmp_path, series):
    a_medium(tmp_path / "disc", series)
    (tmp_path / "downloads").mkdir()
    shutil.copy(tmp_path / "disc" / "DICOMDIR", tmp_path / "downloads")
    shutil.copy(series / "000.dcm", tmp_path / "downloads" / "of_somebody_else.dcm")
    assert refused(tmp_path / "downloads" / "DICOMDIR") == (
        "DICOMDIR names 12 files, of which none is there; name the folder with the images"
    )


@pytest.mark.slow
@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("part", [0.4, 0.6, 0.9, 0.98, 0.999])
def test_directory_that_is_cut_short_stands_for_its_folder_with_a_warning(tmp_path, series, chest_hu, part, undefined):
    a_medium(tmp_path / "disc", series)
    directory = dcmread(tmp_path / "disc" / "DICOMDIR")
    directory["DirectoryRecordSequence"].is_undefined_length = undefined
    directory.save_as(tmp_path / "disc" / "DICOMDIR")
    content = (tmp_path / "disc" / "DICOMDIR").read_bytes()
    (tmp_path / "disc" / "DICOMDIR").write_bytes(content[: int(part * len(content))])
    volume = read_ct(tmp_path / "disc" / "DICOMDIR")
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert [note.message for note in volume.notes] == [
        "DICOMDIR is damaged or names no file; all files of its folder were read instead."
    ]


@pytest.mark.parametrize("undefined", [True, False])
def test_directory_of_either_length_of_sequences_is_whole(tmp_path, series, undefined):
    a_medium(tmp_path / "disc", series)
    directory = dcmread(tmp_path / "disc" / "DICOMDIR")
    directory["DirectoryRecordSequence"].is_undefined_length = undefined
    directory.save_as(tmp_path / "disc" / "DICOMDIR")
    assert read_ct(tmp_path / "disc" / "DICOMDIR").notes == ()
