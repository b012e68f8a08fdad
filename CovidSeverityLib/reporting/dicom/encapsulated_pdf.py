"""A report in PDF as a DICOM object of the study."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, EncapsulatedPDFStorage, ExplicitVRLittleEndian

from .codes import CHEST_CT
from .identity import EMPTY_IF_MISSING, PDF, Identity

PDF_MAGIC = b"%PDF-"
"""A PDF begins with it."""

STUDY_IDENTIFIERS = ("StudyInstanceUID", "StudyDescription", "SpecificCharacterSet")


def build_encapsulated_pdf(pdf: bytes, title: str, identity: Identity) -> Dataset:
    """The object that holds ``pdf`` in the study of the source images (DICOM PS3.3, A.45.1).

    Parameters
    ----------
    pdf : bytes
        A PDF file that names no patient: the object says that the identity is not burned in.
    title : str
        Of the document.
    identity : Identity
        Identifiers and source images.

    Raises
    ------
    ValueError
        If ``pdf`` is no PDF.
    """
    if not pdf.startswith(PDF_MAGIC):
        raise ValueError(f"the document begins with {pdf[:5]!r}; a PDF begins with {PDF_MAGIC!r}")
    found = _of_study(identity)
    series = identity.series(PDF)
    found.Modality = "DOC"
    found.SeriesInstanceUID, found.SeriesNumber = series["series_instance_uid"], series["series_number"]
    found.SeriesDescription = series["series_description"]
    found.Manufacturer, found.ManufacturerModelName = series["manufacturer"], series["manufacturer_model_name"]
    found.DeviceSerialNumber = found.SoftwareVersions = identity.version
    found.ConversionType = "SYN"
    found.InstanceNumber = series["instance_number"]
    found.ContentDate = identity.made.strftime("%Y%m%d")
    found.ContentTime = identity.made.strftime("%H%M%S")
    found.AcquisitionDateTime = ""
    found.BurnedInAnnotation = "NO"
    found.DocumentTitle = title
    found.ConceptNameCodeSequence = [_code_item()]
    found.SourceInstanceSequence = [_reference(image) for image in identity.images]
    found.MIMETypeOfEncapsulatedDocument = "application/pdf"
    found.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    found.EncapsulatedDocumentLength = len(pdf)
    return found


def _of_study(identity: Identity) -> Dataset:
    """A data set with the class, the patient and the study."""
    found = Dataset()
    for keyword in (*STUDY_IDENTIFIERS, *EMPTY_IF_MISSING):
        if keyword in identity.first:
            found[keyword] = identity.first[keyword]
    found.SOPClassUID, found.SOPInstanceUID = EncapsulatedPDFStorage, identity.uid(PDF)
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID
    found.file_meta.MediaStorageSOPInstanceUID = UID(identity.uid(PDF))
    return found


def _code_item() -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = CHEST_CT.value, "LN", CHEST_CT.meaning
    return item


def _reference(image: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return item
