"""What the header of one DICOM file says about its image, or its frames, as far as a CT volume needs it.

Only names of files appear in messages: folders, patients and identifiers stay out of them.
"""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset, dcmread
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from CovidSeverityLib.errors import InputError

from .completeness import check_dicom_pixels

CT = "CT"
PROJECTION = "projection"
"""Kinds of image (:attr:`SliceHeader.kind`); any other is the modality that the file names."""

CT_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.2": "CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.2.1": "Enhanced CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.2.2": "Legacy Converted Enhanced CT Image Storage",
}
"""SOP classes of CT images (DICOM PS3.4, B.5)."""

DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
PROJECTION_MODALITIES = {"CR", "DX", "MG", "RF", "XA", "PX", "IO"}

PREAMBLE_BYTES = 128
DICOM_MAGIC = b"DICM"
DICOM_ENDINGS = {"", ".dcm", ".dicom", ".ima"}
"""An empty file of such a name is a DICOM file whose transfer failed; of any other name it is none of ours."""

UNREADABLE = (
    *(InvalidDicomError, BytesLengthException, NotImplementedError, EOFError, zlib.error, struct.error),
    *(ValueError, TypeError, AttributeError, KeyError, OverflowError),
)
"""What pydicom raises on reading a file, or on the first use of a value, whose bytes are not what they should be."""

FRAME_MACROS = (
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "CTImageFrameTypeSequence",
    "CTReconstructionSequence",
)
"""Functional groups of an enhanced CT that hold what a classic file has at its top level (DICOM PS3.3, C.7.6.16)."""

FRAME_SEQUENCES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
TAGS = [
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesDescription", "Modality", "ImageType"),
    *("AcquisitionNumber", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "PixelRepresentation"),
    *("RescaleSlope", "RescaleIntercept", "PixelPaddingValue", "PixelPaddingRangeLimit", "NumberOfFrames"),
    *("ConvolutionKernel", "SliceThickness"),
    *FRAME_SEQUENCES,
]


@dataclass(frozen=True)
class SliceHeader:
    """One slice: a DICOM file, or one frame of an enhanced one.

    ``kernel`` is the first value of ConvolutionKernel, empty without one.
    ``position`` LPS mm of the first pixel's centre; ``orientation`` the row's and the column's LPS unit vectors;
    ``pixel_spacing`` mm between (rows, columns); ``rescale`` slope and intercept of this slice, ``decoder_rescale``
    those that GDCM applies to the whole file (of its first frame); ``padding_hu`` lowest and highest value that stands
    for "not measured", after the rescale. None where the file does not say.
    """

    path: Path
    frame: int
    kind: str
    series_uid: str
    description: str
    kernel: str
    acquisition: int
    instance: int
    sop_uid: str
    rows: int
    columns: int
    photometric: str
    samples: int
    rescale: tuple[float, float]
    decoder_rescale: tuple[float, float]
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None
    thickness_mm: float | None
    padding_hu: tuple[float, float] | None

    @property
    def tie_key(self) -> tuple[int, int, str, int]:
        """What decides between slices at one position: never the name of the file."""
        return self.acquisition, self.instance, self.sop_uid, self.frame


def dicom_headers(files: list[Path]) -> list[SliceHeader]:
    """Return the headers of every DICOM image among ``files``; files that are no DICOM are passed over.

    Raises
    ------
    InputError
        A DICOM file is empty, damaged or cut short.
    """
    with warnings.catch_warnings():
        # Clinical files break the standard in harmless ways; pydicom warns of each when it reads the value.
        warnings.simplefilter("ignore")
        return [header for path in files for header in _file_headers(path)]


def files_under(folder: Path) -> list[Path]:
    """Every file in ``folder`` and below, in the order of their names; hidden ones (``._1.dcm``) left out.

    Raises
    ------
    OSError
        If a folder cannot be listed.
    """
    found = []
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(parent, name) for name in sorted(names) if not name.startswith(".")]
    return [path for path in found if path.is_file()]


def _raise(error: OSError) -> None:
    raise error


def is_dicom(path: Path) -> bool:
    """Whether ``path`` begins as a DICOM file does. Raises InputError for an empty file that should be one."""
    with path.open("rb") as file:
        head = file.read(PREAMBLE_BYTES + len(DICOM_MAGIC))
    if not head and path.suffix.lower() in DICOM_ENDINGS:
        raise InputError(f"{path.name} is empty (0 bytes); a whole DICOM file is needed")
    return head[PREAMBLE_BYTES:] == DICOM_MAGIC


def _file_headers(path: Path) -> Iterator[SliceHeader]:
    if not is_dicom(path):
        return
    try:
        with path.open("rb") as file:
            dataset = dcmread(file, stop_before_pixels=True, specific_tags=TAGS)
            if _sop_class(dataset) == DIRECTORY_CLASS:
                return
            decoder_rescale = None
            for frame, values in enumerate(_frames(dataset)):
                decoder_rescale = decoder_rescale or _rescale(values)
                header = _header(path, frame, values, _kind(dataset, values), decoder_rescale)
                if header.kind == CT and frame == 0:
                    _check_pixels(file, dataset, header)
                yield header
    except UNREADABLE as error:
        raise InputError(f"{path.name} is damaged or cut short: its DICOM header cannot be read") from error


