"""CTs from a PACS: as from a folder, or refused with what was got and what was expected."""

from __future__ import annotations

import re
import socket
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from CovidSeverityLib.errors import CancelledError, CovidSeverityError, InputError, OutputError, PacsError
from CovidSeverityLib.io.dicomweb.address import (
    PASSWORD_VARIABLE,
    TOKEN_VARIABLE,
    USER_VARIABLE,
    PacsAddress,
    PacsStudy,
)
from CovidSeverityLib.io.dicomweb.receiving import read_ct_from_pacs, read_study_and_source, received
from CovidSeverityLib.io.reading import read_ct, read_ct_and_source
from Testing.small_pacs import SmallPacs, cut, hang_up, silent, status

COUNT, SERIES = 12, "2.25.1"
SECRET = "s3cret"


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder for temporary folders; nothing stays in it, and nothing is printed."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def read(study, quick):
    """A function that reads the study, or another one."""
    return lambda other=None, **options: read_study_and_source(other or study, config=quick, **options)


@pytest.fixture
def refused(read, capfd):
    """A function that must not be able to read, and returns the sentence."""

    def sentence(kind: type[CovidSeverityError], other=None) -> str:
        with pytest.raises(CovidSeverityError) as caught:
            read(other)
        assert type(caught.value) is kind
        assert capfd.readouterr() == ("", "")
        assert SECRET not in str(caught.value)
        return str(caught.value)

    return sentence


def test_series_is_read_as_from_its_folder(read, pacs, in_folder):
    volume, source = read()
    from_folder, images = read_ct_and_source(in_folder)
    np.testing.assert_array_equal(volume.hu, from_folder.hu)
    assert (volume.geometry, volume.notes) == (from_folder.geometry, from_folder.notes)
    assert [image.to_json() for image in source.images] == [image.to_json() for image in images.images]
    assert re.fullmatch(r"dicomweb-[0-9a-f]{8}", volume.name)
    accept = next(headers["Accept"] for kind, headers in pacs.asked if kind == "wado")
    assert accept == 'multipart/related; type="application/dicom"; transfer-syntax=*'
    assert all(headers["Host"] == pacs.url.split("/")[2] for _, headers in pacs.asked)


def test_public_function_reads_the_same(pacs, in_folder):
    volume = read_ct_from_pacs(pacs.url, "2.25.71", series_uid=SERIES)
    np.testing.assert_array_equal(volume.hu, read_ct(in_folder).hu)


def test_files_are_private_and_as_the_pacs_has_them(study, quick, in_folder, temporary):
    calls = []
    with received(study, lambda *call: calls.append(call), quick) as folder:
        assert folder.name == study.name
        assert folder.is_relative_to(temporary)
        assert folder.parent.stat().st_mode & 0o077 == 0
        assert sorted(f.read_bytes() for f in folder.iterdir()) == sorted(f.read_bytes() for f in in_folder.iterdir())
    assert calls == [("receive", n, COUNT) for n in range(1, COUNT + 1)]


def test_user_who_stops_leaves_nothing(read):
    def stop(stage, done, total):
        raise CancelledError("stopped")

    with pytest.raises(CancelledError, match="stopped"):
        read(progress=stop)


@pytest.mark.parametrize("code", [429, 502, 503, 504])
@pytest.mark.parametrize("kind", ["series", "wado"])
def test_busy_server_is_asked_again(read, pacs, kind, code):
    pacs.faults[kind] = [status(code), status(code)]
    assert read()[0].hu.any()


def test_pause_that_the_server_asks_for_is_made(study, pacs, quick, monkeypatch):
    pauses = []
    monkeypatch.setattr("time.sleep", pauses.append)
    pacs.faults["wado"] = [status(503, Retry_After="7"), status(503), status(503, Retry_After="3600")]
    read_study_and_source(study, config=replace(quick, tries=5, pause_s=0.5))
    assert pauses == [7.0, 1.0, 30.0]


def test_pauses_double(study, pacs, quick, monkeypatch):
    pauses = []
    monkeypatch.setattr("time.sleep", pauses.append)
    pacs.faults["wado"] = [status(503)] * 4
    read_study_and_source(study, config=replace(quick, tries=5, pause_s=0.5))
    assert pauses == [0.5, 1.0, 2.0, 4.0]


