"""CT series of the DICOM database: which there are, what a batch calls them, and their images in folders."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")

from batch_fixtures import CT_UIDS, SLICES
from CovidSeveritySlicer.analysis import DicomSeries
from CovidSeveritySlicer.analysis.DicomSeries import (
    CtSeries,
    DatabaseSource,
    FoundSeries,
    findByCase,
    findSeries,
    openDatabase,
    patientLabels,
    placeImages,
    placeSeries,
)
from CovidSeveritySlicer.analysis.InputFiles import UnusableInput
from stand_ins.dicom_database import ctkDICOMDatabase

NAMES = ("Doe", "Jane", "Roe", "John", "4711", "4712")


@pytest.fixture
def series(dicom_database):
    found = FoundSeries()
    all(True for _step in findSeries(dicom_database, (), found, lambda _done, _total: None))
    return found.series


def placed(series, source, folder):
    folder.mkdir()
    table = placeSeries(series, source, folder, lambda: False)
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_ct_series_is_found_and_nothing_else(dicom_database):
    found, told = FoundSeries(), []
    steps = sum(1 for _step in findSeries(dicom_database, (), found, lambda *count: told.append(count)))
    assert [one.uid for one in found.series] == list(CT_UIDS)
    assert [len(one.files) for one in found.series] == list(SLICES.values())
    assert (found.localizers, found.missing) == (1, 0)
    assert steps == 4  # one at a time: the window is not held for a database
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_only_chosen_patients_are_looked_at(dicom_database):
    found = FoundSeries()
    all(True for _step in findSeries(dicom_database, {"2"}, found, lambda *_count: None))
    assert [one.uid for one in found.series] == [CT_UIDS[1]]


def test_series_whose_images_have_gone_are_counted(dicom_folder, tmp_path):
    (tmp_path / "gone").mkdir()
    copy = tmp_path / "gone" / "scan.dcm"
    copy.write_bytes((dicom_folder / "mixed" / "other.dcm").read_bytes())
    database, found = ctkDICOMDatabase().addFolder(tmp_path), FoundSeries()
    copy.unlink()
    all(True for _step in findSeries(database, (), found, lambda *_count: None))
    assert (found.series, found.missing) == ([], 1)


def test_a_code_belongs_to_the_series_and_says_nothing_of_the_patient(series):
    codes = [one.code for one in series]
    assert len(set(codes)) == 2
    assert codes[0] == CtSeries(CT_UIDS[0], "99", (), "another name").code
    assert not any(name in code for name in (*NAMES, *CT_UIDS) for code in codes)


def test_names_are_in_the_table_only_if_they_are_wanted(dicom_database, series, tmp_path):
    rows = placed(series, DatabaseSource(dicom_database), tmp_path / "without")
    assert [row["id"] for row in rows] == [one.code for one in series]
    assert [row["series"] for row in rows] == list(CT_UIDS)
    assert not any(name in Path(row["path"]).name + row["id"] for name in NAMES for row in rows)
    named = placed(series, DatabaseSource(dicom_database, named=True), tmp_path / "with")
    assert [row["id"] for row in named] == [
        f"Doe Jane 4711 {series[0].code}",
        f"Roe John 4712 {series[1].code}",
    ]


def test_a_folder_has_the_images_of_its_series_alone(dicom_database, series, tmp_path):
    from CovidSeverityLib import read_ct

    rows = placed(series, DatabaseSource(dicom_database), tmp_path / "places")
    for one, row in zip(series, rows, strict=True):
        there = sorted(Path(row["path"]).iterdir())
        assert [path.read_bytes() for path in there] == [Path(file).read_bytes() for file in sorted(one.files)]
        volume = read_ct(row["path"], series_uid=row["series"])
        assert (volume.hu.shape, volume.name) == ((SLICES[one.uid], 72, 72), one.code)


def test_images_are_linked_and_copied_only_where_that_is_forbidden(series, tmp_path, monkeypatch):
    (tmp_path / "linked").mkdir()
    (tmp_path / "copied").mkdir()
    for one in series:
        linked = sorted(placeImages(one, tmp_path / "linked").iterdir())
        assert all(link.samefile(file) for link, file in zip(linked, sorted(one.files), strict=True))

    def forbidden(*_arguments, **_options):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", forbidden)
    monkeypatch.setattr(os, "symlink", forbidden)
    for one in series:
        copied = sorted(placeImages(one, tmp_path / "copied").iterdir())
        assert len(copied) == len(one.files)
        assert not any(copy.samefile(file) for copy, file in zip(copied, sorted(one.files), strict=True))
        assert [copy.read_bytes() for copy in copied] == [Path(file).read_bytes() for file in sorted(one.files)]


def test_a_missing_image_does_not_end_the_batch(series, tmp_path):
    some = CtSeries("2.25.1", "1", (*series[1].files[:3], str(tmp_path / "gone.dcm")), "")
    assert len(list(placeImages(some, tmp_path).iterdir())) == 3


def test_placing_stops_when_it_is_told(dicom_database, series, tmp_path):
    table = placeSeries(series, DatabaseSource(dicom_database), tmp_path, lambda: True)
    assert table.read_text(encoding="utf-8") == "path,id,series\n"


@pytest.mark.parametrize("named", [False, True])
def test_a_case_is_found_again_by_its_name(dicom_database, series, named):
    case, found = DatabaseSource(dicom_database, named=named).caseName(series[1]), []
    all(True for _step in findByCase(DatabaseSource(dicom_database), case, found))
    assert [one.uid for one in found] == [CT_UIDS[1]]
    unknown = []
    all(True for _step in findByCase(DatabaseSource(dicom_database), "ct-0", unknown))
    assert unknown == []


def test_patients_are_listed_with_name_and_id(dicom_database):
    labels = []
    all(True for _step in patientLabels(dicom_database, labels))
    assert labels == [("1", "Doe Jane 4711"), ("2", "Roe John 4712")]


@pytest.mark.parametrize("database", [None, ctkDICOMDatabase(isOpen=False)])
def test_without_an_open_database_a_sentence_says_so(slicer, monkeypatch, database):
    monkeypatch.setattr(DicomSeries.slicer, "dicomDatabase", database, raising=False)
    with pytest.raises(UnusableInput, match="DICOM database is not open"):
        openDatabase()


def test_real_series_are_found_and_read(real_ct_root, tmp_path):
    database, found = ctkDICOMDatabase().addFolder(real_ct_root / "P001"), FoundSeries()
    all(True for _step in findSeries(database, (), found, lambda *_count: None))
    (one,) = found.series
    assert len(one.files) > 50
    from CovidSeverityLib import read_ct

    volume = read_ct(placeImages(one, tmp_path), series_uid=one.uid)
    assert len(volume.hu) == len(one.files)
