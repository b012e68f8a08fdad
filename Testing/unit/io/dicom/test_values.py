"""Values of elements as they are in a file, most of them without pydicom's conversion."""

import io

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from CovidSeverityLib.io.dicom.values import number_of, numbers_of, text_of, values_of

TEXTS = {
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "Modality": "CT",
    "SOPInstanceUID": "1.2.3",
    "SeriesDescription": "Thorax \u00e4",
    "AcquisitionNumber": None,
    "SliceThickness": "",
}
NUMBERS = {"ImagePositionPatient": ["-12.5", "1e1", "+3"], "PixelSpacing": ["0.70", "0.8"], "InstanceNumber": "7"}


def read(syntax):
    """A data set as it comes from a file, no value of it converted."""
    dataset = Dataset()
    dataset.SpecificCharacterSet, dataset.Rows = "ISO_IR 192", 512
    for keyword, value in (TEXTS | NUMBERS).items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    file = io.BytesIO()
    dataset.save_as(file)
    return dcmread(io.BytesIO(file.getvalue()), force=True)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_values_are_those_that_pydicom_converts(syntax):
    raw, converted = read(syntax), read(syntax)
    for keyword in (*TEXTS, *NUMBERS):
        converted[keyword] = converted[keyword]
    assert isinstance(raw.get_item("ImageType"), RawDataElement)
    assert not isinstance(converted.get_item("ImageType"), RawDataElement)
    assert {k: values_of(raw, k) for k in TEXTS} == {k: values_of(converted, k) for k in TEXTS}
    assert {k: numbers_of(raw, k) for k in NUMBERS} == {k: numbers_of(converted, k) for k in NUMBERS}


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_numbers_and_texts_of_a_file(syntax):
    raw = read(syntax)
    assert numbers_of(raw, "ImagePositionPatient") == (-12.5, 10.0, 3.0)
    assert (number_of(raw, "InstanceNumber", 0), number_of(raw, "Rows", 0)) == (7, 512)
    assert values_of(raw, "AcquisitionNumber") == values_of(raw, "SliceThickness") == values_of(raw, "KVP") == []
    assert (text_of(raw, "ImageType"), text_of(raw, "SeriesDescription")) == ("ORIGINAL\\PRIMARY\\AXIAL", "Thorax ä")