def test_server_that_stays_busy_is_given_up(refused, pacs):
    pacs.faults["wado"] = [status(503)] * 9
    said = f"{pacs.url} answers 503 Service Unavailable, again and again; it sent 0 of the 12 instances that it lists"
    assert refused(PacsError).startswith(said)
    assert pacs.count("wado") == 3


@pytest.mark.parametrize("fault", [hang_up, cut(0.5), cut(0.5, promised=False), cut(0.999), cut(0.999, promised=False)])
def test_broken_connection_is_made_again(read, pacs, in_folder, fault):
    pacs.faults["wado"] = [fault, fault]
    np.testing.assert_array_equal(read()[0].hu, read_ct(in_folder).hu)


@pytest.mark.parametrize("promised", [True, False])
def test_connection_that_breaks_every_time_is_told_with_both_numbers(refused, pacs, promised):
    pacs.faults["wado"] = [cut(0.3, promised), cut(0.5, promised), cut(0.2, promised)]
    said = refused(PacsError)
    found = re.search(r"breaks again and again; it sent (\d+) of the 12 instances that it lists for the series", said)
    assert 4 <= int(found[1]) <= 6
    assert pacs.count("wado") == 3


@pytest.fixture
def send_others(pacs):
    """A function that makes the server send other data sets than those that it lists."""

    def change(datasets):
        def fault(server, handler, path, body):
            kept, server.datasets = server.datasets, datasets
            server.well(handler, "wado", f"/{datasets[0][0].SeriesInstanceUID}", {}, b"")
            server.datasets = kept

        pacs.faults["wado"] = [fault]

    return change


def test_fewer_instances_than_listed_are_refused(refused, pacs, send_others):
    expected = (
        f"{pacs.url} sent 11 of the 12 instances that it lists for the series {SERIES}; the whole series is needed"
    )
    send_others(pacs.datasets[:-1])
    assert refused(PacsError) == expected
    send_others([*pacs.datasets[:-1], pacs.datasets[3]])  # one of them twice
    assert refused(PacsError) == expected


def test_more_instances_than_listed_are_refused(refused, pacs, send_others):
    everything = pacs.datasets
    pacs.datasets = everything[:-2]
    send_others(everything)
    assert f"{pacs.url} sends more than the 10 instances that it lists" in refused(PacsError)


def test_instances_of_another_series_are_refused(refused, pacs, send_others, write_series, chest_hu, tmp_path):
    other = SmallPacs(
        write_series(tmp_path / "other", chest_hu, lambda k: {"StudyInstanceUID": "2.25.9"}, uid="2.25.8")
    )
    other.close()
    send_others(other.datasets)
    assert refused(PacsError).startswith(
        f"{pacs.url} sends another series than {SERIES}, which was asked for; it sent 0"
    )


def test_number_of_instances_is_counted_where_it_is_not_told(read, refused, pacs):
    pacs.tells_count, pacs.page = False, 5
    assert len(read()[0].hu) == COUNT
    assert pacs.count("instances") == 4
    pacs.knows_pages = False
    assert f"{pacs.url} sends more than the 5 instances" in refused(PacsError)


@pytest.mark.parametrize("kind", ["series", "wado"])
def test_credentials_are_asked_for_or_not_accepted(refused, pacs, monkeypatch, kind):
    pacs.faults[kind] = [status(401)] * 2
    assert "asks for credentials, which it gets from COVID_SEVERITY_DICOMWEB_USER" in refused(InputError)
    monkeypatch.setenv(TOKEN_VARIABLE, SECRET)
    assert refused(InputError) == f"{pacs.url} does not accept the credentials (401 Unauthorized)"
    assert pacs.asked[-1][1]["Authorization"] == f"Bearer {SECRET}"


def test_credentials_of_a_file_go_to_the_pacs(read, pacs, tmp_path):
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login me password {SECRET}\n")
    read()
    assert {headers["Authorization"] for _, headers in pacs.asked} == {"Basic bWU6czNjcmV0"}


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (403, InputError, "answers 403 Forbidden: these credentials do not allow it"),
        (404, InputError, "answers 404 Not Found; the address of a DICOMweb service is needed"),
        (500, PacsError, "answers 500 Internal Server Error"),
        (599, PacsError, "answers 599"),
    ],
)
def test_refusals_are_told_at_once(refused, pacs, code, kind, said):
    pacs.faults["series"] = [status(code)]
    assert said in refused(kind)
    assert len(pacs.asked) == 1


