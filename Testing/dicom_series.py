"""DICOM files of made-up CTs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
PATIENT = "Doe^Jane"


def ct_slice(stored, position, orientation, spacing, **tags) -> Dataset:
    """A CT data set; ``tags`` are set on it, a value of None takes the element away."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.Modality, dataset.PatientName = CT_CLASS, "CT", PATIENT
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesInstanceUID, dataset.SeriesDescription = "2.25.1", "Chest 2.0"
    dataset.ImagePositionPatient = [round(float(v), 6) for v in position]
    dataset.ImageOrientationPatient = [round(float(v), 9) for v in orientation]
    dataset.PixelSpacing = list(spacing)
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, int(stored.dtype.kind == "i")
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset.PixelData = stored.tobytes()
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", CT_CLASS)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def write_dicom_series(
    folder: Path,
    hu: np.ndarray,
    change: Callable[[int], dict] = lambda k: {},
    *,
    step_mm: float = 2.0,
    positions=None,
    iop=(1, 0, 0, 0, 1, 0),
    uid: str = "2.25.1",
) -> list[Path]:
    """Write (K, J, I) HU as one DICOM file a slice and return the files.

    ``change(k)`` gives the tags that make slice k special. Slices lie ``step_mm`` apart along the normal.
    """
    folder.mkdir(parents=True, exist_ok=True)
    normal = np.cross(iop[:3], iop[3:])
    files = []
    for k, plane in enumerate(hu):
        position = np.array([-12.5, -20.25, -52.1]) + k * step_mm * normal if positions is None else positions[k]
        tags = {"SeriesInstanceUID": uid, "SOPInstanceUID": f"{uid}.{k + 1}", "InstanceNumber": k + 1, **change(k)}
        stored = tags.pop("stored", None)
        stored = (plane.astype(np.int32) + 1024).astype(np.uint16) if stored is None else stored
        files.append(folder / f"{k:03d}.dcm")
        dataset = ct_slice(stored, position, iop, (0.8, 0.7), **tags)
        dataset.save_as(files[-1], enforce_file_format=True)
    return files
