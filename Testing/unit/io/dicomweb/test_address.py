"""Addresses and credentials of a PACS: what is accepted, and that nothing secret is shown."""

from __future__ import annotations

import base64

import pytest

from CovidSeverityLib.errors import ConfigurationError, InputError
from CovidSeverityLib.io.dicomweb.address import (
    PASSWORD_VARIABLE,
    TOKEN_VARIABLE,
    USER_VARIABLE,
    PacsAddress,
    PacsStudy,
)
from CovidSeverityLib.io.dicomweb.config import PacsConfig
from CovidSeverityLib.io.dicomweb.credentials import credentials_for

SAFE, PLAIN = PacsAddress("https://pacs.example.org/dicom-web"), PacsAddress("http://pacs.example.org/dicom-web")
LOCAL = PacsAddress("http://127.0.0.1:8042/dicom-web")


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("dicomweb:https://Pacs.example.org/dicom-web/", "https://pacs.example.org/dicom-web"),
        ("https://pacs.example.org:8443/a/b~c", "https://pacs.example.org:8443/a/b~c"),
        ("http://[::1]:8042/dicom-web", "http://[::1]:8042/dicom-web"),
        ("HTTP://localhost", "http://localhost"),
    ],
)
def test_address_of_a_service_is_taken(given, url):
    assert str(PacsAddress(given)) == url


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("https://me:s3cret@pacs.example.org/dicom-web", "holds a user name or a password"),
        ("https://me:s3/cret@pacs.example.org/dicom-web", "holds a user name or a password"),
        ("me:s3cret@pacs.example.org", "holds a user name or a password"),
        ("pacs.example.org/s3cret", "does not begin with https:// or http://"),
        ("ftp://pacs.example.org/s3cret", "does not begin with https:// or http://"),
        ("https://pacs.example.org/dicom-web?token=s3cret", "has more after its path"),
        ("https://pacs.example.org:s3cret/dicom-web", "cannot be read"),
        ("https:///s3cret", "has no host"),
        ("https://pacs.example.org/s3cret part", "characters that an address cannot have"),
        ("", "does not begin with"),
    ],
)
def test_other_address_is_refused_and_not_repeated(given, said):
    with pytest.raises(InputError, match=said) as caught:
        PacsAddress(given)
    assert "s3" not in str(caught.value)


@pytest.mark.parametrize("uid", ["", "1.2.x", "1.2 3", "1" * 65, "1.2/../3"])
def test_what_is_no_uid_is_refused(uid):
    with pytest.raises(InputError, match="is no StudyInstanceUID; up to 64 digits and points"):
        PacsStudy(SAFE, uid)
    with pytest.raises(InputError, match="is no SeriesInstanceUID"):
        PacsStudy(SAFE, "1.2", uid)


def test_name_of_a_study_is_its_own_and_holds_no_identifier():
    studies = [PacsStudy(SAFE, "1.2.840.1"), PacsStudy(SAFE, "1.2.840.2"), PacsStudy(SAFE, "1.2.840.1", "1.2.840.3")]
    assert len({study.name for study in studies}) == 3
    assert PacsStudy(LOCAL, "1.2.840.9", "1.2.840.3").name == studies[2].name
    assert all("840" not in study.name and "pacs" not in study.name for study in studies)
    assert studies[0].name.startswith("dicomweb-")


@pytest.mark.parametrize(
    "host", ["https://pacs.example.org", "http://localhost:80", "http://127.9.9.9", "http://[::1]"]
)
def test_nobody_listens_to_tls_or_to_this_computer(host):
    assert PacsAddress(host).is_secret


@pytest.mark.parametrize("host", ["http://pacs", "http://10.0.0.7", "http://localhost.example.org", "http://[fe80::1]"])
def test_somebody_may_listen_to_the_rest(host):
    assert not PacsAddress(host).is_secret


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_credentials_come_from_the_environment():
    both = {USER_VARIABLE: "jürgen", PASSWORD_VARIABLE: "pass:wört"}
    assert credentials_for(SAFE, both).header == basic("jürgen:pass:wört")
    assert credentials_for(SAFE, {TOKEN_VARIABLE: "abc.def"}).header == "Bearer abc.def"
    assert credentials_for(LOCAL, both).header
    assert credentials_for(SAFE, {}).header == ""


def test_credentials_come_from_a_netrc_file_and_the_environment_wins(monkeypatch, tmp_path):
    (tmp_path / "mine").write_text("machine pacs.example.org login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "mine"))
    assert credentials_for(SAFE).header == basic("me:s3cret")
    assert credentials_for(PacsAddress("https://other.example.org")).header == ""
    assert credentials_for(PLAIN).header == ""
    monkeypatch.setenv(TOKEN_VARIABLE, "abc")
    assert credentials_for(SAFE).header == "Bearer abc"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({USER_VARIABLE: "me"}, f"{USER_VARIABLE} is set and {PASSWORD_VARIABLE} is not"),
        ({PASSWORD_VARIABLE: "s3cret"}, f"{PASSWORD_VARIABLE} is set and {USER_VARIABLE} is not"),
        ({USER_VARIABLE: "me", PASSWORD_VARIABLE: "s3cret", TOKEN_VARIABLE: "s3t"}, "one kind is needed"),
        ({USER_VARIABLE: "me:s3", PASSWORD_VARIABLE: "s3cret"}, "has a colon"),
        ({TOKEN_VARIABLE: "s3cret\n"}, "has characters that a token cannot have"),
        ({TOKEN_VARIABLE: "s3crét"}, "has characters that a token cannot have"),
    ],
)
def test_unclear_credentials_are_refused_and_not_repeated(environment, said):
    with pytest.raises(InputError, match=said) as caught:
        credentials_for(SAFE, environment)
    assert "s3" not in str(caught.value)


@pytest.mark.parametrize(
    "environment", [{USER_VARIABLE: "me", PASSWORD_VARIABLE: "s3cret"}, {TOKEN_VARIABLE: "s3cret"}]
)
def test_credentials_do_not_travel_without_encryption(environment):
    with pytest.raises(InputError, match=r"are not sent to http://pacs.example.org/dicom-web, .* use https") as caught:
        credentials_for(PLAIN, environment)
    assert "s3" not in str(caught.value)


def test_credentials_do_not_show_themselves():
    found = credentials_for(SAFE, {TOKEN_VARIABLE: "s3cret"})
    assert "s3cret" not in f"{found!r} {found}"
    assert repr(credentials_for(SAFE, {})) == "Credentials(none)"


@pytest.mark.parametrize("field", [{"tries": 0}, {"read_timeout_s": 0}, {"busy_statuses": (200,)}, {"pause_s": -1}])
def test_configuration_checks_itself(field):
    with pytest.raises(ConfigurationError):
        PacsConfig(**field)