@pytest.mark.parametrize(
    "body",
    [b"<html>s3cret</html>", b"not json", b'"text"', b"[1, 2]", b'[{"0020000E": 3}, {"0020000E": {"Value": 4}}]'],
)
def test_other_service_is_recognised(refused, pacs, body):
    pacs.faults["series"] = [status(200, body, "application/dicom+json")]
    said = refused(InputError if body.startswith(b"[{") else PacsError)
    assert any(part in said for part in ("is not DICOM", "no list of DICOM JSON", "shows no study"))


@pytest.mark.parametrize(
    "fault",
    [
        status(200, b"<html></html>"),
        status(200, b"--x\r\n\r\nhello\r\n--x--", "multipart/related; boundary=x"),
        status(200, b"--x\r\nhello\r\n--x--", "multipart/related; boundary=x"),
        status(200, b"hello", "multipart/related"),
        status(200, b"hello", "application/dicom"),
        status(200, b"", ""),
    ],
)
def test_series_that_is_something_else_is_refused(refused, pacs, fault):
    pacs.faults["wado"] = [fault]
    assert re.search(r"answers something that is not DICOM; .* it sent 0 of the 12 instances", refused(PacsError))


def test_single_instance_without_an_envelope_is_taken(pacs, quick, in_folder):
    pacs.datasets = pacs.datasets[:1]
    pacs.faults["wado"] = [status(200, pacs.datasets[0][1], "application/dicom")]
    with received(PacsStudy(PacsAddress(pacs.url), "2.25.71"), None, quick) as folder:
        assert [file.read_bytes() for file in folder.iterdir()] == [sorted(in_folder.iterdir())[0].read_bytes()]


def test_server_that_does_not_answer_is_not_waited_for_and_not_asked_again(pacs, study, quick):
    pacs.faults["series"] = [silent(1.0)]
    with pytest.raises(PacsError, match=r"does not answer within 0\.1 s$"):
        read_study_and_source(study, config=replace(quick, read_timeout_s=0.1))
    assert pacs.count("series") == 1


def test_server_that_stops_in_the_middle_is_not_waited_for(pacs, study, quick):
    def stop(server, handler, path, body):
        handler.close_connection = False
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/related; boundary=the-boundary")
        handler.end_headers()
        handler.wfile.write(server.multipart(path)[:9000])
        handler.wfile.flush()
        silent(1.0)(server, handler, path, body)

    pacs.faults["wado"] = [stop]
    with pytest.raises(PacsError, match=r"does not answer within 0\.2 s; it sent \d of the 12 instances"):
        read_study_and_source(study, config=replace(quick, read_timeout_s=0.2))


def test_computer_without_a_server_is_told(refused):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = PacsAddress(f"http://127.0.0.1:{free.getsockname()[1]}/dicom-web")
    assert refused(PacsError, PacsStudy(address, "1.2")) == f"{address} cannot be reached"


def test_certificate_has_to_be_trusted(in_folder, certificate, read, refused, monkeypatch):
    pacs = SmallPacs(sorted(in_folder.iterdir()), certificate)
    study = PacsStudy(PacsAddress(pacs.url), "2.25.71")
    try:
        said = refused(PacsError, study)
        assert said.startswith(f"the certificate of {pacs.url} is not accepted; if your institution issues its own")
        assert pacs.asked == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert read(study)[0].hu.any()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.parent / "nowhere.pem"))
        assert refused(InputError, study) == "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names no file of certificates"
    finally:
        pacs.close()


def test_server_without_tls_is_told(refused, pacs):
    address = PacsAddress(pacs.url.replace("http:", "https:"))
    assert refused(PacsError, PacsStudy(address, "1.2")) == f"{address} does not speak TLS, which https needs"


def test_redirection_is_refused_and_gets_no_credentials(refused, pacs, in_folder, monkeypatch):
    monkeypatch.setenv(USER_VARIABLE, "me")
    monkeypatch.setenv(PASSWORD_VARIABLE, SECRET)
    other = SmallPacs(sorted(in_folder.iterdir()))
    try:
        pacs.faults["series"] = [status(302, Location=f"{other.url}/studies/2.25.71/series?{SECRET}")]
        assert "leads to http://127.0.0.1; give the address" in refused(InputError)
        assert other.asked == []
    finally:
        other.close()


