"""Fixtures of tests of batches: DICOM files of three patients, and the folder of a batch."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

CT_UIDS = ("2.25.101", "2.25.102")
"""CT series of Jane Doe and of John Roe."""

PATIENTS = {"2.25.101": ("Doe^Jane", "4711"), "2.25.102": ("Roe^John", "4712")}
SLICES = {"2.25.101": 40, "2.25.102": 38}
SPACING_MM = (5.0, 5.0, 8.0)


def write_slice(path, stored, uid, number, **tags):
    """One CT image; ``tags`` are set on it."""
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = f"{uid}.{number}"
    dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientName, dataset.PatientID = PATIENTS.get(uid, ("Doe^Jane", "4711"))
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = uid, f"2.25.9{dataset.PatientID}"
    dataset.InstanceNumber, dataset.PixelSpacing = number, list(SPACING_MM[:2])
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [-180.0, -180.0, number * SPACING_MM[2]]
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset.PixelData = stored.tobytes()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


@pytest.fixture(scope="session")
def dicom_folder(a_small_chest, tmp_path_factory):
    """The small chest as DICOM: for Jane Doe alone in a folder, for John Roe with a scout and an MR image beside it."""
    root, hu = tmp_path_factory.mktemp("dicom"), a_small_chest.volume.hu
    for uid, folder in zip(CT_UIDS, ("Doe Jane", "mixed"), strict=True):
        for k, plane in enumerate(hu[-SLICES[uid] :]):
            stored = (plane.astype(np.int32) + 1024).astype(np.uint16)
            write_slice(root / folder / f"{uid}_{k:03}.dcm", stored, uid, k + 1)
    plain = np.full((8, 8), 1024, np.uint16)
    scout = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    write_slice(root / "mixed" / "scout.dcm", plain, "2.25.103", 1, **scout)
    write_slice(root / "mixed" / "other.dcm", plain, "2.25.104", 1, Modality="MR")
    return root


@pytest.fixture
def dicom_database(dicom_folder):
    """The database of Slicer, with these files."""
    from stand_ins.dicom_database import ctkDICOMDatabase

    return ctkDICOMDatabase().addFolder(dicom_folder)


@pytest.fixture(scope="session")
def chest_file(a_small_chest, tmp_path_factory):
    """The small chest in a folder of its own: the source of a batch."""
    from CovidSeverityLib.evaluation.synthetic.phantom import write_phantom

    folder = tmp_path_factory.mktemp("source")
    write_phantom(a_small_chest, folder)
    (folder / "cts").mkdir()
    return (folder / "ct.nii.gz").rename(folder / "cts" / "chest.nii.gz")


@pytest.fixture
def batch_folder(a_written_result, chest_file, tmp_path):
    """What a batch of the small chest and of a broken file leaves, with the library's own rows and tables."""
    import json

    from CovidSeverityLib.batch.input_digest import input_digest
    from CovidSeverityLib.batch.rows import row_of
    from CovidSeverityLib.formats.batch_tables import BATCH_FAILURES, CASES

    folder = tmp_path / "batch"
    shutil.copytree(a_written_result, folder / "cases" / "chest")
    report = json.loads((a_written_result / "report.json").read_bytes())
    row = row_of("chest", "cases/chest", report, input_digest(chest_file))
    failure = {"case": "broken", "kind": "input", "reason": "broken.nii.gz is empty"}
    for name, columns, rows in (
        ("cases.csv", CASES.header(), [row]),
        ("failures.csv", BATCH_FAILURES.header(), [failure]),
    ):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    (folder / "index.html").write_text("<!DOCTYPE html>", encoding="utf-8")
    (folder / "batch.json").write_text("{}", encoding="utf-8")
    return folder
