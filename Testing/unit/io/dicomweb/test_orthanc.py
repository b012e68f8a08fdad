"""The same against a real PACS."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import dcmread

from CovidSeverityLib.errors import InputError, PacsError
from CovidSeverityLib.io.dicomweb.address import PASSWORD_VARIABLE, USER_VARIABLE
from CovidSeverityLib.io.dicomweb.receiving import read_ct_from_pacs
from CovidSeverityLib.io.dicomweb.sending import send_to_pacs
from CovidSeverityLib.io.reading import read_ct

STUDY, SERIES = "2.25.71", "2.25.1"


@pytest.fixture
def signed_in(orthanc, monkeypatch):
    """Credentials of its user in the environment."""
    monkeypatch.setenv(USER_VARIABLE, orthanc.user)
    monkeypatch.setenv(PASSWORD_VARIABLE, orthanc.password)
    return orthanc


def test_series_comes_back_from_orthanc_voxel_by_voxel(signed_in, in_folder):
    files = sorted(in_folder.iterdir())
    assert send_to_pacs(files, signed_in.url) == tuple(file.name for file in files)
    assert send_to_pacs(files[:1], signed_in.url) == (files[0].name,)  # it has it already
    volume, expected = read_ct_from_pacs(signed_in.url, STUDY), read_ct(in_folder)
    np.testing.assert_array_equal(volume.hu, expected.hu)
    assert (volume.geometry, volume.notes) == (expected.geometry, expected.notes)
    with pytest.raises(InputError, match=r"has no series 2\.25\.99; there is 2\.25\.1 \(CT, Chest 2\.0, 12 "):
        read_ct_from_pacs(signed_in.url, STUDY, series_uid="2.25.99")
    with pytest.raises(InputError, match=r"shows no study 1\.2\.3"):
        read_ct_from_pacs(signed_in.url, "1.2.3")


def test_orthanc_refuses_strangers(orthanc, monkeypatch, tmp_path):
    with pytest.raises(InputError, match="asks for credentials"):
        read_ct_from_pacs(orthanc.url, STUDY)
    monkeypatch.setenv(USER_VARIABLE, orthanc.user)
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong")
    with pytest.raises(InputError, match="does not accept the credentials"):
        read_ct_from_pacs(orthanc.url, STUDY)
    monkeypatch.delenv(USER_VARIABLE)
    monkeypatch.delenv(PASSWORD_VARIABLE)
    (tmp_path / "netrc").write_text(f'machine 127.0.0.1 login {orthanc.user} password "{orthanc.password}"\n')
    with pytest.raises(InputError, match=r"shows no study 1\.2\.3"):
        read_ct_from_pacs(orthanc.url, "1.2.3")


def test_orthanc_refuses_what_it_does_not_know(signed_in, in_folder, tmp_path):
    dataset = dcmread(sorted(in_folder.iterdir())[0])
    del dataset.StudyInstanceUID
    dataset.save_as(tmp_path / "lost.dcm")
    with pytest.raises(PacsError, match=r"did not take lost\.dcm"):
        send_to_pacs([tmp_path / "lost.dcm"], signed_in.url)
