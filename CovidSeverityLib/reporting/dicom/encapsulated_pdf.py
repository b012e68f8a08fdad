"""A report in PDF as a DICOM object of the study."""

from __future__ import annotations

import hashlib

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, EncapsulatedPDFStorage, ExplicitVRLittleEndian

from .codes import CHEST_CT
from .document import PdfDocument
from .identity import EMPTY_IF_MISSING, PDF, Identity

STUDY_IDENTIFIERS = ("StudyInstanceUID", "StudyDescription", "SpecificCharacterSet")

UNTITLED = "Chest CT - CT severity report"
"""Title of a document that does not tell whose CT it is."""

TITLE_LENGTH = 1024
"""Characters that a title can have (DICOM PS3.5, 6.2: ST)."""

UTF_8 = "ISO_IR 192"
"""Character set for a title that the images' own may not have."""


def build_encapsulated_pdf(document: PdfDocument, identity: Identity) -> Dataset:
    """The object that holds ``document`` in the study of the source images (DICOM PS3.3, A.45.1).

    Its UIDs depend on the bytes of the document, for another title or language makes another one.

    Parameters
    ----------
    document : PdfDocument
        The report.
    identity : Identity
        Identifiers and source images.
    """
    content = document.content
    found = _of_study(identity)
    series = identity.series(PDF, hashlib.sha256(content).hexdigest())
    found.SOPClassUID, found.SOPInstanceUID = EncapsulatedPDFStorage, series["sop_instance_uid"]
    found.file_meta = _file_meta(found)
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
    found.BurnedInAnnotation = "YES" if document.title else "NO"
    if not document.title.isascii():
        found.SpecificCharacterSet = UTF_8
    found.DocumentTitle = document.title[:TITLE_LENGTH] or UNTITLED
    found.ConceptNameCodeSequence = [_code_item()]
    found.SourceInstanceSequence = [_reference(image) for image in identity.images]
    found.MIMETypeOfEncapsulatedDocument = "application/pdf"
    found.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    found.EncapsulatedDocumentLength = len(content)
    return found


def _of_study(identity: Identity) -> Dataset:
    """A data set with the patient and the study."""
    found = Dataset()
    for keyword in (*STUDY_IDENTIFIERS, *EMPTY_IF_MISSING):
        if keyword in identity.first:
            found[keyword] = identity.first[keyword]
    return found


def _file_meta(found: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = found.SOPClassUID
    meta.MediaStorageSOPInstanceUID = UID(found.SOPInstanceUID)
    return meta


def _code_item() -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = CHEST_CT.value, "LN", CHEST_CT.meaning
    return item


def _reference(image: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return item
