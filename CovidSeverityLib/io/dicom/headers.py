"""The fields in the header of one DICOM file that a CT volume needs, for its image or its frames.

Messages contain names of files only, and neither folders nor patients nor identifiers.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from pydicom import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from CovidSeverityLib.errors import InputError

from .completeness import check_dicom_pixels
from .directory import DIRECTORY_CLASS
from .files import is_dicom
from .parsing import read_header
from .stored_pixels import StoredPixels
from .values import UNREADABLE, damage_as_such, number_of, numbers_of, ordinal_of, text_of, values_of

CT = "CT"
PROJECTION = "projection"
"""Kinds of image (:attr:`SliceHeader.kind`); any other kind is the modality in the file."""

CT_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.2": "CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.2.1": "Enhanced CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.2.2": "Legacy Converted Enhanced CT Image Storage",
}
"""SOP classes of CT images (DICOM PS3.4, B.5)."""

CAPTURE_CLASSES = {"1.2.840.10008.5.1.4.1.1.7", *(f"1.2.840.10008.5.1.4.1.1.7.{n}" for n in range(1, 5))}
"""Secondary Capture: a CT only if it has the modality of a CT and a position in the patient."""

PROJECTION_MODALITIES = {"CR", "DX", "MG", "RF", "XA", "PX", "IO"}

FRAME_MACROS = (
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "CTImageFrameTypeSequence",
    "CTReconstructionSequence",
)
"""Functional groups of an enhanced CT with the fields that a classic file has at its top level (DICOM PS3.3,
C.7.6.16)."""

FRAME_SEQUENCES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
FRAME_TAGS = {Tag(name) for name in FRAME_SEQUENCES}
DECODER_NUMBERS = (
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation", "RescaleSlope", "RescaleIntercept"),
)
"""The fields that the decoder uses."""

WORDS = re.compile(r"\w+")
"""The part of a name that is compared: letters and digits. Punctuation differs between programs."""

PATIENT = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")
TAGS = [
    Tag(name)
    for name in (
        *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesDescription", "Modality", "ImageType"),
        *("AcquisitionNumber", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
        *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "PixelRepresentation"),
        *("RescaleSlope", "RescaleIntercept", "PixelPaddingValue", "PixelPaddingRangeLimit", "NumberOfFrames"),
        *("ConvolutionKernel", "SliceThickness", "SliceLocation", "FrameOfReferenceUID", "StudyInstanceUID"),
        *("BitsStored", "HighBit", "KVP", "TemporalPositionIdentifier", "ReconstructionDiameter"),
        *PATIENT,
        *FRAME_SEQUENCES,
    )
]


@dataclass(frozen=True)
class SliceHeader:
    """One slice: a DICOM file, or one frame of an enhanced one.

    ``problem`` is a sentence, with the name of the file, that says why the slice cannot be read; it is empty if it can.
    ``patient`` identifies the person and never leaves the reader. ``kernels`` are the values of ConvolutionKernel.
    ``position`` is the LPS position of the first pixel's centre, mm; ``location_mm`` the position along the table.
    ``orientation`` has the LPS unit vectors of row and column. ``pixel_spacing`` is the distance between (rows,
    columns), mm, one number if the file has only one. ``diameter_mm`` is that of the reconstructed field. ``rescale``
    is slope and intercept of this slice, ``decoder_rescale`` those that GDCM applies to the whole file (of its first
    frame). ``padding_hu`` is the lowest and highest value that means "not measured", after the rescale. ``repairs``
    are codes of repairs. Fields that are missing in the file are None or an empty text.
    """

    path: Path
    frame: int
    kind: str
    problem: str
    patient: tuple[str, ...]
    study_uid: str
    series_uid: str
    frame_of_reference: str
    description: str
    kernels: str
    image_type: tuple[str, ...]
    sop_class: str
    is_capture: bool
    tube_voltage: str
    acquisition_text: str
    acquisition: float
    instance: float
    sop_uid: str
    rows: int
    columns: int
    photometric: str
    samples: int
    rescale: tuple[float, float]
    decoder_rescale: tuple[float, float]
    position: tuple[float, ...] | None
    location_mm: float | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None
    diameter_mm: float | None
    thickness_mm: float | None
    padding_hu: tuple[float, float] | None
    stored: StoredPixels = field(default_factory=StoredPixels)
    repairs: frozenset[str] = frozenset()

    @property
    def kernel(self) -> str:
        """Name of the reconstruction kernel: the first value of ConvolutionKernel."""
        return self.kernels.partition("\\")[0]

    @property
    def tie_key(self) -> tuple[float, float, str, int]:
        """The order of slices at one position; it does not depend on the name of the file."""
        return self.acquisition, self.instance, self.sop_uid, self.frame


@dataclass(frozen=True)
class Unreadable:
    """A file whose header cannot be read, and the sentence that says so."""

    path: Path
    reason: str


def dicom_headers(files: Sequence[Path]) -> tuple[list[SliceHeader], list[Unreadable]]:
    """Return the headers of every DICOM image among ``files``, and the files whose header cannot be read.

    Other files are ignored.
    """
    found, unreadable = [], []
    with warnings.catch_warnings():
        # Clinical files violate the standard in harmless ways; pydicom warns of each one when it reads the value.
        warnings.simplefilter("ignore")
        for path in files:
            try:
                found += _file_headers(path)
            except InputError as error:
                unreadable.append(Unreadable(path, str(error)))
    return found, unreadable


def _file_headers(path: Path) -> list[SliceHeader]:
    if not is_dicom(path):
        return []
    try:
        with path.open("rb") as file, damage_as_such():
            dataset = read_header(file, path.name, TAGS)
            if _sop_class(dataset) == DIRECTORY_CLASS:
                return []
            headers = list(_image_headers(path, dataset))
            return _with_pixels(file, dataset, headers)
    except UNREADABLE as error:
        raise InputError(f"{path.name} is damaged or cut short: its DICOM header cannot be read") from error


def _image_headers(path: Path, dataset: Dataset) -> Iterator[SliceHeader]:
    decoder_rescale = None
    for frame, values in enumerate(_frames(dataset)):
        header = _header(path, frame, values, _kind(dataset, values))
        decoder_rescale = decoder_rescale or header.rescale
        yield replace(header, decoder_rescale=decoder_rescale)


def _with_pixels(file: BinaryIO, dataset: Dataset, headers: list[SliceHeader]) -> list[SliceHeader]:
    """The headers with the place of their pixels; with a problem if ``file``, read up to the pixels, is incomplete."""
    if not headers or headers[0].kind != CT or headers[0].problem:
        return headers
    implicit, little_endian = dataset.original_encoding
    syntax = dataset.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)
    if not little_endian or syntax == DeflatedExplicitVRLittleEndian:
        return headers  # retired and rare: the decoder detects it
    first = headers[0]
    bits = int(number_of(dataset, "BitsAllocated", 16))
    frames = max(int(number_of(dataset, "NumberOfFrames", 1)), len(headers))
    start = file.tell() + (8 if implicit else 12)
    try:
        check_dicom_pixels(file, first.path.name, bool(implicit), first.rows * first.columns * frames * bits // 8)
    except InputError as error:
        return [replace(header, problem=str(error)) for header in headers]
    native = syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
    return [replace(header, stored=_stored(dataset, start if native else None)) for header in headers]


def _stored(dataset: Dataset, offset: int | None) -> StoredPixels:
    bits = int(number_of(dataset, "BitsAllocated", 16))
    bits_stored = int(number_of(dataset, "BitsStored", bits))
    return StoredPixels(
        offset=offset,
        bits_allocated=bits,
        bits_stored=bits_stored,
        high_bit=int(number_of(dataset, "HighBit", bits_stored - 1)),
        signed=number_of(dataset, "PixelRepresentation", 0) == 1,
        needs_clean_header=not _decoder_reads(dataset),
    )


def _decoder_reads(dataset: Dataset) -> bool:
    """Whether GDCM reads the same values from the header: all numbers have their own value representation."""
    try:
        return all(dataset[name].VR in ("US", "DS") for name in DECODER_NUMBERS if name in dataset)
    except UNREADABLE:
        return False


def _frames(dataset: Dataset) -> Iterator[Dataset]:
    """The data set itself or, for an enhanced file, one flat data set per frame."""
    shared, per_frame = (dataset.get(name) or [] for name in FRAME_SEQUENCES)
    if not per_frame:
        yield dataset
        return
    for groups in per_frame:
        flat = Dataset()
        flat.update({tag: dataset.get_item(tag) for tag in list(dataset.keys()) if tag not in FRAME_TAGS})
        for macro in FRAME_MACROS:
            for source in (*shared[:1], groups):
                for item in source.get(macro) or []:
                    flat.update(item)
        yield flat


def _sop_class(dataset: Dataset) -> str:
    return text_of(dataset, "SOPClassUID") or str(dataset.file_meta.get("MediaStorageSOPClassUID") or "")


def _kind(dataset: Dataset, frame: Dataset) -> str:
    sop_class = _sop_class(dataset)
    modality = text_of(dataset, "Modality").upper()
    types = [str(t).strip().upper() for t in (*values_of(frame, "ImageType"), *values_of(frame, "FrameType"))]
    if modality in PROJECTION_MODALITIES or "LOCALIZER" in types:
        return PROJECTION
    if modality in ("", CT) and (sop_class in CT_CLASSES or (not sop_class and modality)):
        return CT
    if modality == CT and sop_class in CAPTURE_CLASSES and _has_geometry(frame):
        return CT
    return modality if modality not in ("", CT) else UID(sop_class).name


def _has_geometry(values: Dataset) -> bool:
    """Whether the image has the position of its pixels in the patient."""
    return all(
        len(numbers_of(values, keyword) or ()) == count
        for keyword, count in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2))
    )


def _header(path: Path, frame: int, values: Dataset, kind: str) -> SliceHeader:
    if not kind:
        raise InputError(f"{path.name} is damaged or cut short: its DICOM header names neither class nor modality")
    problem, rescale, padding = "", (1.0, 0.0), None
    rows, columns = (int(number_of(values, keyword, 0)) for keyword in ("Rows", "Columns"))
    if kind == CT:
        try:
            rescale = (number_of(values, "RescaleSlope", 1.0) or 1.0, number_of(values, "RescaleIntercept", 0.0))
            padding = _padding_hu(values, *rescale)
        except ValueError as error:
            problem = f"{path.name} cannot be read: its {error}, where a number is needed"
        if not (rows and columns):
            problem = f"{path.name} is damaged or cut short: its DICOM header names no image size"
    return SliceHeader(
        path=path,
        frame=frame,
        kind=kind,
        problem=problem,
        rows=rows,
        columns=columns,
        rescale=rescale,
        decoder_rescale=rescale,
        padding_hu=padding,
        **_origin(values),
        **_place(values),
    )


def _origin(values: Dataset) -> dict[str, Any]:
    """Fields of :class:`SliceHeader` that say what kind of image it is, and of which patient."""
    acquisition = ("AcquisitionNumber", "TemporalPositionIdentifier")
    return {
        "patient": tuple(" ".join(WORDS.findall(text_of(values, keyword).casefold())) for keyword in PATIENT),
        "study_uid": text_of(values, "StudyInstanceUID"),
        "series_uid": text_of(values, "SeriesInstanceUID"),
        "sop_uid": text_of(values, "SOPInstanceUID"),
        "frame_of_reference": text_of(values, "FrameOfReferenceUID"),
        "description": text_of(values, "SeriesDescription"),
        "kernels": text_of(values, "ConvolutionKernel"),
        "image_type": tuple(str(value).strip().upper() for value in values_of(values, "ImageType")),
        "sop_class": text_of(values, "SOPClassUID"),
        "is_capture": text_of(values, "SOPClassUID") in CAPTURE_CLASSES,
        "tube_voltage": text_of(values, "KVP"),
        "acquisition_text": "/".join(text_of(values, keyword) for keyword in acquisition),
        "acquisition": ordinal_of(values, "AcquisitionNumber"),
        "instance": ordinal_of(values, "InstanceNumber"),
        "photometric": text_of(values, "PhotometricInterpretation") or "MONOCHROME2",
        "samples": int(ordinal_of(values, "SamplesPerPixel")) or 1,
    }


def _place(values: Dataset) -> dict[str, Any]:
    """Fields of :class:`SliceHeader` with the position of an image; None if the header lacks them."""
    location, thickness, diameter = (
        (numbers_of(values, keyword) or (None,))[0]
        for keyword in ("SliceLocation", "SliceThickness", "ReconstructionDiameter")
    )
    return {
        "position": _of_length(numbers_of(values, "ImagePositionPatient"), 3),
        "location_mm": location,
        "orientation": _of_length(numbers_of(values, "ImageOrientationPatient"), 6),
        "pixel_spacing": _of_length(numbers_of(values, "PixelSpacing"), 1, 2),
        "diameter_mm": diameter,
        "thickness_mm": thickness or None,
    }


def _of_length(numbers: tuple[float, ...] | None, *counts: int) -> tuple[float, ...] | None:
    return numbers if numbers is not None and len(numbers) in counts else None


def _padding_hu(values: Dataset, slope: float, intercept: float) -> tuple[float, float] | None:
    """Pixel padding (value, or value to range limit) after the rescale, lowest first (DICOM PS3.3, C.7.5.1.1.2)."""
    stored = [numbers_of(values, k) for k in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if stored[0] is None or not all(v.is_integer() for group in stored if group for v in group):
        return None
    bits = int(number_of(values, "BitsAllocated", 16))
    signed = number_of(values, "PixelRepresentation", 0) == 1
    ends = [_as_stored(int(group[0]), bits, signed) * slope + intercept for group in stored if group]
    return min(ends), max(ends)


def _as_stored(value: int, bits: int, signed: bool) -> int:
    """The padding value in the type of the pixels: many files give it unsigned (63536) for signed pixels (-2000)."""
    if signed and value >= 1 << (bits - 1):
        return value - (1 << bits)
    return value + (1 << bits) if not signed and value < 0 else value
