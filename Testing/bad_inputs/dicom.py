"""DICOM series that are no chest CT, or not one, or not whole."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from pydicom import DataElement, Dataset, Sequence, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from .archives import _compressed_zeros
from .entry import OK, SPACING_MM, BadInput, hu, series

MR, CR, CAPTURE = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.7"
REPORT, CONTOURS = "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.481.3"
NO_GEOMETRY = {"ImagePositionPatient": None, "ImageOrientationPatient": None, "PixelSpacing": None}
NO_IMAGE = dict.fromkeys(("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"))
DEEP = 3000
"""Sequences within sequences."""


def _with(tags: dict, folder: Path) -> Path:
    """A series all of whose slices have ``tags``."""
    series(folder / "study", change=lambda k: tags)
    return folder / "study"


def _files(change: Callable[[list[Path]], object], folder: Path) -> Path:
    """A series whose files are changed."""
    change(series(folder / "study"))
    return folder / "study"


def _each(change: Callable[[Dataset], object], files: list[Path], some: slice = slice(None)) -> None:
    for file in files[some]:
        dataset = dcmread(file)
        change(dataset)
        dataset.save_as(file)


def _text(keyword: str, text: str, dataset: Dataset) -> None:
    """Text in a field of numbers, which pydicom would not write."""
    tag = dataset[keyword].tag
    dataset[tag] = DataElement(tag, "UT", text)


def _duplicates(files: list[Path]) -> None:
    for file in files:
        dataset = dcmread(file)
        dataset.SOPInstanceUID += ".9"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(file.with_name(f"copy-{file.name}"))


def _two_patients(files: list[Path]) -> None:
    _each(lambda dataset: setattr(dataset, "PatientID", "2"), files, slice(0, 12))
    _each(lambda dataset: setattr(dataset, "PatientID", "1"), files, slice(12, None))


def _smaller(dataset: Dataset) -> None:
    dataset.Rows, dataset.Columns = 24, 24
    dataset.PixelData = dataset.PixelData[: 24 * 24 * 2]


def _other_syntax(syntax: str, content: bytes, dataset: Dataset) -> None:
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([content])
    dataset["PixelData"].is_undefined_length = True


def _deflated_bomb(folder: Path) -> Path:
    """A slice in deflate, followed by 1.3 GB of zeros in 1.3 MB."""
    (file,) = series(folder / "study", hu()[:1])
    dataset = dcmread(file)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(file)
    content = file.read_bytes()
    length = struct.unpack_from("<L", content, 140)[0]
    header, packed = content[: 144 + length], content[144 + length :]
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = stream.compress(zlib.decompress(packed, -15)) + stream.flush(zlib.Z_FULL_FLUSH)
    chunk, end = _compressed_zeros()
    file.write_bytes(header + first + chunk * 20 + end)
    return folder / "study"


def _deep(folder: Path) -> Path:
    """A slice with thousands of sequences in each other."""
    (file,) = series(folder / "study", hu()[:1])
    dataset = dcmread(file)
    dataset.RequestAttributesSequence = Sequence([Dataset()])
    dataset.save_as(file)
    opening = struct.pack("<HH2sHL", 0x0040, 0x0275, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    closing = struct.pack("<HHL", 0xFFFE, 0xE00D, 0) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    content = file.read_bytes()
    at = content.index(struct.pack("<HH2s", 0x0040, 0x0275, b"SQ"))
    length = struct.unpack_from("<L", content, at + 8)[0]
    file.write_bytes(content[:at] + opening * DEEP + closing * DEEP + content[at + 12 + length :])
    return folder / "study"


def _long_element(folder: Path) -> Path:
    """A slice one of whose elements states 4 GB."""
    (file,) = series(folder / "study", hu()[:1])
    content = file.read_bytes()
    at = content.index(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OW"))
    long = struct.pack("<HH2sHL", 0x0040, 0xA160, b"UT", 0, 0xFFFFFFF0)
    file.write_bytes(content[:at] + long + content[at:])
    return folder / "study"


def _oblique(folder: Path) -> Path:
    """Slices that are tilted by 20 degrees, as a stack that stays perpendicular."""
    tilt = np.deg2rad(20)
    series(folder / "study", iop=(1, 0, 0, 0, np.cos(tilt), np.sin(tilt)))
    return folder / "study"


def _sheared(folder: Path) -> Path:
    """Slices that are tilted by 20 degrees along an untilted table."""
    tilt = np.deg2rad(20)
    places = [(0.0, 0.0, k * SPACING_MM[2]) for k in range(24)]
    series(folder / "study", iop=(1, 0, 0, 0, np.cos(tilt), np.sin(tilt)), positions=places)
    return folder / "study"


def _reversed(folder: Path) -> Path:
    """Slices in the order of their files from head to feet, which is right, with a chest upside down in them."""
    series(folder / "study", hu()[::-1])
    return folder / "study"


PROJECTION = r"is a projection \(a localizer or a radiograph\)"
NUMBER = r"its RescaleSlope is 'nan', where a number is needed"
DECODED = r"000\.dcm cannot be decoded: it is damaged or cut short, or compressed"

ENTRIES = (
    BadInput(
        "dicom-mr", "an MR", partial(_with, {"Modality": "MR", "SOPClassUID": MR}), r"is MR; a chest CT is needed"
    ),
    BadInput("dicom-radiograph", "a radiograph", partial(_with, {"Modality": "CR", "SOPClassUID": CR}), PROJECTION),
    BadInput(
        "dicom-localizer",
        "a localizer",
        partial(_with, {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}),
        PROJECTION,
    ),
    BadInput(
        "dicom-capture",
        "a screen shot",
        partial(_with, {"SOPClassUID": CAPTURE} | NO_GEOMETRY),
        r"is Secondary Capture Image Storage; a chest CT is needed",
    ),
    BadInput(
        "dicom-report",
        "a report",
        partial(_with, {"Modality": "SR", "SOPClassUID": REPORT} | NO_IMAGE),
        r"the DICOM image is SR; a chest CT is needed",
    ),
    BadInput(
        "dicom-contours",
        "contours",
        partial(_with, {"Modality": "RTSTRUCT", "SOPClassUID": CONTOURS} | NO_IMAGE),
        r"the DICOM image is RTSTRUCT; a chest CT is needed",
    ),
    BadInput("dicom-no-pixels", "no pixels", partial(_with, {"PixelData": None}), r"it holds no pixel data"),
    BadInput("dicom-duplicates", "each slice twice", partial(_files, _duplicates), OK),
    BadInput(
        "dicom-missing",
        "missing slices",
        partial(_files, lambda files: [f.unlink() for f in files[9:12]]),
        r"3 slices are missing",
    ),
    BadInput(
        "dicom-cut",
        "a slice that is cut short",
        partial(_files, lambda files: files[7].write_bytes(files[7].read_bytes()[:2000])),
        r"007\.dcm is cut short",
    ),
    BadInput(
        "dicom-empty",
        "a slice without bytes",
        partial(_files, lambda files: files[7].write_bytes(b"")),
        r"1 slice is missing.*could not be read: 007\.dcm",
    ),
    BadInput(
        "dicom-patients", "two patients in one series", partial(_files, _two_patients), r"holds CTs of 2 patients"
    ),
    BadInput(
        "dicom-sizes",
        "slices of two sizes",
        partial(_files, partial(_each, _smaller, some=slice(0, 24, 2))),
        r"would be 8 x 8 x 26 mm large",
    ),
    BadInput(
        "dicom-spacings",
        "two pixel spacings",
        partial(_files, partial(_each, lambda d: setattr(d, "PixelSpacing", [4, 4]), some=slice(0, 12))),
        r"shows only the lower part of the lungs",
    ),
    BadInput("dicom-oblique", "an oblique stack", _oblique, OK),
    BadInput("dicom-sheared", "a tilted gantry", _sheared, OK),
    BadInput("dicom-upside-down", "a chest upside down", _reversed, r"is upside down by the patient's own anatomy"),
    BadInput(
        "dicom-rows",
        "65,535 rows and columns",
        partial(_with, {"Rows": 65535, "Columns": 65535}),
        r"is cut short: 4608 bytes of image where its header promises 8589672450",
    ),
    BadInput("dicom-no-rows", "no rows", partial(_with, {"Rows": 0}), r"its DICOM header names no image size"),
    BadInput(
        "dicom-frames",
        "10^9 frames",
        partial(_with, {"NumberOfFrames": 10**9}),
        r"is cut short: 4608 bytes of image where its header promises 4608000000000",
    ),
    BadInput("dicom-bits", "bits that do not fit", partial(_with, {"BitsAllocated": 12, "BitsStored": 40}), OK),
    BadInput(
        "dicom-colours",
        "three numbers a pixel",
        partial(_with, {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}),
        r"is RGB with 3 samples a pixel",
    ),
    BadInput(
        "dicom-slope",
        "slope not a number",
        partial(_files, partial(_each, partial(_text, "RescaleSlope", "nan"))),
        NUMBER,
    ),
    BadInput("dicom-slope-zero", "slope 0", partial(_with, {"RescaleSlope": 0}), OK),
    BadInput("dicom-intercept", "HU + 1024", partial(_with, {"RescaleIntercept": 0}), OK),
    BadInput(
        "dicom-spacing-zero",
        "pixels of 0 mm",
        partial(_with, {"PixelSpacing": [0, 0]}),
        r"PixelSpacing of .* mm; positive numbers are needed",
    ),
    BadInput(
        "dicom-spacing-nan",
        "spacing not a number",
        partial(_files, partial(_each, partial(_text, "PixelSpacing", "nan\\inf"))),
        r"has no usable PixelSpacing",
    ),
    BadInput(
        "dicom-directions",
        "parallel rows and columns",
        partial(_with, {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}),
        r"ImageOrientationPatient that is no pair of perpendicular unit vectors",
    ),
    BadInput(
        "dicom-place-nan",
        "no place",
        partial(_files, partial(_each, partial(_text, "ImagePositionPatient", "nan\\nan\\nan"))),
        r"has no usable ImagePositionPatient",
    ),
    BadInput(
        "dicom-jpeg2000",
        "no JPEG 2000 in it",
        partial(_files, partial(_each, partial(_other_syntax, JPEG2000Lossless, b"garbage" * 99))),
        DECODED,
    ),
    BadInput(
        "dicom-jpeg",
        "no JPEG in it",
        partial(_files, partial(_each, partial(_other_syntax, JPEGBaseline8Bit, b"\xff\xd8garbage" * 99))),
        DECODED,
    ),
    BadInput(
        "dicom-rle",
        "no RLE in it",
        partial(_files, partial(_each, partial(_other_syntax, RLELossless, b"\xff" * 200))),
        DECODED,
    ),
    BadInput(
        "dicom-syntax",
        "an unknown transfer syntax",
        partial(_files, partial(_each, partial(_other_syntax, "1.2.3.4", b"garbage"))),
        DECODED,
    ),
    BadInput(
        "dicom-deflate-bomb",
        "1.3 GB of zeros after a slice",
        _deflated_bomb,
        r"unpacks to over .*; no CT packs so well",
    ),
    BadInput("dicom-deep", "3,000 sequences in each other", _deep, r"its DICOM header cannot be read"),
    BadInput("dicom-long", "an element of 4 GB", _long_element, r"is damaged or cut short"),
)
