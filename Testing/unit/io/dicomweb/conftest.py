"""A PACS with one CT series of a made-up chest, small enough to be read in a moment."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from CovidSeverityLib.io.dicomweb.address import (
    PASSWORD_VARIABLE,
    TOKEN_VARIABLE,
    USER_VARIABLE,
    PacsAddress,
    PacsStudy,
)
from CovidSeverityLib.io.dicomweb.config import PacsConfig
from Testing.small_pacs import SmallPacs

STUDY = "2.25.71"
SERIES = "2.25.1"
IN_STUDY = {
    "StudyInstanceUID": STUDY,
    "FrameOfReferenceUID": "2.25.72",
    "PatientID": "4711",
    "SliceThickness": 2.0,
}


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch, tmp_path):
    """Those of the user who runs the tests do not count."""
    for name in (USER_VARIABLE, PASSWORD_VARIABLE, TOKEN_VARIABLE, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="session")
def quick() -> PacsConfig:
    """Without pauses, with short time-outs and in small pieces."""
    return PacsConfig(connect_timeout_s=2.0, read_timeout_s=2.0, tries=3, pause_s=0.0, piece_bytes=1000)


@pytest.fixture(scope="session")
def in_folder(write_series, chest_hu, tmp_path_factory):
    """The folder of the series."""
    folder = tmp_path_factory.mktemp("pacs") / "series"
    write_series(folder, chest_hu, lambda k: IN_STUDY, uid=SERIES)
    return folder


@pytest.fixture
def pacs(in_folder):
    """A PACS with the series."""
    server = SmallPacs(sorted(in_folder.iterdir()))
    yield server
    server.close()


@pytest.fixture
def study(pacs) -> PacsStudy:
    """The study of the series."""
    return PacsStudy(PacsAddress(pacs.url), STUDY)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that nobody trusts, with its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    subject = ("-subj", "/CN=small-pacs", "-addext", "subjectAltName=IP:127.0.0.1")
    command = ["openssl", "req", "-x509", *made, *subject, "-keyout", "key.pem", "-out", "certificate.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "certificate.pem").read_bytes() + (folder / "key.pem").read_bytes())
    return both
