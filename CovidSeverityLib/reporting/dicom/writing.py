"""The DICOM objects of a result, and the functions that write them beside its other files."""

from __future__ import annotations

import datetime
import importlib.util
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.findings import Findings
from CovidSeverityLib.reporting.output_folder import FileWriter

if TYPE_CHECKING:
    from pydicom import Dataset

    from CovidSeverityLib.io.dicom.source import DicomSource

    from .document import PdfDocument

SEGMENTATION_NAME, MEASUREMENTS_NAME = "dicom/segmentation.dcm", "dicom/measurements.dcm"
DOCUMENT_NAME = "dicom/report.dcm"
DICOM_OUTPUT_NAMES = (SEGMENTATION_NAME, MEASUREMENTS_NAME, DOCUMENT_NAME)
"""Every DICOM file of a result, in the order of writing."""

NO_EXTRA = 'highdicom is not installed (pip install "covid-severity[dicom]")'
"""Why there are no DICOM objects, to follow "because"."""


def has_dicom_extra() -> bool:
    """Whether highdicom is installed, which makes the objects."""
    return importlib.util.find_spec("highdicom") is not None


def dicom_objects(
    analysis: Findings,
    source: DicomSource,
    made: datetime.datetime | None = None,
    *,
    document: PdfDocument | None = None,
) -> dict[str, Dataset]:
    """The DICOM objects of an analysis by the name of their file.

    The same input, version and configuration give the same bytes.

    Parameters
    ----------
    analysis : Findings
        The result.
    source : DicomSource
        The images of its CT (:func:`~CovidSeverityLib.io.reading.read_ct_and_source`).
    made : datetime or None
        Date and time of the content; None takes that of the study, or the present where the images tell none.
    document : PdfDocument or None
        The report in PDF, which becomes an object too.

    Raises
    ------
    InputError
        highdicom is not installed, nothing can refer to the images, or their headers cannot be used; the message
        is a reason to follow "because".
    """
    if not has_dicom_extra():
        raise InputError(NO_EXTRA)
    if source.problem:
        raise InputError(source.problem)
    from .encapsulated_pdf import build_encapsulated_pdf
    from .identity import identify, without_time_of_day
    from .measurement_report import build_measurements
    from .segmentation_object import build_segmentation, pack_masks

    masks = pack_masks(analysis)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about harmless deviations of the input's headers
        try:
            identity = identify(analysis, source, masks.frames, made)
            segmentation = build_segmentation(analysis, identity, masks)
            measurements = build_measurements(analysis, identity, segmentation, masks.segments)
            encapsulated = None if document is None else build_encapsulated_pdf(document, identity)
        except (ValueError, TypeError) as error:  # of values that the standard forbids
            raise InputError(f"the headers of the images cannot be used ({error})") from error
    objects: dict[str, Dataset] = {SEGMENTATION_NAME: segmentation, MEASUREMENTS_NAME: measurements}
    if encapsulated is not None:
        objects[DOCUMENT_NAME] = encapsulated
    for found in objects.values():
        without_time_of_day(found)
    return objects


def dicom_writers(objects: Mapping[str, Dataset]) -> dict[str, FileWriter]:
    """A function for each object that writes it to a path."""
    return {name: partial(_write, found) for name, found in objects.items()}


def _write(found: Dataset, path: Path) -> None:
    from .frames import FRAMES, write_segmentation

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if FRAMES in found:
            write_segmentation(found, path)
        else:
            found.save_as(path, enforce_file_format=True)
