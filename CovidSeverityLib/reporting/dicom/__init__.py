"""Results as DICOM objects in the study of the CT: Segmentation, structured report, encapsulated PDF.

They need highdicom (``pip install "covid-severity[dicom]"``). ``docs/dicom.md`` explains what they contain.
"""

from .document import PdfDocument
from .writing import (
    DICOM_OUTPUT_NAMES,
    NO_EXTRA,
    SEGMENTATION_NAME,
    dicom_objects,
    dicom_writers,
    has_dicom_extra,
)

__all__ = [
    "DICOM_OUTPUT_NAMES",
    "NO_EXTRA",
    "SEGMENTATION_NAME",
    "PdfDocument",
    "dicom_objects",
    "dicom_writers",
    "has_dicom_extra",
]
