"""``report.dcm``: the report in PDF as an object of the study."""

from __future__ import annotations

import io
from importlib.util import find_spec

import pytest
from pydicom import dcmread

from CovidSeverityLib.reporting import ReportPages, report_pdf
from CovidSeverityLib.reporting.dicom import PdfDocument, dicom_objects
from CovidSeverityLib.reporting.dicom.encapsulated_pdf import TITLE_LENGTH, build_encapsulated_pdf
from CovidSeverityLib.reporting.dicom.identity import identify

pytestmark = [
    pytest.mark.skipif(find_spec("highdicom") is None, reason="highdicom is not installed"),
    pytest.mark.skipif(find_spec("reportlab") is None, reason="ReportLab is not installed"),
]

NAME = "dicom/report.dcm"


@pytest.fixture(scope="module")
def content(axial):
    """The report of ``axial`` in PDF."""
    return report_pdf(axial.analysis, ReportPages(html=False, pdf=True))


@pytest.fixture(scope="module")
def with_document(axial, content):
    """The objects of ``axial`` with that of its report."""
    return dicom_objects(*axial, document=PdfDocument(content))


def built(made, content, title=""):
    return build_encapsulated_pdf(PdfDocument(content, title), identify(*made, masks=(), made=None))


def read_back(found):
    file = io.BytesIO()
    found.save_as(file, enforce_file_format=True)
    return dcmread(io.BytesIO(file.getvalue()))


def test_the_report_comes_back_byte_by_byte_in_the_study_of_the_ct(axial, content, objects, with_document):
    assert list(with_document) == [*objects, NAME]
    file, first = read_back(with_document[NAME]), axial.source.images[0]
    assert file.EncapsulatedDocument[: file.EncapsulatedDocumentLength] == content
    assert file.MIMETypeOfEncapsulatedDocument == "application/pdf"
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "AccessionNumber"):
        assert file[keyword].value == first[keyword].value, keyword
    references = {item.ReferencedSOPInstanceUID for item in file.SourceInstanceSequence}
    assert references == {image.SOPInstanceUID for image in axial.source.images}
    assert (file.ContentDate, file.ContentTime, file.SeriesNumber) == ("20200305", "101500", 9103)
    assert "InstanceCreationDate" not in file


def test_all_objects_have_the_same_patient_and_study(from_dicom, content):
    told = {
        **{"PatientName": "Müller^Änne", "PatientAge": "050Y", "PatientWeight": "71", "PatientSex": "F"},
        **{"IssuerOfPatientID": "North Clinic", "StudyDescription": "Thorax"},
    }
    made = from_dicom(change=lambda k: told)
    found = dicom_objects(*made, document=PdfDocument(content)).values()
    read = [read_back(one) for one in found]
    assert len(read) == 3
    for keyword in (*told, "PatientID", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"):
        assert [file.get(keyword) for file in read] == [made.source.images[0].get(keyword)] * 3, keyword


def test_the_other_objects_do_not_change_with_it(objects, with_document):
    for name, found in objects.items():
        assert with_document[name].SOPInstanceUID == found.SOPInstanceUID


def test_the_same_report_gives_the_same_object(axial, content, with_document):
    again = report_pdf(axial.analysis, ReportPages(html=False, pdf=True))
    assert dicom_objects(*axial, document=PdfDocument(again))[NAME] == with_document[NAME]


def test_another_report_is_another_object(axial, content):
    titled = report_pdf(axial.analysis, ReportPages(html=False, pdf=True, title="Anne Miller"))
    found = [built(axial, content), built(axial, titled, "Anne Miller")]
    assert len({one.SOPInstanceUID for one in found} | {one.SeriesInstanceUID for one in found}) == 4


def test_pages_without_a_title_name_nobody_and_the_object_says_so(axial, content):
    from pypdf import PdfReader

    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    assert "CTSS" in text
    assert not any(word in text for word in ("Änne", "Müller^", "19700102", "1970-01-02", "A77"))
    found = built(axial, content)
    assert (found.BurnedInAnnotation, found.DocumentTitle) == ("NO", "Chest CT - CT severity report")


def test_a_title_may_name_somebody_and_the_object_says_so(axial, content):
    found = built(axial, content, "Anne Miller")
    assert (found.BurnedInAnnotation, found.DocumentTitle) == ("YES", "Anne Miller")
    assert len(built(axial, content, "x" * 2000).DocumentTitle) == TITLE_LENGTH


def test_a_title_in_other_letters_than_the_name_of_the_patient_keeps_both(from_dicom, content):
    made = from_dicom(change=lambda k: {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Änne"})
    file = read_back(built(made, content, "胸部 CT"))
    assert (str(file.PatientName), file.DocumentTitle) == ("Müller^Änne", "胸部 CT")


def test_what_is_no_pdf_is_refused():
    with pytest.raises(ValueError, match="a PDF begins with"):
        PdfDocument(b"<html>")


def test_dciodvfy_reports_no_error(with_document, tool, tmp_path):
    with_document[NAME].save_as(tmp_path / "report.dcm", enforce_file_format=True)
    said = tool("dciodvfy", tmp_path / "report.dcm")
    assert "EncapsulatedPDF" in said
    assert [line for line in said.splitlines() if line.startswith("Error")] == []
