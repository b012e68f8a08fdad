"""A real CT in a real PACS: it goes in, is analysed from there, and its results are found there."""

from __future__ import annotations

import io
import json
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite

from CovidSeverityLib.io.dicomweb.address import PASSWORD_VARIABLE, TOKEN_VARIABLE, USER_VARIABLE
from CovidSeverityLib.io.dicomweb.receiving import read_ct_from_pacs
from CovidSeverityLib.io.dicomweb.sending import send_to_pacs
from CovidSeverityLib.reporting import build_report
from CovidSeverityLib.types import Lobe, Opacity, Side

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("highdicom") is None, reason="highdicom is not installed"),
    pytest.mark.skipif(find_spec("dicomweb_client") is None, reason="dicomweb-client is not installed"),
]

PATIENT = "P001"


class InPacs(NamedTuple):
    """A CT in a PACS."""

    url: str
    study_uid: str
    client: object


@pytest.fixture(scope="module")
def in_pacs(orthanc, real_ct_root):
    """P001, pushed to Orthanc."""
    from dicomweb_client.web import DICOMwebClient
    from requests import Session

    files = sorted((real_ct_root / PATIENT).iterdir())
    with pytest.MonkeyPatch.context() as patch, Session() as session:
        patch.delenv(TOKEN_VARIABLE, raising=False)
        patch.setenv(USER_VARIABLE, orthanc.user)
        patch.setenv(PASSWORD_VARIABLE, orthanc.password)
        patch.setenv("NO_PROXY", "127.0.0.1")
        assert len(send_to_pacs(files, orthanc.url)) == len(files)
        session.auth = (orthanc.user.encode(), orthanc.password.encode())
        study = str(dcmread(files[0], specific_tags=["StudyInstanceUID"]).StudyInstanceUID)
        yield InPacs(orthanc.url, study, DICOMwebClient(orthanc.url, session=session))


@pytest.fixture(scope="module")
def results(in_pacs, program, tmp_path_factory) -> Path:
    """The folder with the results of the analysis of the CT in the PACS."""
    folder = tmp_path_factory.mktemp("results")
    source = (f"dicomweb:{in_pacs.url}", "--study", in_pacs.study_uid)
    run = program("analyze", *source, "--store", in_pacs.url, "-o", folder, "--no-html")
    assert (run.status, run.err) == (0, "")
    assert f"Sent to {in_pacs.url}: segmentation.dcm, measurements.dcm" in run.out
    return folder


def stored_object(in_pacs, modality):
    """The only instance of a modality that the PACS has of the study."""
    (series,) = in_pacs.client.search_for_series(in_pacs.study_uid, search_filters={"Modality": modality})
    as_stored = (("application/dicom", "*"),)
    (found,) = in_pacs.client.retrieve_series(in_pacs.study_uid, series["0020000E"]["Value"][0], as_stored)
    return found


def test_every_voxel_comes_back(in_pacs, real_ct):
    volume, expected = read_ct_from_pacs(in_pacs.url, in_pacs.study_uid), real_ct(PATIENT)
    np.testing.assert_array_equal(volume.hu, expected.hu)
    assert (volume.geometry, volume.notes, volume.kernel) == (expected.geometry, expected.notes, expected.kernel)


def test_report_is_that_of_the_folder(results, analysed):
    report = json.loads((results / "report.json").read_text(encoding="utf-8"))
    expected = json.loads(json.dumps(build_report(analysed(PATIENT))))
    assert report["input"].pop("name") != expected["input"].pop("name")
    for found in (report, expected):
        del found["provenance"]["seconds"], found["classification_reason"]
    assert report == expected


@pytest.mark.parametrize(("modality", "name"), [("SEG", "segmentation.dcm"), ("SR", "measurements.dcm")])
def test_objects_in_the_pacs_are_those_of_the_folder(results, in_pacs, modality, name):
    assert stored_object(in_pacs, modality) == dcmread(results / "dicom" / name)


def test_highdicom_finds_every_voxel_in_what_the_pacs_has(results, in_pacs, analysed):
    from highdicom.seg import segread

    file = io.BytesIO()
    dcmwrite(file, stored_object(in_pacs, "SEG"))
    file.seek(0)
    segmentation, analysis = segread(file), analysed(PATIENT)
    expected = [int((analysis.lungs == side).sum()) for side in Side]
    expected += [int((analysis.lobes == lobe).sum()) for lobe in Lobe]
    expected += [int((analysis.infection == kind).sum()) for kind in Opacity]
    numbers = np.array(
        [
            item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
            for item in segmentation.PerFrameFunctionalGroupsSequence
        ]
    )
    voxels = segmentation.pixel_array.reshape(len(numbers), -1).sum(axis=1, dtype=np.int64)
    assert [int(voxels[numbers == n].sum()) for n in segmentation.segment_numbers] == [n for n in expected if n]


def test_highdicom_reads_the_score_that_the_pacs_has(results, in_pacs, analysed):
    from highdicom.sr import Comprehensive3DSR

    report = Comprehensive3DSR.from_dataset(stored_object(in_pacs, "SR"))
    values = {
        measurement.name.value: measurement.value
        for group in report.content.get_image_measurement_groups()
        for measurement in group.get_measurements()
    }
    assert values["CTSS"] == analysed(PATIENT).ctss
