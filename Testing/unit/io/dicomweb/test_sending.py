"""DICOM objects to a PACS: of each it is told whether it arrived."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from pydicom import dcmread

from CovidSeverityLib.errors import InputError, PacsError
from CovidSeverityLib.io.dicomweb.address import TOKEN_VARIABLE, PacsAddress
from CovidSeverityLib.io.dicomweb.sending import send_files, send_to_pacs
from Testing.small_pacs import hang_up, refuse, send, silent, status, take_and

NAMES = ["segmentation.dcm", "measurements.dcm", "report.dcm"]


@pytest.fixture(scope="session")
def objects(write_series, chest_hu, tmp_path_factory):
    """Three DICOM files."""
    folder = tmp_path_factory.mktemp("objects")
    files = write_series(folder, chest_hu[:3], lambda k: {"StudyInstanceUID": "2.25.71"}, uid="2.25.5")
    return [file.rename(folder / name) for file, name in zip(files, NAMES, strict=True)]


@pytest.fixture
def send_all(pacs, objects, quick):
    """A function that sends the objects."""
    return lambda config=quick, **options: send_files(objects, PacsAddress(pacs.url), config=config, **options)


@pytest.fixture
def told(send_all, pacs, capfd):
    """A function that must not be able to send all of them, and returns the sentence after the address."""

    def sentence(**options):
        with pytest.raises(PacsError) as caught:
            send_all(**options)
        assert capfd.readouterr() == ("", "")
        return str(caught.value).removeprefix(f"{pacs.url} ")

    return sentence


def names(pacs, objects):
    """The files that the server has."""
    return [file.name for file in objects if dcmread(file).SOPInstanceUID in pacs.stored]


def test_all_objects_arrive_as_they_are(pacs, objects):
    calls = []
    sent = send_to_pacs(objects, f"dicomweb:{pacs.url}/", progress=lambda *call: calls.append(call))
    assert list(sent) == NAMES == names(pacs, objects)
    for file in objects:
        dataset = dcmread(file)
        assert pacs.stored[dataset.SOPInstanceUID] == dataset
    assert calls == [("send", n, 3) for n in range(4)]
    assert pacs.count("stow") == 3
    assert pacs.count("instances") == 0


def test_answer_with_a_character_set_is_understood(pacs, send_all):
    pacs.json_kind = "application/dicom+json; charset=utf-8"
    assert list(send_all()) == NAMES
    assert pacs.count("instances") == 0


def test_object_is_sent_again_when_the_server_is_busy_or_the_connection_breaks(pacs, send_all, objects):
    pacs.faults["stow"] = [status(503), hang_up]
    assert list(send_all()) == NAMES == names(pacs, objects)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (status(409), "409 Conflict"),
        (status(415, b"{", "application/dicom+json"), "415 Unsupported Media Type"),
        (refuse(0x0122), "it does not store objects of this class, reason 0122"),
        (refuse(0xC122), "it does not accept this transfer syntax, reason C122"),
        (refuse(0xA788), "it is out of resources, reason A788"),
        (refuse(0xC001), "it cannot understand the object, reason C001"),
        (refuse(0x0999), "refused, reason 0999"),
        (refuse(0x0110, code=202), "processing failure, reason 0110"),
        (refuse(0x0110, code=200), "processing failure, reason 0110"),
    ],
)
def test_refused_object_does_not_keep_the_others_away(pacs, told, objects, fault, reason):
    def second(server, handler, path, body):
        server.faults["stow"].append(fault)  # before the answer, after which the next object may come at once
        server.reply_stored(handler, server.take(body))

    pacs.faults["stow"] = [second]
    assert told() == f"did not take measurements.dcm ({reason}); it has segmentation.dcm, report.dcm"
    assert names(pacs, objects) == ["segmentation.dcm", "report.dcm"]


def test_object_that_the_server_has_already_is_there(pacs, send_all):
    pacs.faults["stow"] = [refuse(0x0111), refuse(0x0111, code=202), refuse(0x0111, code=200)]
    assert list(send_all()) == NAMES
    assert pacs.count("instances") == 0


def test_failure_of_another_object_is_not_that_of_this_one(pacs, send_all):
    def of_another(server, handler, path, body):
        server.reply_stored(handler, server.take(body), {"2.25.999": 0x0110}, 202)

    pacs.faults["stow"] = [of_another]
    assert list(send_all()) == NAMES


def test_busy_server_gets_no_more_and_what_went_is_told(pacs, told, objects):
    pacs.faults["stow"] = [take_and(well), *[status(503)] * 9]
    assert told() == (
        f"did not take measurements.dcm ({pacs.url} answers 503 Service Unavailable, again and again); not tried: "
        "report.dcm; it has segmentation.dcm"
    )
    assert pacs.count("stow") == 4
    assert names(pacs, objects) == ["segmentation.dcm"]


def well(pacs, handler, path, body):
    pacs.reply_stored(handler, pacs.take(body))


def test_broken_connection_is_told_with_what_went(pacs, told, objects):
    pacs.faults["stow"] = [well, *[hang_up] * 9]
    assert re.match(
        r"did not take measurements\.dcm \(the connection to .* breaks again and again, and it does not find the "
        r"object\); not tried: report\.dcm; it has segmentation\.dcm$",
        told(),
    )


def test_object_whose_answer_was_lost_is_looked_for(pacs, send_all, quick, objects):
    pacs.faults["stow"] = [take_and(hang_up), take_and(hang_up), take_and(hang_up), take_and(silent(0.6))]
    assert list(send_all(config=replace(quick, read_timeout_s=0.3))) == NAMES == names(pacs, objects)
    assert pacs.count("instances") == 2


@pytest.mark.parametrize(
    "answer", [(b"<html></html>", "text/html"), (b"{]", "application/dicom+json"), (b"<a/>", "application/dicom+xml")]
)
def test_object_with_an_answer_that_says_nothing_is_looked_for(pacs, send_all, told, answer):
    pacs.faults["stow"] = [take_and(status(200, *answer))]
    assert list(send_all()) == NAMES
    pacs.stored.clear()
    pacs.faults["stow"] = [status(200, *answer)]
    assert re.match(
        r"did not take segmentation.dcm \(its answer .*, and it does not find the object\); it has m", told()
    )


def test_wrong_credentials_stop_it_at_once(pacs, told, monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, "s3cret")
    pacs.faults["stow"] = [status(401)]
    said = told()
    assert said.startswith(f"did not take segmentation.dcm ({pacs.url} does not accept the credentials")
    assert said.endswith("not tried: measurements.dcm, report.dcm; it has none of the others")
    assert "s3cret" not in said
    assert pacs.count("stow") == 1


def test_nothing_is_sent_before_every_file_was_read(pacs, objects, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    for files, said in (
        ([], "there is no DICOM object to send"),
        ([*objects, tmp_path / "notes.txt"], "notes.txt is not a DICOM file"),
        ([*objects, tmp_path / "nowhere.dcm"], "nowhere.dcm cannot be read: No such file or directory"),
    ):
        with pytest.raises(InputError, match=said):
            send_to_pacs(files, pacs.url)
    assert pacs.asked == []


def test_redirection_is_not_followed(pacs, told):
    pacs.faults["stow"] = [lambda _, handler, path, body: send(handler, 307, b"", Location="http://elsewhere/studies")]
    assert "leads to http://elsewhere" in told()