def test_what_is_for_this_computer_goes_through_no_proxy(read, pacs, in_folder, monkeypatch):
    proxy = SmallPacs(sorted(in_folder.iterdir()))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("no_proxy", raising=False)
    try:
        assert read()[0].hu.any()
        assert proxy.asked == []
    finally:
        proxy.close()


@pytest.fixture
def several(pacs, write_series, chest_hu, tmp_path):
    """More series in the study: a shorter CT, and an MR."""
    tags = {"StudyInstanceUID": "2.25.71", "SeriesDescription": "Thick"}
    files = write_series(tmp_path / "more", chest_hu[::2], lambda k: tags, step_mm=4.0, uid="2.25.2")
    files += write_series(tmp_path / "mr", chest_hu[:1], lambda k: {**tags, "Modality": "MR"}, uid="2.25.3")
    more = SmallPacs(files)
    pacs.datasets += more.datasets
    more.close()
    return tmp_path


def test_best_of_several_ct_series_is_read_as_from_a_folder(several, read, pacs, in_folder, tmp_path):
    both = tmp_path / "both"
    both.mkdir()
    for n, file in enumerate((*in_folder.iterdir(), *(several / "more").iterdir())):
        (both / f"{n}.dcm").symlink_to(file)
    volume, expected = read()[0], read_ct(both)
    np.testing.assert_array_equal(volume.hu, expected.hu)
    assert volume.notes == expected.notes
    assert [note.code for note in volume.notes] == ["series_chosen"]
    assert pacs.count("wado") == 2


def test_chosen_series_alone_is_received(several, read, study, pacs):
    volume, _ = read(replace(study, series_uid="2.25.2"))
    assert len(volume.hu) == COUNT // 2
    assert volume.notes == ()
    assert pacs.count("wado") == 1


def test_what_is_there_is_listed_for_another_choice(several, refused, study, pacs):
    listed = r"2\.25\.1 \(CT, Chest 2\.0, 12 instances\); 2\.25\.2 \(CT, Thick, 6 instances\); 2\.25\.3 \(MR, Thick, 1 "
    said = refused(InputError, replace(study, series_uid="2.25.9"))
    assert re.match(rf"the study has no series 2\.25\.9; there is {listed}", said)
    assert refused(InputError, replace(study, series_uid="2.25.3")) == "the series 2.25.3 is MR; a chest CT is needed"
    pacs.datasets = pacs.datasets[-1:]
    assert refused(InputError) == "the study has no CT series; there is 2.25.3 (MR, Thick, 1 instance)"
    assert refused(InputError, replace(study, study_uid="1.2")) == f"{pacs.url} shows no study 1.2 with a series"


def test_instance_that_is_sent_twice_counts_once(read, pacs, in_folder):
    listed, whole = list(pacs.datasets), pacs.multipart

    def with_the_first_again(path):
        pacs.datasets = [*listed, listed[0]]
        try:
            return whole(path)
        finally:
            pacs.datasets = listed

    pacs.multipart = with_the_first_again
    np.testing.assert_array_equal(read()[0].hu, read_ct(in_folder).hu)


def test_series_whose_modality_is_not_told_is_read(read, pacs, in_folder):
    for dataset, _ in pacs.datasets:
        dataset.Modality = ""
    np.testing.assert_array_equal(read()[0].hu, read_ct(in_folder).hu)


def test_faulty_ct_is_refused_as_from_a_folder(refused, pacs):
    del pacs.datasets[5]
    assert re.match(r"dicomweb-\w+: .*missing", refused(InputError))


def test_disk_that_takes_no_more_is_told(refused, temporary):
    resource = pytest.importorskip("resource", reason="this system has no limits for files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        said = refused(OutputError)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert said == f"what the PACS sends cannot be kept in {temporary}: File too large"


def test_without_the_package_the_command_that_installs_it_is_told(refused, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert 'pip install "covid-severity[pacs]"' in refused(InputError)


def test_folder_of_the_tests_is_used():
    assert Path(tempfile.gettempdir()).name == "temporary"
