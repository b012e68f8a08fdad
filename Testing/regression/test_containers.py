"""Real CTs in archives, on discs and in nested folders: the same bits as from their folder."""

from __future__ import annotations

import gc
import shutil
import warnings
import zipfile

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.fileset import FileSet

from CovidSeverityLib.io.reading import read_ct, read_ct_and_source
from CovidSeverityLib.reporting.dicom import dicom_objects, dicom_writers, has_dicom_extra

DISC_FIELDS = {"StudyDate": "20200101", "StudyTime": "000000", "StudyID": "1", "AccessionNumber": "", "SeriesNumber": 1}
"""What the records of a DICOMDIR need; anonymisers remove it."""


@pytest.fixture(scope="module")
def folder(real_ct_root):
    """The folder of a real CT."""
    return real_ct_root / "P001"


@pytest.fixture(scope="module")
def disc(folder, tmp_path_factory):
    """A disc with a DICOMDIR."""
    medium = FileSet()
    for number, file in enumerate(sorted(folder.glob("*.dcm"))):
        image = dcmread(file)
        for keyword, value in DISC_FIELDS.items():
            setattr(image, keyword, image.get(keyword) or value)
        image.InstanceNumber = image.get("InstanceNumber") or number
        medium.add(image)
    path = tmp_path_factory.mktemp("discs") / "disc"
    medium.write(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # pydicom leaves its temporary folder to the collector
        del medium
        gc.collect()
    return path


def zipped(folder, path, prefix=""):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(folder.rglob("*")):
            entry = zipfile.ZipInfo("any")
            entry.filename, entry.compress_type = prefix + file.relative_to(folder).as_posix(), zipfile.ZIP_DEFLATED
            if file.is_file():
                archive.writestr(entry, file.read_bytes())
    return path


def assert_same(found, expected):
    np.testing.assert_array_equal(found.hu, expected.hu)
    assert found.geometry == expected.geometry
    assert found.notes == expected.notes
    assert found.acquired == expected.acquired


def test_archive_has_the_same_bits(folder, real_ct, tmp_path):
    assert_same(read_ct(zipped(folder, tmp_path / "study.zip")), real_ct(folder.name))


def test_archive_of_windows_and_nested_folders_have_the_same_bits(folder, real_ct, tmp_path):
    expected = real_ct(folder.name)
    assert_same(read_ct(zipped(folder, tmp_path / "windows.zip", "study\\series 1\\")), expected)
    (tmp_path / "a" / "b").mkdir(parents=True)
    for number, file in enumerate(sorted(folder.glob("*.dcm"))):
        shutil.copy(file, tmp_path / "a" / "b" / f"IM{number}")
    assert_same(read_ct(tmp_path / "a"), expected)


def test_discs_have_the_same_bits(disc, folder, real_ct, tmp_path):
    expected = real_ct(folder.name)
    for path in (disc, disc / "DICOMDIR", zipped(disc, tmp_path / "disc.zip")):
        found = read_ct(path)
        np.testing.assert_array_equal(found.hu, expected.hu)
        assert found.geometry == expected.geometry


def test_objects_for_a_pacs_are_the_same(disc, folder, analysed, tmp_path):
    if not has_dicom_extra():
        pytest.skip("highdicom is not installed")
    analysis, made = analysed(folder.name), {}
    for name, path in (
        ("folder", disc),
        ("file", disc / "DICOMDIR"),
        ("archive", zipped(disc, tmp_path / "disc.zip")),
    ):
        (tmp_path / name / "dicom").mkdir(parents=True)
        objects = dicom_objects(analysis, read_ct_and_source(path)[1])
        for file, write in dicom_writers(objects).items():
            write(tmp_path / name / file)
        made[name] = {file: (tmp_path / name / file).read_bytes() for file in objects}
    assert made["folder"]
    assert made["file"] == made["archive"] == made["folder"]
