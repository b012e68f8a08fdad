"""A report in PDF as a DICOM object of the study."""

from __future__ import annotations

import hashlib

import highdicom as hd
from pydicom import Dataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from .codes import CHEST_CT
from .document import PdfDocument
from .identity import PDF, Identity

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
    found = hd.SOPClass(
        study_instance_uid=identity.first.StudyInstanceUID,
        sop_class_uid=EncapsulatedPDFStorage,
        modality="DOC",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **identity.series(PDF, hashlib.sha256(content).hexdigest()),
    )
    found.copy_patient_and_study_information(identity.first)
    if "SpecificCharacterSet" in identity.first:
        found.SpecificCharacterSet = identity.first.SpecificCharacterSet
    found.ConversionType = "SYN"
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


def _code_item() -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = CHEST_CT.value, "LN", CHEST_CT.meaning
    return item


def _reference(image: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return item