def _check_pixels(file: BinaryIO, dataset: Dataset, header: SliceHeader) -> None:
    """Raise InputError where ``file``, read up to its pixels, ends before they do."""
    implicit, little_endian = dataset.original_encoding
    if not little_endian or dataset.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        return  # retired and rare: the decoder has to notice
    frames = int(_number(dataset, "NumberOfFrames", 1))
    pixels = header.rows * header.columns * frames
    check_dicom_pixels(file, header.path.name, bool(implicit), pixels * int(dataset.get("BitsAllocated") or 16) // 8)


def _frames(dataset: Dataset) -> Iterator[Dataset]:
    """The data set itself or, of an enhanced file, one flat data set a frame."""
    shared, per_frame = (dataset.get(name) or [] for name in FRAME_SEQUENCES)
    if not per_frame:
        yield dataset
        return
    for groups in per_frame:
        flat = Dataset()
        flat.update({e.tag: e for e in dataset if e.keyword not in FRAME_SEQUENCES})
        for macro in FRAME_MACROS:
            for source in (*shared[:1], groups):
                for item in source.get(macro) or []:
                    flat.update(item)
        yield flat


def _sop_class(dataset: Dataset) -> str:
    return str(dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID") or "")


def _kind(dataset: Dataset, frame: Dataset) -> str:
    sop_class = _sop_class(dataset)
    modality = str(dataset.get("Modality") or "").strip().upper()
    types = [*_listed(frame.get("ImageType")), *_listed(frame.get("FrameType"))]
    if modality in PROJECTION_MODALITIES or any(str(t).strip().upper() == "LOCALIZER" for t in types):
        return PROJECTION
    if modality in ("", CT) and (sop_class in CT_CLASSES or (not sop_class and modality)):
        return CT
    return modality if modality not in ("", CT) else UID(sop_class).name


def _header(path: Path, frame: int, values: Dataset, kind: str, decoder_rescale: tuple[float, float]) -> SliceHeader:
    if not kind:
        raise InputError(f"{path.name} is damaged or cut short: its DICOM header names neither class nor modality")
    if kind == CT and not (values.get("Rows") and values.get("Columns")):
        raise InputError(f"{path.name} is damaged or cut short: its DICOM header names no image size")
    rescale = _rescale(values)
    return SliceHeader(
        path=path,
        frame=frame,
        kind=kind,
        series_uid=str(values.get("SeriesInstanceUID") or ""),
        description=str(values.get("SeriesDescription") or "").strip(),
        kernel=str((_listed(values.get("ConvolutionKernel")) or [""])[0]).strip(),
        acquisition=int(_number(values, "AcquisitionNumber", 0)),
        instance=int(_number(values, "InstanceNumber", 0)),
        sop_uid=str(values.get("SOPInstanceUID") or ""),
        rows=int(values.get("Rows") or 0),
        columns=int(values.get("Columns") or 0),
        photometric=str(values.get("PhotometricInterpretation") or "MONOCHROME2").strip(),
        samples=int(_number(values, "SamplesPerPixel", 1)),
        rescale=rescale,
        decoder_rescale=decoder_rescale,
        position=_numbers(values, "ImagePositionPatient", 3),
        orientation=_numbers(values, "ImageOrientationPatient", 6),
        pixel_spacing=_numbers(values, "PixelSpacing", 2),
        thickness_mm=_number(values, "SliceThickness", 0.0) or None,
        padding_hu=_padding_hu(values, *rescale) if kind == CT else None,
    )


def _rescale(values: Dataset) -> tuple[float, float]:
    return _number(values, "RescaleSlope", 1.0) or 1.0, _number(values, "RescaleIntercept", 0.0)


def _listed(value: object) -> list:
    """The values of an element that has none, one or several."""
    if value is None or value == "":
        return []
    return [value] if isinstance(value, (str, bytes, int, float)) else list(value)


def _number(values: Dataset, keyword: str, default: float) -> float:
    found = _listed(values.get(keyword))
    return float(found[0]) if found else default


def _numbers(values: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    found = tuple(float(v) for v in _listed(values.get(keyword)))
    return found if len(found) == count else None


def _padding_hu(values: Dataset, slope: float, intercept: float) -> tuple[float, float] | None:
    """Pixel padding (value, or value to range limit) after the rescale, lowest first (DICOM PS3.3, C.7.5.1.1.2)."""
    stored = [_listed(values.get(k)) for k in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if not stored[0] or not all(isinstance(v, int) for group in stored for v in group):
        return None
    bits = int(values.get("BitsAllocated") or 16)
    signed = values.get("PixelRepresentation") == 1
    ends = [_as_stored(group[0], bits, signed) * slope + intercept for group in stored if group]
    return min(ends), max(ends)


def _as_stored(value: int, bits: int, signed: bool) -> int:
    """The padding value as the pixels have it: many files write it as unsigned (63536) for signed pixels (-2000)."""
    if signed and value >= 1 << (bits - 1):
        return value - (1 << bits)
    return value + (1 << bits) if not signed and value < 0 else value
